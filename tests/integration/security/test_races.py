# SPDX-License-Identifier: Apache-2.0
"""Names that change while they are used: a container exchanges a folder and a link to the host with
renameat2(RENAME_EXCHANGE) as fast as it can. Hundreds of rounds here, thousands in the soak."""
import http.client
import io
import json
import os
import tarfile
import threading
import time

import pytest

from conftest import tar_of
from harness import leaks
from harness.wait import SLOW, until

ROUNDS = int(os.environ.get("FENCE_RACE_ROUNDS", "200"))
pytestmark = [pytest.mark.rounds, pytest.mark.limit(max(90, ROUNDS))]


@pytest.fixture
def swapper(api, probe_image, victim):
    """A container that exchanges /v/name (a folder, or a file) and /v/link (to the host), in volume `vol`."""
    def start(volume="vol", name="a", target=None, file=False):
        target = target or str(victim)
        make = "echo inside >/v/%s" % name if file else "mkdir -p /v/{0} && echo inside >/v/{0}/file".format(name)
        cid = api.run(["sh", "-c", "%s && ln -s %s /v/link && exec /probe swap /v/%s /v/link" %
                       (make, target, name)], image=probe_image, host={"Binds": [volume + ":/v"]})
        until(lambda: b"ready" in api.logs(cid))
        return cid
    return start


def try_start(api, body):
    a = api.request("POST", "/containers/create", body)
    assert a.status == 201, a.body
    cid = a.json["Id"]
    try:
        s = api.request("POST", "/containers/%s/start" % cid)
        if s.status != 204:
            return False, s.message
        api.wait(cid)
        return True, api.logs(cid).decode(errors="replace")
    finally:
        api.remove(cid, v=False)


@pytest.mark.parametrize("mount", [
    {"Type": "tmpfs", "Target": "/vol/a"}, {"Type": "tmpfs", "Target": "/vol/a/b/c"},
    {"Type": "volume", "Source": "other", "Target": "/vol/a"},
    {"Type": "bind", "Source": "/etc/hostname", "Target": "/vol/a/new"}], ids=json.dumps)
