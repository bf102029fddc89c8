"""`every8d doctor` on Redis servers that are set up wrongly, on none, and without beat."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.support.doctor import DeploymentMaker, kinds
from worker.doctor.examination import CHECKS, examine
from worker.system.guard import Guard
from worker.system.valkey import EmbeddedValkey


@pytest.fixture
def server(guard: Guard, tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A server of the test's own, to be set up wrongly."""
    one = EmbeddedValkey(tmp_path / "own")
    (tmp_path / "own").mkdir()
    one.start(guard)
    yield one
    one.stop()


WRONG = {
    "eviction": ("eviction", {"maxmemory-policy": "allkeys-lru"}, "problem evicts", "ok evicts_nothing"),
    "no append-only file": ("persistence", {"appendonly": "no"}, "problem not_kept", "ok kept"),
    "few connections": (
        "connections",
        {"maxclients": "40"},
        "problem server_full",
        "ok server_roomy",
    ),
}


@pytest.mark.parametrize(("check", "change", "wrong", "right"), WRONG.values(), ids=WRONG)
def test_a_redis_that_is_set_up_wrongly(
    deployment: DeploymentMaker,
    server: EmbeddedValkey,
    migrated_sqlite: Path,
    check: str,
    change: dict[str, str],
    wrong: str,
    right: str,
) -> None:
    url = f"sqlite:///{migrated_sqlite}"
    settings = {"broker_url": server.broker_url}
    one = deployment(url, settings=settings, workers_s=0.1)
    assert wrong not in kinds(one, check)
    with server.client() as client:
        for name, value in change.items():
            client.config_set(name, value)
    found = kinds(one, check)
    assert wrong in found
    assert right not in found
    # Where broker and Redis are two servers, both are looked at.
    redis_of_session = deployment(url).settings.redis_url
    both = deployment(url, settings=settings | {"redis_url": redis_of_session}, workers_s=0.1)
    assert {wrong, right} <= set(kinds(both, check))


def test_beat_by_its_lock_and_its_schedule(deployment: DeploymentMaker) -> None:
    one = deployment()
    assert kinds(one, "beat") == ["problem beat_gone"]
    now_s, _ = one.redis.time()
    one.redis.set("every8d:beat::lock", "held", px=10_000)
    assert kinds(one, "beat") == ["problem beat_stuck"]
    one.redis.zadd("every8d:beat::schedule", {"every8d:beat:sweep-due": now_s - 61})
    assert kinds(one, "beat") == ["problem beat_stuck"]
    one.redis.zadd("every8d:beat::schedule", {"every8d:beat:sweep-due": now_s + 2})
    assert kinds(one, "beat") == ["ok beat_alive"]


def test_servers_that_are_not_there_are_told_and_no_check_fails(
    deployment: DeploymentMaker, tmp_path: Path
) -> None:
    nowhere = {
        "broker_url": "redis://user:a-password@127.0.0.1:1/0",
        "database_url": "postgresql://user:a-password@127.0.0.1:1/none",
    }
    found = examine(deployment(settings=nowhere))
    assert {one.check for one in found} == set(CHECKS)
    seen = {one.kind for one in found if one.verdict == "unseen"}
    assert seen == {"redis_away", "ledger_away"}
    assert "a-password" not in repr(found)
    rabbit = deployment(
        settings=nowhere
        | {"broker_url": "amqp://user:a-password@127.0.0.1:1//", "redis_url": "redis://127.0.0.1:1"}
    )
    assert kinds(rabbit, "lanes") == ["unseen broker_away"]
    assert kinds(rabbit, "visibility") == ["ok visibility_no_redis"]
    missing = deployment(f"sqlite:///{tmp_path / 'none.db'}")
    assert kinds(missing, "migrations") == ["unseen ledger_missing"]
    assert not (tmp_path / "none.db").exists()


def test_looking_leaves_nothing_behind(
    deployment: DeploymentMaker, valkey: EmbeddedValkey, migrated_sqlite: Path
) -> None:
    examine(deployment(f"sqlite:///{migrated_sqlite}", workers_s=0.2))
    with Redis.from_url(valkey.redis_url) as client:
        left = {bytes(key).decode() for key in client.scan_iter()}
    assert not {key for key in left if "reply" in key}
