# SPDX-License-Identifier: Apache-2.0
"""What must hold of a daemon that has nothing to do: an fsck of everything it keeps.

Every process, mount, control group, interface, state directory, id range lease, container directory,
layer and temporary file has an owner that the API shows, and the database, the disk and the API agree.
"""
import glob
import json
import os
import shutil
import sqlite3
import tempfile
import time

from harness import leaks
from harness.api import ApiError
from harness.wait import SLOW

HELPERS = ("fence-monitor", "fence-spawner", "fence-init")


def listing(path):
    try:
        return set(os.listdir(path))
    except FileNotFoundError:
        return set()


# ---- the database ----------------------------------------------------------------------------------
def objects(daemon):
    """{kind: {id: document}} of a copy: the daemon holds the database itself exclusively."""
    with tempfile.TemporaryDirectory(prefix="fence-db-") as folder:
        for name in ("fence.db", "fence.db-wal"):
            path = os.path.join(daemon.data_root, name)
            if os.path.exists(path):
                shutil.copy(path, folder)
        db = sqlite3.connect(os.path.join(folder, "fence.db"))
        try:
            out = {"container": {}, "image": {}, "tag": {}, "volume": {}}
            for kind, oid, doc in db.execute("SELECT kind, id, doc FROM object"):
                out.setdefault(kind, {})[oid] = json.loads(doc)
            verdict = db.execute("PRAGMA integrity_check").fetchone()[0]
            if verdict != "ok":
                raise RuntimeError("the database is damaged: " + verdict)
            return out
        finally:
            db.close()


# ---- processes -------------------------------------------------------------------------------------
def descriptors(pid):
    out = []
    for link in glob.glob("/proc/%d/fd/*" % pid):
        try:
            out.append(os.readlink(link))
        except OSError:
            pass
    return out


def status(pid):
    """(name, parent) of a process, or None when it has gone."""
    text = leaks.read("/proc/%d/stat" % pid)
    if not text:
        return None
    name = text[text.index("(") + 1:text.rindex(")")]
    fields = text.rpartition(")")[2].split()
    return name, int(fields[1]), fields[0]


def processes(daemon):
    """{pid: (name, parent, state)} of all processes that are this daemon's: by a file of its roots
    that they hold or name, by their control group, or by their parent."""
    found = {}
    parent = daemon.cgroup_parent.strip("/")
    for pid in leaks.pids():
        if pid == os.getpid():
            continue
        st = status(pid)
        if not st:
            continue
        mine = "/%s/" % parent in leaks.read("/proc/%d/cgroup" % pid)
        if not mine and (st[0] in HELPERS or st[0] == "fenced" or st[0].startswith("memfd")
                         or st[0].isdigit()):
            mine = daemon.root in leaks.command(pid) or any(
                link.startswith(daemon.root) for link in descriptors(pid))
        if mine:
            found[pid] = st
    for pid in leaks.children_of(daemon.pid):
        st = status(pid)
        if st:
            found[pid] = st
            for below in leaks.children_of(pid):
                found.setdefault(below, status(below) or ("gone", pid, "X"))
    return found


def describe(pid):
    """For people who read what is wrong."""
    st = status(pid) or ("gone", 0, "X")
    where = leaks.read("/proc/%d/stack" % pid).split("\n")[:3]
    return "%d (%s, state %s, child of %d, %s)%s" % (
        pid, st[0], st[2], st[1], " < ".join(w.split("+")[0].split(" ")[-1] for w in where if w),
        (" " + leaks.command(pid))[:200])


def check_processes(daemon, running, problems):
    found = processes(daemon)
    spawners = [p for p in leaks.children_of(daemon.pid)]
    if len(spawners) > 1:
        problems.append("children of the daemon: %s" %
                        {p: leaks.command(p) for p in spawners})
    known = set(spawners) | {daemon.pid}
    inits = {c["State"]["Pid"]: c["Id"] for c in running.values()}
    monitors = {}
    for pid in found:
        if pid in known:
            continue
        line = leaks.command(pid).split()
        if line and os.path.basename(line[0]) == "fence-monitor":
            cid = line[1] if len(line) > 1 else "?"
            if cid not in running:
                problems.append("monitor without a running container: " + describe(pid))
            elif not any(a.startswith("--exec-id") for a in line):
                monitors.setdefault(cid, []).append(pid)
            continue
        group = leaks.read("/proc/%d/cgroup" % pid)
        if any("/" + cid in group for cid in running):
            continue
        problems.append("process without an owner: " + describe(pid))
    for cid in running:
        if len(monitors.get(cid, [])) != 1:
            problems.append("container %s has monitors %s" % (cid[:12], monitors.get(cid, [])))
    for pid, cid in inits.items():
        if not os.path.exists("/proc/%d" % pid):
            problems.append("container %s is said to run as %d, which is not there" % (cid[:12], pid))


# ---- the kernel's things ---------------------------------------------------------------------------
def check_kernel(daemon, running, db, problems):
    name = daemon.cgroup_parent.strip("/")
    for folder in leaks.daemon_cgroups(daemon):
        below = folder.split("/" + name, 1)[1].strip("/")
        if below and below.split("/")[0] not in running:
            problems.append("control group without a running container: " + folder)
    problems += ["mount: " + m for m in leaks.mounts()
                 if m.startswith(daemon.root + "/") and not m.startswith(daemon.data_root + " ")
                 and not m.startswith(daemon.exec_root + " ")]
    expected = {e.get("HostIf") for cid, d in db["container"].items() if cid in running
                for e in d.get("Endpoints") or []}
    for port in listing("/sys/class/net/%s/brif" % daemon.bridge):
        if port not in expected:
            problems.append("bridge port without a running container: " + port)


