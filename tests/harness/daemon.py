# SPDX-License-Identifier: Apache-2.0
"""A fenced on roots of its own: data, state, socket, bridge, subnet, nf_tables table, control
group parent and id ranges, so that any number of them run beside each other and beside others."""
import contextlib
import fcntl
import glob
import os
import shutil
import subprocess
import time

from . import images, leaks
from .api import Api
from .wait import SLOW

SLOTS = 64
LOCKS = "/run/lock/fence-test"
BASE = os.environ.get("FENCE_TEST_BASE", "/var/tmp/fence-test")
CACHE = os.environ.get("FENCE_TEST_CACHE", "/var/tmp/fence-test-cache")
START_S = 30 * SLOW
STOP_S = 60 * SLOW


def program(name):
    """Path of a program under test: of $FENCE_TEST_BIN, or installed."""
    folder = os.environ.get("FENCE_TEST_BIN")
    path = os.path.join(folder, name) if folder else shutil.which(name)
    if not path or not os.access(path, os.X_OK):
        raise RuntimeError("%s is not there (FENCE_TEST_BIN=%s)" % (name, folder))
    return path


def libexec():
    """Where fenced finds its helpers."""
    here = os.path.dirname(os.path.realpath(program("fenced")))
    for folder in (here, here + "/../libexec/fence", here + "/../lib/fence", "/usr/libexec/fence"):
        if os.path.exists(folder + "/fence-monitor"):
            return os.path.realpath(folder)
    raise RuntimeError("fence-monitor is not there")


class Slot:
    """A number that no other test daemon of this machine has, whoever runs it, held by a lock until
    close(): bridges, tables and control groups are named after it."""

    def __init__(self):
        if not any(self.take(number) for number in range(1, SLOTS + 1)):
            raise RuntimeError("all %d test slots are in use" % SLOTS)

    def take(self, number):
        """Whether the slot was free and is ours now."""
        os.makedirs(LOCKS, exist_ok=True)
        self.path, self.fd, self.number = "%s/%d" % (LOCKS, number), -1, number
        try:
            self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # the file may have been removed by its last owner since it was opened
            if os.fstat(self.fd).st_ino == os.stat(self.path).st_ino:
                return True
        except OSError: # somebody else's, or gone in this moment
            pass
        if self.fd >= 0:
            os.close(self.fd)
        return False

    def close(self):
        if self.fd >= 0:
            os.unlink(self.path)
            os.close(self.fd)
            self.fd = -1
            with contextlib.suppress(OSError):
                os.rmdir(LOCKS)


