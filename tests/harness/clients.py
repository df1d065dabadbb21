# SPDX-License-Identifier: Apache-2.0
"""Command line clients: the machine's docker, Debian's docker 20.10, and fence."""
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
import fcntl

from .daemon import CACHE, program
from .wait import SLOW, until

TIMEOUT_S = 60


def is_docker(path):
    """Docker's own client, not ours under that name."""
    with open(path, "rb") as f:
        return b"Go build" in f.read() or os.path.getsize(path) > 20 << 20


def find():
    """{name: path} of the clients that are there."""
    out = {}
    there = shutil.which("docker")
    if there and is_docker(os.path.realpath(there)):
        out["docker"] = there
    debian = os.path.join(CACHE, "clients/bin/docker")
    if os.path.exists(debian):
        out["docker20"] = debian
    try:
        out["fence"] = program("fence")
    except RuntimeError:
        pass
    return out


class Cli:
    """One client, talking to one daemon."""

    def __init__(self, name, path, host, home):
        self.name, self.path, self.host, self.home = name, path, host, home

    def environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}
        env.update(DOCKER_HOST=self.host, HOME=self.home, DOCKER_CONFIG=self.home + "/.docker",
                   ASAN_OPTIONS="detect_leaks=0", TERM="xterm", DOCKER_CLI_HINTS="false")
        return env

    def __call__(self, *args, stdin=None, timeout=TIMEOUT_S):
        """Runs a command; .returncode, .stdout and .stderr as text."""
        return subprocess.run([self.path, *args], input=stdin, capture_output=True, text=True,
                              timeout=timeout * SLOW, env=self.environment(), check=False)

    def ok(self, *args, **kw):
        """Its output; it must succeed."""
        r = self(*args, **kw)
        assert r.returncode == 0, "%s %s: %d\n%s%s" % (self.name, args, r.returncode, r.stdout, r.stderr)
        return r.stdout

    def popen(self, *args, **kw):
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen([self.path, *args], env=self.environment(), **kw)

    def terminal(self, *args, **kw):
        return Terminal([self.path, *args], self.environment(), **kw)


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, args, env, rows=24, columns=80):
        self.fd, slave = pty.openpty()
        self.resize(rows, columns)
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
            args, stdin=slave, stdout=slave, stderr=slave, env=env, close_fds=True,
            preexec_fn=lambda: (os.setsid(), fcntl.ioctl(0, termios.TIOCSCTTY, 0)))
        os.close(slave)
        self.seen = ""

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if hasattr(self, "process"):
            self.process.send_signal(signal.SIGWINCH)

    def send(self, text):
        os.write(self.fd, text.encode())

    def read_some(self, timeout):
        if not select.select([self.fd], [], [], timeout)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError: # its last process has gone
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def expect(self, pattern, timeout=20):
        """Waits until `pattern` is in what is unread; returns the match and drops what is before."""
        end = time.monotonic() + timeout * SLOW
        while True:
            match = re.search(pattern, self.seen)
            if match:
                self.seen = self.seen[match.end():]
                return match
            left = end - time.monotonic()
            if left <= 0 or (not self.read_some(left) and self.process.poll() is not None):
                match = re.search(pattern, self.seen)
                assert match, "%r is not in %r" % (pattern, self.seen)

    def raw(self, timeout=20):
        """Waits until the client has taken the terminal over: keys go to the container from then on."""
        until(lambda: not termios.tcgetattr(self.fd)[3] & termios.ICANON, timeout)

    def wait(self, timeout=20):
        """Its exit status; what it still writes is read."""
        end = time.monotonic() + timeout * SLOW
        while self.process.poll() is None and time.monotonic() < end:
            self.read_some(0.05)
        while self.read_some(0):
            pass
        return self.process.wait(max(0.1, end - time.monotonic()))

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
