# SPDX-License-Identifier: Apache-2.0
"""Published ports: reachable from where they should be, closed where not, conflicts in Docker's words, and
all of it through killed daemons and flushed rules. The other machine is a network namespace."""
import os
import socket
import subprocess
import threading
import time

import pytest

from harness.wait import until

SERVER = ["sh", "-c", "echo hello from $HOSTNAME > /index.html; exec httpd -f -p 80 -h /"]


def free_port():
    with socket.socket() as s:
        s.bind(("0.0.0.0", 0))
        return s.getsockname()[1]


def fetch(ip, port, netns=None, seconds=3):
    """The page, or None when nothing answers."""
    host = "[%s]" % ip if ":" in ip else ip
    cmd = ["curl", "-s", "-g", "-m", str(seconds), "http://%s:%d/index.html" % (host, port)]
    if netns:
        cmd = ["ip", "netns", "exec", netns] + cmd
    r = subprocess.run(cmd, stdout=subprocess.PIPE, check=False)
    return r.stdout.decode() if r.returncode == 0 else None


def serve(api, name, ports, network="bridge", **host):
    cid = api.run(SERVER, name=name, host=dict(host, NetworkMode=network, PortBindings=ports), Hostname=name)
    until(lambda: api.exec(cid, ["wget", "-qO-", "http://127.0.0.1/index.html"])[0] == 0)
    return cid


def bound(api, cid, port="80/tcp"):
    return {b["HostIp"]: int(b["HostPort"]) for b in api.inspect(cid)["NetworkSettings"]["Ports"][port] or []}


@pytest.fixture
def lan(daemon):
    """A neighbour on a network of its own with this host: (its namespace, the host's address there)."""
    n = daemon.slot.number
    ns, dev, ours = "fence-lan-%d" % n, "flan%d" % n, "198.18.%d.1" % n
    run = lambda *a: subprocess.run(a, check=True)
    run("ip", "netns", "add", ns)
    try:
        run("ip", "link", "add", dev, "type", "veth", "peer", "name", "eth0", "netns", ns)
        run("ip", "addr", "add", ours + "/24", "dev", dev)
        run("ip", "link", "set", dev, "up")
        for cmd in (["addr", "add", "198.18.%d.2/24" % n, "dev", "eth0"], ["link", "set", "eth0", "up"],
                    ["link", "set", "lo", "up"], ["route", "add", "default", "via", ours]):
            run("ip", "-n", ns, *cmd)
        yield ns, ours
    finally:
        run("ip", "link", "del", dev) # the namespace's end takes it away only later
        run("ip", "netns", "del", ns)


def test_reachable_from_everywhere(daemon, api, lan):
    ns, ours = lan
    port = free_port()
    cid = serve(api, "web", {"80/tcp": [{"HostPort": str(port)}]})
    assert bound(api, cid) == {"0.0.0.0": port, "::": port}
    want = "hello from web\n"
    assert fetch(ours, port, ns) == want # the neighbour
    assert fetch("127.0.0.1", port) == want
    assert fetch("::1", port) == want
    assert fetch(ours, port) == want # the host's own address
    assert fetch(daemon.bip.split("/")[0], port) == want
    assert api.exec(cid, ["wget", "-qO-", "http://%s:%d/index.html" % (ours, port)])[1] == want # hairpin
    api.ok("POST", "/networks/create", {"Name": "other"})
    other = api.run(["sleep", "60"], host={"NetworkMode": "other"})
    assert api.exec(other, ["wget", "-qO-", "http://%s:%d/index.html" % (ours, port)])[1] == want
    listed = [p for c in api.get("/containers/json") if c["Id"] == cid for p in c["Ports"]]
    assert {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": port, "Type": "tcp"} in listed
    assert [c["Id"] for c in api.get("/containers/json", filters={"publish": [str(port)]})] == [cid]
    api.remove(cid)
    assert fetch(ours, port, ns, 1) is None and fetch("127.0.0.1", port) is None
    with socket.socket() as s: # free again
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("0.0.0.0", port))


