# SPDX-License-Identifier: Apache-2.0
"""Images that were made to get out: names that lead to the host, users that are none, helpers of
their own. The host is watched by the `victim` fixture; the set-up may refuse, but never obey."""
import gzip
import io
import json
import os
import tarfile
import time

import pytest

from conftest import tar_of
from harness import images, leaks
from harness.images import Layer
from harness.wait import SLOW

SYM, LNK, REG, DIR, CHR, BLK, FIFO = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.REGTYPE, tarfile.DIRTYPE,
                                      tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)


def attempt(api, image, cmd=("true",), **kw):
    """(status of the start or create, container's exit code or None, its output, error's text)."""
    kw.setdefault("HostConfig", {}).setdefault("NetworkMode", "none")
    created = api.request("POST", "/containers/create", dict(kw, Image=image, Cmd=list(cmd)))
    if created.status != 201:
        return created.status, None, "", created.message
    cid = created.json["Id"]
    try:
        started = api.request("POST", "/containers/%s/start" % cid)
        if started.status != 204:
            return started.status, None, "", started.message
        code = api.wait(cid, timeout=20)
        return 204, code, api.logs(cid).decode(errors="replace"), ""
    finally:
        api.remove(cid)


# ---- links where the set-up mounts ------------------------------------------------------------------------
TARGETS = ["dev", "dev/pts", "dev/shm", "dev/mqueue", "dev/null", "dev/console", "dev/fd", "proc", "proc/sys",
           "proc/kcore", "sys", "sys/fs", "sys/fs/cgroup", "etc", "etc/hosts", "etc/hostname",
           "etc/resolv.conf", "sbin", "sbin/docker-init"]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("shape", ["%s", "../../../../../..%s", "%s/file", "%s/new", "/proc/1/root%s",
                                   "/proc/self/cwd%s", "/proc/self/fd/3"])
def test_link_in_the_way(daemon, api, hostile, victim, target, shape):
    """CVE-2026-41579, CVE-2026-47766, CVE-2025-31133, CVE-2025-52565, CVE-2019-16884."""
    link = shape % victim if "%s" in shape else shape
    image = hostile.make("link", Layer().symlink(target, link))
    mounts = leaks.mounts()
    for tty in (False, True):
        status, _, out, text = attempt(
            api, image, ["sh", "-c", "echo x >/dev/null; cat /proc/self/mountinfo"], Tty=tty,
            HostConfig={"Init": True})
        assert status == 204 or text
        if status == 204:
            types = {l.split()[4]: l.split()[l.split().index("-") + 1] for l in out.splitlines()
                     if " - " in l}
            assert types.get("/proc") == "proc" and types.get("/sys") == "sysfs"
    attempt(api, image, HostConfig={"Privileged": True})
    assert not [m for m in leaks.mounts() - mounts if daemon.root in m or str(victim) in m]
    assert daemon.process.poll() is None


@pytest.mark.parametrize("what", ["null", "zero", "ptmx", "console"])
def test_devices_of_the_image_are_not_used(api, hostile, what):
    """CVE-2025-31133: a mask that is made of the image's own /dev/null would be no mask."""
    image = hostile.make("nodes", Layer().symlink("dev/" + what, "/proc/sysrq-trigger"))
    status, code, out, _ = attempt(api, image, [
        "sh", "-c", "head -c 1 /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | grep -v ==; "
                    "test -c /dev/null && stat -c %t:%T /dev/null"])
    assert (status, code) == (204, 0) and out.split() == ["1:3"]


@pytest.mark.parametrize("config", [{"Volumes": {"/proc": {}}}, {"Volumes": {"/proc/sys": {}}},
                                    {"Volumes": {"/proc/self/attr": {}}}, {"Volumes": {"/proc/../proc": {}}},
                                    {"Volumes": {"/x": {}}}, {"Volumes": {"/x/self": {}}}])
