# SPDX-License-Identifier: Apache-2.0
"""fence-netd driven by itself: its protocol (src/netd/protocol.h), network namespaces that stand for
containers, and a DNS server whose answers a test decides."""
import array
import contextlib
import ctypes
import os
import shutil
import socket
import struct
import subprocess
import threading
import time

from . import daemon as daemons
from .wait import SLOW, until

CLONE_NEWNET = 0x40000000
MAGIC, VERSION = 0x444e4346, 1
(SYNC_BEGIN, SYNC_END, RESERVE, RESERVED, RELEASE, ENDPOINT_PUT, ENDPOINT_DEL, SANDBOX_PUT, SANDBOX_DEL,
 ATTACH, ATTACHED, SHUTDOWN, STATUS) = range(1, 14)
PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": 132}


def text(s):
    b = s.encode()
    return struct.pack("=H", len(b)) + b + b"\0"


def texts(v):
    return struct.pack("=H", len(v)) + b"".join(text(s) for s in v)


def address(ip):
    if not ip:
        return b"\0"
    b = socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)
    return bytes([len(b)]) + b


def message(kind, body=b"", seq=0, version=VERSION):
    return struct.pack("=IHHII", MAGIC, version, kind, seq, len(body)) + body


def get_text(body, at):
    n = struct.unpack_from("=H", body, at)[0]
    return body[at + 2:at + 2 + n].decode(), at + 2 + n + 1


class Connection:
    """One of the daemon's, or of a set-up process."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(20 * SLOW)

    def send(self, kind, body=b"", fds=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([message(kind, body, 7)], rights)

    def receive(self):
        data = self.sock.recv(65536)
        if not data:
            return None, b""
        return struct.unpack_from("=IHHII", data)[2], data[16:]

    def close(self):
        self.sock.close()

    # ---- what a daemon says
    def begin(self):
        self.send(SYNC_BEGIN)

    def end(self):
        self.send(SYNC_END)

    def endpoint(self, network, container, names, ip4="", ip6="", network_name="mynet"):
        self.send(ENDPOINT_PUT, text(network) + text(container) + address(ip4) + address(ip6) + texts(names) +
                  text(network_name))

    def endpoint_del(self, network, container):
        self.send(ENDPOINT_DEL, text(network) + text(container))

    def sandbox(self, cid, networks, servers=(), links=(), internal=False, pidfd=None):
        self.send(SANDBOX_PUT, text(cid) + texts(networks) + texts(servers) + texts(links) + bytes([internal]),
                  [pidfd] if pidfd is not None else ())

    def sandbox_del(self, cid):
        self.send(SANDBOX_DEL, text(cid))

    def reserve(self, owner, *ports):
        """Each: (protocol, first, last, hosts, to, to_port). The numbers, or the error's text."""
        body = text(owner) + struct.pack("=H", len(ports))
        for proto, first, last, hosts, to, to_port in ports:
            body += struct.pack("=BHHB", PROTOCOLS[proto], first, last, len(hosts))
            body += b"".join(address(h) for h in hosts) + address(to) + struct.pack("=H", to_port)
        self.send(RESERVE, body)
        kind, answer = self.receive()
        assert kind == RESERVED
        error, at = get_text(answer, 5)
        if error:
            number = struct.unpack_from("=I", answer, 1)[0]
            return error + (": " + os.strerror(number).lower() if number else "")
        count = struct.unpack_from("=H", answer, at)[0]
        return list(struct.unpack_from("=%dH" % count, answer, at + 2))

    def release(self, owner, *ports):
        self.send(RELEASE, text(owner) + struct.pack("=H", len(ports)) +
                  b"".join(struct.pack("=BH", PROTOCOLS[p], n) for p, n in ports))

    def status(self):
        self.send(STATUS)
        kind, body = self.receive()
        assert kind == STATUS
        return {k: int(v) for k, v in (pair.split("=") for pair in get_text(body, 0)[0].split())}

    # ---- what a set-up process says
    def attach(self, cid, space, pidfd=None):
        """The error's text, or ""."""
        fd = os.open("/proc/%d/ns/net" % space.pid, os.O_RDONLY)
        try:
            self.send(ATTACH, text(cid), [fd] + ([pidfd] if pidfd is not None else []))
        finally:
            os.close(fd)
        return self.attached()

    def attached(self):
        kind, body = self.receive()
        assert kind == ATTACHED
        return get_text(body, 4)[0]


class Netd:
    """The process, with its socket in a folder."""

    def __init__(self, folder):
        self.path = str(folder) + "/netd.sock"
        self.process = self.first = None

    def start(self):
        program = os.path.join(daemons.libexec(), "fence-netd")
        env = dict(os.environ, ASAN_OPTIONS="abort_on_error=1:detect_leaks=0",
                   UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")
        self.process = subprocess.Popen([program, "--socket", self.path],  # pylint: disable=consider-using-with
                                        stdin=subprocess.DEVNULL, env=env)
        until(self.answers)
        return self

    def answers(self):
        """Keeps the connection, for connect(): a process that nobody is connected to ends."""
        try:
            self.first = self.open()
        except OSError:
            return False
        return True

    def open(self):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.connect(self.path)
        return Connection(s)

    def connect(self):
        first, self.first = self.first, None
        return first or self.open()

    def pss_kib(self):
        with open("/proc/%d/smaps_rollup" % self.process.pid, encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))

    def is_sanitized(self):
        with open("/proc/%d/maps" % self.process.pid, encoding="ascii") as f:
            return "libasan" in f.read()

    def ended(self, seconds=10):
        return self.process.wait(seconds * SLOW)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()


