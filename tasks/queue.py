"""What producers and doorbells call."""

import uuid
from typing import Any

import structlog
from celery import Task, shared_task
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from worker import accepting, cancel, dispatch, poller, runtime
from worker.ledger.progress import progress

#: A database that is away: try again in so long, for ever. Far below the visibility timeout.
AWAY_S = 5

_log = structlog.get_logger(__name__)


@shared_task(
    name="every8d.accept",
    bind=True,
    ignore_result=False,
    max_retries=None,
    Strategy="worker.reception:strategy",
)
def accept(self: Task, /, *arguments: Any, **named: Any) -> dict[str, Any]:
    """Commits a page, a seal, or both; then rings, or in the otp lane sends at once. Result: ids and counts.

    Takes one `body`. Anybody can publish anything, so that other arguments must be kept, rather than be a TypeError.
    """
    try:
        engine = runtime.engine()
        arrival = _arrive(engine, arguments, named, self.request.id)
    except SQLAlchemyError as error:
        # Not committed, so it is not ours yet: it stays in the queue for as long as the database is away.
        raise self.retry(countdown=AWAY_S) from error
    if not arrival.ready or arrival.request is None:
        return arrival.result
    if arrival.lane == "otp":
        if not self.request.ignore_result:
            # The producer waits for the commit, not for the gateway.
            self.backend.store_result(self.request.id, arrival.result, "SUCCESS", request=self.request)
        _send_now(engine, arrival)
        if arrival.result["accepted"] > engine.account(arrival.account).chunk_size:
            runtime.wake(arrival.account, arrival.lane)
    else:
        runtime.wake(arrival.account, arrival.lane)
    return arrival.result


def _arrive(
    engine: Any, arguments: tuple[Any, ...], named: dict[str, Any], task_id: str | None
) -> accepting.Arrival:
    values = (*arguments, *named.values())
    if len(values) != 1 or not named.keys() <= {"body"}:
        raw = {"args": arguments, "kwargs": named}
        return accepting.bury(engine, raw, task_id, "its arguments are not one body")
    try:
        return accepting.arrive(engine, values[0], task_id)
    except SQLAlchemyError:
        raise
    except Exception as error:  # noqa: BLE001 - a fault of ours; the body is kept, the error's text may show it
        name = type(error).__name__
        _log.error("a body could not be accepted", task_id=task_id, error=name)
        return accepting.bury(engine, values[0], task_id, f"the worker failed on it: {name}")


def _send_now(engine: Any, arrival: accepting.Arrival) -> None:
    assert arrival.request is not None  # noqa: S101 - the caller looked
    try:
        dispatch.send_now(engine, arrival.account, arrival.lane, arrival.request)
    except (SQLAlchemyError, RedisError):
        # It is in the ledger; the next look sends it.
        runtime.wake(arrival.account, arrival.lane)


@shared_task(name="every8d.dispatch")
def dispatch_lane(account: str, lane: str) -> None:
    """A doorbell: something of this lane may be due."""
    dispatch.dispatch(runtime.engine(), account, lane)


@shared_task(name="every8d.poll")
def poll(account: str) -> None:
    """A doorbell: a batch of this account may be due for polling."""
    poller.poll(runtime.engine(), account)


@shared_task(name="every8d.status", ignore_result=False)
def status(request: str) -> dict[str, Any]:
    """How far a request is: ids and counts only."""
    found = progress(runtime.engine().database, uuid.UUID(request))
    return found.result() if found else _unknown(request)


@shared_task(name="every8d.cancel", ignore_result=False)
def cancel_request(request: str) -> dict[str, Any]:
    """Stops what can still be stopped of a request."""
    return cancel.cancel(runtime.engine(), uuid.UUID(request)) or _unknown(request)


def _unknown(request: str) -> dict[str, Any]:
    return {"request": request, "state": "unknown_request", "final": False}
