# SPDX-License-Identifier: Apache-2.0
"""Which containers run in the host's user namespace: a closed list, and everything else is mapped."""
import ctypes
import json
import os
import subprocess

import pytest

from harness.wait import until

TEXT = "The container uses the host's user namespace: "
OPEN_TREE_CLONE, AT_EMPTY_PATH, AT_RECURSIVE = 1, 0x1000, 0x8000
SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_MOUNT_SETATTR = 428, 429, 442
MOVE_MOUNT_F_EMPTY_PATH, MOUNT_ATTR_IDMAP = 4, 0x100000

# every capability that is checked against the host's user namespace (docs: design of the fall-back)
HOST_CAPS = """SYS_TIME SYS_MODULE SYS_RAWIO SYS_BOOT SYSLOG SYS_NICE SYS_RESOURCE IPC_LOCK
    LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE WAKE_ALARM BLOCK_SUSPEND AUDIT_CONTROL AUDIT_READ PERFMON BPF
    DAC_READ_SEARCH SYS_PACCT SYS_ADMIN ALL""".split()
INSIDE_CAPS = """CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE
    NET_BROADCAST NET_ADMIN NET_RAW IPC_OWNER SYS_CHROOT SYS_PTRACE SYS_TTY_CONFIG MKNOD LEASE
    AUDIT_WRITE SETFCAP CHECKPOINT_RESTORE""".split()


def create(api, host=None, image="busybox", **config):
    body = dict({"Cmd": ["sleep", "1000"]}, Image=image, HostConfig=dict({"NetworkMode": "none"},
                                                                         **(host or {})), **config)
    return api.request("POST", "/containers/create", body)


def is_mapped(api, cid):
    with open("/proc/%d/uid_map" % api.inspect(cid)["State"]["Pid"], encoding="ascii") as f:
        first = [int(x) for x in f.readline().split()]
    return first[1] != 0


def started(api, host=None, **config):
    """(mapped?, warnings) of a container that runs."""
    answer = create(api, host, **config)
    assert answer.status == 201, answer.body
    cid = answer.json["Id"]
    api.start(cid)
    try:
        return is_mapped(api, cid), answer.json["Warnings"] or []
    finally:
        api.remove(cid)


def fallback(warnings):
    return [w for w in warnings if w.startswith(TEXT)]


# ---- the list -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("cap", HOST_CAPS)
def test_capability_that_does_nothing_inside(api, cap):
    for spelling in (cap, "CAP_" + cap, cap.lower()):
        mapped, warnings = started(api, {"CapAdd": [spelling]})
        assert not mapped and fallback(warnings) == [
            TEXT + "capability %s has no effect inside another one" % cap], spelling


def test_every_capability_is_in_one_of_the_lists():
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as f:
        assert len(HOST_CAPS) - 1 + len(INSIDE_CAPS) >= int(f.read()) + 1


@pytest.mark.parametrize("mode,text", [("NetworkMode", "network"), ("PidMode", "PID"), ("IpcMode", "IPC")])
def test_namespace_of_the_host(api, mode, text):
    mapped, warnings = started(api, {mode: "host"})
    assert not mapped
    assert fallback(warnings) == [TEXT + "the host's %s namespace was asked for" % text]


@pytest.fixture
def overlay(tmp_path):
    """A data file system that no kernel so far can map."""
    for name in ("l", "u", "w", "m"):
        (tmp_path / name).mkdir()
    base = tmp_path / "base"
    base.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(base)], check=True)
    point = str(tmp_path / "m")
    try:
        for name in ("l", "u", "w"):
            (base / name).mkdir()
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", "lowerdir={0}/l,upperdir={0}/u,"
                        "workdir={0}/w".format(base), point], check=True)
        yield point
    finally:
        subprocess.run(["umount", "-l", point], check=False)
        subprocess.run(["umount", "-l", str(base)], check=False)


