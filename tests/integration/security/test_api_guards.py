# SPDX-License-Identifier: Apache-2.0
"""Who gets to the API, and what of the engine's state others can read."""
import grp
import http.client
import json
import os
import re
import socket
import stat
import subprocess

import pytest

from harness import leaks
from harness.wait import SLOW, until


# ---- TCP ------------------------------------------------------------------------------------------------------
@pytest.fixture
def tcp(new_daemon):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    daemon = new_daemon("-H", "tcp://127.0.0.1:%d" % port, "--tls=false")
    return daemon, port


def ask(port, method="GET", path="/version", headers=None, body=None):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=20 * SLOW)
    try:
        c.putrequest(method, path, skip_host=True)
        for k, v in (headers or {}).items():
            c.putheader(k, v)
        if body is not None:
            c.putheader("Content-Length", str(len(body)))
        c.endheaders(body)
        r = c.getresponse()
        return r.status, dict(r.getheaders()), r.read()
    finally:
        c.close()


def test_tcp_is_announced_loudly(tcp):
    daemon, _ = tcp
    assert re.search(r"level=warning.*(insecure|without TLS|tls|root)", daemon.log(), re.I)


def test_host_header_on_tcp(tcp):
    """DNS rebinding: a browser's page names its own site."""
    _, port = tcp
    for host in ("127.0.0.1:%d" % port, "localhost:%d" % port, "127.0.0.1", "[::1]:%d" % port):
        assert ask(port, headers={"Host": host})[0] == 200, host
    for host in ("evil.com", "evil.com:%d" % port, "127.0.0.1.evil.com", "127.0.0.1.nip.io:%d" % port,
                 "localhost.evil.com", "evil.com@127.0.0.1"):
        for sign in ({"User-Agent": "Mozilla/5.0 (X11)"}, {"Sec-Fetch-Site": "same-origin"}, {"Cookie": "a=b"},
                     {"Origin": "http://" + host}, {"Referer": "http://%s/" % host}):
            assert ask(port, headers=dict(sign, Host=host))[0] in (400, 403), (host, sign)
    # a name of the user's own network is fine for what is no browser
    assert ask(port, headers={"Host": "build-host:%d" % port, "User-Agent": "Docker-Client/28.2"})[0] == 200


def test_origin_header_on_tcp(tcp):
    _, port = tcp
    host = {"Host": "127.0.0.1:%d" % port}
    for origin in ("http://evil.com", "https://127.0.0.1.evil.com", "null", "file://", "http://127.0.0.1:1"):
        for method, path in (("GET", "/containers/json"), ("POST", "/containers/prune"), ("OPTIONS", "/version")):
            status, headers, _ = ask(port, method, path, dict(host, Origin=origin))
            assert status in (400, 403), (origin, method)
            assert "Access-Control-Allow-Origin" not in headers


def test_cross_site_forms(tcp):
    """What a form can send without asking: text/plain, multipart, urlencoded."""
    _, port = tcp
    body = json.dumps({"Image": "busybox"}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        status, _, _ = ask(port, "POST", "/containers/create", {"Host": "127.0.0.1:%d" % port, "Content-Type": kind}, body)
        assert status in (400, 415), kind


def test_unix_socket_takes_any_host(daemon, api):
    for host in ("evil.com", "docker", "", "x" * 200):
        assert api.request("GET", "/_ping", headers={"Host": host}).status == 200


def test_no_other_listener(daemon):
    """Only what was asked for: no TCP port, no abstract socket."""
    inodes = set()
    pids = [daemon.pid] + list(leaks.children_of(daemon.pid)) + daemon.monitors()
    for pid in pids:
        for fd in os.listdir("/proc/%d/fd" % pid):
            try:
                target = os.readlink("/proc/%d/fd/%s" % (pid, fd))
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    for name in ("tcp", "tcp6"):
        with open("/proc/net/" + name, encoding="ascii") as f:
            listening = [l.split() for l in f.readlines()[1:] if l.split()[3] == "0A"]
        assert not [l for l in listening if l[9] in inodes]
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as f:
        for line in f.readlines()[1:]:
            fields = line.split()
            if len(fields) > 7 and fields[6] in inodes:
                assert not fields[7].startswith("@"), line


def test_no_abstract_socket_from_the_hosts_network(api, probe_image):
    """CVE-2020-15257."""
    api.run(["sleep", "1000"])
    _, out = api.output(["sh", "-c", "cat /proc/net/unix"], host={"NetworkMode": "host"}, image=probe_image)
    assert not [l for l in out.splitlines() if "@" in l and re.search("fence|monitor|containerd", l)]


# ---- files ------------------------------------------------------------------------------------------------------
def test_socket_mode(daemon):
    st = os.stat(daemon.socket)
    assert stat.S_ISSOCK(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o660
    assert (st.st_uid, st.st_gid) == (0, 0), "--group root"


def test_socket_group(new_daemon):
    daemon = new_daemon("--group", "daemon", busybox=False)
    st = os.stat(daemon.socket)
    assert st.st_gid == grp.getgrnam("daemon").gr_gid and stat.S_IMODE(st.st_mode) == 0o660


def as_nobody(*args):
    return subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *args],
                          capture_output=True, text=True, check=False)


