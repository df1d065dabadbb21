# SPDX-License-Identifier: Apache-2.0
"""Requests that are none, clients that never read, clients that vanish: the daemon answers or hangs up,
serves everybody else meanwhile, and has afterwards what it had before: descriptors, threads, memory.

FENCE_HOSTILE_REQUESTS  how many malformed requests (10000)
"""
import contextlib
import json
import os
import random
import socket
import threading
import time

import pytest

import selfcheck
from harness import images
from harness.wait import SLOW, until

REQUESTS = int(os.environ.get("FENCE_HOSTILE_REQUESTS", "10000"))
SANITIZED = "san" in os.environ.get("FENCE_TEST_BIN", "")
GROWTH_KIB = 2048
YES = ["sh", "-c", "while :; do echo 0123456789012345678901234567890123456789; done"]
POSTS = """/containers/create /containers/x/start /containers/x/stop /containers/x/restart
/containers/x/kill /containers/x/pause /containers/x/unpause /containers/x/rename /containers/x/update
/containers/x/wait /containers/x/attach /containers/x/resize /containers/x/exec /containers/x/copy
/containers/prune /containers/ID/exec /containers/ID/update /containers/ID/resize /containers/ID/rename
/exec/x/start /exec/x/resize /commit /commit?container=ID /images/load /images/create?fromSrc=-
/images/create?fromImage=x /images/x/tag /images/busybox/tag /images/prune?filters={} /volumes/create
/volumes/prune?filters={} /networks/create /networks/prune /networks/x/connect /networks/bridge/disconnect
/build /build/prune /auth /session /swarm/init /services/create /plugins/pull /secrets/create
/configs/create""".split()


class Baseline:
    """What the daemon holds when nobody asks anything of it."""

    def __init__(self, daemon):
        self.d = daemon
        self.before = self.quiet()
        self.memory = selfcheck.memory_kib(daemon.pid)

    def quiet(self):
        last, since = None, time.monotonic()
        while True:
            now = selfcheck.resources(self.d.pid)
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > 0.5 * SLOW:
                return now
            time.sleep(0.05)

    def check(self, seconds=15, slack=0):
        def back():
            now = selfcheck.resources(self.d.pid)
            return now["fds"] <= self.before["fds"] + slack and now["threads"] <= self.before["threads"]
        end = time.monotonic() + seconds * SLOW
        while not back() and time.monotonic() < end:
            time.sleep(0.1)
        now = selfcheck.resources(self.d.pid)
        assert back(), "%s, was %s: %s" % (now, self.before, sorted(selfcheck.descriptors(self.d.pid)))

    def check_memory(self):
        if not SANITIZED:
            grown = selfcheck.memory_kib(self.d.pid) - self.memory
            assert grown < GROWTH_KIB, "%d KiB more" % grown


def connect(d, timeout=5):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(timeout * SLOW)
    s.connect(d.socket)
    return s


def throw(d, data, rng):
    """Sends it in some pieces, reads what comes, hangs up. The answer's first bytes."""
    with connect(d) as s, contextlib.suppress(OSError):
        cut = rng.randrange(len(data) + 1) if rng.random() < 0.2 else len(data)
        s.sendall(data[:cut])
        if cut < len(data):
            s.sendall(data[cut:])
        if rng.random() < 0.7:
            s.shutdown(socket.SHUT_WR)
            s.settimeout(2)
            return s.recv(65536)
    return b""


# ---- what is thrown ----------------------------------------------------------------------------------
def junk(rng, n):
    return bytes(rng.getrandbits(8) for _ in range(n))


