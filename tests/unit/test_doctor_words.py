"""Each finding that a check can make has a sentence, and advice where something is to be done, in both languages."""

import ast
from pathlib import Path
from string import Formatter

import pytest

from every8d.command import words
from worker import doctor
from worker.commands.doctor import SENTENCES
from worker.doctor.examination import CHECKS

#: Kinds that are made of two parts in the code.
COMPOSED = {
    "problem": {
        *("schema_older", "schema_newer", "breaker_open", "breaker_locked", "web_silent", "web_other"),
    },
}
LEVELS = ("ok", "warning", "problem", "unseen")


def made() -> dict[str, set[str]]:
    """The kinds of findings in the checks' code, by level."""
    found: dict[str, set[str]] = {level: set() for level in LEVELS} | COMPOSED
    for path in Path(doctor.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in LEVELS:
                kind = node.args[1]
                if isinstance(kind, ast.Constant):
                    found[node.func.id].add(str(kind.value))
    return found


@pytest.mark.parametrize("level", LEVELS)
def test_every_finding_can_be_told(level: str) -> None:
    kinds = made()[level]
    assert kinds
    for kind in kinds:
        assert f"doctor_{kind}" in SENTENCES, kind
        assert (f"doctor_{kind}_advice" in SENTENCES) == (level != "ok"), kind


def test_every_check_has_a_name() -> None:
    assert {f"doctor_{name}" for name in CHECKS} <= SENTENCES.keys()


@pytest.mark.parametrize("key", SENTENCES)
def test_both_languages_say_the_same_values(key: str) -> None:
    english, chinese = ({name for _, name, *_ in Formatter().parse(text) if name} for text in SENTENCES[key])
    assert english == chinese
    assert words.SENTENCES[key] == SENTENCES[key]
