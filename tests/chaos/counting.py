"""The count at the end: what was committed, against what the gateway executed. Pure.

The emulator's own record is the truth. Each number gets one text in a run, so a number names a message.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

#: The ledger says that these are not with the gateway.
NOT_SENT = frozenset({"waiting", "refused", "cancelled", "expired", "no_credit", "duplicate"})


class Row(NamedTuple):
    """A message as the ledger has it. `chunk` is its chunk's state, if it is in one."""

    number: str
    lane: str
    state: str
    chunk: str | None

    @property
    def held(self) -> bool:
        """Kept because nobody knows whether it was sent."""
        return self.state == "packed" and self.chunk == "unknown"


class Execution(NamedTuple):
    """A message that the gateway sent, and the SHA-256 of its text."""

    number: str
    sha256: str


@dataclass(slots=True)
class Count:
    """Messages by what became of them. A run is good when `wrong()` is empty."""

    committed: Counter[str] = field(default_factory=Counter)
    executed: int = 0
    delivered: int = 0
    #: Committed, never executed, and not held either.
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    #: Executed, and the ledger says that they were not.
    denied: list[str] = field(default_factory=list)
    #: Executed with a text that nobody had enqueued for that number.
    strange: list[str] = field(default_factory=list)
    held: int = 0
    held_executed: int = 0

    def wrong(self) -> list[str]:
        """What must not be, in words with counts; numbers are not shown."""
        found = {
            "lost": self.lost,
            "sent twice": self.doubled,
            "executed, though the ledger says not": self.denied,
            "executed with a text that nobody enqueued": self.strange,
        }
        return [f"{len(numbers)} {word}" for word, numbers in found.items() if numbers]


def count(
    enqueued: Mapping[str, str],
    confirmed: Iterable[str],
    rows: Iterable[Row],
    executions: Iterable[Execution],
) -> Count:
    """Counts. `enqueued` is the text's SHA-256 for each number; `confirmed` are those that a producer was told of.

    A message is committed when it is in the ledger, or when its producer was told so.
    """
    kept = {row.number: row for row in rows}
    found = Count()
    times: Counter[str] = Counter()
    for one in executions:
        times[one.number] += 1
        if enqueued.get(one.number) != one.sha256:
            found.strange.append(one.number)
    for number in kept.keys() | set(confirmed):
        row = kept.get(number)
        found.committed[row.lane if row else "missing"] += 1
        executed = times[number]
        found.executed += min(executed, 1)
        if executed > 1:
            found.doubled.append(number)
        if row is None or not row.held:
            if not executed:
                found.lost.append(number)
        else:
            found.held += 1
            found.held_executed += min(executed, 1)
        if row is not None:
            found.delivered += row.state == "delivered"
            if executed and (row.state in NOT_SENT or row.chunk in ("not_sent", "refused")):
                found.denied.append(number)
    # What the ledger does not have must not go out either: a request is sent when it is committed.
    found.denied += [number for number in times if number not in kept and number in enqueued]
    return found