def readable(root, uid, gid=None):
    """What below `root` somebody with these ids can read, list, write or connect to."""
    paths = []
    for where, dirs, files in os.walk(root):
        paths += [os.path.join(where, n) for n in dirs + files]
    check = """
import os, socket, stat, sys
for p in sys.stdin.read().split("\\0"):
    if not p or os.path.islink(p):
        continue
    try:
        st = os.stat(p)
    except OSError:
        continue
    if stat.S_ISSOCK(st.st_mode):
        s = socket.socket(socket.AF_UNIX)
        try: s.connect(p); print("connect", p)
        except OSError: pass
    elif stat.S_ISDIR(st.st_mode):
        try: os.listdir(p); print("list", p)
        except OSError: pass
        if os.access(p, os.W_OK): print("write", p)
    elif stat.S_ISREG(st.st_mode):
        try: open(p, "rb").close(); print("read", p)
        except OSError: pass
        if os.access(p, os.W_OK): print("write", p)
"""
    r = subprocess.run(["setpriv", "--reuid", str(uid), "--regid", str(gid or uid), "--clear-groups",
                        "/usr/bin/python3", "-c", check], input="\0".join(paths), capture_output=True, text=True,
                       check=True)
    return r.stdout.splitlines()


def test_state_is_not_for_other_users(daemon, api, probe_image):
    """Neither for users of the host nor for the ids that containers have."""
    cid = api.run(["sh", "-c", "echo private; sleep 1000"], image=probe_image, Env=["PASSWORD=x"],
                  host={"Binds": ["secret:/v"]})
    until(lambda: b"private" in api.logs(cid))
    base = os.stat("/proc/%d" % api.inspect(cid)["State"]["Pid"]).st_uid
    for uid in (65534, base, base + 1000):
        found = [l for l in readable(daemon.data_root, uid) + readable(daemon.exec_root, uid)]
        assert not found, (uid, found[:10])


def test_modes_of_the_roots(daemon):
    for path, worst in ((daemon.data_root, 0o711), (daemon.exec_root, 0o711), (daemon.idmap_dir, 0o755)):
        st = os.stat(path)
        assert st.st_uid == 0 and stat.S_IMODE(st.st_mode) & ~worst == 0, path
    assert stat.S_IMODE(os.stat(daemon.data_root).st_mode) & 0o007 == 0
    for name in ("fence.db", "fence.db-wal"):
        assert stat.S_IMODE(os.stat(os.path.join(daemon.data_root, name)).st_mode) == 0o600, name
    assert stat.S_IMODE(os.stat(daemon.pidfile).st_mode) & 0o022 == 0


def test_monitor_sockets(daemon, api):
    api.run(["sleep", "1000"])
    sockets = []
    for where, _, files in os.walk(daemon.exec_root):
        for name in files:
            st = os.stat(os.path.join(where, name))
            if stat.S_ISSOCK(st.st_mode):
                sockets.append((os.path.join(where, name), stat.S_IMODE(st.st_mode), st.st_uid))
    assert sockets
    for path, mode, uid in sockets:
        reachable = mode & 0o002 or uid != 0
        if reachable:
            assert as_nobody("test", "-r", os.path.dirname(path)).returncode != 0, path


