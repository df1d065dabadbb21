# SPDX-License-Identifier: Apache-2.0
"""The API by hand: shapes, statuses, bad requests; and python3-docker."""
import docker

from .drive import scene

LOOP = ["sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"]
OBJECTS = ("/containers/nosuch", "/images/nosuch:tag", "/exec/nosuch", "/volumes/nosuch")


@scene(("http",))
def shapes(s):
    def keys(document, at=""):
        if isinstance(document, dict) and "Annotations" not in at:
            return sorted(sum((keys(v, at + "." + k) for k, v in document.items()), []))
        return ["%s %s" % (at, type(document).__name__)]

    hide = ("RegistryConfig", "Runtimes", "Labels")
    for path in ("/info", "/version"):
        answer = s.api.get(path)
        for k in hide:
            if isinstance(answer.get(k), dict):
                answer[k] = {}
        s.keep("shape of " + path, keys(answer))
    s.get("/_ping")
    s.http("HEAD", "/_ping")
    s.get("/system/df", extra=[("sha256:[0-9a-f]{64}", "<digest>")])
    s.get("/images/json")
    s.get("/images/busybox:latest/json")
    s.get("/images/busybox:latest/history")
    s.get("/volumes")
    s.get("/containers/json")
    s.get("/plugins")


@scene(("http",))
def absent_objects(s):
    for method, path in (
            ("GET", "/containers/nosuch/json"), ("POST", "/containers/nosuch/start"), ("POST", "/containers/nosuch/stop"),
            ("POST", "/containers/nosuch/kill"), ("POST", "/containers/nosuch/restart"), ("POST", "/containers/nosuch/pause"),
            ("POST", "/containers/nosuch/unpause"), ("POST", "/containers/nosuch/wait"), ("GET", "/containers/nosuch/logs?stdout=1"),
            ("GET", "/containers/nosuch/top"), ("GET", "/containers/nosuch/stats?stream=0"), ("GET", "/containers/nosuch/changes"),
            ("GET", "/containers/nosuch/export"), ("POST", "/containers/nosuch/attach?stream=1"), ("POST", "/containers/nosuch/resize?h=1&w=1"),
            ("POST", "/containers/nosuch/rename?name=x"), ("DELETE", "/containers/nosuch"), ("GET", "/containers/nosuch/archive?path=/"),
            ("HEAD", "/containers/nosuch/archive?path=/"), ("PUT", "/containers/nosuch/archive?path=/"), ("POST", "/commit?container=nosuch"),
            ("POST", "/commit"), ("GET", "/images/nosuch/json"), ("GET", "/images/nosuch/history"), ("GET", "/images/nosuch/get"),
            ("POST", "/images/nosuch/tag?repo=x"), ("DELETE", "/images/nosuch"), ("GET", "/exec/nosuch/json"),
            ("POST", "/exec/nosuch/resize?h=1&w=1"), ("GET", "/volumes/nosuch"), ("DELETE", "/volumes/nosuch"),
            ("GET", "/networks/nosuch"), ("DELETE", "/networks/nosuch"), ("GET", "/nosuch"), ("POST", "/containers/json"),
            ("DELETE", "/info"), ("GET", "/containers"), ("GET", "/containers/"), ("POST", "/images/create"),
            ("POST", "/images/create?fromImage="), ("GET", "/swarm"), ("GET", "/services"), ("GET", "/nodes"), ("GET", "/tasks"),
            ("GET", "/secrets"), ("GET", "/configs"), ("POST", "/swarm/leave"), ("GET", "/plugins/nosuch/json"),
            ("POST", "/session"), ("GET", "/containers/nosuch/checkpoints")):
        s.http(method, path)
    s.post("/containers/nosuch/update", {})
    s.post("/containers/nosuch/exec", {"Cmd": ["true"]})
    s.post("/exec/nosuch/start", {})
    s.post("/containers/create", {"Image": "nosuch:image"})
    s.post("/containers/create", {"Image": ""})
    s.post("/containers/create", {})


