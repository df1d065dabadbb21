# SPDX-License-Identifier: Apache-2.0
"""User networks: create, addresses, connect and disconnect, names, links, and what survives a killed
daemon. Published ports are in test_ports.py."""
import os
import re
import subprocess
import time

import pytest

from harness.wait import until


def subnet(daemon, n, rest="0/24"):
    """The n-th /24 of this test daemon's own 10.N.0.0/16."""
    return "%s.%d.%s" % (daemon.pool.rsplit(".", 2)[0], n, rest)


def make(api, name, **body):
    return api.ok("POST", "/networks/create", dict(body, Name=name)).json["Id"]


def on(network, **settings):
    """Arguments of api.create() for a container on that network."""
    return {"host": {"NetworkMode": network}, "NetworkingConfig": {"EndpointsConfig": {network: settings}}}


def addresses(api, cid):
    out = api.exec(cid, ["ip", "-4", "-o", "addr"])[1]
    return dict(re.findall(r"(eth\d+)\s+inet (\S+)", out))


def default_route(api, cid):
    m = re.search(r"default via (\S+) dev (\S+)", api.exec(cid, ["ip", "route"])[1])
    return m.groups() if m else None


def events(api, since, **filters):
    lines = api.ok("GET", "/events", since=since, until="%.9f" % time.time(), filters=filters).lines
    return [(e["Type"], e["Action"], e["Actor"]["Attributes"].get("name")) for e in lines]


# ---- networks as objects ----------------------------------------------------------------------------
def test_the_three_that_are_always_there(api):
    found = {n["Name"]: n for n in api.get("/networks")}
    assert {k: found[k]["Driver"] for k in ("bridge", "host", "none")} == {
        "bridge": "bridge", "host": "host", "none": "null"}
    assert found["bridge"]["IPAM"]["Config"][0]["Gateway"]
    for name in ("bridge", "host", "none"):
        a = api.request("DELETE", "/networks/" + name)
        assert a.status == 403 and a.message == "%s is a pre-defined network and cannot be removed" % name


def test_create_and_inspect(daemon, api):
    since = "%.9f" % time.time()
    nid = make(api, "full", Driver="bridge", Internal=True, Attachable=True, Labels={"a": "b"},
               Options={"com.docker.network.bridge.enable_icc": "false", "com.docker.network.driver.mtu": "1400"},
               IPAM={"Config": [{"Subnet": subnet(daemon, 1), "IPRange": subnet(daemon, 1, "128/25"),
                                 "Gateway": subnet(daemon, 1, "254"),
                                 "AuxiliaryAddresses": {"r": subnet(daemon, 1, "129")}}]})
    assert re.fullmatch("[0-9a-f]{64}", nid)
    n = api.get("/networks/full")
    assert n["Id"] == nid and n["Scope"] == "local" and n["Driver"] == "bridge"
    assert n["Internal"] and n["Attachable"] and not n["EnableIPv6"] and n["Labels"] == {"a": "b"}
    assert n["IPAM"]["Config"] == [{"Subnet": subnet(daemon, 1), "IPRange": subnet(daemon, 1, "128/25"),
                                    "Gateway": subnet(daemon, 1, "254"),
                                    "AuxiliaryAddresses": {"r": subnet(daemon, 1, "129")}}]
    assert api.get("/networks/" + nid[:12])["Name"] == "full"
    bridge = "br-" + nid[:12]
    assert os.path.exists("/sys/class/net/%s/bridge" % bridge)
    assert open("/sys/class/net/%s/mtu" % bridge).read().strip() == "1400"
    # the first address of the range is an auxiliary one
    cid = api.run(["sleep", "60"], **on("full"))
    assert addresses(api, cid) == {"eth0": subnet(daemon, 1, "128/24")}
    assert default_route(api, cid) is None # internal
    assert open("/sys/class/net/%s/mtu" % bridge).read().strip() == "1400"
    assert list(api.get("/networks/full")["Containers"]) == [cid]
    a = api.request("DELETE", "/networks/full")
    assert a.status == 403
    assert a.message == "error while removing network: network full id %s has active endpoints" % nid
    api.remove(cid)
    assert api.request("DELETE", "/networks/full").status == 204
    assert not os.path.exists("/sys/class/net/" + bridge)
    assert api.request("GET", "/networks/full").message == "network full not found"
    assert [e[1] for e in events(api, since, type=["network"])] == ["create", "connect", "disconnect", "destroy"]


