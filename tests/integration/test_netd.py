# SPDX-License-Identifier: Apache-2.0
"""fence-netd by itself: names inside network namespaces, forwarding to other servers, host ports and
their relays. The namespaces stand for containers."""
import os
import signal
import socket
import struct
import threading

import pytest

from harness import netd as harness
from harness.netd import Netd, Space, Upstream, record, reply
from harness.wait import SLOW, until

HOSTS = ["0.0.0.0", "::"]


@pytest.fixture(scope="module", autouse=True)
def host():
    with harness.own_host():
        yield


@pytest.fixture
def netd(tmp_path):
    missing = harness.missing_tools()
    assert not missing, "tools/deps installs %s" % missing
    n = Netd(tmp_path)
    try:
        yield n.start()
    finally:
        n.stop()


@pytest.fixture
def control(netd):
    c = netd.connect()
    yield c
    c.close()


@pytest.fixture
def space(netd, control):
    """A namespace with names: two containers on one network, an alias that both have."""
    s = Space()
    control.endpoint("net1", "c1", ["Web", "both", "aaaaaaaaaaaa"], "172.30.0.2", "fd00::2")
    control.endpoint("net1", "c2", ["db", "both"], "172.30.0.3")
    control.sandbox("c1", ["net1"], links=["store=db"])
    assert netd.connect().attach("c1", s, s.pidfd()) == ""
    yield s
    s.close()


def header(text):
    """Status and flags of dig's output."""
    status = text.split("status: ")[1].split(",")[0]
    flags = text.split("flags: ")[1].split(";")[0].split()
    return status, flags


# ---- names -------------------------------------------------------------------------------------------
def test_names(space):
    assert space.ask("web") == space.ask("WEB") == space.ask("web.mynet") == ["172.30.0.2"]
    assert space.ask("aaaaaaaaaaaa") == ["172.30.0.2"]
    assert space.ask("web", "AAAA") == ["fd00::2"]
    assert space.ask("both") == ["172.30.0.2", "172.30.0.3"]
    assert space.ask("store") == space.ask("db") == ["172.30.0.3"]
    assert space.ask("web", "A", "+tcp") == ["172.30.0.2"]
    assert space.run("dig", "@127.0.0.11", "+short", "-x", "172.30.0.2").split() == ["Web.mynet."]
    assert space.run("dig", "@127.0.0.11", "+short", "-x", "fd00::2").split() == ["Web.mynet."]


def test_known_names_without_an_answer(space):
    for kind in ("AAAA", "MX", "TXT"):
        out = space.dig("db", kind)
        assert header(out)[0] == "NOERROR" and "ANSWER: 0" in out
    # nobody else is asked: there is nobody
    assert header(space.dig("nobody"))[0] == "SERVFAIL"


def test_round_robin(space):
    first = {space.dig("+short", "both").split()[0] for _ in range(30)}
    assert first == {"172.30.0.2", "172.30.0.3"}


def test_an_answer_too_long_for_udp(space, control):
    for i in range(60):
        control.endpoint("net1", "m%d" % i, ["m%d" % i, "many"], "172.30.1.%d" % (i + 1))
    control.status() # carried out
    out = space.dig("many", "+noedns", "+ignore")
    assert "tc" in header(out)[1]
    assert len(space.ask("many", "A", "+noedns")) == 60 # by TCP
    assert len(space.ask("many")) == 60 # EDNS


def test_changes_at_once(space, control):
    control.endpoint("net2", "c3", ["late"], "172.31.0.9", network_name="other")
    assert space.ask("late") == []
    control.sandbox("c1", ["net1", "net2"], pidfd=space.pidfd())
    control.status()
    assert space.ask("late.other") == ["172.31.0.9"]
    assert space.ask("store") == [] # the links went with it
    control.endpoint_del("net2", "c3")
    control.status()
    assert space.ask("late") == []


