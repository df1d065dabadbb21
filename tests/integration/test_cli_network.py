# SPDX-License-Identifier: Apache-2.0
"""`fence network ...`, and the network flags of create: what they ask for and what they print.

Against a daemon that only listens and answers from a script, so that every word can be compared; the
machine's docker is held against the same script where it is of the release that fence speaks like."""
import http.server
import json
import re
import socketserver
import subprocess
import threading
import urllib.parse

import pytest

from harness import clients

ID = "2c77501b22904bdc1284f2e6f5eba9812fcf427a8d478c1bb5815e1f7a35250e"


def network(name, **more):
    n = {"Name": name, "Id": ID, "Created": "2026-11-22T15:45:47.612596124Z", "Scope": "local", "Driver": "bridge",
         "EnableIPv4": True, "EnableIPv6": False, "IPAM": {"Driver": "default", "Options": None, "Config": []},
         "Internal": False, "Attachable": False, "Ingress": False, "ConfigFrom": {"Network": ""},
         "ConfigOnly": False, "Containers": {}, "Options": {}, "Labels": {}}
    return {**n, **more}


NETWORKS = [network("n10", Labels={"a": "b"}), network("n9", Internal=True, EnableIPv6=True),
            network("bridge", Created="2026-11-22T15:45:47.6+01:00"), network("none", Driver="null")]
LINKED = [{"Id": ID, "Names": ["/a/db", "/db"]}, {"Id": ID, "Names": ["/a"]}]
ANSWERS = {
    ("GET", "/networks"): (200, NETWORKS),
    ("POST", "/networks/create"): (201, {"Id": ID, "Warning": ""}),
    ("POST", "/networks/n9/connect"): (200, None),
    ("POST", "/networks/n9/disconnect"): (200, None),
    ("POST", "/networks/full/connect"): (403, {"message": "Address already in use "}),
    ("GET", "/networks/n9"): (200, NETWORKS[1]),
    ("GET", "/networks/n10"): (200, NETWORKS[0]),
    ("DELETE", "/networks/n9"): (204, None),
    ("DELETE", "/networks/n10"): (204, None),
    ("DELETE", "/networks/bridge"): (403, {"message": "bridge is a pre-defined network and cannot be removed"}),
    ("POST", "/networks/prune"): (200, {"NetworksDeleted": ["n9", "n10"]}),
    ("GET", "/containers/json"): (200, LINKED),
    ("GET", "/system/df"): (200, {"Containers": LINKED}),
    ("POST", "/containers/create"): (201, {"Id": ID, "Warnings": []}),
    ("POST", "/containers/c/update"): (200, {"Warnings": ["careful"]}),
    ("GET", "/containers/c/ports/explain"): (200, {"Warnings": ["chain FORWARD of table ip filter drops"], "Ports": [
        {"Port": "80/tcp", "HostIp": "::", "HostPort": "8081", "Reach": [
            {"From": "other machines", "Allowed": True, "Why": "address translation"},
            {"From": "this host", "Allowed": False, "Why": "because"}]},
        {"Port": "9/udp", "HostIp": "", "HostPort": "", "Reach": [
            {"From": "other machines", "Allowed": False, "Why": "it is not published"}]}]}),
    ("GET", "/containers/c/json"): (200, {"Id": ID, "NetworkSettings": {"Ports": {
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8081"}, {"HostIp": "::", "HostPort": "8081"},
                   {"HostIp": "127.0.0.1", "HostPort": "900"}],
        "9/udp": [{"HostIp": "0.0.0.0", "HostPort": "9"}], "7/tcp": None}}}),
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def address_string(self):
        return ""

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urllib.parse.urlsplit(self.path)
        path = re.sub(r"^/v[\d.]+", "", url.path)
        if path == "/_ping":
            status, out = 200, "OK"
        else:
            query = dict(urllib.parse.parse_qsl(url.query))
            self.server.seen.append((self.command, path, query, json.loads(body) if body else None))
            missing = (404, {"message": "network %s not found" % (path + "/").split("/")[2]})
            status, out = ANSWERS.get((self.command, path), missing)
        data = b"" if out is None else json.dumps(out, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Api-Version", "1.51")
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_POST = do_DELETE = do_HEAD = answer # pylint: disable=invalid-name


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self):
        sock, _ = super().get_request()
        return sock, ("", 0)


