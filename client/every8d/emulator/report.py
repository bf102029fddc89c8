"""What was really sent: the emulator's own account of it, for tests that count the lost and the doubled.

Everything is worked out when it is asked for. A message counts as sent when it was accepted, its time has
come, and it was neither left unsent for want of credit (301), nor cancelled (303), nor kept because the
account may not send abroad (500). One that the network could not deliver was sent all the same.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from itertools import repeat
from typing import Any

from every8d.emulator import life
from every8d.emulator.batch import Batch
from every8d.emulator.state import State

DOUBLED_SHOWN = 1000


def summary(state: State) -> dict[str, Any]:
    """Totals over all messages, and the pairs of number and text that were sent more than once."""
    now = state.clock.now()
    sent: Counter[tuple[int, str]] = Counter()
    kept: Counter[int] = Counter()
    accepted = booked = cost = 0
    for batch in state.batches.values():
        accepted += len(batch)
        kept.update(batch.kept.values())
        if not batch.kept and batch.dues is None:
            if batch.due <= now:
                sent.update(zip(batch.numbers, batch.texts or repeat(batch.text), strict=False))
            else:
                booked += len(batch)
            cost += sum(batch.costs) if batch.costs else batch.cost * len(batch)
            continue
        for position, number in enumerate(batch.numbers):
            cost += batch.cost_of(position)
            if batch.was_sent(position, now):
                sent[number, batch.text_of(position)] += 1
            elif position not in batch.kept:
                booked += 1
    total = sent.total()
    doubled = [(pair, count) for pair, count in sent.items() if count > 1] if total > len(sent) else []
    return {
        "total": total,
        "distinct": len(sent),
        "doubled_count": len(doubled),
        "doubled": [
            {"number": f"+{number}", "sha256": digest(text), "executions": count}
            for (number, text), count in doubled[:DOUBLED_SHOWN]
        ],
        "batches": len(state.batches),
        "accepted": accepted,
        "booked": booked,
        "unsent": kept[life.NO_CREDIT],
        "cancelled": kept[life.CANCELLED],
        "forbidden": kept[life.ABROAD_OFF],
        "points": cost,
    }


def statuses(state: State) -> dict[str, int]:
    """How many messages have which delivery status now."""
    now = state.clock.now()
    counts: Counter[int] = Counter()
    for batch in state.batches.values():
        counts.update(batch.status_of(position, now, state.habits) for position in range(len(batch)))
    return {str(status): count for status, count in sorted(counts.items())}


def sent(
    state: State,
    *,
    number: int | None = None,
    batch_id: str | None = None,
    subject: str | None = None,
    everything: bool = False,
    with_text: bool = False,
    offset: int = 0,
    limit: int = 1000,
) -> dict[str, Any]:
    """Messages one by one, oldest first; `everything` shows also those booked or kept back."""
    now = state.clock.now()
    rows: list[dict[str, Any]] = []
    found: list[tuple[Batch, int]] = []
    total = 0
    for batch, position in _matching(state, number, batch_id, subject):
        if everything or batch.was_sent(position, now):
            if offset <= total < offset + limit:
                found.append((batch, position))
            total += 1
    executions = _executions(state, {batch.numbers[position] for batch, position in found}, now)
    for batch, position in found:
        text = batch.text_of(position)
        row = {
            "number": f"+{batch.numbers[position]}",
            "sha256": digest(text),
            "subject": batch.subject,
            "batch": batch.batch_id,
            "position": position,
            "account": batch.user_id,
            "received": batch.received,
            "executed": batch.due_of(position),
            "executions": executions[batch.numbers[position], text],
            "status": batch.status_of(position, now, state.habits),
            "cost": batch.cost_of(position),
            "name": batch.names[position] if batch.names else "",
            "email": batch.emails[position] if batch.emails else "",
        }
        if with_text:
            row["text"] = text
        rows.append(row)
    return {"total": total, "messages": rows}


def arrivals(
    state: State, *, since: float = 0.0, most_messages: int = 0, subject: str | None = None
) -> list[list[Any]]:
    """Accepted messages as [number, received, subject, messages in the call].

    `received` is seconds since the epoch by the machine's clock, when the call's header had been read. Only
    calls received after `since`, of at most `most_messages` messages (0: any), with that subject if given.
    """
    return [
        [f"+{number}", batch.received, batch.subject, len(batch)]
        for batch in state.batches.values()
        if batch.received > since
        and (not most_messages or len(batch) <= most_messages)
        and (subject is None or batch.subject == subject)
        for number in batch.numbers
    ]


def digest(text: str) -> str:
    """SHA-256 of a text in UTF-8, in hexadecimal: a test can compare without the text leaving here."""
    return hashlib.sha256(text.encode()).hexdigest()


def _matching(
    state: State, number: int | None, batch_id: str | None, subject: str | None
) -> Iterator[tuple[Batch, int]]:
    for batch in state.batches.values():
        if (batch_id is not None and batch.batch_id != batch_id) or (
            subject is not None and batch.subject != subject
        ):
            continue
        for position, to in enumerate(batch.numbers):
            if number is None or to == number:
                yield batch, position


def _executions(state: State, numbers: set[int], now: float) -> Counter[tuple[int, str]]:
    counts: Counter[tuple[int, str]] = Counter()
    for batch in state.batches.values():
        for position, number in enumerate(batch.numbers):
            if number in numbers and batch.was_sent(position, now):
                counts[number, batch.text_of(position)] += 1
    return counts
