# SPDX-License-Identifier: Apache-2.0
"""/_ping, /version, /info, version prefixes, and what is not there."""
import json
import os
import re

import pytest

from harness import leaks
from harness.api import Api


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("version", ["", "v1.24", "v1.41"])
def test_ping(daemon, method, version):
    a = Api(daemon.socket, version).request(method, "/_ping")
    assert a.status == 200
    assert a.body == (b"OK" if method == "GET" else b"")
    assert a.headers["Api-Version"] and a.headers["Ostype"] == "linux"
    assert "no-cache" in a.headers["Cache-Control"]


def test_version(api):
    v = api.get("/version")
    assert v["ApiVersion"] == "1.51" and v["MinAPIVersion"] == "1.24"
    assert v["Os"] == "linux" and v["KernelVersion"]
    # what clients take apart: three numbers, no leading zeros, not below what they ask for
    assert re.fullmatch(r"[1-9]\d*(\.(0|[1-9]\d*)){2}", v["Version"])
    assert tuple(map(int, v["Version"].split("."))) >= (18, 9, 0)
    assert [c["Version"] for c in v["Components"] if c["Name"] == "Engine"] == [v["Version"]]
    assert api.get("/info")["ServerVersion"] == v["Version"]
    assert [c["Name"] for c in v["Components"]][0] == "Engine"


def test_info(api):
    before = api.get("/info")
    cid = api.run(["sleep", "1000"])
    after = api.get("/info")
    assert after["Containers"] == before["Containers"] + 1
    assert after["ContainersRunning"] == before["ContainersRunning"] + 1
    assert after["Images"] >= 1
    assert after["Driver"] == "overlay2"
    assert after["NCPU"] >= 1 and after["MemTotal"] > 0
    assert after["CgroupVersion"] in ("1", "2")
    assert "json-file" in after["Plugins"]["Log"]
    assert api.inspect(cid)["State"]["Running"]


@pytest.mark.parametrize("version", ["", "v1.0", "v1.12", "v1.24", "v1.30", "v1.41", "v1.51"])
def test_known_versions(daemon, version):
    assert Api(daemon.socket, version).request("GET", "/containers/json").status == 200


def test_version_too_new(daemon):
    a = Api(daemon.socket, "v1.999").request("GET", "/containers/json")
    assert a.status == 400
    assert "client version 1.999 is too new. Maximum supported API version is 1.51" in a.message


def test_unknown_path(api):
    a = api.request("GET", "/no/such/page")
    assert a.status == 404 and a.message == "page not found"


def test_wrong_method(api):
    assert api.request("DELETE", "/version").status in (404, 405)


@pytest.mark.parametrize("method,path", [("POST", "/build"), ("POST", "/session")])
def test_not_implemented_names_the_call(api, method, path):
    a = api.request(method, path)
    assert a.status == 501 and path in a.message


def test_swarm_is_unavailable(api):
    for method, path in (("GET", "/nodes"), ("GET", "/services"), ("GET", "/tasks"), ("GET", "/swarm")):
        a = api.request(method, path)
        assert a.status == 503
        assert "This node is not a swarm manager" in a.message


def test_plugins_are_none(api):
    assert api.get("/plugins") == []


def test_answers_carry_server_and_version(api):
    a = api.request("GET", "/containers/json")
    assert a.headers["Content-Type"] == "application/json"
    assert a.headers["Api-Version"] and a.headers["Server"]


def test_system_df(api):
    d = api.get("/system/df")
    assert d["LayersSize"] > 0
    assert {i["RepoTags"][0] for i in d["Images"]} >= {"busybox:latest"}


def test_sdk_reads_it(sdk):
    assert sdk.ping()
    assert sdk.version()["ApiVersion"]
    assert sdk.info()["ID"]
    assert sdk.df()["Images"]


def test_cli_version(cli):
    out = cli.ok("version")
    assert "Client" in out and "Server" in out
    assert cli.ok("version", "--format", "{{.Server.Os}}").strip() == "linux"


def test_cli_info(cli):
    assert "Server Version" in cli.ok("info")
    assert cli.ok("info", "--format", "{{.Driver}}").strip() == "overlay2"


def test_two_daemons_side_by_side(daemon, new_daemon):
    other = new_daemon()
    daemon.api.create(name="same")
    other.api.create(name="same")
    assert len(other.api.get("/containers/json", all=1)) == 1
    assert other.api.get("/info")["ID"] != daemon.api.get("/info")["ID"]


def has_table(daemon):
    return any(t.split()[-1] == daemon.table for t in leaks.tables())


def test_what_the_end_takes_away(new_daemon):
    """Rules go with the last container; the bridge stays for what the host has on it."""
    d = new_daemon("--live-restore")
    if not leaks.tables():
        pytest.skip("no nft program to look at tables with")
    bridge = "/sys/class/net/" + d.bridge
    assert has_table(d) and os.path.exists(bridge)
    cid = d.api.run(["sleep", "1000"], host={"NetworkMode": "bridge"})
    d.terminate()
    assert has_table(d), "of a container that runs on"
    d.start()
    d.api.remove(cid)
    d.terminate()
    assert not has_table(d) and os.path.exists(bridge)
    d.start()
    assert has_table(d)
    gateway = d.api.get("/networks/bridge")["IPAM"]["Config"][0]["Gateway"]
    assert d.api.output(["ping", "-c", "1", gateway], host={"NetworkMode": "bridge"})[0] == 0
    d.kill9()
    assert has_table(d)


def test_sigterm_ends_with_status_0(new_daemon):
    d = new_daemon()
    cid = d.api.run(["sleep", "1000"])
    assert d.terminate() == 0
    d.start()
    state = d.api.inspect(cid)["State"]
    assert state["Status"] == "exited" and state["ExitCode"] == 137


def test_refuses_what_it_cannot(new_daemon):
    d = new_daemon("--storage-driver", "btrfs", start=False)
    d.spawn()
    assert d.process.wait(30) == 1
    assert "--storage-driver=btrfs" in d.log()
    d.process = None


def test_log_attributes(api):
    """Labels, variables and a tag, in each line of the log."""
    config = {"labels": "l", "labels-regex": "^x", "env": "E", "env-regex": "^(F|G)O+$",
              "tag": "{{.Name}}/{{ .ID }} {{.ImageName}}"}
    cid = api.create(cmd=["echo", "hi"], name="tagged", Labels={"l": "1", "xx": "2", "no": "3"},
                     Env=["E=1", "FOO=2", "GO=a=b", "NO=3"],
                     host={"LogConfig": {"Type": "json-file", "Config": config}})
    api.start(cid)
    api.wait(cid)
    with open(api.inspect(cid)["LogPath"], encoding="utf-8") as f:
        attrs = json.loads(f.readline())["attrs"]
    assert attrs == {"l": "1", "xx": "2", "E": "1", "FOO": "2", "GO": "a=b",
                     "tag": "tagged/%s busybox" % cid[:12]}
    a = api.request("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"LogConfig": {
        "Type": "json-file", "Config": {"mode": "non-blocking"}}}})
    assert a.status == 201 and "non-blocking" in a.json["Warnings"][0]