@pytest.fixture(name="script")
def fixture_script(tmp_path):
    """Runs a client against the script: (its result, the requests that it made)."""
    server = Server(str(tmp_path / "s"), Handler)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()

    def run(client, *words, stdin=None):
        server.seen.clear()
        path = clients.find()[client]
        r = clients.Cli(client, path, "unix://%s/s" % tmp_path, str(tmp_path))(*words, stdin=stdin)
        return r, list(server.seen)

    yield run
    server.shutdown()
    thread.join()
    server.server_close()


def docker_is_of_our_release():
    path = clients.find().get("docker")
    return path and subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30,
                                   check=True).stdout.startswith("Docker version 28.")


LISTS = [
    (), ("-q",), ("--no-trunc",), ("--format", "json"), ("--filter", "driver=bridge", "-f", "name=n"),
    ("--format", "table {{.Name}}\t{{.CreatedAt}}\t{{.Internal}}\t{{.IPv4}}\t{{.IPv6}}\t{{.Labels}}"),
    ("--format", '{{.ID}} {{.Scope}} {{.Label "a"}} {{.Driver}}'), ("--format", "{{.Nosuch}}"), ("--filter", "x"), ("x",),
]
CREATES = [
    ("n",), (), ("a", "b"), ("--subnet", "10.77.0.0/16", "--ip-range", "10.77.1.0/24", "--gateway", "10.77.0.9",
                             "--aux-address", "a=10.77.0.7", "--aux-address", "b=10.77.0.8", "--label", "x=1", "--label", "y",
                             "-o", "com.docker.network.bridge.name=br", "-o", "foo", "--internal", "--attachable", "n"),
    ("--ipv6", "--subnet", "fd00:77::/64", "--gateway", "fd00:77::5", "n"),
    ("--ipv6=false", "--ipv4=true", "--scope", "local", "--ipam-opt", "q=1", "--ipam-driver", "x", "n"),
    ("-d", "macvlan", "-o", "parent=eth0", "n"), ("--config-only", "n"), ("--config-from", "a", "--ingress", "n"),
    ("--subnet", "10.1.0.0/16", "--subnet", "10.1.1.0/24", "n"), ("--gateway", "10.1.1.1", "n"),
    ("--ip-range", "10.1.1.0/24", "n"), ("--subnet", "10.1.0.0/16", "--gateway", "11.1.1.1", "n"),
    ("--subnet", "10.1.0.0/16,10.2.0.0/16", "--ip-range", "10.1.1.0/24,10.1.2.0/24", "n"),
    ("--subnet", "10.1.0.0/16,10.2.0.0/16", "--gateway", "10.1.1.0,10.1.2.0", "n"),
    ("--subnet", "10.1.0.0/16", "--aux-address", "a=11.0.0.1", "n"), ("--aux-address", "a", "n"),
    ("--subnet", "10.1.0.0/x", "n"), ("--subnet", "10.1.0.0/x", "--gateway", "10.1.0.1", "n"),
    ("--subnet", "10.1.0.0/16", "--ip-range", "10.1.0.x", "n"), ("--subnet", "10.1.0.0/16", "--ip-range", "12.1.0.0/24", "n"),
    ("--subnet", "10.1.0.0/16", "--gateway", "nonsense", "n"), ("--label=", "n"), ("--ipv6=maybe", "n"),
]
CONNECTS = [
    ("connect", "n9", "c"), ("connect", "nosuch", "c"), ("connect", "full", "c"), ("connect", "n9"),
    ("connect", "--alias", "a", "--alias", "b,c", "--driver-opt", "x=1,y=2", "--gw-priority", "3", "--ip", "10.0.0.7", "--ip6",
     "fd00::7", "--link", "c:z", "--link-local-ip", "169.254.1.1", "n9", "c"),
    ("connect", "--link", "a:b:c", "n9", "c"), ("connect", "--driver-opt", "x", "n9", "c"),
    ("connect", "--gw-priority", "x", "n9", "c"),
    ("disconnect", "n9", "c"), ("disconnect", "-f", "n9", "c"), ("disconnect", "nosuch", "c"), ("disconnect", "n9"),
    ("inspect", "n9", "n10"), ("inspect", "-v", "n9"), ("inspect", "nosuch"), ("inspect", "n9", "nosuch"), ("inspect",),
    ("inspect", "-f", "{{.Name}}", "n9", "n10"), ("inspect", "-f", "json", "n9"),
    ("prune", "-f"), ("prune", "--force", "--filter", "label=x", "--filter", "until=1h"), ("prune", "x"), ("rm",), ("nosuch",),
]
RUNS = [
    ("--network", "n9", "--network", "n10"), ("--network", "n9"), ("--net", "host"),
    ("--network", "name=n9,alias=a,alias=b,ip=10.0.0.9,driver-opt=x=1,mac-address=02:42:0a:58:00:09"),
    ("--network", "name=n9,ip=10.0.0.9,ip6=fd00::9,link-local-ip=169.254.1.1,gw-priority=5"),
    ("--net", "n9", "--ip", "10.0.0.9", "--network-alias", "al", "--net-alias", "b", "--link-local-ip", "169.254.2.2",
     "--mac-address", "02:42:0a:58:00:09"),
    ("--net", "n9", "--ip6", "fd00::1", "--link", "x:y"), ("--link", "x", "--link", "y:z"), ("--link", "a:b:c"),
    ("--network-alias", "al"), ("--net", "host", "--network-alias", "al"), ("--network", "bridge", "--network", "n9"),
    ("--network", "n9", "--network", "n9"), ("--network", "name=n9,bogus=1"), ("--network", "name=n9,bogus"),
    ("--network", "alias=x"), ("--network", "name=n9,alias=x", "--network-alias", "y"),
    ("--network", "name=n9,ip=1.2.3.4", "--ip", "1.2.3.5"), ("--network", "name=n9,gw-priority=x"),
    ("--network", "name=n9,driver-opt=x"), ("--network", "name= n9 , Driver-Opt= a.b = c=d , alias= q ,ip= 1.2.3.4 "), ("--network", "name=n9,mac-address=zz"), ("--mac-address", "zz"),
    ("--network", ""), ("-p", "80"), ("-p", "8080:80", "-p", "127.0.0.1:53:53/udp", "-p", "[::1]:81:81", "-p", "::1:82:82"),
    ("-p", "7000-7003:80", "-p", "9000-9002:90-92", "-p", "3000-3002", "-p", "127.0.0.1::80"),
    ("-p", "80/sctp", "-P", "--expose", "90-92/udp", "--expose", "99"), ("-p", "80-81:90-92"), ("-p", "80:90/foo"),
    ("-p", "70000:90"), ("-p", "x.y:80:90"), ("-p", ":"), ("-p", "1.2.3.4:80:"), ("-p", "90-80:90"),
    ("-p", "target=80,published=8080-8082,protocol=udp,mode=host"), ("-p", "target=80,bogus=1"), ("-p", "target=80,mode"),
    ("-p", "published=80"), ("-p", "target=x"), ("--expose", "a"), ("--expose", "80:90"), ("--expose", "90-80"),
    ("--dns", "1.1.1.1", "--dns", "2001:db8::1", "--dns-search", "a.b", "--dns-opt", "ndots:1", "--dns-option", "x"),
    ("--dns", "nonsense"), ("--add-host", "a:1.2.3.4", "--add-host", "b=2001:db8::1", "--add-host", "c:[::1]", "--add-host",
                            "d:host-gateway"), ("--add-host", "a"), ("--add-host", "a:bogus"),
]
PORTS = [(), ("80",), ("80/tcp",), ("9/udp",), ("99",), ("7",), ("x",), ("70000",), ("",)]
ALL = ([("network", "ls", *w) for w in LISTS] + [("network", "create", *w) for w in CREATES] + [("network", *w) for w in CONNECTS]
       + [("create", *w, "busybox", "true") for w in RUNS] + [("port", "c", *w) for w in PORTS] + [("network",)]
       + [("network", w, "--help") for w in ("ls", "create", "connect", "disconnect", "inspect", "prune", "rm")])


