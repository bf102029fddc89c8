"""Lines for the log that cannot fill it: what happens again and again is one line a minute, with its count."""

import time
from collections.abc import Callable

#: Seconds between two lines about the same thing.
INTERVAL_S = 60.0


class Tally:
    """`log(what, count)` at the first time of a thing, and then at most once a minute with how often it was since."""

    def __init__(
        self,
        log: Callable[[str, int], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._log = log
        self._clock = clock
        self._interval_s = interval_s
        self._told: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def note(self, what: str) -> None:
        """It happened once more. `what` is one of few words of ours, never anything that came from outside."""
        now = self._clock()
        self._counts[what] = self._counts.get(what, 0) + 1
        if now - self._told.get(what, float("-inf")) >= self._interval_s:
            self._told[what] = now
            self._log(what, self._counts.pop(what))
