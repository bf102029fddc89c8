"""The sweeps: each looks at a state of the ledger and does what is due, so a lost doorbell or tick costs seconds."""

import contextlib
from decimal import Decimal

import structlog

from every8d.errors import AccountFault, GatewayError, SessionGone
from worker import points
from worker.apart import Apart
from worker.breaker import BreakerOpenError
from worker.engine import Engine
from worker.ledger import accept, accounts, caps, claim, polls, settle
from worker.ledger.credit import keep_credit
from worker.ledger.queries import last_used_ms
from worker.session import SessionUnavailableError

_log = structlog.get_logger(__name__)


def sweep_due(engine: Engine) -> None:
    """Rings for each lane in which something is due."""
    for alias, lane in claim.due_lanes(engine.database):
        engine.bell.dispatch(alias, lane)


def sweep_polls(engine: Engine) -> None:
    """Rings for each account with a batch to poll."""
    for alias in polls.due_polls(engine.database):
        engine.bell.poll(alias)


def sweep_leases(engine: Engine) -> None:
    """Chunks whose worker is gone become unknown: never sent again by themselves."""
    for whose in settle.expire_leases(engine.database):
        _log.error("chunk unknown: its worker is gone", account=whose.account, lane=whose.lane)


def sweep_staged(engine: Engine) -> None:
    """Gives up requests whose seal did not come."""
    for request_id in accept.abandon_staged(engine.database, int(engine.settings.staged_timeout_s * 1000)):
        _log.warning("request abandoned", request=str(request_id))


def sweep_number_use(engine: Engine) -> None:
    """Forgets texts to numbers that no cap counts any more."""
    if any(account.cap_hour or account.cap_day for account in engine.settings.accounts.values()):
        caps.forget_old(engine.database)


def check_credit(engine: Engine) -> None:
    """Asks for each account's credit, and keeps it. An account that is blocked is not asked."""
    apart = Apart("check_credit")
    for alias in engine.settings.accounts:
        with apart.account(alias):
            try_credit(engine, alias)


def try_credit(engine: Engine, alias: str) -> bool:
    """Asks for an account's credit, and keeps it. False, and no error, where it is not known now."""
    try:
        ask_credit(engine, alias)
    except (BreakerOpenError, SessionUnavailableError):
        return False
    except AccountFault as error:
        engine.sessions.refused(alias, error)
        return False
    except GatewayError as error:
        _log.warning("credit not known", account=alias, reason=str(error))
        return False
    return True


def ask_credit(engine: Engine, alias: str) -> Decimal:
    """getCredit with the shared session; the answer is kept. Raises GatewayError and the session's errors."""
    engine.sessions.check(alias, accounts.account_row(engine.database, alias))
    gateway = engine.gateways.gateway(alias)
    session_key = engine.sessions.key(alias)
    asked_ms = engine.database.now_ms()
    try:
        with points.call("getCredit"):
            credit = gateway.get_credit(session_key)
    except SessionGone:
        engine.sessions.gone(alias, session_key)
        session_key = engine.sessions.key(alias)
        with points.call("getCredit"):
            credit = gateway.get_credit(session_key)
    low_credit = engine.account(alias).low_credit
    keep_credit(engine.database, alias, credit, alarm_below=low_credit, asked_ms=asked_ms)
    return credit


def close_idle_session(engine: Engine) -> None:
    """closeConnection for accounts that are idle for as long as their setting says; off by default."""
    apart = Apart("close_idle_session")
    for alias, account in engine.settings.accounts.items():
        if account.close_idle_min:
            with apart.account(alias):
                _close_idle(engine, alias, account.close_idle_min)


def _close_idle(engine: Engine, alias: str, after_min: float) -> None:
    if not engine.sessions.present(alias):
        return
    used_ms = max(last_used_ms(engine.database, alias) or 0, engine.sessions.made_ms(alias))
    idle_ms = engine.database.now_ms() - used_ms
    if idle_ms >= after_min * 60_000:
        with contextlib.suppress(GatewayError, SessionUnavailableError):
            engine.sessions.close(alias)
            _log.info("session closed", account=alias, idle_min=round(idle_ms / 60_000))