def test_volume_over_proc(api, hostile, config):
    """CVE-2019-16884, CVE-2019-19921, CVE-2025-52881: labels and sysctls would be written to a fake."""
    image = hostile.make("overproc", Layer().symlink("x", "proc"), **config)
    status, _, out, text = attempt(api, image, ["cat", "/proc/self/mountinfo"])
    covered = [l for l in out.splitlines() if l.split()[4].startswith("/proc")
               and l.split()[l.split().index("-") + 1] not in ("proc", "tmpfs")]
    assert not covered
    assert status >= 400 and "proc" in text


def test_bind_over_proc_by_the_user(api, tmp_path):
    for target in ("/proc", "/proc/sys", "/proc/1", "/proc//sys/kernel", "/proc/../proc/self"):
        status, _, _, text = attempt(api, "busybox", HostConfig={"Binds": ["%s:%s" % (tmp_path, target)]})
        assert status >= 400 and "/proc" in text, target


# ---- working directories -----------------------------------------------------------------------------------
def test_workdir_of_a_descriptor(api, hostile, victim):
    """CVE-2024-21626: a leaked descriptor as the working directory."""
    image = hostile.make("fd", Layer())
    script = "cat .%s/file ../../../..%s/file 2>/dev/null; ls -d /proc/self/cwd/../../../../..%s" % (
        (victim,) * 3)
    for number in list(range(0, 40)) + [63, 100, 254, 255, 256]:
        for path in ("/proc/self/fd/%d" % number, "/proc/1/fd/%d/../../.." % number):
            status, code, out, text = attempt(api, image, ["sh", "-c", script], WorkingDir=path)
            assert "of the host" not in out
            assert status >= 400 and text or code != 0, path


def test_workdir_of_a_descriptor_in_exec(api, victim):
    cid = api.run(["sleep", "1000"])
    for number in list(range(0, 40)) + [63, 100, 255]:
        body = {"Cmd": ["sh", "-c", "cat ./%s/file ../../../%s/file; ls -la ." % (victim, victim)],
                "WorkingDir": "/proc/self/fd/%d" % number, "AttachStdout": True}
        eid = api.ok("POST", "/containers/%s/exec" % cid, body).json["Id"]
        answer = api.request("POST", "/exec/%s/start" % eid, {"Detach": False})
        assert b"of the host" not in answer.body
    assert api.exec(cid, ["true"])[0] == 0


@pytest.mark.parametrize("link", ["%s", "%s/made", "../../../../../../../..%s/made"])
def test_workdir_through_a_link(api, hostile, victim, link):
    """CVE-2026-55686: making and owning a folder of the host."""
    image = hostile.make("wd", Layer().symlink("a", link % victim))
    for path in ("/a", "/a/b", "/a/../a/c"):
        status, code, out, text = attempt(api, image, ["pwd"], WorkingDir=path, User="1000:1000")
        assert status == 204 and code == 0 and out.startswith("/") or text


# ---- users -------------------------------------------------------------------------------------------------
BAD_USERS = ["4294967296", "4294967295", "2147483648", "-1", "+0", "0x0", "0x10", "1000:9e9", "1e3", " 0", "0 ",
             "१०००", "٠", "nosuch", "root:nosuch", "1000:-1", "1000:4294967296", "root:+0", "18446744073709551616",
             "0.0", "root,", "\t0"]


@pytest.mark.parametrize("user", BAD_USERS)
def test_user_that_is_none(api, user):
    """CVE-2026-30892, CVE-2024-40635: what is not understood must not become root."""
    status, _, out, text = attempt(api, "busybox", ["id"], User=user)
    assert status >= 400 and text, out
    cid = api.run(["sleep", "1000"])
    answer = api.request("POST", "/containers/%s/exec" % cid, {"Cmd": ["id"], "User": user,
                                                               "AttachStdout": True})
    if answer.status == 201:
        eid = answer.json["Id"]
        api.request("POST", "/exec/%s/start" % eid, {"Detach": False})
        assert api.get("/exec/%s/json" % eid)["ExitCode"] not in (0, None)


