"""Settling after the event: what a process that died, or could not reach the ledger, left to be said of its chunks."""

from collections.abc import Collection

from sqlalchemy import Connection, select, update

from every8d.replies import SendReply
from worker import token
from worker.ledger.database import Database
from worker.ledger.events import Event, record
from worker.ledger.settle import Whose
from worker.ledger.tables import chunk
from worker.states import ChunkState

_OPEN = (ChunkState.SUBMITTING, ChunkState.UNKNOWN)


def open_chunks(database: Database, ids: Collection[int]) -> list[Whose]:
    """Those of the chunks that are not settled yet."""
    wanted = select(chunk.c.id, chunk.c.account, chunk.c.lane).where(
        chunk.c.id.in_(list(ids)), chunk.c.state.in_(_OPEN)
    )
    with database.read() as connection:
        return [Whose(row.id, row.account, row.lane) for row in connection.execute(wanted)] if ids else []


def is_here(database: Database, chunk_id: int) -> bool:
    """Whether this ledger has the chunk at all."""
    with database.read() as connection:
        return connection.execute(select(chunk.c.id).where(chunk.c.id == chunk_id)).first() is not None


def answer_came_late(database: Database, whose: Whose, reply: SendReply, next_poll_ms: int) -> bool:
    """The answer of a chunk that is settled already. True where both say the same.

    A chunk that others settled as accepted gets its BatchID now, and is polled. One that was settled as not sent went
    out all the same: an alert says so, because its messages may have gone out twice.
    """
    now_ms = database.now_ms()

    def work(connection: Connection) -> bool:
        row = connection.execute(
            select(chunk.c.state, chunk.c.batch_id).where(chunk.c.id == whose.id).with_for_update()
        ).first()
        if row is not None and row.batch_id == reply.batch_id:
            return True
        if row is not None and row.state == ChunkState.ACCEPTED and row.batch_id is None:
            values = {
                "batch_id": reply.batch_id,
                "credit": reply.credit,
                "sended": reply.sended,
                "cost": reply.cost,
                "unsend": reply.unsend,
                "raw": reply.raw,
                "next_poll_ms": next_poll_ms,
            }
            connection.execute(update(chunk).where(chunk.c.id == whose.id).values(values))
            return True
        detail = (
            f"the gateway accepted chunk {token.encode(whose.id)} as batch {reply.batch_id}, but it was settled as "
            f"{row.state if row else 'gone'} before its answer came: its messages may go out twice"
        )
        record(connection, Event("sent_after_all", now_ms, whose.account, whose.lane, None, whose.id, detail))
        return False

    return database.write(work, point="settle.late_answer")