@scene(("http",))
def bad_bodies(s):
    js = {"Content-Type": "application/json"}
    for text in ("", "{", "[]", "null", "5", '"x"', "{} trailing", '{"Image": 5}', '{"Image": "busybox", "Cmd": 5}',
                 '{"Image": "busybox", "Cmd": "a string"}', '{"Image": "busybox", "Env": "A=b"}', '{"Image": "busybox", "Env": [5]}',
                 '{"Image": "busybox", "HostConfig": 5}', '{"Image": "busybox", "HostConfig": {"Memory": "1m"}}',
                 '{"Image": "busybox", "HostConfig": {"Memory": 1e30}}', '{"Image": "busybox", "HostConfig": {"Binds": "/a:/b"}}',
                 '{"Image": "busybox", "Tty": "yes"}', '{"Image": "busybox", "Labels": {"a": 5}}', '{"Image": "busybox", "ExposedPorts": {"bad": {}}}',
                 '{"Image": "busybox", "Volumes": {"/v": 5}}', '{"Image": "busybox", "Entrypoint": {"a": 1}}', '{"Image": "busybox", "StopTimeout": "x"}',
                 '{"Image": "busybox", "HostConfig": {"RestartPolicy": "always"}}', '{"Image": "busybox", "\\ud800": 1}'):
        s.http("POST", "/containers/create", text, js, label="create with body " + text)
    s.http("POST", "/containers/create", "{}", {"Content-Type": "text/plain"}, label="create with text/plain")
    s.http("POST", "/containers/create", "{}", {}, label="create without a type")
    s.post("/containers/create?name=bad%20name", {"Image": "busybox"})
    s.post("/containers/create?name=xb", {"Image": "busybox", "HostConfig": {"NetworkMode": "nosuch"}})
    s.post("/containers/xb/start")
    create = "/containers/create"
    for host in ({"Binds": ["/a"]}, {"Binds": ["a:b:c:d"]}, {"Binds": ["/a:/b:zz"]}, {"Binds": [""]}, {"Mounts": [{}]},
                 {"Mounts": [{"Type": "bind", "Target": "/x"}]}, {"Mounts": [{"Type": "bind", "Source": "rel", "Target": "/x"}]},
                 {"Mounts": [{"Type": "bind", "Source": "/nosuch", "Target": "/x"}]}, {"Mounts": [{"Type": "nosuch", "Target": "/x"}]},
                 {"Mounts": [{"Type": "tmpfs", "Source": "x", "Target": "/x"}]}, {"Mounts": [{"Type": "volume", "Target": ""}]},
                 {"Mounts": [{"Type": "volume", "Target": "/x", "BindOptions": {}}]}, {"Tmpfs": {"rel": ""}}, {"Tmpfs": {"/t": "bad"}},
                 {"Memory": 1}, {"Memory": -5}, {"MemorySwap": 5}, {"NanoCpus": -1}, {"NanoCpus": 1000000000000}, {"CpuPeriod": 5},
                 {"CpuQuota": 5}, {"CpuShares": -1}, {"PidsLimit": -5}, {"ShmSize": -1}, {"OomScoreAdj": 5000},
                 {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 3}}, {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 3}},
                 {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": -3}}, {"AutoRemove": True, "RestartPolicy": {"Name": "always"}},
                 {"NetworkMode": "container:"}, {"NetworkMode": "container:nosuch"}, {"IpcMode": "x"}, {"PidMode": "x"}, {"UTSMode": "x"},
                 {"UsernsMode": "x"}, {"CgroupnsMode": "x"}, {"CapAdd": ["x"]}, {"CapDrop": ["x"]}, {"Capabilities": ["x"]},
                 {"SecurityOpt": ["x"]}, {"Sysctls": {"x": "y"}}, {"Ulimits": [{"Name": "x"}]}, {"Ulimits": [{"Name": "nofile", "Soft": 5, "Hard": 1}]},
                 {"LogConfig": {"Type": "nosuch"}}, {"LogConfig": {"Type": "json-file", "Config": {"nosuch": "1"}}}, {"Runtime": "nosuch"},
                 {"ExtraHosts": ["bad"]}, {"Dns": ["bad"]}, {"DnsSearch": ["bad domain"]}, {"Devices": [{"PathOnHost": "/nosuch", "PathInContainer": "/x", "CgroupPermissions": "rwm"}]},
                 {"DeviceCgroupRules": ["bad"]}, {"VolumesFrom": ["nosuch"]}, {"VolumesFrom": ["nosuch:zz"]}, {"Links": ["nosuch"]}, {"Links": ["a:b:c"]},
                 {"PortBindings": {"80/tcp": [{"HostPort": "bad"}]}}, {"PortBindings": {"bad": []}}, {"Isolation": "hyperv"}, {"GroupAdd": [""]},
                 {"VolumeDriver": "nosuch", "Binds": ["x:/x"]}, {"ReadonlyRootfs": True, "Nosuch": 1}, {"StorageOpt": {"size": "1G"}},
                 {"CpusetCpus": "x"}, {"CpusetCpus": "0-99"}, {"BlkioWeight": 1}, {"KernelMemory": 5}, {"MemorySwappiness": 101}, {"Init": "x"}):
        s.post(create, {"Image": "busybox", "HostConfig": host})
    for config in ({"WorkingDir": "rel"}, {"StopSignal": "x"}, {"Env": [""]}, {"Env": ["=x"]}, {"Hostname": "bad host"}, {"Hostname": "x" * 70},
                   {"Healthcheck": {"Test": ["NOSUCH"]}}, {"Healthcheck": {"Test": [], "Interval": -1}}, {"Healthcheck": {"Interval": 5}},
                   {"Healthcheck": {"Test": ["CMD", "x"], "Retries": -1}}, {"ExposedPorts": {"99999/tcp": {}}}, {"Volumes": {"rel": {}}},
                   {"Volumes": {"/": {}}}, {"MacAddress": "bad"}, {"Cmd": [], "Entrypoint": []}, {"User": ""}, {"StopTimeout": -5},
                   {"NetworkingConfig": {"EndpointsConfig": {"a": {}, "b": {}}}}, {"NetworkDisabled": True}):
        s.post(create, dict({"Image": "busybox"}, **config), extra=[("endpoints: b, a", "endpoints: a, b")])


