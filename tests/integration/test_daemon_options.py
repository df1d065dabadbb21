# SPDX-License-Identifier: Apache-2.0
"""fenced's own flags and daemon.json: what --validate says, and what SIGHUP reads again."""
import json
import os
import signal
import subprocess

import pytest

from harness.daemon import program
from harness.wait import until

WRONG = [
    (["--log-level", "loud"], "unable to parse logging level: loud"),
    (["--log-driver", "syslog"], "--log-driver=syslog is not supported yet"),
    (["--log-opt", "max-size=big"], "invalid size: 'big'"),
    (["--log-opt", "nonsense=1"], "unknown log opt 'nonsense' for json-file log driver"),
    (["--dns", "nowhere"], "nowhere is not an ip address"),
    (["--default-ulimit", "nofile=many"], "invalid default ulimit: nofile=many"),
    (["--default-ulimit", "files=1"], "invalid ulimit type: files"),
    (["--default-ulimit", "nofile=9:5"], "ulimit soft limit must be less than or equal to hard limit: 9 > 5"),
    (["--default-ipc-mode", "odd"], 'Default IPC mode setting (odd) is invalid. Use "shareable" or "private".'),
    (["--default-ipc-mode", "host"], 'IPC mode "host" is not supported as default value.'),
    (["--bip", "10.0.0"], "invalid --bip 10.0.0: "),
    (["--fixed-cidr", "10.9.0.0/24"], "invalid --fixed-cidr 10.9.0.0/24: "),
    (["--default-gateway", "gate"], "invalid --default-gateway gate: "),
    (["--mtu", "-5"], "invalid --mtu -5: "),
    (["--bridge", "a-name-that-is-too-long"], "is too long"),
    (["--seccomp-profile", "/nonexistent"], "opening seccomp profile (/nonexistent) failed: no such file"),
    (["-H", "carrier://pigeon"], "invalid bind address format: carrier://pigeon"),
    (["-H", "tcp://127.0.0.1:99999"], "invalid bind address format: tcp://127.0.0.1:99999"),
    (["--tlsverify"], "both a certificate and a key are needed"),
    (["--exec-opt", "native.cgroupdriver=systemd"], "--exec-opt=native.cgroupdriver=systemd is not supported yet"),
    (["--http-proxy", "http://p"], "--http-proxy=http://p is not supported yet"),
]


def validate(*flags):
    return subprocess.run([program("fenced"), "--validate", *flags], capture_output=True, text=True, timeout=30,
                          check=False)


@pytest.mark.parametrize("flags,words", WRONG)
def test_validate(flags, words, tmp_path):
    empty = tmp_path / "daemon.json"
    empty.write_text("{}")
    r = validate("--config-file", str(empty), *flags)
    assert r.returncode == 1 and r.stdout == ""
    assert words in r.stderr and r.stderr.endswith("See 'fenced --help'.\n")


