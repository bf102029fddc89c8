"""When a text to one number may go: caps on texts in any hour and in any day. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Caps(NamedTuple):
    """The most texts to one number in any hour and in any 24 hours; 0 for no cap."""

    hour: int
    day: int

    @property
    def rules(self) -> list[tuple[int, int]]:
        """(texts, milliseconds) of each cap that is set."""
        return [(most, span) for most, span in ((self.hour, HOUR_MS), (self.day, DAY_MS)) if most]


def earliest(uses: Sequence[int], at_ms: int, caps: Caps) -> int:
    """The first moment, not before `at_ms`, at which one more text fits among the `uses`. Milliseconds.

    `uses` are the moments of the other texts to the number, in any order: past ones, and bookings to come.
    """
    if not uses or _fits(uses, at_ms, caps):
        return at_ms
    # What changes with time is that a text leaves a span, so only those moments are worth a look.
    ends = sorted({use + span for use in uses for _, span in caps.rules})
    return next(end for end in ends if end > at_ms and _fits(uses, end, caps))


def _fits(uses: Sequence[int], at_ms: int, caps: Caps) -> bool:
    """Whether no span that holds `at_ms` would hold more texts than its cap. Texts a whole span apart share none."""
    moments = sorted((*uses, at_ms))
    for most, span in caps.rules:
        for first, last in zip(moments, moments[most:], strict=False):
            if first <= at_ms <= last and last - first < span:
                return False
    return True
