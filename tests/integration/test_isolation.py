# SPDX-License-Identifier: Apache-2.0
"""What a container is, sees and cannot do, for its first process and for execs alike."""
import os
import re

import pytest

from harness.api import Api

DEFAULT_CAPS = "00000000a80425fb"
MASKED = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug"]
MASKED_DIRS = ["/proc/acpi", "/proc/scsi", "/sys/firmware"]
READ_ONLY = ["/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"]


@pytest.fixture(params=["run", "exec"])
def inside(request, api):
    """inside(script, **create options) -> (exit code, output), of a run or of an exec."""
    def go(script, **kw):
        if request.param == "run":
            return api.output(["sh", "-c", script], **kw)
        cid = api.run(["sleep", "1000"], **kw)
        return api.exec(cid, ["sh", "-c", script], User=kw.get("User", ""))
    return go


def test_root_is_nobody_on_the_host(daemon, api):
    cid = api.run(["sleep", "1000"])
    pid = api.inspect(cid)["State"]["Pid"]
    with open("/proc/%d/uid_map" % pid, encoding="utf-8") as f:
        first = [int(x) for x in f.readline().split()]
    assert first[0] == 0 and first[1] >= 65536 and first[2] == 65536
    assert os.stat("/proc/%d" % pid).st_uid == first[1]
    other = api.run(["sleep", "1000"])
    with open("/proc/%d/uid_map" % api.inspect(other)["State"]["Pid"], encoding="utf-8") as f:
        assert int(f.readline().split()[1]) != first[1], "a range of its own"


def test_capabilities(inside):
    _, out = inside("grep Cap /proc/self/status")
    caps = dict(line.split() for line in out.splitlines())
    assert caps == {"CapInh:": "0" * 16, "CapPrm:": DEFAULT_CAPS, "CapEff:": DEFAULT_CAPS,
                    "CapBnd:": DEFAULT_CAPS, "CapAmb:": "0" * 16}


def test_capabilities_of_other_users(inside):
    _, out = inside("grep Cap /proc/self/status", User="1000")
    caps = dict(line.split() for line in out.splitlines())
    assert caps["CapEff:"] == caps["CapPrm:"] == caps["CapInh:"] == caps["CapAmb:"] == "0" * 16
    assert caps["CapBnd:"] == DEFAULT_CAPS


def test_cap_add_and_drop(inside):
    _, out = inside("grep CapEff /proc/self/status", host={"CapDrop": ["ALL"], "CapAdd": ["NET_ADMIN"]})
    assert int(out.split()[1], 16) == 1 << 12


def test_seccomp_is_on(inside):
    _, out = inside("grep Seccomp: /proc/self/status")
    assert out.split()[1] == "2"
    _, out = inside("grep Seccomp: /proc/self/status", host={"SecurityOpt": ["seccomp=unconfined"]})
    assert out.split()[1] in ("0", "2")


def test_no_new_privileges(inside):
    _, out = inside("grep NoNewPrivs /proc/self/status", host={"SecurityOpt": ["no-new-privileges"]})
    assert out.split()[1] == "1"


@pytest.mark.parametrize("path", MASKED)
def test_masked_files(inside, path):
    code, out = inside("test ! -e %s || test \"$(head -c 16 %s | wc -c)\" = 0" % (path, path))
    assert code == 0, out


@pytest.mark.parametrize("path", MASKED_DIRS)
def test_masked_folders(inside, path):
    code, out = inside("test ! -e %s || test -z \"$(ls -A %s)\"" % (path, path))
    assert code == 0, out


@pytest.mark.parametrize("path", READ_ONLY)
def test_read_only_paths(inside, path):
    code, _ = inside("test -e %s && { test -d %s && touch %s/x || echo x >%s; } 2>/dev/null" %
                     ((path,) * 4))
    assert code != 0


def test_sysfs_is_read_only(inside):
    code, _ = inside("echo 1 >/sys/kernel/mm/ksm/run 2>/dev/null || mkdir /sys/fs/cgroup/x 2>/dev/null")
    assert code != 0


def test_raw_devices_are_out_of_reach(inside):
    code, out = inside("for d in 'b 8 0' 'b 254 0' 'c 1 1' 'c 10 200'; do rm -f /n; "
                       "mknod /n $d 2>/dev/null && head -c 1 /n 2>/dev/null && echo open $d; done; ls /dev")
    assert "open" not in out
    names = set(out.split())
    assert {"null", "zero", "full", "random", "urandom", "tty", "pts", "shm", "mqueue"} <= names
    assert not {n for n in names if re.match("sd|vd|loop|mem|kmsg|kvm", n)}