def test_port_53_is_the_containers(space):
    """Its own server, on all addresses, beside ours; and an nft flush takes nothing away."""
    udp = space.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("0.0.0.0", 53))
    tcp = space.socket(socket.AF_INET, socket.SOCK_STREAM)
    tcp.bind(("0.0.0.0", 53))
    tcp.listen(4)
    own = Upstream(udp, tcp, lambda q, by_tcp: reply(q, 0, record(socket.inet_aton("9.9.9.9")), 1))
    try:
        assert space.ask("web") == space.ask("web", "A", "+tcp") == ["172.30.0.2"]
        assert space.run("dig", "@127.0.0.1", "+short", "web").split() == ["9.9.9.9"]
        assert space.run("dig", "@127.0.0.1", "+short", "+tcp", "web").split() == ["9.9.9.9"]
        if tuple(int(n) for n in os.uname().release.split(".")[:2]) >= (6, 9): # tables have owners
            space.run("nft", "flush", "ruleset", check=False)
            assert space.ask("web") == ["172.30.0.2"]
    finally:
        own.close()


def test_connection_tracking_sees_one_port(space):
    """With rules of the container's own that track connections."""
    for rule in ("add table ip own", "add chain ip own out { type filter hook output priority 0; }",
                 "add rule ip own out ct state invalid drop",
                 "add chain ip own in { type filter hook input priority 0; policy drop; }",
                 "add rule ip own in ct state established accept",
                 "add rule ip own in ip daddr 127.0.0.11 accept"):
        space.run("nft", rule)
    assert space.ask("web") == space.ask("web", "A", "+tcp") == ["172.30.0.2"]


def test_malformed_queries(space):
    s = space.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5 * SLOW)
    s.connect(("127.0.0.11", 53))
    for bad in (b"", b"x", b"\0" * 11, b"\x12\x34\x81\x80" + b"\0" * 8):
        s.send(bad)
    s.send(b"\x12\x34\x01\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1")
    assert s.recv(512)[3] & 15 == 1 # FORMERR; the others got nothing
    s.close()
    assert space.ask("web") == ["172.30.0.2"]


def test_tcp_clients_make_room(space):
    silent = []
    for _ in range(40):
        s = space.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.connect(("127.0.0.11", 53))
        silent.append(s)
    assert space.ask("web", "A", "+tcp") == ["172.30.0.2"]
    # two questions in one go on one connection
    s = space.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.settimeout(5 * SLOW)
    s.connect(("127.0.0.11", 53))
    q = b"\x12\x34\x01\0\0\1\0\0\0\0\0\0\x03web\0\0\1\0\1"
    s.sendall((struct.pack(">H", len(q)) + q) * 2)
    data = b""
    while len(data) < 2 * (2 + len(q) + 16):
        data += s.recv(1000)
    assert data.count(socket.inet_aton("172.30.0.2")) == 2
    for one in silent + [s]:
        one.close()


# ---- forwarding --------------------------------------------------------------------------------------
def address_reply(ip):
    return lambda q, by_tcp: reply(q, 0, record(socket.inet_aton(ip)), 1)


@pytest.fixture
def lan(netd, control):
    """A namespace that reaches the host's end of a veth, where servers can be."""
    s = Space("198.51.100.2", "198.51.100.1")
    yield s
    Upstream.close_all()
    s.close()


def attached(netd, control, space, *servers, internal=False):
    control.sandbox("f", ["net1"], servers, internal=internal)
    assert netd.connect().attach("f", space, space.pidfd()) == ""


def test_forwards_from_the_namespace(netd, control, lan):
    up = Upstream.at("198.51.100.1", 5353, address_reply("192.0.2.7"))
    attached(netd, control, lan, "198.51.100.1#5353")
    assert lan.ask("example.org") == lan.ask("single") == ["192.0.2.7"]
    assert lan.ask("example.org", "A", "+tcp") == ["192.0.2.7"]
    assert {peer[0] for _, peer, _ in up.seen} == {"198.51.100.2"} # the container's address
    assert [kind for kind, _, _ in up.seen] == ["udp", "udp", "tcp"]
    ids = {query[:2] for _, _, query in up.seen}
    ports = {peer[1] for _, peer, _ in up.seen}
    assert len(ids) == 3 and len(ports) == 3


