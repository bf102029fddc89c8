"""Whole requests: those of one page with its seal, and what any request's row is made of."""

import uuid
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

from every8d.body import Page
from worker.ledger.database import Database
from worker.ledger.rows import MessageRow, insert_messages, message_rows, milliseconds
from worker.ledger.tables import request
from worker.states import RequestState


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a page. `outcome`: staged, ready, conflict, refused (see `every8d.accept`'s result)."""

    request: uuid.UUID
    outcome: str
    pages: int
    accepted: int
    duplicates: int
    reason: str | None = None

    def result(self) -> dict[str, Any]:
        """The answer to the producer: ids and counts only."""
        return {
            "request": str(self.request),
            "outcome": self.outcome,
            "pages": self.pages,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "reason": self.reason,
        }


def is_whole(one: Page) -> bool:
    """A request of one page with a seal that lets it go: the usual case."""
    return one.page == 0 and one.seal is not None and one.seal.refused is None and one.seal.pages == 1


@dataclass(frozen=True, slots=True, repr=False)
class Whole:
    """A request of one page as it goes into the ledger: its row, its messages, and the answer to its producer."""

    row: dict[str, Any]
    messages: list[MessageRow]
    accepted: Accepted


def whole(one: Page, now_ms: int) -> Whole:
    """Prices and dates a whole request. The page must be one (`is_whole`)."""
    assert one.seal is not None  # noqa: S101 - for the type checker: the caller looked
    rows = message_rows(one, now_ms, find_duplicates=not one.duplicates)
    due = [row.due_ms for row in rows if row.due_ms is not None]
    ready = {
        "state": RequestState.READY,
        "seal_hash": one.seal.hash,
        "pages": 1,
        "size": len(rows),
        "next_due_ms": min(due, default=None),
        "sealed_ms": now_ms,
    }
    accepted = Accepted(one.request, "ready", 1, len(rows), len(rows) - len(due))
    return Whole(request_row(one, now_ms) | ready, rows, accepted)


def insert_wholes(database: Database, wholes: list[Whole]) -> set[uuid.UUID]:
    """Inserts requests that are not there yet, all in one transaction. Returns the ids of those that were new."""

    def work(connection: Connection) -> set[uuid.UUID]:
        dialect = postgresql if database.is_postgres else sqlite
        statement = dialect.insert(request).on_conflict_do_nothing().returning(request.c.id)
        new = set(connection.scalars(statement, [one.row for one in wholes]))
        insert_messages(
            database, connection, [row for one in wholes if one.row["id"] in new for row in one.messages]
        )
        return new

    return database.write(work, point="accept.whole")


def request_row(one: Page, now_ms: int) -> dict[str, Any]:
    """The header of any of its pages as the request's row, but for its state."""
    send_at_ms = milliseconds(one.send_at)
    return {
        "id": one.request,
        "account": one.account,
        "lane": one.lane,
        "text": one.text,
        "subject": one.subject,
        "send_at_ms": send_at_ms,
        "schedule": one.schedule,
        "validity_min": one.validity,
        "deadline_ms": milliseconds(one.deadline),
        "duplicates": one.duplicates,
        "pack_key": pack_key(one),
        "header_hash": one.header_hash,
        "enqueued_ms": milliseconds(one.enqueued_at),
        "created_ms": now_ms,
    }


def pack_key(one: Page) -> str:
    """Messages of requests with the same pack key (and account and lane) may go out in one gateway call."""
    # eraseBooking erases a whole batch, so a booked chunk holds one request.
    booked = str(one.request) if one.schedule == "gateway" else ""
    parts = (one.subject, str(one.validity or ""), booked)
    return sha256("\x1f".join(parts).encode()).hexdigest() if any(parts) else ""


def insert_ignored(database: Database, connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """INSERT … ON CONFLICT DO NOTHING. True when the row is new."""
    dialect = postgresql if database.is_postgres else sqlite
    statement = dialect.insert(table).values(row).on_conflict_do_nothing()
    # Not by rowcount, which drivers do not tell for every INSERT.
    return connection.execute(statement.returning(table.primary_key.columns[0])).first() is not None
