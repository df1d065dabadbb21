# SPDX-License-Identifier: Apache-2.0
"""The walls of a container, tried from inside by its first process and by execs alike."""
import os
import re
import stat
import threading

import pytest

from harness.wait import until

DEFAULT_CAPS = 0xa80425fb
EPERM_CALLS = """mount umount2 pivot_root swapon swapoff reboot init_module finit_module delete_module
    kexec_load keyctl add_key request_key bpf perf_event_open open_by_handle_at setns unshare
    userfaultfd acct settimeofday clock_settime quotactl lookup_dcookie io_uring_setup move_mount
    fsopen open_tree fsmount mount_setattr syslog vhangup personality nfsservctl clone_newuser
    iopl ioperm socket_vsock""".split()


def pairs(out):
    return dict(line.split(" ", 1) for line in out.splitlines() if " " in line)


def pid_of(api, cid):
    return api.inspect(cid)["State"]["Pid"]


# ---- system calls -----------------------------------------------------------------------------------
def test_filter(inside):
    _, out = inside(["/probe", "calls"])
    answers = pairs(out)
    wrong = {name: answers[name] for name in EPERM_CALLS
             if name in answers and answers[name] != "EPERM"}
    assert not wrong
    assert answers["clone3"] == "ENOSYS", "C libraries fall back to clone only then"
    assert answers["unknown"] == answers["beyond"] == "ENOSYS"
    assert answers["kcmp"] in ("EPERM", "ESRCH", "EACCES", "ok")


def test_filter_stays_with_capabilities_that_need_none_of_it(inside):
    _, out = inside(["/probe", "calls"], host={"CapAdd": ["NET_ADMIN", "SYS_PTRACE"]})
    answers = pairs(out)
    assert answers["mount"] == answers["bpf"] == answers["keyctl"] == "EPERM"


def test_without_filter_the_namespace_holds(inside):
    """seccomp=unconfined: the kernel itself refuses what is the host's."""
    _, out = inside(["/probe", "calls"], host={"SecurityOpt": ["seccomp=unconfined"]})
    answers = pairs(out)
    for name in ("mount", "swapon", "reboot", "init_module", "finit_module", "kexec_load", "acct",
                 "settimeofday", "open_by_handle_at", "vhangup"):
        assert answers[name] != "ok", name


# ---- keys -------------------------------------------------------------------------------------------
def test_session_keyring_is_own(inside):
    """The daemon's session keyring, with whatever its administrator put there, stays outside."""
    code, out = inside(["/probe", "keys"], host={"SecurityOpt": ["seccomp=unconfined"]})
    answers = pairs(out)
    assert code == 0 and answers["session"] == "ok", out
    assert "_ses." in answers["description"] and "_uid" not in answers["description"], out
    assert answers["add"] == "ok" and answers["search"] == "ENOKEY", out


def test_session_keyrings_differ(api, probe_image):
    ids = set()
    for _ in range(2):
        _, out = api.output(["/probe", "keys"], image=probe_image,
                            host={"SecurityOpt": ["seccomp=unconfined"]})
        ids.add(pairs(out)["id"])
    assert len(ids) == 2


def test_exec_has_the_keyring_of_its_container(api, probe_image):
    cid = api.run(["sh", "-c", "/probe keys; sleep 1000"], image=probe_image,
                  host={"SecurityOpt": ["seccomp=unconfined"]})
    until(lambda: b"id " in api.logs(cid))
    first = pairs(api.logs(cid).decode())["id"]
    _, out = api.exec(cid, ["/probe", "keys"])
    assert pairs(out)["id"] == first


# ---- what a process is given ------------------------------------------------------------------------
def test_state(inside):
    _, out = inside(["/probe", "state"])
    answers = pairs("\n".join(l for l in out.splitlines() if not l.startswith("fd")))
    assert answers == {"dumpable": "1", "keepcaps": "0", "securebits": "0", "no_new_privs": "0",
                       "pdeathsig": "0", "umask": "0022", "ppid": "0", "session": "1",
                       "blocked": "0", "ignored": "0"}
    assert [l for l in out.splitlines() if l.startswith("fd")] == ["fd 0", "fd 1", "fd 2"]


