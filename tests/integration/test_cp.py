# SPDX-License-Identifier: Apache-2.0
"""Archive get, put and head; docker cp. Links in a container never lead out of it."""
import base64
import io
import json
import os
import tarfile

import pytest

from harness.wait import until


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


@pytest.fixture(params=["running", "stopped"])
def mounted(request, api, tmp_path):
    """(container, folder of the host): volumes and binds, writable and not, and links to them."""
    for name in ("rw", "ro", "rw/below"):
        (tmp_path / name).mkdir()
    (tmp_path / "rw/file").write_text("bound\n")
    (tmp_path / "ro/file").write_text("bound\n")
    (tmp_path / "alone").write_text("a file\n")
    binds = ["cpvol:/data", "%s/rw:/mnt/rw" % tmp_path, "%s/ro:/mnt/ro:ro" % tmp_path,
             "%s/alone:/mnt/rw/alone" % tmp_path]
    script = "ln -s /mnt/rw /rwlink; ln -s ../mnt/ro /tmp/rolink; ln -s /data/x /xlink; sleep 1000"
    cid = api.create(cmd=["sh", "-c", script], host={"Binds": binds})
    api.start(cid)
    until(lambda: api.request("HEAD", "/containers/%s/archive" % cid, path="/xlink").status == 200)
    if request.param == "stopped":
        api.ok("POST", "/containers/%s/kill" % cid)
        api.wait(cid)
    return cid, tmp_path


def test_mounts_are_seen(api, mounted):
    cid, host = mounted

    def get(path):
        return names(api.ok("GET", "/containers/%s/archive" % cid, path=path).body)

    assert set(get("/mnt")) >= {"mnt", "mnt/rw/file", "mnt/rw/alone", "mnt/ro/file", "mnt/rw/below"}
    assert get("/rwlink/file") == ["file"] and get("/tmp/rolink/file") == ["file"]
    assert get("/mnt/rw/../ro/file") == ["file"]
    a = api.ok("GET", "/containers/%s/archive" % cid, path="/mnt/rw/alone")
    with tarfile.open(fileobj=io.BytesIO(a.body)) as tar:
        assert tar.extractfile("alone").read() == b"a file\n"
    assert "etc/hosts" in get("/etc")
    assert put(api, cid, "/data", tar_of(x__new=b"in the volume")).status == 200
    assert get("/data/x") == ["x", "x/new"]
    assert put(api, cid, "/xlink", tar_of(two=b"2")).status == 200
    assert put(api, cid, "/rwlink/below", tar_of(three=b"3")).status == 200
    assert (host / "rw/below/three").read_text() == "3"
    assert put(api, cid, "/mnt", tar_of(rw__four=b"4")).status == 200
    assert (host / "rw/four").read_text() == "4"
    volume = api.get("/volumes/cpvol")["Mountpoint"]
    assert open(volume + "/x/two", encoding="utf-8").read() == "2"
    changes = {c["Path"] for c in api.get("/containers/%s/changes" % cid) or []}
    assert not any(p.startswith(("/mnt/rw/", "/data/")) for p in changes - {"/mnt/rw/alone"})


def test_read_only_mounts_refuse(api, mounted):
    cid, host = mounted
    for path in ("/mnt/ro", "/tmp/rolink", "/mnt/rw/../ro"):
        a = put(api, cid, path, tar_of(a=b"x"))
        assert (a.status, a.message) == (403, "mounted volume is marked read-only"), path
    assert put(api, cid, "/mnt", tar_of(ro__a=b"x")).status >= 400
    assert os.listdir(host / "ro") == ["file"]


def test_stopped_mounts_are_nobody_elses(api, daemon, mounted):
    """What is mounted for a copy is in no other process's table, and gone after it."""
    cid, _ = mounted
    before = daemon_mounts(daemon)
    c, r = api.open("GET", "/containers/%s/archive" % cid, path="/")
    assert r.status == 200 and daemon_mounts(daemon) == before
    c.close()


def daemon_mounts(daemon):
    with open("/proc/%d/mountinfo" % daemon.pid, encoding="utf-8") as f:
        return sorted(f)


def test_never_started(api, tmp_path):
    """Mount points that no start has made yet."""
    (tmp_path / "f").write_text("x")
    cid = api.create(cmd=["true"], host={"Binds": ["%s:/some/where" % tmp_path,
                                                   "%s/made:/made" % tmp_path],
                                         "ReadonlyRootfs": True})
    assert names(api.ok("GET", "/containers/%s/archive" % cid, path="/some/where/f").body) == ["f"]
    assert put(api, cid, "/made", tar_of(a=b"x")).status == 200
    assert (tmp_path / "made/a").read_text() == "x"
    a = put(api, cid, "/tmp", tar_of(a=b"x"))
    assert (a.status, a.message) == (403, "container rootfs is marked read-only")


def test_read_only_root_that_runs(api):
    cid = api.run(["sleep", "1000"], host={"ReadonlyRootfs": True, "Binds": ["cpvol:/data"],
                                           "Tmpfs": {"/scratch": ""}})
    a = put(api, cid, "/tmp", tar_of(a=b"x"))
    assert (a.status, a.message) == (403, "container rootfs is marked read-only")
    assert put(api, cid, "/data", tar_of(a=b"x")).status == 200
    assert put(api, cid, "/scratch", tar_of(a=b"x")).status == 200


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