def plain(requests):
    """Without what means the same: members that are empty, and docker's order of subnets."""
    def strip(v):
        if isinstance(v, dict):
            return {k: strip(x) for k, x in v.items() if x not in (None, "", 0, [], {}) and k != "CheckDuplicate"}
        return v
    return [(m, p, {k: json.loads(v) if v[:1] == "{" else v for k, v in q.items()}, strip(b)) for m, p, q, b in requests]


@pytest.mark.skipif(not docker_is_of_our_release(), reason="no docker client of release 28 on this machine")
@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_as_docker(script, words):
    theirs, asked = script("docker", *words)
    ours, asks = script("fence", *words)
    assert (ours.returncode, ours.stdout.replace("fence", "docker"), ours.stderr.replace("fence", "docker")) \
        == (theirs.returncode, theirs.stdout, theirs.stderr)
    assert plain(asks) == plain(asked)


def test_list(script):
    r, _ = script("fence", "network", "ls")
    assert r.stdout == ("NETWORK ID     NAME      DRIVER    SCOPE\n"
                        "2c77501b2290   bridge    bridge    local\n2c77501b2290   n9        bridge    local\n"
                        "2c77501b2290   n10       bridge    local\n2c77501b2290   none      null      local\n")
    r, _ = script("fence", "network", "ls", "--format", "{{.CreatedAt}}")
    assert r.stdout.splitlines()[:2] == ["2026-11-22 15:45:47.6 +0100 +0100", "2026-11-22 15:45:47.612596124 +0000 UTC"]