def test_state_of_another_user(inside):
    _, out = inside(["/probe", "state"], User="1000:1000")
    assert [l for l in out.splitlines() if l.startswith("fd")] == ["fd 0", "fd 1", "fd 2"]
    answers = pairs(out)
    assert answers["umask"] == "0022" and answers["ppid"] == "0"


def test_descriptors_of_pid_1(api, probe_image):
    """As seen from inside by an exec, and from the host."""
    cid = api.run(["sleep", "1000"], image=probe_image)
    _, out = api.exec(cid, ["ls", "-l", "/proc/1/fd"])
    assert len([l for l in out.splitlines() if "->" in l]) == 3, out
    folder = "/proc/%d/fd" % pid_of(api, cid)
    assert {os.path.basename(f) for f in os.listdir(folder)} == {"0", "1", "2"}


@pytest.mark.parametrize("tty", [False, True])
def test_environment_is_not_the_hosts(api, probe_image, tty):
    os.environ["FENCE_TEST_SECRET"] = "of the host"
    try:
        _, out = api.output(["env"], image=probe_image, Tty=tty)
    finally:
        del os.environ["FENCE_TEST_SECRET"]
    names = {line.split("=")[0] for line in out.replace("\r", "").splitlines()}
    assert names - {"TERM"} == {"PATH", "HOSTNAME", "HOME"}


def test_capability_sets(inside):
    for host, expected in (({}, DEFAULT_CAPS),
                           ({"CapDrop": ["ALL"]}, 0),
                           ({"CapDrop": ["CHOWN", "CAP_KILL"]}, DEFAULT_CAPS & ~(1 << 0 | 1 << 5)),
                           ({"CapAdd": ["NET_ADMIN"]}, DEFAULT_CAPS | 1 << 12),
                           ({"CapDrop": ["ALL"], "CapAdd": ["SYS_CHROOT"]}, 1 << 18)):
        _, out = inside("grep ^Cap /proc/self/status", host=dict(host))
        caps = {l.split()[0]: int(l.split()[1], 16) for l in out.splitlines()}
        assert caps["CapInh:"] == caps["CapAmb:"] == 0, host
        assert caps["CapBnd:"] == caps["CapPrm:"] == caps["CapEff:"] == expected, host


def held():
    with open("/proc/self/status", encoding="ascii") as f:
        return int(re.search(r"^CapPrm:\s*(\w+)", f.read(), re.M).group(1), 16)


@pytest.mark.parametrize("host", [{"Privileged": True}, {"CapAdd": ["ALL"]},
                                  {"Privileged": True, "UsernsMode": "private"}])
def test_all_capabilities_are_clipped(inside, host):
    _, out = inside("grep ^Cap /proc/self/status", host=dict(host))
    caps = {l.split()[0]: int(l.split()[1], 16) for l in out.splitlines()}
    assert caps["CapInh:"] == caps["CapAmb:"] == 0
    assert caps["CapBnd:"] == caps["CapEff:"] == held()


def test_health_checks_have_no_more(api, probe_image):
    """CVE-2022-24769 and the like: the third way into a container."""
    cid = api.run(["sleep", "1000"], image=probe_image, Healthcheck={
        "Test": ["CMD-SHELL", "grep -E '^(Cap|Seccomp:|Uid)' /proc/self/status >/h; ls /proc/self/fd >>/h; "
                              "/probe state >>/h; env >>/h; mv /h /health"], "Interval": 1000000000})
    until(lambda: api.exec(cid, ["test", "-e", "/health"])[0] == 0, 20)
    out = api.exec(cid, ["cat", "/health"])[1]
    caps = dict(l.split() for l in out.splitlines() if l.startswith("Cap"))
    assert {int(caps[c], 16) for c in ("CapInh:", "CapAmb:")} == {0}
    assert {int(caps[c], 16) for c in ("CapPrm:", "CapEff:", "CapBnd:")} == {DEFAULT_CAPS}
    assert re.search(r"Seccomp:\s+2", out) and "umask 0022" in out
    assert [l for l in out.splitlines() if l.startswith("fd")] == ["fd 0", "fd 1", "fd 2"]