def test_harmless_devices_can_be_made(inside):
    code, out = inside("mknod /n c 1 3 && echo x >/n && mknod /z c 1 5 && head -c 1 /z | od -An -tx1")
    assert code == 0 and out.split() == ["00"], out


def test_other_processes_are_not_seen(api):
    api.run(["sleep", "4321"])
    _, out = api.output(["ps"])
    assert "4321" not in out and len(out.splitlines()) == 2


def test_namespaces_are_own(api):
    cid = api.run(["sleep", "1000"])
    pid = api.inspect(cid)["State"]["Pid"]
    for ns in ("user", "pid", "mnt", "uts", "ipc", "net"):
        assert os.readlink("/proc/%d/ns/%s" % (pid, ns)) != os.readlink("/proc/self/ns/" + ns), ns


@pytest.mark.parametrize("call", ["mount -t tmpfs x /mnt", "mount -o remount,rw /proc/sys",
                                  "hostname x", "sysctl -w kernel.hostname=x",
                                  "umount /proc", "swapon /etc/passwd",
                                  "chroot /proc/1/root/.. test -e /boot"])
def test_what_root_cannot_do(inside, call):
    code, out = inside("mkdir -p /mnt; " + call)
    assert code != 0, out


def test_the_clock_is_the_hosts(inside):
    assert "Operation not permitted" in inside("date -s 2000-01-01 2>&1")[1]


def test_what_root_can_do(inside):
    code, out = inside("touch /f && chown 1234:5678 /f && chmod 4755 /f && stat -c '%u %g %a' /f && "
                       "su -s /bin/sh nobody -c 'id -u'")
    assert (code, out) == (0, "1234 5678 4755\n65534\n")


def test_standard_streams_can_be_reopened(inside):
    code, out = inside("echo through >/dev/stdout", User="1000")
    assert (code, out) == (0, "through\n")


def test_file_descriptors(inside):
    _, out = inside("ls /proc/self/fd")
    assert set(out.split()) <= {"0", "1", "2", "3"}


def test_read_only_root(inside):
    code, _ = inside("touch /x", host={"ReadonlyRootfs": True})
    assert code != 0


def test_privileged_is_the_hosts_root(api):
    cid = api.run(["sleep", "1000"], host={"Privileged": True})
    pid = api.inspect(cid)["State"]["Pid"]
    with open("/proc/%d/uid_map" % pid, encoding="utf-8") as f:
        assert f.readline().split()[:2] == ["0", "0"]
    code, _ = api.exec(cid, ["sh", "-c", "test -e /dev/kmsg && mount -t tmpfs x /tmp"])
    assert code == 0


def test_userns_host(api):
    answer = api.ok("POST", "/containers/create", {"Image": "busybox", "Cmd": ["sleep", "1000"],
                                                   "HostConfig": {"UsernsMode": "host"}}).json
    api.start(answer["Id"])
    pid = api.inspect(answer["Id"])["State"]["Pid"]
    assert os.readlink("/proc/%d/ns/user" % pid) == os.readlink("/proc/self/ns/user")


@pytest.mark.parametrize("host", [{"NetworkMode": "host"}, {"PidMode": "host"}, {"IpcMode": "host"},
                                  {"CapAdd": ["SYS_ADMIN"]}, {"CapAdd": ["SYS_TIME"]}])
def test_fallback_is_told(api, host):
    answer = api.ok("POST", "/containers/create", {"Image": "busybox", "HostConfig": host}).json
    assert [w for w in answer["Warnings"] if "user namespace" in w], answer


@pytest.mark.parametrize("host", [{}, {"CapAdd": ["NET_ADMIN"]}, {"CapAdd": ["SYS_PTRACE"]},
                                  {"Memory": 64 << 20}, {"ReadonlyRootfs": True},
                                  {"CgroupnsMode": "host"}, {"UTSMode": "host"}, {"Init": True}])
def test_everything_else_is_mapped(api, host):
    cid = api.run(["sleep", "1000"], host=host)
    pid = api.inspect(cid)["State"]["Pid"]
    with open("/proc/%d/uid_map" % pid, encoding="utf-8") as f:
        assert int(f.readline().split()[1]) >= 65536


def test_shared_namespaces_share_the_ids(api):
    first = api.run(["sleep", "1000"], name="first")
    second = api.run(["sleep", "1000"], host={"NetworkMode": "container:first", "PidMode": "container:first"})
    ns = [os.readlink("/proc/%d/ns/user" % api.inspect(c)["State"]["Pid"]) for c in (first, second)]
    assert ns[0] == ns[1]