@pytest.mark.parametrize("where", ["%s", "/", "/proc", "/proc/self/fd", "..", "/proc/1/root"])
def test_target_of_a_mount(api, daemon, swapper, victim, mount, where):
    """CVE-2021-30465, CVE-2024-45310."""
    swapper(target=where % victim if "%s" in where else where)
    mounts = leaks.mounts()
    body = {"Image": "busybox", "Cmd": ["cat", "/proc/self/mountinfo"], "HostConfig": {
        "NetworkMode": "none", "Binds": ["vol:/vol"], "Mounts": [mount]}}
    done = 0
    for _ in range(max(10, ROUNDS // 20)):
        ok, out = try_start(api, body)
        done += ok
        if ok:
            types = {l.split()[4]: l.split()[l.split().index("-") + 1] for l in out.splitlines()}
            assert types["/proc"] == "proc" and "/proc/self" not in types
    assert not [m for m in leaks.mounts() - mounts if daemon.root in m or str(victim) in m]
    assert daemon.process.poll() is None


def test_source_by_subpath(api, swapper, victim):
    """A folder of a volume as the source, exchanged with a link to the host."""
    swapper()
    seen = set()
    for _ in range(ROUNDS // 4):
        ok, out = try_start(api, {
            "Image": "busybox", "Cmd": ["cat", "/x/file"], "HostConfig": {"NetworkMode": "none", "Mounts": [
                {"Type": "volume", "Source": "vol", "Target": "/x", "VolumeOptions": {"Subpath": "a"}}]}})
        assert "of the host" not in out
        seen.add(ok)
    assert True in seen


@pytest.mark.parametrize("workdir", ["/v/a", "/v/a/made"])
def test_working_directory(api, swapper, victim, workdir):
    swapper()
    for _ in range(ROUNDS // 8):
        _, out = try_start(api, {"Image": "busybox", "Cmd": ["sh", "-c", "cat ./file ../../..%s/file; pwd" % victim],
                                 "WorkingDir": workdir, "User": "1000",
                                 "HostConfig": {"NetworkMode": "none", "Binds": ["vol:/v"]}})
        assert "of the host" not in out


@pytest.mark.parametrize("inside", ["run", "volume of a created container"])
def test_copies(api, cp, swapper, victim, inside):
    """CVE-2018-15664, CVE-2026-42306: GET, HEAD and PUT while the name changes."""
    cid = swapper()
    if inside != "run":
        cid = api.create(cmd=["true"], host={"Binds": ["vol:/v"]})
    put = tar_of(("file", tarfile.REGTYPE, b"put"), ("new", tarfile.REGTYPE, b"put"),
                 ("d", tarfile.DIRTYPE), ("d/x", tarfile.REGTYPE, b"put"))
    answers = {"get": 0, "put": 0, "head": 0}
    for n in range(ROUNDS):
        try:
            a = cp.get(cid, "/v/a" if n % 2 else "/v/a/file")
        except http.client.HTTPException: # changed after the answer had begun: it is cut off
            continue
        if a.status == 200:
            answers["get"] += 1
            with tarfile.open(fileobj=io.BytesIO(a.body)) as tar:
                for entry in tar:
                    if entry.isreg():
                        assert tar.extractfile(entry).read() != b"of the host"
        a = cp.head(cid, "/v/a/file")
        answers["head"] += a.status == 200
        a = cp.put(cid, "/v/a", put)
        answers["put"] += a.status == 200
    # the name is the folder's about half of the time; a container that does not run shows no volumes
    assert inside != "run" or all(answers.values()), answers


def test_export_and_commit(api, swapper, probe_image, victim):
    """The layer of a container whose folders change while it is read."""
    cid = api.run(["sh", "-c", "mkdir -p /v/a && echo inside >/v/a/file && ln -s %s /v/link && "
                               "exec /probe swap /v/a /v/link" % victim], image=probe_image)
    until(lambda: b"ready" in api.logs(cid))
    for _ in range(max(3, ROUNDS // 40)):
        try:
            a = api.request("GET", "/containers/%s/export" % cid)
        except http.client.HTTPException: # changed after the answer had begun: it is cut off
            continue
        assert b"of the host" not in a.body
    a = api.request("POST", "/commit", {}, container=cid, repo="raced")
    if a.status == 201:
        _, out = api.output(["sh", "-c", "cat /v/*/file"], image="raced")
        assert "of the host" not in out
    assert b"of the host" not in api.request("GET", "/containers/%s/changes" % cid).body


def test_user_database(api, probe_image, victim):
    """/etc/passwd exchanged with a FIFO and with a link while execs look users up."""
    cid = api.run(["sh", "-c", "mkfifo /etc/x; exec /probe swap /etc/passwd /etc/x"], image=probe_image)
    until(lambda: b"ready" in api.logs(cid))
    for _ in range(ROUNDS // 4):
        start = time.monotonic()
        eid = api.ok("POST", "/containers/%s/exec" % cid, {"Cmd": ["/probe", "ids"], "User": "nobody",
                                                           "AttachStdout": True}).json["Id"]
        a = api.request("POST", "/exec/%s/start" % eid, {"Detach": False}, timeout=20)
        assert time.monotonic() - start < 10 * SLOW
        assert b"uid 0" not in a.body


def test_terminal(api, probe_image):
    """CVE-2025-52565: /dev/pts and /dev/console exchanged while terminals are set up."""
    cid = api.run(["sh", "-c", "mkdir /dev/other; ln -s /dev/other /dev/alias; touch /dev/console; "
                               "(/probe swap /dev/console /dev/alias &) ; exec /probe swap /dev/ptmx /dev/other"],
                  image=probe_image)
    until(lambda: b"ready" in api.logs(cid))
    for _ in range(ROUNDS // 8):
        eid = api.ok("POST", "/containers/%s/exec" % cid, {"Cmd": ["tty"], "Tty": True,
                                                           "AttachStdout": True}).json["Id"]
        a = api.request("POST", "/exec/%s/start" % eid, {"Detach": False, "Tty": True}, timeout=20)
        if a.status == 200 and api.get("/exec/%s/json" % eid)["ExitCode"] == 0:
            assert b"/dev/pts/" in a.body or b"/dev/console" in a.body or b"not a tty" in a.body


def test_starts_and_removals_at_once(api, daemon, probe_image, victim):
    """Many clients, one name: whatever wins, nothing is half."""
    errors = []

    def work(n):
        for _ in range(max(3, ROUNDS // 50)):
            a = api.request("POST", "/containers/create", {
                "Image": probe_image, "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}, name="one")
            if a.status == 201:
                api.request("POST", "/containers/one/start")
            api.request("DELETE", "/containers/one", force=True)
            if a.status not in (201, 409):
                errors.append((n, a.body))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors and daemon.process.poll() is None
