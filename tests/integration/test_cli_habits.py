# SPDX-License-Identifier: Apache-2.0
"""What people do with a command line without thinking: pipes, forced removals, wrong file names."""
import os
import signal
import subprocess

import pytest

from harness.wait import until


@pytest.fixture
def talker(api):
    """A container with more log than a pipe holds."""
    cid = api.run(["sh", "-c", "yes | head -n 50000; sleep 1000"])
    until(lambda: api.logs(cid))
    return cid


@pytest.mark.parametrize("words", [("logs", "{}"), ("logs", "-f", "{}"), ("exec", "{}", "yes"),
                                   ("cp", "{}:/bin", "-"), ("save", "busybox")])
def test_nobody_reads_any_more(fence, talker, words):
    p = fence.popen(*[w.format(talker) for w in words])
    assert os.read(p.stdout.fileno(), 1)
    p.stdout.close()
    assert p.stderr.read() == b"" and p.wait(30) == -signal.SIGPIPE
    p.stderr.close()


def test_a_full_disk_is_told(fence):
    with open("/dev/full", "wb") as full:
        r = subprocess.run([fence.path, "ps"], stdout=full, stderr=subprocess.PIPE, env=fence.environment(),
                           timeout=30, check=False)
    assert r.returncode == 1 and r.stderr == b"write /dev/stdout: no space left on device\n"


def test_rm_force_of_what_is_not_there(cli, api):
    api.create(name="there")
    r = cli("rm", "-f", "missing", "there")
    assert r.stdout == "there\n" and "No such container: missing" in r.stderr
    if cli.name != "docker20": # as older ones had it
        assert r.returncode == 0
    r = cli("rm", "missing")
    assert r.returncode == 1 and "No such container: missing" in r.stderr


@pytest.mark.parametrize("words,told", [
    (("save", "-o", "/nonexistent/a/b", "busybox"),
     "failed to save image: invalid output path: stat /nonexistent/a: no such file or directory\n"),
    (("export", "-o", "/nonexistent/b", "c"),
     "failed to export container: invalid output path: stat /nonexistent: no such file or directory\n"),
    (("rename", "missing", "x"), "Error response from daemon: No such container: missing\n"
                                 "Error: failed to rename container named missing\n"),
    (("rename", "missing", ""), "Error: Neither old nor new names may be empty\n"),
    (("system", "df", "-v", "--format", "json"), "--format is not supported together with --verbose\n"),
])
def test_errors(fence, words, told):
    r = fence(*words)
    assert (r.returncode, r.stdout, r.stderr) == (1, "", told)


def test_cp_keeps_the_modes_of_nodes(cli, api, tmp_path):
    cid = api.run(["sh", "-c", "mkdir /n && mkfifo /n/fifo && chmod 666 /n/fifo"])
    api.wait(cid)
    cli.ok("cp", cid + ":/n", str(tmp_path / "out"))
    assert (tmp_path / "out/fifo").stat().st_mode & 0o7777 == 0o666


def test_system_prune(docker_cli, api):
    api.create(name="ended")
    assert docker_cli.ok("system", "prune", "-f").endswith("Total reclaimed space: 0B\n")
    assert api.get("/containers/json", all=True) == []
    assert api.ok("POST", "/build/prune").json["SpaceReclaimed"] == 0