@scene(("http",))
def life(s):
    s.post("/containers/create?name=cc", {"Image": "busybox", "Cmd": LOOP, "Labels": {"a": "b"}})
    s.post("/containers/create?name=cc", {"Image": "busybox"})
    for path in ("stop", "kill", "restart?t=0", "pause", "unpause", "wait?condition=nosuch", "resize?h=x&w=1", "resize?h=1&w=1", "top",
                 "stats?stream=0", "start?detachKeys=bad-key"):
        if path in ("stats?stream=0", "restart?t=0"):
            continue
        s.http("GET" if path in ("top",) else "POST", "/containers/cc/" + path)
    s.get("/containers/cc/json")
    s.get("/containers/cc/json?size=1")
    s.post("/containers/cc/start")
    s.post("/containers/cc/start")
    s.until_log("cc", "ready")
    s.get("/containers/cc/json")
    s.get("/containers/json", extra=[(r'"Up .*"', "up")])
    s.get("/containers/json?filters=bad")
    s.get('/containers/json?filters={"nosuch":["x"]}'.replace('"', "%22"))
    s.get("/containers/json?limit=x")
    s.get("/containers/cc/top?ps_args=-o%20args")
    s.get("/containers/cc/logs")
    s.get("/containers/cc/logs?stdout=1", raw="frames")
    s.get("/containers/cc/logs?stdout=1&tail=x", raw="frames")
    s.get("/containers/cc/logs?stdout=1&since=x", raw="frames")
    s.get("/containers/cc/changes")
    s.http("DELETE", "/containers/cc")
    s.post("/containers/cc/stop?t=x")
    s.post("/containers/cc/kill?signal=nosuch")
    s.post("/containers/cc/rename?name=")
    s.post("/containers/cc/rename")
    s.post("/containers/cc/rename?name=cc")
    s.post("/containers/cc/update", {"Memory": 67108864, "MemorySwap": -1})
    s.post("/containers/cc/update", {"Memory": 5})
    s.post("/containers/cc/update", {"RestartPolicy": {"Name": "nosuch"}})
    s.post("/containers/cc/resize?h=20&w=70")
    s.post("/containers/cc/resize?h=x&w=70")
    s.post("/containers/cc/resize")
    s.post("/containers/cc/attach")
    s.post("/containers/cc/attach?logs=1&stdout=1", raw="frames")
    s.post("/containers/cc/attach?detachKeys=bad-key&stream=1")
    for body in ({"Cmd": []}, {}, {"Cmd": "x"}, {"Cmd": ["true"], "DetachKeys": "bad-key"}, {"Cmd": ["true"], "Env": ["bad"]},
                 {"Cmd": ["true"], "User": "nosuch"}, {"Cmd": [""]}):
        s.post("/containers/cc/exec", body)
    made = s.api.ok("POST", "/containers/cc/exec", {"Cmd": ["sh", "-c", "echo out; echo err >&2; exit 6"], "AttachStdout": True,
                                                   "AttachStderr": True, "Env": ["A=b"], "User": "daemon", "WorkingDir": "/tmp"}).json["Id"]
    s.values["exec"] = made
    s.get("/exec/@exec@/json")
    s.post("/exec/@exec@/resize?h=1&w=1")
    s.post("/exec/@exec@/start", {"Detach": False, "Tty": False}, raw="frames")
    s.get("/exec/@exec@/json")
    s.post("/exec/@exec@/start", {"Detach": False, "Tty": False})
    for cmd, key in ((["nosuch"], "e2"), (["/etc/passwd"], "e3")):
        for detach in (True, False):
            s.values[key] = s.api.ok("POST", "/containers/cc/exec", {"Cmd": cmd, "AttachStdout": True}).json["Id"]
            s.post("/exec/@%s@/start" % key, {"Detach": detach})
            s.get("/exec/@%s@/json" % key)
    s.post("/containers/cc/pause")
    s.post("/containers/cc/pause")
    s.post("/containers/cc/exec", {"Cmd": ["true"]})
    s.http("DELETE", "/containers/cc")
    s.post("/containers/cc/start")
    s.post("/containers/cc/unpause")
    s.post("/containers/cc/unpause")
    s.post("/containers/cc/stop?t=5")
    s.post("/containers/cc/stop?t=5")
    s.post("/containers/cc/wait")
    s.get("/containers/cc/json")
    s.get("/containers/cc/stats?stream=0", extra=[])
    s.get("/containers/cc/top")
    s.post("/containers/cc/attach?stream=1&stdout=1", timeout=1)  # until it starts again
    s.http("DELETE", "/containers/cc?v=1&force=1")
    s.http("DELETE", "/containers/cc?force=1")
    s.post("/containers/create?name=failing", {"Image": "busybox", "Cmd": ["nosuch"]})
    s.post("/containers/failing/start")
    s.post("/containers/failing/wait")
    s.get("/containers/failing/json")
    s.post("/containers/prune?filters=bad")
    s.post("/volumes/prune")
    s.post("/containers/create?name=perm", {"Image": "busybox", "Cmd": ["/etc/passwd"]})
    s.post("/containers/perm/start")
    s.get("/containers/perm/json")