def test_the_client_keeps_its_address(api, lan):
    ns, ours = lan
    port = free_port()
    cid = api.run(["sh", "-c", "exec nc -ll -p 80 -e cat /proc/net/tcp /proc/net/tcp6"],
                  host={"NetworkMode": "bridge", "PortBindings": {"80/tcp": [{"HostPort": str(port)}]}})
    neighbour = ours.rsplit(".", 1)[0] + ".2"
    hexed = "".join("%02X" % int(b) for b in reversed(neighbour.split(".")))
    ask = ("import socket; s = socket.create_connection((%r, %d), 2); print(s.makefile().read())" % (ours, port))

    def connections():
        return subprocess.run(["ip", "netns", "exec", ns, "python3", "-c", ask], stdout=subprocess.PIPE, check=False,
                              stderr=subprocess.DEVNULL).stdout.decode()
    assert hexed + ":" in until(connections)
    assert api.inspect(cid)["State"]["Running"]


def test_what_is_not_published_is_closed(api, lan):
    ns, _ = lan
    cid = serve(api, "web", {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]})
    ip = api.inspect(cid)["NetworkSettings"]["IPAddress"]
    (where, port), = bound(api, cid).items()
    assert where == "127.0.0.1" and fetch("127.0.0.1", port)
    assert fetch(ip, 80) # from the host itself, as with Docker
    assert fetch(ip, 80, ns, 2) is None # not by direct routing
    assert fetch(lan[1], port, ns, 2) is None


def test_random_ports_and_ranges(api):
    cid = serve(api, "web", {"80/tcp": [{"HostPort": ""}, {"HostPort": "39500-39509"}], "53/udp": []},
                PublishAllPorts=True)
    ports = {int(b["HostPort"]) for b in api.inspect(cid)["NetworkSettings"]["Ports"]["80/tcp"]}
    assert api.inspect(cid)["HostConfig"]["PortBindings"]["80/tcp"] == [ # both members, as Docker prints them
        {"HostIp": "", "HostPort": ""}, {"HostIp": "", "HostPort": "39500-39509"}]
    assert len(ports) == 2 and any(39500 <= p <= 39509 for p in ports)
    assert all(fetch("127.0.0.1", p) for p in ports)
    ten = [api.create(cmd=["sleep", "60"], host={"NetworkMode": "bridge", "PortBindings": {
        "80/tcp": [{"HostPort": "39510-39511"}]}}) for _ in range(3)]
    statuses = [api.request("POST", "/containers/%s/start" % c).status for c in ten]
    assert statuses == [204, 204, 500]
    exposed = api.run(["sleep", "60"], host={"NetworkMode": "bridge", "PublishAllPorts": True},
                      ExposedPorts={"80/tcp": {}, "99/udp": {}})
    shown = api.inspect(exposed)["NetworkSettings"]["Ports"]
    assert all(int(shown[k][0]["HostPort"]) > 1024 for k in ("80/tcp", "99/udp"))


def test_conflicts(api):
    port = free_port()
    ports = {"80/tcp": [{"HostPort": str(port)}]}
    serve(api, "first", ports)
    second = api.create(cmd=["true"], name="second", host={"NetworkMode": "bridge", "PortBindings": ports})
    a = api.request("POST", "/containers/second/start")
    assert a.status == 500 and a.message.startswith(
        "driver failed programming external connectivity on endpoint second (")
    assert a.message.endswith("Bind for 0.0.0.0:%d failed: port is already allocated" % port)
    assert api.inspect(second)["State"]["Status"] == "created"
    assert not api.inspect(second)["NetworkSettings"]["IPAddress"] # nothing is half done
    api.remove("first")
    api.start(second)
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("0.0.0.0", 0))
        s.listen()
        port = s.getsockname()[1]
        third = api.create(cmd=["true"], host={"NetworkMode": "bridge", "PortBindings": {
            "80/tcp": [{"HostPort": str(port)}]}})
        a = api.request("POST", "/containers/%s/start" % third)
        assert a.status == 500
        assert "listen tcp4 0.0.0.0:%d: bind: address already in use" % port in a.message
    api.start(third)


