# SPDX-License-Identifier: Apache-2.0
"""Names and values that become paths somewhere: of containers, volumes, control groups, sysctls."""
import os
import urllib.parse

import pytest

from harness import leaks

CLIMBING = ["..", ".", "../x", "/../x", "a/b", "a/../../b", "/etc/passwd", "../../../../tmp/x", "-x", "", " ", "a b",
            "a\nb", "a\\b", "\u202ex", "x" * 5000, "%2e%2e", "a\tb", "$(id)", "`id`", "x;y"]


def quoted(name):
    return urllib.parse.quote(name, safe="")


def snapshot():
    return {p: sorted(os.listdir(p)) for p in ("/", "/tmp", "/etc", "/var/lib", "/run", "/sys/fs/cgroup")
            if p != "/tmp"}


@pytest.mark.parametrize("name", [n for n in CLIMBING if n and len(n) < 1000]) # Docker has no limit
def test_container_names(api, name):
    a = api.request("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"NetworkMode": "none"}},
                    name=name)
    assert a.status == 400 and "Invalid container name" in a.message, a.body


@pytest.mark.parametrize("name", CLIMBING)
@pytest.mark.parametrize("method,path", [
    ("GET", "/containers/%s/json"), ("POST", "/containers/%s/start"), ("DELETE", "/containers/%s"),
    ("GET", "/containers/%s/logs?stdout=1"), ("GET", "/containers/%s/archive?path=/"),
    ("GET", "/volumes/%s"), ("DELETE", "/volumes/%s"), ("GET", "/images/%s/json"), ("DELETE", "/images/%s"),
    ("GET", "/images/%s/get"), ("GET", "/exec/%s/json"), ("GET", "/networks/%s"),
    ("POST", "/containers/%s/exec")])
def test_ids_in_paths(daemon, api, method, path, name):
    """Nothing but an answer: 4xx, with or without the escapes undone on the way."""
    before = snapshot()
    for text in (quoted(name), quoted(quoted(name))):
        a = api.request(method, path % text, {} if method == "POST" else None)
        assert 300 <= a.status < 500 or not name.strip("."), (a.status, a.body)
    assert daemon.process.poll() is None and snapshot() == before


@pytest.mark.parametrize("name", [n for n in CLIMBING if n])
def test_volume_names(daemon, api, name):
    assert api.request("POST", "/volumes/create", {"Name": name}).status == 400
    a = api.request("POST", "/containers/create", {
        "Image": "busybox", "HostConfig": {"NetworkMode": "none", "Mounts": [
            {"Type": "volume", "Source": name, "Target": "/v"}]}})
    assert a.status == 400, a.body
    assert sorted(os.listdir(daemon.data_root + "/volumes")) == sorted(
        v["Name"] for v in api.get("/volumes")["Volumes"] or [])


@pytest.mark.parametrize("tag", ["..", "../x", "a/../b", "/x", "x:../y", "x:..", "a//b", "X", "x y", "x:" + "t" * 200,
                                 "sha256:../..", "x@sha256:../../..", "-x"])
def test_tags(api, tag):
    repo, _, version = tag.partition(":")
    assert api.request("POST", "/images/busybox/tag", repo=repo, tag=version).status == 400
    cid = api.create(cmd=["true"])
    assert api.request("POST", "/commit", {}, container=cid, repo=repo, tag=version).status == 400


@pytest.mark.parametrize("parent", ["../../../../tmp/evil", "/../../../../tmp/evil", "/a/../../../../tmp/evil", "..",
                                    "/.."])
def test_cgroup_parent_stays_below(daemon, api, parent):
    before = snapshot()
    a = api.request("POST", "/containers/create", {
        "Image": "busybox", "Cmd": ["cat", "/proc/self/cgroup"],
        "HostConfig": {"NetworkMode": "none", "CgroupParent": parent}})
    if a.status == 201:
        cid = a.json["Id"]
        if api.request("POST", "/containers/%s/start" % cid).status == 204:
            api.wait(cid)
            assert "/.." not in api.logs(cid).decode()
        api.remove(cid)
    assert not os.path.exists("/tmp/evil")
    for folder, names, _ in os.walk("/sys/fs/cgroup"):
        for name in [n for n in names if n == "evil"]:
            os.rmdir(os.path.join(folder, name))
    assert {k: v for k, v in snapshot().items() if "cgroup" not in k} == {
        k: v for k, v in before.items() if "cgroup" not in k}


@pytest.mark.parametrize("key", ["../../../tmp/evil", "kernel/../../../../tmp/evil", "net.ipv4/../../../etc/passwd",
                                 "/proc/sys/kernel/hostname", "net/../kernel/core_pattern", "kernel.core_pattern",
                                 "net.ipv4.../x", "net..ipv4", "", "vm.overcommit_memory", "fs.suid_dumpable",
                                 "kernel.modprobe", "kernel.sysrq"])
