# SPDX-License-Identifier: Apache-2.0
"""Load of all kinds on a daemon that may be killed at any moment, and what was answered.

A Load remembers what the daemon has acknowledged: what it said it made must be there after any crash,
what it said it removed must not. Calls that got no answer promise nothing.
"""
import http.client
import io
import random
import socket
import tarfile
import threading
import time

from harness.api import Api, ApiError
from harness.wait import SLOW

TROUBLE = (OSError, http.client.HTTPException, ValueError)


class Load:
    def __init__(self, daemon, threads=6, seed=None, image="busybox"):
        self.daemon, self.image = daemon, image
        self.rng = random.Random(seed)
        self.lock = threading.Lock()
        self.run, self.stop = threading.Event(), threading.Event()
        self.idle = threading.Semaphore(0)
        self.busy = 0
        self.made = {"container": set(), "volume": set(), "tag": set()} # acknowledged, must exist
        self.gone = {"container": set(), "volume": set(), "tag": set()} # acknowledged, must not
        self.maybe = {"container": set(), "volume": set(), "tag": set()} # no answer
        self.errors = {}   # text of an error -> how often
        self.broken = []   # answers that must not be, whatever was killed
        self.done = {}     # scenario -> how often it went through
        self.threads = [threading.Thread(target=self.main, args=(random.Random(self.rng.random()),),
                                         daemon=True) for _ in range(threads)]
        for t in self.threads:
            t.start()

    # ---- control
    def resume(self):
        self.run.set()

    def pause(self, seconds=60):
        """Returns when no call is under way."""
        self.run.clear()
        end = time.monotonic() + seconds * SLOW
        while True:
            with self.lock:
                if self.busy == 0:
                    return
            if time.monotonic() > end:
                raise RuntimeError("calls are still under way after %d s: %s" % (seconds, self.where()))
            time.sleep(0.01)

    def where(self):
        import sys        # pylint: disable=import-outside-toplevel
        import traceback  # pylint: disable=import-outside-toplevel
        frames = sys._current_frames() # pylint: disable=protected-access
        return "\n".join("".join(traceback.format_stack(frames[t.ident])[-4:])
                         for t in self.threads if t.ident in frames)

    def close(self):
        self.stop.set()
        self.run.set()
        for t in self.threads:
            t.join(60)

    # ---- the books
    def note(self, kind, name, made):
        with self.lock:
            self.maybe[kind].discard(name)
            (self.made if made else self.gone)[kind].add(name)
            (self.gone if made else self.made)[kind].discard(name)

    def doubt(self, kind, name):
        with self.lock:
            self.made[kind].discard(name)
            self.gone[kind].discard(name)
            self.maybe[kind].add(name)

    def failed(self, e):
        text = e.answer.body[:300].decode(errors="replace") if isinstance(e, ApiError) else repr(e)[:100]
        for word in text.split():
            if len(word.strip('"\\:.,}')) >= 12 and all(c in "0123456789abcdef" for c in word.strip('"\\:.,}')):
                text = text.replace(word, "ID")
        if isinstance(e, ApiError):
            text = "%d %s" % (e.status, text)
        with self.lock:
            self.errors[text] = self.errors.get(text, 0) + 1

    def verify(self):
        """What the daemon says against what it said before."""
        api = self.daemon.api
        now = {"container": {c["Id"] for c in api.get("/containers/json", all=1)},
               "volume": {v["Name"] for v in api.get("/volumes")["Volumes"] or []},
               "tag": {t for i in api.get("/images/json") for t in i["RepoTags"] or []}}
        problems = list(self.broken)
        for kind, names in now.items():
            problems += ["lost %s %s" % (kind, n[:20]) for n in self.made[kind] - names]
            problems += ["removed %s is back: %s" % (kind, n[:20]) for n in self.gone[kind] & names]
        return problems

    def clear(self):
        """Removes what the load has made, and forgets it."""
        api = self.daemon.api
        for c in api.get("/containers/json", all=1):
            if c["Id"] in self.made["container"] | self.maybe["container"] \
                    or c["Names"][0].startswith("/load-"):
                answer = api.remove(c["Id"])
                if answer.status not in (204, 404, 409):
                    self.broken.append("rm: %d %s" % (answer.status, answer.body[:200]))
        for v in api.get("/volumes")["Volumes"] or []:
            api.request("DELETE", "/volumes/" + v["Name"])
        for i in api.get("/images/json"):
            for t in i["RepoTags"] or []:
                if t.startswith("load-"):
                    api.request("DELETE", "/images/" + t)
        for book in (self.made, self.gone, self.maybe):
            for names in book.values():
                names.clear()

    # ---- the work
    def main(self, rng):
        scenarios = [getattr(self, n) for n in dir(self) if n.startswith("do_")]
        while not self.stop.is_set():
            if not self.run.wait(0.1):
                continue
            with self.lock:
                self.busy += 1
            scenario = rng.choice(scenarios)
            try:
                scenario(rng)
                with self.lock:
                    self.done[scenario.__name__] = self.done.get(scenario.__name__, 0) + 1
            except ApiError as e:
                self.failed(e)
            except TROUBLE as e:
                self.failed(e)
                time.sleep(0.02)
            finally:
                with self.lock:
                    self.busy -= 1

    def api(self):
        return Api(self.daemon.socket)

    def name(self, rng):
        return "load-%016x" % rng.getrandbits(64)

    def create(self, rng, cmd, host=None, **config):
        host = dict(host or {})
        host.setdefault("NetworkMode", rng.choice(["none", "none", "bridge"]))
        host["Init"] = rng.random() < 0.2
        cid = self.api().create(self.image, cmd, name=self.name(rng), host=host, **config)
        if not host.get("AutoRemove"):
            self.note("container", cid, True)
        return cid

    def remove(self, cid, **query):
        self.doubt("container", cid)
        answer = self.api().request("DELETE", "/containers/" + cid, **dict({"force": 1}, **query))
        if answer.status in (204, 404):
            self.note("container", cid, False)
        else:
            raise ApiError("rm", answer)

    def do_life(self, rng):
        word = self.name(rng)
        cid = self.create(rng, ["sh", "-c", "echo %s; exit 3" % word])
        self.api().start(cid)
        code = self.api().wait(cid, timeout=30)
        out = self.api().logs(cid).decode()
        if code == 3 and out != word + "\n":
            with self.lock:
                self.broken.append("%s ended well with output %r" % (cid[:12], out))
        if code not in (3, 137, 255):
            with self.lock:
                self.broken.append("%s: exit code %d" % (cid[:12], code))
        self.remove(cid, v=1)

    def do_keep(self, rng):
        """Stays, stopped or never started."""
        cid = self.create(rng, ["true"])
        if rng.random() < 0.5:
            self.api().start(cid)

    def do_stop(self, rng):
        cid = self.create(rng, ["sleep", "1000"], Tty=rng.random() < 0.3)
        self.api().start(cid)
        self.api().request("POST", "/containers/%s/restart" % cid, t=0)
        self.api().request("POST", "/containers/%s/stop" % cid, t=0)
        self.remove(cid, v=1)

    def do_force(self, rng):
        cid = self.create(rng, ["sh", "-c", "sleep 1000 & sleep 1000"])
        self.api().start(cid)
        if rng.random() < 0.3:
            self.api().request("POST", "/containers/%s/pause" % cid)
        self.remove(cid, v=1)

    def do_exec(self, rng):
        cid = self.create(rng, ["sleep", "1000"])
        self.api().start(cid)
        for _ in range(2):
            self.api().exec(cid, ["echo", "hi"])
        eid = self.api().ok("POST", "/containers/%s/exec" % cid, {"Cmd": ["sleep", "1000"]}).json["Id"]
        self.api().ok("POST", "/exec/%s/start" % eid, {"Detach": True})
        self.remove(cid, v=1)

    def do_attach(self, rng):
        cid = self.create(rng, ["sh", "-c", "read x; echo got $x"], OpenStdin=True, StdinOnce=True)
        sock, _head = self.api().attach(cid, stream=1, stdin=1, stdout=1)
        try:
            sock.settimeout(10 * SLOW)
            self.api().start(cid)
            sock.sendall(b"line\n")
            while sock.recv(4096):
                pass
        except socket.timeout:
            pass # its monitor was killed meanwhile
        finally:
            sock.close()
        self.remove(cid, v=1)

    def do_auto_remove(self, rng):
        cid = self.create(rng, ["sh", "-c", "sleep 0.02"], host={"AutoRemove": True})
        self.api().start(cid)
        if rng.random() < 0.5:
            self.api().request("POST", "/containers/%s/wait" % cid, condition="removed", timeout=20)

    def do_policy(self, rng):
        cid = self.create(rng, ["sh", "-c", "sleep 0.05; exit 1"],
                          host={"RestartPolicy": {"Name": rng.choice(["always", "on-failure"])}})
        self.api().start(cid)
        time.sleep(rng.uniform(0, 0.4))
        self.remove(cid, v=1)

    def do_commit(self, rng):
        cid = self.create(rng, ["sh", "-c", "echo x > /file"])
        self.api().start(cid)
        self.api().wait(cid, timeout=30)
        tag = self.name(rng)
        self.api().ok("POST", "/commit", None, container=cid, repo=tag)
        self.note("tag", tag + ":latest", True)
        self.remove(cid, v=1)
        if rng.random() < 0.7:
            self.doubt("tag", tag + ":latest")
            self.api().ok("DELETE", "/images/" + tag)
            self.note("tag", tag + ":latest", False)

    def do_volume(self, rng):
        name = self.name(rng)
        self.api().ok("POST", "/volumes/create", {"Name": name})
        self.note("volume", name, True)
        cid = self.create(rng, ["sh", "-c", "echo x > /v/file"],
                          host={"Binds": [name + ":/v"]}, Volumes={"/anonymous": {}})
        self.api().start(cid)
        self.api().wait(cid, timeout=30)
        self.remove(cid, v=1)
        if rng.random() < 0.7:
            self.doubt("volume", name)
            self.api().ok("DELETE", "/volumes/" + name)
            self.note("volume", name, False)

    def do_files(self, rng):
        cid = self.create(rng, ["true"])
        blob = io.BytesIO()
        with tarfile.open(fileobj=blob, mode="w") as tar:
            info = tarfile.TarInfo("given")
            info.size = 100000
            tar.addfile(info, io.BytesIO(b"x" * info.size))
        self.api().ok("PUT", "/containers/%s/archive" % cid, blob.getvalue(),
                      {"Content-Type": "application/x-tar"}, path="/")
        self.api().ok("GET", "/containers/%s/archive" % cid, path="/given")
        self.api().ok("GET", "/containers/%s/export" % cid)
        self.remove(cid, v=1)

    def do_look(self, rng):
        for path in ("/containers/json?all=1", "/images/json", "/info", "/system/df"):
            self.api().ok("GET", path)
        conn, response = self.api().open("GET", "/events", timeout=5)
        conn.sock.settimeout(rng.uniform(0.01, 0.1))
        try:
            response.read(200)
        except OSError:
            pass
        conn.close()