def test_capabilities_do_not_survive_a_user(inside):
    _, out = inside("grep ^Cap /proc/self/status", User="1000", host={"CapAdd": ["NET_ADMIN"]})
    caps = {l.split()[0]: int(l.split()[1], 16) for l in out.splitlines()}
    assert caps["CapEff:"] == caps["CapPrm:"] == caps["CapInh:"] == caps["CapAmb:"] == 0
    assert caps["CapBnd:"] == DEFAULT_CAPS | 1 << 12


def test_no_new_privileges_keeps_setuid_programs_down(inside):
    """As another user: the program is root's and has the bit, and that helps only without the flag."""
    for flags, expected in (([], "0"), (["no-new-privileges:true"], "65534")):
        code, out = inside(
            "cp /probe /suid && chmod 4755 /suid && su -s /bin/sh nobody -c '/suid ids'",
            host={"SecurityOpt": flags})
        assert code == 0 and pairs(out)["euid"] == expected, out


# ---- the host ---------------------------------------------------------------------------------------
def test_root_is_nobody(api, probe_image):
    cid = api.run(["sleep", "1000"], image=probe_image)
    pid = pid_of(api, cid)
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        ids = re.findall(r"^[UG]id:\s*(.*)$", f.read(), re.M)
    assert all(int(i) >= 65536 for line in ids for i in line.split())
    eid = api.ok("POST", "/containers/%s/exec" % cid, {"Cmd": ["sleep", "1000"]}).json["Id"]
    api.ok("POST", "/exec/%s/start" % eid, {"Detach": True})
    pid = until(lambda: api.get("/exec/%s/json" % eid)["Pid"])
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        ids = re.findall(r"^[UG]id:\s*(.*)$", f.read(), re.M)
    assert all(int(i) >= 65536 for line in ids for i in line.split())


def test_user_namespace_is_closed(inside):
    """uid 65535 is the last; what is above has no meaning inside."""
    _, out = inside("cat /proc/self/uid_map /proc/self/gid_map")
    lines = [[int(x) for x in l.split()] for l in out.splitlines()]
    assert all(l[0] == 0 and l[1] >= 65536 and l[2] == 65536 for l in lines) and len(lines) == 2


def test_sysctls_of_the_host(inside):
    _, out = inside("for f in $(find /proc/sys -type f | grep -v /net/); do "
                    "cat $f 2>/dev/null | head -c 1 >/dev/null; "
                    "( : >>$f ) 2>/dev/null && echo $f; done; true")
    assert not out.split(), "can be opened for writing"


def test_sysfs_of_the_host(inside):
    _, out = inside("find /sys -type f 2>/dev/null | while read f; do "
                    "( : >>$f ) 2>/dev/null && echo $f; done | head; true")
    assert not out.split()


def test_sysctls_even_when_proc_is_not_protected(inside):
    """systempaths=unconfined takes the covers off; the ids of the host's files still hold."""
    _, out = inside("for f in kernel/core_pattern kernel/modprobe vm/overcommit_memory kernel/panic "
                    "fs/suid_dumpable; do ( : >>/proc/sys/$f ) 2>/dev/null && echo $f; done; "
                    "( : >>/proc/sysrq-trigger ) 2>/dev/null && echo sysrq; true",
                    host={"MaskedPaths": [], "ReadonlyPaths": []})
    assert not out.split()


