"""What a run reads from the ledger, and the one thing that it writes there: that time has passed."""

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import func, select, update

from tests.chaos.counting import Row
from worker.ledger.database import Database
from worker.ledger.tables import chunk, event, inbox, message, request


@dataclass(slots=True)
class Unknowns:
    """Chunks that were unknown at some time, by how they were settled, and those that still are."""

    settled: Counter[str] = field(default_factory=Counter)
    held: int = 0

    @property
    def total(self) -> int:
        return self.settled.total() + self.held


def waiting(database: Database, lane: str | None = None) -> int:
    """Messages that wait, of one lane or of all."""
    wanted = (
        select(func.count())
        .select_from(message.join(request, request.c.id == message.c.request_id))
        .where(message.c.due_ms.is_not(None), request.c.state == "ready")
    )
    with database.read() as connection:
        return connection.scalar(wanted if lane is None else wanted.where(request.c.lane == lane)) or 0


def chunks(database: Database) -> Counter[str]:
    """Chunks by state; `open` are those accepted whose messages are not all final."""
    is_open = (chunk.c.state == "accepted") & (chunk.c.pending > 0)
    with database.read() as connection:
        rows = connection.execute(select(chunk.c.state, func.count().label("n")).group_by(chunk.c.state))
        found = Counter({str(row.state): int(row.n) for row in rows})
        found["open"] = connection.scalar(select(func.count()).where(is_open)) or 0
    return found


def rows(database: Database) -> list[Row]:
    """Every message of the requests that were committed."""
    wanted = (
        select(message.c.number, request.c.lane, message.c.state, chunk.c.state)
        .select_from(
            message.join(request, request.c.id == message.c.request_id).outerjoin(
                chunk, chunk.c.id == message.c.chunk_id
            )
        )
        .where(request.c.state == "ready")
    )
    with database.read() as connection:
        return [Row(*row) for row in connection.execute(wanted)]


def unknowns(database: Database) -> Unknowns:
    """How the chunks that were unknown were settled."""
    once = select(event.c.chunk_id).where(event.c.kind == "chunk_unknown")
    found = Unknowns()
    with database.read() as connection:
        for row in connection.execute(select(chunk.c.state, chunk.c.settled_by).where(chunk.c.id.in_(once))):
            if row.state == "unknown":
                found.held += 1
            else:
                # Nobody settled it but the answer, which came after the lease.
                found.settled[row.settled_by or "a late answer"] += 1
    return found


def reports(database: Database) -> Counter[str]:
    """Callbacks by state."""
    with database.read() as connection:
        counted = connection.execute(select(inbox.c.state, func.count().label("n")).group_by(inbox.c.state))
        return Counter({str(row.state): int(row.n) for row in counted})


def end_leases(database: Database, before_ms: int) -> None:
    """As if a minute had passed for the chunks claimed before: their workers are dead, and their calls long over."""
    database.write(
        lambda connection: connection.execute(
            update(chunk)
            .where(chunk.c.state == "submitting", chunk.c.claimed_ms < before_ms)
            .values(lease_ms=0)
        )
    )
