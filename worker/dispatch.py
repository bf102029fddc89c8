"""Dispatching a lane: claim, call, settle, again, for a slice of time. First whatever waits, only then the claim."""

import itertools
import time
import uuid

import structlog
from sqlalchemy.exc import SQLAlchemyError
from tenacity import (
    Retrying,
    retry_if_result,
    sleep_using_event,
    stop_after_attempt,
    stop_any,
    stop_when_event_set,
    wait_random_exponential,
)

from config import Lane
from every8d.errors import AccountFault, GatewayError
from worker import funds, token
from worker.breaker import BreakerOpenError
from worker.committing import keep
from worker.engine import Engine
from worker.ledger import accounts, settle
from worker.ledger.bounds import bounds_of
from worker.ledger.claim import Claim, Terms, UnpricedError, claim, due
from worker.sender import UNWANTED, Outcome, lease_s, send
from worker.session import LOGIN_PACE_MS, SessionUnavailableError

#: Tries of a call at once, with a second or two between them, before the lane backs off.
TRIES = 3
#: After so many refusals at the door (403, 429) in a row the account is paused: the gateway does not want us.
UNWANTED_LIMIT = 10

_log = structlog.get_logger(__name__)


class _Closed(Exception):
    """Nothing of the lane may go out now; `wait_s` is when to look again, None when somebody must act first."""

    def __init__(self, reason: str, wait_s: float | None) -> None:
        self.reason, self.wait_s = reason, wait_s


def dispatch(engine: Engine, alias: str, lane: str) -> None:
    """Sends what is due in a lane, for at most a slice of time. Harmless to call at any moment, any number of times."""
    engine.bell.answered(f"{alias}:{lane}")
    if alias not in engine.settings.accounts:
        _log.warning("an account without settings has messages", account=alias, lane=lane)
        return
    with engine.limiter.place(alias, engine.account(alias), lane) as place:
        if place is None:
            return
        until = time.monotonic() + engine.settings.slice_s
        while _goes_on(engine, alias, lane, until, None):
            if engine.stopping.is_set() or time.monotonic() >= until or not place.keep():
                break
        else:
            return
    # The slice is over, and there was more: the next one goes behind what else waits in the queue.
    engine.bell.dispatch(alias, lane)


def send_now(engine: Engine, alias: str, lane: str, request_id: uuid.UUID) -> None:
    """Sends one request at once, without a doorbell: the otp lane. What has to wait is found by the next look."""
    _goes_on(engine, alias, lane, time.monotonic() + engine.settings.slice_s, request_id)


def _goes_on(engine: Engine, alias: str, lane: str, until: float, only: uuid.UUID | None) -> bool:
    try:
        return _once(engine, alias, lane, until, only)
    except _Closed as closed:
        _log.info("lane waits", account=alias, lane=lane, reason=closed.reason, wait_s=closed.wait_s)
        return False