@pytest.mark.parametrize("body,status,text", [
    ({"Name": ""}, 400, "invalid name: "),
    ({"Name": "bridge"}, 403, "operation is not permitted on predefined bridge network "),
    ({"Name": "x", "Driver": "foo"}, 404, 'plugin "foo" not found'),
    ({"Name": "x", "Driver": "host"}, 403, 'only one instance of "host" network is allowed'),
    ({"Name": "x", "Driver": "null"}, 403, 'only one instance of "null" network is allowed'),
    ({"Name": "x", "Ingress": True}, 403, "Ingress network can only be global scope network"),
    ({"Name": "x", "ConfigFrom": {"Network": "no"}}, 404, 'configuration network "no" does not exist'),
    ({"Name": "x", "IPAM": {"Driver": "foo"}}, 404, 'plugin "foo" not found'),
    ({"Name": "x", "IPAM": {"Config": [{"Subnet": "bla"}]}}, 400,
     "Invalid subnet bla : invalid CIDR address: bla"),
    ({"Name": "x", "Options": {"com.docker.network.bridge.enable_icc": "bla"}}, 400,
     "failed to parse com.docker.network.bridge.enable_icc value: bla"),
    ({"Name": "x", "Options": {"com.docker.network.bridge.enable_ic": "true"}}, 400, "unknown option"),
    ({"Name": "x", "Driver": "macvlan", "Options": {"macvlan_mode": "fast"}}, 400, "unknown macvlan mode: fast"),
])
def test_refusals_of_create(api, body, status, text):
    a = api.request("POST", "/networks/create", body)
    assert (a.status, text in a.message) == (status, True), a.body
    assert "x" not in [n["Name"] for n in api.get("/networks")]


def test_names_and_subnets_are_unique(daemon, api):
    make(api, "one", IPAM={"Config": [{"Subnet": subnet(daemon, 2)}]},
         Options={"com.docker.network.bridge.name": "brt%d" % daemon.slot.number})
    a = api.request("POST", "/networks/create", {"Name": "one"})
    assert (a.status, a.message) == (409, "network with name one already exists")
    a = api.request("POST", "/networks/create", {"Name": "two", "IPAM": {"Config": [
        {"Subnet": subnet(daemon, 2, "128/25")}]}})
    assert (a.status, a.message) == (403, "Pool overlaps with other one on this address space")
    a = api.request("POST", "/networks/create", {"Name": "two", "Options": {
        "com.docker.network.bridge.name": "brt%d" % daemon.slot.number}})
    assert a.status == 403 and "networks have same bridge name" in a.message
    for _ in range(4): # each its own of the pools
        make(api, "auto%d" % _)
    nets = [n["IPAM"]["Config"][0]["Subnet"] for n in api.get("/networks") if n["IPAM"]["Config"]]
    assert len(set(nets)) == len(nets)


def test_filters_and_prune(daemon, api):
    make(api, "red", Labels={"colour": "red"})
    make(api, "blue", Labels={"colour": "blue"})
    cid = api.run(["sleep", "60"], **on("blue"))
    names = lambda **f: sorted(n["Name"] for n in api.get("/networks", filters=f))
    assert names(type=["custom"]) == ["blue", "red"]
    assert names(type=["builtin"]) == ["bridge", "host", "none"]
    assert names(label=["colour=red"]) == ["red"]
    assert names(name=["bl"]) == ["blue"]
    assert names(driver=["host"]) == ["host"]
    assert names(dangling=["true"]) == ["red"]
    assert api.request("GET", "/networks", filters={"type": ["odd"]}).status == 400
    assert [c["Id"] for c in api.get("/containers/json", filters={"network": ["blue"]})] == [cid]
    assert api.ok("POST", "/networks/prune", filters={"label!": ["colour=red"]}).json == {"NetworksDeleted": None}
    assert api.ok("POST", "/networks/prune").json == {"NetworksDeleted": ["red"]}
    api.remove(cid)
    assert api.ok("POST", "/networks/prune").json == {"NetworksDeleted": ["blue"]}