@scene(("http",))
def waits(s):
    s.post("/containers/create?name=cw", {"Image": "busybox", "Cmd": ["sh", "-c", "exit 3"]})
    s.post("/containers/cw/wait")
    s.post("/containers/cw/wait?condition=not-running")
    c, r = s.api.open("POST", "/containers/cw/wait?condition=next-exit")
    s.post("/containers/cw/start")
    s.keep("answer of wait next-exit", s.text_of(r.read(), ()))
    c.close()
    s.post("/containers/create?name=rm", {"Image": "busybox", "Cmd": ["sh", "-c", "exit 4"], "HostConfig": {"AutoRemove": True}})
    c, r = s.api.open("POST", "/containers/rm/wait?condition=removed")
    s.post("/containers/rm/start")
    s.keep("answer of wait removed", s.text_of(r.read(), ()))
    c.close()
    s.post("/containers/rm/wait")
    s.post("/containers/create?name=cf", {"Image": "busybox", "Cmd": ["nosuch"]})
    c, r = s.api.open("POST", "/containers/cf/wait?condition=next-exit", timeout=2)
    s.post("/containers/cf/start")
    try:
        answer = s.text_of(r.read(), ())
    except TimeoutError:
        answer = "nothing"
    s.keep("answer of wait next-exit of a start that fails", answer)
    c.close()
    s.post("/containers/create?name=fr", {"Image": "busybox", "Cmd": ["nosuch"], "HostConfig": {"AutoRemove": True}})
    c, r = s.api.open("POST", "/containers/fr/wait?condition=removed")
    s.post("/containers/fr/start")
    s.keep("answer of wait removed of a start that fails", s.text_of(r.read(), ()))
    c.close()
    s.get("/containers/fr/json")


