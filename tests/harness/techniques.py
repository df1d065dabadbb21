# SPDX-License-Identifier: Apache-2.0
"""Runs tests/techniques/NN-name, each typing one technique of the book, and prints the table of
all of them.

A script
- says in its first comment line how near it is to the book: `# mark: as typed`, `# mark: by
  stand-in` (another image or tool in the place of one that cannot be had) or `# mark: by replay`
  (recorded traffic of a client that cannot be had);
- runs with bash in a folder of its own, with a docker client first in PATH, DOCKER_HOST set, HOME
  its own, and the images busybox, alpine, hello-world, debian (also as ubuntu) loaded; debian only
  where debootstrap can make it: scripts that need it say `# needs: debian`;
- may source "$FENCE_TECHNIQUES/lib.sh";
- ends with 0 (it works), 77 (skipped, with the reason as its output) or anything else (failed).
  What it leaves in the daemon is removed after it.
"""
import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

from . import clients
from .daemon import CACHE, Daemon
from .wait import SLOW

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "techniques"
TOOLS = FOLDER.parent.parent / "tools"
MARKS = ("as typed", "by stand-in", "by replay")
SCRIPT_S = 120 * SLOW


def names():
    """{number: name}."""
    out = {}
    for line in (FOLDER / "list.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            number, name = line.split("\t")
            out[int(number)] = name
    return out


def comment(path, key):
    for line in path.read_text(encoding="utf-8").splitlines()[:20]:
        match = re.match(r"#\s*%s:\s*(.+?)\s*$" % key, line)
        if match:
            return match.group(1)
    return ""


def scripts():
    """{number: path}."""
    out = {}
    for path in sorted(FOLDER.glob("[0-9]*-*")):
        number = int(path.name.split("-")[0])
        if number in out:
            raise SystemExit("two scripts for technique %d" % number)
        if comment(path, "mark") not in MARKS:
            raise SystemExit("%s: no line `# mark: %s`" % (path.name, " | ".join(MARKS)))
        out[number] = path
    return out


def debian_archive():
    r = subprocess.run([TOOLS / "debian-image", CACHE], capture_output=True, text=True, check=False)
    return r.stdout.strip() if r.returncode == 0 else None


class Run:
    def __init__(self, daemon, has_debian):
        self.daemon, self.has_debian = daemon, has_debian
        self.bin = daemon.root + "/bin"
        os.makedirs(self.bin)
        found = clients.find()
        client = found.get("docker") or found.get("docker20") or found["fence"]
        os.symlink(client, self.bin + "/docker")
        for name, path in found.items():
            if name != "docker":
                os.symlink(path, self.bin + "/" + name)
        compose = CACHE + "/clients/bin/docker-compose"
        if os.path.exists(compose):
            os.symlink(compose, self.bin + "/docker-compose")

    def one(self, path):
        """(result, output, seconds); the result is passed, failed or skipped."""
        if "debian" in comment(path, "needs") and not self.has_debian:
            return "skipped", "no debian image", 0
        number = path.name.split("-")[0]
        work = "%s/technique-%s" % (self.daemon.root, number)
        os.makedirs(work, mode=0o755)
        env = {k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}
        env.update(DOCKER_HOST=self.daemon.host, DOCKER_SOCKET=self.daemon.socket, HOME=work,
                   FENCE_TECHNIQUES=str(FOLDER), PATH=self.bin + ":" + env["PATH"], TERM="xterm",
                   FENCE_DATA_ROOT=self.daemon.data_root, FENCE_SLOT=str(self.daemon.slot.number),
                   DOCKER_CLI_HINTS="false", ASAN_OPTIONS="detect_leaks=0", LC_ALL="C")
        begin = time.monotonic()
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            ["bash", str(path)], cwd=work, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True)
        try:
            output = process.communicate(timeout=SCRIPT_S)[0]
            code = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, code = process.communicate()[0] + b"\nit took more than %d s" % SCRIPT_S, -1
        seconds = time.monotonic() - begin
        self.tidy()
        shutil.rmtree(work, ignore_errors=True)
        result = {0: "passed", 77: "skipped"}.get(code, "failed")
        return result, output.decode(errors="replace").strip(), seconds

    def tidy(self):
        if self.daemon.process.poll() is not None:
            self.daemon.start()
        self.daemon.remove_all()


def interrupted(_signal, _frame):
    raise KeyboardInterrupt # the daemon is ended on the way out


def main():
    signal.signal(signal.SIGTERM, interrupted)
    parser = argparse.ArgumentParser(description="the techniques of the book")
    parser.add_argument("-q", "--quiet", action="store_true", help="no table")
    parser.add_argument("-v", "--verbose", action="store_true", help="outputs of all scripts")
    parser.add_argument("--list", action="store_true", help="only the table, run nothing")
    parser.add_argument("number", nargs="*", type=int, help="only these")
    args = parser.parse_args()
    all_names, all_scripts = names(), scripts()
    wanted = {n: p for n, p in all_scripts.items() if not args.number or n in args.number}
    results, problems = {}, []
    if wanted and not args.list:
        archive = debian_archive()
        daemon = Daemon("--shutdown-timeout", "2", "--experimental")
        try:
            daemon.start().load_busybox()
            if archive:
                with open(archive, "rb") as f:
                    daemon.api.ok("POST", "/images/load", f, {"Content-Type": "application/x-tar"})
                for tag in ("latest", "14.04"):
                    daemon.api.ok("POST", "/images/debian:latest/tag", repo="ubuntu", tag=tag)
            run = Run(daemon, bool(archive))
            for number, path in wanted.items():
                results[number] = run.one(path)
        finally:
            problems = daemon.close()
    if not args.quiet:
        for number, name in all_names.items():
            mark = comment(all_scripts[number], "mark") if number in all_scripts else "not yet"
            result, _, seconds = results.get(number, ("", "", 0))
            if not args.number or number in args.number:
                print("%3d  %-52s %-12s %s%s" % (number, name, mark, result,
                                                " (%.1f s)" % seconds if result else ""))
    for number, (result, output, _) in results.items():
        if output and (result != "passed" or args.verbose):
            print("---- %d %s: %s\n%s" % (number, all_names[number], result, output))
    for problem in problems:
        print("---- left behind: " + problem)
    counts = {m: sum(comment(p, "mark") == m for p in all_scripts.values()) for m in MARKS}
    print("techniques: " + ", ".join("%d %s" % (n, m) for m, n in counts.items()) +
          ", %d not yet" % (len(all_names) - len(all_scripts)))
    count = {r: sum(x[0] == r for x in results.values()) for r in ("passed", "failed", "skipped")}
    print("techniques: %d passed, %d failed, %d skipped" % (
        count["passed"], count["failed"] + bool(problems), count["skipped"]))
    return 1 if count["failed"] or problems else 0