def test_config_only(daemon, api):
    make(api, "template", ConfigOnly=True, IPAM={"Config": [{"Subnet": subnet(daemon, 3)}]})
    make(api, "real", ConfigFrom={"Network": "template"})
    assert api.get("/networks/real")["IPAM"]["Config"][0]["Subnet"] == subnet(daemon, 3)
    a = api.request("DELETE", "/networks/template")
    assert a.status == 403 and "is in use" in a.message
    api.ok("DELETE", "/networks/real")
    api.ok("DELETE", "/networks/template")


# ---- containers on networks --------------------------------------------------------------------------
def test_chosen_addresses(daemon, api):
    make(api, "fix", EnableIPv6=True, IPAM={"Config": [
        {"Subnet": subnet(daemon, 4)}, {"Subnet": "fd00:%x::/64" % (0x100 + daemon.slot.number)}]})
    six = "fd00:%x::77" % (0x100 + daemon.slot.number)
    want = {"IPAMConfig": {"IPv4Address": subnet(daemon, 4, "77"), "IPv6Address": six},
            "MacAddress": "02:00:00:00:00:77"}
    new = type(api)(api.path, "v1.51") # addresses of endpoints are heard since 1.44
    cid = api.start(new.create(cmd=["sleep", "60"], **on("fix", **want)))
    ep = api.inspect(cid)["NetworkSettings"]["Networks"]["fix"]
    assert (ep["IPAddress"], ep["GlobalIPv6Address"], ep["MacAddress"]) == (
        subnet(daemon, 4, "77"), six, "02:00:00:00:00:77")
    assert ep["IPAMConfig"] == {"IPv4Address": subnet(daemon, 4, "77"), "IPv6Address": six}
    link = api.exec(cid, ["ip", "addr", "show", "eth0"])[1]
    assert "02:00:00:00:00:77" in link and six in link
    other = api.create(cmd=["true"], **on("fix", IPAMConfig={"IPv4Address": subnet(daemon, 4, "77")}))
    a = api.request("POST", "/containers/%s/start" % other)
    assert (a.status, a.message) == (403, "Address already in use")
    outside = api.create(cmd=["true"], **on("fix", IPAMConfig={"IPv4Address": "192.0.2.1"}))
    a = api.request("POST", "/containers/%s/start" % outside)
    assert "It does not belong to any of this network's subnets" in a.message
    peer = api.run(["sleep", "60"], **on("fix"))
    assert api.exec(peer, ["ping", "-c1", "-w5", subnet(daemon, 4, "77")])[0] == 0
    assert api.exec(peer, ["ping", "-6", "-c1", "-w5", six])[0] == 0


def test_wishes_that_a_network_cannot_meet(api):
    make(api, "auto")
    ask = {"Image": "busybox", "HostConfig": {"NetworkMode": "auto"}, "NetworkingConfig": {"EndpointsConfig": {
        "auto": {"IPAMConfig": {"IPv4Address": "10.0.0.9"}}}}}
    assert "only when connecting to networks with user configured subnets" in api.request(
        "POST", "/containers/create", ask).message
    cid = api.create(cmd=["sleep", "60"], host={"NetworkMode": "bridge"})
    for settings, text in (({"Aliases": ["x"]}, "network-scoped alias is supported only"),
                           ({"IPAMConfig": {"IPv4Address": "10.0.0.9"}}, "on user defined networks only")):
        api.request("POST", "/networks/bridge/disconnect", {"Container": cid})
        a = api.request("POST", "/networks/bridge/connect", {"Container": cid, "EndpointConfig": settings})
        assert a.status == 400 and text in a.message
    gone = api.create(cmd=["true"], host={"NetworkMode": "nosuch"})
    a = api.request("POST", "/containers/%s/start" % gone)
    assert (a.status, a.message) == (404, "network nosuch not found")


