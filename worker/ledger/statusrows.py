"""Storing the rows of a delivery status: what they change of our messages, and the replies that they bring."""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from sqlalchemy import Connection, bindparam, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from every8d.replies import StatusRow
from worker.ledger.database import Database
from worker.ledger.rows import joined, milliseconds
from worker.ledger.tables import POINT_UNITS, message, reply
from worker.statuses import Change, Known, changes, plain_number

#: Rows of one page of getDeliveryStatus (specification 3.2).
PAGE_ROWS = 1000
#: What the ledger keeps of a number; the longest that there is has 16 characters.
NUMBER_LENGTH = 20


class Batch(Protocol):
    """The batch that the rows are of."""

    @property
    def chunk_id(self) -> int:
        """Its chunk."""

    @property
    def account(self) -> str:
        """Its account's alias."""

    @property
    def batch_id(self) -> str:
        """The gateway's BatchID."""

    @property
    def size(self) -> int:
        """Its messages."""


def store_rows(
    database: Database, connection: Connection, batch: Batch, rows: Sequence[StatusRow], now_ms: int
) -> None:
    """Stores a page's rows within the caller's transaction: statuses that say more than what is known, new replies."""
    known = _known(connection, batch, rows)
    store_changes(database, connection, {batch.chunk_id: changes(known, rows, now_ms)})
    store_replies(database, connection, _replies(batch, known, rows), now_ms)


def _known(connection: Connection, batch: Batch, rows: Sequence[StatusRow]) -> dict[str, Known]:
    wanted = select(
        message.c.number,
        message.c.request_id,
        message.c.seq,
        message.c.status,
        message.c.cost,
        message.c.state,
        message.c.sent_ms,
        message.c.final_ms,
    ).where(message.c.chunk_id == batch.chunk_id)
    if batch.size > PAGE_ROWS:
        wanted = wanted.where(message.c.number.in_([plain_number(row.mobile) for row in rows]))
    return {row.number: Known(*row[1:]) for row in connection.execute(wanted)}


_UPDATE_MANY = text(
    "UPDATE message SET status = d.status, state = d.state, cost = d.cost, sent_ms = d.sent_ms, "
    "final_ms = d.final_ms FROM unnest(CAST(string_to_array(:chunks, ',', '') AS bigint[]), "
    "CAST(string_to_array(:requests, ',', '') AS uuid[]), "
    "CAST(string_to_array(:seqs, ',', '') AS int[]), CAST(string_to_array(:status, ',', '') AS int[]), "
    "string_to_array(:state, ',', ''), CAST(string_to_array(:cost, ',', '') AS bigint[]), "
    "CAST(string_to_array(:sent, ',', '') AS bigint[]), CAST(string_to_array(:final, ',', '') AS bigint[])) "
    "AS d(chunk_id, request_id, seq, status, state, cost, sent_ms, final_ms) "
    "WHERE message.request_id = d.request_id AND message.seq = d.seq AND message.chunk_id = d.chunk_id"
)
_UPDATE_ONE = (
    update(message)
    .where(
        message.c.request_id == bindparam("of_request"),
        message.c.seq == bindparam("of_seq"),
        message.c.chunk_id == bindparam("of_chunk"),
    )
    .values(
        status=bindparam("to_status"),
        state=bindparam("to_state"),
        cost=bindparam("to_cost"),
        sent_ms=bindparam("to_sent"),
        final_ms=bindparam("to_final"),
    )
)


def store_changes(database: Database, connection: Connection, news: Mapping[int, Sequence[Change]]) -> None:
    """Stores what messages became, by their chunks, within the caller's transaction, which holds the chunks' locks.

    A message that has left its chunk meanwhile (it was not sent, and waits again) stays as it is.
    """
    rows = [(chunk_id, change) for chunk_id, found in news.items() for change in found]
    if not rows:
        return
    if database.is_postgres:
        connection.execute(
            _UPDATE_MANY,
            {
                "chunks": joined(chunk_id for chunk_id, _ in rows),
                "requests": joined(one.request_id for _, one in rows),
                "seqs": joined(one.seq for _, one in rows),
                "status": joined(one.status for _, one in rows),
                "state": joined(one.state for _, one in rows),
                "cost": joined(None if one.cost is None else int(one.cost * POINT_UNITS) for _, one in rows),
                "sent": joined(one.sent_ms for _, one in rows),
                "final": joined(one.final_ms for _, one in rows),
            },
        )
        return
    connection.execute(
        _UPDATE_ONE,
        [
            {
                "of_chunk": chunk_id,
                "of_request": one.request_id,
                "of_seq": one.seq,
                "to_status": one.status,
                "to_state": one.state,
                "to_cost": one.cost,
                "to_sent": one.sent_ms,
                "to_final": one.final_ms,
            }
            for chunk_id, one in rows
        ],
    )


def reply_digest(batch_id: str, number: str, time_raw: str, words: str) -> str:
    """One reply's identity: polling and callbacks may bring it many times."""
    return hashlib.sha256(f"{batch_id}\x1f{number}\x1f{time_raw}\x1f{words}".encode()).hexdigest()


class NewReply(NamedTuple):
    """A reply as polling or a callback brings it. `time_raw` tells replies apart whose time cannot be read."""

    account: str
    batch_id: str
    number: str
    text: str
    replied_ms: int | None
    time_raw: str
    request_id: uuid.UUID | None
    seq: int | None

    def __repr__(self) -> str:
        return f"NewReply(batch {self.batch_id}, <{len(self.text)} characters>)"


def _replies(batch: Batch, known: Mapping[str, Known], rows: Sequence[StatusRow]) -> list[NewReply]:
    found = []
    for row in rows:
        number = plain_number(row.mobile)
        owner = known.get(number)
        whose = (owner.request_id, owner.seq) if owner else (None, None)
        found += [
            NewReply(
                batch.account,
                batch.batch_id,
                number,
                one.text,
                milliseconds(one.time),
                one.time_raw.strip(),
                *whose,
            )
            for one in row.replies
        ]
    return found


def store_replies(
    database: Database, connection: Connection, replies: Sequence[NewReply], now_ms: int
) -> None:
    """Stores the replies that are new, within the caller's transaction."""
    values = [
        {
            "account": one.account,
            "batch_id": one.batch_id,
            # Whatever stands there: a row that the table cannot hold would hold up the batch for ever.
            "number": one.number[:NUMBER_LENGTH],
            "text": one.text,
            "replied_ms": one.replied_ms,
            "stored_ms": now_ms,
            "request_id": one.request_id,
            "seq": one.seq,
            # By the moment, not by the letters: polling and callbacks write times in different ways.
            "digest": reply_digest(one.batch_id, one.number, str(one.replied_ms or one.time_raw), one.text),
        }
        for one in replies
    ]
    if values:
        dialect = postgresql if database.is_postgres else sqlite
        connection.execute(dialect.insert(reply).on_conflict_do_nothing(), values)
