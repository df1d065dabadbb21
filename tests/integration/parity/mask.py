# SPDX-License-Identifier: Apache-2.0
"""Takes what no two engines and no two runs have in common out of an answer: ids, times, process
ids, addresses, paths, sizes of base images. What stays is what a client can rely on.

An id becomes <id STEP.N>, N-th id first seen at that step of the scene, so that two answers that
speak of the same object still do so after masking."""
import json
import re

ZERO_TIME = "0001-01-01T00:00:00Z"
TIME = re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| ?[+-]\d\d:?\d\d)?( [A-Z]{3,4})?\b")
AGO = re.compile(r"\b(About an? (minute|hour)|Less than a second|\d+ (second|minute|hour|day|week|month|year)s?)( ago)?\b")
FULL_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
SHORT_ID = re.compile(r"(?<![0-9a-zA-Z.<])(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])[0-9a-f]{12}(?![0-9a-zA-Z.])")
IPV4 = re.compile(r"\b(172\.(1[6-9]|2\d|3[01])|10\.213)(\.\d{1,3}){2}\b")
MAC = re.compile(r"\b02:42(:[0-9a-f]{2}){4}\b")
SIZE = re.compile(r"\b\d+(\.\d+)?([kMG]i?)?B\b")
BLANKS = re.compile(r" {2,}")
# the CLI prints it or not, as two of its threads happen to meet
RACY = re.compile(r'(?m)^time="[^"]*" level=error msg="(error waiting for container: context canceled|'
                  r'Can.t (add file|close) .* closed pipe)"\n')

# Values that say nothing by themselves, by the key they are found under. Zero and empty ones do.
BY_KEY = {
    "Pid": "<pid>", "SandboxKey": "<netns>", "LowerDir": "<path>", "MergedDir": "<path>",
    "UpperDir": "<path>", "WorkDir": "<path>", "time": "<unix time>", "timeNano": "<unix time>",
    "Created": "<unix time>", "VirtualSize": "<size>", "SizeRootFs": "<size>",
    "LastTagTime": "<time>", "LayersSize": "<size>", "Size": "<size>", "SharedSize": "<size>", "IPPrefixLen": "<bits>", "mtime": "<time>",
}


class Mask:
    """roots: {path prefix: placeholder}; known: {64 hexadecimal digits: name}."""

    def __init__(self, roots, known):
        self.roots = sorted(roots.items(), key=lambda item: -len(item[0]))
        self.names = {k: "<%s>" % v for k, v in known.items()}
        self.step, self.count = 0, 0

    def begin_step(self):
        self.step += 1
        self.count = 0

    def name(self, value):
        for known, name in self.names.items():
            if known.startswith(value) or (len(known) < len(value) and value.startswith(known)):
                return name if len(value) == 64 else name[:-1] + " short>"
        self.count += 1
        self.names[value] = "<id %d.%d>" % (self.step, self.count)
        return self.names[value] if len(value) == 64 else self.names[value][:-1] + " short>"

    def text(self, value, extra=()):
        for pattern, put in extra:
            value = re.sub(pattern, put, value)
        for root, placeholder in self.roots:
            value = value.replace(root, placeholder)
        value = FULL_ID.sub(lambda m: self.name(m.group()), value)
        value = SHORT_ID.sub(lambda m: self.name(m.group()), value)
        value = TIME.sub(lambda m: m.group() if ZERO_TIME.startswith(m.group().rstrip("Z")) else "<time>",
                         value)
        value = AGO.sub("<ago>", value)
        value = IPV4.sub("<ip>", value)
        return MAC.sub("<mac>", value)

    def output(self, value, extra=()):
        """What a program printed; the blanks of tables are of the program's making."""
        value = SIZE.sub("<size>", self.text(RACY.sub("", value), extra))
        return BLANKS.sub("  ", value)

    def errors(self, value, extra=()):
        """The same, where numbers of bytes are the daemon's words."""
        return self.text(RACY.sub("", value), extra)

    def document(self, value, key="", extra=()):
        if key == "Binds" and value:
            value = sorted(value)  # the CLI's map order
        if isinstance(value, dict):
            return {self.text(k, extra): self.document(value[k], k, extra) for k in sorted(value)}
        if isinstance(value, list):
            for by in ("Destination", "RepoTags"):  # mounts: Go's map order; images of one second
                if value and all(isinstance(v, dict) and by in v for v in value):
                    value = sorted(value, key=lambda v: v[by] or [])  # pylint: disable=cell-var-from-loop
            return [self.document(v, "", extra) for v in value]
        if value and key in BY_KEY and not isinstance(value, bool):
            # whether an image was tagged or only loaded is the history of the daemon
            return BY_KEY[key] if value != ZERO_TIME or key == "LastTagTime" else value
        return self.text(value, extra) if isinstance(value, str) else value


def parse(text):
    """A JSON document, or a stream of them, or None."""
    text = text.strip()
    if not text or text[0] not in "[{":
        return None
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        return None
