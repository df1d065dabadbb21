# SPDX-License-Identifier: Apache-2.0
"""Questions in all their variants: filters, formats, odd values, sizes."""
import json

from .drive import scene


def listed(s, path, **filters):
    """A step: the names that a list with these filters has."""
    label = "%s %s" % (path, json.dumps(filters, sort_keys=True))
    answer = s.api.request("GET", path, filters=filters, **({"all": 1} if "containers" in path else {}))
    if answer.status != 200:
        s.keep(label, [answer.status, answer.message])
        return
    document = answer.json
    if "volumes" in path:
        s.keep(label, sorted(v["Name"] for v in document["Volumes"] or []))
    elif "images" in path:
        s.keep(label, sorted(sum((i["RepoTags"] or [] for i in document), [])))
    else:
        s.keep(label, [c["Names"][0] for c in document])


def pruned(s, kind, **filters):
    """A step: what a prune removed."""
    label = "prune %s %s" % (kind, json.dumps(filters, sort_keys=True))
    names = {c["Id"]: c["Names"][0] for c in s.api.get("/containers/json", all=1)}
    answer = s.api.request("POST", "/%s/prune" % kind, filters=filters)
    if answer.status != 200:
        s.keep(label, [answer.status, answer.message])
        return
    removed = answer.json.get("ContainersDeleted") or answer.json.get("VolumesDeleted") or []
    s.keep(label, sorted(names.get(r, r) for r in removed))


@scene(("http",))
def container_filters(s):
    for name, labels in (("a", {}), ("b", {"l": "1"}), ("c", {"l": "2", "m": ""}), ("d", {"m": "x=y"})):
        s.api.ok("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"], "Labels": labels}, name="f" + name)
    s.api.ok("POST", "/containers/fb/start")
    s.until_state("fb", Running=False)
    path = "/containers/json"
    for filters in ({"label": ["l"]}, {"label": ["l=1"]}, {"label": ["l=1", "l=2"]}, {"label": ["l", "m"]}, {"label": ["m=x=y"]},
                    {"label": ["m="]}, {"label": [""]}, {"label": []}, {"label!": ["l"]}, {"label": {"l": True}}, {"label": {"l": False}},
                    {"name": ["f"]}, {"name": ["^/f[ab]$"]}, {"name": ["fa", "fb"]}, {"name": ["/fa"]}, {"name": ["["]}, {"name": []},
                    {"id": ["zz"]}, {"status": ["created"]}, {"status": ["created", "exited"]}, {"status": ["nosuch"]}, {"status": []},
                    {"exited": ["0"]}, {"exited": ["0", "1"]}, {"exited": ["x"]}, {"ancestor": ["busybox"]}, {"ancestor": ["busybox:1"]},
                    {"ancestor": ["nosuch"]}, {"ancestor": ["hello-world", "busybox"]}, {"before": ["fc"]}, {"since": ["fb"]},
                    {"before": ["nosuch"]}, {"since": ["fa"], "before": ["fd"]}, {"volume": ["nosuch"]}, {"network": ["bridge"]},
                    {"network": ["nosuch"]}, {"health": ["none"]}, {"health": ["nosuch"]}, {"is-task": ["false"]}, {"is-task": ["maybe"]},
                    {"isolation": ["default"]}, {"publish": ["80"]}, {"expose": ["80/tcp"]}, {"publish": ["bad"]}, {"nosuch": ["x"]},
                    {"label": ["l"], "name": ["fc"]}, {"label": "l"}, {"label": [5]}, {"label": 5}):
        listed(s, path, **filters)
    for query in ("limit=1", "limit=-1", "limit=0", "limit=x", "all=maybe", "all=", "all=1&limit=2", "size=maybe", "nosuch=1",
                  "all=true&filters=", "all=1&filters=%7B%7D", "all=1&filters=null", "all=1&filters=%5B%5D", "all=0&since=fa",
                  "before=nosuch"):
        answer = s.api.request("GET", path + "?" + query)
        s.keep(path + "?" + query, [c["Names"][0] for c in answer.json] if answer.status == 200
               else [answer.status, answer.message])