@pytest.mark.parametrize("group", ["4294967296", "-1", "+0", "0x0", "nosuch", "1e3"])
def test_group_that_is_none(api, group):
    status, _, out, text = attempt(api, "busybox", ["id"], HostConfig={"GroupAdd": [group]})
    assert status >= 400 and text, out


@pytest.mark.parametrize("line", ["evil:x:4294967296:0::/:", "evil:x:-1:0::/:", "evil:x:0x0:0::/:",
                                  "evil:x::0::/:", "evil:x:99999999999999999999:0::/:", "evil:x:+0:0::/:",
                                  "evil:x", "evil"])
def test_passwd_line_that_is_none(api, hostile, line):
    image = hostile.make("line", Layer().add("etc/passwd", data=(line + "\n").encode()))
    status, _, out, text = attempt(api, image, ["id", "-u"], User="evil")
    assert status >= 400 and text, out


def passwd_layers():
    yield "fifo", Layer().add("etc/passwd", FIFO)
    yield "zero", Layer().symlink("etc/passwd", "/dev/zero")
    yield "tty", Layer().symlink("etc/passwd", "/dev/tty")
    yield "loop", Layer().symlink("etc/passwd", "passwd")
    yield "folder", Layer().directory("etc/passwd")
    yield "link to a folder", Layer().symlink("etc/passwd", "/etc")
    yield "huge", Layer().add("etc/passwd", data=b"x:x:1:1::/:\n" * (2 << 20))
    yield "one line", Layer().add("etc/passwd", data=b"a" * (8 << 20))
    yield "nul", Layer().add("etc/passwd", data=b"root\0:x:0:0::/:\n" * 100)
    yield "proc", Layer().symlink("etc/passwd", "/proc/kmsg")
    yield "pipe", Layer().symlink("etc/passwd", "/dev/stdin")
    yield "groups", Layer().add("etc/group", data=b"".join(b"g%d:x:%d:nobody\n" % (n, n + 70)
                                                           for n in range(50000)))


@pytest.mark.limit(60)
@pytest.mark.parametrize("name,layer", [pytest.param(*p, id=p[0]) for p in passwd_layers()])
def test_user_database_that_bites(api, hostile, memory, name, layer):
    """CVE-2024-9676: a FIFO that hangs whoever reads it."""
    image = hostile.make("db", layer)
    for user in ("nobody", "1000", ""):
        start = time.monotonic()
        status, _, _, text = attempt(api, image, ["true"], User=user, OpenStdin=True)
        assert status == 204 or text, name
        assert time.monotonic() - start < 10 * SLOW
    memory.assert_bounded()


# ---- archives that climb -------------------------------------------------------------------------------------
def find_marker(daemon, marker):
    """Where files of that name are below the daemon's roots, outside of what belongs to containers."""
    found = []
    for where, dirs, files in os.walk(daemon.root):
        for name in dirs + files:
            if marker in name:
                found.append(os.path.relpath(os.path.join(where, name), daemon.root))
    return found