def random_json(rng, depth=0):
    kind = rng.randrange(9 if depth < 4 else 6)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind == 1:
        return rng.choice([0, -1, 1 << 31, 1 << 63, (1 << 64) + 5, -(1 << 63), 1e308, 0.5, -0.0])
    if kind in (2, 3):
        return rng.choice(["", "x", "../../etc", "\u0000", "\U0001f4a9", "a" * 300, "busybox", "-1",
                           "/", "container:x", "1.5g", "%s%n", "0x10"])
    if kind in (4, 5):
        return "".join(chr(rng.randrange(1, 0xd800)) for _ in range(rng.randrange(20)))
    if kind == 6:
        return [random_json(rng, depth + 1) for _ in range(rng.randrange(5))]
    keys = ["Image", "Cmd", "Env", "HostConfig", "Binds", "NetworkMode", "Memory", "Labels", "Name", "Tty",
            "Mounts", "PortBindings", "ExposedPorts", "Volumes", "Entrypoint", "Healthcheck", "Ulimits",
            "Devices", "LogConfig", "RestartPolicy", "Type", "Config", "Container", "Driver", "Options",
            "User", "WorkingDir", "CapAdd", "SecurityOpt", "Sysctls", "Tmpfs", "Detach", "StopSignal"]
    return {rng.choice(keys) if rng.random() < 0.9 else random_json(rng, 9) or "k": random_json(rng, depth + 1)
            for _ in range(rng.randrange(6))}


def request(method, path, headers=(), body=b""):
    lines = ["%s %s HTTP/1.1" % (method, path), "Host: x", *headers, "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogatepass") + body


def t_bytes(rng, _cid):
    return junk(rng, rng.randrange(1, 2000))


def t_broken_line(rng, _cid):
    good = bytearray(request("GET", "/v1.41/containers/json", ["Accept: */*"]))
    for _ in range(rng.randrange(1, 6)):
        good[rng.randrange(len(good))] = rng.getrandbits(8)
    return bytes(good)


def t_truncated(rng, _cid):
    data = request("POST", "/containers/create", ["Content-Type: application/json", "Content-Length: 1000"],
                   b'{"Image": "busybox"')
    return data[:rng.randrange(1, len(data))]


def t_huge_headers(rng, _cid):
    kind = rng.randrange(4)
    if kind == 0:
        return request("GET", "/_ping", ["X-%d: %s" % (n, "v" * 50) for n in range(rng.randrange(50, 3000))])
    if kind == 1:
        return request("GET", "/_ping", ["X-Long: " + "v" * rng.choice([1000, 60000, 300000])])
    if kind == 2:
        return request("GET", "/" + "p" * rng.choice([2000, 9000, 100000]))
    return b"GET /_ping HTTP/1.1\r\n" + b"A" * rng.choice([5000, 200000])


def t_chunks(rng, _cid):
    sizes = ["5", "ffffffffffffffff", "7fffffffffffffff", "-1", "0x5", "", " ", "g", "5;ext=%s" % ("e" * 9000),
             "00000000000000000000000000000005", "80000000"]
    body = b""
    for _ in range(rng.randrange(1, 5)):
        body += rng.choice(sizes).encode() + rng.choice([b"\r\n", b"\n", b"\r", b""]) + b'{"a":' + \
            rng.choice([b"\r\n", b"", b"xx"])
    body += rng.choice([b"0\r\n\r\n", b"0\r\nTrailer: x\r\n\r\n", b"", b"0\r\n" + b"T: x\r\n" * 500])
    headers = ["Transfer-Encoding: " + rng.choice(["chunked", "gzip, chunked", "chunked, chunked", "identity"]),
               "Content-Type: application/json"]
    if rng.random() < 0.2:
        headers.append("Content-Length: 10")
    return request("POST", rng.choice(["/containers/create", "/images/load", "/volumes/create"]), headers, body)


def t_lengths(rng, _cid):
    length = rng.choice(["-1", "99999999999999999999", "1e3", "0x10", "18446744073709551615", "5, 5", "abc", "",
                         "9223372036854775807", "+5", " 5"])
    headers = ["Content-Length: " + length, "Content-Type: application/json"]
    if rng.random() < 0.2:
        headers.append("Content-Length: 7")
    return request("POST", rng.choice(["/containers/create", "/auth", "/images/load"]), headers, b"{}   ")


