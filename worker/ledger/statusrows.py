"""Storing the rows of a delivery status: what they change of our messages, and the replies that they bring."""

import hashlib
from collections.abc import Sequence
from typing import Protocol

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
    _update(database, connection, changes(known, rows, now_ms))
    _store_replies(database, connection, batch, known, rows, now_ms)


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
    "final_ms = d.final_ms FROM unnest(CAST(string_to_array(:requests, ',', '') AS uuid[]), "
    "CAST(string_to_array(:seqs, ',', '') AS int[]), CAST(string_to_array(:status, ',', '') AS int[]), "
    "string_to_array(:state, ',', ''), CAST(string_to_array(:cost, ',', '') AS bigint[]), "
    "CAST(string_to_array(:sent, ',', '') AS bigint[]), CAST(string_to_array(:final, ',', '') AS bigint[])) "
    "AS d(request_id, seq, status, state, cost, sent_ms, final_ms) "
    "WHERE message.request_id = d.request_id AND message.seq = d.seq"
)
_UPDATE_ONE = (
    update(message)
    .where(message.c.request_id == bindparam("of_request"), message.c.seq == bindparam("of_seq"))
    .values(
        status=bindparam("to_status"),
        state=bindparam("to_state"),
        cost=bindparam("to_cost"),
        sent_ms=bindparam("to_sent"),
        final_ms=bindparam("to_final"),
    )
)


def _update(database: Database, connection: Connection, news: list[Change]) -> None:
    if not news:
        return
    if database.is_postgres:
        connection.execute(
            _UPDATE_MANY,
            {
                "requests": joined(one.request_id for one in news),
                "seqs": joined(one.seq for one in news),
                "status": joined(one.status for one in news),
                "state": joined(one.state for one in news),
                "cost": joined(None if one.cost is None else int(one.cost * POINT_UNITS) for one in news),
                "sent": joined(one.sent_ms for one in news),
                "final": joined(one.final_ms for one in news),
            },
        )
        return
    connection.execute(
        _UPDATE_ONE,
        [
            {
                "of_request": one.request_id,
                "of_seq": one.seq,
                "to_status": one.status,
                "to_state": one.state,
                "to_cost": one.cost,
                "to_sent": one.sent_ms,
                "to_final": one.final_ms,
            }
            for one in news
        ],
    )


def reply_digest(batch_id: str, number: str, time_raw: str, words: str) -> str:
    """One reply's identity: polling and callbacks may bring it many times."""
    return hashlib.sha256(f"{batch_id}\x1f{number}\x1f{time_raw}\x1f{words}".encode()).hexdigest()


def _store_replies(
    database: Database,
    connection: Connection,
    batch: Batch,
    known: dict[str, Known],
    rows: Sequence[StatusRow],
    now_ms: int,
) -> None:
    values = []
    for row in rows:
        number = plain_number(row.mobile)
        owner = known.get(number)
        for one in row.replies:
            # By the minute's digits, not by the letters: polling and callbacks write times in different ways.
            time_key = str(milliseconds(one.time) or one.time_raw.strip())
            values.append(
                {
                    "account": batch.account,
                    "batch_id": batch.batch_id,
                    # Whatever stands there: a row that the table cannot hold would hold up the batch for ever.
                    "number": number[:NUMBER_LENGTH],
                    "text": one.text,
                    "replied_ms": milliseconds(one.time),
                    "stored_ms": now_ms,
                    "request_id": owner.request_id if owner else None,
                    "seq": owner.seq if owner else None,
                    "digest": reply_digest(batch.batch_id, number, time_key, one.text),
                }
            )
    if values:
        dialect = postgresql if database.is_postgres else sqlite
        connection.execute(dialect.insert(reply).on_conflict_do_nothing(), values)