def escapes(marker, victim):
    """(id, entries of a tar)"""
    up = "../" * 12
    data = b"escaped"
    yield "dotdot", [("../" + marker, REG, data)]
    yield "far up", [(up + "tmp/" + marker, REG, data)]
    yield "in the middle", [("a/../../../" + marker, REG, data)]
    yield "absolute", [(str(victim) + "/" + marker, REG, data)]
    yield "absolute over a file", [(str(victim) + "/file", REG, data)]
    yield "link and through", [("l", SYM, str(victim)), ("l/" + marker, REG, data)]
    yield "relative link and through", [("l", SYM, up + str(victim)[1:]), ("l/file", REG, data)]
    yield "link and folder", [("l", SYM, str(victim)), ("l", DIR), ("l/" + marker, REG, data)]
    yield "link chain", [("a", SYM, "b"), ("b", SYM, str(victim)), ("a/" + marker, REG, data)]
    yield "file through a link", [("f", SYM, str(victim) + "/file"), ("f", REG, data)]
    yield "new file through a link", [("f", SYM, str(victim) + "/" + marker), ("f", REG, data)]
    yield "hard link out", [("h", LNK, up + str(victim)[1:] + "/file"), ("h", REG, data)]
    yield "hard link absolute", [("h", LNK, str(victim) + "/file"), ("h", REG, data)]
    yield "hard link through a link", [("l", SYM, str(victim)), ("h", LNK, "l/file"), ("h", REG, data)]
    yield "hard link to a link", [("l", SYM, str(victim) + "/file"), ("h", LNK, "l"), ("h", REG, data)]
    yield "twice", [("t", DIR), ("t", SYM, str(victim)), ("t", DIR), ("t/" + marker, REG, data)]
    yield "pax path", [("innocent", REG, data, {"path": up + str(victim)[1:] + "/" + marker})]
    yield "pax link", [("l", SYM, "innocent", {"linkpath": str(victim)}), ("l/" + marker, REG, data)]
    yield "whiteout of dotdot", [("a/.wh...", REG), (".wh...", REG)]
    yield "whiteout of dot", [("a/.wh..", REG), (".wh..", REG)]
    yield "whiteout of nothing", [(".wh.", REG), ("a/.wh.", REG)]
    yield "whiteout through a link", [("l", SYM, str(victim)), ("l/.wh.file", REG)]
    yield "opaque through a link", [("l", SYM, str(victim)), ("l/.wh..wh..opq", REG)]
    yield "whiteout climbing", [("../../.wh.file", REG)]
    yield "folder over a link", [("l", SYM, str(victim)), ("l/sub", DIR), ("l/sub/" + marker, REG, data)]
    yield "mode of a link", [("l", SYM, str(victim)), ("l", DIR)]
    yield "empty name", [("", REG, data), (".", REG, data), ("/", REG, data), ("..", REG, data)]
    yield "newline", [("a\n../" + marker, REG, data)]
    yield "backslash", [("..\\..\\" + marker, REG, data)]
    yield "fifo through a link", [("l", SYM, str(victim)), ("l/" + marker, FIFO)]
    yield "device through a link", [("l", SYM, str(victim)), ("l/" + marker, CHR, (1, 3))]
    yield "xattrs", [("x", REG, data, {"SCHILY.xattr.trusted.overlay.redirect": "/" + marker,
                                       "SCHILY.xattr.trusted.overlay.metacopy": "",
                                       "SCHILY.xattr.security.capability": "x"})]


NAMES = [name for name, _ in escapes("m", "/v")]


@pytest.mark.parametrize("name", NAMES)
def test_layer_that_climbs(daemon, api, hostile, victim, name):
    """CVE-2014-6407, CVE-2014-9357 and their kind, at load."""
    marker = "fence-escape-%d" % os.getpid()
    entries = dict(escapes(marker, victim))[name]
    answer = hostile.load("climb", tar_of(*entries))
    if answer.status == 200 and b"errorDetail" not in answer.body:
        attempt(api, "climb", ["sh", "-c", "ls -laR / >/dev/null 2>&1; true"])
    outside = [p for p in find_marker(daemon, marker) if "/diff/" not in p]
    assert not outside
    assert not os.path.exists("/tmp/" + marker) and not os.path.exists("/" + marker)
    assert daemon.process.poll() is None
    assert api.output(["true"])[0] == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("running", [True, False], ids=["running", "created"])
def test_upload_that_climbs(daemon, api, cp, victim, name, running):
    """PUT archive; with the container running and not."""
    marker = "fence-escape-%d" % os.getpid()
    entries = dict(escapes(marker, victim))[name]
    cid = api.create(cmd=["sleep", "1000"])
    if running:
        api.start(cid)
    for where in ("/tmp", "/"):
        answer = cp.put(cid, where, tar_of(*entries))
        assert answer.status in (200, 400, 403, 500)
    outside = [p for p in find_marker(daemon, marker)
               if not p.startswith("data/containers/%s/" % cid) and "/diff/" not in p]
    assert not outside
    assert not os.path.exists("/tmp/" + marker) and not os.path.exists("/" + marker)
    assert api.output(["true"])[0] == 0


