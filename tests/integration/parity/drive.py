# SPDX-License-Identifier: Apache-2.0
"""Runs scenes against a daemon and keeps their masked answers.

A scene is a function of scenes_*.py that takes a Stage and speaks to the daemon through it. It
starts from a daemon without containers and volumes and with the base images only."""
import contextlib
import io
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time

from harness.api import Api, ApiError, frames
from harness.wait import SLOW

from . import mask

BASE_IMAGES = ("busybox:latest", "busybox:1", "alpine:latest", "hello-world:latest")
API_VERSION = "1.41"  # what the reference speaks
STEP_S = 60 * SLOW
TOKEN = re.compile(r"@(\w+)(?::([\w.-]+))?@")
SCENES = {}


def scene(clients=("cli20", "cli28")):
    """Registers a scene once for each client it is to be played with."""
    def add(function):
        for client in clients:
            SCENES["%s/%s" % (function.__name__, client)] = (function, client)
        return function
    return add


def find_clients(debian_cli):
    """{"cli20": path, "cli28": path} of the docker CLIs there are."""
    found = {}
    for path in (debian_cli, shutil.which("docker")):
        if not path or not os.path.exists(path):
            continue
        version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
        match = re.search(r"version (\d+)\.", version)
        if match:
            found.setdefault("cli" + match.group(1), path)
    return found


class Stage:
    """One scene's access to the daemon."""

    def __init__(self, player, client):
        self.player, self.client = player, client
        self.api = Api(player.socket, "v" + API_VERSION)
        self.work = tempfile.mkdtemp(prefix="parity-")
        os.chmod(self.work, 0o755)
        self.answers = []  # [label, answer]
        self.values = {}
        roots = {self.work: "<work>", player.data_root: "<data-root>"}
        self.mask = mask.Mask(roots, player.known)
        self.seen = {}

    # ---- recording
    def label(self, text):
        n = self.seen[text] = self.seen.get(text, 0) + 1
        return text if n == 1 else "%s (%d)" % (text, n)

    def keep(self, label, answer):
        self.answers.append([self.label(label), answer])
        return answer

    def expand(self, text):
        """@id:NAME@ is the id of a container, @now@ the time, @work@ the scratch directory, and
        @KEY@ what the scene stored in self.values."""
        def put(match):
            key, argument = match.groups()
            if key == "id":
                return self.api.inspect(argument)["Id"]
            if key == "work":
                return self.work
            if key == "now":
                return "%.3f" % time.time()
            return str(self.values[key])
        return TOKEN.sub(put, text)

    def text_of(self, data, extra):
        text = data.decode("utf-8", "backslashreplace") if isinstance(data, bytes) else data
        document = mask.parse(text)
        if document is not None:
            return self.mask.document(document, "", extra)
        return self.mask.output(text, extra)

    # ---- the docker CLI
    def environment(self):
        config = self.work + "/.config"
        os.makedirs(config, exist_ok=True)
        return {"PATH": os.environ["PATH"], "HOME": self.work, "DOCKER_CONFIG": config,
                "DOCKER_HOST": "unix://" + self.player.socket, "DOCKER_API_VERSION": API_VERSION,
                "DOCKER_CLI_HINTS": "false", "TERM": "xterm", "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def run(self, command, stdin=None, timeout=STEP_S):
        words = [self.player.clients[self.client]] + shlex.split(self.expand(command))
        stdin = stdin.encode() if isinstance(stdin, str) else stdin
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            words, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment(), cwd=self.work,
            start_new_session=True)
        try:
            out, err = process.communicate(stdin, timeout)
            return process.returncode, out, err
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            return "timeout", out, err

    def __call__(self, command, stdin=None, extra=(), timeout=STEP_S, sort=False):
        """A step: one command of the CLI. sort: the order of its lines means nothing."""
        self.mask.begin_step()
        code, out, err = self.run(command, stdin, timeout)
        out = self.text_of(out, extra)
        if sort and isinstance(out, str):
            out = "".join(sorted(out.splitlines(True)))
        return self.keep("docker " + command,
                         {"exit": code, "out": out, "err": self.mask.errors(err.decode(), extra)})

    def quietly(self, command, stdin=None):
        """A command whose answer is no part of the comparison."""
        return self.run(command, stdin)

    def terminal(self, command, script=(), extra=(), timeout=STEP_S):
        """A step on a terminal. script: [(text to wait for, text to type)]."""
        self.mask.begin_step()
        words = [self.player.clients[self.client]] + shlex.split(self.expand(command))
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(self.work)
            os.execve(words[0], words, self.environment())
        out, script, end, at = b"", list(script), time.monotonic() + timeout, 0
        while time.monotonic() < end:
            while script and script[0][0].encode() in out[at:]:
                at = len(out)
                os.write(fd, script.pop(0)[1].encode())
            if not select.select([fd], [], [], 0.2)[0]:
                continue
            try:
                data = os.read(fd, 65536)
            except OSError:
                break
            if not data:
                break
            out += data
        else:
            os.kill(pid, signal.SIGKILL)
        os.close(fd)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return self.keep("tty docker " + command,
                         {"exit": code, "out": self.mask.output(out.decode("utf-8", "replace"), extra)})

    def background(self, command):
        """Starts a command; finish() makes a step of it."""
        words = [self.player.clients[self.client]] + shlex.split(self.expand(command))
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=self.environment(), cwd=self.work, start_new_session=True)
        return command, process

    def finish(self, started, stdin=None, send=None, extra=(), timeout=STEP_S, hold=False):
        """hold: its input stays open until it has ended."""
        command, process = started
        self.mask.begin_step()
        if send:
            process.send_signal(send)
        if hold:
            process.stdin.write(stdin)
            process.stdin.flush()
            process.wait(timeout)
            stdin = None
        try:
            out, err = process.communicate(stdin, timeout)
            code = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            code = "timeout"
        return self.keep("docker " + command + " &", {
            "exit": code, "out": self.text_of(out, extra), "err": self.mask.errors(err.decode(), extra)})

    # ---- the API by hand
    def http(self, method, path, /, body=None, headers=None, raw=None, extra=(), label=None, timeout=STEP_S,
             **query):
        """A step. raw: "frames" for multiplexed output, "tar" for names in an archive, "none"."""
        self.mask.begin_step()
        shown = "%s %s%s" % (method, path, "?" + "&".join("%s=%s" % q for q in sorted(query.items()))
                             if query else "")
        if isinstance(body, (dict, list)) and label is None:
            shown += " " + json.dumps(body)
        query = {k: self.expand(v) if isinstance(v, str) else v for k, v in query.items()}
        try:
            a = self.api.request(method, self.expand(path), body, headers, timeout, **query)
        except (OSError, ValueError) as e:
            return self.keep(label or shown, {"failed": type(e).__name__})
        answer = {"status": a.status, "type": a.headers.get("Content-Type", "")}
        if a.status >= 400 or raw is None:
            answer["body"] = self.text_of(a.body, extra)
        elif raw == "frames":
            answer["body"] = self.streams(a.body, extra)
        elif raw == "tar":
            answer["body"] = tar_listing(a.body)
        return self.keep(label or shown, answer)

    def streams(self, data, extra):
        """{stream: text}; how the streams interleave is nobody's promise."""
        out = {}
        for n, piece in frames(data):
            out[str(n)] = out.get(str(n), "") + self.mask.output(piece.decode(), extra)
        return out

    def post(self, path, /, body=None, **kw):
        return self.http("POST", path, body, **kw)

    def get(self, path, /, **kw):
        return self.http("GET", path, **kw)

    # ---- Python
    def python(self, label, function):
        """A step: what function returns (made of JSON), or what it raises."""
        self.mask.begin_step()
        try:
            answer = {"value": self.mask.document(function())}
        except Exception as e:  # pylint: disable=broad-except
            answer = {"raised": type(e).__name__, "text": self.mask.output(str(e).split("%3A", 1)[-1])}
        return self.keep("python " + label, answer)

    # ---- helpers that are no steps
    def file(self, name, content="", mode=0o644):
        path = os.path.join(self.work, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content.encode() if isinstance(content, str) else content)
        os.chmod(path, mode)
        return path

    def until(self, test, seconds=20):
        end = time.monotonic() + seconds * SLOW
        while time.monotonic() < end:
            with contextlib.suppress(ApiError, KeyError, OSError):
                if test():
                    return True
            time.sleep(0.02)
        return False

    def until_state(self, name, **wanted):
        return self.until(lambda: all(self.api.inspect(name)["State"][k] == v for k, v in wanted.items()))

    def until_log(self, name, text):
        return self.until(lambda: text.encode() in self.api.logs(name))

    def close(self):
        for container in self.api.get("/containers/json", all=1):
            self.api.request("POST", "/containers/%s/unpause" % container["Id"])
            self.api.remove(container["Id"])
        self.api.request("POST", "/volumes/prune")
        for volume in self.api.get("/volumes")["Volumes"] or []:
            self.api.request("DELETE", "/volumes/" + volume["Name"])
        for image in self.api.get("/images/json"):
            for tag in (t for t in image["RepoTags"] or [] if t not in BASE_IMAGES and t != "<none>:<none>"):
                self.api.request("DELETE", "/images/" + tag)
            if not image["RepoTags"] or image["RepoTags"] == ["<none>:<none>"]:
                self.api.request("DELETE", "/images/" + image["Id"], force=1)
        shutil.rmtree(self.work, ignore_errors=True)


