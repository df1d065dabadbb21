# SPDX-License-Identifier: Apache-2.0
"""Volumes: named, anonymous, seeded; binds with their modes; tmpfs."""
import os
import stat
import subprocess

import pytest

from harness.api import Api


def test_named_volume_lives_on(api):
    api.ok("POST", "/volumes/create", {"Name": "data", "Labels": {"a": "b"}})
    api.output(["sh", "-c", "echo kept >/v/f"], host={"Binds": ["data:/v"]})
    assert api.output(["cat", "/v/f"], host={"Binds": ["data:/v"]}) == (0, "kept\n")
    v = api.get("/volumes/data")
    assert v["Driver"] == "local" and v["Scope"] == "local" and v["Labels"] == {"a": "b"}
    assert open(v["Mountpoint"] + "/f", encoding="utf-8").read() == "kept\n"


def test_list_and_prune(api):
    api.ok("POST", "/volumes/create", {"Name": "free"})
    cid = api.create(cmd=["true"], host={"Binds": ["used:/v"]})
    assert {v["Name"] for v in api.get("/volumes")["Volumes"]} >= {"free", "used"}
    assert {v["Name"] for v in api.get("/volumes", filters={"dangling": ["true"]})["Volumes"]} == {"free"}
    a = api.request("DELETE", "/volumes/used")
    assert a.status == 409 and "volume is in use" in a.message and cid in a.message
    assert api.ok("POST", "/volumes/prune", filters={"all": ["true"]}).json["VolumesDeleted"] == ["free"]
    assert api.request("DELETE", "/volumes/free").status == 404


def test_anonymous_goes_with_its_container(api):
    cid = api.create(cmd=["true"], Volumes={"/anon": {}})
    name = [m["Name"] for m in api.inspect(cid)["Mounts"]][0]
    assert api.request("GET", "/volumes/" + name).status == 200
    api.remove(cid, v=True)
    assert api.request("GET", "/volumes/" + name).status == 404
    kept = api.create(cmd=["true"], Volumes={"/anon": {}})
    name = [m["Name"] for m in api.inspect(kept)["Mounts"]][0]
    api.remove(kept, v=False)
    assert api.request("GET", "/volumes/" + name).status == 200


def test_seeded_from_the_image(api):
    assert api.output(["cat", "/etc/passwd"], host={"Binds": ["seed:/etc"]})[1].startswith("root:x:0:0")
    code, out = api.output(["ls", "/other"], host={"Binds": ["seed:/other"]})
    assert code == 0 and "passwd" in out
    code, out = api.output(["ls", "/etc/passwd"], host={"Binds": ["unseeded:/etc:nocopy"]})
    assert code == 1


def test_volumes_from(api):
    api.create(name="source", cmd=["true"], host={"Binds": ["shared:/data"]})
    api.output(["sh", "-c", "echo x >/data/f"], host={"VolumesFrom": ["source"]})
    assert api.output(["cat", "/data/f"], host={"VolumesFrom": ["source:ro"]}) == (0, "x\n")
    code, _ = api.output(["touch", "/data/g"], host={"VolumesFrom": ["source:ro"]})
    assert code == 1


def test_bind(api, tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "f").write_text("host\n")
    code, out = api.output(["sh", "-c", "cat /b/f; echo made >/b/g; id -u"],
                           host={"Binds": ["%s:/b" % tmp_path]})
    assert (code, out) == (0, "host\n0\n")
    made = os.stat(tmp_path / "g")
    assert (made.st_uid, made.st_gid) == (0, 0), "the owner is what a Docker user expects"
    code, _ = api.output(["touch", "/b/h"], host={"Binds": ["%s:/b:ro" % tmp_path]})
    assert code == 1


def test_bind_owner_of_other_users(api, tmp_path):
    tmp_path.chmod(0o777)
    api.output(["touch", "/b/g"], User="1234:55", host={"Binds": ["%s:/b" % tmp_path]})
    made = os.stat(tmp_path / "g")
    assert (made.st_uid, made.st_gid) == (1234, 55)


def test_bind_of_a_file(api, tmp_path):
    path = tmp_path / "one"
    path.write_text("single\n")
    path.chmod(0o644)
    tmp_path.chmod(0o755)
    assert api.output(["cat", "/etc/one"], host={"Binds": ["%s:/etc/one:ro" % path]}) == (0, "single\n")


