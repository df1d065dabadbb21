# SPDX-License-Identifier: Apache-2.0
"""Killing fenced, monitors and the spawner: containers keep running, nothing is lost or left."""
import contextlib
import http.client
import os
import random
import re
import signal
import subprocess
import threading
import time

import pytest

from harness import leaks
from harness.api import ApiError, read_all
from harness.wait import until

ROUNDS = int(os.environ.get("FENCE_FAULT_ROUNDS", "10"))
COUNTER = ["sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done"]


def complete(output):
    """Whether the counter's output has every line."""
    lines = output.decode().splitlines()
    return lines == [str(n + 1) for n in range(len(lines))]


def kill_monitors(d):
    """A set-up process tells of the start a moment before it becomes the monitor."""
    for monitor in until(d.monitors):
        os.kill(monitor, signal.SIGKILL)


def test_containers_survive(new_daemon):
    d = new_daemon()
    cid = d.api.run(COUNTER)
    pid = d.api.inspect(cid)["State"]["Pid"]
    d.kill9()
    time.sleep(0.5)
    d.start()
    state = d.api.inspect(cid)["State"]
    assert state["Running"] and state["Pid"] == pid
    d.api.ok("POST", "/containers/%s/stop" % cid, t=0)
    out = d.api.logs(cid)
    assert complete(out) and out.count(b"\n") > 30


def test_output_while_the_daemon_is_held_up(new_daemon):
    """By the scheduler, say, right after a request went out: who attached first sees it all."""
    d = new_daemon()
    box = d.api.run(["sleep", "1000"])
    cid = d.api.create(cmd=["echo", "first"])
    stream, _ = d.api.attach(cid, stream=1, stdout=1)
    with subprocess.Popen(["strace", "-qq", "-o", "/dev/null", "-p", str(d.process.pid), "-e",
                           "trace=sendmsg", "-e", "inject=sendmsg:delay_exit=500000"]) as tracer:
        try:
            until(lambda: "TracerPid:\t0" not in open("/proc/%d/status" % d.process.pid,
                                                      encoding="utf-8").read())
            assert d.api.exec(box, ["echo", "out"]) == (0, "out\n")
            d.api.ok("POST", "/containers/%s/start" % cid)
            assert read_all(stream)[8:] == b"first\n"
        finally:
            tracer.terminate()


def test_monitors_that_are_slow(new_daemon):
    """Waiting for a disk, say, while the daemon restarts: their containers are not killed."""
    d = new_daemon()
    slow, other = d.api.run(COUNTER), d.api.run(COUNTER)
    pid = d.api.inspect(slow)["State"]["Pid"]
    with open("/proc/%d/status" % pid, encoding="utf-8") as f:
        monitor = int(re.search(r"PPid:\s+(\d+)", f.read()).group(1))
    os.kill(monitor, signal.SIGSTOP)
    try:
        d.crash()
        for cid in slow, other:
            assert d.api.inspect(cid)["State"]["Running"]
        assert d.api.inspect(slow)["State"]["Pid"] == pid
    finally:
        os.kill(monitor, signal.SIGCONT)
    d.api.ok("POST", "/containers/%s/stop" % slow, t=0)
    assert d.api.wait(slow) == 137
    assert complete(d.api.logs(slow))


def test_exit_while_the_daemon_is_dead(new_daemon):
    d = new_daemon()
    kept = d.api.run(["sh", "-c", "sleep 0.5; echo last; exit 7"])
    removed = d.api.run(["sh", "-c", "sleep 0.5"], host={"AutoRemove": True})
    again = d.api.run(["sh", "-c", "sleep 0.5"], host={"RestartPolicy": {"Name": "always"}})
    d.kill9()
    time.sleep(1)
    d.start()
    state = d.api.inspect(kept)["State"]
    assert state["Status"] == "exited" and state["ExitCode"] == 7
    assert d.api.wait(kept) == 7
    assert d.api.logs(kept) == b"last\n"
    until(lambda: d.api.request("GET", "/containers/%s/json" % removed).status == 404)
    until(lambda: d.api.inspect(again)["State"]["Running"])


def test_start_and_exit_that_were_not_recorded(new_daemon):
    """A daemon killed as soon as it has answered: what it started has ended when the next one comes."""
    d = new_daemon()
    for _ in range(ROUNDS):
        cid = d.api.run(["sh", "-c", "sleep 0.1; exit 3"], host={"RestartPolicy": {"Name": "always"}})
        d.kill9()
        time.sleep(0.3)
        d.start()
        until(lambda: d.api.inspect(cid)["State"]["Running"]) # pylint: disable=cell-var-from-loop
        assert not d.api.inspect(cid)["State"]["StartedAt"].startswith("0001")
        d.api.remove(cid)


def test_wait_and_exec_after_a_restart(new_daemon):
    d = new_daemon()
    cid = d.api.run(["sh", "-c", "while ! test -e /go; do sleep 0.05; done; exit 5"])
    d.crash()
    results = []
    waiter = threading.Thread(target=lambda: results.append(d.api.wait(cid)))
    waiter.start()
    assert d.api.exec(cid, ["touch", "/go"]) == (0, "")
    waiter.join(20)
    assert results == [5]


