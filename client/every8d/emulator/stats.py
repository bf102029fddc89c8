"""Counts of what the emulator was asked and answered: operations and codes, nothing of a message."""

from collections import Counter, defaultdict
from typing import Any


class Stats:
    """Counted since the start or the last reset."""

    def __init__(self) -> None:
        self._calls: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.in_flight = 0
        self.max_in_flight = 0
        self.accepted = 0

    def enter(self) -> None:
        """A gateway call has arrived."""
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def leave(self) -> None:
        """It has been answered, or given up."""
        self.in_flight -= 1

    def count(self, operation: str, outcome: str) -> None:
        """One call: `ok`, a code such as `-301`, `http 500`, or `fault drop_before`."""
        self._calls[operation][outcome] += 1

    def accept(self, messages: int) -> None:
        """So many messages are in a new batch: a count that costs nothing to ask for, unlike the report's totals."""
        self.accepted += messages

    def report(self) -> dict[str, Any]:
        """For `GET /control/stats`."""
        logins = self._calls.get("getConnection", Counter())
        return {
            "calls": {operation: dict(outcomes) for operation, outcomes in self._calls.items()},
            "total_calls": sum(sum(outcomes.values()) for outcomes in self._calls.values()),
            "logins": logins.get("ok", 0),
            "refused_logins": sum(
                count for outcome, count in logins.items() if outcome in {"-100", "-101", "-999", "-300"}
            ),
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "accepted": self.accepted,
        }
