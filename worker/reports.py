"""What a stored callback says of which gateway call, and when it is looked at again. Pure.

A callback (specification 3.1) is a delivery report, or a reply (STATUS 999). Which call it belongs to: the one whose
token is in its subject, else the one that has its BatchID. Which message: the one with its number; a number stands in
a call once, and where it should not, the running number (MR) tells which.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from worker.states import ChunkState
from worker.statuses import Known

#: A call under way is about to be settled.
SUBMITTING_AGAIN_MS = 1000
#: The first wait of a report that fits nothing; each next one is twice as long, up to the ceiling.
FIRST_AGAIN_MS = 1000
CEILING_MS = 6 * 3_600_000
#: After so long nobody will know any more.
GIVE_UP_MS = 72 * 3_600_000


class ReportState(StrEnum):
    """What became of a row of the inbox."""

    WAITING = "waiting"
    MATCHED = "matched"
    #: Looked for in vain. It is looked for again for as long as it has a time for it.
    UNMATCHED = "unmatched"


class Reason(StrEnum):
    """Why a callback has not been matched."""

    #: Its token names a call under way: the answer comes first.
    SUBMITTING = "submitting"
    #: No call of the account has its token or its BatchID: another system's, or not committed yet.
    NO_CHUNK = "no_chunk"
    #: Several chunks have its BatchID: an operator gave one of them a wrong one.
    TWO_CHUNKS = "two_chunks"
    #: The call has no message with its number.
    NO_MESSAGE = "no_message"
    #: The call is said not to have been executed.
    SAID_NOT_SENT = "said_not_sent"
    #: The call has another BatchID: the gateway has made two batches of it.
    OTHER_BATCH = "other_batch"
    #: What it says cannot be stored: a fault of ours.
    FAILED = "failed"


#: The gateway has sent what we say that it has not, or has sent it twice. Looking again changes nothing.
SENT_AFTER_ALL = frozenset({Reason.SAID_NOT_SENT, Reason.OTHER_BATCH})


class Report(NamedTuple):
    """A row of the inbox. Times in milliseconds since 1970, UTC."""

    id: int
    account: str
    received_ms: int
    batch_id: str | None
    token: int | None
    position: int | None
    number: str
    status: int | None
    sent_ms: int | None
    reported_ms: int | None
    text: str | None
    cost: Decimal | None
    digest: str
    looks: int

    def __repr__(self) -> str:
        return f"Report({self.id}, status={self.status})"


@dataclass(slots=True)
class Call:
    """A chunk, and what reports have told of it since it was read."""

    id: int
    account: str
    lane: str
    state: str
    size: int
    batch_id: str | None
    claimed_ms: int
    answered_ms: int | None
    send_time_ms: int | None
    polls: int
    pending: int | None
    final_ms: int | None
    erase: str | None
    #: It was unknown, and is not any more.
    settled: bool = False
    #: It had no BatchID before.
    named: bool = False

    def learn(self, report: Report) -> None:
        """The gateway has executed this call: the report says so, whatever else it brings."""
        if self.state == ChunkState.UNKNOWN:
            self.state, self.settled = ChunkState.ACCEPTED, True
        if self.batch_id is None and report.batch_id is not None:
            self.batch_id, self.named = report.batch_id, True


class Owner(NamedTuple):
    """A message of a call that a report may be about."""

    chunk_id: int
    position: int | None
    number: str
    known: Known

    def __repr__(self) -> str:
        return f"Owner({self.known.request_id}, {self.known.seq})"


@dataclass(slots=True)
class Match:
    """What is made of one report: its call, why it is not matched, and its message."""

    report: Report
    call: Call | None = None
    reason: Reason | None = None
    owner: Owner | None = None


def same_batch(one: str, other: str) -> bool:
    """Whether two BatchIDs are one: it is a GUID, which may be written in capitals."""
    return one.lower() == other.lower()


def judge(report: Report, calls: Iterable[Call]) -> Match:
    """The call that the report is of, out of those that its token or BatchID names."""
    found = [call for call in calls if call.account == report.account]
    if len(found) != 1:
        return Match(report, reason=Reason.TWO_CHUNKS if found else Reason.NO_CHUNK)
    [call] = found
    if call.state == ChunkState.SUBMITTING:
        return Match(report, call, Reason.SUBMITTING)
    if call.state not in (ChunkState.ACCEPTED, ChunkState.UNKNOWN):
        return Match(report, call, Reason.SAID_NOT_SENT)
    if call.batch_id and report.batch_id and not same_batch(call.batch_id, report.batch_id):
        return Match(report, call, Reason.OTHER_BATCH)
    return Match(report, call)


def owner(report: Report, messages: Iterable[Owner]) -> Owner | None:
    """The message of the call that the report is about, by its number."""
    same = [one for one in messages if one.number == report.number]
    at_place = (one for one in same if one.position == report.position)
    return next(at_place, same[0] if len(same) == 1 else None)


def look_again_ms(report: Report, reason: Reason, now_ms: int) -> int | None:
    """When a report that was not matched is looked at again. None: never, it is only kept."""
    if reason is Reason.SUBMITTING:
        return now_ms + SUBMITTING_AGAIN_MS
    if reason in SENT_AFTER_ALL or now_ms - report.received_ms >= GIVE_UP_MS:
        return None
    wait_ms: int = FIRST_AGAIN_MS << min(report.looks, 20)
    return now_ms + min(wait_ms, CEILING_MS)