def test_loopback_servers_are_the_hosts(netd, control, lan):
    up = Upstream.at("127.0.0.1", 0, address_reply("192.0.2.8"))
    port = up.udp.getsockname()[1]
    attached(netd, control, lan, "127.0.0.1#%d" % port)
    assert lan.ask("example.org") == ["192.0.2.8"]


def test_rcodes(netd, control, lan):
    up = Upstream.at("198.51.100.1", 5353, lambda q, by_tcp: reply(q, 3))
    refuses = Upstream.at("198.51.100.1", 5354, lambda q, by_tcp: reply(q, 5))
    attached(netd, control, lan, "198.51.100.1#5354", "198.51.100.1#5353")
    assert header(lan.dig("example.org"))[0] == "NXDOMAIN" # of the second
    attached(netd, control, lan, "198.51.100.1#5354")
    assert header(lan.dig("example.org"))[0] == "REFUSED" # there is no other


def test_failover(netd, control, lan):
    silent = Upstream.at("198.51.100.1", 5353, lambda q, by_tcp: None)
    up = Upstream.at("198.51.100.1", 5354, address_reply("192.0.2.9"))
    # one where nobody listens, one that says nothing, one that answers
    attached(netd, control, lan, "198.51.100.1#5355", "198.51.100.1#5353", "198.51.100.1#5354")
    start = os.times().elapsed
    assert lan.ask("example.org") == ["192.0.2.9"]
    took = os.times().elapsed - start
    assert 1.9 < took < 4 * SLOW
    # it is known for a while that the second says nothing
    attached(netd, control, lan, "198.51.100.1#5353", "198.51.100.1#5354")
    assert lan.ask("example.org") == ["192.0.2.9"]
    start = os.times().elapsed
    assert lan.ask("example.org") == ["192.0.2.9"]
    assert os.times().elapsed - start < 1 * SLOW
    # nobody answers at all
    attached(netd, control, lan, "198.51.100.1#5353")
    assert header(lan.dig("example.org"))[0] == "SERVFAIL"
    assert control.status()["queries"] == 0


def test_truncated_answers(netd, control, lan):
    many = b"".join(record(socket.inet_aton("192.0.2.%d" % i)) for i in range(100))

    def answer(query, by_tcp):
        return reply(query, 0, many, 100) if by_tcp else reply(query, truncated=True)

    up = Upstream.at("198.51.100.1", 5353, answer)
    attached(netd, control, lan, "198.51.100.1#5353")
    # fits into what dig takes by UDP: it need not ask again
    assert len(lan.ask("example.org", "A", "+bufsize=4096")) == 100
    assert [kind for kind, _, _ in up.seen] == ["udp", "tcp"]
    out = lan.dig("example.org", "+noedns", "+ignore")
    assert "tc" in header(out)[1]
    assert len(lan.ask("example.org", "A", "+noedns")) == 100 # dig's second try, by TCP


def test_forged_answers(netd, control, lan):
    """Another id, another question, another case: not answers."""
    def answer(query, by_tcp):
        forged = reply(query, 0, record(socket.inet_aton("6.6.6.6")), 1)
        good = reply(query, 0, record(socket.inet_aton("192.0.2.1")), 1)
        return [bytes([forged[0] ^ 1]) + forged[1:], forged.replace(b"example", b"exbmple"),
                forged.replace(b"example", b"eXample"), b"", b"x", forged[:12], good]

    up = Upstream.at("198.51.100.1", 5353, answer)
    attached(netd, control, lan, "198.51.100.1#5353")
    assert lan.ask("example.org") == ["192.0.2.1"]