def t_body(rng, cid):
    path = rng.choice(POSTS).replace("ID", cid)
    kind = rng.randrange(5)
    if kind == 0:
        body = junk(rng, rng.randrange(200))
    elif kind == 1:
        body = json.dumps(random_json(rng)).encode()
        body = body[:rng.randrange(len(body) + 1)]
    elif kind == 2:
        body = rng.choice([b"[" * 100000, b'{"a":' * 50000, b'"' + b"\\u0000" * 1000 + b'"', b"{}{}", b"nul",
                           b'{"Image":"busybox","Image":5}', b"\xff\xfe{}", b'{"Cmd":"' + b"x" * 70000])
    else:
        body = json.dumps(random_json(rng)).encode()
    return request("POST", "/v1.41" + path, ["Content-Type: application/json", "Content-Length: %d" % len(body)],
                   body)


def t_paths(rng, _cid):
    path = rng.choice(["/../../etc/passwd", "/containers/%2e%2e/json", "/v1.41", "/v0.1/info", "/v99.99/info", "//",
                       "/containers/%zz/json", "/containers/%00/json", "*", "/containers//json", "/images//json",
                       "/containers/json?filters=" + "%7b" * 3000, "/containers/json?limit=99999999999999999999",
                       "/events?since=x", "/containers/json?filters={\"id\":5}", "/images/get?names=x",
                       "/containers/x/logs?tail=-5&stdout=1", "/containers/x/archive?path=/../.."])
    return request(rng.choice(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT",
                               "G\u0000T", "x" * 300]), path)