def tar_listing(data):
    """Names, kinds, modes, owners, contents of small files of an archive."""
    out = []
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for m in tar:
            line = "%s %s %o %d:%d" % (m.name, "file" if m.isreg() else m.type.decode("latin1"), m.mode & 0o7777,
                                       m.uid, m.gid)
            if m.linkname:
                line += " -> " + m.linkname
            if m.isreg() and m.size < 200:
                line += " %r" % tar.extractfile(m).read().decode("latin1")
            out.append(line)
    return out


class Player:
    """Plays scenes on the daemon at `socket`."""

    def __init__(self, socket, clients, base_archive):
        self.socket, self.clients, self.archive = socket, dict(clients, http="", py=""), base_archive
        api = Api(socket, "v" + API_VERSION)
        self.load()
        self.data_root = api.get("/info")["DockerRootDir"]
        self.known = {}
        for name in BASE_IMAGES:
            image = api.get("/images/%s/json" % name)
            self.known.setdefault(image["Id"].split(":")[1], "image " + name)
            for n, layer in enumerate(image["RootFS"]["Layers"], 1):
                self.known.setdefault(layer.split(":")[1], "layer %d of busybox" % n)

    def load(self):
        with open(self.archive, "rb") as f:
            Api(self.socket).ok("POST", "/images/load", f.read(), {"Content-Type": "application/x-tar"})

    def play(self, name):
        """[[label, answer]] of the scene."""
        function, client = SCENES[name]
        api = Api(self.socket, "v" + API_VERSION)
        if any(api.request("GET", "/images/%s/json" % i).status != 200 for i in BASE_IMAGES):
            self.load()
        stage = Stage(self, client)
        try:
            function(stage)
        finally:
            stage.close()
        return stage.answers