def _once(engine: Engine, alias: str, lane: str, until: float, only: uuid.UUID | None) -> bool:
    """One chunk, with a few tries at once where it was certainly not sent. False where nothing (more) is due."""
    tries = Retrying(
        # Each try is a claim of its own: the definite no before it is committed, so dying in this wait leaves no doubt.
        retry=retry_if_result(lambda result: result[0] in (Outcome.NOT_SENT, Outcome.NO_SESSION)),
        stop=stop_any(stop_after_attempt(TRIES), stop_when_event_set(engine.stopping)),
        wait=wait_random_exponential(multiplier=0.1, max=2),
        sleep=sleep_using_event(engine.stopping),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    turns = itertools.count(1)
    try:
        outcome, reason = tries(lambda: _try(engine, alias, lane, until, only, last=next(turns) >= TRIES))
    except UnpricedError as unpriced:
        return _price(engine, alias, lane, unpriced.requests)
    if outcome is Outcome.NO_SESSION:
        # Another system contends for the session: each new one is worth a try, and their pace is the wait.
        _back_off(engine, alias, lane, reason, ceiling_s=LOGIN_PACE_MS / 1000)
        return False
    if outcome in (Outcome.NOT_SENT, Outcome.UNKNOWN):
        # Unknown, too: a front that answers every call with an error page must not get the whole campaign.
        _back_off(engine, alias, lane, reason)
        return False
    if outcome is Outcome.BLOCKED:
        raise _Closed(reason, None)
    return outcome is not None


def _price(engine: Engine, alias: str, lane: str, requests: list[uuid.UUID]) -> bool:
    """Holds the prices of requests that came to the front against the credit. True: claim again."""
    try:
        funds.price(engine, alias, requests)
    except BreakerOpenError as error:
        raise _Closed(str(error), None) from None
    except SessionUnavailableError as error:
        raise _Closed(str(error), error.wait_s) from None
    except GatewayError as error:
        if isinstance(error, AccountFault):
            engine.sessions.refused(alias, error)
        code = "" if error.code is None else f" ({error.code})"
        reason = f"the credit, which the prices are held against, is not known: no answer to getCredit{code}"
        _back_off(engine, alias, lane, reason)
        return False
    return True


def _try(
    engine: Engine, alias: str, lane: str, until: float, only: uuid.UUID | None, *, last: bool
) -> tuple[Outcome | None, str]:
    account = engine.account(alias)
    gate = _gate(engine, alias, lane)
    if only is None and not due(engine.database, alias, lane):
        return None, ""
    while wait_s := engine.limiter.permit(alias, account, lane):
        if time.monotonic() + wait_s > until or engine.stopping.wait(wait_s):
            raise _Closed("the rate limit", wait_s)
    try:
        session_key = engine.sessions.key(alias)
    except BreakerOpenError as error:
        raise _Closed(str(error), None) from None
    except SessionUnavailableError as error:
        if error.down:
            _back_off(engine, alias, lane, str(error))
        raise _Closed(str(error), error.wait_s) from None
    # Made here, because what fails after the claim leaves a chunk of which nobody knows whether it was sent.
    engine.gateways.gateway(alias)
    if engine.stopping.is_set() and only is None:
        raise _Closed("the worker stops", None)
    chunk_id = token.new_id(engine.database.now_ms())
    with engine.departures.watch(chunk_id):
        claimed = _claim(engine, alias, lane, gate.account.operations_off, only, chunk_id)
        if claimed is None:
            return None, ""
        outcome, reason = send(engine, claimed, session_key, last_try=last)
    if claimed.more and only is None:
        # Others may join while we go on; how many is the limiter's to say.
        engine.bell.dispatch(alias, lane)
    if outcome is Outcome.ACCEPTED and gate.failures:
        accounts.lane_went_well(engine.database, alias, lane)
    _log.info(
        "chunk",
        account=alias,
        lane=lane,
        outcome=str(outcome),
        messages=len(claimed.packed.messages),
        operation=claimed.packed.operation,
        reason=reason,
    )
    return outcome, reason


def _claim(
    engine: Engine,
    alias: str,
    lane: str,
    operations_off: frozenset[str],
    only: uuid.UUID | None,
    chunk_id: int,
) -> Claim | None:
    account = engine.account(alias)
    bounds = bounds_of(account, lane)
    terms = Terms(
        account.chunk_size,
        lease_s(account),
        engine.worker,
        operations_off,
        bounds,
        account.exclusive,
        priced=lane == Lane.BULK,
    )
    try:
        return claim(engine.database, alias, lane, terms, only=only, chunk_id=chunk_id)
    except SQLAlchemyError:
        # Its commit may have been made and only the answer lost: no byte has left, so it is nobody's. (Should it be
        # made only now, `departures` has the chunk in doubt.)
        keep(
            settle.given_back,
            engine.database,
            settle.Whose(chunk_id, alias, lane),
            "the claim was not answered",
        )
        raise


def _gate(engine: Engine, alias: str, lane: str) -> accounts.Gate:
    """The account's and the lane's state. Raises _Closed where nothing may go out."""
    gate = accounts.gate(engine.database, alias, lane)
    if gate.account.paused or gate.lane_paused:
        raise _Closed("the account is paused" if gate.account.paused else "the lane is paused", None)
    if gate.wait_ms:
        raise _Closed("waiting after a failure", gate.wait_ms / 1000)
    try:
        engine.sessions.check(alias, gate.account)
    except BreakerOpenError as error:
        raise _Closed(str(error), None) from None
    return gate


def _back_off(engine: Engine, alias: str, lane: str, reason: str, *, ceiling_s: float = float("inf")) -> None:
    ceiling_s = min(ceiling_s, engine.account(alias).retry_ceiling_s)
    wait_s = accounts.lane_failed(engine.database, alias, lane, reason, ceiling_s)
    _log.warning("lane backs off", account=alias, lane=lane, reason=reason, wait_s=wait_s)
    if reason in {f"HTTP {status}" for status in UNWANTED}:
        failures = accounts.gate(engine.database, alias, lane).failures
        if failures >= UNWANTED_LIMIT:
            accounts.pause_account(
                engine.database, alias, f"the gateway refused us {failures} times ({reason}): ask the vendor"
            )
