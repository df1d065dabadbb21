#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A person at a terminal: terminal.py SCRIPT COMMAND [ARG...]

Runs the command under a pseudo terminal and does the script's lines, one after the other:
    expect REGEX    reads until what came since the last expect matches (20 s, times
                    $FENCE_TEST_SLOW)
    send TEXT       types it; Python's escapes are understood: \\r is the enter key, \\x10 is Ctrl-P
    size ROWS COLS  changes the window
    pause SECONDS   (as many times longer)
Then it reads until the command ends (as long). Everything written goes to stdout, the exit status is the
command's, 99 when something was waited for in vain.
"""
import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

SLOW = max(1.0, float(os.environ.get("FENCE_TEST_SLOW") or 1))
PATIENCE_S = 20 * SLOW


class Terminal:
    def __init__(self, command):
        self.all, self.seen = b"", 0
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(command[0], command)
        self.size(24, 80)

    def size(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.kill(self.pid, signal.SIGWINCH)

    def read(self, seconds):
        """False at the end of the terminal."""
        if select.select([self.fd], [], [], max(seconds, 0))[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError: # EIO: nobody has the other end any more
                data = b""
            self.all += data
            return bool(data)
        return True

    def expect(self, regex):
        end = time.monotonic() + PATIENCE_S
        pattern, alive = re.compile(regex.encode(), re.S), True
        while True:
            match = pattern.search(self.all, self.seen)
            if match:
                self.seen = match.end()
                return
            if not alive or time.monotonic() > end:
                self.give_up("in vain expected %r" % regex)
            alive = self.read(end - time.monotonic())

    def finish(self):
        end = time.monotonic() + PATIENCE_S
        while self.read(end - time.monotonic()):
            if time.monotonic() > end:
                self.give_up("the command goes on")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def give_up(self, why):
        sys.stdout.buffer.write(self.all)
        print(why, file=sys.stderr)
        os.kill(self.pid, signal.SIGKILL)
        sys.exit(99)


def main():
    terminal = Terminal(sys.argv[2:])
    for line in sys.argv[1].splitlines():
        verb, _, rest = line.strip().partition(" ")
        if verb == "expect":
            terminal.expect(rest)
        elif verb == "send":
            os.write(terminal.fd, codecs.decode(rest, "unicode_escape").encode("latin-1"))
        elif verb == "size":
            terminal.size(*map(int, rest.split()))
        elif verb == "pause":
            time.sleep(float(rest) * SLOW)
        elif verb:
            sys.exit("terminal.py: what is '%s'?" % verb)
    status = terminal.finish()
    sys.stdout.buffer.write(terminal.all)
    sys.stdout.flush()
    sys.exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()
