# SPDX-License-Identifier: Apache-2.0
"""The same session here and on the reference dockerd 20.10.24: reference.json holds the reference's
answers (record.py), differences.json what differs and why."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
from harness import images  # noqa: E402
from harness.daemon import CACHE, Daemon  # noqa: E402
from parity import compare, drive  # noqa: E402

compare.load_scenes()
CLIENTS = dict(drive.find_clients(os.path.join(CACHE, "clients/bin/docker")), http="", py="")
SCENES = [name for name, (_, client) in drive.SCENES.items() if client in CLIENTS]
REFERENCE = compare.read_reference()
RULES = compare.Rules()
PLAYED = set()


@pytest.fixture(scope="module", name="player")
def fixture_player():
    assert not os.path.exists("/nosuch"), "the scenes use /nosuch as a path that is not there"
    d = Daemon("--shutdown-timeout", "2")
    try:
        d.start()
        yield drive.Player(d.socket, CLIENTS, images.cached_busybox(CACHE))
    finally:
        problems = d.close()
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def test_every_scene_is_recorded():
    assert sorted(drive.SCENES) == sorted(REFERENCE)


def test_the_document_lists_the_differences():
    assert compare.document_parts()[1] == compare.section(), "run record.py document"


@pytest.mark.limit(600)
@pytest.mark.parametrize("name", SCENES)
def test_scene(player, name):
    answers = player.play(name)
    PLAYED.add(name)
    found = [d for d in compare.differences(REFERENCE[name], answers)
             if not RULES.explain(name, d) and not compare.is_of_the_host(d)]
    assert not found, "\n".join(["", *("%s | %s\n  reference: %s\n  here:      %s" % (
        d.label, d.path, compare.short(d.reference), compare.short(d.here)) for d in found)])


@pytest.mark.skipif(not compare.like_the_reference(),
                    reason="the kernel has AppArmor or no control groups v1: not the reference's kind")
def test_every_explanation_is_needed():
    """A difference that has gone leaves the list."""
    whole = {compare.scene_of(n) for n in SCENES} - {compare.scene_of(n) for n in drive.SCENES
                                                     if n not in PLAYED}
    unused = RULES.unused(whole)
    assert not unused, "\n".join(["explained, but not different:", *unused])