def test_missing_bind_source_is_made_as_docker_does(api, tmp_path):
    assert api.output(["ls", "/b"], host={"Binds": ["%s/new/dir:/b" % tmp_path]}) == (0, "")
    assert stat.S_ISDIR(os.stat(tmp_path / "new/dir").st_mode)
    a = api.request("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"Mounts": [
        {"Type": "bind", "Source": str(tmp_path / "nosuch"), "Target": "/b"}]}})
    assert a.status == 400
    assert "bind source path does not exist: %s/nosuch" % tmp_path in a.message


def test_tmpfs(api):
    code, out = api.output(["sh", "-c", "mount | grep ' /t '; df -k /t | tail -1"],
                           host={"Tmpfs": {"/t": "size=1m,mode=1770"}})
    assert code == 0 and "tmpfs" in out and "1024" in out


@pytest.mark.parametrize("bad", ["relative:/x:bogus", "/a:relative", ":/x", "/a:/b:rw:more"])
def test_bad_binds(api, bad):
    a = api.request("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"Binds": [bad]}})
    assert a.status == 400


def test_same_target_twice(api):
    a = api.request("POST", "/containers/create", {"Image": "busybox", "HostConfig": {
        "Binds": ["x:/d", "y:/d"]}})
    assert a.status == 400 and "Duplicate mount point: /d" in a.message


def test_link_in_the_image_as_target(api):
    """A mount target that is a link in the container stays in it."""
    cid = api.create(cmd=["sh", "-c", "cat /proc/self/mountinfo | grep linked"],
                     host={"Binds": ["linked:/var/www"]})
    api.start(cid)
    api.wait(cid)
    assert b"/var/www" in api.logs(cid)


def test_cli(cli):
    assert cli.ok("volume", "create", "clivol").strip() == "clivol"
    assert "clivol" in cli.ok("volume", "ls")
    assert "Mountpoint" in cli.ok("volume", "inspect", "clivol")
    cli.ok("run", "--rm", "--network", "none", "-v", "clivol:/v", "busybox", "touch", "/v/x")
    cli.ok("run", "--rm", "--network", "none", "--mount", "type=volume,src=clivol,dst=/v", "busybox",
           "test", "-e", "/v/x")
    assert cli.ok("volume", "rm", "clivol").strip() == "clivol"


@pytest.fixture
def submount(tmp_path):
    """A folder with a tmpfs on its "below"."""
    (tmp_path / "below").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(tmp_path / "below")], check=True)
    yield str(tmp_path)
    subprocess.run(["umount", str(tmp_path / "below")], check=True)


def writable(api, **host):
    """What a container can write to: the mount, what is mounted below it."""
    script = "for f in /m /m/below; do touch $f/x 2>/dev/null && echo $f; rm -f $f/x; done; true"
    code, out = api.output(["sh", "-c", script], host=host)
    assert code == 0
    return out.split()


def test_read_only_binds_below(daemon, submount):
    """Since 1.44 a read-only bind is so with everything below; older clients get what they had."""
    old, new = Api(daemon.socket, "v1.43"), Api(daemon.socket, "v1.44")

    def mount(**options):
        return {"Mounts": [{"Type": "bind", "Source": submount, "Target": "/m", "ReadOnly": True,
                            "BindOptions": options}]}

    for userns in ("", "host"):
        assert writable(old, Binds=[submount + ":/m:ro"], UsernsMode=userns) == ["/m/below"]
        assert writable(new, Binds=[submount + ":/m:ro"], UsernsMode=userns) == []
        assert writable(old, **mount(ReadOnlyForceRecursive=True)) == ["/m/below"]
        assert writable(new, **mount(), UsernsMode=userns) == []
        assert writable(new, **mount(ReadOnlyNonRecursive=True), UsernsMode=userns) == ["/m/below"]
        assert writable(new, **mount(ReadOnlyForceRecursive=True), UsernsMode=userns) == []
        assert writable(new, **mount(NonRecursive=True), UsernsMode=userns) == []


def test_read_only_options_that_exclude_each_other(daemon, tmp_path):
    api = Api(daemon.socket, "v1.44")
    for options, text in (
            ({"ReadOnlyForceRecursive": True, "ReadOnlyNonRecursive": True}, "exclusive"),
            ({"ReadOnlyForceRecursive": True, "NonRecursive": True}, "exclusive"),
            ({"ReadOnlyForceRecursive": True, "Propagation": "rslave"}, "rprivate")):
        a = api.request("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"Mounts": [
            {"Type": "bind", "Source": str(tmp_path), "Target": "/m", "ReadOnly": True,
             "BindOptions": options}]}})
        assert a.status == 400 and text in a.message, options
