# SPDX-License-Identifier: Apache-2.0
"""A container's life: create, start, wait, stop, kill, restart, rename, logs, list, remove."""
import concurrent.futures
import re
import threading
import time

import pytest

from harness.wait import SLOW, until


def test_run_and_output(api):
    cid = api.create(cmd=["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert re.fullmatch("[0-9a-f]{64}", cid)
    assert api.inspect(cid)["State"]["Status"] == "created"
    api.start(cid)
    assert api.wait(cid) == 3
    assert api.logs(cid, stderr=0) == b"out\n"
    assert api.logs(cid, stdout=0) == b"err\n"
    state = api.inspect(cid)["State"]
    assert state["Status"] == "exited" and state["ExitCode"] == 3 and not state["Running"]
    assert state["StartedAt"] < state["FinishedAt"]
    assert api.remove(cid).status == 204
    assert api.request("GET", "/containers/%s/json" % cid).status == 404


@pytest.mark.parametrize("cmd,code,text", [
    (["/no/such/file"], 127, "no such file or directory"),
    (["nosuchcommand"], 127, "executable file not found in $PATH"),
    (["/etc"], 126, None),
    (["/etc/passwd"], 126, "permission denied"),
])
def test_command_that_cannot_run(api, cmd, code, text):
    cid = api.create(cmd=cmd)
    a = api.request("POST", "/containers/%s/start" % cid)
    assert a.status in (400, 500)
    if text:
        assert text in a.message
    state = api.inspect(cid)["State"]
    assert state["ExitCode"] == code and not state["Running"] and state["Error"]


def test_cli_exit_codes(cli):
    def code(*args):
        return cli("run", "--rm", "--network", "none", *args).returncode

    assert code("busybox", "true") == 0
    assert code("busybox", "sh", "-c", "exit 42") == 42
    assert code("busybox", "nosuchcommand") == 127
    assert code("busybox", "/etc") == 126
    assert code("--no-such-flag", "busybox") == 125
    assert code("busybox", "sh", "-c", "sh -c 'kill -9 $$'; exit $?") == 137


def test_cli_run_output(cli):
    r = cli("run", "--rm", "--network", "none", "busybox", "sh", "-c", "echo a; echo b >&2")
    assert (r.stdout, r.stderr) == ("a\n", "b\n")


def test_cli_stdin(cli):
    out = cli.ok("run", "--rm", "-i", "--network", "none", "busybox", "wc", "-c", stdin="x" * 100000)
    assert out.strip() == "100000"


def test_cli_detached(cli, api):
    cid = cli.ok("run", "-d", "--name", "box", "busybox", "sleep", "1000").strip()
    assert re.fullmatch("[0-9a-f]{64}", cid)
    assert "box" in cli.ok("ps")
    assert cli.ok("stop", "-t", "0", "box").strip() == "box"
    assert "box" not in cli.ok("ps")
    assert "Exited (137)" in cli.ok("ps", "-a")
    assert cli.ok("start", "box").strip() == "box"
    assert cli.ok("kill", "box").strip() == "box"
    assert api.wait("box") == 137
    assert cli.ok("rm", "box").strip() == "box"


def test_start_twice_and_stop_twice(api):
    cid = api.run(["sleep", "1000"])
    assert api.request("POST", "/containers/%s/start" % cid).status == 304
    assert api.request("POST", "/containers/%s/stop" % cid, t=0).status == 204
    assert api.request("POST", "/containers/%s/stop" % cid, t=0).status == 304


def test_stop_sends_the_signal_first(api):
    cid = api.run(["sh", "-c", "trap 'echo term; exit 5' TERM; echo ready; while :; do sleep 0.1; done"])
    until(lambda: b"ready" in api.logs(cid))
    begin = time.monotonic()
    api.ok("POST", "/containers/%s/stop" % cid, t=int(10 * SLOW))
    assert time.monotonic() - begin < 5 * SLOW
    assert api.inspect(cid)["State"]["ExitCode"] == 5
    assert b"term" in api.logs(cid)


def test_stop_signal_of_the_container(api):
    cid = api.run(["sh", "-c", "trap 'exit 6' USR1; echo ready; while :; do sleep 0.1; done"],
                  StopSignal="SIGUSR1")
    until(lambda: b"ready" in api.logs(cid))
    api.ok("POST", "/containers/%s/stop" % cid, t=10)
    assert api.inspect(cid)["State"]["ExitCode"] == 6


def test_kill_with_signals(api):
    cid = api.run(["sh", "-c", "trap 'echo hup' HUP; echo ready; while :; do sleep 0.05; done"])
    until(lambda: b"ready" in api.logs(cid))
    api.ok("POST", "/containers/%s/kill" % cid, signal="HUP")
    until(lambda: b"hup" in api.logs(cid))
    assert api.request("POST", "/containers/%s/kill" % cid, signal="NOPE").status == 400
    api.ok("POST", "/containers/%s/kill" % cid)
    assert api.wait(cid) == 137
    a = api.request("POST", "/containers/%s/kill" % cid)
    assert a.status == 409 and "is not running" in a.message


def test_restart(api):
    cid = api.run(["sleep", "1000"])
    first = api.inspect(cid)["State"]["Pid"]
    api.ok("POST", "/containers/%s/restart" % cid, t=0)
    second = api.inspect(cid)["State"]
    assert second["Running"] and second["Pid"] != first


def test_pause(api):
    cid = api.run(["sh", "-c", "while :; do echo x; sleep 0.02; done"])
    api.ok("POST", "/containers/%s/pause" % cid)
    assert api.inspect(cid)["State"]["Paused"]
    time.sleep(0.2) # what is in the pipe still comes
    before = api.logs(cid)
    time.sleep(0.3)
    assert api.logs(cid) == before
    assert api.request("POST", "/containers/%s/pause" % cid).status == 409
    api.ok("POST", "/containers/%s/unpause" % cid)
    until(lambda: api.logs(cid) != before)
    assert api.request("POST", "/containers/%s/unpause" % cid).status in (409, 500)


def test_rename(api):
    cid = api.create(name="old")
    api.ok("POST", "/containers/old/rename", name="new")
    assert api.inspect("new")["Id"] == cid
    assert api.request("GET", "/containers/old/json").status == 404
    api.create(name="third")
    a = api.request("POST", "/containers/third/rename", name="new")
    assert a.status == 409 and "is already in use by container" in a.message


def test_name_conflict(api):
    cid = api.create(name="taken")
    a = api.request("POST", "/containers/create", {"Image": "busybox"}, name="taken")
    assert a.status == 409
    assert a.message == ('Conflict. The container name "/taken" is already in use by container "%s". '
                         "You have to remove (or rename) that container to be able to reuse that name."
                         % cid)


def test_prefixes_and_names(api):
    cid = api.create(name="by-name")
    for ref in (cid, cid[:12], cid[:6], "by-name"):
        assert api.inspect(ref)["Id"] == cid
    a = api.request("GET", "/containers/nosuch/json")
    assert a.status == 404 and a.message == "No such container: nosuch"


def test_remove_running(api):
    cid = api.run(["sleep", "1000"])
    a = api.request("DELETE", "/containers/" + cid)
    assert a.status == 409
    assert "cannot remove" in a.message.lower()
    assert api.remove(cid).status == 204


def test_auto_remove(api):
    cid = api.create(cmd=["true"], host={"AutoRemove": True})
    conn, response = api.open("POST", "/containers/%s/wait" % cid, condition="removed")
    api.start(cid)
    assert b'"StatusCode":0' in response.read()
    conn.close()
    assert api.request("GET", "/containers/%s/json" % cid).status == 404


@pytest.mark.parametrize("condition", ["not-running", "next-exit"])
def test_wait_conditions(api, condition):
    cid = api.run(["sh", "-c", "sleep 0.3; exit 7"])
    assert api.wait(cid, condition) == 7


def test_wait_of_ended_container_returns_at_once(api):
    cid = api.run(["sh", "-c", "exit 9"])
    assert api.wait(cid) == 9
    assert api.wait(cid) == 9


def test_many_waiters(api):
    cid = api.run(["sh", "-c", "sleep 0.5; exit 4"])
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        assert set(pool.map(lambda _: api.wait(cid), range(20))) == {4}


def test_parallel_lives(api):
    def one(n):
        return api.output(["sh", "-c", "echo %d; exit %d" % (n, n)])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(40))) == [(n, "%d\n" % n) for n in range(40)]


