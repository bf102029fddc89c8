"""All checks, one after another."""

from collections.abc import Callable, Iterable

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from worker.doctor import (
    beat,
    breakers,
    callbacks,
    clocks,
    durability,
    flower,
    lanes,
    pools,
    schema,
    spooled,
    stores,
    visibility,
)
from worker.doctor.deployment import Deployment
from worker.doctor.finding import Finding, unseen
from worker.ledger.queries import LedgerMissing

Check = Callable[[Deployment], Iterable[Finding]]

CHECKS: dict[str, Check] = {
    stores.EVICTION: stores.look_at_eviction,
    stores.PERSISTENCE: stores.look_at_persistence,
    visibility.CHECK: visibility.look,
    pools.CHECK: pools.look,
    durability.CHECK: durability.look,
    clocks.CHECK: clocks.look,
    schema.CHECK: schema.look,
    beat.CHECK: beat.look,
    lanes.CHECK: lanes.look,
    breakers.CHECK: breakers.look,
    flower.CHECK: flower.look,
    callbacks.CHECK: callbacks.look,
    spooled.CHECK: spooled.look,
}


def examine(deployment: Deployment, checks: Iterable[str] = CHECKS) -> list[Finding]:
    """What every check found; one that could not look says so, and the others go on."""
    return [finding for name in checks for finding in _findings(name, CHECKS[name], deployment)]


def _findings(name: str, check: Check, deployment: Deployment) -> list[Finding]:
    # The errors' own texts may hold addresses with passwords.
    try:
        return list(check(deployment))
    except LedgerMissing:
        return [unseen(name, "ledger_missing")]
    except SQLAlchemyError:
        return [unseen(name, "ledger_away")]
    except OperationalError:
        return [unseen(name, "broker_away")]
    except RedisError:
        return [unseen(name, "redis_away")]