@pytest.mark.parametrize("host", [{}, {"Privileged": True}, {"UsernsMode": "host"}])
def test_sysctl_keys(api, key, host):
    """Only what belongs to a namespace of the container's own."""
    patterns = {}
    for name in ("kernel/core_pattern", "kernel/modprobe", "vm/overcommit_memory", "fs/suid_dumpable"):
        if not os.path.exists("/proc/sys/" + name):
            continue
        with open("/proc/sys/" + name, encoding="utf-8") as f:
            patterns[name] = f.read()
    a = api.request("POST", "/containers/create", {
        "Image": "busybox", "Cmd": ["true"],
        "HostConfig": dict(host, NetworkMode="none", Sysctls={key: "1"})})
    if a.status == 201:
        s = api.request("POST", "/containers/%s/start" % a.json["Id"])
        assert s.status >= 400, s.body
    for name, text in patterns.items():
        with open("/proc/sys/" + name, encoding="utf-8") as f:
            assert f.read() == text


def test_sysctls_of_shared_namespaces(api):
    """net.* with the host's network namespace would set the host's."""
    for host in ({"NetworkMode": "host", "Sysctls": {"net.ipv4.ip_forward": "1"}},
                 {"IpcMode": "host", "Sysctls": {"kernel.shmmax": "1"}}):
        a = api.request("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"], "HostConfig": host})
        if a.status == 201:
            a = api.request("POST", "/containers/%s/start" % a.json["Id"])
        assert a.status >= 400, host


@pytest.mark.parametrize("inside", ["../../evil", "/dev/../../../../../tmp/evil", "/../../tmp/evil", "evil", "/dev/..",
                                    "/dev/", "/", ".", ".."])
def test_device_paths(daemon, api, inside):
    mounts = leaks.mounts()
    for host in ({}, {"UsernsMode": "host"}):
        a = api.request("POST", "/containers/create", {
            "Image": "busybox", "Cmd": ["true"], "HostConfig": dict(host, NetworkMode="none", Devices=[
                {"PathOnHost": "/dev/null", "PathInContainer": inside, "CgroupPermissions": "rwm"}])})
        if a.status == 201:
            if api.request("POST", "/containers/%s/start" % a.json["Id"]).status == 204:
                api.wait(a.json["Id"])
    assert not os.path.exists("/tmp/evil") and not os.path.exists("/evil")
    assert not [m for m in leaks.mounts() - mounts if daemon.root in m] and daemon.process.poll() is None


@pytest.mark.parametrize("target", ["../../../tmp/evil", "/../../../tmp/evil", "/a/../../../../tmp/evil", "evil"])
def test_mount_targets(api, target, tmp_path):
    for mount in ({"Type": "bind", "Source": str(tmp_path), "Target": target},
                  {"Type": "tmpfs", "Target": target}, {"Type": "volume", "Target": target}):
        a = api.request("POST", "/containers/create", {
            "Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none", "Mounts": [mount]}})
        if a.status == 201:
            if api.request("POST", "/containers/%s/start" % a.json["Id"]).status == 204:
                api.wait(a.json["Id"])
    assert not os.path.exists("/tmp/evil") and not os.path.exists("/evil")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("subpath", ["..", "../x", "/..", "a/../../..", "link", "link/x", "/etc", "."])
def test_volume_subpath(api, tmp_path, subpath):
    """CVE-2023-2431's kind: a link in the volume must not lead to the host."""
    (tmp_path / "secret").write_text("of the host")
    api.output(["ln", "-s", str(tmp_path), "/v/link"], host={"Binds": ["sub:/v"]})
    a = api.request("POST", "/containers/create", {
        "Image": "busybox", "Cmd": ["sh", "-c", "cat /v/secret /v/*/secret /v/link 2>/dev/null; ls -a /v"],
        "HostConfig": {"NetworkMode": "none", "Mounts": [
            {"Type": "volume", "Source": "sub", "Target": "/v", "VolumeOptions": {"Subpath": subpath}}]}})
    if a.status == 201:
        cid = a.json["Id"]
        if api.request("POST", "/containers/%s/start" % cid).status == 204:
            api.wait(cid)
            out = api.logs(cid)
            assert b"of the host" not in out
            # what is not the subpath must not be shown in its place
            assert subpath == "." or b"link" not in out


def test_volume_subpath_is_what_is_mounted(api):
    api.output(["sh", "-c", "mkdir -p /v/a/b; echo in >/v/a/b/f; echo out >/v/f"], host={"Binds": ["subs:/v"]})
    code, out = api.output(["sh", "-c", "cat /v/f; ls /v"], host={"Mounts": [
        {"Type": "volume", "Source": "subs", "Target": "/v", "VolumeOptions": {"Subpath": "a/b"}}]})
    assert (code, out) == (0, "in\nf\n")


@pytest.mark.parametrize("runtime", ["../../bin/sh", "/bin/sh", "nosuch", "runc/../x"])
def test_runtimes(api, runtime):
    a = api.request("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"Runtime": runtime}})
    assert a.status in (400, 500) and runtime in a.message


@pytest.mark.parametrize("options", [["seccomp=/etc/passwd"], ["seccomp=../x"], ["apparmor=../../x"], ["label=user:../x"],
                                     ["nosuch=1"], ["seccomp={"], ["seccomp={}extra"], ["no-new-privileges:maybe"]])
def test_security_options(api, options):
    a = api.request("POST", "/containers/create", {
        "Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none", "SecurityOpt": options}})
    if a.status == 201 and not options[0].startswith(("apparmor", "label")): # no such module: no effect
        assert api.request("POST", "/containers/%s/start" % a.json["Id"]).status >= 400