def test_list_filters(api):
    running = api.run(["sleep", "1000"], name="run1", Labels={"tier": "web"})
    ended = api.run(["true"], name="end1", Labels={"tier": "db"})
    api.wait(ended)

    def ids(**filters):
        return {c["Id"] for c in api.get("/containers/json", all=1, filters=filters)}

    assert {c["Id"] for c in api.get("/containers/json")} == {running}
    assert ids() == {running, ended}
    assert ids(status=["exited"]) == {ended}
    assert ids(label=["tier=web"]) == {running}
    assert ids(label=["tier"]) == {running, ended}
    assert ids(name=["run"]) == {running}
    assert ids(exited=["0"]) == {ended}
    assert ids(ancestor=["busybox"]) == {running, ended}
    assert ids(id=[running[:10]]) == {running}
    assert api.request("GET", "/containers/json", filters={"nosuch": ["x"]}).status == 400
    row = api.get("/containers/json", all=1, filters={"name": ["run1"]})[0]
    assert row["Names"] == ["/run1"] and row["State"] == "running" and row["Status"].startswith("Up")
    assert row["Command"] == "sleep 1000" and row["Image"] == "busybox"


def test_logs_tail_since_timestamps(api):
    cid = api.run(["sh", "-c", "for i in 1 2 3 4 5; do echo line $i; done; sleep 1.2; echo late"])
    api.wait(cid)
    assert api.logs(cid, tail=2) == b"line 5\nlate\n"
    assert api.logs(cid, tail=0) == b""
    stamped = api.logs(cid, timestamps=1).decode().splitlines()
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z line 1$", stamped[0])
    late = stamped[-1].split()[0]
    assert api.logs(cid, since=late) == b"late\n"