# ---- the API inside a container -----------------------------------------------------------------------------------
def test_socket_of_a_container(daemon, api, probe_image):
    """The engine's socket bound into a mapped container works for its root, and for nobody else there."""
    cid = api.run(["sleep", "1000"], image=probe_image, host={"Binds": [daemon.socket + ":/var/run/docker.sock"]})
    pid = api.inspect(cid)["State"]["Pid"]
    inside = "/proc/%d/root/var/run/docker.sock" % pid
    st = os.stat(inside)
    assert stat.S_ISSOCK(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o660
    base = os.stat("/proc/%d" % pid).st_uid
    assert base >= 65536 and st.st_uid in (base, 0)
    code, out = api.exec(cid, ["sh", "-c", "test -w /var/run/docker.sock && stat -c %u /var/run/docker.sock"])
    assert (code, out) == (0, "0\n")
    code, _ = api.exec(cid, ["sh", "-c", "test -w /var/run/docker.sock"], User="1000:1000")
    assert code != 0
    # the engine's own socket was not given away
    assert os.stat(daemon.socket).st_uid == 0
    api.remove(cid)
    assert os.path.exists(daemon.socket) and api.request("GET", "/_ping").status == 200


def test_container_sees_itself_at_once(daemon, api, probe_image):
    """What a container asks in its first moments waits until its start is recorded."""
    for _ in range(20):
        cid = api.create(probe_image, ["/probe", "get", "/containers/"], host={"Binds": [daemon.socket + ":/var/run/docker.sock"]})
        api.start(cid)
        api.wait(cid)
        out = api.logs(cid).decode()
        assert '"Status":"running"' in out and '"Id":"%s"' % cid in out
        api.remove(cid)


def test_socket_ends_with_its_container(daemon, api, probe_image):
    before = {os.path.join(w, n) for w, _, f in os.walk(daemon.exec_root) for n in f}
    cid = api.run(["sleep", "1000"], image=probe_image, host={"Binds": [daemon.socket + ":/s"]})
    api.remove(cid)
    after = {os.path.join(w, n) for w, _, f in os.walk(daemon.exec_root) for n in f}
    assert not [p for p in after - before if cid in p]


def test_socket_of_a_container_has_the_sockets_group(new_daemon):
    """As docker's: who is in that group, by number, gets in; group 0 is not enough."""
    daemon = new_daemon("--group", "games")
    gid = grp.getgrnam("games").gr_gid
    for add, expected in (([], False), ([str(gid)], True)):
        code, _ = daemon.api.output(["test", "-w", "/s"], User="1000:0", host={
            "Binds": [daemon.socket + ":/s"], "GroupAdd": add})
        assert (code == 0) == expected, add


# ---- requests that are not what they seem ----------------------------------------------------------------------------
def raw(daemon, data):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10 * SLOW)
        s.connect(daemon.socket)
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        out = b""
        while True:
            try:
                part = s.recv(65536)
            except (ConnectionResetError, TimeoutError):
                return out
            if not part:
                return out
            out += part


@pytest.mark.parametrize("request_text", [
    b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\n{}\r\n0\r\n\r\n",
    b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}",
    b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}",
    b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
    b"POST /containers/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}",
    b"POST /containers/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"GET /version HTTP/1.1\r\nHost: x\r\nFoo : bar\r\n\r\n",
    b"GET /version HTTP/1.1\r\nHost: x\r\nFoo: a\x00b\r\n\r\n",
    b"GET /version HTTP/1.1\r\nHost: x\nFoo: b\r\n X: y\r\n\r\n",
    b"GET /ver\x00sion HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET " + b"/" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /version HTTP/1.1\r\n" + b"A: b\r\n" * 20000 + b"\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /version HTTP/9.9\r\n\r\n",
])
def test_ambiguous_requests(daemon, api, request_text):
    """CVE-2024-41110's kind: what two readers would read differently is refused."""
    answer = raw(daemon, request_text)
    status = int(answer.split()[1]) if answer.startswith(b"HTTP/") else 0
    assert status == 0 or 400 <= status < 600, answer[:200]
    assert not api.get("/containers/json", all=1)
    assert daemon.process.poll() is None


def test_large_bodies(api, memory):
    """A body of JSON has a limit, and reading it stays within memory."""
    a = api.request("POST", "/containers/create", b'{"Image":"' + b"x" * (20 << 20) + b'"}',
                    {"Content-Type": "application/json"})
    assert 400 <= a.status < 500
    deep = b'{"a":' * 100000 + b"1" + b"}" * 100000
    assert api.request("POST", "/containers/create", deep, {"Content-Type": "application/json"}).status == 400
    memory.assert_bounded()
