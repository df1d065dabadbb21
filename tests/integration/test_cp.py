# SPDX-License-Identifier: Apache-2.0
"""Archive get, put and head; docker cp. Links in a container never lead out of it."""
import base64
import io
import json
import os
import tarfile

import pytest


def tar_of(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name.replace("__", "/"))
            entry.size, entry.mode = len(data), 0o640
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def put(api, cid, path, data, **query):
    return api.request("PUT", "/containers/%s/archive" % cid, data,
                       {"Content-Type": "application/x-tar"}, path=path, **query)


def names(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getnames()


@pytest.fixture(params=["running", "created"])
def box(request, api):
    cid = api.create(cmd=["sleep", "1000"], name="box")
    return api.start(cid) if request.param == "running" else cid


def test_put_and_get(api, box):
    assert put(api, box, "/tmp", tar_of(a=b"hello", sub__b=b"x")).status == 200
    a = api.ok("GET", "/containers/%s/archive" % box, path="/tmp/a")
    stat = json.loads(base64.b64decode(a.headers["X-Docker-Container-Path-Stat"]))
    assert stat["name"] == "a" and stat["size"] == 5 and stat["mode"] & 0o777 == 0o640
    with tarfile.open(fileobj=io.BytesIO(a.body)) as tar:
        assert tar.extractfile("a").read() == b"hello"
        assert tar.getmember("a").uid == 0
    assert set(names(api.ok("GET", "/containers/%s/archive" % box, path="/tmp/sub").body)) == {
        "sub", "sub/b"}


def test_head(api, box):
    a = api.request("HEAD", "/containers/%s/archive" % box, path="/etc/passwd")
    stat = json.loads(base64.b64decode(a.headers["X-Docker-Container-Path-Stat"]))
    assert a.status == 200 and stat["name"] == "passwd" and not a.body
    assert api.request("HEAD", "/containers/%s/archive" % box, path="/nosuch").status == 404


def test_errors(api, box):
    a = api.request("GET", "/containers/%s/archive" % box, path="/nosuch")
    assert a.status == 404 and "Could not find the file /nosuch in container" in a.message
    assert put(api, box, "/nosuch", tar_of(a=b"")).status == 404
    assert put(api, box, "/etc/passwd", tar_of(a=b"")).status == 400
    assert put(api, box, "/tmp", b"this is no archive" * 100).status in (400, 500)
    assert api.request("GET", "/containers/%s/archive" % box).status == 400


def test_links_stay_inside(api, box):
    """Absolute links, links upwards and through folders that the container controls."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, target in (("abs", "/etc"), ("up", "../../../../../../etc"), ("self", "self")):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    assert put(api, box, "/tmp", out.getvalue()).status == 200
    marker = "fence-was-here-%d" % os.getpid()
    assert put(api, box, "/tmp/abs", tar_of(**{marker: b"1"})).status == 200
    assert put(api, box, "/tmp/up", tar_of(**{marker + "2": b"1"})).status == 200
    assert not os.path.exists("/etc/" + marker) and not os.path.exists("/etc/" + marker + "2")
    inside = api.ok("GET", "/containers/%s/archive" % box, path="/etc/" + marker)
    assert names(inside.body) == [marker]
    assert api.request("GET", "/containers/%s/archive" % box, path="/tmp/self/x").status >= 400


def test_entries_that_climb(api, box):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("../../../../../../var/tmp/fence-climbed", "/var/tmp/fence-climbed"):
            entry = tarfile.TarInfo(name)
            tar.addfile(entry)
        link = tarfile.TarInfo("ln")
        link.type, link.linkname = tarfile.SYMTYPE, "/var/tmp"
        tar.addfile(link)
        tar.addfile(tarfile.TarInfo("ln/fence-climbed"))
        hard = tarfile.TarInfo("hard")
        hard.type, hard.linkname = tarfile.LNKTYPE, "../../../../../../etc/hostname"
        tar.addfile(hard)
    put(api, box, "/tmp", out.getvalue())
    assert not os.path.exists("/var/tmp/fence-climbed")


def test_read_only_root(api):
    cid = api.create(cmd=["true"], host={"ReadonlyRootfs": True})
    a = put(api, cid, "/tmp", tar_of(a=b"x"))
    assert a.status in (400, 403) and "read-only" in a.message


def test_no_overwrite_dir_non_dir(api, box):
    assert put(api, box, "/", tar_of(tmp=b"a file"), noOverwriteDirNonDir=1).status >= 400


def test_cli(cli, api, box, tmp_path):
    source = tmp_path / "dir"
    (source / "sub").mkdir(parents=True)
    (source / "one").write_text("1\n")
    (source / "sub" / "two").write_text("2\n")
    cli.ok("cp", str(source), "box:/tmp")
    cli.ok("cp", str(source / "one"), "box:/tmp/renamed")
    cli.ok("cp", "box:/tmp/dir", str(tmp_path / "back"))
    assert (tmp_path / "back" / "sub" / "two").read_text() == "2\n"
    cli.ok("cp", "box:/tmp/renamed", str(tmp_path))
    assert (tmp_path / "renamed").read_text() == "1\n"
    r = cli("cp", "box:/nosuch", str(tmp_path))
    assert r.returncode == 1 and "nosuch" in r.stderr


def test_cli_streams(cli, box):
    r = cli("cp", "box:/etc/passwd", "-")
    assert r.returncode == 0 and "root:x:0:0" in r.stdout


def test_into_a_volume(api):
    cid = api.create(cmd=["cat", "/data/f"], host={"Binds": ["cpvol:/data"]})
    assert put(api, cid, "/data", tar_of(f=b"in volume\n")).status == 200
    api.start(cid)
    assert api.wait(cid) == 0 and api.logs(cid) == b"in volume\n"


def test_export(api, box):
    put(api, box, "/tmp", tar_of(exported=b"e"))
    data = api.ok("GET", "/containers/%s/export" % box).body
    assert {"tmp/exported", "bin/busybox", "etc/passwd"} <= {n.lstrip("./") for n in names(data)}
