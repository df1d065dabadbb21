# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the integration tests: a daemon under test, and clients for it.

FENCE_TEST_BIN   folder of the programs under test (not set: the installed ones)
FENCE_TEST_CACHE where made images and unpacked clients are kept
FENCE_TEST_SLOW  factor of all time limits, for slow machines
"""
import os
import pathlib
import signal
import sys

import docker
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
# pylint: disable=wrong-import-position
from harness import clients  # noqa: E402
from harness.daemon import Daemon, program  # noqa: E402
from harness.wait import SLOW  # noqa: E402

TEST_S = 90  # a test that takes longer has hung


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): how long the test may take")
    config.addinivalue_line("markers", "rounds: a sample of what `./check soak` runs at length")


def interrupted(_signal, _frame):
    raise KeyboardInterrupt # fixtures are torn down, daemons end


class TestTimeout(Exception):
    __test__ = False


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    mark = item.get_closest_marker("limit")
    seconds = mark.args[0] if mark else TEST_S

    def late(_signal, _frame):
        raise TestTimeout("more than %d s" % (seconds * SLOW))

    old = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds * SLOW)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def close(daemon):
    problems = daemon.close()
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.fixture(scope="session")
def shared_daemon():
    """Started once for all tests that do not hurt it."""
    d = Daemon("--experimental", "--shutdown-timeout", "2")
    try:
        d.start()
        d.load_busybox()
    except BaseException:
        d.close()
        raise
    yield d
    close(d)


@pytest.fixture
def daemon(shared_daemon):
    """The shared daemon; containers and volumes of the test are removed after it."""
    images = {i["Id"] for i in shared_daemon.api.get("/images/json")}
    if not shared_daemon.api.get("/images/json", filters={"reference": ["busybox:latest"]}):
        shared_daemon.load_busybox()
    yield shared_daemon
    if shared_daemon.process.poll() is not None:
        log = shared_daemon.log()[-3000:]
        shared_daemon.start()
        shared_daemon.remove_all()
        pytest.fail("fenced has ended during the test:\n" + log, pytrace=False)
    shared_daemon.remove_all()
    for image in shared_daemon.api.get("/images/json"):
        if image["Id"] not in images:
            shared_daemon.api.request("DELETE", "/images/" + image["Id"], force=True)


@pytest.fixture
def api(daemon):
    return daemon.api


@pytest.fixture
def new_daemon():
    """Makes daemons for tests that kill or configure them: new_daemon(*flags, start=True)."""
    made = []

    def make(*flags, start=True, busybox=True, **kw):
        d = Daemon("--shutdown-timeout", "2", *flags, **kw)
        made.append(d)
        if start:
            d.start()
            if busybox:
                d.load_busybox()
        return d

    yield make
    problems = [p for d in made for p in d.close()]
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.fixture
def sdk(daemon):
    """python3-docker."""
    client = docker.DockerClient(base_url=daemon.host, version="1.41", timeout=60 * SLOW)
    yield client
    client.close()


def cli_params():
    return sorted(clients.find()) or [pytest.param("none", marks=pytest.mark.skip("no client"))]


@pytest.fixture(params=cli_params())
def cli(request, daemon, tmp_path):
    """Every command line client in turn."""
    return clients.Cli(request.param, clients.find()[request.param], daemon.host, str(tmp_path))


@pytest.fixture
def docker_cli(daemon, tmp_path):
    """One of docker's own clients, the newest there is."""
    found = clients.find()
    for name in ("docker", "docker20"):
        if name in found:
            return clients.Cli(name, found[name], daemon.host, str(tmp_path))
    pytest.skip("no docker CLI on this machine")


@pytest.fixture
def fence(daemon, tmp_path):
    return clients.Cli("fence", clients.find()["fence"], daemon.host, str(tmp_path))


def pytest_sessionstart():
    signal.signal(signal.SIGTERM, interrupted)
    try:
        program("fenced")
    except RuntimeError as e:
        pytest.exit(str(e), 1)


def pytest_report_header():
    return ["programs: " + os.environ.get("FENCE_TEST_BIN", "installed"),
            "clients: " + ", ".join(sorted(clients.find()))]
