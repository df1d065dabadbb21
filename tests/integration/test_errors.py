# SPDX-License-Identifier: Apache-2.0
"""Bad input: JSON, fields, HTTP. The daemon answers and lives."""
import random
import socket

import pytest

from harness.wait import SLOW


def raw(api, data, timeout=10):
    """What comes back for bytes that need not be HTTP."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(timeout * SLOW)
    s.connect(api.path)
    out = b""
    try:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        while True:
            piece = s.recv(65536)
            if not piece:
                break
            out += piece
    except (ConnectionError, socket.timeout):
        pass
    finally:
        s.close()
    return out


@pytest.mark.parametrize("body", [
    b"", b"{", b"nope", b"[]", b'"x"', b'{"Image":}', b'{"Image":1}', b'{"Cmd":{"a":1}}',
    b'{"HostConfig":[]}', b'{"Image":"\xff"}', b'{"HostConfig":{"Memory":"x"}}',
    b'{"HostConfig":{"Memory":99999999999999999999999}}', b'{"Env":[1]}', b"[" * 5000])
def test_bad_bodies(api, body):
    a = api.request("POST", "/containers/create", body, {"Content-Type": "application/json"})
    assert 400 <= a.status < 500 and a.message


def test_wrong_content_type(api):
    a = api.request("POST", "/containers/create", b'{"Image":"busybox"}', {"Content-Type": "text/plain"})
    assert a.status in (400, 415)


def test_zero_values_are_accepted(api):
    """Clients send every field they know."""
    host = {k: 0 for k in ("Memory", "CpuShares", "CpuPeriod", "CpuQuota", "NanoCpus", "MemorySwap",
                           "BlkioWeight", "OomScoreAdj", "ShmSize", "CpuRealtimePeriod", "IOMaximumIOps")}
    host.update({k: None for k in ("Binds", "PortBindings", "Links", "Dns", "Devices", "CapAdd", "Ulimits",
                                   "PidsLimit", "Sysctls", "LogConfig", "GroupAdd", "ExtraHosts")})
    host.update({k: "" for k in ("CgroupParent", "PidMode", "UTSMode", "IpcMode", "VolumeDriver", "Runtime",
                                 "Isolation", "UsernsMode")})
    cid = api.create(cmd=["true"], host=host, Domainname="", OnBuild=None, MacAddress="",
                     NetworkDisabled=False, NetworkingConfig={"EndpointsConfig": {}})
    api.start(cid)
    assert api.wait(cid) == 0


@pytest.mark.parametrize("host,name", [
    ({"PortBindings": {"80/tcp": [{"HostPort": "seven"}]}}, "port"),
    ({"Links": ["nosuch:alias"]}, "nosuch"),
    ({"NetworkMode": "nosuchnet"}, "nosuchnet"),
    ({"Runtime": "nosuch"}, "nosuch"),
    ({"LogConfig": {"Type": "nosuch"}}, "nosuch"),
    ({"VolumeDriver": "nosuch", "Binds": ["v:/v"]}, "nosuch"),
    ({"CapAdd": ["NO_SUCH"]}, "NO_SUCH"),
    ({"SecurityOpt": ["nosuch=1"]}, "nosuch"),
    ({"DeviceRequests": [{"Driver": "nvidia", "Count": 1}]}, "nvidia"),
])
def test_unsupported_is_refused_by_name(api, host, name):
    a = api.request("POST", "/containers/create", {"Image": "busybox", "HostConfig": host})
    if a.status == 201: # what Docker finds only at start
        a = api.request("POST", "/containers/%s/start" % a.json["Id"])
    assert a.status >= 400 and name.lower() in a.message.lower(), a.body


@pytest.mark.parametrize("query", [{"name": "-bad"}, {"name": "a/b"}, {"name": "x" * 300 + "/"},
                                   {"name": "ü"}])
def test_bad_names(api, query):
    a = api.request("POST", "/containers/create", {"Image": "busybox"}, **query)
    assert a.status == 400 and "Invalid container name" in a.message


@pytest.mark.parametrize("path,query", [
    ("/containers/json", {"filters": "{bad"}), ("/containers/json", {"limit": "x"}),
    ("/images/json", {"filters": '{"nosuch":["x"]}'}), ("/events", {"since": "tomorrow", "until": "1"})])
def test_bad_queries(api, path, query):
    a = api.connection()
    import urllib.parse  # pylint: disable=import-outside-toplevel
    a.request("GET", "/v1.41%s?%s" % (path, urllib.parse.urlencode(query)))
    assert a.getresponse().status == 400
    a.close()


@pytest.mark.parametrize("data,status", [
    (b"GET / HTTP/1.1\r\n\r\n", b"400"),                               # no Host
    (b"GET /_ping HTTP/3.0\r\nHost: x\r\n\r\n", b"505"),
    (b"\r\n\r\nnonsense\r\n\r\n", b"400"),
    (b"GET /_ping HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
    (b"GET /_ping HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", b"400"),
    (b"GET /_ping HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
    (b"GET /_ping HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n", b"400"),
    (b"GET /_ping HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200000 + b"\r\n\r\n", b"4"),
    (b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"4"),
    (b"POST /v1.41/containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
     b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
])
def test_malformed_requests(api, data, status):
    answer = raw(api, data)
    assert answer.startswith(b"HTTP/1.1 " + status), answer[:100]
    assert api.request("GET", "/_ping").status == 200


def test_keep_alive_and_pipelining(api):
    one = b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n"
    assert raw(api, one * 50).count(b"HTTP/1.1 200 OK") == 50


def test_expect_continue(api):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10 * SLOW)
    s.connect(api.path)
    body = b'{"Image":"busybox"}'
    s.sendall(b"POST /v1.41/containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
              b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
    assert s.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    s.sendall(body)
    assert s.recv(100).startswith(b"HTTP/1.1 201 Created")
    s.close()


@pytest.mark.rounds
def test_ten_thousand_malformed_requests(api):
    rng = random.Random(20231114)
    valid = (b"POST /v1.41/containers/create?name=x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
             b"\r\nContent-Length: 19\r\n\r\n{\"Image\":\"nosuch\"}\n")
    for _ in range(10000):
        data = bytearray(valid)
        for _ in range(rng.randrange(1, 8)):
            where = rng.randrange(len(data))
            kind = rng.randrange(3)
            if kind == 0:
                data[where] = rng.randrange(256)
            elif kind == 1:
                del data[where:where + rng.randrange(1, 20)]
            else:
                data[where:where] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 10)))
            if not data:
                break
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(0.02)
        s.connect(api.path)
        try:
            s.sendall(data)
            s.recv(100)
        except (ConnectionError, socket.timeout):
            pass
        s.close()
    assert api.request("GET", "/_ping").status == 200
    assert not [c for c in api.get("/containers/json", all=1) if c["Image"] == "nosuch"]


def test_slow_client(api):
    """Many connections that never finish their request take nothing from others."""
    sockets = []
    for _ in range(100):
        s = socket.socket(socket.AF_UNIX)
        s.connect(api.path)
        s.sendall(b"POST /v1.41/containers/create HTTP/1.1\r\nHos")
        sockets.append(s)
    assert api.output(["echo", "fine"]) == (0, "fine\n")
    for s in sockets:
        s.close()
