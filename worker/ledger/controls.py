"""What operators pause and resume: an account, a lane, a request. Each is recorded with who, why and when."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from worker.ledger import pauses
from worker.ledger.database import Database
from worker.ledger.events import Event, record
from worker.ledger.funds import HELD
from worker.ledger.operators import WrongState
from worker.ledger.pauses import CREDIT, LIMIT, Pause, Target
from worker.ledger.queries import NotFound
from worker.ledger.tables import account, chunk, message, request
from worker.states import ChunkState

#: `request.funds` of a request that goes out whatever it costs, because an operator said so.
OVERRIDDEN = "operator"


class NotPaused(WrongState):
    """There is no pause of exactly this to end."""

    def __init__(self, target: Target) -> None:
        super().__init__(f"{target} is not paused")
        self.target = target

    def in_chinese(self) -> str:
        return f"{self.target.in_chinese()} 並未暫停"


class RequestOver(WrongState):
    """Nothing of the request is sent any more: it was cancelled, refused or abandoned."""

    def __init__(self, target: Target, state: str) -> None:
        super().__init__(f"{target} is {state}: nothing of it is sent any more")
        self.target, self.state = target, state

    def in_chinese(self) -> str:
        return f"{self.target.in_chinese()} 已結束（{self.state}），不會再發送"


@dataclass(frozen=True, slots=True)
class Paused:
    """What is paused now. `under_way`: gateway calls that had begun, and end as they will."""

    target: Target
    under_way: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """What goes on, which pause that ended, and which others still hold it back."""

    target: Target
    was: Pause
    still: tuple[Pause, ...]


def pause(database: Database, target: Target, *, by: str, why: str) -> Paused:
    """Nothing of the target begins to be sent from this commit on; what is under way is told.

    A target that is paused already keeps its pause, now by this name and for this reason. Raises NotFound, and
    RequestOver for a request of which nothing can go out any more.
    """
    now_ms = database.now_ms()

    def work(connection: Connection) -> Paused:
        whole = _known(connection, target)
        pauses.put(database, connection, whole, by, why, now_ms, over=True)
        record(connection, _event("paused", whole, now_ms, f"{by} paused {whole}: {why}"))
        return Paused(whole, _under_way(connection, whole))

    return database.write(work, point="operator.pause")


def resume(database: Database, target: Target, *, by: str, why: str) -> Resumed:
    """The target goes on, whoever paused it. Raises NotFound, NotPaused, RequestOver.

    A lane that a limit on points had paused may spend the whole limit again. A request that was held for want of
    credit goes out whatever it costs: what the credit does not cover is for the gateway to leave unsent.
    """
    now_ms = database.now_ms()

    def work(connection: Connection) -> Resumed:
        whole = _known(connection, target)
        was = pauses.stands(connection, whole)
        if was is None:
            raise NotPaused(whole)
        more: dict[str, Any] = {}
        if whole.what == "lane" and was.by == LIMIT:
            more = {"limit_since_ms": now_ms}
        elif whole.what == "request" and was.by == CREDIT:
            more = {"funds": OVERRIDDEN}
        elif whole.what == "request":
            # Held for its price, and then by an operator for something else: the price is judged anew.
            more = {"funds": func.nullif(request.c.funds, HELD)}
        pauses.lift(connection, whole, **more)
        record(connection, _event("resumed", whole, now_ms, f"{by} resumed {whole}: {why}"))
        return Resumed(whole, was, tuple(pauses.holding(connection, whole)))

    return database.write(work, point="operator.resume")


def _known(connection: Connection, target: Target) -> Target:
    """The target with the account and the lane of its request, whose row is then locked."""
    if target.request is None:
        if connection.scalar(select(account.c.alias).where(account.c.alias == target.account)) is None:
            raise NotFound(f"the ledger has no account {target.account}")
        return target
    row = connection.execute(
        select(request.c.account, request.c.lane, request.c.state)
        .where(request.c.id == target.request)
        .with_for_update()
    ).first()
    if row is None:
        raise NotFound(f"the ledger has no request {target.request}")
    if row.state not in pauses.OPEN:
        raise RequestOver(target, row.state)
    return Target(row.account, row.lane, target.request)


def _under_way(connection: Connection, target: Target) -> int:
    """Calls of the target that are claimed: nothing stops them."""
    wanted = select(func.count()).where(
        chunk.c.state == ChunkState.SUBMITTING, chunk.c.account == target.account
    )
    if target.lane:
        wanted = wanted.where(chunk.c.lane == target.lane)
    if target.request:
        mine = select(message.c.chunk_id).where(
            message.c.request_id == target.request, message.c.chunk_id.is_not(None)
        )
        wanted = wanted.where(chunk.c.id.in_(mine))
    return connection.scalar(wanted) or 0


def _event(kind: str, target: Target, now_ms: int, detail: str) -> Event:
    return Event(kind, now_ms, target.account, target.lane, request_id=target.request, detail=detail)