@pytest.mark.parametrize("device", ["b 8 0", "b 253 0", "b 254 0", "b 259 0", "b 7 0", "c 1 1", "c 1 2",
                                    "c 1 4", "c 1 11", "c 10 237", "c 10 200", "c 5 3", "c 4 0",
                                    "c 189 0", "c 229 0"])
def test_raw_devices(inside, device):
    code, out = inside("mknod /node %s && { dd if=/node of=/dev/null bs=1 count=1 2>/dev/null && "
                       "echo read; : >>/node && echo written; }" % device)
    assert code != 0 and "read" not in out and "written" not in out


def test_nodes_by_root_of_ones_own(inside):
    """Root of a user namespace that a user made inside makes no device nodes: with one of its own
    making, the user would open what the container's root keeps for itself."""
    code, out = inside("for n in 'c 1 3' 'c 10 229'; do unshare -Ur mknod /tmp/n $n 2>/dev/null && echo made $n; "
                       "done; unshare -Ur id -u", User="1000", **{
                           "host": {"SecurityOpt": ["seccomp=unconfined"], "Tmpfs": {"/tmp": "mode=1777"},
                                    "Devices": [{"PathOnHost": "/dev/fuse"}]}})
    assert (code, out) == (0, "0\n")


def test_raw_devices_without_filter(inside):
    code, out = inside("mknod /node b 8 0; mknod /mem c 1 1; ls /node /mem 2>/dev/null",
                       host={"SecurityOpt": ["seccomp=unconfined"]})
    assert code != 0 and not [l for l in out.splitlines() if l in ("/node", "/mem")]


def test_dev_is_own(api, probe_image):
    cid = api.run(["sleep", "1000"], image=probe_image)
    pid = pid_of(api, cid)
    uid = os.stat("/proc/%d" % pid).st_uid
    for name, (major, minor) in {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8),
                                 "urandom": (1, 9), "tty": (5, 0)}.items():
        st = os.lstat("/proc/%d/root/dev/%s" % (pid, name))
        assert stat.S_ISCHR(st.st_mode) and st.st_rdev == os.makedev(major, minor)
        assert st.st_uid == uid and stat.S_IMODE(st.st_mode) == 0o666
    assert os.stat("/proc/%d/root/dev" % pid).st_dev != os.stat("/dev").st_dev
    assert "kmsg" not in os.listdir("/proc/%d/root/dev" % pid)


def test_shocker(inside):
    """CVE-2014-3519's relative in containers: open_by_handle_at, with and without the filter."""
    for host in ({}, {"SecurityOpt": ["seccomp=unconfined"]}):
        _, out = inside(["/probe", "shocker", "/etc"], host=dict(host))
        assert out.split().count("handle") == 4 and "ok" not in out.split()


def test_masks_and_read_only_paths(inside):
    """By what is mounted, not by what reads empty."""
    _, out = inside("cat /proc/self/mountinfo")
    mounts = {}
    for line in out.splitlines():
        fields = line.split()
        mounts[fields[4]] = (fields[5].split(","), fields[fields.index("-") + 1])
    for path in ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"):
        if os.path.exists(path):
            assert "ro" in mounts[path][0] and mounts[path][1] == "proc", path
    for path in ("/proc/kcore", "/proc/keys", "/proc/timer_list"):
        if os.path.exists(path):
            assert mounts[path][1] == "tmpfs", path
    for path in ("/proc/acpi", "/proc/scsi", "/sys/firmware"):
        if os.path.exists(path):
            assert "ro" in mounts[path][0] and mounts[path][1] == "tmpfs", path
    for path in ("/sys", "/sys/fs/cgroup"):
        assert {"ro", "nosuid", "nodev", "noexec"} <= set(mounts[path][0]), path
    assert {"nosuid", "nodev", "noexec"} <= set(mounts["/proc"][0])
    assert {"nosuid", "noexec"} <= set(mounts["/dev/pts"][0])
    assert {"nosuid", "nodev", "noexec"} <= set(mounts["/dev/shm"][0])
    assert not [p for p in mounts if p.startswith("/oldroot") or "fence" in p]