def test_malformed_answers(netd, control, lan):
    loop = struct.pack(">HHHIH", 0xc000 | 29, 1, 1, 60, 0)
    up = Upstream.at("198.51.100.1", 5353, lambda q, by_tcp: reply(q, 0, loop, 1))
    good = Upstream.at("198.51.100.1", 5354, address_reply("192.0.2.2"))
    attached(netd, control, lan, "198.51.100.1#5353", "198.51.100.1#5354")
    assert lan.ask("example.org") == ["192.0.2.2"]


def test_internal(netd, control, lan):
    up = Upstream.at("198.51.100.1", 5353, address_reply("192.0.2.7"))
    attached(netd, control, lan, "198.51.100.1#5353", internal=True)
    control.endpoint("net1", "c1", ["web"], "172.30.0.2")
    control.status()
    assert lan.ask("web") == ["172.30.0.2"]
    assert header(lan.dig("example.org"))[0] == "SERVFAIL"
    assert not up.seen


def test_a_flood_leaves_the_others_their_turn(netd, control, lan, space):
    """One container asks for what nobody answers, as often as it can."""
    silent = Upstream.at("198.51.100.1", 5353, lambda q, by_tcp: None)
    attached(netd, control, lan, "198.51.100.1#5353")
    s = lan.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5 * SLOW)
    s.connect(("127.0.0.11", 53))
    query = b"\x01\0\0\1\0\0\0\0\0\0\x07example\3org\0\0\1\0\1"
    for i in range(128):
        s.send(struct.pack(">H", i) + query)
    rcodes = set()
    for i in range(128, 500): # one by one: their answers fit into the socket
        s.send(struct.pack(">H", i) + query)
        rcodes.add(s.recv(512)[3] & 15)
    assert rcodes == {5} # REFUSED: too many at once
    assert control.status()["queries"] == 128
    start = os.times().elapsed
    assert space.ask("web") == ["172.30.0.2"]
    assert os.times().elapsed - start < 1 * SLOW
    s.close()


# ---- life --------------------------------------------------------------------------------------------
def test_attach_waits_for_the_put(netd, control):
    s = Space()
    early = netd.connect()
    result = []
    worker = threading.Thread(target=lambda: result.append(early.attach("late", s)))
    worker.start()
    harness.pause(0.2)
    assert not result
    control.sandbox("late", ["net1"])
    worker.join()
    assert result == [""]
    s.close()


def test_a_descriptor_that_is_none_of_a_process(control):
    with open("/dev/null", "rb") as f:
        control.sandbox("c1", ["net1"], pidfd=f.fileno())
    assert control.attached().startswith("failed to open the network namespace")
    assert control.status()["sandboxes"] == 1


def test_attach_of_an_unknown_sandbox(netd, control):
    s = Space()
    assert "has not told the names" in netd.connect().attach("unknown", s)
    s.close()


def test_answers_without_a_daemon(netd, control, space):
    """The daemon's process is killed: its connection ends."""
    control.close()
    harness.pause(0.1)
    assert space.ask("web") == ["172.30.0.2"]
    again = netd.connect()
    again.begin()
    again.endpoint("net1", "c1", ["web"], "172.30.0.2")
    again.sandbox("c1", ["net1"], pidfd=space.pidfd())
    again.end()
    assert again.status()["endpoints"] == 1
    assert space.ask("web") == ["172.30.0.2"] and space.ask("db") == []
    again.close()
    space.close() # the container's end: nothing is left to be there for
    assert netd.ended() == 0
    assert not os.path.exists(netd.path)


def test_killed_and_started_anew(netd, control, space, tmp_path):
    """Its tables are still in the namespaces, and lead nowhere: the next process replaces them."""
    netd.stop()
    assert space.ask("web") == []
    again = Netd(tmp_path)
    try:
        c = again.start().connect()
        c.begin()
        c.endpoint("net1", "c1", ["web"], "172.30.0.2")
        c.sandbox("c1", ["net1"], pidfd=space.pidfd())
        c.end()
        c.status()
        assert space.ask("web") == space.ask("web", "A", "+tcp") == ["172.30.0.2"]
        assert space.run("nft", "list", "tables").split().count("fence_dns") == 1
        c.close()
    finally:
        again.stop()


