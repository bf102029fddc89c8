"""Doorbells: coalesced, ids only, and harmless where nobody can hear them."""

import base64
import json
from typing import Any

import pytest
from celery import Celery
from redis import Redis
from redis.exceptions import RedisError

from tests.support import bodies, running
from worker.doorbell import COALESCE_MS, Doorbell
from worker.engine import Engine

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

#: Nobody listens on this port.
NOWHERE = "redis://127.0.0.1:1/0"


def rung(engine: Engine, queue: str) -> list[dict[str, Any]]:
    """The tasks in a queue, oldest last: their names with their arguments."""
    messages = [json.loads(one) for one in engine.redis.lrange(queue, 0, -1)]
    return [
        {"task": one["headers"]["task"], **json.loads(base64.b64decode(one["body"]))[1]} for one in messages
    ]


def test_rings_are_one_until_somebody_looks(engine: Engine) -> None:
    for _ in range(5):
        engine.bell.dispatch("default", "bulk")
        engine.bell.dispatch("default", "otp")
        engine.bell.dispatch("other", "bulk")
        engine.bell.poll("default")
    bulk = {"task": "every8d.dispatch", "account": "default", "lane": "bulk"}
    assert rung(engine, "every8d.bulk") == [{**bulk, "account": "other"}, bulk]
    assert rung(engine, "every8d.otp") == [{**bulk, "lane": "otp"}]
    assert rung(engine, "every8d.status") == [{"task": "every8d.poll", "account": "default"}]
    engine.bell.answered("default:bulk")
    engine.bell.dispatch("default", "bulk")
    engine.bell.dispatch("default", "otp")
    assert len(rung(engine, "every8d.bulk")) == 3
    assert len(rung(engine, "every8d.otp")) == 1


def test_a_ring_that_nobody_heard_is_forgotten(engine: Engine) -> None:
    engine.bell.dispatch("default", "bulk")
    assert 0 < int(engine.redis.pttl("every8d:bell:default:bulk")) <= COALESCE_MS  # type: ignore[arg-type]


def test_a_look_rings_for_what_is_left(engine: Engine) -> None:
    running.enqueue(engine, to=bodies.numbers(600))
    running.send(engine)
    assert rung(engine, "every8d.normal") == [
        {"task": "every8d.dispatch", "account": "default", "lane": "normal"}
    ]


@pytest.mark.parametrize("dead", ["redis", "broker"])
def test_ringing_where_nobody_hears_is_harmless(engine: Engine, dead: str) -> None:
    app = Celery("test", broker=NOWHERE, set_as_current=False)
    app.conf.task_publish_retry_policy = {"max_retries": 1, "interval_start": 0.01}
    redis = Redis.from_url(NOWHERE) if dead == "redis" else engine.redis
    bell = Doorbell(app, redis)
    bell.dispatch("default", "normal")
    bell.poll("default")


def test_without_redis_nothing_is_claimed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    request = running.enqueue(engine, to=bodies.numbers(2))
    # Every part of the engine has the same client: each of its commands goes to a port where nobody listens.
    monkeypatch.setattr(engine.redis, "connection_pool", Redis.from_url(NOWHERE).connection_pool)
    with pytest.raises(RedisError):
        running.send(engine)
    monkeypatch.undo()
    assert running.counts(engine, request) == {"waiting": 2}
    running.send(engine)
    assert running.counts(engine, request) == {"sent": 2}
