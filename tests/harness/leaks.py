# SPDX-License-Identifier: Apache-2.0
"""What a run has left behind: mounts, control groups, interfaces, nf_tables tables, processes."""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

CGROUPS = "/sys/fs/cgroup"


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read().decode(errors="replace")
    except OSError:
        return ""


def mounts():
    """Mount points of this mount namespace, each with its type."""
    out = set()
    for line in read("/proc/self/mountinfo").splitlines():
        fields = line.split()
        out.add("%s (%s)" % (fields[4], fields[fields.index("-") + 1]))
    return out


def cgroups():
    out = set()
    for folder, names, _ in os.walk(CGROUPS):
        out.update(os.path.join(folder, name) for name in names)
    return out


def interfaces():
    return set(os.listdir("/sys/class/net"))


def tables():
    nft = shutil.which("nft") or "/usr/sbin/nft"
    if not os.path.exists(nft):
        return set()
    r = subprocess.run([nft, "list", "tables"], capture_output=True, text=True, check=False)
    return set(r.stdout.splitlines())


def command(pid):
    return read("/proc/%d/cmdline" % pid).replace("\0", " ").strip()


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def processes_of(text):
    """{pid: command line} of processes whose command line or executable names `text`."""
    out = {}
    for pid in pids():
        if pid == os.getpid():
            continue
        try:
            exe = os.readlink("/proc/%d/exe" % pid)
        except OSError:
            exe = ""
        line = command(pid)
        if text in line or text in exe:
            out[pid] = line or exe
    return out


def children_of(parent):
    out = {}
    for pid in pids():
        fields = read("/proc/%d/stat" % pid).rpartition(")")[2].split()
        if len(fields) > 1 and int(fields[1]) == parent:
            out[pid] = command(pid) or read("/proc/%d/comm" % pid).strip()
    return out


def fence_processes():
    """Of any daemon: by the name of the program, which is the file's or what it calls itself."""
    out = set()
    for pid in pids():
        name = read("/proc/%d/comm" % pid).strip()
        if name in ("fenced", "fence") or name.startswith("fence-"):
            out.add("%d %s" % (pid, command(pid) or name))
    return out


def snapshot():
    """Everything that a run could leave on the host, as {kind: set of texts}."""
    return {"mount": mounts(), "control group": cgroups(), "interface": interfaces(),
            "nf_tables table": tables(), "process": fence_processes(),
            "id range lease": set(os.listdir("/run/fence/idmap"))
                              if os.path.isdir("/run/fence/idmap") else set()}


def difference(before, after):
    """What is new. On a machine where others work too ($FENCE_CHECK_SHARED) only what names this
    tree or the test daemons' roots counts: the rest may be theirs."""
    new = ["%s: %s" % (kind, item) for kind in after for item in sorted(after[kind] - before[kind])]
    if os.environ.get("FENCE_CHECK_SHARED"):
        own = (os.getcwd(), os.environ.get("FENCE_TEST_BASE", "/var/tmp/fence-test") + "/")
        new = [item for item in new if any(text in item for text in own)]
    return new


# ---- one daemon ------------------------------------------------------------------------------------
def daemon_cgroups(daemon):
    """Also those of further daemons that a technique's script has started ("NAME-1")."""
    name = daemon.cgroup_parent.strip("/")
    return sorted((c for c in cgroups() if re.search("/%s(-[0-9]+)?(/|$)" % re.escape(name), c)),
                  key=len, reverse=True)


def of_daemon(daemon):
    """What stays of a daemon that has removed its containers and ended."""
    out = ["process stayed: %d %s" % p for p in processes_of(daemon.root + "/").items()]
    out += ["mount stayed: " + m for m in mounts() if daemon.root + "/" in m]
    # the parent itself may stay, as Docker's does: nothing below it may
    name = daemon.cgroup_parent.strip("/")
    out += ["control group stayed: " + c for c in daemon_cgroups(daemon)
            if os.path.basename(c) != name]
    ports = read("/proc/net/dev")
    if daemon.bridge in ports and os.path.isdir("/sys/class/net/%s/brif" % daemon.bridge):
        out += ["bridge port stayed: " + p
                for p in os.listdir("/sys/class/net/%s/brif" % daemon.bridge)]
    if os.path.isdir(daemon.idmap_dir) and daemon.idmap_dir.startswith(daemon.root):
        out += ["id range lease stayed: " + l for l in os.listdir(daemon.idmap_dir)]
    for folder in ("containers", "tmp"):
        path = os.path.join(daemon.data_root, folder)
        if os.path.isdir(path):
            out += ["in the data root stayed: %s/%s" % (folder, n) for n in os.listdir(path)]
    return out


def end(pid, number=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def sweep_daemon(daemon):
    """Removes by force what is recognisably this daemon's, whatever state it is in."""
    for pid in processes_of(daemon.root + "/"):
        end(pid)
    for folder in daemon_cgroups(daemon):
        for pid in read(folder + "/cgroup.procs").split():
            end(int(pid))
        for name, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            with contextlib.suppress(OSError), open(os.path.join(folder, name), "w",
                                                    encoding="ascii") as f:
                f.write(value)
    for _ in range(50):
        left = daemon_cgroups(daemon)
        for folder in left:
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        if not left:
            break
        time.sleep(0.02)
    points = [line.split()[4] for line in read("/proc/self/mountinfo").splitlines()
              if line.split()[4].startswith(daemon.root + "/")]
    for point in sorted(points, key=len, reverse=True):
        subprocess.run(["umount", "-l", point], capture_output=True, check=False)
    for name in interfaces():
        if re.fullmatch(daemon.bridge + "(t[0-9]+)?", name):
            subprocess.run(["ip", "link", "del", name], capture_output=True, check=False)
    nft = shutil.which("nft") or "/usr/sbin/nft"
    for table in tables():
        if re.fullmatch(daemon.table + "(_[0-9]+)?", table.split()[-1]):
            subprocess.run([nft, "delete", *table.split()], capture_output=True, check=False)


def main(argv):
    """`snapshot FILE` before a run, `compare FILE` after it."""
    verb, path = argv
    if verb == "snapshot":
        with open(path, "w", encoding="utf-8") as f:
            json.dump({kind: sorted(items) for kind, items in snapshot().items()}, f)
        return 0
    with open(path, encoding="utf-8") as f:
        before = {kind: set(items) for kind, items in json.load(f).items()}
    # what was ended a moment ago may still be on its way out
    for _ in range(20):
        left = difference(before, snapshot())
        if not left:
            break
        time.sleep(0.1)
    for line in left:
        print("left behind: " + line)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