def idmapped_mount(source, target):
    """An idmapped mount of `source` at `target`, as somebody else's manager makes them."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(number, *args):
        r = libc.syscall(ctypes.c_long(number), *args)
        assert r >= 0, os.strerror(ctypes.get_errno())
        return r

    child = subprocess.Popen(["unshare", "-U", "sleep", "1000"])
    try:
        until(lambda: os.readlink("/proc/%d/ns/user" % child.pid) != os.readlink("/proc/self/ns/user"))
        for name in ("uid_map", "gid_map"):
            with open("/proc/%d/%s" % (child.pid, name), "w", encoding="ascii") as f:
                f.write("0 1879048192 65536\n")
        ns = os.open("/proc/%d/ns/user" % child.pid, os.O_RDONLY)
        fd = call(SYS_OPEN_TREE, -100, source.encode(), OPEN_TREE_CLONE)
        attr = (ctypes.c_uint64 * 4)(MOUNT_ATTR_IDMAP, 0, 0, ns)
        call(SYS_MOUNT_SETATTR, fd, b"", AT_EMPTY_PATH, attr, ctypes.c_size_t(32))
        call(SYS_MOVE_MOUNT, fd, b"", -100, target.encode(), MOVE_MOUNT_F_EMPTY_PATH)
        os.close(ns)
        os.close(fd)
    finally:
        child.kill()
        child.wait()


@pytest.fixture
def idmapped(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "sub").mkdir(parents=True)
    target.mkdir()
    idmapped_mount(str(source), str(target))
    yield str(target)
    subprocess.run(["umount", "-l", str(target)], check=False)


@pytest.mark.parametrize("how", ["Binds", "Mounts"])
@pytest.mark.parametrize("kind", ["overlay", "idmapped"])
def test_bind_that_cannot_be_mapped(api, request, how, kind):
    folder = request.getfixturevalue(kind)
    if not os.path.exists(folder + "/sub"):
        os.mkdir(folder + "/sub")
    for source in (folder, folder + "/sub"):
        host = {"Binds": [source + ":/x"]} if how == "Binds" else {
            "Mounts": [{"Type": "bind", "Source": source, "Target": "/x"}]}
        mapped, warnings = started(api, host)
        assert not mapped, source
        assert fallback(warnings) == [TEXT + "the file system of %s cannot be mapped" % source]


def test_single_file_that_cannot_be_mapped_stays_unmapped(api, overlay):
    """A file is no reason to leave the namespace."""
    with open(overlay + "/file", "w", encoding="ascii") as f:
        f.write("x")
    mapped, warnings = started(api, {"Binds": [overlay + "/file:/file"]})
    assert mapped and not fallback(warnings)


def test_userns_host(api):
    assert started(api, {"UsernsMode": "host"}) == (False, [])


def test_privileged(api):
    assert started(api, {"Privileged": True}) == (False, [])


def test_privileged_private_does_not_opt_out(api):
    mapped, warnings = started(api, {"Privileged": True, "UsernsMode": "private"})
    assert mapped and not fallback(warnings)


# ---- everything else ------------------------------------------------------------------------------------
MAPPED = [
    {}, {"CapDrop": ["ALL"]}, {"CgroupnsMode": "host"}, {"CgroupnsMode": "private"}, {"UTSMode": "host"},
    {"UsernsMode": "private"}, {"ReadonlyRootfs": True}, {"Init": True}, {"AutoRemove": False},
    {"NetworkMode": "bridge"}, {"NetworkMode": "default"}, {"NetworkMode": "none"},
    {"IpcMode": "private"}, {"IpcMode": "shareable"}, {"IpcMode": "none"}, {"ShmSize": 1 << 20},
    {"SecurityOpt": ["seccomp=unconfined"]}, {"SecurityOpt": ["no-new-privileges"]},
    {"SecurityOpt": ["label=disable"]},
    {"MaskedPaths": [], "ReadonlyPaths": []},
    {"SecurityOpt": ["apparmor=unconfined"]}, {"Memory": 64 << 20}, {"NanoCpus": 500000000},
    {"CpuShares": 100}, {"CpusetCpus": "0"}, {"PidsLimit": 100}, {"OomScoreAdj": 500},
    {"BlkioWeight": 100}, {"GroupAdd": ["10", "users"]}, {"ExtraHosts": ["a:1.2.3.4"]},
    {"Dns": ["1.1.1.1"]}, {"DnsSearch": ["x"]}, {"Tmpfs": {"/t": "size=1m"}},
    {"Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"}]},
    {"Devices": [{"PathOnHost": "/dev/zero", "PathInContainer": "/dev/y", "CgroupPermissions": "r"}]},
    {"DeviceCgroupRules": ["c 10:200 rwm"]}, {"Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}]},
    {"Sysctls": {"kernel.shmmax": "1048576"}}, {"RestartPolicy": {"Name": "always"}},
    {"LogConfig": {"Type": "none", "Config": {}}},
    {"Binds": ["/etc/hostname:/h:ro"]}, {"Binds": ["/etc:/h:ro"]}, {"Binds": ["/proc/sys:/h:ro"]},
    {"Binds": ["/sys:/h:ro"]}, {"Binds": ["/sys/fs/cgroup:/sys/fs/cgroup:ro"]}, {"Binds": ["/dev:/h"]},
    {"Binds": ["/dev/null:/h"]}, {"Binds": ["vol:/v"]}, {"Binds": ["vol2:/v:ro,nocopy"]},
    {"Mounts": [{"Type": "volume", "Source": "vol3", "Target": "/v"}]},
    {"Mounts": [{"Type": "tmpfs", "Target": "/v"}]},
]


@pytest.mark.parametrize("host", MAPPED, ids=json.dumps)
def test_everything_else_is_mapped(api, host):
    mapped, warnings = started(api, host)
    assert mapped and not fallback(warnings)


@pytest.mark.parametrize("cap", INSIDE_CAPS)
def test_capabilities_that_work_inside(api, cap):
    mapped, warnings = started(api, {"CapAdd": [cap]})
    assert mapped and not fallback(warnings)


@pytest.mark.parametrize("config", [
    {"User": "1000"}, {"User": "1000:1000"}, {"Tty": True}, {"OpenStdin": True}, {"WorkingDir": "/a/b"},
    {"Hostname": "x", "Domainname": "y"}, {"Env": ["A=b"]}, {"Volumes": {"/v": {}}},
    {"ExposedPorts": {"80/tcp": {}}}, {"Entrypoint": ["sleep"], "Cmd": ["1000"]}, {"StopSignal": "INT"},
    {"Labels": {"a": "b"}}, {"Healthcheck": {"Test": ["CMD", "true"]}},
    {"MacAddress": "02:42:ac:11:00:09"}], ids=json.dumps)
def test_every_config_is_mapped(api, config):
    mapped, warnings = started(api, **config)
    assert mapped and not fallback(warnings)


def test_volumes_from_is_mapped(api):
    source = create(api, {"Binds": ["shared:/data"]}).json["Id"]
    mapped, warnings = started(api, {"VolumesFrom": [source]})
    assert mapped and not fallback(warnings)


# ---- what the user is told -------------------------------------------------------------------------------
def test_who_is_told(daemon, api):
    answer = create(api, {"CapAdd": ["SYS_ADMIN"]})
    cid, text = answer.json["Id"], TEXT + "capability SYS_ADMIN has no effect inside another one"
    assert text in answer.json["Warnings"]
    assert text.split(": ", 1)[1] in daemon.log()
    assert text in json.dumps(api.inspect(cid)), "inspect names it for as long as the container is there"


def test_docker_shows_the_warning(docker_cli, api):
    r = docker_cli("run", "--rm", "--net", "host", "busybox", "true")
    assert r.returncode == 0 and "WARNING: " + TEXT in r.stderr


def test_refuse(new_daemon):
    daemon = new_daemon(start=False)
    with open(daemon.root + "/daemon.json", "w", encoding="ascii") as f:
        json.dump({"userns-fallback": "refuse"}, f)
    daemon.start()
    daemon.load_busybox()
    api = daemon.api
    for host in ({"CapAdd": ["SYS_ADMIN"]}, {"CapAdd": ["ALL"]}, {"NetworkMode": "host"},
                 {"PidMode": "host"}, {"IpcMode": "host"}):
        answer = create(api, host)
        assert answer.status == 400 and "userns-fallback" in answer.message, host
        assert "user namespace" in answer.message
        # who says so gets it
        assert started(api, dict(host, UsernsMode="host"))[0] is False
    assert not api.get("/containers/json", all=1)
    assert started(api) == (True, [])
    assert started(api, {"Privileged": True}) == (False, [])
    # nor through the back door of somebody else's namespaces
    owner = create(api, {"UsernsMode": "host"}).json["Id"]
    api.start(owner)
    joiner = create(api, {"NetworkMode": "container:" + owner}).json["Id"]
    answer = api.request("POST", "/containers/%s/start" % joiner)
    assert answer.status >= 400 and "user namespace" in answer.message


def test_unknown_modes_are_refused(api):
    for mode in ("container:x", "keep-id", "auto", "Host", "/proc/1/ns/user", "private:x"):
        assert create(api, {"UsernsMode": mode}).status == 400, mode


# ---- sharing ---------------------------------------------------------------------------------------------
def userns(api, cid):
    return os.readlink("/proc/%d/ns/user" % api.inspect(cid)["State"]["Pid"])


@pytest.mark.parametrize("mode,ns", [("NetworkMode", "net"), ("IpcMode", "ipc"), ("PidMode", "pid")])
def test_shared_namespace_means_shared_user_namespace(api, mode, ns):
    owner = api.run(["sleep", "1000"], host={"IpcMode": "shareable"})
    joiner = create(api, {mode: "container:" + owner}).json["Id"]
    api.start(joiner)
    assert userns(api, owner) == userns(api, joiner)
    pids = [api.inspect(c)["State"]["Pid"] for c in (owner, joiner)]
    assert os.readlink("/proc/%d/ns/%s" % (pids[0], ns)) == os.readlink("/proc/%d/ns/%s" % (pids[1], ns))
    code, _ = api.exec(joiner, ["sh", "-c", "test $(id -u) = 0"])
    assert code == 0


def test_all_three_of_one_container(api):
    owner = api.run(["sleep", "1000"], host={"IpcMode": "shareable"})
    mode = "container:" + owner
    joiner = create(api, {"NetworkMode": mode, "IpcMode": mode, "PidMode": mode}).json["Id"]
    api.start(joiner)
    assert userns(api, owner) == userns(api, joiner)


def test_chains_share(api):
    a = api.run(["sleep", "1000"])
    b = create(api, {"NetworkMode": "container:" + a}).json["Id"]
    api.start(b)
    c = create(api, {"PidMode": "container:" + b}).json["Id"]
    api.start(c)
    assert userns(api, a) == userns(api, b) == userns(api, c)
    # both of them have the same one: no conflict
    d = create(api, {"NetworkMode": "container:" + a, "PidMode": "container:" + c}).json["Id"]
    api.start(d)
    assert userns(api, d) == userns(api, a)


def test_two_different_ones_are_refused(api):
    a, b = api.run(["sleep", "1000"]), api.run(["sleep", "1000"])
    c = create(api, {"NetworkMode": "container:" + a, "PidMode": "container:" + b}).json["Id"]
    answer = api.request("POST", "/containers/%s/start" % c)
    assert answer.status == 409 and "different user namespaces" in answer.message
    h = api.run(["sleep", "1000"], host={"UsernsMode": "host"})
    c = create(api, {"NetworkMode": "container:" + a, "PidMode": "container:" + h}).json["Id"]
    answer = api.request("POST", "/containers/%s/start" % c)
    assert answer.status == 409 and "different user namespaces" in answer.message


def test_joiner_that_needs_the_hosts(api):
    owner = api.run(["sleep", "1000"])
    answer = create(api, {"NetworkMode": "container:" + owner, "CapAdd": ["SYS_ADMIN"]})
    api.start(answer.json["Id"])
    assert not is_mapped(api, answer.json["Id"]) and fallback(answer.json["Warnings"])
    pids = [api.inspect(c)["State"]["Pid"] for c in (owner, answer.json["Id"])]
    assert os.readlink("/proc/%d/ns/net" % pids[0]) == os.readlink("/proc/%d/ns/net" % pids[1])


def test_joiner_of_one_in_the_hosts(daemon, api):
    owner = api.run(["sleep", "1000"], host={"UsernsMode": "host"})
    joiner = create(api, {"NetworkMode": "container:" + owner}).json["Id"]
    api.start(joiner)
    assert not is_mapped(api, joiner)
    assert joiner in [l for l in daemon.log().splitlines() if "host's user namespace" in l][-1]


# ---- ranges ------------------------------------------------------------------------------------------------
def base_of(api, cid):
    with open("/proc/%d/uid_map" % api.inspect(cid)["State"]["Pid"], encoding="ascii") as f:
        return int(f.readline().split()[1])


def test_ranges_are_leased(daemon, api):
    ids = [api.run(["sleep", "1000"]) for _ in range(4)]
    bases = [base_of(api, cid) for cid in ids]
    assert len(set(bases)) == 4
    for base in bases:
        assert base % 65536 == 0 or base > 65536
        path = "%s/%d" % (daemon.idmap_dir, base)
        assert os.stat(path).st_mode & 0o077 == 0
    for cid in ids:
        api.remove(cid)
    assert not os.listdir(daemon.idmap_dir)


def test_range_stays_leased_while_somebody_uses_it(daemon, api):
    """The container that took it ends first."""
    owner = api.run(["sleep", "1000"])
    joiners = []
    for _ in range(2):
        joiners.append(create(api, {"NetworkMode": "container:" + owner}).json["Id"])
        api.start(joiners[-1])
    base = base_of(api, owner)
    path = "%s/%d" % (daemon.idmap_dir, base)
    api.remove(owner)
    assert os.path.exists(path) and base_of(api, joiners[0]) == base
    with open(path, encoding="ascii") as f:
        assert os.path.isdir(f.read()), "and it is not stale"
    api.remove(joiners[0])
    assert os.path.exists(path)
    with open(path, encoding="ascii") as f:
        assert os.path.isdir(f.read())
    api.remove(joiners[1])
    assert not os.path.exists(path)


def test_range_stays_leased_over_a_restart_of_the_daemon(new_daemon):
    daemon = new_daemon()
    api = daemon.api
    owner = api.run(["sleep", "1000"])
    joiner = create(api, {"NetworkMode": "container:" + owner}).json["Id"]
    api.start(joiner)
    base = base_of(api, owner)
    api.remove(owner)
    daemon.crash()
    other = api.run(["sleep", "1000"])
    assert base_of(api, other) != base == base_of(api, joiner)
    api.remove(joiner)
    api.remove(other)
    assert not os.listdir(daemon.idmap_dir)


# ---- what privileged and mapped means ------------------------------------------------------------------------
def test_privileged_private_cannot_reach_disks(api):
    """It keeps its namespace, so root in it must not own the nodes of the host's disks and memory."""
    cid = api.run(["sleep", "1000"], host={"Privileged": True, "UsernsMode": "private"})
    _, out = api.exec(cid, ["sh", "-c", "for d in /dev/sd* /dev/vd* /dev/nvme* /dev/mem /dev/loop* "
                            "/dev/dm-* /dev/port /dev/kmsg; do test -e $d || continue; "
                            "dd if=$d of=/dev/null bs=1 count=1 2>/dev/null && echo $d; "
                            "( : >>$d ) 2>/dev/null && echo $d; done; "
                            "for n in 'b 8 0' 'b 254 0' 'c 1 1' 'c 1 11'; do rm -f /n; mknod /n $n 2>/dev/null "
                            "&& dd if=/n of=/dev/null bs=1 count=1 2>/dev/null && echo $n; done; true"])
    assert not out.split(), out