@scene(("http",))
def prune_filters(s):
    def make():
        for name, labels in (("a", {}), ("b", {"l": "1"}), ("c", {"l": "2", "m": ""})):
            s.api.request("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"], "Labels": labels}, name="p" + name)
            s.api.request("POST", "/volumes/create", {"Name": "p" + name, "Labels": labels})

    for filters in ({"label": ["nosuch"]}, {"label": ["l=1"]}, {"label": ["l", "m"]}, {"label!": ["l"]}, {"label!": ["l=1"]},
                    {"label!": ["l=1", "m"]}, {"label!": ["l"], "label": ["m"]}, {"label": ["l"], "label!": ["m"]}, {"until": ["1h"]},
                    {"until": ["2001-01-01"]}, {"until": ["bad"]}, {"until": ["1h", "2h"]}, {"until": ["2037-01-01T00:00:00Z"]},
                    {"nosuch": ["x"]}, {}):
        make()
        pruned(s, "containers", **filters)
    for filters in ({"label": ["nosuch"]}, {"label": ["l=1"]}, {"label": ["l", "m"]}, {"label!": ["l"]}, {"label!": ["l=1"]},
                    {"label!": ["l=1", "m"]}, {"label!": ["l"], "label": ["m"]}, {"label": ["l"], "label!": ["m"]}, {"nosuch": ["x"]},
                    {"until": ["1h"]}, {}):
        make()
        pruned(s, "volumes", **filters)
    for filters in ({"dangling": ["true"]}, {"dangling": ["maybe"]}, {"label!": ["x"]}, {"until": ["bad"]}, {"nosuch": ["x"]}):
        pruned(s, "images", **filters)
    for filters in ({"until": ["1h"]}, {"label!": ["x"]}, {"nosuch": ["x"]}):
        answer = s.api.request("POST", "/networks/prune", filters=filters)
        s.keep("prune networks " + json.dumps(filters), answer.json)


