# SPDX-License-Identifier: Apache-2.0
"""The engine's API by hand: HTTP over its unix socket."""
import http.client
import json
import socket
import struct
import urllib.parse

from .wait import SLOW

TIMEOUT_S = 60


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=TIMEOUT_S):
        super().__init__("localhost", timeout=timeout * SLOW)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def message(self):
        return self.json["message"]

    @property
    def lines(self):
        """A stream of JSON documents."""
        return [json.loads(l) for l in self.body.splitlines() if l.strip()]


class ApiError(Exception):
    def __init__(self, what, answer):
        super().__init__("%s: %d %s" % (what, answer.status, answer.body[:500]))
        self.answer = answer
        self.status = answer.status


class Api:
    def __init__(self, path, version="v1.41"):
        self.path, self.version = path, version

    def url(self, path, query):
        if query:
            query = {k: json.dumps(v) if isinstance(v, (dict, list, bool)) else v
                     for k, v in query.items()}
            path += "?" + urllib.parse.urlencode(query)
        return ("/" + self.version if self.version else "") + path

    def connection(self, timeout=TIMEOUT_S):
        return UnixConnection(self.path, timeout)

    def request(self, method, path, /, body=None, headers=None, timeout=TIMEOUT_S, **query):
        """The Answer, whatever its status is."""
        c = self.connection(timeout)
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        try:
            c.request(method, self.url(path, query), body, headers)
            return Answer(c.getresponse())
        finally:
            c.close()

    def open(self, method, path, /, body=None, headers=None, timeout=TIMEOUT_S, **query):
        """(connection, response) of a stream that goes on; the caller closes the connection."""
        c = self.connection(timeout)
        if isinstance(body, (dict, list)):
            body, headers = json.dumps(body), dict(headers or {}, **{"Content-Type": "application/json"})
        c.request(method, self.url(path, query), body, headers or {})
        return c, c.getresponse()

    def ok(self, method, path, /, *args, **kw):
        """As request(), for what must succeed."""
        answer = self.request(method, path, *args, **kw)
        if answer.status >= 400:
            raise ApiError("%s %s" % (method, path), answer)
        return answer

    def get(self, path, /, **kw):
        return self.ok("GET", path, **kw).json

    # ---- containers
    def create(self, image="busybox", cmd=None, name=None, host=None, **config):
        body = dict(config, Image=image)
        if cmd is not None:
            body["Cmd"] = cmd
        body["HostConfig"] = host or {}
        body["HostConfig"].setdefault("NetworkMode", "none")
        query = {"name": name} if name else {}
        return self.ok("POST", "/containers/create", body, **query).json["Id"]

    def start(self, cid):
        self.ok("POST", "/containers/%s/start" % cid)
        return cid

    def run(self, cmd, image="busybox", **kw):
        """Creates and starts; the id."""
        return self.start(self.create(image, cmd, **kw))

    def wait(self, cid, condition="not-running", timeout=TIMEOUT_S):
        return self.ok("POST", "/containers/%s/wait" % cid, condition=condition,
                       timeout=timeout).json["StatusCode"]

    def inspect(self, cid):
        return self.get("/containers/%s/json" % cid)

    def remove(self, cid, force=True, v=True):
        return self.request("DELETE", "/containers/%s" % cid, force=force, v=v)

    def logs(self, cid, **query):
        query = dict({"stdout": 1, "stderr": 1}, **query)
        tty = self.inspect(cid)["Config"]["Tty"]
        body = self.ok("GET", "/containers/%s/logs" % cid, **query).body
        return body if tty else b"".join(data for _, data in frames(body))

    def output(self, cmd, **kw):
        """(exit code, output) of a container that is run and removed."""
        cid = self.create(cmd=cmd, **kw)
        try:
            self.start(cid)
            code = self.wait(cid)
            return code, self.logs(cid).decode()
        finally:
            self.remove(cid)

    def exec(self, cid, cmd, **config):
        """(exit code, output) of an exec."""
        body = dict({"AttachStdout": True, "AttachStderr": True, "Cmd": cmd}, **config)
        eid = self.ok("POST", "/containers/%s/exec" % cid, body).json["Id"]
        out = self.ok("POST", "/exec/%s/start" % eid, {"Detach": False, "Tty": body.get("Tty", False)})
        data = out.body if body.get("Tty") else b"".join(d for _, d in frames(out.body))
        return self.get("/exec/%s/json" % eid)["ExitCode"], data.decode()

    def attach(self, cid, upgrade=True, **query):
        """(socket, head of the answer) of a hijacked attach."""
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(TIMEOUT_S * SLOW)
        s.connect(self.path)
        s.sendall(("POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: 0\r\n\r\n" % (
            self.url("/containers/%s/attach" % cid, query),
            "Upgrade: tcp\r\nConnection: Upgrade\r\n" if upgrade else "")).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = s.recv(1)
            if not piece:
                break
            head += piece
        return s, head


def read_all(s):
    """What a socket still gives, until its end."""
    out = b""
    while True:
        data = s.recv(65536)
        if not data:
            return out
        out += data


def frames(data):
    """The (stream, data) pairs of a multiplexed stream."""
    out = []
    while len(data) >= 8:
        stream, size = struct.unpack(">BxxxL", data[:8])
        out.append((stream, data[8:8 + size]))
        data = data[8 + size:]
    assert not data, "half a frame: %r" % data
    return out