@scene(("http",))
def bad_queries(s):
    s.get("/images/json?filters=bad")
    s.get("/images/json?filters=%7B%22nosuch%22:%5B%22x%22%5D%7D")
    s.get("/images/json?filters=%7B%22dangling%22:%5B%22x%22%5D%7D")
    s.get("/images/json?filters=%7B%22dangling%22:%7B%22true%22:true%7D%7D")
    s.get("/volumes?filters=bad")
    s.get("/events?since=bad&until=1")
    s.get("/events?since=1&until=2&filters=bad")
    s.post("/images/busybox/tag?repo=BAD")
    s.post("/images/busybox/tag")
    s.post("/images/busybox/tag?repo=x&tag=bad%20tag")
    s.post("/images/load", b"not a tar", headers={"Content-Type": "application/x-tar"}, label="load rubbish")
    s.post("/images/create?fromSrc=-", b"not a tar", label="import rubbish")
    s.post("/images/create?fromSrc=-&repo=BAD", b"", label="import with a bad name")
    s.post("/commit?container=nosuch&repo=BAD", {})
    s.post("/volumes/create", {"Name": "bad name"})
    s.post("/volumes/create", {"Name": "vol", "Driver": "nosuch"})
    s.post("/volumes/create", {"Name": "vol", "DriverOpts": {"nosuch": "1"}})
    s.post("/volumes/create", {"Name": "vol", "Labels": {"a": "b"}})
    s.post("/volumes/create", {"Name": "vol", "Labels": {"a": "c"}})
    s.post("/volumes/create", {"Name": "vol", "Driver": "nosuch"})
    s.post("/volumes/create", b"{", headers={"Content-Type": "application/json"}, label="volume create with {")
    s.get("/volumes/vol")
    s.http("DELETE", "/volumes/vol")
    s.post("/volumes/prune?filters=bad")
    s.post("/images/prune?filters=bad")
    s.post("/auth", {"username": "x", "password": "y", "serveraddress": "nosuch.invalid"}, extra=[("(?s).*", "<no registry>")])
    old = s.api.version
    for version in ("v1.99", "v1.24", "v1.12", "v2.0", "vx", ""):
        s.api.version = version
        s.http("GET", "/_ping", label="GET /%s/_ping" % version, extra=[("1\\.[0-9]+$", "<maximum>")])
        s.http("GET", "/containers/json", label="GET /%s/containers/json" % version)
    s.api.version = old