def test_many_ends_at_once(netd, control):
    """They hold up nobody: 50 containers go while another asks."""
    spaces = [Space() for _ in range(51)]
    for i, s in enumerate(spaces):
        control.sandbox("s%d" % i, ["net1"])
        assert netd.connect().attach("s%d" % i, s, s.pidfd()) == ""
    control.endpoint("net1", "c1", ["web"], "172.30.0.2")
    control.status()
    start = os.times().elapsed
    for s in spaces[1:]:
        s.process.kill()
    until(lambda: control.status()["attached"] == 1)
    assert os.times().elapsed - start < 1 * SLOW
    assert spaces[0].ask("web") == ["172.30.0.2"]
    for s in spaces:
        s.close()


def test_ends_with_its_namespace(netd, control, space):
    """The init's end takes the resolver away, so that the namespace can go."""
    assert control.status()["attached"] == 1
    space.close()
    until(lambda: control.status()["attached"] == 0)
    assert control.status()["sandboxes"] == 1
    # and the container starts anew
    again = Space()
    assert netd.connect().attach("c1", again, again.pidfd()) == ""
    assert again.ask("web") == ["172.30.0.2"]
    again.close()


def test_ends_when_nobody_needs_it(netd):
    c = netd.connect()
    c.status()
    c.close()
    assert netd.ended() == 0


def test_shutdown(netd, control, space):
    control.send(harness.SHUTDOWN)
    assert netd.ended() == 0


def test_malformed_messages_end_the_connection(netd, control):
    for bad in (b"x", b"\0" * 16, harness.message(99), harness.message(harness.STATUS, version=2),
                harness.message(harness.RESERVE, harness.text("o") + b"\1\0\6"),
                harness.message(harness.ATTACH, harness.text("o"))):
        c = netd.connect()
        c.sock.send(bad)
        assert c.receive()[0] is None
        c.close()
    control.status()