def t_upgrades(rng, cid):
    return request("POST", "/containers/%s/attach?stream=1&stdout=1" % cid,
                   ["Upgrade: " + rng.choice(["tcp", "h2c", "websocket", ""]), "Connection: Upgrade",
                    "Content-Length: " + rng.choice(["0", "5", "99999"])], junk(rng, 20)) \
        if rng.random() < 0.5 else \
        request("GET", "/containers/%s/attach/ws?stream=1" % cid,
                ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: " + rng.choice(["dGhlIHNhbXBsZSBub25jZQ==", "x", ""])], junk(rng, 50))


def t_archives(rng, cid):
    tar = bytearray(images.Layer().add("f", data=b"x" * 3000).bytes())
    for _ in range(rng.randrange(1, 20)):
        tar[rng.randrange(len(tar))] = rng.getrandbits(8)
    path = rng.choice(["/images/load", "/images/create?fromSrc=-&repo=junk", "/containers/%s/archive?path=/tmp" % cid])
    return request("PUT" if "archive" in path else "POST", path,
                   ["Content-Type: application/x-tar", "Content-Length: %d" % len(tar)], bytes(tar))


def t_many_in_one(rng, _cid):
    return request("GET", "/_ping") * rng.randrange(2, 50) + junk(rng, 30)


KINDS = [f for n, f in sorted(globals().items()) if n.startswith("t_") and callable(f)]


@pytest.mark.limit(900)
def test_malformed_requests(new_daemon):
    d = new_daemon()
    rng = random.Random(7)
    cid = d.api.run(["sleep", "100000"])
    d.api.exec(cid, ["true"])
    for _ in range(REQUESTS // 20): # first, what every path of the program needs once
        throw(d, rng.choice(KINDS)(rng, cid), rng)
    base = Baseline(d)
    pid = d.pid
    answers = {}

    def worker(seed):
        own = random.Random(seed)
        for _ in range(REQUESTS // 4):
            kind = own.choice(KINDS)
            data = throw(d, kind(own, cid), own)
            code = data[9:12].decode(errors="replace") if data.startswith(b"HTTP/1.1 ") else "none"
            answers[kind.__name__, code] = answers.get((kind.__name__, code), 0) + 1

    threads = [threading.Thread(target=worker, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    slowest = 0
    while any(t.is_alive() for t in threads):
        begin = time.monotonic()
        assert d.api.request("GET", "/_ping").status == 200
        slowest = max(slowest, time.monotonic() - begin)
        time.sleep(0.05)
    print("slowest ping meanwhile: %.0f ms" % (slowest * 1000))
    for key, count in sorted(answers.items()):
        print("%6d %s %s" % (count, *key))
    assert d.process.poll() is None and d.pid == pid
    assert not [k for k in answers if k[1] == "500" and k[0] in ("t_bytes", "t_lengths", "t_paths")]
    for c in d.api.get("/containers/json", all=1):
        if c["Id"] != cid:
            d.api.remove(c["Id"])
    for v in d.api.get("/volumes")["Volumes"] or []:
        d.api.request("DELETE", "/volumes/" + v["Name"])
    base.check(90)
    base.check_memory()
    assert d.api.exec(cid, ["echo", "still"]) == (0, "still\n")
    assert not selfcheck.settle(d, run=True)


# ---- clients that do not read ---------------------------------------------------------------------------
def stalled(d, method, path, headers=(), body=b""):
    """Asks, and never reads."""
    s = connect(d)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.sendall(request(method, path, headers, body))
    return s


@pytest.mark.limit(180)
def test_slow_clients(new_daemon):
    """They slow or lose themselves, nobody else: neither other clients nor the container."""
    d = new_daemon()
    chatty, attached = d.api.run(YES), d.api.run(YES)
    quiet = d.api.run(["sleep", "100000"])
    base = Baseline(d)
    upgrade = ["Upgrade: tcp", "Connection: Upgrade", "Content-Length: 0"]
    socks = []

    def log_of(cid):
        st = os.stat("%s/containers/%s/%s-json.log" % (d.data_root, cid, cid))
        return st.st_ino, st.st_size

    try:
        for n in range(80):
            socks.append(stalled(d, "GET", "/containers/%s/logs?follow=1&stdout=1" % chatty))
            if n >= 8:
                continue
            socks.append(stalled(d, "POST", "/containers/%s/attach?stream=1&stdout=1" % attached, upgrade))
            socks.append(stalled(d, "GET", "/events"))
            socks.append(stalled(d, "GET", "/containers/%s/export" % quiet))
            socks.append(stalled(d, "GET", "/containers/%s/stats" % chatty))
            socks.append(stalled(d, "GET", "/images/get?names=busybox"))
        # a pipe's rule: who attaches holds output back for a while, but not for long
        before = log_of(attached)
        until(lambda: log_of(attached) != before, 20)
        slowest = 0
        for _ in range(10):
            begin, before = time.monotonic(), log_of(chatty)
            assert d.api.inspect(chatty)["State"]["Running"]
            assert d.api.output(["echo", "x"]) == (0, "x\n")
            assert d.api.logs(quiet) == b""
            until(lambda: log_of(chatty) != before) # pylint: disable=cell-var-from-loop
            slowest = max(slowest, time.monotonic() - begin)
        assert slowest < 10 * SLOW, slowest
        # one who reads gets something, beside those who do not
        sock, _head = d.api.attach(chatty, stream=1, stdout=1)
        got = 0
        while got < 1 << 20:
            got += len(sock.recv(65536))
        sock.close()
        assert d.api.request("GET", "/containers/%s/export" % quiet).status == 200
    finally:
        for s in socks:
            s.close()
    base.check(30)
    for cid in (chatty, attached, quiet):
        d.api.remove(cid)
    assert not selfcheck.settle(d, run=True)


# ---- clients that vanish ---------------------------------------------------------------------------------
def vanishing(d, cid, chatty):
    """{name: function that begins a long call on a socket}"""
    big = images.archive([(["vanish:latest"], [images.Layer().add("x", data=os.urandom(2 << 20)).bytes()], {})])
    upgrade = ["Upgrade: tcp", "Connection: Upgrade"]

    def exec_start(rng):
        body = json.dumps({"AttachStdin": True, "AttachStdout": True, "Tty": rng.random() < 0.5,
                           "Cmd": ["sh", "-c", "echo begun; sleep 2"]}) # goes on without its client
        eid = d.api.ok("POST", "/containers/%s/exec" % cid, json.loads(body)).json["Id"]
        return request("POST", "/exec/%s/start" % eid, upgrade + ["Content-Type: application/json",
                                                                  "Content-Length: 16"], b'{"Detach":false}')

    return {
        "load": lambda rng: request("POST", "/images/load", ["Content-Type: application/x-tar",
                                                             "Content-Length: %d" % len(big)],
                                    big[:rng.randrange(len(big))]),
        "import": lambda rng: request("POST", "/images/create?fromSrc=-", ["Content-Length: %d" % len(big)],
                                      big[:rng.randrange(len(big))]),
        "put": lambda rng: request("PUT", "/containers/%s/archive?path=/tmp" % cid,
                                   ["Content-Type: application/x-tar", "Content-Length: 100000"],
                                   images.Layer().add("y", data=b"y" * 60000).bytes()[:rng.randrange(60000)]),
        "get": lambda rng: request("GET", "/containers/%s/archive?path=/bin" % cid),
        "export": lambda rng: request("GET", "/containers/%s/export" % cid),
        "save": lambda rng: request("GET", "/images/get?names=busybox"),
        "logs": lambda rng: request("GET", "/containers/%s/logs?follow=1&stdout=1" % rng.choice([cid, chatty])),
        "wait": lambda rng: request("POST", "/containers/%s/wait" % cid, ["Content-Length: 0"]),
        "events": lambda rng: request("GET", "/events"),
        "stats": lambda rng: request("GET", "/containers/%s/stats" % cid),
        "attach": lambda rng: request("POST", "/containers/%s/attach?stream=1&stdin=1&stdout=1" %
                                      rng.choice([cid, chatty]), upgrade + ["Content-Length: 0"]),
        "websocket": lambda rng: request("GET", "/containers/%s/attach/ws?stream=1&stdout=1" % chatty,
                                         ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]),
        "exec": exec_start,
        "commit": lambda rng: request("POST", "/commit?container=%s" % cid, ["Content-Length: 0"]),
        "create": lambda rng: request("POST", "/containers/create", ["Content-Type: application/json",
                                                                     "Content-Length: 45"],
                                      b'{"Image":"busybox","Labels":{"vanish":"yes"}}'),
        "start": lambda rng: request("POST", "/containers/%s/restart?t=0" % chatty, ["Content-Length: 0"]),
    }


@pytest.mark.limit(300)
def test_vanishing_clients(new_daemon):
    d = new_daemon()
    cid = d.api.run(["sh", "-c", "while :; do sleep 1; done"], OpenStdin=True)
    chatty = d.api.run(YES)
    calls = vanishing(d, cid, chatty)
    rng = random.Random(3)
    for call in calls.values():
        with connect(d) as s:
            s.sendall(call(rng))
            time.sleep(0.05)
    until(lambda: d.api.inspect(chatty)["State"]["Running"])
    base = Baseline(d)
    for name, call in calls.items():
        for n in range(30):
            s = connect(d)
            with contextlib.suppress(OSError):
                s.sendall(call(rng))
                how = n % 3
                if how == 1:
                    s.settimeout(0.05)
                    s.recv(1000)
                if how == 2:
                    time.sleep(rng.uniform(0, 0.01))
            s.close()
        try:
            base.check(20, slack=2)
        except AssertionError as e:
            raise AssertionError("after %s: %s" % (name, e)) from None
    assert d.api.request("GET", "/_ping").status == 200
    for c in d.api.get("/containers/json", all=1, filters={"label": ["vanish=yes"]}):
        d.api.remove(c["Id"])
    until(lambda: d.api.inspect(chatty)["State"]["Running"])
    base.check(30, slack=2)
    assert d.api.exec(cid, ["echo", "still"]) == (0, "still\n")
    d.api.remove(cid)
    d.api.remove(chatty)
    assert not selfcheck.settle(d, run=True)
