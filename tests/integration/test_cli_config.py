# SPDX-License-Identifier: Apache-2.0
"""What the client takes from ~/.docker: formats, detach keys, headers, proxies, contexts."""
import hashlib
import json
import os
import socket
import subprocess
import threading

import pytest


@pytest.fixture
def configured(fence, tmp_path):
    """configured(**config.json) makes it the client's."""
    folder = tmp_path / ".docker"
    folder.mkdir()

    def make(text=None, **config):
        (folder / "config.json").write_text(text or json.dumps(config))
        return fence
    return make


def context(tmp_path, name, host):
    folder = tmp_path / ".docker/contexts/meta" / hashlib.sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    endpoints = {"docker": {"Host": host, "SkipTLSVerify": False}} if host else {}
    (folder / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": endpoints}))


def run(client, *args, **env):
    """Without the daemon's address in the environment."""
    environment = {k: v for k, v in client.environment().items() if k != "DOCKER_HOST"}
    return subprocess.run([env.pop("program", client.path), *args], capture_output=True, text=True,
                          timeout=30, env=dict(environment, **env), check=False)


def test_formats(configured, api):
    api.create(name="shown")
    api.ok("POST", "/volumes/create", {"Name": "vol"})
    client = configured(psFormat="table {{.Names}}", imagesFormat="<{{.Repository}}>",
                        volumesFormat="v={{.Name}}", statsFormat="{{.Name}}")
    assert client.ok("ps", "-a") == "NAMES\nshown\n"
    assert "<busybox>\n" in client.ok("images") and "v=vol\n" in client.ok("volume", "ls")
    assert client.ok("ps", "-a", "--format", "{{.Image}}") == "busybox\n"
    assert client.ok("stats", "--no-stream", "-a") == "shown\n"


def test_a_broken_file_is_told(configured):
    r = configured("{bad")("ps", "-q")
    assert r.returncode == 0 and r.stderr.startswith("WARNING: Error parsing config file (")
    assert configured("[]")("ps", "-q").returncode == 0


def test_detach_keys(configured, api):
    cid = api.run(["sleep", "1000"], OpenStdin=True, Tty=True)
    r = configured(detachKeys="nonsense")("attach", cid)
    assert r.returncode == 1 and "nonsense" in r.stderr
    t = configured(detachKeys="a,b").terminal("attach", cid)
    t.send("ab")
    assert t.wait() in (0, 1) # docker: 1, "read escape sequence"
    assert api.inspect(cid)["State"]["Running"]


def test_proxies(configured):
    client = configured(proxies={"default": {"httpProxy": "http://p:1", "noProxy": "x"}})
    out = client.ok("run", "--rm", "--network", "none", "-e", "NO_PROXY=mine", "busybox", "env").splitlines()
    assert {"HTTP_PROXY=http://p:1", "http_proxy=http://p:1", "NO_PROXY=mine", "no_proxy=x"} <= set(out)
    client = configured(proxies={"default": {"httpProxy": "http://p:1"}, client.host: {"ftpProxy": "f"}})
    out = client.ok("run", "--rm", "--network", "none", "busybox", "env")
    assert "FTP_PROXY=f" in out and "http_proxy" not in out


def test_headers(configured, tmp_path):
    """Sent with each request; what would be two headers is left out."""
    path, seen = str(tmp_path / "s"), []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()

        def serve():
            c, _ = server.accept()
            seen.append(c.recv(65536).decode())
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]")
            c.close()
        t = threading.Thread(target=serve)
        t.start()
        client = configured(HttpHeaders={"X-Team": "blue", "X-Bad": "a\r\nX-Evil: 1", "User-Agent": "me"})
        client.host = "unix://" + path
        client("ps")
        t.join(10)
    assert "\r\nX-Team: blue\r\n" in seen[0] and "Evil" not in seen[0] and "me\r\n" not in seen[0]


def test_contexts(configured, tmp_path):
    client = configured()
    context(tmp_path, "other", client.host)
    context(tmp_path, "empty", None)
    assert run(client, "--context", "other", "version", "--format", "{{.Client.Context}}").stdout == "other\n"
    assert run(client, "ps", DOCKER_CONTEXT="other").returncode == 0
    r = run(client, "--context", "nosuch", "ps")
    assert r.returncode == 1 and 'context "nosuch": context not found' in r.stderr
    assert 'context "empty"' in run(client, "--context", "empty", "ps").stderr
    r = client("-H", client.host, "--context", "other", "ps")
    assert r.stderr == "conflicting options: cannot specify both --host and --context\n"
    # the environment's address does not count beside --context
    assert run(client, "--context", "other", "ps", DOCKER_HOST="unix:///nosuch").returncode == 0
    assert run(client, "ps", DOCKER_HOST="unix:///nosuch", DOCKER_CONTEXT="other").returncode == 1


def test_current_context(configured, tmp_path):
    """Docker's choice is followed when we are called docker."""
    client = configured(currentContext="other")
    context(tmp_path, "other", client.host)
    os.symlink(client.path, tmp_path / "docker")
    assert run(client, "ps", program=str(tmp_path / "docker")).returncode == 0
    assert "other" not in run(client, "ps").stderr