class Daemon:
    def __init__(self, *flags, idmap_dir=None, env=None):
        self.slot = Slot()
        self.set_names()
        shutil.rmtree(self.root, ignore_errors=True)
        os.makedirs(self.root, mode=0o711)
        os.chmod(BASE, 0o711)
        self.flags = list(flags)
        self.idmap_dir = idmap_dir or self.root + "/idmap"
        self.extra_env = env or {}
        self.process = None

    def set_names(self):
        """Everything that follows from the slot."""
        n = self.slot.number
        self.root = "%s/%d" % (BASE, n)
        self.name = "fence-test-%d" % n
        self.data_root, self.exec_root = self.root + "/data", self.root + "/run"
        self.socket = self.root + "/api.sock"
        self.pidfile = self.root + "/pid"
        self.bridge, self.table = "fencet%d" % n, "fence_test_%d" % n
        self.bip = "10.213.%d.1/24" % n
        self.pool = "10.%d.0.0/16" % (100 + n) # of user networks
        self.cgroup_parent = "/" + self.name
        self.log_path = self.root + "/log"

    # ---- process
    def arguments(self):
        args = ["--data-root", self.data_root, "--exec-root", self.exec_root, "--pidfile", self.pidfile,
                "-H", self.host, "--bridge", self.bridge, "--bip", self.bip, "--nft-table", self.table,
                "--default-address-pool", "base=%s,size=24" % self.pool,
                "--cgroup-parent", self.cgroup_parent, "--idmap-dir", self.idmap_dir, "--group", "root",
                "--config-file", self.root + "/daemon.json"]
        return args + self.flags

    @property
    def host(self):
        return "unix://" + self.socket

    @property
    def pid(self):
        return self.process.pid

    @property
    def api(self):
        return Api(self.socket)

    def environment(self):
        env = dict(os.environ, **self.extra_env)
        report = self.root + "/sanitizer"
        env["ASAN_OPTIONS"] = "abort_on_error=1:detect_leaks=0:quarantine_size_mb=16:log_path=" + report
        env["UBSAN_OPTIONS"] = "halt_on_error=1:abort_on_error=1:print_stacktrace=1:log_path=" + report
        env.pop("NOTIFY_SOCKET", None)
        return env

    def spawn(self):
        """Starts the process without waiting for it."""
        config = self.root + "/daemon.json"
        if not os.path.exists(config):
            with open(config, "w", encoding="utf-8") as f:
                f.write("{}\n")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                [program("fenced"), *self.arguments()], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environment(), cwd="/", start_new_session=True)

    def start(self):
        self.spawn()
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                if Api(self.socket).request("GET", "/_ping", timeout=5).status == 200:
                    return self
            time.sleep(0.005)
        raise RuntimeError("fenced did not start:\n" + self.log()[-4000:])

    def load_busybox(self):
        with open(images.cached_busybox(CACHE), "rb") as f:
            self.api.ok("POST", "/images/load", f.read(), {"Content-Type": "application/x-tar"})
        return self

    def signal(self, number):
        self.process.send_signal(number)

    def kill9(self):
        """What a crash is. Containers go on."""
        self.process.kill()
        self.process.wait()

    def terminate(self):
        """SIGTERM, as a service manager does; the exit status."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise RuntimeError("fenced did not end within %d s:\n%s" %
                                   (STOP_S, self.log()[-4000:])) from None
        return self.process.returncode if self.process else None

    def restart(self):
        self.terminate()
        return self.start()

    def crash(self):
        """kill -9 and a new start."""
        self.kill9()
        return self.start()

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def sanitizer_reports(self):
        out = []
        for path in glob.glob(self.root + "/sanitizer*"):
            with open(path, encoding="utf-8", errors="replace") as f:
                report = f.read()
            # its last part, the state of the shadow memory, says nothing to a reader
            out.append("\n".join(report.split("Shadow bytes around")[0].splitlines()[:40]))
        return out

    # ---- helpers
    def children(self):
        """{pid: program name} of the processes that belong to this daemon's roots."""
        return leaks.processes_of(self.root + "/")

    def spawner(self):
        """The pid of the set-up process's parent, or None."""
        for pid, name in leaks.children_of(self.pid).items():
            if "spawner" in name:
                return pid
        return None

    def monitors(self):
        return [pid for pid, name in self.children().items() if "monitor" in name]

    def netd(self):
        """The pid of its fence-netd, or None."""
        return next((pid for pid, name in self.children().items() if "fence-netd" in name), None)

    def remove_all(self):
        """Containers, volumes, networks and what tests have made of images."""
        api = self.api
        for c in api.get("/containers/json", all=1):
            api.remove(c["Id"])
        api.request("POST", "/volumes/prune", filters={"all": ["true"]})
        for n in api.get("/networks", filters={"type": ["custom"]}):
            api.request("DELETE", "/networks/" + n["Id"])

    def close(self):
        """Ends it, removes what is its own, and says what had stayed (a list of texts)."""
        problems = []
        if self.process is not None:
            try:
                if self.process.poll() is not None:
                    self.start() # crashed, or killed by its test: containers are still there
                self.remove_all()
                if self.terminate() != 0:
                    problems.append("fenced ended with %s\n%s" %
                                    (self.process.returncode, self.log()[-3000:]))
            except Exception as e:  # pylint: disable=broad-except
                problems.append("%s\n%s" % (e, self.log()[-3000:]))
                self.process.kill()
                self.process.wait()
        problems += self.sanitizer_reports()
        # the kernel takes network namespaces down, and their interfaces, some time after their end
        for _ in range(int(100 * SLOW)):
            left = leaks.of_daemon(self)
            if not left:
                break
            time.sleep(0.1)
        problems += left
        leaks.sweep_daemon(self)
        shutil.rmtree(self.root, ignore_errors=True)
        self.slot.close()
        with contextlib.suppress(OSError):
            os.rmdir(BASE)
        return problems


def sweep():
    """Takes away what runs that were killed have left: daemons whose slot nobody holds."""
    for number in range(1, SLOTS + 1):
        if not os.path.exists("%s/%d" % (BASE, number)):
            continue
        slot = Slot.__new__(Slot)
        if slot.take(number):
            d = Daemon.__new__(Daemon)
            d.slot = slot
            d.set_names()
            leaks.sweep_daemon(d)
            shutil.rmtree(d.root, ignore_errors=True)
            slot.close()
    with contextlib.suppress(OSError):
        os.rmdir(BASE)


if __name__ == "__main__":
    sweep()
