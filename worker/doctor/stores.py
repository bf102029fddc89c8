"""Redis: a key that it evicts is a task or a lock that is gone; what it does not keep is gone after a crash."""

from collections.abc import Iterator, Mapping
from typing import Any

from worker.doctor.deployment import Deployment
from worker.doctor.finding import Finding, ok, problem

EVICTION = "eviction"
PERSISTENCE = "persistence"


def judge_eviction(store: str, memory: Mapping[str, Any]) -> Finding:
    """`memory` is that section of Redis' INFO."""
    policy = str(memory.get("maxmemory_policy", "?"))
    if policy != "noeviction":
        return problem(EVICTION, "evicts", store=store, policy=policy)
    return ok(EVICTION, "evicts_nothing", store=store)


def judge_persistence(store: str, persistence: Mapping[str, Any]) -> Finding:
    """`persistence` is that section of Redis' INFO."""
    if not int(persistence.get("aof_enabled", 0)):
        return problem(PERSISTENCE, "not_kept", store=store)
    if (
        str(persistence.get("aof_last_write_status")) != "ok"
        or persistence.get("aof_last_bgrewrite_status") == "err"
    ):
        return problem(PERSISTENCE, "not_written", store=store)
    return ok(PERSISTENCE, "kept", store=store)


def look_at_eviction(deployment: Deployment) -> Iterator[Finding]:
    """INFO, not CONFIG: hosted servers forbid the latter."""
    for name, client in deployment.stores.items():
        yield judge_eviction(name, client.info("memory"))


def look_at_persistence(deployment: Deployment) -> Iterator[Finding]:
    """Whether what is enqueued outlives the server's process."""
    for name, client in deployment.stores.items():
        yield judge_persistence(name, client.info("persistence"))
