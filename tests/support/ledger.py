"""Short ways to fill a ledger and to look into it, for tests that are about one step of a message's life."""

import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from threading import Barrier
from typing import Any, TypeVar

from sqlalchemy import Row, func, select
from sqlalchemy import event as sqlalchemy_event

from every8d import body
from every8d.replies import ReplySms, SendReply, StatusRow
from tests.support import bodies
from worker.ledger import settle
from worker.ledger.accept import accept
from worker.ledger.claim import Claim, Terms, claim
from worker.ledger.database import Database
from worker.ledger.tables import chunk, event, message, request

T = TypeVar("T")
BATCH = "220478cc-8506-49b2-93b7-2505f651c12e"


def moment(milliseconds: int) -> str:
    """Milliseconds since 1970 as a body writes a time."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()


def put(database: Database, count: int = 0, **fields: Any) -> uuid.UUID:
    """A request, ready to be claimed: `count` plain numbers, or one page with `to` or `messages`."""
    if not count:
        pages = [bodies.page(**fields)]
    else:
        key, rows = (
            uuid.uuid4(),
            [bodies.numbers(count)[first : first + 1000] for first in range(0, count, 1000)],
        )
        pages = [bodies.page(key, number=number, to=to, **fields) for number, to in enumerate(rows)]
    parts = [bodies.sealed(pages[0])] if len(pages) == 1 else [*pages, bodies.seal_alone(pages)]
    parsed = [body.parse(part) for part in parts]
    assert [accept(database, part).outcome for part in parsed][-1] == "ready"
    return parsed[0].request


def take(
    database: Database, *, size: int = 500, account: str = "default", lane: str = "normal", **terms: Any
) -> Claim | None:
    """The next chunk of a lane."""
    only = terms.pop("only", None)
    return claim(database, account, lane, Terms(size, terms.pop("lease_s", 90), "test", **terms), only=only)


def taken(database: Database, **how: Any) -> Claim:
    """The next chunk, of which the test knows that it is there."""
    found = take(database, **how)
    assert found is not None
    return found


def whose(claimed: Claim) -> settle.Whose:
    return settle.Whose(claimed.id, claimed.account, claimed.lane)


def reply(sended: int, *, unsend: int = 0, batch_id: str = BATCH, credit: str = "100.00") -> SendReply:
    return SendReply(Decimal(credit), sended, Decimal(sended), unsend, batch_id, raw=f"{credit},{sended},…")


def send(database: Database, *, batch_id: str = BATCH, next_poll_ms: int | None = None, **how: Any) -> Claim:
    """Takes the next chunk and settles it as accepted."""
    claimed = taken(database, **how)
    answer = reply(len(claimed.packed.messages), batch_id=batch_id)
    when = database.now_ms() if next_poll_ms is None else next_poll_ms
    assert settle.accepted(database, whose(claimed), answer, when)
    return claimed


def row(
    number: str, status: int | None, *, cost: str | None = "1.00", replies: Iterable[str] = ()
) -> StatusRow:
    """A row of a delivery status, as the gateway's XML is read."""
    at = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    said = tuple(ReplySms(at, "2026/01/01 08:01:00", words) for words in replies)
    raw = "" if status is None else str(status)
    return StatusRow("", number, at, None if cost is None else Decimal(cost), status, raw, said)


def messages(database: Database, request_id: uuid.UUID | None = None) -> list[Row[Any]]:
    """All messages, or a request's, by request and sequence number."""
    wanted = select(message).order_by(message.c.request_id, message.c.seq)
    if request_id is not None:
        wanted = wanted.where(message.c.request_id == request_id)
    with database.read() as connection:
        return list(connection.execute(wanted))


def states(database: Database, request_id: uuid.UUID | None = None) -> dict[str, int]:
    """How many messages there are in each state."""
    found: dict[str, int] = {}
    for one in messages(database, request_id):
        found[one.state] = found.get(one.state, 0) + 1
    return found


def request_row(database: Database, request_id: uuid.UUID) -> Row[Any]:
    with database.read() as connection:
        return connection.execute(select(request).where(request.c.id == request_id)).one()


def chunk_row(database: Database, claimed: Claim) -> Row[Any]:
    with database.read() as connection:
        return connection.execute(select(chunk).where(chunk.c.id == claimed.id)).one()


def events(database: Database) -> dict[str, int]:
    """How many events there are of each kind."""
    with database.read() as connection:
        counted = select(event.c.kind, func.count().label("n")).group_by(event.c.kind)
        return {one.kind: one.n for one in connection.execute(counted)}


def failures(database: Database) -> list[str]:
    """A list that every failed statement from now on adds to, also those that are repeated: deadlocks, for one."""
    found: list[str] = []

    @sqlalchemy_event.listens_for(database.engine, "handle_error")
    def _keep(context: Any) -> None:
        found.append(type(context.original_exception).__name__)

    return found


def at_once(calls: Iterable[Callable[[], T]]) -> list[T]:
    """Runs the calls in threads that begin together. Raises what the first failed one raised."""
    calls = list(calls)
    together = Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        together.wait(30)
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))