def test_create(script):
    r, asked = script("fence", "network", "create", "--subnet", "10.77.0.0/16", "--gateway", "10.77.0.9", "--label", "x", "n")
    assert r.stdout == ID + "\n" and len(asked) == 1
    method, path, _, body = asked[0]
    assert (method, path) == ("POST", "/networks/create") and "EnableIPv6" not in body
    assert body["IPAM"] == {"Driver": "default", "Options": {}, "Config": [{"Subnet": "10.77.0.0/16", "Gateway": "10.77.0.9"}]}
    assert body["Name"] == "n" and body["Labels"] == {"x": ""} and body["Driver"] == "bridge"


def test_remove(script):
    r, asked = script("fence", "network", "rm", "n9", "bridge", "nosuch", "n10")
    assert r.returncode == 1 and r.stdout == "n9\nn10\n"
    assert r.stderr == ("Error response from daemon: bridge is a pre-defined network and cannot be removed\n"
                        "Error response from daemon: network nosuch not found\n")
    assert sorted(p for m, p, _, _ in asked if m == "DELETE") == ["/networks/" + n for n in ("bridge", "n10", "n9", "nosuch")]
    r, _ = script("fence", "network", "remove", "-f", "nosuch", "n9")
    assert (r.returncode, r.stdout, r.stderr) == (0, "n9\n", "")


def test_prune_asks(script):
    r, asked = script("fence", "network", "prune", stdin="n\n")
    assert r.stdout == ("WARNING! This will remove all custom networks not used by at least one container.\n"
                        "Are you sure you want to continue? [y/N] ") and not asked
    r, asked = script("fence", "network", "prune", stdin="y\n")
    assert r.stdout.endswith("[y/N] Deleted Networks:\nn9\nn10\n\n") and len(asked) == 1


