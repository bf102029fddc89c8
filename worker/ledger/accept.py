"""Accepting a page: from this commit on its messages are ours, and no loss of Redis, worker or machine loses them.

Accepting the same page again, from whoever, changes nothing. Pages may come in any order, their seal before them; a
request is ready for sending when its seal and all its pages are there, and never before.
"""

import uuid
from typing import Any

from sqlalchemy import Connection, func, select, update

from every8d.body import PAGE_LIMIT, Page, Seal, seal_hash
from worker.ledger.database import Database
from worker.ledger.events import Event, record
from worker.ledger.rows import insert_messages, message_rows
from worker.ledger.tables import message, page, request
from worker.ledger.whole import Accepted, insert_ignored, is_whole, request_row, whole
from worker.states import MessageState, RequestState


class _ConflictError(Exception):
    """The same request id with another body: nothing of it may be written."""


def accept(database: Database, one: Page, *, refused: str | None = None, bulk: bool = False) -> Accepted:
    """Commits a page, a seal, or both, in one transaction.

    `refused`: the worker's own verdict on the request (an account that is not there, numbers that cannot be): it is
    kept, and nothing of it is ever sent.
    """
    now_ms = database.now_ms()
    try:
        return database.write(
            lambda connection: _accept(database, connection, one, refused, now_ms),
            bulk=bulk,
            point="accept.page",
        )
    except _ConflictError as error:
        return Accepted(one.request, "conflict", 0, 0, 0, str(error))


def _accept(
    database: Database, connection: Connection, one: Page, refused: str | None, now_ms: int
) -> Accepted:
    if (
        refused is None
        and is_whole(one)
        and (done := _accept_whole(database, connection, one, now_ms)) is not None
    ):
        return done
    insert_ignored(database, connection, request, request_row(one, now_ms) | {"state": RequestState.STAGED})
    came = refused is None and one.page is not None and _insert_page(database, connection, one, now_ms)
    # From here on one page of a request at a time: whoever is last sees the others' pages and the seal. Not FOR
    # UPDATE, which waits for the foreign keys of others' pages: two pages at once would lock each other out.
    row = connection.execute(
        select(request.c.state, request.c.header_hash, request.c.seal_hash, request.c.pages, request.c.size)
        .where(request.c.id == one.request)
        .with_for_update(key_share=True)
    ).one()
    if row.header_hash != one.header_hash:
        raise _ConflictError("another request has this id: the idempotency key was used with other values")
    if row.state in (RequestState.READY, RequestState.CANCELLED, RequestState.REFUSED):
        if came:
            _too_late(connection, one, row.state, now_ms)
        return _repeated(connection, one, row.state, row.seal_hash)
    if one.seal is not None and row.seal_hash not in (None, one.seal.hash):
        raise _ConflictError("another request has this id: the idempotency key was used with other messages")
    verdict = refused or (f"{one.seal.refused.reason}" if one.seal and one.seal.refused else None)
    if verdict is not None:
        _refuse(connection, one, verdict, now_ms)
        return Accepted(one.request, "refused", 0, 0, 0, verdict)
    seal = one.seal or _kept_seal(row)
    changes: dict[str, Any] = {}
    if row.state == RequestState.ABANDONED:
        # Its producer came back, with the same idempotency key: nothing had been sent, so it may go on.
        changes = {"state": RequestState.STAGED, "created_ms": now_ms, "reason": None}
    if one.seal is not None:
        changes |= {"seal_hash": one.seal.hash, "pages": one.seal.pages, "size": one.seal.count}
    if changes:
        connection.execute(update(request).where(request.c.id == one.request).values(changes))
    there = connection.execute(
        select(page.c.hash, page.c.size).where(page.c.request_id == one.request).order_by(page.c.page)
    ).all()
    if seal is None or len(there) < seal.pages:
        return Accepted(one.request, "staged", len(there), sum(row.size for row in there), 0)
    found = (len(there), sum(row.size for row in there), seal_hash([row.hash for row in there]))
    if found != (seal.pages, seal.count, seal.hash):
        _refuse(connection, one, "seal_does_not_fit", now_ms)
        return Accepted(one.request, "refused", len(there), 0, 0, "seal_does_not_fit")
    return _ready(connection, one, seal, now_ms)


def _accept_whole(database: Database, connection: Connection, one: Page, now_ms: int) -> Accepted | None:
    """None where the ledger has some of the request, not sealed."""
    assert one.seal is not None  # noqa: S101 - for the type checker: the caller looked
    ready = whole(one, now_ms)
    if insert_ignored(database, connection, request, ready.row):
        insert_messages(database, connection, ready.messages)
        return ready.accepted
    row = connection.execute(
        select(request.c.state, request.c.header_hash, request.c.seal_hash).where(request.c.id == one.request)
    ).one()
    if row.header_hash != one.header_hash:
        raise _ConflictError("another request has this id: the idempotency key was used with other values")
    if row.state in (RequestState.STAGED, RequestState.ABANDONED):
        return None
    return _repeated(connection, one, row.state, row.seal_hash)


def _insert_page(database: Database, connection: Connection, one: Page, now_ms: int) -> bool:
    """True when the page is new."""
    assert one.page is not None  # noqa: S101 - for the type checker: the caller looked
    row = {"request_id": one.request, "page": one.page, "hash": one.page_hash, "size": len(one.messages)}
    if insert_ignored(database, connection, page, row):
        state = connection.scalar(select(request.c.state).where(request.c.id == one.request))
        if state == RequestState.READY:
            raise _ConflictError("a page more than its request's seal says")
        insert_messages(database, connection, message_rows(one, now_ms, find_duplicates=False))
        return True
    kept = connection.scalar(
        select(page.c.hash).where(page.c.request_id == one.request, page.c.page == one.page)
    )
    if kept != one.page_hash:
        raise _ConflictError("this page is there already, with other messages")
    return False


