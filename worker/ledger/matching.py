"""The ledger's side of matching: what the inbox holds becomes statuses, replies, and the end of doubts about chunks.

One transaction takes some hundreds of rows. It locks rows of the inbox (passing over those of other matchers), then
chunks in the order of their ids; messages are written under their chunk's lock alone, as polling does, so that of two
statuses the higher one stays.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.exc import DataError, IntegrityError

from config import Account
from every8d.callback import REPLY
from every8d.replies import StatusRow
from worker.ledger.database import Database
from worker.ledger.looked import mark
from worker.ledger.pending import count_down, is_open
from worker.ledger.proof import settle, tell
from worker.ledger.statusrows import NewReply, store_changes, store_replies
from worker.ledger.tables import chunk, inbox, message
from worker.reports import (
    Call,
    Match,
    Owner,
    Reason,
    Report,
    judge,
    owner,
)
from worker.statuses import Change, Known, changes

#: What a row may cause that another row would not.
_AT_FAULT = (DataError, IntegrityError, ValueError, TypeError, ArithmeticError, LookupError)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Matched:
    """What one transaction did: rows looked at, rows matched, chunks settled, and chunks that were sent after all."""

    looked: int
    matched: int
    settled: tuple[int, ...] = ()
    sent_after_all: tuple[int, ...] = ()


class CannotMatch(Exception):
    """What some of these rows say cannot be stored, and so none of them was matched. `__cause__` says why."""

    def __init__(self, ids: Sequence[int]) -> None:
        super().__init__(f"{len(ids)} callbacks cannot be matched")
        self.ids = tuple(ids)


_DUE = (
    select(*(inbox.c[name] for name in Report._fields))
    .where(inbox.c.look_ms <= bindparam("now"))
    .order_by(inbox.c.look_ms, inbox.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_IS_DUE = select(inbox.c.id).where(inbox.c.look_ms <= bindparam("now")).limit(1)
_OF_BATCHES = select(chunk.c.id).where(chunk.c.batch_id.in_(bindparam("batches", expanding=True)))
_CALL = (
    "id",
    "account",
    "lane",
    "state",
    "size",
    "batch_id",
    "claimed_ms",
    "answered_ms",
    "send_time_ms",
    "polls",
    "pending",
    "final_ms",
    "erase",
)
_LOCKED = (
    select(*(chunk.c[name] for name in _CALL))
    .where(chunk.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(chunk.c.id)
    .with_for_update()
)
_OWNERS = select(
    message.c.chunk_id,
    message.c.position,
    message.c.number,
    message.c.request_id,
    message.c.seq,
    message.c.status,
    message.c.cost,
    message.c.state,
    message.c.sent_ms,
    message.c.final_ms,
).where(
    message.c.chunk_id.is_not(None),
    message.c.chunk_id.in_(bindparam("ids", expanding=True)),
    message.c.number.in_(bindparam("numbers", expanding=True)),
)


def due(database: Database) -> bool:
    """Whether a row of the inbox is to be looked at: costs little and takes nothing."""
    with database.read() as connection:
        return connection.execute(_IS_DUE, {"now": database.now_ms()}).first() is not None


def match(database: Database, accounts: Mapping[str, Account], *, limit: int) -> Matched:
    """Looks at the rows of the inbox that are due, the oldest first, `limit` at most, in one commit.

    Raises CannotMatch where the rows are at fault, SQLAlchemy's other errors where the ledger is.
    """
    now_ms = database.now_ms()
    ids: list[int] = []

    def work(connection: Connection) -> Matched:
        rows = connection.execute(_DUE, {"now": now_ms, "most": limit})
        reports = sorted((Report(*row) for row in rows), key=lambda report: report.id)
        if not reports:
            return Matched(0, 0)
        ids[:] = [report.id for report in reports]
        matches = _judge(connection, reports)
        calls = {match.call.id: match.call for match in matches if match.call and not match.reason}
        settle(connection, calls.values(), accounts, now_ms)
        _find_owners(connection, matches, list(calls))
        _store(database, connection, matches, calls, accounts, now_ms)
        told = tell(connection, matches, now_ms)
        mark(database, connection, matches, now_ms)
        settled = tuple(call.id for call in calls.values() if call.settled)
        return Matched(len(reports), sum(match.reason is None for match in matches), settled, told)

    try:
        return database.write(work, bulk=True, point="callback.match")
    except _AT_FAULT as error:
        raise CannotMatch(ids) from error


def _judge(connection: Connection, reports: Sequence[Report]) -> list[Match]:
    ids = {report.token for report in reports if report.token is not None}
    # Only those without a token: the subject may have been cut, or not come back at all.
    named = [report.batch_id for report in reports if report.token is None and report.batch_id is not None]
    if named:
        batches = list({spelling for name in named for spelling in (name, name.lower(), name.upper())})
        ids |= {row.id for row in connection.execute(_OF_BATCHES, {"batches": batches})}
    rows = connection.execute(_LOCKED, {"ids": sorted(ids)}) if ids else ()
    calls = {row.id: Call(*row) for row in rows}
    of_batch: dict[str, list[Call]] = defaultdict(list)
    for call in calls.values():
        if call.batch_id is not None:
            of_batch[call.batch_id.lower()].append(call)
    matches = []
    for report in reports:
        if report.token is not None:
            candidates = [calls[report.token]] if report.token in calls else []
        else:
            candidates = of_batch.get((report.batch_id or "").lower(), [])
        match = judge(report, candidates)
        if match.call is not None and match.reason is None:
            # At once: the next report of the call is judged by what this one has told.
            match.call.learn(report)
        matches.append(match)
    return matches


def _find_owners(connection: Connection, matches: Sequence[Match], ids: list[int]) -> None:
    """The message of each report, under the locks of their chunks."""
    if not ids:
        return
    numbers = list({match.report.number for match in matches if match.reason is None})
    of_call: dict[tuple[int, str], list[Owner]] = defaultdict(list)
    for row in connection.execute(_OWNERS, {"ids": ids, "numbers": numbers}):
        chunk_id, position, number, *known = row
        of_call[chunk_id, number].append(Owner(chunk_id, position, number, Known(*known)))
    for match in matches:
        if match.reason is None and match.call is not None:
            match.owner = owner(match.report, of_call.get((match.call.id, match.report.number), ()))
            if match.owner is None and match.report.status != REPLY:
                match.reason = Reason.NO_MESSAGE


def _store(
    database: Database,
    connection: Connection,
    matches: Sequence[Match],
    calls: Mapping[int, Call],
    accounts: Mapping[str, Account],
    now_ms: int,
) -> None:
    news: dict[int, list[Change]] = defaultdict(list)
    ended: dict[int, int] = defaultdict(int)
    replies = []
    about: dict[tuple[int, Known], list[Report]] = defaultdict(list)
    for match in matches:
        if match.reason is not None or match.call is None:
            continue
        if match.report.status == REPLY:
            replies.append(_reply(match.report, match.call, match.owner))
        elif match.owner is not None:
            about[match.call.id, match.owner.known].append(match.report)
    for (chunk_id, known), reports in about.items():
        number = reports[0].number
        for change in changes({number: known}, [_row(report) for report in reports], now_ms):
            news[chunk_id].append(change)
            ended[chunk_id] += is_open(known) and not is_open(change)
    store_changes(database, connection, news)
    store_replies(database, connection, replies, now_ms)
    count_down(database, connection, [calls[one] for one in ended if ended[one]], ended, accounts, now_ms)


def _row(report: Report) -> StatusRow:
    """As polling would bring it."""
    sent = None if report.sent_ms is None else _EPOCH + timedelta(milliseconds=report.sent_ms)
    return StatusRow("", report.number, sent, report.cost, report.status, "", ())


def _reply(report: Report, call: Call, found: Owner | None) -> NewReply:
    # By the chunk's BatchID, which polling asks with: the same reply may come both ways.
    return NewReply(
        account=call.account,
        batch_id=call.batch_id or "",
        number=report.number,
        text=report.text or "",
        replied_ms=report.reported_ms,
        # A time that cannot be read cannot be compared: such a reply is one for each callback.
        time_raw=report.digest,
        request_id=found.known.request_id if found else None,
        seq=found.known.seq if found else None,
    )