def test_ports_change(script):
    r, asked = script("fence", "update", "--publish-add", "8080-8081:80-81", "--publish-add", "127.0.0.1:53:53/udp", "--publish-rm",
                      "90/tcp", "--publish-rm", "8082:82", "c")
    assert (r.returncode, r.stdout, r.stderr) == (0, "c\n", "careful\n")
    assert asked[0][3]["PublishAdd"] == {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "81/tcp": [{"HostIp": "", "HostPort": "8081"}],
                                         "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "53"}]}
    assert asked[0][3]["PublishRm"] == ["90/tcp", "8082:82"]
    _, asked = script("fence", "update", "--memory", "64m", "c")
    assert not {"PublishAdd", "PublishRm"} & set(asked[0][3])
    r, asked = script("fence", "update", "--publish-add", "x:80", "c")
    assert (r.returncode, r.stderr) == (1, "invalid hostPort: x\n") and not asked


def test_ports_are_explained(script):
    r, _ = script("fence", "port", "--explain", "c")
    assert r.stdout == ("80/tcp -> [::]:8081\n  yes  other machines: address translation\n  no   this host: because\n"
                        "9/udp is not published\n  no   other machines: it is not published\n")
    assert r.stderr == "WARNING: chain FORWARD of table ip filter drops\n"
    assert script("fence", "port", "--explain", "c", "9/udp")[0].stdout.startswith("9/udp is not published\n")
    r, _ = script("fence", "port", "--explain", "c", "99")
    assert (r.returncode, r.stderr.splitlines()[-1]) == (1, "Error: No port '99/tcp' published or exposed by c")


def test_completion(script):
    assert script("fence", "__complete", "network", "")[0].stdout.split() == [
        "connect", "create", "disconnect", "inspect", "ls", "prune", "rm"]
    assert script("fence", "__complete", "network", "rm", "n")[0].stdout.split() == ["n10", "n9", "none"]
    assert script("fence", "__complete", "network", "connect", "--ip", "1.2.3.4", "")[0].stdout.split() == [
        "n10", "n9", "bridge", "none"]
    _, asked = script("fence", "__complete", "network", "connect", "--alias", "x", "n9", "")
    assert [p for _, p, _, _ in asked] == ["/containers/json"]


def test_names_that_links_give(script):
    assert script("fence", "__complete", "network", "connect", "n9", "")[0].stdout.split() == ["db", "a"]
    lines = script("fence", "system", "df", "-v")[0].stdout.splitlines()
    assert [line.split()[-1] for line in lines if line.startswith(ID[:12])] == ["db", "a"]
    assert script("fence", "ps", "--format", "{{.Names}}")[0].stdout.split() == ["db", "a"]
    assert script("fence", "ps", "--no-trunc", "--format", "{{.Names}}")[0].stdout.split() == ["a/db,db", "a"]


# ---- with the daemon under test -------------------------------------------------------------------------------------

def test_a_life_of_networks(cli, api):
    """Each client in turn: what it makes, sees and takes away."""
    assert len(cli.ok("network", "create", "--subnet", "10.229.0.0/24", "--label", "of=cli", "clinet").strip()) == 64
    cli.ok("network", "create", "--label", "of=cli", "clinet2")
    assert {line.split()[1] for line in cli.ok("network", "ls", "--filter", "label=of=cli").splitlines()[1:]} == {"clinet", "clinet2"}
    cid = cli.ok("run", "-d", "--name", "member", "--network", "clinet", "--ip", "10.229.0.7", "--network-alias", "al",
                 "busybox", "sleep", "1000").strip()
    assert api.exec(cid, ["ip", "-o", "-4", "addr", "show", "eth0"])[1].split()[3] == "10.229.0.7/24"
    cli.ok("network", "connect", "--alias", "second", "clinet2", "member")
    assert cli.ok("network", "inspect", "-f", "{{range .Containers}}{{.Name}}{{end}}", "clinet2") == "member\n"
    assert api.exec(cid, ["ip", "-o", "link", "show", "eth1"])[0] == 0
    r = cli("network", "rm", "clinet")
    assert r.returncode == 1 and "has active endpoints" in r.stderr
    cli.ok("network", "disconnect", "clinet2", "member")
    assert api.exec(cid, ["ip", "-o", "link", "show", "eth1"])[0] != 0
    assert cli.ok("network", "rm", "clinet2") == "clinet2\n"
    api.remove(cid, force=True)
    assert cli.ok("network", "prune", "-f", "--filter", "label=of=cli") == "Deleted Networks:\nclinet\n\n"


def test_sysctls_of_an_endpoint(fence, api):
    fence.ok("network", "create", "sysctlnet")
    option = "driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1"
    cid = fence.ok("run", "-d", "--network", "name=sysctlnet," + option, "busybox", "sleep", "1000").strip()
    assert api.exec(cid, ["cat", "/proc/sys/net/ipv4/conf/eth0/log_martians"]) == (0, "1\n")
    fence.ok("network", "create", "sysctlnet2")
    fence.ok("network", "connect", "--driver-opt", option.split("=", 1)[1], "sysctlnet2", cid)
    assert api.exec(cid, ["cat", "/proc/sys/net/ipv4/conf/eth1/log_martians"]) == (0, "1\n")
    r = fence("create", "--network", "name=sysctlnet," + option.replace("IFNAME", "eth0"), "busybox")
    assert r.returncode == 1 and "unrecognised network interface sysctl 'net.ipv4.conf.eth0.log_martians=1'" in r.stderr
    api.remove(cid, force=True)
    fence.ok("network", "rm", "sysctlnet", "sysctlnet2")


def test_ports_of_a_running_container(fence, api):
    cid = fence.ok("run", "-d", "--expose", "81", "-p", "127.0.0.1::80", "busybox", "httpd", "-f", "-h", "/etc").strip()
    before = fence.ok("port", cid, "80").strip()
    assert before.startswith("127.0.0.1:")
    explained = fence.ok("port", "--explain", cid)
    assert "80/tcp -> " + before in explained and "81/tcp is not published" in explained
    fence.ok("update", "--publish-add", "127.0.0.1::8080", cid)
    assert fence.ok("port", cid, "8080").startswith("127.0.0.1:")
    fence.ok("update", "--publish-rm", "80/tcp", cid)
    assert fence("port", cid, "80").returncode == 1
    api.remove(cid, force=True)
