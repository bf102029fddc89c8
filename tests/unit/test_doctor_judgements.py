"""What `every8d doctor` makes of facts: its pure judgements, one row a case."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from config import Account, Settings
from config.celery import VISIBILITY_TIMEOUT_S
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
from worker.doctor.finding import Finding
from worker.doctor.workers import Worker
from worker.ledger.migrate import Age
from worker.ledger.pauses import Pause
from worker.ledger.queries import AccountState

NOW = datetime(2026, 1, 31, 4, tzinfo=UTC)
QUEUES = {
    "otp": {"every8d.otp"},
    "normal": {"every8d.normal", "celery"},
    "bulk": {"every8d.bulk"},
    "status": {"every8d.status"},
}


def worker(name: str = "otp", *, tasks: str | None = "every8d.accept", **changed: Any) -> Worker:
    facts = {
        "queues": frozenset(QUEUES.get(name, ())),
        "concurrency": 16,
        "visibility_s": 900.0,
        "latest_eta": None,
    }
    return Worker(name, tasks=frozenset({tasks}) if tasks else None, **(facts | changed))


def all_lanes(*, but: str = "") -> list[Worker]:
    return [worker(name) for name in QUEUES if name != but]


def state(breaker: str = "closed", pauses: tuple[Pause, ...] = ()) -> AccountState:
    return AccountState(
        alias="shop",
        user_id="u",
        breaker=breaker,
        breaker_code=-101,
        breaker_since=None,
        refusals=1,
        paused=bool(pauses),
        paused_until=None,
        pause_reason="",
        credit=None,
        credit_at=None,
        waiting={},
        pauses=pauses,
    )


def account(**fields: Any) -> dict[str, Account]:
    return {"shop": Account(user_id="u", password=SecretStr("p"), **fields)}


POSTGRES = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "transaction_read_only": "off",
}
AOF = {"aof_enabled": 1, "aof_last_write_status": "ok", "aof_last_bgrewrite_status": "ok"}
PAUSE = Pause(what="lane", account="shop", lane="bulk", request=None, by="Lin", why="w", since=NOW)
SECRET = SecretStr("a" * 32)
FAR = NOW + timedelta(hours=2)

CASES: dict[str, tuple[Callable[[], Finding | Iterable[Finding]], list[str]]] = {
    "no eviction": (
        lambda: stores.judge_eviction("redis", {"maxmemory_policy": "noeviction"}),
        ["evicts_nothing"],
    ),
    "eviction of keys that expire": (
        lambda: stores.judge_eviction("redis", {"maxmemory_policy": "volatile-lru"}),
        ["evicts"],
    ),
    "a server that does not say": (lambda: stores.judge_eviction("redis", {}), ["evicts"]),
    "append-only": (lambda: stores.judge_persistence("redis", AOF), ["kept"]),
    "snapshots alone": (lambda: stores.judge_persistence("redis", AOF | {"aof_enabled": 0}), ["not_kept"]),
    "a full disk": (
        lambda: stores.judge_persistence("redis", AOF | {"aof_last_write_status": "err"}),
        ["not_written"],
    ),
    "no worker, our own timeout": (lambda: visibility.judge(95, [], NOW), ["visibility_long_enough"]),
    "one foreign worker with a short timeout": (
        lambda: visibility.judge(95, [worker(), worker("alien", visibility_s=60.0)], NOW),
        ["visibility_short"],
    ),
    "as long as a task is too short": (
        lambda: visibility.judge(95, [worker(visibility_s=95.0)], NOW),
        ["visibility_short"],
    ),
    "a countdown beyond the shortest timeout": (
        lambda: visibility.judge(95, [worker(latest_eta=FAR), worker("bulk", visibility_s=1e6)], NOW),
        ["countdown_long", "visibility_long_enough"],
    ),
    "pool for all threads": (lambda: pools.judge_pool(16, [("otp", 16)]), ["pool_large_enough"]),
    "pool for fewer": (lambda: pools.judge_pool(15, [("otp", 16), ("status", 8)]), ["pool_small"]),
    "a server with just enough": (lambda: pools.judge_server("PostgreSQL", 100, 90, 10), ["server_roomy"]),
    "a server with one too few": (lambda: pools.judge_server("PostgreSQL", 100, 90, 11), ["server_full"]),
    "PostgreSQL as it comes": (lambda: durability.judge_postgres(POSTGRES), ["durable"]),
    "a replica waits for more": (
        lambda: durability.judge_postgres(POSTGRES | {"synchronous_commit": "remote_apply"}),
        ["durable"],
    ),
    "a pooler that drops options": (
        lambda: durability.judge_postgres(POSTGRES | {"synchronous_commit": "off"}),
        ["postgres_forgets"],
    ),
    "PostgreSQL made fast": (
        lambda: durability.judge_postgres(POSTGRES | {"fsync": "off", "full_page_writes": "off"}),
        ["postgres_forgets", "postgres_forgets"],
    ),
    "a standby": (
        lambda: durability.judge_postgres(POSTGRES | {"transaction_read_only": "on"}),
        ["read_only"],
    ),
    "SQLite as we open it": (lambda: durability.judge_sqlite("wal", 2), ["durable"]),
    "SQLite without a log": (lambda: durability.judge_sqlite("delete", 2), ["sqlite_forgets"]),
    "SQLite that does not wait": (lambda: durability.judge_sqlite("wal", 1), ["sqlite_forgets"]),
    "clocks together": (lambda: clocks.judge(-1.9), ["clocks_together"]),
    "a host ahead": (lambda: clocks.judge(2.1), ["clocks_apart"]),
    "a host behind": (lambda: clocks.judge(-2.1), ["clocks_apart"]),
    "tables of this version": (lambda: schema.judge(Age.CURRENT), ["schema_current"]),
    "tables of an older one": (lambda: schema.judge(Age.OLDER), ["schema_older"]),
    "tables of a later one": (lambda: schema.judge(Age.NEWER), ["schema_newer"]),
    "beat": (lambda: beat.judge(held=True, late_s=0.0), ["beat_alive"]),
    "no beat": (lambda: beat.judge(held=False, late_s=0.0), ["beat_gone"]),
    "a beat that hangs": (lambda: beat.judge(held=True, late_s=61.0), ["beat_stuck"]),
    "a beat without entries": (lambda: beat.judge(held=True, late_s=None), ["beat_stuck"]),
    "all lanes": (lambda: lanes.judge(all_lanes()), ["lanes_heard"]),
    "a lane without a worker": (lambda: lanes.judge(all_lanes(but="bulk")), ["lane_unheard"]),
    "a lane of two queues": (lambda: lanes.judge(all_lanes(but="normal")), ["lane_unheard"] * 2),
    "a stranger takes from a queue of ours": (
        lambda: lanes.judge([*all_lanes(), worker("alien", tasks="x", queues=frozenset({"celery"}))]),
        ["lane_eaten"],
    ),
    "a stranger serves no lane": (
        lambda: lanes.judge([*all_lanes(but="otp"), worker(tasks="x")]),
        ["lane_eaten", "lane_unheard"],
    ),
    "one that was too busy to say what it knows": (
        lambda: lanes.judge([*all_lanes(but="otp"), worker(tasks=None)]),
        ["lanes_heard"],
    ),
    "a stranger beside us": (
        lambda: lanes.judge([*all_lanes(), worker("alien", tasks="x", queues=frozenset({"mail"}))]),
        ["lanes_heard"],
    ),
    "breakers closed": (lambda: breakers.judge([state()]), ["breakers_closed"]),
    "a breaker open": (lambda: breakers.judge([state("open")]), ["breaker_open"]),
    "an account locked": (lambda: breakers.judge([state("locked")]), ["breaker_locked"]),
    "a pause": (lambda: breakers.judge([state(pauses=(PAUSE,))]), ["stands_paused"]),
    "no Flower": (lambda: flower.judge(None, []), ["flower_none"]),
    "Flower with a password": (lambda: flower.judge(False, []), ["flower_guarded"]),
    "Flower for this host": (lambda: flower.judge(True, []), ["flower_local"]),
    "Flower for all": (lambda: flower.judge(True, ["http://192.0.2.7:5555"]), ["flower_open"]),
    "callbacks and the web": (
        lambda: callbacks.judge(account(callbacks=True, callback_secret=SECRET), 404, "a"),
        ["web_listening"],
    ),
    "callbacks without a secret, without the web": (
        lambda: callbacks.judge(account(callbacks=True), None, "a"),
        ["secret_none", "web_silent"],
    ),
    "something else listens": (
        lambda: callbacks.judge(account(callbacks=True, callback_secret=SECRET), 200, "a"),
        ["web_other"],
    ),
    "spool empty": (lambda: spooled.judge(0, "/d"), ["spool_empty"]),
    "spool with an answer": (lambda: spooled.judge(1, "/d"), ["spool_waits"]),
}
#: Kinds that leave a deployment healthy.
HEALTHY = {
    *("evicts_nothing", "kept", "visibility_long_enough", "pool_large_enough", "server_roomy", "durable"),
    *("clocks_together", "schema_current", "beat_alive", "lanes_heard", "breakers_closed", "stands_paused"),
    *("flower_none", "flower_guarded", "flower_local", "web_listening", "spool_empty"),
}


@pytest.mark.parametrize(("judge", "kinds"), CASES.values(), ids=CASES)
def test_a_judgement(judge: Callable[[], Finding | Iterable[Finding]], kinds: list[str]) -> None:
    found = judge()
    findings = [found] if isinstance(found, Finding) else list(found)
    assert [one.kind for one in findings] == kinds
    assert [one.verdict.healthy for one in findings] == [kind in HEALTHY for kind in kinds]


def test_a_web_process_that_is_being_set_up_is_a_warning() -> None:
    [found] = callbacks.judge(account(callback_secret=SECRET), None, "a")
    assert (found.kind, found.verdict) == ("web_silent", "warning")


def test_the_longest_task_is_a_countdown_a_slice_and_a_call() -> None:
    settings = Settings(slice_s=60, accounts=account(call_deadline_s=300))
    assert visibility.needed_s(settings) == 60 + 60 + 300
    # Whatever the settings allow, our own timeout is longer.
    assert visibility.needed_s(settings) < VISIBILITY_TIMEOUT_S


def test_connections_are_counted_by_threads_up_to_the_pool() -> None:
    assert pools.needed(20, [("otp", 16), ("status", 8)], 1) == (16 + 5) + (8 + 5)
    assert pools.needed(10, [("otp", 16)], 1) == 10 + 4
    assert pools.threads([worker(concurrency=3), worker("alien", concurrency=99)]) == [("otp", 3)]
    assert dict(pools.threads([])) == {"otp": 16, "normal": 16, "bulk": 16, "status": 8}