def test_connect_and_disconnect_while_running(daemon, api):
    make(api, "a", IPAM={"Config": [{"Subnet": subnet(daemon, 5)}]})
    make(api, "b", IPAM={"Config": [{"Subnet": subnet(daemon, 6)}]})
    cid = api.run(["sleep", "60"], name="wanderer", **on("a"))
    body = {"Container": "wanderer", "EndpointConfig": {"Aliases": ["w"], "IPAMConfig": {
        "IPv4Address": subnet(daemon, 6, "66")}}}
    assert api.ok("POST", "/networks/b/connect", body).status == 200
    assert addresses(api, cid) == {"eth0": subnet(daemon, 5, "2/24"), "eth1": subnet(daemon, 6, "66/24")}
    assert default_route(api, cid) == (subnet(daemon, 5, "1"), "eth0")
    hosts = api.exec(cid, ["cat", "/etc/hosts"])[1]
    assert subnet(daemon, 6, "66") + "\t" in hosts
    a = api.request("POST", "/networks/b/connect", {"Container": cid})
    assert (a.status, a.message) == (403, "endpoint with name wanderer already exists in network b")
    api.ok("POST", "/networks/a/disconnect", {"Container": cid})
    assert addresses(api, cid) == {"eth1": subnet(daemon, 6, "66/24")}
    assert default_route(api, cid) == (subnet(daemon, 6, "1"), "eth1")
    assert subnet(daemon, 5, "2") not in api.exec(cid, ["cat", "/etc/hosts"])[1]
    a = api.request("POST", "/networks/a/disconnect", {"Container": cid})
    assert a.message == "container %s is not connected to network a" % cid
    # what was connected stays so over a restart, with the wishes
    api.ok("POST", "/containers/%s/restart" % cid, t=0)
    assert addresses(api, cid) == {"eth0": subnet(daemon, 6, "66/24")}
    assert list(api.inspect(cid)["NetworkSettings"]["Networks"]) == ["b"]
    api.ok("POST", "/networks/b/disconnect", {"Container": cid, "Force": True})
    assert addresses(api, cid) == {}
    for name in ("a", "b"):
        api.ok("DELETE", "/networks/" + name)


@pytest.mark.parametrize("mode,network,text", [
    ("host", "a", "container cannot be disconnected from host network or connected to host network"),
    ("none", "a", "one of the networks in private (none) mode"),
    ("bridge", "host", "container cannot be disconnected from host network or connected to host network"),
    ("bridge", "none", "one of the networks in private (none) mode"),
])
def test_connections_that_cannot_be(api, mode, network, text):
    make(api, "a")
    cid = api.create(cmd=["true"], host={"NetworkMode": mode})
    a = api.request("POST", "/networks/%s/connect" % network, {"Container": cid})
    assert a.status == 400 and text in a.message
    assert api.request("POST", "/networks/a/connect", {"Container": "nosuch"}).message == \
        "No such container: nosuch"
    a = api.request("POST", "/networks/a/disconnect", {"Container": "nosuch", "Force": True})
    assert a.message == "endpoint nosuch not found"


def test_several_networks_from_the_start(daemon, api):
    make(api, "a", IPAM={"Config": [{"Subnet": subnet(daemon, 7)}]})
    make(api, "b", IPAM={"Config": [{"Subnet": subnet(daemon, 8)}]})
    body = {"Image": "busybox", "Cmd": ["sleep", "60"], "HostConfig": {"NetworkMode": "b"},
            "NetworkingConfig": {"EndpointsConfig": {"b": {}, "a": {"GwPriority": 5}}}}
    a = api.request("POST", "/containers/create", body)
    assert a.status == 400 and "Container cannot be connected to network endpoints: a, b" in a.message
    new = type(api)(api.path, "v1.51")
    cid = new.ok("POST", "/containers/create", body).json["Id"]
    api.start(cid)
    assert addresses(api, cid) == {"eth0": subnet(daemon, 8, "2/24"), "eth1": subnet(daemon, 7, "2/24")}
    assert default_route(api, cid) == (subnet(daemon, 7, "1"), "eth1") # the priority


def test_a_network_that_only_the_endpoints_name(daemon, api):
    make(api, "a", IPAM={"Config": [{"Subnet": subnet(daemon, 7)}]})
    cid = api.create(cmd=["sleep", "60"], host={"NetworkMode": "default"},
                     NetworkingConfig={"EndpointsConfig": {"a": {"Aliases": ["x"]}}})
    api.start(cid)
    assert list(api.inspect(cid)["NetworkSettings"]["Networks"]) == ["a"]
    assert addresses(api, cid) == {"eth0": subnet(daemon, 7, "2/24")}


