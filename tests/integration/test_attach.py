# SPDX-License-Identifier: Apache-2.0
"""attach and interactive runs, on real terminals, with every client."""
import socket

import pytest

from harness.api import frames, read_all
from harness.wait import SLOW, until


def test_shell(cli, api):
    with cli.terminal("run", "-it", "--rm", "--name", "shell", "busybox", "sh") as t:
        t.expect(r"/ # ")
        t.send("echo $((6 * 7))\r")
        t.expect(r"\b42\r\n")
        t.send("exit 3\r")
        assert t.wait() == 3
    until(lambda: api.request("GET", "/containers/shell/json").status == 404)


def test_terminal_size_follows(cli):
    with cli.terminal("run", "-it", "--rm", "busybox", "sh", rows=20, columns=70) as t:
        t.expect(r"/ # ")
        # clients tell the size after the start: it may take a moment
        t.send("until stty size | grep '^20 70$'; do sleep 0.05; done\r")
        t.expect(r"\n20 70\r")
        t.resize(44, 122)
        t.send("until stty size | grep '^44 122$'; do sleep 0.05; done\r")
        t.expect(r"\n44 122\r")
        t.send("exit\r")
        assert t.wait() == 0


def test_ctrl_c_reaches_the_process(cli, api):
    with cli.terminal("run", "-it", "--rm", "busybox", "sleep", "1000") as t:
        t.raw()
        until(lambda: api.get("/containers/json"))
        t.send("\x03")
        # sleep is process 1: without a handler the kernel drops the signal; a shell is not
        t.send("\x10\x11")
        assert t.wait() == 0
    with cli.terminal("run", "-it", "--rm", "busybox", "sh", "-c",
                      "trap 'echo caught; exit 9' INT; echo go; while :; do sleep 0.1; done") as t:
        t.expect("go")
        t.send("\x03")
        t.expect("caught")
        assert t.wait() == 9


def test_detach_and_attach_again(cli, api):
    with cli.terminal("run", "-it", "--name", "det", "busybox", "sh") as t:
        t.expect(r"/ # ")
        t.send("X=kept\r")
        t.expect(r"/ # ")
        t.send("\x10\x11")
        assert t.wait() == 0
    assert api.inspect("det")["State"]["Running"]
    with cli.terminal("attach", "det") as t:
        t.send("echo $X\r")
        t.expect(r"kept\r\n")
        t.send("exit 4\r")
        assert t.wait() == 4


def test_own_detach_keys(cli, api):
    with cli.terminal("run", "-it", "--name", "keys", "--detach-keys", "ctrl-a,x", "busybox", "sh") as t:
        t.expect(r"/ # ")
        t.send("\x01x")
        assert t.wait() == 0
    assert api.inspect("keys")["State"]["Running"]


def test_a_lone_first_key_reaches_the_process(cli):
    with cli.terminal("run", "-it", "--rm", "busybox", "sh", "-c",
                      "stty raw; echo go; dd bs=1 count=2 2>/dev/null | od -An -tx1; stty -raw") as t:
        t.expect("go")
        t.send("\x10")
        t.send("z")
        t.expect(r"10 7a")
        assert t.wait() == 0


def test_attach_streams_output(cli, api):
    api.create(name="talk", cmd=["sh", "-c", "echo one; echo two >&2; exit 6"])
    p = cli.popen("start", "-a", "talk")
    out, err = p.communicate(timeout=30 * SLOW)
    assert (p.returncode, out, err) == (6, b"one\n", b"two\n")


def test_hijack_and_half_close(api):
    cid = api.create(cmd=["sh", "-c", "cat; echo done"], OpenStdin=True, StdinOnce=True,
                     AttachStdin=True)
    s, head = api.attach(cid, stream=1, stdin=1, stdout=1, stderr=1)
    assert head.startswith(b"HTTP/1.1 101 UPGRADED\r\n")
    assert b"Content-Type: application/vnd.docker" in head
    api.start(cid)
    s.sendall(b"typed\n")
    s.shutdown(socket.SHUT_WR)
    assert b"".join(d for _, d in frames(read_all(s))) == b"typed\ndone\n"
    s.close()
    assert api.wait(cid) == 0


def test_old_answer_without_upgrade(api):
    cid = api.create(cmd=["sh", "-c", "echo hi"])
    s, head = api.attach(cid, upgrade=False, stream=1, stdout=1)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    api.start(cid)
    assert frames(read_all(s)) == [(1, b"hi\n")]
    s.close()


def test_logs_of_before_come_first(api):
    cid = api.run(["sh", "-c", "echo early; read x; echo $x"], OpenStdin=True)
    until(lambda: api.logs(cid) == b"early\n")
    s, _ = api.attach(cid, logs=1, stream=1, stdin=1, stdout=1)
    s.sendall(b"late\n")
    assert b"".join(d for _, d in frames(read_all(s))) == b"early\nlate\n"
    s.close()


def test_many_clients_see_the_same(api):
    cid = api.create(cmd=["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do echo $i; done"])
    attached = [api.attach(cid, stream=1, stdout=1)[0] for _ in range(10)]
    api.start(cid)
    outs = {b"".join(d for _, d in frames(read_all(s))) for s in attached}
    assert outs == {b"1\n2\n3\n4\n5\n6\n7\n8\n9\n"}
    for s in attached:
        s.close()


def test_slow_reader_does_not_stop_others(api):
    cid = api.create(cmd=["sh", "-c", "head -c 8000000 /dev/zero | tr '\\0' y; echo; echo end"])
    slow, _ = api.attach(cid, stream=1, stdout=1)
    api.start(cid)
    assert api.wait(cid, timeout=60) == 0
    assert api.logs(cid).endswith(b"end\n")
    slow.close()


def test_attach_to_stopped(docker_cli, api):
    cid = api.run(["true"])
    api.wait(cid)
    r = docker_cli("attach", cid)
    assert r.returncode == 1 and "cannot attach to a stopped container" in r.stderr.lower()


@pytest.mark.parametrize("keys", ["ctrl-", "ctrl-1", "toolong"])
def test_bad_detach_keys(api, keys):
    cid = api.create(cmd=["true"], Tty=True)
    a = api.request("POST", "/containers/%s/attach" % cid, stream=1, detachKeys=keys)
    assert a.status == 400


def test_websocket(api):
    websocket = pytest.importorskip("websocket")
    cid = api.create(cmd=["sh", "-c", "read x; echo got $x"], OpenStdin=True, Tty=True)
    s = socket.socket(socket.AF_UNIX)
    s.connect(api.path)
    ws = websocket.WebSocket()
    ws.settimeout(20 * SLOW)
    api.start(cid)
    ws.connect("ws://localhost/v1.41/containers/%s/attach/ws?stream=1&stdin=1&stdout=1" % cid, socket=s)
    ws.send("over ws\n")
    seen = ""
    while "got over ws" not in seen:
        data = ws.recv()
        seen += data.decode() if isinstance(data, bytes) else data
    ws.close()
    api.wait(cid)