@pytest.mark.parametrize("host", [{}, {"Privileged": True}], ids=["default", "privileged"])
@pytest.mark.parametrize("version", ["v1.40", "v1.41"])
def test_cgroup_namespace(daemon, host, version):
    """Private where the hierarchy is unified, whoever asks; the host's elsewhere."""
    unified = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    api = Api(daemon.socket, version)
    cid = api.run(["sleep", "1000"], host=dict(host))
    pid = api.inspect(cid)["State"]["Pid"]
    own = os.readlink("/proc/self/ns/cgroup") != os.readlink("/proc/%d/ns/cgroup" % pid)
    assert own == unified
    if unified:
        assert api.exec(cid, ["cat", "/proc/self/cgroup"]) == (0, "0::/\n")
    assert ("name=cgroupns" in api.get("/info")["SecurityOptions"]) == unified


def test_masked_paths_in_inspect(api):
    h = api.inspect(api.create())["HostConfig"]
    assert "/proc/kcore" in h["MaskedPaths"] and "/proc/sys" in h["ReadonlyPaths"]


def test_working_dir_of_an_image_cannot_be_a_descriptor(api):
    """A folder in /proc/self/fd must not lead to a leaked one of the host."""
    for n in range(3, 12):
        code, out = api.output(["sh", "-c", "ls ../../../../.. 2>/dev/null | head -40"],
                               WorkingDir="/proc/self/fd/%d" % n) if startable(
                                   api, "/proc/self/fd/%d" % n) else (1, "")
        assert code != 0 or "boot" not in out


def startable(api, folder):
    cid = api.create(cmd=["true"], WorkingDir=folder)
    status = api.request("POST", "/containers/%s/start" % cid).status
    api.remove(cid)
    return status == 204


def test_keyrings_are_separate(inside):
    _, out = inside("cat /proc/keys 2>/dev/null | wc -l")
    assert out.strip() == "0"


def test_id_beyond_the_range(inside):
    code, out = inside("id -u", User="100000")
    assert (code, out) == (0, "100000\n")


def test_default_bridge(api):
    code, out = api.output(["sh", "-c", "ip addr show eth0; ip route; cat /etc/hosts /etc/resolv.conf"],
                           host={"NetworkMode": "default"})
    assert code == 0 and "inet 10.213." in out and "default via 10.213." in out
    assert "127.0.0.1\tlocalhost" in out and "nameserver" in out


def test_network_none_has_only_loopback(inside):
    code, out = inside("ls /sys/class/net 2>/dev/null || ip -o link | cut -d: -f2")
    assert out.split() == ["lo"]
    assert inside("ping -c 1 -W 1 127.0.0.1")[0] == 0


def test_network_of_another_container(api):
    api.run(["sleep", "1000"], name="owner", host={"NetworkMode": "default"})
    addr = api.inspect("owner")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    code, out = api.output(["ip", "addr"], host={"NetworkMode": "container:owner"})
    assert code == 0 and addr in out


def test_hostname_and_domain(api):
    assert api.output(["hostname"], Hostname="named") == (0, "named\n")
    cid = api.create(cmd=["hostname"])
    api.start(cid)
    api.wait(cid)
    assert api.logs(cid).decode().strip() == cid[:12]


def test_masked_user_files(api):
    """Hidden like any other path; root needs no entry in them."""
    code, out = api.output(["sh", "-c", "wc -c </etc/passwd; id -u"],
                           host={"MaskedPaths": ["/etc/passwd", "/etc/group"]})
    assert (code, out.split()) == (0, ["0", "0"])


def test_mac_address(api):
    """Where API 1.44 has it, in the endpoint, and where it was before."""
    show = ["sh", "-c", "cat /sys/class/net/eth0/address"]
    for version, config in (
            ("v1.51", {"NetworkingConfig": {"EndpointsConfig": {"bridge": {"MacAddress": "02:42:0a:00:00:07"}}}}),
            ("v1.41", {"MacAddress": "02:42:0a:00:00:07"})):
        newer = Api(api.path, version)
        assert newer.output(show, host={"NetworkMode": "bridge"}, **config) == (0, "02:42:0a:00:00:07\n")
    newer = Api(api.path, "v1.51")
    for address, other, why in (("x", "", "address x: invalid MAC address"),
                                ("02:42:0a:00:00:07", "02:42:0a:00:00:08", "must match")):
        a = newer.request("POST", "/containers/create", {
            "Image": "busybox", "MacAddress": other,
            "NetworkingConfig": {"EndpointsConfig": {"bridge": {"MacAddress": address}}}})
        assert a.status == 400 and why in a.message