@pytest.mark.parametrize("mode", ["NetworkMode", "IpcMode", "PidMode"])
def test_joining_a_container_in_the_hosts_is_told(api, mode):
    owner = create(api, {"UsernsMode": "host", "IpcMode": "shareable"}).json["Id"]
    api.start(owner)
    answer = create(api, {mode: "container:" + owner}).json
    told = fallback(answer["Warnings"])
    assert len(told) == 1 and "joins namespaces of container" in told[0]
    assert api.inspect(answer["Id"])["Warnings"] == told
    api.start(answer["Id"])
    assert not is_mapped(api, answer["Id"]) and api.inspect(answer["Id"])["Warnings"] == told


def test_joining_by_a_name_that_comes_later_is_told(api):
    """What only the start can know is in inspect afterwards."""
    cid = create(api, {"NetworkMode": "container:later"}).json["Id"]
    assert not fallback(api.inspect(cid).get("Warnings") or [])
    body = {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"UsernsMode": "host"}}
    api.start(api.ok("POST", "/containers/create", body, name="later").json["Id"])
    api.start(cid)
    assert not is_mapped(api, cid)
    assert len(fallback(api.inspect(cid)["Warnings"])) == 1


def test_unmappable_mount_below_a_bind_is_told(api, tmp_path):
    for name in ("lower", "upper", "work", "bound/below"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "lower/file").write_text("x")
    at = str(tmp_path / "bound/below")
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", "lowerdir=%s,upperdir=%s,workdir=%s" % (
        tmp_path / "lower", tmp_path / "upper", tmp_path / "work"), at], check=True)
    try:
        answer = create(api, {"Binds": ["%s:/b" % (tmp_path / "bound")]}).json
        told = [w for w in answer["Warnings"] if at in w]
        assert len(told) == 1 and "belongs to nobody" in told[0] and not fallback(told)
        api.start(answer["Id"])
        assert is_mapped(api, answer["Id"]) and api.inspect(answer["Id"])["Warnings"] == told
        assert api.exec(answer["Id"], ["stat", "-c", "%u", "/b/below/file"])[1] == "65534\n"
        api.remove(answer["Id"])
        mount = {"Type": "bind", "Source": str(tmp_path / "bound"), "Target": "/b",
                 "BindOptions": {"NonRecursive": True}}
        assert started(api, {"Mounts": [mount]}) == (True, [])
    finally:
        subprocess.run(["umount", at], check=True)