def _too_late(connection: Connection, one: Page, state: str, now_ms: int) -> None:
    """A new page of a request that is settled, perhaps while the page was being written."""
    if state == RequestState.READY:
        raise _ConflictError("a page more than its request's seal says")
    ended = MessageState.CANCELLED if state == RequestState.CANCELLED else MessageState.REFUSED
    _end_waiting(connection, one.request, ended, now_ms)


def _end_waiting(connection: Connection, request_id: uuid.UUID, state: MessageState, now_ms: int) -> None:
    connection.execute(
        update(message)
        .where(message.c.request_id == request_id, message.c.due_ms.is_not(None))
        .values(state=state, due_ms=None, final_ms=now_ms)
    )


def _kept_seal(row: Any) -> Seal | None:
    return None if row.seal_hash is None else Seal(row.pages, row.size, row.seal_hash, None)


def _repeated(connection: Connection, one: Page, state: str, kept_hash: str | None) -> Accepted:
    if one.seal is not None and one.seal.refused is None and kept_hash not in (None, one.seal.hash):
        raise _ConflictError("another request has this id: the idempotency key was used with other messages")
    if state == RequestState.REFUSED:
        reason = connection.scalar(select(request.c.reason).where(request.c.id == one.request))
        return Accepted(one.request, "refused", 0, 0, 0, reason)
    if kept_hash is None:
        return Accepted(one.request, "refused", 0, 0, 0, "it was cancelled before its seal came")
    row = connection.execute(select(request.c.pages, request.c.size).where(request.c.id == one.request)).one()
    duplicates = 0
    if one.seal is not None:
        duplicates = (
            connection.scalar(
                select(func.count()).where(
                    message.c.request_id == one.request, message.c.state == MessageState.DUPLICATE
                )
            )
            or 0
        )
    return Accepted(one.request, "ready", row.pages, row.size, duplicates)


def _refuse(connection: Connection, one: Page, reason: str, now_ms: int) -> None:
    rows = one.seal.refused.count if one.seal and one.seal.refused else 0
    connection.execute(
        update(request)
        .where(request.c.id == one.request)
        .values(state=RequestState.REFUSED, reason=reason, sealed_ms=now_ms, next_due_ms=None)
    )
    _end_waiting(connection, one.request, MessageState.REFUSED, now_ms)
    detail = f"the request is refused, nothing of it is sent: {reason}" + (f", {rows} rows" if rows else "")
    record(
        connection,
        Event(
            "request_refused",
            now_ms,
            account=one.account,
            lane=one.lane,
            request_id=one.request,
            detail=detail,
        ),
    )


def _ready(connection: Connection, one: Page, seal: Seal, now_ms: int) -> Accepted:
    """All is there: drop what stands twice, and open the gate."""
    duplicates = 0 if one.duplicates else _drop_duplicates(connection, one.request, now_ms)
    waiting = select(func.min(message.c.due_ms)).where(
        message.c.request_id == one.request, message.c.due_ms.is_not(None)
    )
    connection.execute(
        update(request)
        .where(request.c.id == one.request)
        .values(state=RequestState.READY, sealed_ms=now_ms, next_due_ms=waiting.scalar_subquery())
    )
    return Accepted(one.request, "ready", seal.pages, seal.count, duplicates)


def _drop_duplicates(connection: Connection, request_id: uuid.UUID, now_ms: int) -> int:
    place = (
        func.row_number()
        .over(partition_by=(message.c.number, func.coalesce(message.c.text, "")), order_by=message.c.seq)
        .label("place")
    )
    ranked = select(message.c.seq, place).where(message.c.request_id == request_id).subquery()
    # Found first and ended after: in one statement a planner that has not seen the new rows yet compares each with
    # all, and a seal of 50,000 takes for ever.
    again = list(connection.scalars(select(ranked.c.seq).where(ranked.c.place > 1)))
    for first in range(0, len(again), PAGE_LIMIT):
        connection.execute(
            update(message)
            .where(
                message.c.request_id == request_id,
                message.c.seq.in_(again[first : first + PAGE_LIMIT]),
                message.c.due_ms.is_not(None),
            )
            .values(state=MessageState.DUPLICATE, due_ms=None, final_ms=now_ms)
        )
    return len(again)


def abandon_staged(database: Database, older_than_ms: int, *, limit: int = 100) -> list[uuid.UUID]:
    """Gives up requests whose seal did not come: nothing of them was sent, nothing will be. Returns their ids."""
    now_ms = database.now_ms()

    def work(connection: Connection) -> list[uuid.UUID]:
        rows = connection.execute(
            select(request.c.id, request.c.account, request.c.lane)
            .where(request.c.state == RequestState.STAGED, request.c.created_ms <= now_ms - older_than_ms)
            .order_by(request.c.created_ms)
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).all()
        for row in rows:
            connection.execute(
                update(request)
                .where(request.c.id == row.id)
                .values(state=RequestState.ABANDONED, reason="its seal did not come")
            )
            detail = "the request was not sealed in time, nothing of it is sent: its producer died or gave up"
            record(
                connection,
                Event(
                    "request_abandoned",
                    now_ms,
                    account=row.account,
                    lane=row.lane,
                    request_id=row.id,
                    detail=detail,
                ),
            )
        return [row.id for row in rows]

    return database.write(work, point="accept.abandon")
