"""Connections: enough for every thread of a worker, and enough of them for all workers together."""

from collections.abc import Iterable, Iterator

from sqlalchemy import text

from worker.doctor.deployment import Deployment
from worker.doctor.finding import Finding, ok, problem
from worker.doctor.workers import Worker
from worker.lanes import LANES
from worker.ledger.database import OVERFLOW, Database

CHECK = "connections"

#: A worker's threads beside those that run tasks: its keepers, of which the status lane has most.
KEEPERS = 3
KEEPERS_OF_ACCOUNT = 2
#: A thread has one connection to the broker and one for session keys and limits; the worker itself some more.
REDIS_EACH = 2
REDIS_BESIDE = 10

_LIMIT = text(
    "SELECT least(current_setting('max_connections')::int"
    " - current_setting('superuser_reserved_connections')::int,"
    " (SELECT CASE WHEN datconnlimit < 0 THEN 1000000 ELSE datconnlimit END"
    " FROM pg_database WHERE datname = current_database()))"
)
_OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    " AND application_name <> 'every8d' AND datname = current_database()"
)


def threads(workers: Iterable[Worker]) -> list[tuple[str, int]]:
    """Our workers and how many threads each has; where none answers, what they would have."""
    found = [(one.name, one.concurrency) for one in workers if one.ours]
    return found or [(name, lane.concurrency) for name, lane in LANES.items()]


def judge_pool(pool_size: int, each: Iterable[tuple[str, int]]) -> Iterator[Finding]:
    """`pool_size` is `database_pool_size`: what a process has for all of its threads."""
    each = list(each)
    for name, count in each:
        if count > pool_size:
            yield problem(CHECK, "pool_small", worker=name, threads=count, pool=pool_size)
    if all(count <= pool_size for _, count in each):
        yield ok(CHECK, "pool_large_enough", pool=pool_size, threads=max(count for _, count in each))


def needed(pool_size: int, each: Iterable[tuple[str, int]], accounts: int) -> int:
    """Connections to the database that our workers may hold at once, for so many accounts."""
    keepers = KEEPERS + KEEPERS_OF_ACCOUNT * accounts
    return sum(min(pool_size + OVERFLOW, count + keepers) for _, count in each)


def judge_server(server: str, limit: int, need: int, others: int = 0) -> Finding:
    """`others` are connections of other programs."""
    values = {"server": server, "limit": limit, "needed": need + others}
    if need + others > limit:
        return problem(CHECK, "server_full", **values)
    return ok(CHECK, "server_roomy", **values)


def look(deployment: Deployment) -> Iterator[Finding]:
    """The pool against the threads, then each server against all pools."""
    pool_size, each = deployment.settings.database_pool_size, threads(deployment.workers)
    yield from judge_pool(pool_size, each)
    for name, client in deployment.stores.items():
        limit = int(client.info("clients").get("maxclients", 0))
        if limit:
            yield judge_server(name, limit, sum(REDIS_EACH * count + REDIS_BESIDE for _, count in each))
    if deployment.ledger.is_postgres:
        limit, others = _postgres(deployment.ledger)
        yield judge_server(
            "PostgreSQL", limit, needed(pool_size, each, len(deployment.settings.accounts)), others
        )


def _postgres(ledger: Database) -> tuple[int, int]:
    with ledger.read() as connection:
        return int(connection.scalar(_LIMIT) or 0), int(connection.scalar(_OTHERS) or 0)
