# SPDX-License-Identifier: Apache-2.0
"""Full disks, full process tables: clear words, nothing half-made, and everything goes on when there is
room again. A container is not held up by a log that cannot be written, and what fills the disk can be
removed."""
import contextlib
import os
import subprocess
import time

import pytest

import selfcheck
from harness import images, leaks
from harness.wait import SLOW, until

NO_SPACE = ("no space left on device", "database or disk is full", "disk quota exceeded")


def says_no_space(answer):
    text = answer.body.decode(errors="replace").lower()
    return any(words in text for words in NO_SPACE)


def image_of(data):
    return images.archive([(["big:latest"], [images.Layer().add("big", data=data).bytes()], {})])


class Disk:
    """A small file system of its own that can be filled up."""

    def __init__(self, folder, kind, mib):
        self.folder = str(folder)
        self.image = self.folder + ".img"
        os.makedirs(self.folder)
        if kind == "tmpfs":
            command = ["mount", "-t", "tmpfs", "-o", "size=%dm,mode=711" % mib, "fence-small", self.folder]
        else:
            subprocess.run(["truncate", "-s", "%dM" % mib, self.image], check=True)
            subprocess.run(["mkfs.ext4", "-q", "-m", "0", self.image], check=True)
            command = ["mount", "-o", "loop", self.image, self.folder]
        r = subprocess.run(command, capture_output=True, text=True, check=False)
        if r.returncode:
            pytest.skip("%s cannot be mounted: %s" % (kind, r.stderr.strip()))

    def fill(self, but=0):
        """To the last block, then gives `but` bytes back."""
        path = self.folder + "/fill"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        with contextlib.suppress(OSError):
            for size in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        os.write(fd, b"\1" * size)
        if but:
            os.ftruncate(fd, max(0, os.fstat(fd).st_size - but))
        os.close(fd)

    def free(self):
        os.unlink(self.folder + "/fill")

    def close(self):
        subprocess.run(["umount", "-l", self.folder], check=True)
        if os.path.exists(self.image):
            os.unlink(self.image)


@pytest.fixture(params=["tmpfs", "ext4"])
def small(request, tmp_path, new_daemon):
    """(daemon, disk): the data root on a disk of 32 MiB."""
    disk = Disk(tmp_path / "small", request.param, 32)
    d = new_daemon(start=False)
    d.data_root = disk.folder
    d.start().load_busybox()
    yield d, disk
    with contextlib.suppress(OSError):
        disk.free()
    try:
        if d.process and d.process.poll() is None:
            d.remove_all()
            d.terminate()
            d.process = None
    finally:
        # monitors sync and close their container's files last
        until(lambda: not any(disk.folder in link for pid in leaks.pids()
                              for link in selfcheck.descriptors(pid)), 30)
        disk.close()


def test_create_and_remove(small):
    d, disk = small
    running = d.api.run(["sleep", "1000"])
    idle = [d.api.create(cmd=["true"]) for _ in range(3)]
    disk.fill()
    failed = 0
    for _ in range(200):
        answer = d.api.request("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"]})
        if answer.status != 201:
            assert answer.status == 500 and says_no_space(answer), answer.body
            failed += 1
            if failed > 3:
                break
    assert failed > 0
    assert d.api.request("GET", "/_ping").status == 200
    assert d.api.inspect(running)["State"]["Running"]
    # what fills the disk can go
    for cid in idle:
        answer = d.api.remove(cid)
        assert answer.status == 204, answer.body
    answer = d.api.remove(running)
    assert answer.status == 204, answer.body
    disk.free()
    assert d.api.output(["echo", "space"]) == (0, "space\n")
    assert not selfcheck.settle(d, run=True)


def test_life_goes_on(small):
    """Start, exec, stop and a restart of the daemon on a full disk; the books are right afterwards."""
    d, disk = small
    cid = d.api.create(cmd=["sh", "-c", "sleep 1000"])
    second = d.api.run(["sleep", "1000"])
    disk.fill()
    started = d.api.request("POST", "/containers/%s/start" % cid)
    assert started.status == 204 or says_no_space(started), started.body
    if started.status == 204:
        assert d.api.exec(cid, ["echo", "in"]) == (0, "in\n")
    assert d.api.request("POST", "/containers/%s/stop" % second, t=0).status == 204
    assert not d.api.inspect(second)["State"]["Running"]
    d.crash()
    assert not d.api.inspect(second)["State"]["Running"]
    assert d.api.inspect(cid)["State"]["Running"] == (started.status == 204)
    disk.free()
    assert not selfcheck.settle(d, run=True)