@scene(("http",))
def volume_and_image_filters(s):
    for name, labels in (("va", {}), ("vb", {"l": "1"}), ("vc", {"l": "2", "m": ""})):
        s.api.ok("POST", "/volumes/create", {"Name": name, "Labels": labels})
    s.api.ok("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"Binds": ["va:/v"]}}, name="user")
    for filters in ({"label": ["l"]}, {"label": ["l=1", "l=2"]}, {"label!": ["l"]}, {"name": ["v"]}, {"name": ["^va$"]}, {"name": ["va", "vb"]},
                    {"dangling": ["true"]}, {"dangling": ["false"]}, {"dangling": ["1"]}, {"dangling": ["true", "false"]},
                    {"dangling": ["maybe"]}, {"driver": ["local"]}, {"driver": ["nosuch"]}, {"nosuch": ["x"]}):
        listed(s, "/volumes", **filters)
    for tag in ("zz:1", "aa:2", "aa:1", "mm/nn:latest"):
        s.api.ok("POST", "/images/busybox/tag", repo=tag.split(":")[0], tag=tag.split(":")[1])
    for filters in ({"reference": ["aa"]}, {"reference": ["aa:1"]}, {"reference": ["a*"]}, {"reference": ["*/*"]}, {"reference": ["*"]},
                    {"reference": ["["]}, {"reference": ["aa", "zz"]}, {"dangling": ["true"]}, {"dangling": ["false"]},
                    {"dangling": ["maybe"]}, {"label": ["nosuch"]}, {"label!": ["nosuch"]}, {"before": ["busybox"]}, {"since": ["busybox"]},
                    {"before": ["nosuch"]}, {"until": ["1h"]}, {"nosuch": ["x"]}):
        listed(s, "/images/json", **filters)
    s.get("/images/json?all=maybe", raw="none")
    s.keep("tags of busybox", s.api.get("/images/busybox:latest/json")["RepoTags"])


@scene(("cli28",))
def formats(s):
    s("run -d --name fa --label a=1 --expose 80 -v vol:/v busybox sleep 1000")
    s("create --name fb --network none -m 64m busybox sh -c 'a command that is rather long'")
    for field in ("Names", "Image", "Command", "State", "Ports", "Labels", "Mounts", "LocalVolumes", "Networks", "Label \"a\""):
        s("ps -a --no-trunc --format '{{.%s}}'" % field)
    s("ps -a --format '{{.Command}} {{.Mounts}}'")
    s("ps -a --format '{{json .}}' --filter name=fb",
      extra=[('"CreatedAt":"[^"]*"', '"CreatedAt":"<time>"')])
    s("ps --format 'table {{.Names}}\\t{{.Status}}'")
    s("ps -a --format '{{.NoSuch}}'")
    s("ps -a --format '{{'")
    s("ps -as --filter name=fb --format '{{.Size}}'")
    s("ps -n 1 -q --no-trunc")
    s("ps -l --format '{{.Names}}'")
    s("container ls -aq --filter status=created", sort=True)
    s("images --no-trunc --digests --format '{{.Repository}} {{.Tag}} {{.Digest}} {{.ID}}' busybox", sort=True)
    s("images --format '{{json .}}' hello-world",
      extra=[('"Created(At|Since)":"[^"]*"', '"Created":"<time>"'), ('"(Virtual)?Size":"[^"]*"', '"Size":"<size>"')])
    s("images -q hello-world")
    s("images -a --filter since=nosuch")
    s("volume ls --format '{{json .}}'")
    s("system df", extra=[(r"\(\d+%\)", "(<share>)"), (r"\b\d+(\.\d+)?[kM]?B\b", "<size>")])
    s("system df -v --format '{{range .Volumes}}{{.Name}} {{.Links}}{{end}}'")
    s("system df -v --format '{{range .Containers}}{{.Names}} {{.LocalVolumes}} {{.Status}}\n{{end}}'", sort=True)
    s("system df -v --format '{{range .Images}}{{.Repository}}:{{.Tag}} {{.Containers}}\n{{end}}'", sort=True)
    s("inspect -s fb --format '{{.SizeRw}}'")
    s("inspect fa fb --format '{{.Name}} {{.State.Status}}'")
    s("inspect --type volume fa")
    s("inspect --type nosuch fa")
    s("inspect --type container vol")
    s("inspect vol --format '{{.Name}}'")
    s("inspect fa --format '{{.NoSuch}}'")
    s("inspect fa --format '{{index .Config.Labels \"a\"}} {{len .Mounts}} {{(index .Mounts 0).Name}}'")
    s("stats --no-stream --format '{{.Name}} {{.PIDs}}' fa")
    s("stats --no-stream --format '{{.Name}} {{.PIDs}}' fb")
    s("stats --no-stream nosuch")
    s("top fa -o args")
    s("port fa")
    s("port fa 80")
    s("kill fa")


@scene(("cli20",))
def event_filters(s):
    s.values["t0"] = s.expand("@now@")
    s.quietly("run --name ea --label l=1 --label m busybox true")
    s.quietly("run --name eb busybox sh -c 'exit 3'")
    s.quietly("volume create ev")
    s.quietly("tag busybox ev:tag")
    s.quietly("rmi ev:tag")
    s.quietly("rm ea")
    s.quietly("rm eb")
    s.quietly("volume rm ev")
    s.until(lambda: False, 0.3)
    s.values["t1"] = s.expand("@now@")
    for filters in ("container=ea", "container=ea --filter container=eb --filter event=die", "label=l", "label=l=1 --filter label=m",
                    "label=l=2", "image=busybox --filter event=die", "image=busybox:latest --filter event=die", "image=nosuch",
                    "type=volume", "type=image --filter event=tag --filter event=untag", "volume=ev", "scope=local --filter event=die",
                    "scope=swarm", "event=die --filter event=destroy", "type=container --filter type=volume --filter event=create",
                    "daemon=nosuch", "node=x", "service=x", "network=bridge", "network=nosuch", "plugin=x", "secret=x", "config=x"):
        s("events --since @t0@ --until @t1@ --filter %s --format '{{.Type}} {{.Action}} {{.Actor.Attributes.name}}'" % filters)
    s("events --since @t0@ --until @t1@ --filter type=container --filter event=die --format '{{json .}}'")
    s("events --since @t0@ --until @t1@ --filter bad")
    s("events --since @t0@ --until bad")


@scene(("http",))
def odd_values(s):
    s.api.ok("POST", "/containers/create", {"Image": "busybox", "Cmd": ["sleep", "1000"], "Tty": True}, name="ov")
    s.post("/containers/ov/resize?h=10&w=10")
    s.post("/containers/ov/start?nosuch=1")
    for query in ("h=0&w=0", "h=-1&w=5", "h=99999&w=5", "h=4294967296&w=5", "h=5", "w=5", "h=&w=", "h=10&w=10"):
        s.post("/containers/ov/resize?" + query)
    for query in ("stream=0", "stream=maybe", "logs=0&stream=0", "stdin=1", "detachKeys=ctrl-"):
        s.post("/containers/ov/attach?" + query, timeout=1)
    for query in ("", "stdout=0", "stdout=maybe", "stdout=1&tail=-5", "stdout=1&tail=", "stdout=1&since=-5", "stdout=1&until=x",
                  "stdout=1&timestamps=maybe", "stdout=1&since=1.5", "stdout=1&since=9999999999"):
        s.get("/containers/ov/logs?" + query)
    s.get("/containers/ov/top?ps_args=-o%20nosuch")
    s.get("/containers/ov/top?ps_args=", raw="none")
    s.get("/containers/ov/json?size=maybe", raw="none")
    s.get("/containers/ov/stats?stream=false&one-shot=true", raw="none")
    for name in ("a", "bad name", "-x", "ov2"):
        s.http("POST", "/containers/ov/rename", name=name)
    s.http("POST", "/containers/ov2/rename", name="ov")
    for signal in ("0", "99", "-1", "kill", "SIGNOSUCH", "15x", "RTMIN", "SIGRTMAX-1", "65", "64"):
        s.post("/containers/nosuch/kill?signal=" + signal)
    for signal in ("0", "99", "-1", "SIGNOSUCH", "15x", "65", "SIGWINCH", "28"):
        s.post("/containers/ov/kill?signal=" + signal)
    for config in ({"Cmd": ["sh", "-c", "exit 4"], "Tty": True, "AttachStdin": True, "Privileged": False, "User": "1:1",
                    "WorkingDir": "/tmp", "Env": ["A=b"]}, {"Cmd": ["true"], "AttachStdout": True}):
        s.values["e"] = s.api.ok("POST", "/containers/ov/exec", config).json["Id"]
        s.get("/exec/@e@/json")
        for query in ("h=10&w=10x", "h=x&w=1"):
            s.post("/exec/@e@/resize?" + query)
        s.post("/exec/@e@/start", {"Detach": True})
        s.until(lambda: not s.api.get("/exec/%s/json" % s.values["e"])["Running"])
        s.get("/exec/@e@/json")
    for body in ({"Memory": -1}, {"CpuShares": -1}, {"CpusetCpus": "99"}, {"CpusetCpus": "x"}, {"PidsLimit": -1}, {"NanoCpus": 500000000},
                 {"NanoCpus": -1}, {"CpuQuota": 5}, {"CpuPeriod": 5}, {"BlkioWeight": 5}, {"RestartPolicy": {"Name": "always"}},
                 {"RestartPolicy": {"Name": "no"}}, {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 2}}, {}, {"Nosuch": 1}):
        s.post("/containers/ov/update", body)
    for query in ("condition=", "condition=not-running", "condition=removed&x=1"):
        if "removed" not in query:
            c, r = s.api.open("POST", "/containers/ov/wait?" + query)
            s.keep("type of wait " + query, [r.status, r.headers.get("Content-Type")])
            c.close()
    for query in ("t=-5x", "t=", "t=99999999999999999999", "t=0"):
        s.post("/containers/ov/stop?" + query)
    s.post("/containers/ov/wait?condition=removed&x=1", raw="none", timeout=1)
    s.http("DELETE", "/containers/ov?v=maybe&force=maybe&link=0")
    s.http("DELETE", "/containers/ov?link=1")
    s.post("/commit?container=nosuch&pause=maybe")
    s.post("/containers/create?name=", {"Image": "busybox"})
    s.post("/containers/create?name=x%2Fy", {"Image": "busybox"})
    s.post("/containers/create?platform=nosuch", {"Image": "busybox"})
    s.get("/images/search?term=x&limit=999")
    s.get("/images/search", raw="none")
    s.post("/images/load?quiet=maybe", b"", label="load nothing",
           extra=[("docker-import-[0-9]+", "docker-import-<n>")])
    s.get("/images/get", raw="none")
    s.get("/images/get?names=nosuch")
    s.http("DELETE", "/images/hello-world?noprune=maybe&force=maybe", raw="none", label="remove hello-world")
    s.post("/build?dockerfile=x", b"", label="build", extra=[("(?s).*", "<builder>")])
    s.get("/events?until=1&since=2")
    s.get("/events?until=1&since=0.5")
    s.http("OPTIONS", "/containers/json")
    s.http("PATCH", "/containers/json")
    s.http("HEAD", "/containers/json")
    s.http("GET", "//containers//json", raw="none")
    s.http("GET", "/containers/json/", raw="none")


@scene()
def waiting_for(s):
    s("run -d --name wa busybox sh -c 'exit 3'")
    s("run -d --name wb busybox sh -c 'exit 4'")
    s("wait wa wb")
    s("wait wb nosuch wa")
    s("create --name wc busybox true")
    s("wait wc")
    s("run -d --rm --name wd busybox sh -c 'sleep 0.5; exit 5'")
    s("wait wd")
    s("run -d --name we busybox sleep 1000")
    started = s.background("wait we")
    s.until(lambda: False, 0.4)
    s("kill we")
    s.finish(started)
    s("run -d --name wf busybox sleep 1000")
    started = s.background("wait wf")
    s.until(lambda: False, 0.4)
    s("rm -f wf")
    s.finish(started)