def test_memory(netd, control):
    """2 MiB and 4 KiB an endpoint."""
    before = netd.pss_kib()
    for i in range(2000):
        control.endpoint("net%d" % (i % 50), "c%d" % i, ["container-%d" % i, "alias-%d" % i, "%012x" % i],
                         "10.1.%d.%d" % (i // 250, i % 250 + 1))
        control.sandbox("c%d" % i, ["net%d" % (i % 50)], ["10.0.0.1"])
    assert control.status()["endpoints"] == 2000
    if not netd.is_sanitized(): # whose own memory is many times this
        assert before < 2048
        assert netd.pss_kib() - before < 2000 * 4


# ---- ports -------------------------------------------------------------------------------------------
@pytest.fixture
def port():
    """One that is free."""
    with socket.socket() as s:
        s.bind(("0.0.0.0", 0))
        return s.getsockname()[1]


def test_conflicts(control, port):
    assert control.reserve("a", ("tcp", port, port, HOSTS, "127.0.0.1", 9)) == [port]
    assert control.reserve("b", ("tcp", port, port, HOSTS, "127.0.0.1", 9)) == \
        "listen tcp4 0.0.0.0:%d: bind: address already in use" % port
    assert control.reserve("b", ("tcp", port, port, ["::"], "127.0.0.1", 9)) == \
        "listen tcp6 [::]:%d: bind: address already in use" % port
    assert control.reserve("b", ("udp", port, port, HOSTS, "127.0.0.1", 9)) == [port]
    assert control.reserve("c", ("udp", port, port, ["0.0.0.0"], "127.0.0.1", 9)) == \
        "listen udp4 0.0.0.0:%d: bind: address already in use" % port
    assert control.reserve("c", ("tcp", port, port, ["203.0.113.200"], "127.0.0.1", 9)) == \
        "listen tcp4 203.0.113.200:%d: bind: cannot assign requested address" % port
    # nobody else gets it either
    with socket.socket() as s:
        with pytest.raises(OSError):
            s.bind(("0.0.0.0", port))
            s.listen()
    control.release("a", ("tcp", port))
    assert control.reserve("b", ("tcp", port, port, HOSTS, "127.0.0.1", 9)) == [port]
    control.release("b")
    assert control.status()["ports"] == 0


def test_range(control, port):
    end = min(port + 3, 65535)
    first = end - 3
    got = [control.reserve("o%d" % i, ("udp", first, end, ["127.0.0.1"], "127.0.0.1", 9)) for i in range(5)]
    assert [g[0] for g in got[:4] if isinstance(g, list)] == \
        sorted(g[0] for g in got[:4] if isinstance(g, list))
    assert got[4] == "all ports are allocated"


def test_large_range_goes_on(control):
    """Thousands of random ports: each search begins behind the last one."""
    one = control.reserve("a", ("tcp", 32768, 60999, ["127.0.0.1"], "127.0.0.1", 9))[0]
    control.release("a")
    two = control.reserve("a", ("tcp", 32768, 60999, ["127.0.0.1"], "127.0.0.1", 9))[0]
    assert two > one


def test_sctp(control, port):
    """Where the kernel has it; else its answer."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132).close()
        want = [port]
    except OSError:
        want = "listen sctp4 127.0.0.1:%d: socket: protocol not supported" % port
    assert control.reserve("a", ("sctp", port, port, ["127.0.0.1"], "127.0.0.1", 9)) == want


def test_all_or_nothing(control, port):
    other = port - 1
    assert control.reserve("a", ("tcp", port, port, ["127.0.0.1"], "127.0.0.1", 9)) == [port]
    error = control.reserve("b", ("tcp", other, other, ["127.0.0.1"], "127.0.0.1", 9),
                            ("tcp", port, port, ["127.0.0.1"], "127.0.0.1", 9))
    assert "bind: address already in use" in error
    assert control.status()["ports"] == 1


def test_sync_of_ports(netd, control, port):
    want = ("tcp", port, port, HOSTS, "127.0.0.1", 9)
    gone = ("tcp", port - 1, port - 1, HOSTS, "127.0.0.1", 9)
    assert control.reserve("a", want, gone) == [port, port - 1]
    control.close()
    again = netd.connect()
    again.begin()
    assert again.reserve("a", want) == [port] # the same socket
    assert again.reserve("b", gone) == [port - 1] # another owner: the old one gives way
    again.end()
    assert again.status()["ports"] == 2
    assert again.reserve("a", want) == [port] # said twice
    assert "already in use" in again.reserve("c", want)
    # what was there before stays when something new is refused
    assert "already in use" in again.reserve("a", want, gone)
    assert again.status()["ports"] == 2
    again.begin()
    again.end()
    assert again.status()["ports"] == 0
    again.close()


# ---- relays ------------------------------------------------------------------------------------------
SIZE = 10 << 20


def serve(space, kind, handler):
    """A server in the namespace; its port."""
    s = space.socket(socket.AF_INET, kind)
    s.bind(("0.0.0.0", 0))
    if kind == socket.SOCK_STREAM:
        s.listen(64)
    threading.Thread(target=handler, args=(s,), daemon=True).start()
    return s, s.getsockname()[1]


def echo_tcp(listener):
    """Sends back what came, then, after the client's end, a last word."""
    def one(c):
        with c:
            while True:
                data = c.recv(65536)
                if not data:
                    break
                c.sendall(data)
            c.sendall(b"bye")
    try:
        while True:
            threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()
    except OSError:
        pass


def exchange(s, data):
    """Sends all of it, ends that direction, and returns what comes back."""
    def send():
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
    worker = threading.Thread(target=send)
    worker.start()
    out = bytearray()
    while True:
        part = s.recv(1 << 16)
        if not part:
            break
        out += part
    worker.join()
    return bytes(out)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_tcp_relay(netd, control, lan, port, host):
    listener, inside = serve(lan, socket.SOCK_STREAM, echo_tcp)
    assert control.reserve("a", ("tcp", port, port, HOSTS, "198.51.100.2", inside)) == [port]
    data = os.urandom(1 << 20) * (SIZE >> 20)
    with socket.create_connection((host, port), timeout=30 * SLOW) as s:
        assert exchange(s, data) == data + b"bye"
    until(lambda: control.status()["relays"] == 0)
    # many at once
    clients = [socket.create_connection((host, port), timeout=30 * SLOW) for _ in range(50)]
    for i, s in enumerate(clients):
        s.sendall(b"%d" % i)
    for i, s in enumerate(clients):
        s.shutdown(socket.SHUT_WR)
        out = b""
        while not out.endswith(b"bye"):
            out += s.recv(100)
        assert out == b"%dbye" % i
        s.close()
    until(lambda: control.status()["relays"] == 0)
    listener.close()


def test_tcp_relay_back_pressure(netd, control, lan, port):
    """A client that reads nothing holds up the container's end, not our memory."""
    def pour(listener):
        c = listener.accept()[0]
        c.setblocking(False)
        sent = 0
        try:
            while sent < 1 << 30:
                try:
                    sent += c.send(b"x" * 65536)
                except BlockingIOError:
                    break
        except OSError:
            pass
        poured.append(sent)
        c.setblocking(True)
        c.close()

    poured = []
    listener, inside = serve(lan, socket.SOCK_STREAM, pour)
    control.reserve("a", ("tcp", port, port, ["127.0.0.1"], "198.51.100.2", inside))
    before = netd.pss_kib()
    with socket.create_connection(("127.0.0.1", port)) as s:
        until(lambda: poured)
        assert netd.pss_kib() - before < (20480 if netd.is_sanitized() else 2048)
        total = 0
        while True:
            data = s.recv(1 << 20)
            if not data:
                break
            total += len(data)
        assert total == poured[0]
    listener.close()


def test_tcp_relay_reset_and_refusal(netd, control, lan, port):
    control.reserve("a", ("tcp", port, port, ["127.0.0.1"], "198.51.100.2", 9))
    with pytest.raises(ConnectionResetError): # nobody listens in there; early or late
        with socket.create_connection(("127.0.0.1", port), timeout=10 * SLOW) as s:
            s.recv(1)
    until(lambda: control.status()["relays"] == 0)


def echo_udp(s):
    try:
        while True:
            data, peer = s.recvfrom(65536)
            s.sendto(data, peer)
    except OSError:
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.5", "::1"])
def test_udp_relay(netd, control, lan, port, host):
    server, inside = serve(lan, socket.SOCK_DGRAM, echo_udp)
    assert control.reserve("a", ("udp", port, port, HOSTS, "198.51.100.2", inside)) == [port]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    clients = []
    for n in range(20):
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.settimeout(10 * SLOW)
        s.connect((host, port)) # answers must come from there
        clients.append(s)
        s.send(b"hello %d" % n)
    for n, s in enumerate(clients):
        assert s.recv(100) == b"hello %d" % n
    assert control.status()["flows"] == 20
    block = os.urandom(8192)
    for _ in range(SIZE // len(block)):
        clients[0].send(block)
        assert clients[0].recv(10000) == block
    control.release("a")
    assert control.status()["flows"] == 0
    for s in clients:
        s.close()
    server.close()


def test_nothing_of_the_starter_stays_open(netd):
    names = [os.readlink("/proc/%d/fd/%s" % (netd.process.pid, fd))
             for fd in os.listdir("/proc/%d/fd" % netd.process.pid) if int(fd) > 2]
    assert all(n.startswith(("socket:", "anon_inode:")) for n in names)


def test_signals_of_a_terminal(netd, control):
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        netd.process.send_signal(number)
    harness.pause(0.1)
    control.status()