def test_volume_and_tag(small):
    d, disk = small
    disk.fill()
    for n in range(300):
        answer = d.api.request("POST", "/volumes/create", {"Name": "vol%d" % n})
        if answer.status != 201:
            break
    assert answer.status == 500 and says_no_space(answer), answer.body
    for n in range(300):
        answer = d.api.request("POST", "/images/busybox/tag", repo="tag%d" % n)
        if answer.status != 201:
            break
    assert answer.status == 500 and says_no_space(answer), answer.body
    disk.free()
    until(lambda: d.api.request("POST", "/volumes/create", {"Name": "after"}).status == 201)
    d.crash()
    names = {v["Name"] for v in d.api.get("/volumes")["Volumes"]}
    assert "after" in names and {"vol%d" % i for i in range(n)} - names == set() or n == 0
    assert not selfcheck.settle(d, run=True)


def test_load_and_commit(small):
    d, disk = small
    before = sorted(os.listdir(disk.folder + "/layers"))
    cid = d.api.create(cmd=["sh", "-c", "dd if=/dev/urandom of=/big bs=1M count=9; echo written"])
    d.api.start(cid)
    d.api.wait(cid)
    disk.fill(but=3 << 20)
    answer = d.api.request("POST", "/commit", container=cid, repo="big")
    assert answer.status == 500 and says_no_space(answer), answer.body
    disk.free()
    disk.fill(but=1 << 20)
    answer = d.api.request("POST", "/images/load", image_of(os.urandom(9 << 20)),
                           {"Content-Type": "application/x-tar"})
    assert says_no_space(answer), (answer.status, answer.body)
    disk.free()
    assert not selfcheck.settle(d)
    assert sorted(os.listdir(disk.folder + "/layers")) == before
    assert d.api.request("POST", "/commit", container=cid, repo="big").status == 201
    assert not selfcheck.settle(d, run=True)


def test_full_log_disk(small):
    """What a container says is lost, and counted; the container is not held up."""
    d, disk = small
    disk.fill(but=256 << 10)
    begin = time.monotonic()
    cid = d.api.run(["sh", "-c", "i=0; while [ $i -lt 40000 ]; do echo line $i of many; i=$((i+1)); done;"
                     " read x; echo after"], OpenStdin=True, StdinOnce=True)
    sock, _head = d.api.attach(cid, stream=1, stdin=1)
    log = d.data_root + "/containers/%s/%s-json.log" % (cid, cid)
    until(lambda: os.path.exists(log) and os.path.getsize(log) > 0)
    time.sleep(0.5)
    disk.free()
    sock.sendall(b"go\n")
    assert d.api.wait(cid) == 0
    sock.close()
    assert time.monotonic() - begin < 60 * SLOW
    out = d.api.logs(cid).decode()
    assert "log lines lost: No space left on device" in out and out.endswith("after\n")
    assert not selfcheck.settle(d, run=True)


def test_archive_and_copy(small):
    """docker cp into a container, and a container that writes its own disk full."""
    d, disk = small
    cid = d.api.create(cmd=["sh", "-c", "dd if=/dev/zero of=/x bs=1M count=100 2>&1; true"])
    d.api.start(cid)
    assert d.api.wait(cid) == 0
    # where the log is on the same disk, dd's complaint may be lost with it
    blob = images.Layer().add("big", data=b"x" * (2 << 20)).bytes()
    answer = d.api.request("PUT", "/containers/%s/archive" % cid, blob,
                           {"Content-Type": "application/x-tar"}, path="/")
    assert answer.status == 500 and says_no_space(answer), answer.body
    assert d.api.remove(cid).status == 204
    assert d.api.output(["echo", "space"]) == (0, "space\n")
    assert not selfcheck.settle(d, run=True)


