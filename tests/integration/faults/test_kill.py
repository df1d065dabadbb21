# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the daemon, of monitors, of the spawner and of set-up processes at random moments under
load. After each round nothing is lost, nothing is left over, and everything goes on.

FENCE_SOAK_ROUNDS, FENCE_FAULT_ROUNDS  how many rounds (10)
FENCE_SOAK_SEED                        the random numbers' seed; said when a round fails
"""
import contextlib
import http.client
import os
import random
import signal
import time

import pytest

import selfcheck
from faultload import Load
from harness import leaks
from harness.wait import until

ROUNDS = int(os.environ.get("FENCE_SOAK_ROUNDS") or os.environ.get("FENCE_FAULT_ROUNDS", "10"))
SEED = int(os.environ.get("FENCE_SOAK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
COUNTER = ["sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"]


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def monitors(daemon, but=()):
    """Not their helpers, which call themselves the same: a leak checker whose helper is killed hangs."""
    def is_monitor(pid):
        line = leaks.command(pid).split()
        return line[1] if len(line) > 1 and os.path.basename(line[0]) == "fence-monitor" else None

    return [pid for pid in leaks.pids()
            if is_monitor(pid) not in (None, *but)
            and not is_monitor((selfcheck.status(pid) or ("", 0))[1])
            and any(x.startswith(daemon.root) for x in selfcheck.descriptors(pid))]


def kill_monitors(daemon, of_execs=False):
    """A set-up process tells of the start a moment before it becomes the monitor."""
    def found():
        return [p for p in monitors(daemon)
                if any(a.startswith("--exec-id") for a in leaks.command(p).split()) == of_execs]

    for pid in until(found):
        kill(pid)


def children(pid):
    """Of the first thread, at once: without a walk through /proc."""
    return [int(p) for p in leaks.read("/proc/%d/task/%d/children" % (pid, pid)).split()]


def kill_set_up(daemon, rng, seconds=1.0):
    """Catches a set-up process in the middle of its work; whether there was one."""
    spawner = daemon.spawner()
    end = time.monotonic() + seconds
    while spawner and time.monotonic() < end:
        # monitors, which were set-up processes once, stay its children
        found = [p for p in children(spawner) if "fence-monitor" not in leaks.command(p)]
        if found:
            victim = rng.choice(found)
            time.sleep(rng.uniform(0, 0.006))
            # sometimes the container's first process instead of the one that makes it
            below = children(victim)
            kill(rng.choice(below) if below and rng.random() < 0.3 else victim)
            return True
    return False


class Killer:
    def __init__(self, daemon, steady, rng):
        self.d, self.steady, self.rng = daemon, steady, rng
        self.count = {}

    def once(self):
        what = self.rng.choice(["daemon", "daemon", "monitor", "set-up", "spawner", "all"])
        if what in ("monitor", "all"):
            found = monitors(self.d, but=(self.steady,))
            for pid in self.rng.sample(found, min(len(found), self.rng.randint(1, 2))):
                kill(pid)
        if what == "set-up":
            kill_set_up(self.d, self.rng)
        if what in ("spawner", "all"):
            spawner = self.d.spawner()
            if spawner:
                kill(spawner)
        if what in ("daemon", "all"):
            self.d.kill9()
            time.sleep(self.rng.choice([0, 0.05, 0.3]))
            self.d.start()
        self.count[what] = self.count.get(what, 0) + 1


def complete(output):
    lines = output.decode().splitlines()
    return lines == [str(n + 1) for n in range(len(lines))]


@pytest.mark.limit(120 + 30 * ROUNDS)
@pytest.mark.rounds
def test_rounds(new_daemon):
    rng = random.Random(SEED)
    d = new_daemon()
    steady = d.api.run(COUNTER)
    pid = d.api.inspect(steady)["State"]["Pid"]
    load = Load(d, seed=rng.random())
    killer = Killer(d, steady, rng)
    what = "seed %d" % SEED
    try:
        for n in range(ROUNDS):
            what = "round %d of %d, seed %d, after %s" % (n + 1, ROUNDS, SEED, killer.count)
            load.resume()
            time.sleep(rng.uniform(0.1, 0.8))
            killer.once()
            time.sleep(rng.uniform(0.05, 0.4))
            load.pause()
            problems = selfcheck.settle(d, run=n % 5 == 4) + load.verify()
            assert not problems, "%s:\n%s\n%s" % (what, "\n".join(problems), d.log()[-20000:])
            state = d.api.inspect(steady)["State"]
            assert state["Running"] and state["Pid"] == pid, what
            load.clear()
    finally:
        load.close()
        print("kills: %s\nthrough: %s" % (killer.count, load.done))
        for text, count in sorted(load.errors.items(), key=lambda x: -x[1]):
            print("%4d  %s" % (count, text))
    d.api.ok("POST", "/containers/%s/stop" % steady, t=0)
    assert complete(d.api.logs(steady))
    d.api.remove(steady)
    assert not selfcheck.settle(d)
    problems = [w for w in ("AddressSanitizer", "runtime error") if w in d.log()]
    assert not problems


def events_of(api, cid, since):
    answer = api.ok("GET", "/events", since=str(since), until="%.3f" % time.time(),
                    filters={"container": [cid]})
    return [(e["Action"], e["Actor"]["Attributes"].get("exitCode")) for e in answer.lines]


def test_monitor(new_daemon):
    """Its container is killed and recorded; those who wait hear of it."""
    d = new_daemon()
    since = int(time.time())
    cid = d.api.run(["sh", "-c", "sleep 1000 & sleep 1000"], host={"NetworkMode": "bridge"})
    eid = d.api.ok("POST", "/containers/%s/exec" % cid, {"Cmd": ["sleep", "1000"]}).json["Id"]
    d.api.ok("POST", "/exec/%s/start" % eid, {"Detach": True})
    conn, response = d.api.open("GET", "/containers/%s/logs" % cid, follow=1, stdout=1, timeout=20)
    kill_monitors(d)
    assert d.api.wait(cid, timeout=20) == 137
    assert response.read() == b""
    conn.close()
    state = d.api.inspect(cid)["State"]
    assert not state["Running"] and state["ExitCode"] == 137 and state["FinishedAt"] > "2"
    assert ("die", "137") in events_of(d.api, cid, since)
    assert not selfcheck.settle(d)
    d.api.start(cid)
    assert not selfcheck.settle(d)


def test_monitor_of_an_exec(new_daemon):
    """The exec ends, its container does not."""
    d = new_daemon()
    cid = d.api.run(["sleep", "1000"])
    eid = d.api.ok("POST", "/containers/%s/exec" % cid, {"Cmd": ["sleep", "1000"]}).json["Id"]
    d.api.ok("POST", "/exec/%s/start" % eid, {"Detach": True})
    pid = d.api.get("/exec/%s/json" % eid)["Pid"]
    kill_monitors(d, of_execs=True)
    until(lambda: not d.api.get("/exec/%s/json" % eid)["Running"])
    assert d.api.get("/exec/%s/json" % eid)["ExitCode"] == 137
    until(lambda: not os.path.exists("/proc/%d" % pid))
    assert d.api.inspect(cid)["State"]["Running"]
    assert not selfcheck.settle(d)


def test_restart_policy_after_a_killed_monitor(new_daemon):
    d = new_daemon()
    cid = d.api.run(["sleep", "1000"], host={"RestartPolicy": {"Name": "always"}})
    pid = d.api.inspect(cid)["State"]["Pid"]
    kill_monitors(d)
    until(lambda: d.api.inspect(cid)["State"]["Running"]
          and d.api.inspect(cid)["State"]["Pid"] not in (0, pid), 20)
    assert not selfcheck.settle(d)


def test_daemon_during_a_commit(new_daemon):
    """The container that it had paused for that goes on; one that the user paused stays so."""
    d = new_daemon()
    ticks = ["sh", "-c", "dd if=/dev/urandom of=/big bs=1M count=60 2>/dev/null; while :; do echo x; sleep 0.05; done"]
    cid, paused = d.api.run(ticks), d.api.run(["sleep", "1000"])
    until(lambda: b"x" in d.api.logs(cid), 30)
    d.api.ok("POST", "/containers/%s/pause" % paused)

    def commit():
        with contextlib.suppress(OSError, http.client.HTTPException):
            d.api.request("POST", "/commit", container=cid, repo="half")

    with Background(commit):
        until(lambda: d.api.inspect(cid)["State"]["Paused"])
        d.kill9()
    d.start()
    assert not d.api.inspect(cid)["State"]["Paused"] and d.api.inspect(paused)["State"]["Paused"]
    before = len(d.api.logs(cid))
    until(lambda: len(d.api.logs(cid)) > before)
    assert not selfcheck.settle(d)


def test_set_up(new_daemon):
    """Killed at any point: an answer that says so, and nothing stays."""
    d = new_daemon()
    rng = random.Random(SEED)
    failed = 0
    for _ in range(30):
        cid = d.api.create(cmd=["sleep", "1000"], host={"NetworkMode": "bridge"})
        with Background(lambda c=cid: d.api.request("POST", "/containers/%s/start" % c)) as call:
            kill_set_up(d, rng, 0.5)
        answer = call.value
        if answer.status != 204:
            failed += 1
            assert answer.status == 500 and answer.message, answer.body
            assert not d.api.inspect(cid)["State"]["Running"]
        assert d.api.remove(cid).status == 204
    assert failed > 3
    assert not selfcheck.settle(d, run=True)


def test_spawner(new_daemon):
    """Renewed; containers and starts go on."""
    d = new_daemon()
    cid = d.api.run(["sleep", "1000"])
    for _ in range(10):
        kill(until(lambda: d.spawner() or d.api.output(["true"]) and None))
        assert d.api.output(["echo", "again"]) == (0, "again\n")
    assert d.api.inspect(cid)["State"]["Running"]
    assert not selfcheck.settle(d)


class Background:
    """A call on a thread of its own; its value after the block."""
    def __init__(self, call):
        import threading  # pylint: disable=import-outside-toplevel
        self.value = None

        def main():
            self.value = call()

        self.thread = threading.Thread(target=main)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join(60)
