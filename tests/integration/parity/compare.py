# SPDX-License-Identifier: Apache-2.0
"""Holds the answers of a daemon against the recorded ones of the reference."""
import fcntl
import importlib
import json
import os
import re
from collections import namedtuple

HERE = os.path.dirname(os.path.abspath(__file__))
REFERENCE = os.path.join(HERE, "reference.json")
DIFFERENCES = os.path.join(HERE, "differences.json")
DOCUMENT = os.path.join(HERE, "../../../docs/compatibility.md")
BEGIN, END = "<!-- differences: begin -->\n", "<!-- differences: end -->\n"
MISSING = "(nothing)"

Difference = namedtuple("Difference", "label path reference here")

# What the reference's answers owe to the host that they were recorded on, as [step, path] expressions;
# on a host of another kind these are not compared.
HOST_DEPENDENT = [(re.compile(label), re.compile(path)) for label, path in [
    # the files of control groups v1, and limits that only v1 or only v2 has
    (r"/sys/fs/cgroup|--blkio-weight|--cpu-rt-|--memory-swappiness|--oom-kill-disable", ""),
    (r'"(BlkioWeight|MemorySwappiness)":|^python run limits$', ""),
    ("", r"(^|\.)(CgroupnsMode|OomKillDisable|CgroupVersion|BlkioWeight)$"),
    # no AppArmor: its profile forbids mounts, and names of profiles meant nothing
    (r"apparmor=|mount -t tmpfs|/proc/mounts", ""),
    ("", r"(^|\.)SecurityOptions(\.|$)"),
    # what the daemon warns of is of the host, and whether it does
    (r"^shape of /info$", r"^\d+$"),
    # a kernel without /proc/kcore, and a dockerd without all capabilities
    (r"/proc/kcore|ls -l /dev", ""),
    (r"(--cap-add ALL|--privileged) .*/proc/self/status", ""),
    # health checks of 200 ms and half-second sleeps: an emulated machine is behind with the next command
    (r"health=starting|Health\.Log 0|^docker wait wd$", ""),
]]


def load_scenes():
    for name in ("scenes_run", "scenes_life", "scenes_data", "scenes_api",
                 "scenes_query"):
        importlib.import_module("." + name, __package__)