def test_exec_root(new_daemon, tmp_path):
    """No room for the state of a running container: the start says so."""
    disk = Disk(tmp_path / "run", "tmpfs", 4)
    d = new_daemon(start=False)
    d.exec_root = disk.folder
    try:
        d.start().load_busybox()
        steady = d.api.run(["sleep", "1000"])
        disk.fill()
        failed = 0
        for _ in range(20):
            cid = d.api.create(cmd=["sleep", "1000"])
            answer = d.api.request("POST", "/containers/%s/start" % cid)
            if answer.status != 204:
                assert answer.status == 500 and says_no_space(answer), answer.body
                failed += 1
        assert failed > 0
        eid = d.api.ok("POST", "/containers/%s/exec" % steady, {"Cmd": ["true"]}).json["Id"]
        answer = d.api.request("POST", "/exec/%s/start" % eid, {"Detach": True})
        assert answer.status == 200 or says_no_space(answer), answer.body
        assert d.api.inspect(steady)["State"]["Running"]
        # an end that cannot be noted down is still told
        d.api.ok("POST", "/containers/%s/stop" % steady, t=0)
        assert d.api.inspect(steady)["State"]["ExitCode"] in (137, 143)
        disk.free()
        assert d.api.output(["echo", "space"]) == (0, "space\n")
        assert not selfcheck.settle(d, run=True)
        d.remove_all()
        d.terminate()
        d.process = None
    finally:
        disk.close()


# ---- processes -------------------------------------------------------------------------------------
class PidLimit:
    """A control group for the daemon and its spawner that takes no more processes."""

    def __init__(self, daemon):
        self.above = "/sys/fs/cgroup/pids" if os.path.isdir("/sys/fs/cgroup/pids") else "/sys/fs/cgroup"
        self.path = "%s/%s-limit" % (self.above, daemon.name)
        os.mkdir(self.path)
        if not os.path.exists(self.path + "/pids.max"):
            os.rmdir(self.path)
            pytest.skip("no pids controller")
        for pid in (daemon.pid, *leaks.children_of(daemon.pid)):
            self.write("cgroup.procs", pid)

    def write(self, name, value):
        with open(self.path + "/" + name, "w", encoding="ascii") as f:
            f.write(str(value))

    def allow(self, more):
        self.write("pids.max", "max" if more is None else int(leaks.read(self.path + "/pids.current")) + more)

    def close(self):
        for pid in leaks.read(self.path + "/cgroup.procs").split():
            with contextlib.suppress(OSError), \
                    open(self.above + "/cgroup.procs", "w", encoding="ascii") as f:
                f.write(pid)
        until(lambda: not leaks.read(self.path + "/cgroup.procs"))
        os.rmdir(self.path)


def test_no_more_processes(new_daemon):
    """For the daemon: starts, execs and jobs fail in words at every stage, and go on later."""
    d = new_daemon()
    steady = d.api.run(["sleep", "1000"])
    limit = PidLimit(d)
    try:
        for more in range(4):
            limit.allow(more)
            cid = d.api.create(cmd=["true"])
            answer = d.api.request("POST", "/containers/%s/start" % cid)
            if more == 0:
                assert answer.status == 500, answer.body
            assert answer.status == 204 or b"esource temporarily unavailable" in answer.body, answer.body
            eid = d.api.ok("POST", "/containers/%s/exec" % steady, {"Cmd": ["true"]}).json["Id"]
            answer = d.api.request("POST", "/exec/%s/start" % eid, {"Detach": True})
            assert answer.status == 200 or b"esource temporarily unavailable" in answer.body, answer.body
            for method, path in (("GET", "/containers/%s/export" % steady), ("POST", "/commit?container=" + cid),
                                 ("GET", "/containers/%s/logs?stdout=1" % steady)):
                answer = d.api.request(method, path)
                assert answer.status < 300 or b"esource temporarily unavailable" in answer.body, \
                    (path, answer.status, answer.body)
            assert d.api.inspect(steady)["State"]["Running"]
        limit.allow(None)
        assert d.api.output(["echo", "room"]) == (0, "room\n")
    finally:
        limit.close()
    assert not selfcheck.settle(d, run=True)


def test_container_without_processes_left(new_daemon):
    """A fork bomb takes its own container's processes only; it can be looked at and removed."""
    d = new_daemon()
    cid = d.api.run(["sh", "-c", "bomb() { bomb | bomb & }; bomb; sleep 1000"],
                    host={"PidsLimit": 50, "NetworkMode": "none"})
    other = d.api.run(["sleep", "1000"])
    time.sleep(1)
    eid = d.api.ok("POST", "/containers/%s/exec" % cid, {"Cmd": ["true"]}).json["Id"]
    answer = d.api.request("POST", "/exec/%s/start" % eid, {"Detach": True})
    assert answer.status == 200 or b"esource temporarily unavailable" in answer.body, answer.body
    assert d.api.exec(other, ["echo", "fine"]) == (0, "fine\n")
    assert d.api.remove(cid).status == 204
    assert not selfcheck.settle(d, run=True)
