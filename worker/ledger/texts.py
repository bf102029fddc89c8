"""Messages and replies as people read them, with their numbers and words: printed only where they are asked for."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import select

from worker import token
from worker.ledger import tables
from worker.ledger.database import Database
from worker.ledger.pauses import Pause, Target, holding
from worker.ledger.progress import word
from worker.ledger.queries import NotFound, at, moment


@dataclass(frozen=True, slots=True, repr=False)
class ReplyRow:
    """A text that was sent back. It holds a number and words: print them only where they are asked for."""

    received_at: datetime
    replied_at: datetime | None
    account: str | None
    number: str
    text: str
    request: str | None
    batch_id: str
    source: str


def replies(
    database: Database,
    *,
    account: str | None = None,
    request: str | None = None,
    since: datetime | None = None,
    limit: int = 100,
) -> list[ReplyRow]:
    """The replies, newest first."""
    reply = tables.reply
    wanted = select(reply).order_by(reply.c.id.desc()).limit(limit)
    if account is not None:
        wanted = wanted.where(reply.c.account == account)
    if request is not None:
        wanted = wanted.where(reply.c.request_id == request_id(request))
    if since is not None:
        wanted = wanted.where(reply.c.stored_ms >= int(since.timestamp() * 1000))
    with database.read() as connection:
        rows = connection.execute(wanted).all()
    return [
        ReplyRow(
            received_at=at(row.stored_ms),
            replied_at=moment(row.replied_ms),
            account=row.account,
            number=row.number,
            text=row.text,
            request=str(row.request_id) if row.request_id else None,
            batch_id=row.batch_id,
            source="polling",
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True, repr=False)
class MessageStatus:
    """One message as an operator sees it. It holds a number: print it only where it is asked for."""

    seq: int
    number: str
    state: str
    status: int | None
    status_raw: str
    segments: int
    cost: Decimal | None
    chunk: str | None
    batch_id: str | None
    sent_at: datetime | None
    final_at: datetime | None
    #: It waits, and not before this.
    due_at: datetime | None
    name: str


def request_messages(
    database: Database, request: str, *, state: str | None = None, after_seq: int = -1, limit: int = 1000
) -> list[MessageStatus]:
    """A request's messages, by sequence number. Raises NotFound."""
    message, chunk, wanted_id = tables.message, tables.chunk, request_id(request)
    state_word = word(database.now_ms()).label("word")
    wanted = (
        select(message, chunk.c.batch_id, state_word)
        .select_from(message.outerjoin(chunk, chunk.c.id == message.c.chunk_id))
        .where(message.c.request_id == wanted_id, message.c.seq > after_seq)
        .order_by(message.c.seq)
        .limit(limit)
    )
    if state is not None:
        wanted = wanted.where(state_word == state)
    with database.read() as connection:
        known = connection.scalar(select(tables.request.c.id).where(tables.request.c.id == wanted_id))
        if known is None:
            raise NotFound(f"the ledger has no request {request}")
        rows = connection.execute(wanted).all()
    return [
        MessageStatus(
            seq=row.seq,
            number=row.number,
            state=row.word,
            status=row.status,
            status_raw="" if row.status is None else str(row.status),
            segments=row.points,
            cost=row.cost,
            chunk=token.encode(row.chunk_id) if row.chunk_id else None,
            batch_id=row.batch_id,
            sent_at=moment(row.sent_ms),
            final_at=moment(row.final_ms),
            due_at=moment(row.due_ms),
            name=row.name or "",
        )
        for row in rows
    ]


def request_pauses(database: Database, request: str) -> list[Pause]:
    """What holds the request back: its account, its lane, itself. Raises NotFound."""
    wanted_id = request_id(request)
    with database.read() as connection:
        row = connection.execute(
            select(tables.request.c.account, tables.request.c.lane).where(tables.request.c.id == wanted_id)
        ).first()
        if row is None:
            raise NotFound(f"the ledger has no request {request}")
        return holding(connection, Target(row.account, row.lane, wanted_id))


def request_id(text: str) -> uuid.UUID:
    """A request's id as people type it. Raises NotFound for what is none."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise NotFound(f"{text} is no request's id") from None
