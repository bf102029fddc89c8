"""Bombs: whatever an answer, a file or a body holds, reading it takes bounded time and memory, and never crashes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("bounded_program.py")
#: CPU seconds for one bomb and all of its readers; the worst takes three on a slow machine.
MOST_S = 25
#: Beyond the bomb itself.
MOST_MIB = 128


@pytest.mark.timeout(300)  # ten seconds of work; a busy machine may take its time
@pytest.mark.parametrize(("kind", "at_least"), [("page", 24), ("file", 11), ("body", 13)])
def test_no_bomb_goes_off(kind: str, at_least: int) -> None:
    done = subprocess.run([sys.executable, PROGRAM, kind], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert len(found) >= at_least
    refused = {"OutcomeUnknown", "BadFile", "BadBody", "read"}
    if kind == "page":
        # A digit too many is a code, or a credit that nobody has.
        refused |= {"MessageFault"}
    assert {name: one for name, one in found.items() if not refused.issuperset(one["outcomes"])} == {}
    assert {name: one for name, one in found.items() if one["cpu_s"] > MOST_S} == {}
    assert {name: one for name, one in found.items() if one["mib"] > MOST_MIB} == {}