def test_logs_follow(api):
    cid = api.run(["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done"])
    body = api.ok("GET", "/containers/%s/logs" % cid, stdout=1, follow=1).body
    assert body.count(b"\n") >= 3 and b"3\n" in body


def test_logs_of_long_lines(api):
    cid = api.run(["sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; echo"])
    api.wait(cid)
    assert api.logs(cid) == b"x" * 100000 + b"\n"


def test_restart_policy(api):
    cid = api.run(["sh", "-c", "exit 3"], host={"RestartPolicy": {"Name": "on-failure",
                                                                 "MaximumRetryCount": 2}})

    def given_up():
        c = api.inspect(cid)
        return c["RestartCount"] == 2 and c["State"]["Status"] == "exited" and c["State"]["ExitCode"] == 3

    until(given_up, 20)
    always = api.run(["sh", "-c", "sleep 0.1"], host={"RestartPolicy": {"Name": "always"}})
    until(lambda: api.inspect(always)["RestartCount"] >= 2, 20)
    api.ok("POST", "/containers/%s/stop" % always, t=0)
    count = api.inspect(always)["RestartCount"]
    time.sleep(0.5)
    assert not api.inspect(always)["State"]["Running"]
    assert api.inspect(always)["RestartCount"] in (count, 0)


def test_health(api):
    cid = api.run(["sleep", "1000"], Healthcheck={"Test": ["CMD-SHELL", "test -e /ok"],
                                                  "Interval": 200000000, "Retries": 2,
                                                  "Timeout": 10000000000})
    assert api.inspect(cid)["State"]["Health"]["Status"] == "starting"
    until(lambda: api.inspect(cid)["State"]["Health"]["Status"] == "unhealthy", 20)
    api.exec(cid, ["touch", "/ok"])
    until(lambda: api.inspect(cid)["State"]["Health"]["Status"] == "healthy", 20)
    assert api.inspect(cid)["State"]["Health"]["Log"][-1]["ExitCode"] == 0


def test_top_and_stats(api):
    cid = api.run(["sleep", "1000"])
    top = api.get("/containers/%s/top" % cid)
    assert "PID" in top["Titles"] and any("sleep" in " ".join(p) for p in top["Processes"])
    stats = api.get("/containers/%s/stats" % cid, stream=0)
    assert stats["memory_stats"]["usage"] > 0 and stats["pids_stats"]["current"] >= 1
    assert stats["cpu_stats"]["online_cpus"] >= 1


def test_changes(api):
    cid = api.run(["sh", "-c", "echo x >/new; rm /etc/group; mkdir /d"])
    api.wait(cid)
    changes = {(c["Path"], c["Kind"]) for c in api.get("/containers/%s/changes" % cid)}
    assert changes == {("/new", 1), ("/etc", 0), ("/etc/group", 2), ("/d", 1)}


def test_init(api):
    code, out = api.output(["sh", "-c", "cat /proc/1/comm"], host={"Init": True})
    assert code == 0 and "init" in out


def test_prune(api):
    ended = api.run(["true"])
    api.wait(ended)
    running = api.run(["sleep", "1000"])
    assert api.ok("POST", "/containers/prune").json["ContainersDeleted"] == [ended]
    assert api.inspect(running)["State"]["Running"]


def test_auto_names_differ(api):
    names = {api.inspect(api.create())["Name"] for _ in range(10)}
    assert len(names) == 10 and all(re.fullmatch(r"/[a-z]+_[a-z]+\d*", n) for n in names)


def test_client_that_vanishes(api):
    cid = api.run(["sleep", "1000"])
    for _ in range(10):
        conn, _ = api.open("GET", "/containers/%s/logs" % cid, follow=1, stdout=1)
        conn.close()
    threads = [threading.Thread(target=lambda: api.open("GET", "/events")[0].close()) for _ in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert api.inspect(cid)["State"]["Running"]


def test_sdk_run(sdk):
    assert sdk.containers.run("busybox", "echo hello", remove=True, network_mode="none") == b"hello\n"
    c = sdk.containers.run("busybox", ["sleep", "1000"], detach=True, network_mode="none")
    c.reload()
    assert c.status == "running"
    assert c.stats(stream=False)["name"] == "/" + c.name
    c.stop(timeout=0)
    assert c.wait()["StatusCode"] == 137
    c.remove()