def test_validate_a_file(tmp_path):
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps({
        "exec-opts": ["native.cgroupdriver=cgroupfs"], "storage-driver": "overlay2", "log-driver": "json-file",
        "log-opts": {"max-size": "100m"}, "dns": ["192.0.2.1", "2001:db8::1"], "mtu": 1400, "hosts": ["fd://"],
        "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 5, "Hard": 10}}, "bip": "10.9.0.1/24"}))
    r = validate("--config-file", str(file))
    assert (r.returncode, r.stdout, r.stderr) == (0, "configuration OK\n", "")
    file.write_text('{"proxies": {"http-proxy": "http://p"}}')
    assert "is not supported yet" in validate("--config-file", str(file)).stderr


@pytest.mark.parametrize("key,value,words", [
    ("data-root", 7, "cannot unmarshal number into Go struct field Config.data-root of type string"),
    ("data-root", ["/a"], "cannot unmarshal array into Go struct field Config.data-root of type string"),
    ("debug", "true", "cannot unmarshal string into Go struct field Config.debug of type bool"),
    ("mtu", "1400", "cannot unmarshal string into Go struct field Config.mtu of type int"),
    ("mtu", 1400.5, "cannot unmarshal number 1400.5 into Go struct field Config.mtu of type int"),
    ("dns", "192.0.2.1", "cannot unmarshal string into Go struct field Config.dns of type []string"),
    ("dns", [1], "cannot unmarshal number into Go struct field Config.dns of type string"),
    ("log-opts", {"max-file": 3}, "cannot unmarshal number into Go struct field Config.log-opts of type string"),
    ("log-opts", [], "cannot unmarshal array into Go struct field Config.log-opts of type map[string]string"),
])
def test_wrong_types_in_the_file(key, value, words, tmp_path):
    """Each is refused by its name in the file, before anybody makes sense of its text."""
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps({key: value}))
    r = validate("--config-file", str(file))
    assert r.returncode == 1 and r.stdout == ""
    assert f"unable to configure the Fence daemon with file {file}: json: {words}\n" in r.stderr


def test_null_in_the_file(tmp_path):
    file = tmp_path / "daemon.json"
    file.write_text('{"data-root": null, "dns": null, "mtu": null, "log-opts": null}')
    assert validate("--config-file", str(file)).returncode == 0


def test_reload(new_daemon, tmp_path):
    """The level of the command line is still there after debugging."""
    file = tmp_path / "daemon.json"
    file.write_text('{"labels": ["a=1"]}')
    d = new_daemon("--config-file", str(file), "--log-level", "warn", busybox=False)
    for debug in (True, False):
        file.write_text(json.dumps({"debug": debug, "labels": ["a=2"]}))
        d.process.send_signal(signal.SIGHUP)
        until(lambda: d.api.get("/info")["Debug"] is debug) # pylint: disable=cell-var-from-loop
    assert d.api.get("/info")["Labels"] == ["a=2"]
    assert d.log().count("Reloaded configuration") == 1 # the second is below the level again


@pytest.mark.skipif(os.path.exists("/sys/fs/selinux/enforce"), reason="a kernel with SELinux")
def test_selinux_that_is_not_there(new_daemon):
    """The daemon says so and goes on; options for labels mean nothing."""
    d = new_daemon("--selinux-enabled")
    assert "Docker could not enable SELinux on the host system" in d.log()
    assert "name=selinux" not in d.api.get("/info")["SecurityOptions"]
    cid = d.api.create(cmd=["true"], HostConfig={"SecurityOpt": ["label=type:x", "label=nonsense"],
                                                 "Binds": ["/usr/bin:/b:Z", "/usr/lib:/l:ro,z", "v:/v"]})
    d.api.ok("POST", "/containers/%s/start" % cid)
    seen = d.api.inspect(cid)
    assert (seen["ProcessLabel"], seen["MountLabel"]) == ("", "")


def test_a_signal_to_look_with_ends_nothing(new_daemon):
    d = new_daemon(busybox=False)
    d.process.send_signal(signal.SIGUSR1) # dockerd writes its stacks down
    until(lambda: "SIGUSR1" in d.log())
    assert d.api.get("/info")["Containers"] == 0 and d.process.poll() is None


def test_no_pidfile_and_an_open_port(new_daemon):
    d = new_daemon("--pidfile", "", "-H", "tcp://127.0.0.1:0", busybox=False)
    assert any("WARNING: API is accessible on http://127.0.0.1:" in w and "without encryption" in w
               for w in d.api.get("/info")["Warnings"])


def test_an_interface_that_is_no_bridge(tmp_path):
    """It gets no address, and the daemon says why it does not start."""
    name = "fno%d" % (os.getpid() % 100000)
    subprocess.run(["ip", "link", "add", name, "type", "veth", "peer", "name", name + "p"], check=True)
    try:
        for interface in (name, "lo"):
            d = subprocess.run([program("fenced"), "--data-root", str(tmp_path / "data"), "--exec-root",
                                str(tmp_path / "exec"), "--idmap-dir", str(tmp_path / "ids"), "--pidfile", "",
                                "--bip", "198.18.200.1/30", "--nft-table", name, "--bridge", interface,
                                "-H", "unix://%s/s" % tmp_path], capture_output=True, text=True, timeout=30,
                               check=False)
            assert d.returncode == 1 and "existing interface %s is not a bridge" % interface in d.stderr
            shown = subprocess.run(["ip", "addr", "show", interface], capture_output=True, text=True, check=True)
            assert "198.18.200.1" not in shown.stdout
    finally:
        subprocess.run(["ip", "link", "del", name], check=True)