# ---- the roots -------------------------------------------------------------------------------------
def check_state(daemon, running, db, problems):
    state = os.path.join(daemon.exec_root, "containers")
    for cid in listing(state):
        if cid not in running:
            problems.append("state directory without a running container: %s %s" %
                            (cid[:12], sorted(listing(os.path.join(state, cid)))))
    leases = {}
    for lease in listing(daemon.idmap_dir):
        with open(os.path.join(daemon.idmap_dir, lease), encoding="utf-8") as f:
            leases[int(lease)] = f.read()
    bases = {}
    for cid in running:
        doc = db["container"].get(cid, {})
        if doc.get("IdmapBase") and not doc.get("JoinedUserNS"):
            bases[doc["IdmapBase"]] = os.path.join(state, cid)
    for base, owner in leases.items():
        if bases.get(base) != owner:
            problems.append("id range lease without a running container: %d of %s" % (base, owner))
    for base, owner in bases.items():
        if leases.get(base) != owner:
            problems.append("container without its id range lease: %d of %s" % (base, owner))


def check_data(daemon, containers, db, problems):
    root = daemon.data_root
    ids = set(containers)
    on_disk = listing(root + "/containers")
    in_db = set(db["container"])
    for what, other in (("on disk", on_disk), ("in the database", in_db)):
        problems += ["container %s, but unknown to the API: %s" % (what, i[:12]) for i in other - ids]
        problems += ["container not %s: %s" % (what, i[:12]) for i in ids - other]
    wanted = set()
    for doc in db["image"].values():
        wanted.update(json.loads(doc["config"]).get("rootfs", {}).get("diff_ids") or [])
    for doc in db["container"].values():
        wanted.update(doc.get("DiffIDs") or [])
    wanted = {d.split(":")[1] for d in wanted}
    problems += ["layer without an owner: " + l[:12] for l in listing(root + "/layers") - wanted]
    problems += ["layer is missing: " + l[:12] for l in wanted - listing(root + "/layers")]
    for folder in ("tmp", "trash"):
        problems += ["in %s stayed: %s" % (folder, n) for n in listing(root + "/" + folder)]
    images = {i["Id"]: i for i in daemon.api.get("/images/json", all=1)}
    if set(images) != set(db["image"]):
        problems.append("images: API %s, database %s" % (sorted(i[7:19] for i in images),
                                                         sorted(i[7:19] for i in db["image"])))
    for tag, doc in db["tag"].items():
        if doc["image"] not in db["image"]:
            problems.append("tag %s of an image that is not there" % tag)
    volumes = {v["Name"] for v in daemon.api.get("/volumes")["Volumes"] or []}
    for what, other in (("on disk", listing(root + "/volumes")), ("in the database", set(db["volume"]))):
        problems += ["volume %s, but unknown to the API: %s" % (what, v[:20]) for v in other - volumes]
        problems += ["volume not %s: %s" % (what, v[:20]) for v in volumes - other]
    for cid, doc in db["container"].items():
        for m in doc.get("Mounts") or []:
            if m.get("Type") == "volume" and m.get("Name") not in volumes:
                problems.append("container %s has lost its volume %s" % (cid[:12], m.get("Name")))


def problems_of(daemon, run=False):
    """All that is wrong just now, as texts."""
    problems = []
    api = daemon.api
    try:
        containers = {}
        for c in api.get("/containers/json", all=1):
            containers[c["Id"]] = api.inspect(c["Id"])
    except (OSError, ApiError) as e:
        return ["the API does not answer: %s" % e]
    running = {i: c for i, c in containers.items()
               if c["State"]["Running"] and not c["State"]["Restarting"]}
    for cid, c in containers.items():
        if c["State"]["Status"] in ("removing", "dead"):
            problems.append("container %s is %s" % (cid[:12], c["State"]["Status"]))
    try:
        db = objects(daemon)
    except (sqlite3.Error, OSError, ValueError) as e:
        return ["the database cannot be read: %s" % e]
    for cid, doc in db["container"].items():
        if cid in containers and bool(doc.get("Running")) != (cid in running):
            problems.append("container %s: the database says running=%s" % (cid[:12], doc.get("Running")))
    check_processes(daemon, running, problems)
    check_kernel(daemon, running, db, problems)
    check_state(daemon, running, db, problems)
    check_data(daemon, containers, db, problems)
    if run and not problems:
        for network in ("none", "bridge"):
            got = api.output(["echo", "runs"], host={"NetworkMode": network})
            if got != (0, "runs\n"):
                problems.append("an image does not run on network %s: %s" % (network, got))
    return problems


def settle(daemon, seconds=15, run=False):
    """Problems that do not go away by themselves."""
    end = time.monotonic() + seconds * SLOW
    while True:
        problems = problems_of(daemon, run)
        if not problems or time.monotonic() > end:
            return problems
        time.sleep(0.1)


def resources(pid):
    """{descriptors, threads} of a process."""
    return {"fds": len(listing("/proc/%d/fd" % pid)), "threads": len(listing("/proc/%d/task" % pid))}


def memory_kib(pid, key="Pss"):
    total = 0
    for line in leaks.read("/proc/%d/smaps_rollup" % pid).splitlines():
        if line.startswith(key + ":"):
            total += int(line.split()[1])
    return total