def test_device_nodes_of_an_image(api, hostile):
    """They may be there; the devices control group is the barrier, also with everybody's mode."""
    image = hostile.make("disk", tar_of(("disk", BLK, (8, 0)), ("disk2", BLK, (254, 0)), ("mem", CHR, (1, 1)),
                                        ("kmsg", CHR, (1, 11)), ("loop", BLK, (7, 0))))
    for host in ({}, {"CapAdd": ["SYS_ADMIN", "MKNOD", "SYS_RAWIO"]},
                 {"Privileged": True, "UsernsMode": "private"}):
        _, _, out, _ = attempt(api, image, ["sh", "-c", "for d in /disk /disk2 /mem /kmsg /loop; do "
                                            "chmod 666 $d; head -c 1 $d >/dev/null 2>&1 && echo read; "
                                            "( : >>$d ) 2>/dev/null && echo write; done; true"],
                               HostConfig=dict(host))
        assert not out.split(), host


# ---- archives of images -----------------------------------------------------------------------------------------
def docker_archive(victim, change):
    """A docker archive whose manifest and files `change` has had in its hands."""
    layer = tar_of(("unique", REG, os.urandom(16))) # a layer that is known already would not be read
    config = json.loads(images.image_config([layer], {}, "x"))
    state = {"manifest": [{"Config": "c.json", "RepoTags": ["evil:latest"], "Layers": ["l.tar"]}],
             "files": {"l.tar": layer}, "links": {}, "config": config}
    change(state, str(victim))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        state["files"].setdefault("c.json", json.dumps(state["config"]).encode())
        state["files"]["manifest.json"] = json.dumps(state["manifest"]).encode()
        for name, (kind, target) in state["links"].items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, target
            tar.addfile(entry)
        for name, data in state["files"].items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def set_first(key, value):
    def change(state, victim):
        v = value.replace("VICTIM", victim) if isinstance(value, str) else [
            x.replace("VICTIM", victim) for x in value]
        state["manifest"][0][key] = v
    return change


def link_layer(kind, target):
    def change(state, victim):
        del state["files"]["l.tar"]
        state["links"]["l.tar"] = (kind, target.replace("VICTIM", victim))
    return change


def set_diff_ids(*ids):
    def change(state, _victim):
        state["config"]["rootfs"]["diff_ids"] = list(ids)
    return change


ARCHIVES = {
    "config up": set_first("Config", "../../../../../../../..VICTIM/file"),
    "config absolute": set_first("Config", "VICTIM/file"),
    "layer up": set_first("Layers", ["../../../../../../../..VICTIM/file"]),
    "layer absolute": set_first("Layers", ["VICTIM/file"]),
    "layer is a link": link_layer(SYM, "VICTIM/file"),
    "layer is a hard link": link_layer(LNK, "VICTIM/file"),
    "layer is a relative link": link_layer(SYM, "../../../../../../../../../../..VICTIM/file"),
    "layer is a fifo": link_layer(FIFO, ""),
    "tag climbs": set_first("RepoTags", ["../../../evil:latest"]),
    "tag of nothing": set_first("RepoTags", ["..:..", ":", "/", "a//b:c", "A:B C"]),
    "digest of another layer": set_diff_ids("sha256:" + "0" * 64),
    "digest that climbs": set_diff_ids("sha256:../../../../../../../../../../tmp/evil"),
    "digest too short": set_diff_ids("sha256:abc"),
    "digest unknown": set_diff_ids("md5:" + "0" * 32),
    "more digests than layers": set_diff_ids(*["sha256:" + "0" * 64] * 5000),
    "no digests": set_diff_ids(),
}


@pytest.mark.parametrize("name", sorted(ARCHIVES))
def test_archive_that_climbs(daemon, api, victim, name):
    data = docker_archive(victim, ARCHIVES[name])
    answer = api.request("POST", "/images/load", data, {"Content-Type": "application/x-tar"})
    assert answer.status >= 400 or b"error" in answer.body, answer.body
    assert b"of the host" not in answer.body
    assert api.output(["true"])[0] == 0 and daemon.process.poll() is None
    assert "evil:latest" not in json.dumps(api.get("/images/json"))


