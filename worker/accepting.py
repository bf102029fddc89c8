"""Accepting a published body: read, judged, committed. What can never be accepted is kept as a dead letter."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import insert
from sqlalchemy.exc import DataError

from every8d import body, phone
from every8d.errors import InvalidInput
from worker.engine import Engine
from worker.ledger.accept import accept
from worker.ledger.events import Event, record
from worker.ledger.tables import dead_letter
from worker.ledger.whole import Accepted, is_whole
from worker.states import RequestState

#: Characters of a dead body that are kept: enough to see what is wrong with it, however large it is.
DEAD_CHARS = 1_000_000

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Arrival:
    """What became of a body: the answer to its producer, and which lane has something new to do."""

    result: dict[str, Any]
    request: uuid.UUID | None = None
    account: str = ""
    lane: str = ""

    @property
    def ready(self) -> bool:
        """Whether its messages may be sent now."""
        return bool(self.result["outcome"] == RequestState.READY)


def arrive(engine: Engine, raw: object, task_id: str | None) -> Arrival:
    """Commits a published body. Never raises for what is wrong with it: that would be retried for ever."""
    try:
        page = body.parse(raw)
    except body.BadBody as error:
        return bury(engine, raw, task_id, error.reason)
    refused = _verdict(engine, page)
    accepted: Accepted
    try:
        if refused is None and is_whole(page):
            accepted = engine.intake.accept(page)
        else:
            accepted = accept(engine.database, page, refused=refused, bulk=page.lane == "bulk")
    except DataError:
        return Arrival(_bury(engine, raw, task_id, "the ledger cannot keep a value in it", page))
    result = accepted.result()
    if accepted.outcome == "conflict" or refused is not None:
        _bury(engine, raw, task_id, accepted.reason or "conflict", page)
    return Arrival(result, page.request, page.account, page.lane)


@dataclass(frozen=True, slots=True)
class Together:
    """Which of several bodies are committed, by their places in the list, and the (account, lane) to be looked at."""

    places: frozenset[int]
    lanes: frozenset[tuple[str, str]]


def arrive_together(engine: Engine, raws: list[object]) -> Together:
    """Commits those of the published bodies that are whole, new and without fault, all in one transaction.

    The others are left for `arrive`, one by one. Raises SQLAlchemy's errors; then none is committed.
    """
    pages: dict[uuid.UUID, tuple[int, body.Page]] = {}
    for place, raw in enumerate(raws):
        try:
            page = body.parse(raw)
        except body.BadBody:
            continue
        if (
            is_whole(page)
            and page.lane != "otp"
            and page.request not in pages
            and _verdict(engine, page) is None
        ):
            pages[page.request] = (place, page)
    new = engine.intake.accept_together([page for _, page in pages.values()])
    done = [one for request, one in pages.items() if request in new]
    return Together(
        frozenset(place for place, _ in done), frozenset((page.account, page.lane) for _, page in done)
    )


def bury(engine: Engine, raw: object, task_id: str | None, reason: str) -> Arrival:
    """Keeps as a dead letter what cannot be accepted. The reason names neither numbers nor texts."""
    return Arrival(_bury(engine, raw, task_id, reason))


def _verdict(engine: Engine, page: body.Page) -> str | None:
    """Why the request of this page cannot be sent, or None."""
    account = engine.settings.accounts.get(page.account)
    if account is None:
        return f"no account {page.account} in the worker's settings"
    for place, one in enumerate(page.messages):
        try:
            phone.parse(one.to, abroad=account.international)
        except InvalidInput as error:
            return f"message {place} of page {page.page}: {error}"
    return None


def _readable(raw: object) -> str:
    """What was published, as JSON that any database can keep, whatever it is."""
    try:
        words = json.dumps(raw, ensure_ascii=False, default=str)
    except (ValueError, TypeError, RecursionError):
        words = json.dumps(repr(type(raw)))
    # Half of a surrogate pair is no character; written as JSON's own escape it stays readable.
    return words[:DEAD_CHARS].encode("utf-8", "backslashreplace").decode()


def _bury(
    engine: Engine, raw: object, task_id: str | None, reason: str, page: body.Page | None = None
) -> dict[str, Any]:
    now_ms = engine.database.now_ms()
    request = page.request if page else None
    detail = f"a body of every8d.accept is dead: {reason}"
    row = {
        "at_ms": now_ms,
        "task": body.TASK,
        "task_id": task_id,
        "request_id": request,
        "account": page.account if page else None,
        "page": page.page if page else None,
        "messages": len(page.messages) if page else None,
        "reason": reason,
        "body": _readable(raw),
    }

    def work(connection: Any) -> None:
        connection.execute(insert(dead_letter).values(row))
        record(connection, Event("dead_letter", now_ms, request_id=request, detail=detail))

    engine.database.write(work, point="accept.dead_letter")
    _log.warning("dead letter", task=body.TASK, reason=reason, request=str(request) if request else None)
    return {
        "request": str(request) if request else None,
        "outcome": "dead",
        "pages": 0,
        "accepted": 0,
        "duplicates": 0,
        "reason": reason,
    }
