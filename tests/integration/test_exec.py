# SPDX-License-Identifier: Apache-2.0
"""exec: output, exit codes, environment, users, terminals."""
import concurrent.futures

import pytest

from harness.wait import until


@pytest.fixture
def box(api):
    return api.run(["sleep", "1000"], name="box", Env=["FROM=config"])


def test_output_and_exit_code(api, box):
    assert api.exec(box, ["sh", "-c", "echo out; echo err >&2; exit 3"]) == (3, "out\nerr\n")


def test_environment_and_folder(api, box):
    assert api.exec(box, ["sh", "-c", "echo $FROM $OWN; pwd"], Env=["OWN=exec"],
                    WorkingDir="/tmp") == (0, "config exec\n/tmp\n")


@pytest.mark.parametrize("user,expected", [
    ("nobody", "65534 65534"), ("1234", "1234 0"), ("1:2", "1 2"), ("www-data:bin", "33 2"), ("", "0 0")])
def test_users(api, box, user, expected):
    assert api.exec(box, ["sh", "-c", "echo $(id -u) $(id -g)"], User=user) == (0, expected + "\n")


def test_unknown_user(api, box):
    eid = api.ok("POST", "/containers/%s/exec" % box, {"Cmd": ["true"], "User": "nosuch"}).json["Id"]
    a = api.request("POST", "/exec/%s/start" % eid, {})
    assert b"nosuch" in a.body
    assert api.get("/exec/%s/json" % eid)["ExitCode"] != 0


@pytest.mark.parametrize("cmd,code", [("nosuchcommand", 127), ("/etc", 126)])
def test_cannot_run(cli, api, box, cmd, code):
    r = cli("exec", "box", cmd)
    assert r.returncode == code


def test_cli(cli, box):
    r = cli("exec", "box", "sh", "-c", "echo a; echo b >&2; exit 7")
    assert (r.returncode, r.stdout, r.stderr) == (7, "a\n", "b\n")
    assert cli.ok("exec", "-e", "X=1", "-w", "/tmp", "-u", "1000:1000", "box", "sh", "-c",
                  "echo $X $(pwd) $(id -u)") == "1 /tmp 1000\n"


def test_stdin_and_its_end(cli, box):
    assert cli.ok("exec", "-i", "box", "wc", "-c", stdin="y" * 300000).strip() == "300000"


def test_detached(cli, api, box):
    cli.ok("exec", "-d", "box", "touch", "/detached")
    until(lambda: api.exec(box, ["test", "-e", "/detached"])[0] == 0)


def test_inspect(api, box):
    eid = api.ok("POST", "/containers/%s/exec" % box, {"Cmd": ["sleep", "0.5"], "AttachStdout": True}
                 ).json["Id"]
    x = api.get("/exec/%s/json" % eid)
    assert not x["Running"] and x["ExitCode"] is None and x["ContainerID"] == box
    api.ok("POST", "/exec/%s/start" % eid, {"Detach": True})
    x = api.get("/exec/%s/json" % eid)
    assert x["Running"] and x["Pid"] > 0
    assert eid in api.inspect(box)["ExecIDs"]
    until(lambda: not api.get("/exec/%s/json" % eid)["Running"])
    assert api.get("/exec/%s/json" % eid)["ExitCode"] == 0


def test_terminal(cli, box):
    with cli.terminal("exec", "-it", "box", "sh") as t:
        t.expect(r"/ # ")
        t.resize(33, 101)
        t.send("while test \"$(stty size)\" != '33 101'; do sleep 0.05; done; tty\r")
        t.expect(r"/dev/pts/\d+")
        t.send("exit 5\r")
        assert t.wait() == 5


def test_needs_a_running_container(api):
    cid = api.create(cmd=["true"])
    a = api.request("POST", "/containers/%s/exec" % cid, {"Cmd": ["true"]})
    assert a.status == 409 and "is not running" in a.message
    a = api.request("POST", "/containers/nosuch/exec", {"Cmd": ["true"]})
    assert a.status == 404


def test_no_command(api, box):
    a = api.request("POST", "/containers/%s/exec" % box, {"Cmd": []})
    assert a.status == 400 and a.message == "No exec command specified"


def test_start_twice(api, box):
    eid = api.ok("POST", "/containers/%s/exec" % box, {"Cmd": ["sleep", "5"]}).json["Id"]
    api.ok("POST", "/exec/%s/start" % eid, {"Detach": True})
    assert api.request("POST", "/exec/%s/start" % eid, {"Detach": True}).status in (409, 500)


def test_in_parallel(api, box):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: api.exec(box, ["sh", "-c", "echo %d; exit %d" % (n, n)]),
                                range(40)))
    assert results == [(n, "%d\n" % n) for n in range(40)]


def test_ends_with_the_container(api, box):
    eid = api.ok("POST", "/containers/%s/exec" % box, {"Cmd": ["sleep", "1000"], "AttachStdout": True}
                 ).json["Id"]
    conn, response = api.open("POST", "/exec/%s/start" % eid, {"Detach": False})
    until(lambda: api.get("/exec/%s/json" % eid)["Running"])
    api.ok("POST", "/containers/%s/kill" % box)
    assert response.read() == b""
    conn.close()
    assert api.wait(box) == 137


def test_sdk(sdk, box):
    r = sdk.containers.get(box).exec_run(["sh", "-c", "echo x; exit 2"])
    assert (r.exit_code, r.output) == (2, b"x\n")


def test_privileged(api, box):
    _, plain = api.exec(box, ["grep", "CapEff", "/proc/self/status"])
    _, more = api.exec(box, ["grep", "CapEff", "/proc/self/status"], Privileged=True)
    assert int(more.split()[1], 16) > int(plain.split()[1], 16)