def test_networks_are_apart(daemon, api):
    make(api, "a", IPAM={"Config": [{"Subnet": subnet(daemon, 9)}]})
    make(api, "b", IPAM={"Config": [{"Subnet": subnet(daemon, 10)}]})
    make(api, "quiet", IPAM={"Config": [{"Subnet": subnet(daemon, 11)}]},
         Options={"com.docker.network.bridge.enable_icc": "false"})
    x, y = (api.run(["sleep", "60"], **on(n)) for n in ("a", "b"))
    near = api.run(["sleep", "60"], **on("a"))
    ping = lambda cid, ip: api.exec(cid, ["ping", "-c1", "-w2", ip])[0]
    until(lambda: ping(near, subnet(daemon, 9, "2")) == 0)
    assert ping(y, subnet(daemon, 9, "2")) != 0
    assert ping(x, subnet(daemon, 10, "2")) != 0
    p, q = (api.run(["sleep", "60"], **on("quiet")) for _ in range(2))
    assert ping(p, subnet(daemon, 11, "3")) != 0
    until(lambda: ping(q, subnet(daemon, 11, "1")) == 0) # the host


def test_false_addresses_do_not_get_out(daemon, api):
    """A container that takes its neighbour's address, or another MAC, is not heard."""
    make(api, "a", IPAM={"Config": [{"Subnet": subnet(daemon, 12)}]})
    host = {"NetworkMode": "a", "CapAdd": ["NET_ADMIN", "NET_RAW"]}
    liar = api.run(["sleep", "60"], host=host)
    peer = api.run(["sleep", "60"], host={"NetworkMode": "a"})
    assert api.exec(liar, ["ping", "-c1", "-w5", subnet(daemon, 12, "3")])[0] == 0
    assert api.exec(liar, ["ip", "addr", "add", subnet(daemon, 12, "99/24"), "dev", "eth0"])[0] == 0
    assert api.exec(liar, ["ping", "-c1", "-w2", "-I", subnet(daemon, 12, "99"), subnet(daemon, 12, "3")])[0] != 0
    assert subnet(daemon, 12, "99") not in api.exec(peer, ["cat", "/proc/net/arp"])[1]
    assert api.exec(liar, ["ping", "-c1", "-w5", subnet(daemon, 12, "3")])[0] == 0


# ---- names ----------------------------------------------------------------------------------------------
def test_names(daemon, api):
    make(api, "a", IPAM={"Config": [{"Subnet": subnet(daemon, 13)}]})
    web = api.run(["sleep", "60"], name="web", **on("a", Aliases=["www", "site"]))
    cid = api.run(["sleep", "60"], name="client", **on("a", Links=["web:db"]))
    resolv = api.exec(cid, ["cat", "/etc/resolv.conf"])[1]
    assert "nameserver 127.0.0.11" in resolv and "ndots:0" in resolv
    for name in ("web", "www", "site", "WEB", web[:12], "web.a", "db"):
        code, out = api.exec(cid, ["ping", "-c1", "-w5", name])
        assert code == 0 and subnet(daemon, 13, "2") in out, (name, out)
    assert api.exec(web, ["ping", "-c1", "-w5", "client"])[0] == 0
    assert api.exec(web, ["ping", "-c1", "-w5", "db"])[0] != 0 # the link is the other's
    # changes are seen at once
    api.ok("POST", "/containers/web/rename", name="renamed")
    assert api.exec(cid, ["ping", "-c1", "-w5", "renamed"])[0] == 0
    api.ok("POST", "/networks/a/disconnect", {"Container": web})
    assert api.exec(cid, ["ping", "-c1", "-w5", "renamed"])[0] != 0
    api.ok("POST", "/networks/a/connect", {"Container": web, "EndpointConfig": {"Aliases": ["again"]}})
    assert api.exec(cid, ["ping", "-c1", "-w5", "again"])[0] == 0


def test_names_without_the_daemon(new_daemon):
    d = new_daemon()
    make(d.api, "a", IPAM={"Config": [{"Subnet": subnet(d, 1)}]})
    d.api.run(["sleep", "600"], name="web", **on("a"))
    cid = d.api.run(["sh", "-c", "while :; do ping -c1 -w2 web && echo yes || echo no; sleep 0.2; done"], **on("a"))
    until(lambda: b"yes" in d.api.logs(cid))
    log = d.api.inspect(cid)["LogPath"]
    d.kill9()
    size = os.path.getsize(log)
    until(lambda: "yes" in open(log).read()[size:])
    d.start()
    assert d.api.exec(cid, ["ping", "-c1", "-w5", "web"])[0] == 0
    other = d.api.run(["sleep", "600"], name="late", **on("a"))
    assert d.api.inspect(other)["NetworkSettings"]["Networks"]["a"]["IPAddress"] == subnet(d, 1, "4")
    assert d.api.exec(cid, ["ping", "-c1", "-w5", "late"])[0] == 0