@pytest.mark.parametrize("ports,text", [
    ({"x/tcp": [{"HostPort": "1"}]}, 'invalid port specification: "x"'),
    ({"80/tcp": [{"HostPort": "70000"}]}, 'invalid port specification: "70000"'),
    ({"80/tcp": [{"HostIp": "1.2.3", "HostPort": "80"}]}, "invalid IP address in port bindings: 1.2.3"),
    ({"80/icmp": [{"HostPort": "80"}]}, "invalid protocol: icmp"),
])
def test_bad_ports(api, ports, text):
    a = api.request("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"PortBindings": ports}})
    assert (a.status, a.message) == (400, text)


def test_udp(api, lan):
    ns, ours = lan
    port = free_port()
    cid = api.run(["sleep", "60"], host={
        "NetworkMode": "bridge", "PortBindings": {"99/udp": [{"HostPort": str(port)}]}})
    server = subprocess.Popen(["nsenter", "-t", str(api.inspect(cid)["State"]["Pid"]), "-n", "python3", "-c",
                               "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                               "s.bind(('0.0.0.0', 99))\nwhile True: s.sendto(b'pong', s.recvfrom(99)[1])"])

    def ask(address, prefix=()):
        code = ("import socket; s = socket.socket(socket.AF_INET6 if ':' in %r else socket.AF_INET, "
                "socket.SOCK_DGRAM); s.settimeout(1); s.sendto(b'ping', (%r, %d)); print(s.recv(9))"
                % (address, address, port))
        r = subprocess.run([*prefix, "python3", "-c", code], stdout=subprocess.PIPE, check=False,
                           stderr=subprocess.DEVNULL)
        return b"pong" in r.stdout
    try:
        until(lambda: ask(ours, ("ip", "netns", "exec", ns)), 20)
        until(lambda: ask("127.0.0.1"))
        until(lambda: ask("::1"))
    finally:
        server.kill()
        server.wait()


def test_through_a_killed_daemon(new_daemon):
    d = new_daemon()
    port = free_port()
    cid = serve(d.api, "web", {"80/tcp": [{"HostPort": str(port)}]})
    gateway = d.bip.split("/")[0]
    everywhere = lambda: [bool(fetch(a, port)) for a in ("127.0.0.1", "::1", gateway)]
    assert everywhere() == [True] * 3
    d.kill9()
    assert everywhere() == [True] * 3
    d.start()
    assert everywhere() == [True] * 3
    assert bound(d.api, cid) == {"0.0.0.0": port, "::": port}
    again = d.api.create(cmd=["true"], host={"NetworkMode": "bridge", "PortBindings": {
        "80/tcp": [{"HostPort": str(port)}]}})
    assert "port is already allocated" in d.api.request("POST", "/containers/%s/start" % again).message
    d.api.remove(cid)
    assert everywhere() == [False] * 3
    d.api.start(again)


def test_a_killed_netd_is_replaced(new_daemon):
    d = new_daemon()
    port = free_port()
    serve(d.api, "web", {"80/tcp": [{"HostPort": str(port)}]})
    d.api.ok("POST", "/networks/create", {"Name": "a"})
    d.api.run(["sleep", "600"], name="peer", host={"NetworkMode": "a"})
    cid = d.api.run(["sleep", "600"], host={"NetworkMode": "a"})
    assert fetch("127.0.0.1", port)
    out = subprocess.run(["pgrep", "-f", "fence-netd --socket %s/netd.sock" % d.exec_root], check=True,
                         stdout=subprocess.PIPE).stdout.split()
    os.kill(int(out[0]), 9)
    until(lambda: fetch("127.0.0.1", port))
    until(lambda: d.api.exec(cid, ["ping", "-c1", "-w2", "peer"])[0] == 0)


def test_flushed_rules_come_back(api, daemon, lan):
    ns, ours = lan
    port = free_port()
    serve(api, "web", {"80/tcp": [{"HostPort": str(port)}]})
    assert fetch(ours, port, ns)
    subprocess.run(["nft", "flush", "table", "inet", daemon.table], check=True)
    until(lambda: fetch(ours, port, ns, 1), 3)
    subprocess.run(["nft", "delete", "table", "inet", daemon.table], check=True)
    until(lambda: fetch(ours, port, ns, 1), 3)


def test_ports_of_a_running_container(api, lan):
    ns, ours = lan
    one, two = free_port(), free_port()
    cid = serve(api, "web", {"80/tcp": [{"HostPort": str(one)}]})
    api.ok("POST", "/containers/web/update", {"PublishAdd": {"80/tcp": [{"HostPort": str(two)}]}})
    assert fetch(ours, one, ns) and fetch(ours, two, ns) and fetch("127.0.0.1", two)
    api.ok("POST", "/containers/web/update", {"PublishRm": ["%d:80/tcp" % one]})
    assert fetch(ours, one, ns, 1) is None and fetch("127.0.0.1", one) is None and fetch(ours, two, ns)
    api.ok("POST", "/containers/web/restart", t=0)
    until(lambda: fetch(ours, two, ns))
    assert set(bound(api, cid).values()) == {two}
    a = api.request("POST", "/containers/web/update", {"PublishRm": ["81/tcp"]})
    assert (a.status, a.message) == (404, "port 81/tcp of container web is not published")
    a = api.request("POST", "/containers/web/update", {"PublishAdd": {"80/tcp": [{"HostPort": str(two)}]}})
    assert "port is already allocated" in a.message
    a = api.request("POST", "/containers/web/update", {"PublishAdd": {"80/tcp": [{"HostPort": "no"}]}})
    assert a.status == 400


def test_explain(api):
    port = free_port()
    cid = api.run(["sleep", "60"], host={"NetworkMode": "bridge", "PortBindings": {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}], "81/tcp": [{"HostPort": ""}]}},
                  ExposedPorts={"82/tcp": {}})
    told = {(p["Port"], p["HostIp"]): {r["From"]: r["Allowed"] for r in p["Reach"]}
            for p in api.get("/containers/%s/ports/explain" % cid)["Ports"]}
    assert told["80/tcp", "127.0.0.1"]["other machines"] is False
    assert told["80/tcp", "127.0.0.1"]["this host"] is True
    assert told["81/tcp", "0.0.0.0"]["this host"] is True
    assert told["82/tcp", ""]["other machines"] is False


def test_moving_to_another_network_moves_the_ports(api, daemon):
    port = free_port()
    api.ok("POST", "/networks/create", {"Name": "a"})
    cid = serve(api, "web", {"80/tcp": [{"HostPort": str(port)}]}, "a")
    api.ok("POST", "/networks/bridge/connect", {"Container": cid})
    api.ok("POST", "/networks/a/disconnect", {"Container": cid})
    until(lambda: fetch("127.0.0.1", port) and fetch(daemon.bip.split("/")[0], port))
    api.ok("POST", "/networks/bridge/disconnect", {"Container": cid})
    assert not api.inspect(cid)["NetworkSettings"]["Ports"].get("80/tcp") and not fetch("127.0.0.1", port)
    api.ok("POST", "/networks/a/connect", {"Container": cid})
    until(lambda: fetch("127.0.0.1", port))


def test_many_ports(daemon, api, lan):
    """2,000 ports of one container; the last one works as the first."""
    ns, ours = lan
    first = 10000 + daemon.slot.number % 8 * 2100
    ports = {"%d/tcp" % p: [{"HostPort": str(first + p)}] for p in range(1, 2001)}
    ports["80/tcp"] = [{"HostPort": str(first + 80)}]
    before = time.monotonic()
    serve(api, "web", ports)
    assert time.monotonic() - before < 30
    assert fetch(ours, first + 80, ns)


def test_many_at_once(api):
    """Ports are reserved while others start: no number is given twice."""
    ids, failed = [], []

    def one():
        try:
            ids.append(api.run(["sleep", "60"], host={"NetworkMode": "bridge", "PublishAllPorts": True},
                               ExposedPorts={"80/tcp": {}, "81/tcp": {}}))
        except Exception as e:  # pylint: disable=broad-except
            failed.append(e)
    threads = [threading.Thread(target=one) for _ in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed
    numbers = [p for cid in ids for key in ("80/tcp", "81/tcp") for p in set(bound(api, cid, key).values())]
    assert len(numbers) == len(set(numbers)) == 32
