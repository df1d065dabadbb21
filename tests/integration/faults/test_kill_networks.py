# SPDX-License-Identifier: Apache-2.0
"""Networks, endpoints and published ports made, connected and removed at random while the daemon and
fence-netd are killed: afterwards the database, the kernel and the containers agree, and when all is
removed nothing is left. For ./check soak only.

FENCE_SOAK_ROUNDS  how many rounds
FENCE_SOAK_SEED    the random numbers' seed; said when a round fails
"""
import contextlib
import http.client
import os
import random
import signal
import subprocess
import threading

import pytest

import selfcheck
from harness.wait import until

ROUNDS = int(os.environ.get("FENCE_SOAK_ROUNDS") or 0)
SEED = int(os.environ.get("FENCE_SOAK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
NETWORKS, CONTAINERS = 12, 24


def netd(daemon):
    out = subprocess.run(["pgrep", "-f", "fence-netd --socket %s/netd.sock" % daemon.exec_root], check=False,
                         stdout=subprocess.PIPE).stdout.split()
    return int(out[0]) if out else None


def elements(daemon):
    """How many published ports and guards the kernel holds for this daemon."""
    def count(family, kind, name):
        out = subprocess.run(["nft", "-j", "list", kind, family, daemon.table, name], check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
        return out.count('"concat"') // (2 if kind == "map" else 1)
    return count("inet", "map", "ports4"), count("bridge", "set", "addresses4")


class Load:
    """Calls that may fail in any way: the daemon is killed meanwhile."""

    def __init__(self, daemon, rng):
        self.d, self.rng = daemon, rng

    def network(self):
        return "n%d" % self.rng.randrange(NETWORKS)

    def container(self):
        return "kc%d" % self.rng.randrange(CONTAINERS)

    def ask(self, method, path, body=None, **query):
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            return self.d.api.request(method, path, body, **query)
        return None

    def step(self):
        what = self.rng.random()
        if what < 0.15:
            self.ask("POST", "/networks/create", {"Name": self.network()})
        elif what < 0.2:
            self.ask("DELETE", "/networks/" + self.network())
        elif what < 0.5:
            name, host = self.container(), {"NetworkMode": self.rng.choice([self.network(), "bridge"])}
            if self.rng.random() < 0.5:
                host.update(PublishAllPorts=True)
            self.ask("POST", "/containers/create", {"Image": "busybox", "Cmd": ["sleep", "10000"], "HostConfig": host,
                                                    "ExposedPorts": {"80/tcp": {}}}, name=name)
            self.ask("POST", "/containers/%s/start" % name)
        elif what < 0.7:
            self.ask("POST", "/networks/%s/connect" % self.network(), {"Container": self.container()})
        elif what < 0.85:
            self.ask("POST", "/networks/%s/disconnect" % self.network(), {"Container": self.container()})
        elif what < 0.9:
            self.ask("POST", "/containers/%s/restart" % self.container(), t=0)
        else:
            self.ask("DELETE", "/containers/" + self.container(), force=True)


def disagreements(daemon):
    """What the API says against what the containers and the kernel have."""
    found, ports, guards = [], [], 0
    bridges = {"br-" + n["Id"][:12] for n in daemon.api.get("/networks", filters={"type": ["custom"]})}
    for bridge in bridges:
        if not os.path.exists("/sys/class/net/" + bridge):
            found.append("no bridge " + bridge)
    for c in daemon.api.get("/containers/json"):
        shown = daemon.api.inspect(c["Id"])
        nets = shown["NetworkSettings"]["Networks"]
        want = sorted("%s/%d" % (n["IPAddress"], n["IPPrefixLen"]) for n in nets.values() if n["IPAddress"])
        out = subprocess.run(["nsenter", "-t", str(shown["State"]["Pid"]), "-n", "ip", "-4", "-o", "addr", "show"],
                             check=False, stdout=subprocess.PIPE).stdout.decode()
        have = sorted(line.split()[3] for line in out.splitlines() if " lo " not in line)
        if want != have:
            found.append("container %s: %s said, %s there" % (c["Names"], want, have))
        guards += len(want)
        ports += [(b["HostPort"], c["Names"][0], want) for p in shown["NetworkSettings"]["Ports"].values()
                  for b in p or [] if b["HostIp"] == "0.0.0.0"]
    if elements(daemon) != (len(ports), guards):
        table = subprocess.run(["nft", "list", "map", "inet", daemon.table, "ports4"], check=False,
                               stdout=subprocess.PIPE).stdout.decode()
        found.append("ports and guards: %s in the kernel, %s said: %s\n%s" % (
            elements(daemon), (len(ports), guards), ports, table))
    return found


@pytest.mark.rounds
@pytest.mark.skipif(not os.environ.get("FENCE_SOAK_ROUNDS"), reason="of ./check soak")
@pytest.mark.limit(120 + 30 * ROUNDS)
def test_network_rounds(new_daemon):
    d = new_daemon()
    rng = random.Random(SEED)
    print("seed", SEED)
    for _ in range(ROUNDS):
        loads = [Load(d, random.Random(rng.random())) for _ in range(3)]
        threads = [threading.Thread(target=lambda l: [l.step() for _ in range(25)], args=(l,)) for l in loads]
        for t in threads:
            t.start()
        threads[0].join(rng.uniform(0.05, 1.0))
        victim = netd(d) if rng.random() < 0.3 else None
        if victim:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        else:
            d.kill9()
            d.start()
        for t in threads:
            t.join()
        last = []

        def agree():
            last[:] = disagreements(d)
            return not last
        try:
            until(agree)
        except AssertionError:
            said = [line for line in d.log().splitlines() if "netd" in line or "panic" in line]
            pytest.fail("seed %d\n%s\n%s" % (SEED, "\n".join(last), "\n".join(said[-20:])))
    bridges = {"br-" + n["Id"][:12] for n in d.api.get("/networks", filters={"type": ["custom"]})}
    d.remove_all()
    assert elements(d) == (0, 0)
    assert not [b for b in bridges if os.path.exists("/sys/class/net/" + b)]
    assert not selfcheck.settle(d)
