"""Driving an engine in the test's own process: enqueue, dispatch, poll, and read what the ledger says."""

import time
import uuid
from typing import Any

from sqlalchemy import Table, select

from tests.support import bodies
from tests.support.servers import Clock
from worker.accepting import arrive
from worker.dispatch import dispatch
from worker.engine import Engine
from worker.ledger.progress import progress
from worker.ledger.tables import chunk, event
from worker.poller import poll

ALIAS = "default"


def clock_now() -> Clock:
    """A clock that stands still at the present moment: bookings need the gateway's time to be near."""
    return Clock(int(time.time() * 1000))


def enqueue(engine: Engine, **fields: Any) -> uuid.UUID:
    """Accepts a request of one page, which must then be ready. Returns its id."""
    body = bodies.sealed(bodies.page(**fields))
    arrival = arrive(engine, body, "a-task")
    assert arrival.result["outcome"] == "ready", arrival.result
    return uuid.UUID(body["request"])


def enqueue_pages(engine: Engine, count: int, *, per_page: int = 1000, **fields: Any) -> uuid.UUID:
    """Accepts a request of several pages of plain numbers, and its seal."""
    request, pages = uuid.uuid4(), []
    for number, first in enumerate(range(0, count, per_page)):
        to = bodies.numbers(min(per_page, count - first), first)
        pages.append(bodies.page(request, number=number, to=to, **fields))
        arrive(engine, pages[-1], None)
    assert arrive(engine, bodies.seal_alone(pages), None).result["outcome"] == "ready"
    return request


def send(engine: Engine, lane: str = "normal") -> None:
    """What a worker does when the lane's doorbell rings."""
    dispatch(engine, ALIAS, lane)


def poll_now(engine: Engine) -> None:
    """What a worker does when the doorbell for polling rings."""
    poll(engine, ALIAS)


def counts(engine: Engine, request: uuid.UUID) -> dict[str, int]:
    """The request's messages, counted by what people read."""
    found = progress(engine.database, request)
    assert found is not None
    return found.counts


def rows(engine: Engine, table: Table, **where: Any) -> list[Any]:
    """The rows of a table, oldest first."""
    wanted = select(table).order_by(*table.primary_key.columns)
    for name, value in where.items():
        wanted = wanted.where(table.c[name] == value)
    with engine.database.read() as connection:
        return list(connection.execute(wanted).all())


def chunk_states(engine: Engine) -> list[str]:
    """The states of all chunks, oldest first."""
    return [row.state for row in sorted(rows(engine, chunk), key=lambda row: (row.claimed_ms, row.id))]


def kinds(engine: Engine) -> list[str]:
    """The kinds of the events, oldest first."""
    return [row.kind for row in rows(engine, event)]