def test_layer_that_claims_more_than_there_is(api, hostile, memory):
    """Sizes are not believed before the data is there."""
    entry = tarfile.TarInfo("big")
    entry.size = 1 << 42
    for data in (entry.tobuf(tarfile.GNU_FORMAT) + b"x" * 1024, entry.tobuf(tarfile.PAX_FORMAT),
                 b"\xff" * 512, entry.tobuf(tarfile.GNU_FORMAT)[:300]):
        answer = hostile.load("claims", data)
        assert answer.status >= 400 or b"error" in answer.body
    memory.assert_bounded()
    assert api.output(["true"])[0] == 0


@pytest.mark.limit(120)
def test_bomb(api, cp, memory):
    """CVE-2017-14992: what is small compressed may be large, but never in memory."""
    raw = io.BytesIO()
    with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6) as z:
        entry = tarfile.TarInfo("zeros")
        entry.size = 256 << 20
        z.write(entry.tobuf())
        for _ in range(256):
            z.write(bytes(1 << 20))
        z.write(bytes(1024))
    cid = api.create(cmd=["true"])
    answer = cp.put(cid, "/tmp", raw.getvalue())
    assert answer.status in (200, 400, 500)
    memory.assert_bounded(32)


@pytest.mark.parametrize("depth", [300, 2000])
def test_deep_folders(daemon, api, hostile, depth):
    name = "/".join(["d"] * depth)
    hostile.load("deep", tar_of((name, DIR)))
    assert daemon.process.poll() is None and api.output(["true"])[0] == 0


# ---- helpers of the image ---------------------------------------------------------------------------------------
HELPERS = ["unpigz", "pigz", "gzip", "gunzip", "xz", "unxz", "xzcat", "zstd", "unzstd", "bzip2", "tar", "nsenter",
           "ps", "mount", "umount", "modprobe", "newuidmap", "getent", "unshare", "docker-init", "fence-init"]


def test_helpers_of_the_image_never_run(api, hostile, cp):
    """CVE-2026-41567, CVE-2022-1227, CVE-2019-14271."""
    import bz2
    import lzma
    layer = Layer()
    for folder in ("usr/bin", "usr/local/bin", "usr/sbin", "usr/local/sbin"):
        for helper in HELPERS:
            layer.add("%s/%s" % (folder, helper), data=b"#!/bin/sh\necho ran >>/evil-ran\n", mode=0o755)
    for lib in ("libnss_files.so.2", "libnss_dns.so.2", "libc.so.6"):
        layer.directory("lib").directory("lib/x86_64-linux-gnu")
        layer.add("lib/x86_64-linux-gnu/" + lib, data=b"\x7fELF evil", mode=0o755)
    layer.add("etc/nsswitch.conf", data=b"passwd: evil\nhosts: evil\n")
    layer.add("etc/ld.so.preload", data=b"/evil.so\n")
    image = hostile.make("helpers", layer)
    plain = tar_of(("up", REG, b"data"))
    for running in (False, True):
        cid = api.create(cmd=["/bin/sleep", "1000"], image=image, User="nobody",
                         Env=["LD_PRELOAD=/evil.so", "PATH=/usr/local/bin:/bin"])
        if running:
            api.start(cid)
        for data in (plain, gzip.compress(plain), bz2.compress(plain), lzma.compress(plain)):
            assert cp.put(cid, "/tmp", data).status == 200
        assert cp.get(cid, "/etc").status == 200
        assert api.request("GET", "/containers/%s/export" % cid).status == 200
        if running:
            assert api.get("/containers/%s/top" % cid)["Processes"]
            assert api.request("GET", "/containers/%s/stats" % cid, stream=False).status == 200
            api.ok("POST", "/containers/%s/pause" % cid)
            api.ok("POST", "/containers/%s/unpause" % cid)
        api.request("GET", "/containers/%s/changes" % cid)
        assert cp.head(cid, "/evil-ran").status == 404
        api.remove(cid)