class Space:
    """A network namespace with a process in it; veth: an address, and the host's on the other end."""
    number = 0

    def __init__(self, ip4=None, host4=None, ip6=None, host6=None):
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(["unshare", "-n", "sleep", "1000"])
        self.pid = self.process.pid
        self.link = None
        own = os.readlink("/proc/thread-self/ns/net")
        until(lambda: os.readlink("/proc/%d/ns/net" % self.pid) != own)
        self.run("ip", "link", "set", "lo", "up")
        if ip4:
            Space.number += 1
            self.link = "fnt%d-%d" % (os.getpid() % 100000, Space.number)
            call("ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", str(self.pid))
            call("ip", "addr", "add", host4 + "/24", "dev", self.link)
            call("ip", "link", "set", self.link, "up")
            self.run("ip", "addr", "add", ip4 + "/24", "dev", "eth0")
            self.run("ip", "link", "set", "eth0", "up")
            if ip6:
                call("ip", "addr", "add", host6 + "/64", "dev", self.link, "nodad")
                self.run("ip", "addr", "add", ip6 + "/64", "dev", "eth0", "nodad")

    def command(self, *argv):
        return ["nsenter", "-t", str(self.pid), "-n", *argv]

    def run(self, *argv, check=True):
        return subprocess.run(self.command(*argv), check=check, capture_output=True, text=True,
                              timeout=60 * SLOW).stdout

    def dig(self, *argv):
        return self.run("dig", "@127.0.0.11", "+tries=1", "+time=9", *argv, check=False)

    def ask(self, name, kind="A", *argv):
        """The answers' data, sorted."""
        lines = self.dig("+short", name, kind, *argv).splitlines()
        return sorted(line for line in lines if not line.startswith(";"))

    def socket(self, *argv):
        """A socket of ours that lives in the namespace."""
        result = []

        def make():
            fd = os.open("/proc/%d/ns/net" % self.pid, os.O_RDONLY)
            setns(fd)
            os.close(fd)
            result.append(socket.socket(*argv))

        worker = threading.Thread(target=make)  # namespaces are the thread's
        worker.start()
        worker.join()
        return result[0]

    def pidfd(self):
        return os.pidfd_open(self.pid)

    def close(self):
        self.process.kill()
        self.process.wait()
        if self.link:
            subprocess.run(["ip", "link", "del", self.link], capture_output=True, check=False)


def libc_call(name, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def setns(fd):
    libc_call("setns", fd, CLONE_NEWNET)


@contextlib.contextmanager
def own_host():
    """What stands for the host is a namespace as well, so that nothing of the machine's is in the way,
    nor in that of other tests. Of the calling thread, what it starts, and their processes."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    libc_call("unshare", CLONE_NEWNET)
    try:
        call("ip", "link", "set", "lo", "up")
        yield
    finally:
        setns(before)
        os.close(before)


def call(*argv):
    subprocess.run(argv, check=True, capture_output=True)


# ---- a DNS server ------------------------------------------------------------------------------------
def reply(query, rcode=0, answers=b"", count=0, truncated=False):
    """An answer with the query's id and question, which it must end with."""
    end = 12
    while query[end]:
        end += query[end] + 1
    end += 5
    flags = 0x8180 | rcode | (0x0200 if truncated else 0)
    return query[:2] + struct.pack(">HHHHH", flags, 1, count, 0, 0) + query[12:end] + answers


def record(data, kind=1):
    return struct.pack(">HHHIH", 0xc00c, kind, 1, 60, len(data)) + data


class Upstream:
    """Answers at two sockets by what `answer(query, by_tcp)` returns: bytes, a list of them, or None."""
    open = []

    def __init__(self, udp, tcp, answer):
        Upstream.open.append(self)
        self.udp, self.tcp, self.answer = udp, tcp, answer
        self.seen = []
        threading.Thread(target=self.serve_udp, daemon=True).start()
        threading.Thread(target=self.serve_tcp, daemon=True).start()

    def serve_udp(self):
        with contextlib.suppress(OSError):
            while True:
                query, peer = self.udp.recvfrom(65536)
                if not query: # shut down
                    return
                self.seen.append(("udp", peer, query))
                out = self.answer(query, False)
                for one in out if isinstance(out, list) else [out] if out else []:
                    self.udp.sendto(one, peer)

    def serve_tcp(self):
        with contextlib.suppress(OSError):
            while True:
                client, peer = self.tcp.accept()
                with client:
                    n = struct.unpack(">H", client.recv(2, socket.MSG_WAITALL))[0]
                    query = client.recv(n, socket.MSG_WAITALL)
                    self.seen.append(("tcp", peer, query))
                    out = self.answer(query, True)
                    if out:
                        client.sendall(struct.pack(">H", len(out)) + out)

    @classmethod
    def at(cls, ip, port, answer):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        udp.bind((ip, port))
        tcp.bind((ip, port))
        tcp.listen(16)
        return cls(udp, tcp, answer)

    @staticmethod
    def close_all():
        while Upstream.open:
            Upstream.open.pop().close()

    def close(self):
        for s in (self.udp, self.tcp):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()


def missing_tools():
    return [t for t in ("dig", "nsenter", "unshare", "ip") if not shutil.which(t)]


def pause(seconds):
    time.sleep(seconds * SLOW)
