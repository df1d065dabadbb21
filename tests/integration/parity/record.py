#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plays scenes and keeps or compares their answers.

    DOCKER_HOST=unix://... record.py reference [SCENE...]   answers of the reference -> reference.json
    DOCKER_HOST=unix://... record.py compare [SCENE...]     differences that differences.json does not explain
    ... record.py dump [SCENE...]        the same, a JSON document a line
    record.py document                                      the section of docs/compatibility.md
SCENE: shell patterns of names as in `exit_codes/cli20`."""
import fnmatch
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, os.path.dirname(os.path.dirname(HERE)))

# pylint: disable=wrong-import-position
from harness import images  # noqa: E402
from parity import compare, drive  # noqa: E402

CACHE = os.environ.get("FENCE_TEST_CACHE", "/var/tmp/fence-test-cache")


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in ("reference", "compare", "dump", "document"):
        sys.exit(__doc__)
    if sys.argv[1] == "document":
        compare.write_document()
        return
    compare.load_scenes()
    clients = drive.find_clients(CACHE + "/clients/bin/docker")
    player = drive.Player(os.environ["DOCKER_HOST"].split("//", 1)[1], clients, images.cached_busybox(CACHE))
    reference, rules, found, played = compare.read_reference(), compare.Rules(), 0, set()
    for name, (_, client) in drive.SCENES.items():
        if sys.argv[2:] and not any(fnmatch.fnmatch(name, p) for p in sys.argv[2:]):
            continue
        if client not in player.clients:
            continue
        answers = player.play(name)
        if sys.argv[1] == "reference":
            compare.write_reference({name: answers})
            print("%s: %d answers" % (name, len(answers)), flush=True)
            continue
        for d in compare.differences(reference.get(name, []), answers):
            if not rules.explain(name, d):
                found += 1
                if sys.argv[1] == "dump":
                    print(json.dumps([name, *d], sort_keys=True))
                    continue
                print("%s | %s | %s\n    reference: %s\n    here:      %s" % (
                    name, d.label, d.path, compare.short(d.reference), compare.short(d.here)), flush=True)
        played.add(compare.scene_of(name))
    if sys.argv[1] == "compare":
        stale = rules.unused(played)
        for place in stale:
            print("explained, but not different: " + place)
        print("%d unexplained differences" % found)
        sys.exit(1 if found or stale else 0)


if __name__ == "__main__":
    main()
