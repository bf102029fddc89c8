"""Cancelling a request: in the ledger at once, at the gateway where it is booked."""

import uuid
from typing import Any

import structlog

from every8d.errors import AccountFault, GatewayError, MessageFault, NotSent, SessionGone
from worker import points, token
from worker.apart import Apart
from worker.breaker import BreakerOpenError
from worker.engine import Engine
from worker.ledger import accounts, gate
from worker.ledger import cancel as ledger
from worker.session import SessionUnavailableError
from worker.states import EraseState

#: eraseBooking's own codes (field notes): no such data, already erased or sent, not now.
NO_DATA, TOO_LATE, NOT_NOW = -3, -4, -8
#: A booking that could not be erased now is tried again after this, until its time has come.
AGAIN_MS = 15_000

_log = structlog.get_logger(__name__)


def cancel(engine: Engine, request_id: uuid.UUID) -> dict[str, Any] | None:
    """Stops what can be stopped. Returns how many were stopped, erased, too late or pending; None for an unknown id."""
    if ledger.stop(engine.database, request_id) is None:
        return None
    for booked in ledger.claim_erasures(engine.database, only=request_id):
        _erase(engine, booked)
    counts = ledger.cancel_counts(engine.database, request_id)
    return {
        "request": str(request_id),
        "stopped": counts.stopped,
        "erased": counts.erased,
        "points_back": f"{counts.points_back:.2f}",
        "too_late": counts.too_late,
        "pending": counts.pending,
    }


def sweep_erasures(engine: Engine) -> None:
    """Erases bookings whose first try failed, or whose call was under way when they were cancelled."""
    apart = Apart("sweep_erasures")
    for booked in ledger.claim_erasures(engine.database):
        if engine.stopping.is_set():
            return
        if booked.account not in apart.failed:
            with apart.account(booked.account):
                _erase(engine, booked)


def _erase(engine: Engine, booked: ledger.Booked) -> None:
    database = engine.database
    again_ms = database.now_ms() + AGAIN_MS
    if booked.account not in engine.settings.accounts:
        _log.warning("an account without settings has bookings to erase", account=booked.account)
        ledger.erasure_ended(database, booked, EraseState.WANTED, again_ms=again_ms)
        return
    account = engine.account(booked.account)
    if account.exclusive and not ledger.begin_erasure(
        database, booked, int(account.call_deadline_s * 2000) + ledger.ASK_AGAIN_MS
    ):
        ledger.erasure_ended(database, booked, EraseState.WANTED, again_ms=database.now_ms() + gate.CLOSED_MS)
        return
    try:
        answer = _ask(engine, booked)
    except MessageFault as error:
        if error.code == NOT_NOW:
            ledger.erasure_ended(database, booked, EraseState.WANTED, again_ms=again_ms)
        else:
            ledger.erasure_ended(database, booked, EraseState.TOO_LATE)
    except (NotSent, SessionUnavailableError, BreakerOpenError):
        ledger.erasure_ended(database, booked, EraseState.WANTED, again_ms=again_ms)
    except AccountFault as error:
        engine.sessions.refused(booked.account, error)
        ledger.erasure_ended(database, booked, EraseState.WANTED, again_ms=again_ms)
    except GatewayError as error:
        # It may be erased. Asking again would say "already erased or sent", which says nothing; polling will.
        _log.warning("eraseBooking: no answer", chunk=token.encode(booked.chunk_id), reason=str(error))
        ledger.erasure_ended(database, booked, EraseState.UNKNOWN)
    else:
        if answer is None:
            ledger.erasure_ended(database, booked, EraseState.TOO_LATE)
        else:
            ledger.erased(database, booked, answer)


def _ask(engine: Engine, booked: ledger.Booked) -> Any:
    # A refused account is asked for nothing, also while a key of its is still there.
    engine.sessions.check(booked.account, accounts.account_row(engine.database, booked.account))
    gateway = engine.gateways.gateway(booked.account)
    session_key = engine.sessions.key(booked.account)
    try:
        with points.call("eraseBooking"):
            return gateway.erase_booking(session_key, booked.batch_id)
    except SessionGone:
        engine.sessions.gone(booked.account, session_key)
    session_key = engine.sessions.key(booked.account)
    with points.call("eraseBooking"):
        return gateway.erase_booking(session_key, booked.batch_id)