def test_attach_after_a_restart(new_daemon):
    d = new_daemon()
    cid = d.api.run(["sh", "-c", "read x; echo got $x"], OpenStdin=True)
    d.crash()
    s, _ = d.api.attach(cid, stream=1, stdin=1, stdout=1)
    s.sendall(b"input\n")
    assert read_all(s).endswith(b"got input\n")
    s.close()
    assert d.api.wait(cid) == 0
    assert d.api.logs(cid) == b"got input\n"


def test_health_checks_resume(new_daemon):
    d = new_daemon()
    cid = d.api.run(["sleep", "1000"], Healthcheck={"Test": ["CMD", "test", "-e", "/ok"],
                                                    "Interval": 200000000, "Retries": 1})
    until(lambda: d.api.inspect(cid)["State"]["Health"]["Status"] == "unhealthy", 20)
    d.crash()
    d.api.exec(cid, ["touch", "/ok"])
    until(lambda: d.api.inspect(cid)["State"]["Health"]["Status"] == "healthy", 20)


def test_paused_containers_stay_paused(new_daemon):
    d = new_daemon()
    cid = d.api.run(["sleep", "1000"])
    d.api.ok("POST", "/containers/%s/pause" % cid)
    d.crash()
    assert d.api.inspect(cid)["State"]["Paused"]
    d.api.ok("POST", "/containers/%s/unpause" % cid)


@pytest.mark.parametrize("dead", [False, True], ids=["daemon-lives", "daemon-is-dead"])
def test_killed_monitor_of_a_paused_container(new_daemon, dead):
    """Frozen processes end as well, and what is recorded is not paused."""
    d = new_daemon()
    cid = d.api.run(["sleep", "1000"])
    pid = d.api.inspect(cid)["State"]["Pid"]
    d.api.ok("POST", "/containers/%s/pause" % cid)
    if dead:
        d.kill9()
    kill_monitors(d)
    if dead:
        d.start()
    until(lambda: not d.api.inspect(cid)["State"]["Running"])
    state = d.api.inspect(cid)["State"]
    assert (state["Status"], state["Paused"], state["ExitCode"]) == ("exited", False, 137)
    until(lambda: not os.path.exists("/proc/%d" % pid))
    d.api.start(cid)
    assert d.api.inspect(cid)["State"]["Status"] == "running"
    assert d.api.exec(cid, ["true"])[0] == 0


def test_paused_through_two_crashes_and_an_end(new_daemon):
    """Paused stays paused over kill -9 and over an end that leaves containers; it can be stopped then."""
    d = new_daemon()
    cid = d.api.run(["sh", "-c", "trap 'exit 7' TERM; echo set; while :; do sleep 0.05; done"])
    until(lambda: d.api.logs(cid))
    d.api.ok("POST", "/containers/%s/pause" % cid)
    d.crash()
    d.crash()
    d.signal(signal.SIGUSR2)
    assert d.terminate() == 0
    d.start()
    assert d.api.inspect(cid)["State"]["Status"] == "paused"
    assert [c["State"] for c in d.api.get("/containers/json")] == ["paused"]
    d.api.ok("POST", "/containers/%s/stop" % cid, t=10)
    state = d.api.inspect(cid)["State"]
    assert (state["Status"], state["Paused"], state["ExitCode"]) == ("exited", False, 7)


@pytest.mark.parametrize("flags", [[], ["--live-restore"]])
def test_end_while_containers_end(new_daemon, flags):
    """SIGTERM meets exits that are being recorded: a clean end, and each exit status is kept."""
    d = new_daemon(*flags)
    rng = random.Random(1)
    for _ in range(ROUNDS):
        cids = [d.api.create(cmd=["sh", "-c", "sleep 0.%02d; exit 3" % rng.randrange(30)]) for _ in range(6)]
        for cid in cids:
            d.api.start(cid)
        time.sleep(rng.random() * 0.3)
        assert d.terminate() == 0
        d.start()
        for cid in cids:
            code = d.api.wait(cid)
            assert code == 3 or (code in (137, 143) and not flags)
            d.api.remove(cid)


def test_killed_monitor(new_daemon):
    """Nothing runs unmonitored."""
    d = new_daemon()
    cid = d.api.run(["sleep", "1000"])
    pid = d.api.inspect(cid)["State"]["Pid"]
    kill_monitors(d)
    until(lambda: not d.api.inspect(cid)["State"]["Running"])
    assert d.api.inspect(cid)["State"]["ExitCode"] in (137, 255)
    until(lambda: not os.path.exists("/proc/%d" % pid))
    d.api.start(cid)
    assert d.api.inspect(cid)["State"]["Running"]


def test_monitor_killed_while_the_daemon_is_dead(new_daemon):
    d = new_daemon()
    cid = d.api.run(["sleep", "1000"])
    pid = d.api.inspect(cid)["State"]["Pid"]
    d.kill9()
    kill_monitors(d)
    d.start()
    assert not d.api.inspect(cid)["State"]["Running"]
    until(lambda: not os.path.exists("/proc/%d" % pid))


