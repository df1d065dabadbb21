# SPDX-License-Identifier: Apache-2.0
"""Resource limits, seen from inside and from the kernel's files."""
import glob
import os
import resource

import pytest

from harness.wait import until

V2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def value(daemon, cid, v1, v2):
    """What the kernel holds for a container, by the file's name in each version."""
    name = v2 if V2 else v1
    paths = glob.glob("/sys/fs/cgroup/**%s/%s/%s" % (daemon.cgroup_parent, cid, name), recursive=True)
    if not paths:
        paths = glob.glob("/sys/fs/cgroup/*%s/%s/%s" % (daemon.cgroup_parent, cid, name))
    if not paths:
        pytest.skip("this kernel has no " + name)
    with open(paths[0], encoding="utf-8") as f:
        return f.read().strip()


def test_memory(daemon, api):
    cid = api.run(["sleep", "1000"], host={"Memory": 64 << 20})
    assert value(daemon, cid, "memory.limit_in_bytes", "memory.max") == str(64 << 20)
    assert api.inspect(cid)["HostConfig"]["Memory"] == 64 << 20


def test_out_of_memory(api):
    cid = api.run(["sh", "-c", "head -c 100000000 /dev/zero | tail -c 90000000 >/dev/null; exit $?"],
                  host={"Memory": 16 << 20, "MemorySwap": 16 << 20})
    code = api.wait(cid)
    assert code != 0
    assert api.inspect(cid)["State"]["OOMKilled"]


def test_cpu(daemon, api):
    cid = api.run(["sleep", "1000"], host={"NanoCpus": 500000000, "CpuShares": 512})
    assert api.inspect(cid)["HostConfig"]["NanoCpus"] == 500000000
    if V2:
        assert value(daemon, cid, "", "cpu.max") == "50000 100000"
    else:
        assert value(daemon, cid, "cpu.shares", "") == "512"
        assert value(daemon, cid, "cpu.cfs_quota_us", "") == "50000"


def test_cpuset(api):
    code, out = api.output(["sh", "-c", "grep Cpus_allowed_list /proc/self/status"],
                           host={"CpusetCpus": "0"})
    assert code == 0 and out.split()[1] == "0"
    a = api.request("POST", "/containers/create", {"Image": "busybox", "HostConfig": {
        "CpusetCpus": "4000"}})
    assert a.status == 400 and "Requested CPUs are not available" in a.message


def test_pids(daemon, api):
    cid = api.run(["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; wait"],
                  host={"PidsLimit": 5})
    until(lambda: b"fork" in api.logs(cid) or not api.inspect(cid)["State"]["Running"])
    assert b"fork" in api.logs(cid)