def test_a_container_that_moves_to_a_user_network_gets_names(api):
    make(api, "a")
    api.run(["sleep", "60"], name="web", **on("a"))
    cid = api.run(["sleep", "60"], host={"NetworkMode": "bridge"})
    assert "127.0.0.11" not in api.exec(cid, ["cat", "/etc/resolv.conf"])[1]
    api.ok("POST", "/networks/a/connect", {"Container": cid})
    assert api.exec(cid, ["ping", "-c1", "-w5", "web"])[0] == 0


# ---- links -------------------------------------------------------------------------------------------------
def test_links(api):
    db = api.run(["sleep", "60"], name="db", host={"NetworkMode": "bridge"}, Env=["SECRET=x", "HOME=/"],
                 ExposedPorts={"5432/tcp": {}, "53/udp": {}, "54/udp": {}})
    ip = api.inspect(db)["NetworkSettings"]["IPAddress"]
    web = api.run(["sleep", "60"], name="web", host={"NetworkMode": "bridge", "Links": ["db:the-db"]})
    env = api.exec(web, ["env"])[1].splitlines()
    for want in ("THE_DB_PORT=udp://%s:53" % ip, "THE_DB_NAME=/web/the-db", "THE_DB_ENV_SECRET=x",
                 "THE_DB_PORT_5432_TCP=tcp://%s:5432" % ip, "THE_DB_PORT_5432_TCP_ADDR=" + ip,
                 "THE_DB_PORT_5432_TCP_PORT=5432", "THE_DB_PORT_5432_TCP_PROTO=tcp",
                 "THE_DB_PORT_53_UDP_START=udp://%s:53" % ip, "THE_DB_PORT_53_UDP_PORT_END=54"):
        assert want in env, (want, env)
    assert not [v for v in env if v.startswith("THE_DB_ENV_HOME")]
    assert "%s\tthe-db %s db\n" % (ip, db[:12]) in api.exec(web, ["cat", "/etc/hosts"])[1]
    assert api.exec(web, ["ping", "-c1", "-w5", "the-db"])[0] == 0
    assert api.inspect(web)["HostConfig"]["Links"] == ["/db:/web/the-db"]
    names = lambda: {tuple(c["Names"]) for c in api.get("/containers/json", all=True)}
    assert {("/db", "/web/the-db"), ("/web",)} <= names()
    # the target comes back with another address
    api.ok("POST", "/containers/db/stop", t=0)
    taken = api.run(["sleep", "60"], host={"NetworkMode": "bridge"})
    api.start(db)
    new = api.inspect(db)["NetworkSettings"]["IPAddress"]
    assert new != ip and api.inspect(taken)["State"]["Running"]
    assert "%s\tthe-db" % new in api.exec(web, ["cat", "/etc/hosts"])[1]
    # what is not there, does not run
    a = api.request("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"Links": ["nosuch:x"]}})
    assert "could not get container for nosuch" in a.message
    api.ok("POST", "/containers/db/stop", t=0)
    late = api.create(cmd=["true"], name="late", host={"NetworkMode": "bridge", "Links": ["db"]})
    a = api.request("POST", "/containers/%s/start" % late)
    assert a.message == "Cannot link to a non running container: /db AS /late/db"
    assert api.request("DELETE", "/containers/web/the-db", link=1).status == 204
    assert api.inspect(web)["HostConfig"]["Links"] is None
    assert ("/db", "/late/db") in names() # and no longer /web/the-db
    assert "the-db" not in api.exec(web, ["cat", "/etc/hosts"])[1]


def test_links_open_what_icc_closes(new_daemon):
    d = new_daemon("--icc=false")
    server = ["sh", "-c", "while :; do echo hello | nc -l -p 5432; done"]
    db = d.api.run(server, name="db", host={"NetworkMode": "bridge"}, ExposedPorts={"5432/tcp": {}})
    ip = d.api.inspect(db)["NetworkSettings"]["IPAddress"]
    linked = d.api.run(["sleep", "60"], host={"NetworkMode": "bridge", "Links": ["db"]})
    stranger = d.api.run(["sleep", "60"], host={"NetworkMode": "bridge"})
    ask = lambda cid: d.api.exec(cid, ["nc", "-w", "2", ip, "5432"])[1]
    until(lambda: "hello" in ask(linked))
    assert "hello" not in ask(stranger)
    assert d.api.exec(linked, ["ping", "-c1", "-w2", ip])[0] != 0 # just the port
    d.kill9()
    d.start()
    assert "hello" in ask(linked) and "hello" not in ask(stranger)


# ---- hosts and resolv.conf -----------------------------------------------------------------------------------
def test_host_gateway_and_extra_hosts(daemon, api):
    make(api, "a")
    cid = api.run(["sleep", "60"], host={"NetworkMode": "a", "ExtraHosts": ["box:192.0.2.9", "up:host-gateway"]})
    hosts = api.exec(cid, ["cat", "/etc/hosts"])[1]
    assert "192.0.2.9\tbox\n" in hosts
    assert "%s\tup\n" % daemon.bip.split("/")[0] in hosts


def test_dns_settings_reach_the_resolver(api):
    make(api, "a")
    cid = api.run(["sleep", "60"], host={"NetworkMode": "a", "Dns": ["192.0.2.53"], "DnsSearch": ["lan.example"],
                                         "DnsOptions": ["timeout:1"]})
    resolv = api.exec(cid, ["cat", "/etc/resolv.conf"])[1]
    assert "search lan.example" in resolv and "timeout:1" in resolv and "192.0.2.53" not in resolv


# ---- other drivers --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("driver", ["macvlan", "ipvlan"])
def test_children_of_an_interface(daemon, api, driver):
    a = api.request("POST", "/networks/create", {"Name": "v", "Driver": driver, "IPAM": {
        "Config": [{"Subnet": subnet(daemon, 14)}]}})
    if a.status >= 400:
        assert a.message.startswith("this kernel has no dummy driver (CONFIG_DUMMY)")
        return
    cid = api.create(cmd=["sleep", "60"], **on("v"))
    a = api.request("POST", "/containers/%s/start" % cid)
    if a.status >= 400:
        assert "this kernel has no %s driver" % driver in a.message
        return
    peer = api.run(["sleep", "60"], **on("v"))
    assert api.exec(peer, ["ping", "-c1", "-w5", subnet(daemon, 14, "2")])[0] == 0
    parent = "dm-" + api.get("/networks/v")["Id"][:12]
    assert os.path.exists("/sys/class/net/" + parent)
    api.remove(cid)
    api.remove(peer)
    api.ok("DELETE", "/networks/v")
    assert not os.path.exists("/sys/class/net/" + parent)


# ---- recovery --------------------------------------------------------------------------------------------------
def test_after_a_killed_daemon(new_daemon):
    d = new_daemon()
    make(d.api, "a", IPAM={"Config": [{"Subnet": subnet(d, 1)}]})
    x = d.api.run(["sleep", "600"], name="first", **on("a"))
    d.kill9()
    d.start()
    assert list(d.api.get("/networks/a")["Containers"]) == [x]
    y = d.api.run(["sleep", "600"], **on("a"))
    assert d.api.exec(y, ["ping", "-c1", "-w5", subnet(d, 1, "2")])[0] == 0
    assert d.api.exec(y, ["ping", "-c1", "-w5", "first"])[0] == 0
    d.api.ok("POST", "/networks/bridge/connect", {"Container": x})
    assert len(addresses(d.api, x)) == 2
    for cid in (x, y):
        d.api.remove(cid)
    bridge = "br-" + d.api.get("/networks/a")["Id"][:12]
    assert d.api.request("DELETE", "/networks/a").status == 204
    assert not os.path.exists("/sys/class/net/" + bridge)


def test_a_bridge_that_somebody_has_removed_comes_back(daemon, api):
    nid = make(api, "a", IPAM={"Config": [{"Subnet": subnet(daemon, 15)}]})
    subprocess.run(["ip", "link", "del", "br-" + nid[:12]], check=True)
    cid = api.run(["sleep", "60"], **on("a"))
    assert api.exec(cid, ["ping", "-c1", "-w5", subnet(daemon, 15, "1")])[0] == 0