@scene(("py",))
def python_docker(s):
    client = docker.DockerClient("unix://" + s.player.socket, version="1.41", timeout=60)
    run = client.containers.run

    def state(container):
        container.reload()
        return [container.status, container.attrs["State"]["ExitCode"]]

    s.python("ping", client.ping)
    s.python("run", lambda: run("busybox", "echo hi", remove=True).decode())
    s.python("run stderr", lambda: run("busybox", "sh -c 'echo err >&2'", remove=True, stderr=True, stdout=False).decode())
    s.python("run fails", lambda: run("busybox", "sh -c 'echo why >&2; exit 4'", remove=True).decode())
    s.python("run not found", lambda: run("busybox", "nosuch", remove=True).decode())
    s.python("run no image", lambda: client.containers.create("nosuch:image", "true").id)
    s.python("run limits", lambda: run("busybox", "cat /sys/fs/cgroup/memory/memory.limit_in_bytes", mem_limit="64m",
                                       cpu_quota=20000, pids_limit=20, remove=True).decode())
    box = run("busybox", "sleep 1000", detach=True, name="box", labels={"a": "b"}, environment={"E": "1"}, volumes={"vv": {"bind": "/v", "mode": "rw"}})
    s.python("get", lambda: [client.containers.get("box").name, box.labels, box.image.tags])
    s.python("list", lambda: [c.name for c in client.containers.list(filters={"label": "a=b"})])
    s.python("exec", lambda: [box.exec_run("sh -c 'echo out; exit 3'").exit_code, box.exec_run("echo $E").output.decode()])
    s.python("exec demux", lambda: [x and x.decode() for x in box.exec_run("sh -c 'echo out; echo err >&2'", demux=True).output])
    s.python("exec environment", lambda: box.exec_run(["sh", "-c", "echo $A; pwd; id -u"], environment={"A": "b"}, workdir="/tmp", user="1").output.decode())
    s.python("exec not found", lambda: [box.exec_run("nosuch").exit_code, box.exec_run("nosuch").output.decode()])
    s.python("pause", lambda: [box.pause(), state(box), box.unpause(), state(box)])
    s.python("top", lambda: box.top(ps_args="-o args"))
    s.python("rename", lambda: [box.rename("box2"), state(box), box.name])
    s.python("update", lambda: box.update(mem_limit="64m", memswap_limit="64m"))
    s.python("put_archive", lambda: box.put_archive("/nosuch", b""))
    s.python("get_archive", lambda: {k: v for k, v in box.get_archive("/etc/passwd")[1].items() if k != "size"})
    s.python("get_archive missing", lambda: box.get_archive("/nosuch")[1])
    s.python("stats", lambda: sorted(box.stats(stream=False)))
    s.python("commit", lambda: box.commit("py", "one", message="m", conf={"Labels": {"x": "y"}}).tags)
    s.python("kill", lambda: [box.kill("KILL"), box.wait(), state(box)])
    s.python("start stop", lambda: [box.start(), state(box), box.stop(timeout=0), state(box)])
    s.python("restart", lambda: [box.restart(timeout=0), state(box)[0]])
    s.python("logs", lambda: box.logs().decode())
    s.python("remove running", box.remove)
    s.python("remove", lambda: box.remove(force=True, v=True))
    s.python("get removed", lambda: client.containers.get("box2"))
    s.python("images", lambda: sorted(t for i in client.images.list("busybox") for t in i.tags))
    s.python("image tag", lambda: [client.images.get("busybox").tag("py", "two"), client.images.get("py:two").tags])
    s.python("image remove", lambda: [client.images.remove("py:two"), client.images.remove("py:one")])
    s.python("image missing", lambda: client.images.get("nosuch:image"))
    s.python("image history", lambda: [h["CreatedBy"] for h in client.images.get("busybox").history()])
    s.python("volumes", lambda: [client.volumes.create("pv", labels={"a": "b"}).attrs["Labels"], client.volumes.get("pv").remove()])
    s.python("volume missing", lambda: client.volumes.get("nosuch"))
    s.python("prune", lambda: [client.containers.prune(), client.volumes.prune()["VolumesDeleted"] is not None])
    s.python("df", lambda: sorted(client.df()))
    client.close()
