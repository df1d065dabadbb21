# SPDX-License-Identifier: Apache-2.0
"""Events: live, since and until, filters."""
import json
import time


def between(api, begin, **filters):
    return api.ok("GET", "/events", since="%.9f" % begin, until="%.9f" % time.time(),
                  filters={k: v for k, v in filters.items()}).lines


def test_life_of_a_container(api):
    begin = time.time()
    cid = api.create(cmd=["sh", "-c", "exit 3"], name="evt", Labels={"mark": "yes"})
    api.start(cid)
    api.wait(cid)
    api.remove(cid)
    events = between(api, begin, container=[cid])
    actions = [e["Action"] for e in events]
    assert actions == ["create", "start", "die", "destroy"], actions
    die = events[2]
    assert die["Type"] == "container" and die["Actor"]["ID"] == cid and die["scope"] == "local"
    attributes = die["Actor"]["Attributes"]
    assert attributes["exitCode"] == "3" and attributes["name"] == "evt"
    assert attributes["image"] == "busybox" and attributes["mark"] == "yes"
    assert die["status"] == "die" and die["id"] == cid and die["from"] == "busybox"
    assert die["timeNano"] // 10**9 == die["time"]


def test_filters(api):
    begin = time.time()
    one = api.create(name="one", Labels={"l": "1"})
    api.create(name="two")
    api.request("DELETE", "/volumes/evol")
    api.ok("POST", "/volumes/create", {"Name": "evol"})
    assert {e["Actor"]["ID"] for e in between(api, begin, type=["container"])} >= {one}
    assert [e["Actor"]["ID"] for e in between(api, begin, label=["l=1"])] == [one]
    assert {e["Type"] for e in between(api, begin, type=["volume"])} == {"volume"}
    assert {e["Action"] for e in between(api, begin, event=["create"])} == {"create"}


def test_live(api):
    conn, response = api.open("GET", "/events", filters={"type": ["container"]})
    cid = api.create(cmd=["true"])
    event = json.loads(response.readline())
    assert (event["Action"], event["Actor"]["ID"]) == ("create", cid)
    api.start(cid)
    assert json.loads(response.readline())["Action"] == "start"
    conn.close()


def test_exec_kill_pause_events(api):
    begin = time.time()
    cid = api.run(["sleep", "1000"])
    api.exec(cid, ["true"])
    api.ok("POST", "/containers/%s/pause" % cid)
    api.ok("POST", "/containers/%s/unpause" % cid)
    api.ok("POST", "/containers/%s/kill" % cid)
    api.wait(cid)
    actions = [e["Action"].split(":")[0] for e in between(api, begin, container=[cid])]
    for action in ("exec_create", "exec_start", "exec_die", "pause", "unpause", "kill", "die"):
        assert action in actions


def test_images_too(api):
    begin = time.time()
    api.ok("POST", "/images/busybox/tag", repo="evt", tag="1")
    api.ok("DELETE", "/images/evt:1")
    actions = [e["Action"] for e in between(api, begin, type=["image"])]
    assert actions[:2] == ["tag", "untag"]


def test_cli(cli, api):
    begin = int(time.time())
    cid = api.create()
    out = cli.ok("events", "--since", str(begin), "--until", str(int(time.time()) + 1), "--filter",
                 "container=" + cid, "--format", "{{.Type}} {{.Action}}")
    assert out == "container create\n"
