# SPDX-License-Identifier: Apache-2.0
"""Many containers at once: how long they take, what each costs, and that all of it is given back.

FENCE_MANY         containers without network (100; soak: 1000)
FENCE_MANY_BRIDGE  containers on the bridge (20; soak: 200)
"""
import os
import signal
import socket
import threading
import time

import pytest

import selfcheck
from harness import leaks
from harness.wait import SLOW

CLIENTS = 8


def sizes():
    soak = os.environ.get("FENCE_SOAK_ROUNDS") or os.environ.get("FENCE_FAULT_ROUNDS")
    many = soak and int(soak) >= 200
    return (int(os.environ.get("FENCE_MANY") or (1000 if many else 100)),
            int(os.environ.get("FENCE_MANY_BRIDGE") or (200 if many else 20)))


def in_parallel(items, work, clients=CLIENTS):
    """Does work(item) for all, by so many clients; the errors."""
    items, errors, lock = list(items), [], threading.Lock()

    def main():
        while True:
            with lock:
                if not items:
                    return
                item = items.pop()
            try:
                work(item)
            except Exception as e:  # pylint: disable=broad-except
                with lock:
                    errors.append(repr(e))

    threads = [threading.Thread(target=main) for _ in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return errors


def engine_memory(d):
    """PSS in KiB of the daemon, its spawner and all monitors."""
    pids = [d.pid, *leaks.children_of(d.pid)]
    pids += [p for p in leaks.pids() if leaks.command(p).split(" ")[0].endswith("fence-monitor")
             and any(x.startswith(d.root) for x in selfcheck.descriptors(p))]
    return sum(selfcheck.memory_kib(p) for p in pids)


@pytest.mark.limit(1200)
@pytest.mark.rounds
@pytest.mark.parametrize("network", ["none", "bridge"])
def test_many(new_daemon, network):
    d = new_daemon()
    count = sizes()[0 if network == "none" else 1]
    d.api.output(["true"])
    before = engine_memory(d)
    base = selfcheck.resources(d.pid)
    made = []

    def run(_n):
        made.append(d.api.run(["sleep", "100000"], host={"NetworkMode": network}))

    begin = time.monotonic()
    errors = in_parallel(range(count), run)
    started = time.monotonic() - begin
    assert not errors, errors[:5]
    begin = time.monotonic()
    listed = d.api.get("/containers/json")
    listing = time.monotonic() - begin
    assert len(listed) == count
    time.sleep(2.5) # monitors give back what they needed for the start
    memory = engine_memory(d)
    held = selfcheck.resources(d.pid)
    begin = time.monotonic()
    d.crash()
    adopted = time.monotonic() - begin
    assert len(d.api.get("/containers/json")) == count
    begin = time.monotonic()
    errors = in_parallel(made, lambda cid: d.api.ok("DELETE", "/containers/" + cid, force=1))
    removed = time.monotonic() - begin
    assert not errors, errors[:5]
    print("\n%d containers, network %s, load average %s: create + start %.1f ms each (%d clients), list %.0f ms, "
          "%.0f KiB each, %.2f descriptors each, adopted in %.0f ms, removed in %.1f ms each" %
          (count, network, leaks.read("/proc/loadavg").split()[0], started * 1000 / count, CLIENTS,
           listing * 1000, (memory - before) / count, (held["fds"] - base["fds"]) / count, adopted * 1000,
           removed * 1000 / count))
    assert not selfcheck.settle(d, 60, run=True)


@pytest.mark.limit(180)
@pytest.mark.parametrize("then", [signal.SIGCONT, signal.SIGKILL])
def test_spawner_that_is_behind(daemon, api, then):
    """More starts than its socket has room for wait for it, and for the next one if it dies."""
    ids = [api.create(cmd=["true"]) for _ in range(400)]
    spawner, sockets = daemon.spawner(), []
    os.kill(spawner, signal.SIGSTOP)
    try:
        for cid in ids:
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(60 * SLOW)
            s.connect(api.path)
            s.sendall(b"POST /v1.41/containers/%s/start HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" %
                      cid.encode())
            sockets.append(s)
        time.sleep(1)
        assert api.request("GET", "/_ping").status == 200
        assert daemon.spawner() == spawner
    finally:
        os.kill(spawner, then)
    answers = [s.recv(4096) for s in sockets]
    failed = [a for a in answers if not a.startswith(b"HTTP/1.1 204")]
    # what a spawner had in its hands when it was killed may be lost with it: it is said, and can be done again
    lost = [cid for cid, a in zip(ids, answers) if b"ended without a result" in a]
    assert len(lost) == len(failed) and len(lost) <= (2 if then == signal.SIGKILL else 0), failed
    for cid in lost:
        api.start(cid)
    for s in sockets:
        s.close()
    assert (daemon.spawner() == spawner) == (then == signal.SIGCONT)