def test_ulimits(api):
    code, out = api.output(["sh", "-c", "ulimit -n; ulimit -Hn"],
                           host={"Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}]})
    assert (code, out) == (0, "100\n200\n")


def test_ulimits_of_execs(api, new_daemon):
    """A further process has the container's limits, not the daemon's."""
    ulimit = ["sh", "-c", "ulimit -n; ulimit -Hn"]
    cid = api.run(["sleep", "1000"], host={"Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}]})
    assert api.exec(cid, ulimit)[1] == "100\n200\n"
    d = new_daemon("--default-ulimit", "nofile=50:60")
    assert d.api.exec(d.api.run(["sleep", "1000"]), ulimit)[1] == "50\n60\n"


RLIMIT_MSGQUEUE = 12 # Python 3.11 has no name for it


def may_raise(daemon):
    with open("/proc/%d/status" % daemon.pid, encoding="utf-8") as f:
        held = [line.split()[1] for line in f if line.startswith("CapEff")][0]
    return int(held, 16) >> 24 & 1 # CAP_SYS_RESOURCE


def test_ulimit_above_the_daemons(daemon, api):
    """Given where the daemon may; told in Warnings where it may not; never silently less."""
    # not of files: more than fs.nr_open of them nobody may have
    hard = resource.prlimit(daemon.pid, RLIMIT_MSGQUEUE)[1]
    cmd = ["awk", "/^Max msgqueue size/ { print $5 }", "/proc/self/limits"]
    body = {"Image": "busybox", "Cmd": cmd, "HostConfig": {
        "NetworkMode": "none", "Ulimits": [{"Name": "msgqueue", "Soft": 10, "Hard": hard + 1}]}}
    answer = api.ok("POST", "/containers/create", body).json
    told = [w for w in answer["Warnings"] if "ulimit msgqueue is %d" % hard in w]
    api.start(answer["Id"])
    api.wait(answer["Id"])
    expected = hard + 1 if may_raise(daemon) else hard
    assert api.logs(answer["Id"]).decode() == "%d\n" % expected
    assert len(told) == (0 if may_raise(daemon) else 1)
    body["HostConfig"]["Ulimits"] = [{"Name": "msgqueue", "Soft": 10, "Hard": hard}]
    assert not api.ok("POST", "/containers/create", body).json["Warnings"]


def test_ulimit_that_no_kernel_takes(daemon, api):
    cid = api.create(cmd=["true"], host={"Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 1 << 40}]})
    a = api.request("POST", "/containers/%s/start" % cid)
    if may_raise(daemon):
        assert a.status >= 400 and "error setting rlimit type 7" in a.message
    else:
        assert a.status == 204


def test_oom_score_below_the_daemons(daemon, api):
    with open("/proc/%d/oom_score_adj" % daemon.pid, encoding="utf-8") as f:
        own = int(f.read())
    body = {"Image": "busybox", "HostConfig": {"OomScoreAdj": own - 1}}
    warnings = api.ok("POST", "/containers/create", body).json["Warnings"]
    assert len([w for w in warnings if "OOM score" in w]) == (0 if may_raise(daemon) else 1)


def test_shm_size(api):
    code, out = api.output(["sh", "-c", "df -k /dev/shm | tail -1"], host={"ShmSize": 2 << 20})
    assert code == 0 and "2048" in out


def test_sysctls(api):
    assert api.output(["cat", "/proc/sys/kernel/shm_rmid_forced"],
                      host={"Sysctls": {"kernel.shm_rmid_forced": "1"}}) == (0, "1\n")


def test_update(daemon, api):
    cid = api.run(["sleep", "1000"], host={"Memory": 64 << 20, "MemorySwap": -1})
    api.ok("POST", "/containers/%s/update" % cid, {"Memory": 32 << 20})
    assert value(daemon, cid, "memory.limit_in_bytes", "memory.max") == str(32 << 20)
    assert api.inspect(cid)["HostConfig"]["Memory"] == 32 << 20
    api.ok("POST", "/containers/%s/update" % cid, {"RestartPolicy": {"Name": "on-failure"}})
    assert api.inspect(cid)["HostConfig"]["RestartPolicy"]["Name"] == "on-failure"


@pytest.mark.parametrize("host,text", [
    ({"Memory": 1024}, "Minimum memory limit allowed is"),
    ({"Memory": 64 << 20, "MemorySwap": 1 << 20}, "Minimum memoryswap limit should be larger than memory limit"),
    ({"NanoCpus": 1, "CpuQuota": 50000}, "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
    ({"CpuShares": -1}, "invalid"),
    ({"RestartPolicy": {"Name": "sometimes"}}, "restart policy"),
    ({"Ulimits": [{"Name": "nofile", "Soft": 10, "Hard": 5}]}, "ulimit"),
])
def test_refused(api, host, text):
    a = api.request("POST", "/containers/create", {"Image": "busybox", "HostConfig": host})
    assert a.status == 400 and text.lower() in a.message.lower()


def test_cgroups_are_gone_after_removal(daemon, api):
    cid = api.run(["sleep", "1000"], host={"Memory": 64 << 20})
    found = glob.glob("/sys/fs/cgroup/*%s/%s" % (daemon.cgroup_parent, cid)) or glob.glob(
        "/sys/fs/cgroup%s/%s" % (daemon.cgroup_parent, cid))
    assert found
    api.remove(cid)
    assert not [p for p in found if os.path.exists(p)]


def test_cli_flags(cli, api):
    cid = cli.ok("run", "-d", "-m", "64m", "--cpus", "0.5", "--pids-limit", "50", "--ulimit",
                 "nofile=64:128", "busybox", "sh", "-c", "ulimit -n; sleep 1000").strip()
    h = api.inspect(cid)["HostConfig"]
    assert (h["Memory"], h["NanoCpus"], h["PidsLimit"]) == (64 << 20, 500000000, 50)
    until(lambda: api.logs(cid) == b"64\n")
    cli.ok("update", "--memory", "32m", "--memory-swap", "-1", cid)
    assert api.inspect(cid)["HostConfig"]["Memory"] == 32 << 20
