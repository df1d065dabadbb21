# SPDX-License-Identifier: Apache-2.0
"""The manuals name what the programs have: each command, each flag, nothing else."""
import pathlib
import re
import subprocess

import pytest

from harness.daemon import program

MAN = pathlib.Path(__file__).resolve().parents[2] / "docs/man"


def usage(name, *words):
    return subprocess.run([program(name), *words, "--help"], capture_output=True, text=True, timeout=30,
                          check=True).stdout


def manual(name):
    return (MAN / name).read_text().replace("\\-", "-").replace("\\fB", "").replace("\\fR", "")


def flags(text):
    return set(re.findall(r"(?<![\w-])--([a-z][a-z-]*)", text))


def commands(text):
    """{name: summary} of the lists of commands of a help page; groups are left out."""
    lists = [s for s in re.split(r"\n(?=\S)", text) if re.match(r"(Common )?Commands:", s)]
    return dict(m.groups() for s in lists for m in re.finditer(r"^  (\S+)\s+(\S.*)$", s, re.M))


def test_flags_of_the_daemon():
    page, of_program = manual("fenced.8"), flags(usage("fenced"))
    section = page[page.index(".SH OPTIONS"):page.index("Old spellings")]
    assert {m for line in section.splitlines() if line.startswith("--") or re.match(r"-\w, --", line)
            for m in flags(line)} == of_program


def test_flags_of_the_client():
    page = manual("fence.1")
    assert flags(page) - {"help"} == flags(usage("fence").split("Global Options:")[1]) - {"help"}


def test_commands_of_the_client():
    section = manual("fence.1").split(".SH COMMANDS")[1].split(".PP")[0]
    assert dict(re.findall(r"^\.B (\S+)\n(.*)\.$", section, re.M)) == commands(usage("fence"))


@pytest.mark.parametrize("group", ["container", "image", "network", "system", "volume"])
def test_groups_of_the_client(group):
    named = re.search(r"^\.B %s\n(.*)$" % group, manual("fence.1"), re.M).group(1)
    assert named.split(", ") == list(commands(usage("fence", group)))
