# SPDX-License-Identifier: Apache-2.0
"""For the tests of isolation: a hostile program, hostile images, and the host as a witness."""
import hashlib
import io
import os
import pathlib
import subprocess
import sys
import tarfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))
sys.path.insert(0, str(HERE))
# pylint: disable=wrong-import-position
from harness import images  # noqa: E402
from harness.daemon import CACHE  # noqa: E402


def probe_path():
    """The hostile program; compiled once, kept in the cache (which a machine without a compiler
    is given)."""
    source = HERE / "probe.c"
    name = "probe-" + hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    path = os.path.join(CACHE, name)
    if not os.path.exists(path):
        os.makedirs(CACHE, exist_ok=True)
        made = "%s.%d" % (path, os.getpid())
        subprocess.run(["cc", "-O1", "-static", "-D_GNU_SOURCE", "-o", made, str(source)], check=True)
        os.rename(made, path)
    return path


@pytest.fixture(scope="session")
def probe():
    with open(probe_path(), "rb") as f:
        return f.read()


class Images:
    """Loads images made of busybox's layer and layers of a test's own."""

    def __init__(self, daemon):
        self.daemon, self.base = daemon, images.busybox_layer()

    def load(self, tag, *layers, base=True, **config):
        """`layers`: images.Layer, or a tar as bytes; the Answer of the load."""
        all_layers = ([self.base] if base else []) + [
            l if isinstance(l, bytes) else l.bytes() for l in layers]
        data = images.archive([([tag + ":latest"], all_layers, config)])
        return self.daemon.api.request("POST", "/images/load", data,
                                       {"Content-Type": "application/x-tar"})

    def make(self, tag, *layers, **kw):
        answer = self.load(tag, *layers, **kw)
        assert answer.status == 200 and b"errorDetail" not in answer.body, answer.body
        return tag


@pytest.fixture
def hostile(daemon):
    return Images(daemon)


@pytest.fixture
def probe_image(daemon, hostile, probe):
    if not daemon.api.get("/images/json", filters={"reference": ["probe:latest"]}):
        hostile.make("probe", images.Layer().add("probe", data=probe, mode=0o755))
    return "probe"


@pytest.fixture(params=["run", "exec"])
def inside(request, api, probe_image):
    """inside(command, **create options) -> (exit code, output), of a run or of an exec."""
    def go(cmd, **kw):
        cmd = ["sh", "-c", cmd] if isinstance(cmd, str) else cmd
        kw.setdefault("image", probe_image)
        if request.param == "run":
            return api.output(cmd, **kw)
        cid = api.run(["sleep", "1000"], **kw)
        return api.exec(cid, cmd, User=kw.get("User", ""))
    return go


# ---- archives ---------------------------------------------------------------------------------------
def tar_of(*entries):
    """(name, kind, data or link target, pax headers) each; data may be missing."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, *more in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = kind, 0o755
            data = b""
            if more and isinstance(more[0], bytes):
                data = more[0]
            elif more and isinstance(more[0], tuple):
                entry.devmajor, entry.devminor = more[0]
            elif more:
                entry.linkname = more[0]
            entry.pax_headers = more[1] if len(more) > 1 else {}
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


class Cp:
    """docker cp by hand."""

    def __init__(self, api):
        self.api = api

    def request(self, method, cid, path, body=None, **query):
        return self.api.request(method, "/containers/%s/archive" % cid, body,
                                {"Content-Type": "application/x-tar"} if body else None, path=path, **query)

    def put(self, cid, path, data, **query):
        return self.request("PUT", cid, path, data, **query)

    def get(self, cid, path):
        return self.request("GET", cid, path)

    def head(self, cid, path):
        return self.request("HEAD", cid, path)


@pytest.fixture
def cp(api):
    return Cp(api)


# ---- memory -----------------------------------------------------------------------------------------
def rss(pid):
    with open("/proc/%d/statm" % pid, encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Memory:
    """assert_bounded(): the daemon has not grown by more than `mib` since this was made. The address
    sanitizer keeps up to 256 MiB of what was freed."""

    def __init__(self, daemon):
        self.pid, self.before = daemon.pid, rss(daemon.pid)
        with open("/proc/%d/maps" % daemon.pid, encoding="utf-8", errors="replace") as f:
            self.extra = 512 << 20 if "libasan" in f.read() else 0

    def assert_bounded(self, mib=64):
        assert rss(self.pid) - self.before < (mib << 20) + self.extra


@pytest.fixture
def memory(daemon):
    return Memory(daemon)


# ---- the host ---------------------------------------------------------------------------------------
@pytest.fixture
def victim(tmp_path):
    """A folder of the host that nothing may change; checked after the test."""
    folder = tmp_path / "victim"
    folder.mkdir(mode=0o777)
    os.chmod(folder, 0o777)
    os.chmod(tmp_path, 0o755)
    (folder / "file").write_text("of the host")
    os.chmod(folder / "file", 0o666)
    before = state_of(folder)
    yield folder
    assert state_of(folder) == before, "a folder of the host was changed"


def state_of(folder):
    out = []
    for where, dirs, files in os.walk(folder):
        for name in [""] + dirs + files:
            path = os.path.join(where, name)
            st = os.lstat(path)
            out.append((path, st.st_mode, st.st_uid, st.st_gid, st.st_size, st.st_mtime_ns))
    return sorted(out)
