# SPDX-License-Identifier: Apache-2.0
"""File systems of the host that do not answer: only who names them waits, and not for ever."""
import contextlib
import ctypes
import os
import threading
import time

import pytest

from harness.wait import until

LIBC = ctypes.CDLL(None, use_errno=True)
MNT_DETACH = 2


@contextlib.contextmanager
def stuck(path):
    """A FUSE file system whose process never answers. Its end wakes who waits."""
    try:
        fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        pytest.skip("no /dev/fuse")
    os.makedirs(path, exist_ok=True)
    options = "fd=%d,rootmode=40000,user_id=0,group_id=0" % fd
    if LIBC.mount(b"stuck", path.encode(), b"fuse", 0, options.encode()) < 0:
        os.close(fd)
        pytest.skip("FUSE cannot be mounted here")
    try:
        yield
    finally:
        os.close(fd)
        LIBC.umount2(path.encode(), MNT_DETACH)


def in_background(fn, *args):
    result = []
    t = threading.Thread(target=lambda: result.append(fn(*args)), daemon=True)
    t.start()
    return t, result


def assert_alive(api):
    begun = time.monotonic()
    assert api.request("GET", "/containers/json", timeout=5).status == 200
    assert time.monotonic() - begun < 2


def create(api, host):
    return api.request("POST", "/containers/create",
                       {"Image": "busybox", "Cmd": ["true"], "HostConfig": host})


def ways(path):
    return [{"Binds": [path + ":/x"]},
            {"Mounts": [{"Type": "bind", "Source": path, "Target": "/x"}]},
            {"Devices": [{"PathOnHost": path + "/dev"}]}]


@pytest.mark.limit(120)
def test_create(api, tmp_path):
    path = str(tmp_path / "stuck")
    with stuck(path):
        for host in ways(path)[:2]:
            t, result = in_background(create, api, host)
            time.sleep(0.5)
            assert_alive(api)
            # Others with binds are served.
            assert create(api, {"Binds": [str(tmp_path) + "/other:/x"]}).status == 201
            t.join(30)
            assert result[0].status == 500 and "does not answer" in result[0].message
            # A thread waits there already: the next one is told at once.
            begun = time.monotonic()
            assert create(api, host).status == 500
            assert time.monotonic() - begun < 2
    until(lambda: create(api, ways(path)[0]).status == 201)


@pytest.mark.limit(120)
@pytest.mark.parametrize("way", range(3))
def test_start(api, tmp_path, way):
    """The file system was well when the container was created."""
    path = str(tmp_path / "stuck")
    os.makedirs(path)
    cid = create(api, ways(path)[way]).json["Id"]
    with stuck(path):
        t, result = in_background(api.request, "POST", "/containers/%s/start" % cid)
        time.sleep(0.5)
        assert_alive(api)
        removal, removed = in_background(lambda: api.request("DELETE", "/containers/" + cid,
                                                             force=True))
        t.join(30)
        assert result[0].status == 500 and "does not answer" in result[0].message
        removal.join(30)
        assert removed[0].status == 204


@pytest.mark.limit(120)
def test_below_a_bind(api, tmp_path):
    """Not named, but mounted below what is bound, as with -v /:/host: nobody asks it."""
    with stuck(str(tmp_path / "stuck")):
        answer = create(api, {"Binds": [str(tmp_path) + ":/x"]})
        assert answer.status == 201 and "cannot be mapped" in answer.json["Warnings"][0]
        api.start(answer.json["Id"])
        assert api.wait(answer.json["Id"]) == 0


@pytest.mark.limit(60)
def test_end_of_the_daemon(new_daemon, tmp_path):
    """It does not wait for the file system either."""
    d = new_daemon()
    with stuck(str(tmp_path / "stuck")):
        def ask():
            with contextlib.suppress(OSError):
                create(d.api, ways(str(tmp_path / "stuck"))[0])
        t, _ = in_background(ask)
        time.sleep(0.5)
        d.terminate()
        t.join(10)
