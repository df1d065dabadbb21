# SPDX-License-Identifier: Apache-2.0
"""The client to a daemon that speaks TLS: --tls, --tlsverify, their files, the environment, contexts."""
import hashlib
import json
import os
import shutil
import socket
import subprocess

import pytest

from harness import clients
from harness.wait import until


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    """A folder with an authority, a server's and a client's pair, and a stranger authority."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl program to make certificates with")
    d = str(tmp_path_factory.mktemp("certs"))
    for name in ("ca", "stranger"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", "/CN=" + name, "-keyout", "%s/%s-key.pem" % (d, name), "-out", "%s/%s.pem" % (d, name))
    for name, extra in (("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name,
                "-keyout", "%s/%s-key.pem" % (d, name), "-out", "%s/%s.csr" % (d, name))
        with open(d + "/ext", "w", encoding="utf-8") as f:
            f.write(extra)
        openssl("x509", "-req", "-in", "%s/%s.csr" % (d, name), "-CA", d + "/ca.pem", "-CAkey", d + "/ca-key.pem",
                "-CAcreateserial", "-days", "2", "-extfile", d + "/ext", "-out", "%s/%s.pem" % (d, name))
    shutil.copy(d + "/client.pem", d + "/cert.pem")
    shutil.copy(d + "/client-key.pem", d + "/key.pem")
    return d


@pytest.fixture
def remote(new_daemon, certs, tmp_path):
    """remote(*arguments, **environment) runs the client against a daemon that wants certificates."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    host = "tcp://127.0.0.1:%d" % port
    d = new_daemon("-H", host, "--tlsverify", "--tlscacert", certs + "/ca.pem", "--tlscert",
                   certs + "/server.pem", "--tlskey", certs + "/server-key.pem")
    client = clients.Cli("fence", clients.find()["fence"], host, str(tmp_path))

    def run(*args, stdin=None, **env):
        return subprocess.run([client.path, *args], capture_output=True, text=True, timeout=60, check=False,
                              env=dict(client.environment(), **env), input=stdin)
    run.host, run.daemon, run.home = host, d, tmp_path
    return run


def verify(certs):
    return ["--tlsverify", "--tlscacert", certs + "/ca.pem", "--tlscert", certs + "/cert.pem",
            "--tlskey", certs + "/key.pem"]


def test_flags_and_environment(remote, certs):
    assert "Server:" in remote(*verify(certs), "version").stdout
    assert remote("version", DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=certs).returncode == 0
    assert remote("--tls", "version", DOCKER_CERT_PATH=certs).returncode == 0
    shutil.copytree(certs, str(remote.home / ".docker"))
    assert remote("--tlsverify", "ps").returncode == 0


def test_streams(remote, certs):
    """Hijacked connections, both ways and half closed; archives; several connections at once."""
    r = remote(*verify(certs), "run", "--rm", "-i", "--network", "none", "busybox", "wc", "-c", stdin="x" * 300000)
    assert (r.returncode, r.stdout.strip()) == (0, "300000"), r.stderr
    r = remote(*verify(certs), "run", "--rm", "--network", "none", "busybox", "sh", "-c",
               "seq 1 50000; echo bad >&2; exit 3")
    assert r.returncode == 3 and r.stdout.split()[-1] == "50000" and r.stderr == "bad\n"
    out = str(remote.home / "image.tar")
    assert remote(*verify(certs), "save", "-o", out, "busybox").returncode == 0
    assert os.path.getsize(out) > 500000
    assert "Loaded image" in remote(*verify(certs), "load", "-i", out).stdout


def test_killed_client_leaves_no_helper(remote, certs):
    api = remote.daemon.api
    cid = api.run(["sleep", "1000"], OpenStdin=True)
    client = subprocess.Popen([clients.find()["fence"], "-H", remote.host, *verify(certs), "attach", cid],
                              stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    helpers = until(lambda: children(client.pid))
    client.kill()
    client.wait()
    client.stdin.close()
    until(lambda: not any(os.path.exists("/proc/%s" % pid) for pid in helpers))
    assert api.inspect(cid)["State"]["Running"]


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as f:
        return f.read().split()


def test_what_is_refused(remote, certs):
    r = remote("--tlsverify", "--tlscacert", certs + "/stranger.pem", "ps")
    assert r.returncode == 1 and "failed to verify certificate" in r.stderr
    r = remote("--tlsverify", "--tlscacert", certs + "/ca.pem", "ps") # without a certificate of ours
    assert r.returncode == 1 and r.stderr
    r = remote("--tlsverify", "ps")
    assert r.returncode == 1 and "could not read CA certificate" in r.stderr
    r = remote("ps") # plain HTTP to a TLS port
    assert r.returncode == 1 and r.stderr
    r = remote("--tlscacert", certs + "/ca.pem", "ps")
    assert r.returncode == 1 and "need --tls or --tlsverify" in r.stderr
    r = remote(*verify(certs), "-H", "tcp://localhost:%s" % remote.host.split(":")[-1], "ps")
    assert r.returncode == 1 and "x509" in r.stderr # another name than the certificate's
    r = remote(*verify(certs), "-H", "tcp://127.0.0.1:1", "ps")
    assert r.returncode == 1 and "connection refused" in r.stderr.lower()


def test_context_with_certificates(remote, certs):
    name = hashlib.sha256(b"far").hexdigest()
    base = remote.home / ".docker/contexts"
    (base / "meta" / name).mkdir(parents=True)
    (base / "tls" / name / "docker").mkdir(parents=True)
    (base / "meta" / name / "meta.json").write_text(json.dumps(
        {"Name": "far", "Endpoints": {"docker": {"Host": remote.host, "SkipTLSVerify": False}}}))
    for file in ("ca.pem", "cert.pem", "key.pem"):
        shutil.copy("%s/%s" % (certs, file), str(base / "tls" / name / "docker"))
    assert "Server:" in remote("--context", "far", "version", DOCKER_HOST="").stdout
