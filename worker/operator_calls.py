"""What an operator's commands ask of Redis and the gateway: sessions and credit."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from redis.exceptions import RedisError

import config
from worker import housekeeping
from worker.engine import Engine, make_engine, make_redis
from worker.ledger.queries import NotFound, account_states


@dataclass(frozen=True, slots=True)
class SessionState:
    """Whether an account has a session key, and until when; never the key. `present` is None without Redis."""

    alias: str
    present: bool | None
    expires_at: datetime | None


def session_states(aliases: Sequence[str]) -> dict[str, SessionState]:
    """The sessions of these accounts as Redis has them."""
    redis = make_redis(config.load())
    states = {}
    for alias in aliases:
        try:
            left_ms = redis.pttl(f"every8d:session:{alias}")
        except RedisError:
            states[alias] = SessionState(alias, None, None)
            continue
        left = int(left_ms) if isinstance(left_ms, int) else -2
        until = datetime.fromtimestamp(time.time() + left / 1000, UTC) if left > 0 else None
        states[alias] = SessionState(alias, left > 0, until)
    redis.close()
    return states


def close_session(alias: str) -> bool:
    """closeConnection for the account. False where there was no session. Raises NotFound, GatewayError."""
    with _engine(alias) as engine:
        return engine.sessions.close(alias)


def refresh_credit(alias: str) -> Decimal:
    """getCredit now, kept in the ledger. Raises NotFound, BreakerOpenError, SessionUnavailableError, GatewayError."""
    with _engine(alias) as engine:
        housekeeping.ask_credit(engine, alias)
        states = account_states(engine.database, engine.settings)
    credit = next(one.credit for one in states if one.alias == alias)
    return credit if credit is not None else Decimal(0)


@contextmanager
def _engine(alias: str) -> Iterator[Engine]:
    from worker.celery import app

    settings = config.load()
    if alias not in settings.accounts:
        raise NotFound(f"the settings have no account {alias}")
    engine = make_engine(settings, app)
    try:
        yield engine
    finally:
        engine.close()