def test_covers_cannot_be_taken_off(inside):
    code, out = inside("umount /proc/kcore; umount /proc/sys; mount -o remount,rw /proc/sys; "
                       "mount -t proc p /mnt; mount -t tmpfs t /proc/sys; "
                       "echo x >/proc/sys/kernel/hostname && echo done",
                       host={"SecurityOpt": ["seccomp=unconfined"], "CapAdd": ["SYS_CHROOT"]})
    assert code != 0 and "done" not in out


def test_mounts_of_the_host_are_not_seen(inside, daemon):
    _, out = inside("cat /proc/self/mountinfo /proc/self/mounts")
    assert daemon.data_root + "/containers" not in [l.split()[4] for l in out.splitlines()
                                                    if len(l.split()) > 6]
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        device = [l.split()[-2] for l in f if l.split()[4] == "/"][0]
    points = [l.split()[1] for l in out.splitlines() if len(l.split()) == 6]
    assert "/" in points
    if device.startswith("/dev/"):
        # files of the engine's are bound one by one: nothing else of that disk
        assert {l.split()[1] for l in out.splitlines() if l.startswith(device + " ")} <= {
            "/etc/resolv.conf", "/etc/hostname", "/etc/hosts"}


def test_read_only_root(inside):
    _, out = inside("for f in /x /bin/x /etc/x /etc/passwd /etc/hosts /etc/resolv.conf /proc/x /sys/x "
                    "/dev/shm/x; do ( : >>$f ) 2>/dev/null && echo $f; done; true",
                    host={"ReadonlyRootfs": True})
    assert out.split() == ["/dev/shm/x"]


def test_control_group(api, probe_image, daemon):
    cid = api.run(["sleep", "1000"], image=probe_image)
    eid = api.ok("POST", "/containers/%s/exec" % cid, {"Cmd": ["sleep", "1000"]}).json["Id"]
    api.ok("POST", "/exec/%s/start" % eid, {"Detach": True})
    pids = [pid_of(api, cid), until(lambda: api.get("/exec/%s/json" % eid)["Pid"])]
    for pid in pids:
        with open("/proc/%d/cgroup" % pid, encoding="ascii") as f:
            groups = [l.strip().split(":", 2) for l in f]
        joined = [g for g in groups if cid in g[2]]
        assert joined and all(g[2] == "%s/%s" % (daemon.cgroup_parent, cid) for g in joined)
        # every hierarchy that limits something
        for controllers in ("devices", "memory", "pids", "cpu", "freezer"):
            for g in groups:
                if controllers in g[1].split(","):
                    assert cid in g[2], g


def test_parent_and_other_processes(inside, api):
    other = api.run(["sleep", "54321"])
    _, out = inside("cat /proc/1/status | grep PPid; ls /proc | grep -c '^[0-9]'; "
                    "kill -0 %d 2>&1; ls /proc/%d 2>&1" % ((pid_of(api, other),) * 2))
    assert "PPid:\t0" in out and "54321" not in out
    assert "can't kill" in out and "No such file" in out


def test_root_of_pid_1_is_the_container(inside):
    _, out = inside("readlink /proc/1/root; ls -id /proc/1/root/. / | awk '{print $1}' | sort -u | wc -l; "
                    "ls /proc/1/root/../../../../../bin/busybox")
    assert out.split() == ["/", "1", "/proc/1/root/../../../../../bin/busybox"]


def test_files_of_other_containers(api, probe_image, daemon):
    """Not by /proc, not by a path that is the same on the host."""
    secret = api.run(["sh", "-c", "echo secret >/secret; sleep 1000"], image=probe_image)
    _, out = api.output(["sh", "-c", "ls %s 2>&1; find / -xdev -name secret 2>/dev/null; "
                         "cat /proc/*/root/secret 2>/dev/null; true" % daemon.root], image=probe_image)
    assert "secret\n" not in out and "No such file" in out
    assert api.exec(secret, ["cat", "/secret"])[1] == "secret\n"