def read_reference():
    try:
        with open(REFERENCE, encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return {}


def write_reference(played):
    """Replaces the scenes that were played. One answer a line, so that a change of one shows as one
    line. Several recorders may work at a time, each on a daemon of its own."""
    with open(os.path.join(HERE, "record.py"), "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        reference = {**read_reference(), **played}
        with open(REFERENCE + ".new", "w", encoding="utf-8") as f:
            f.write("{\n")
            for n, name in enumerate(sorted(reference)):
                f.write('%s"%s": [\n' % (",\n" if n else "", name))
                f.write(",\n".join(" " + json.dumps(a, sort_keys=True, ensure_ascii=False)
                                   for a in reference[name]))
                f.write("\n]")
            f.write("\n}\n")
        os.rename(f.name, REFERENCE)


def short(value):
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return repr(text)[:700]


def walk(reference, here, path):
    if isinstance(reference, dict) and isinstance(here, dict):
        for key in sorted(set(reference) | set(here)):
            yield from walk(reference.get(key, MISSING), here.get(key, MISSING), "%s.%s" % (path, key))
    elif isinstance(reference, list) and isinstance(here, list) and len(reference) == len(here):
        for n, (a, b) in enumerate(zip(reference, here)):
            yield from walk(a, b, "%s.%d" % (path, n))
    elif reference != here:
        yield path.lstrip("."), reference, here


def differences(reference, answers):
    """[Difference] between two lists of [label, answer]."""
    out = []
    recorded = dict(map(tuple, reference))
    mine = dict(map(tuple, answers))
    for label, answer in answers:
        if label not in recorded:
            out.append(Difference(label, "", MISSING, "(a step that is not recorded)"))
            continue
        out += [Difference(label, *d) for d in walk(recorded[label], json.loads(json.dumps(answer)), "")]
    out += [Difference(label, "", "(a recorded step)", MISSING) for label in recorded if label not in mine]
    return out


def like_the_reference():
    """Whether this host is of the kind that the reference ran on."""
    return os.path.isdir("/sys/fs/cgroup/memory") and not os.path.isdir("/sys/kernel/security/apparmor")


def is_of_the_host(d):
    return not like_the_reference() and any(label.search(d.label) and path.search(d.path)
                                            for label, path in HOST_DEPENDENT)


def scene_of(name):
    """`exit_codes/cli20` -> `exit_codes`: a difference is one of the daemons, not of the client."""
    return name.split("/")[0]


class Rules:
    """The closed list of explained differences: entries with an id, a title and a reason (for the
    document), and

    rewrite   [regular expression, replacement] pairs: words that differ everywhere. Two answers
              that are equal after all entries' rewrites are no difference.
    members   [key, answer of the reference, answer here] triples: members of documents, by the last
              keys of their path, that differ everywhere in the same way.
    accepted  [scene, label, path, answer here]: single differences, with what is answered here, so
              that a change of it shows."""

    def __init__(self):
        try:
            with open(DIFFERENCES, encoding="utf-8") as f:
                self.entries = json.load(f)
        except FileNotFoundError:
            self.entries = []
        self.rewrites = [(re.compile(p), r, e["id"]) for e in self.entries for p, r in e.get("rewrite", [])]
        self.accepted, self.used = {}, set()
        self.members = [(k, a, b, e["id"]) for e in self.entries for k, a, b in e.get("members", [])]
        for entry in self.entries:
            for scene, label, path, here in entry.get("accepted", []):
                self.accepted.setdefault((scene, label, path), []).append(json.dumps(here, sort_keys=True))

    def rewritten(self, value, used):
        text = json.dumps(value, sort_keys=True)
        for pattern, replacement, rule in self.rewrites:
            text, n = pattern.subn(replacement, text)
            if n:
                used.add((rule, pattern.pattern))
        return text

    def explain(self, name, d):
        """Whether the list explains the difference."""
        used = set()
        for key, reference, here, rule in self.members:
            if ("." + d.path).endswith("." + key) and (d.reference, d.here) == (reference, here):
                self.used.add((rule, key))
                return True
        if self.rewritten(d.reference, used) == self.rewritten(d.here, used):
            self.used |= used
            return True
        place = (scene_of(name), d.label, d.path)
        if json.dumps(d.here, sort_keys=True) in self.accepted.get(place, []):
            self.used.add(place)
            return True
        return False

    def unused(self, scenes):
        """What is explained and does not differ, in the scenes that were played."""
        out = ["%s | %s | %s" % place for place in self.accepted
               if place[0] in scenes and place not in self.used]
        if scenes >= {scene_of(name) for name in read_reference()}:
            out += ["%s | %s" % (rule, key) for key, _, _, rule in self.members
                    if (rule, key) not in self.used]
            out += ["%s | %s" % (rule, pattern.pattern) for pattern, _, rule in self.rewrites
                    if (rule, pattern.pattern) not in self.used]
        return out


def write_differences(entries):
    """One accepted difference a line."""
    with open(DIFFERENCES + ".new", "w", encoding="utf-8") as f:
        f.write("[\n")
        for n, entry in enumerate(entries):
            head = {k: v for k, v in entry.items() if k not in ("accepted", "members", "rewrite")}
            text = json.dumps(head, indent=1, ensure_ascii=False)[:-2]
            for key in ("rewrite", "members", "accepted"):
                if entry.get(key):
                    lines = ",\n  ".join(json.dumps(x, ensure_ascii=False, sort_keys=True) for x in entry[key])
                    text += ',\n "%s": [\n  %s\n ]' % (key, lines)
            f.write("%s%s\n}" % (",\n" if n else "", text))
        f.write("\n]\n")
    os.rename(f.name, DIFFERENCES)


def section():
    """The differences as the document shows them."""
    lines = [BEGIN]
    for entry in Rules().entries:
        lines.append("- **%s.** %s\n" % (entry["title"], entry["reason"]))
    return "".join(lines + [END])


def document_parts():
    with open(DOCUMENT, encoding="utf-8") as f:
        text = f.read()
    head, rest = text.split(BEGIN)
    middle, tail = rest.split(END)
    return head, BEGIN + middle + END, tail


def write_document():
    head, _, tail = document_parts()
    with open(DOCUMENT, "w", encoding="utf-8") as f:
        f.write(head + section() + tail)