def test_killed_spawner(new_daemon):
    d = new_daemon()
    cid = d.api.run(["sleep", "1000"])
    os.kill(until(d.spawner), signal.SIGKILL)
    until(lambda: d.api.output(["echo", "again"]) == (0, "again\n"))
    assert d.api.inspect(cid)["State"]["Running"]


def test_signals_are_for_one_thread(new_daemon):
    """Two at once are handled in order, which threads that take them each for itself would not keep."""
    d = new_daemon()
    assert d.api.output(["echo", "all threads are there"])[0] == 0
    threads = [int(t) for t in os.listdir("/proc/%d/task" % d.pid)]
    assert len(threads) > 1
    for t in threads:
        status = leaks.read("/proc/%d/task/%d/status" % (d.pid, t))
        blocked = int(re.search(r"^SigBlk:\s*(\w+)", status, re.M).group(1), 16) if status else -1
        for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGHUP):
            assert bool(blocked >> number - 1 & 1) == (t != d.pid), (t, number)


@pytest.mark.parametrize("flags,number", [(["--live-restore"], signal.SIGTERM), ([], signal.SIGUSR2)])
def test_only_sigterm_stops_containers(new_daemon, flags, number):
    """SIGUSR2 is what the systemd unit stops and restarts with."""
    d = new_daemon(*flags)
    cid = d.api.run(["sleep", "1000"])
    pid = d.api.inspect(cid)["State"]["Pid"]
    d.signal(number)
    assert d.terminate() == 0
    assert os.path.exists("/proc/%d" % pid)
    d.start()
    assert d.api.inspect(cid)["State"]["Pid"] == pid


def worker(d, stop, made, broken):
    """Lives of containers, one after the other, whatever happens to the daemon."""
    rng = random.Random()
    while not stop.is_set():
        name = "load-%016x" % rng.getrandbits(64)
        try:
            cid = d.api.create(name=name, cmd=["sh", "-c", "echo %s; sleep 0.05" % name])
            made.add(cid)
            d.api.start(cid)
            d.api.wait(cid, timeout=20)
            if d.api.logs(cid).decode() != name + "\n":
                broken.append("output of " + cid)
            d.api.remove(cid)
        except (OSError, http.client.HTTPException, ApiError, ValueError):
            time.sleep(0.02) # the daemon was killed in the middle of it


@pytest.mark.limit(60 + 20 * ROUNDS)
@pytest.mark.rounds
def test_rounds_of_kill_9_under_load(new_daemon):
    d = new_daemon()
    steady = d.api.run(COUNTER)
    pid = d.api.inspect(steady)["State"]["Pid"]
    made, broken, stop = set(), [], threading.Event()
    threads = [threading.Thread(target=worker, args=(d, stop, made, broken)) for _ in range(4)]
    for t in threads:
        t.start()
    try:
        for n in range(ROUNDS):
            time.sleep(random.uniform(0.05, 0.6))
            if n % 3 == 2:
                victim = d.spawner()
                if victim:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(victim, signal.SIGKILL)
            d.kill9()
            d.start()
            assert d.api.inspect(steady)["State"]["Pid"] == pid
    finally:
        stop.set()
        for t in threads:
            t.join(60)
    assert not broken
    for c in d.api.get("/containers/json", all=1):
        if c["Id"] != steady:
            assert d.api.remove(c["Id"]).status == 204, c
    d.api.ok("POST", "/containers/%s/stop" % steady, t=0)
    assert complete(d.api.logs(steady))
    d.api.remove(steady)
    until(lambda: not d.monitors())
    assert not [m for m in leaks.mounts() if d.root in m and "/data" in m and "merged" in m]


def test_state_file_damage_is_reported(new_daemon):
    """A database that is no database: the daemon says so and does not start empty over it."""
    d = new_daemon(busybox=False)
    d.terminate()
    found = [os.path.join(p, n) for p, _, names in os.walk(d.data_root) for n in names
             if n.endswith((".db", ".sqlite"))]
    assert found
    for path in found:
        with open(path, "r+b") as f:
            f.write(b"this is no database" * 10)
    for path in found:
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path + suffix)
    d.spawn()
    assert d.process.wait(30) == 1
    assert "failed to start daemon" in d.log()
    d.process = None


def test_full_disk(new_daemon, tmp_path):
    """No space: an error that says so, and a daemon that goes on."""
    import subprocess  # pylint: disable=import-outside-toplevel
    target = tmp_path / "small"
    target.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=711", "fence-small", str(target)],
                   check=True)
    try:
        d = new_daemon(start=False)
        d.data_root = str(target)
        d.start().load_busybox()
        with open(target / "fill", "wb") as f, contextlib.suppress(OSError):
            while True:
                f.write(b"\0" * (1 << 20))
        d.api.request("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"]})
        assert d.api.request("GET", "/_ping").status == 200
        os.unlink(target / "fill")
        assert d.api.output(["echo", "space"]) == (0, "space\n")
        d.remove_all()
        d.terminate()
        d.process = None
    finally:
        subprocess.run(["umount", "-l", str(target)], check=True)