# ---- the engine's own processes, seen from a container ------------------------------------------------
def test_set_up_of_execs_shows_nothing(api, probe_image):
    """CVE-2016-9962, CVE-2019-5736: what joins the container cannot be looked into. A process of the
    container looks at all that appears while execs are started in it."""
    cid = api.run(["sleep", "1000"], image=probe_image)
    result = {}
    watcher = threading.Thread(target=lambda: result.update(
        out=api.exec(cid, ["/probe", "stalk", "4"])[1]))
    watcher.start()
    until(lambda: len(api.get("/containers/%s/top" % cid)["Processes"]) > 1)
    for _ in range(120):
        api.exec(cid, ["true"])
    watcher.join()
    lines = result["out"].split("\n")
    assert lines[-2] == "done"
    seen = {l for l in lines if l.startswith(("exe ", "open-exe"))}
    assert not {l for l in seen if not l.endswith(("/bin/busybox", "/bin/sleep", "/bin/true"))}, seen
    assert not {l for l in lines if l.startswith("root ") and l != "root /"}
    fds = {l for l in lines if l.startswith("fd ")}
    assert not {l for l in fds if not re.match(r"fd (pipe:|/dev/null|/proc)", l)}, fds


@pytest.mark.parametrize("host", [{}, {"Privileged": True}, {"UsernsMode": "host"}])
@pytest.mark.parametrize("entry", ["/proc/self/exe", "/proc/1/exe"])
def test_interpreter_is_the_set_up_itself(api, daemon, hostile, probe, host, entry):
    """CVE-2019-5736: a program whose interpreter is the process that executes it must not get hold of
    the engine's program, not even as the host's root."""
    from harness import images
    from harness.daemon import libexec, program
    image = hostile.make("evil-exe", images.Layer()
                         .add("evil", data=("#!%s\n" % entry).encode(), mode=0o755)
                         .add("probe", data=probe, mode=0o755))
    names = ["fence-spawner", "fence-monitor", "fence-init"]
    paths = [libexec() + "/" + n for n in names] + [program("fenced")]
    before = [open(p, "rb").read() for p in paths]
    for cmd in (["/evil"], ["/proc/self/exe"], ["/proc/self/exe", "x"]):
        cid = api.create(cmd=cmd, image=image, host=dict(host))
        if api.request("POST", "/containers/%s/start" % cid).status == 204:
            api.wait(cid)
        api.remove(cid)
    cid = api.run(["/probe", "overwrite"], image=image, host=dict(host))
    until(lambda: b"ready" in api.logs(cid))
    for _ in range(30):
        for cmd in (["/evil"], ["/proc/self/exe"], ["true"]):
            eid = api.ok("POST", "/containers/%s/exec" % cid, {"Cmd": cmd}).json["Id"]
            api.request("POST", "/exec/%s/start" % eid, {"Detach": False})
    out = api.logs(cid)
    api.remove(cid)
    assert [open(p, "rb").read() for p in paths] == before
    # programs of the image may be opened; a program of the engine is a sealed copy or read-only
    assert b"overwritten" not in out or api.output(["true"])[0] == 0
    assert daemon.process.poll() is None


def test_init_program_is_read_only(api, probe_image):
    for host in ({"Init": True}, {"Init": True, "Privileged": True}):
        cid = api.run(["sh", "-c", "sleep 1000"], image=probe_image, host=dict(host))
        _, out = api.exec(cid, ["sh", "-c", "( : >>/proc/1/exe ) 2>/dev/null && echo open; "
                                            "( : >>/sbin/docker-init ) 2>/dev/null && echo open; "
                                            "chmod 777 /sbin/docker-init 2>/dev/null && echo mode; "
                                            "grep docker-init /proc/self/mountinfo"])
        assert "open" not in out and "mode\n" not in out and " ro," in out
        api.remove(cid)
