"""What a check found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """How bad it is. A deployment with a problem, or with something that nobody could look at, is not healthy."""

    OK = "ok"
    #: Worth knowing; somebody may want it so.
    WARNING = "warning"
    PROBLEM = "problem"
    #: What the check needs cannot be reached.
    UNSEEN = "unseen"

    @property
    def healthy(self) -> bool:
        """Whether the deployment may stay as it is."""
        return self in (Verdict.OK, Verdict.WARNING)


@dataclass(frozen=True, slots=True)
class Finding:
    """`kind` names the sentence that tells it, and the advice; `values` fill both. No password, number or text."""

    check: str
    verdict: Verdict
    kind: str
    values: Mapping[str, object] = field(default_factory=dict)


def ok(check: str, kind: str, **values: object) -> Finding:
    """It is as it should be."""
    return Finding(check, Verdict.OK, kind, values)


def warning(check: str, kind: str, **values: object) -> Finding:
    """Worth knowing."""
    return Finding(check, Verdict.WARNING, kind, values)


def problem(check: str, kind: str, **values: object) -> Finding:
    """It must be put right."""
    return Finding(check, Verdict.PROBLEM, kind, values)


def unseen(check: str, kind: str, **values: object) -> Finding:
    """Nobody could look."""
    return Finding(check, Verdict.UNSEEN, kind, values)
