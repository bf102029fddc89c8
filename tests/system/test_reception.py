"""Single requests that wait together: committed together, each sent once, and nothing left in the queue."""

import uuid

import psutil
import pytest
from celery import Celery
from redis import Redis
from sqlalchemy import func, select

from every8d.producererrors import IdempotencyConflict
from tests.support import bodies
from tests.support.system import System, running
from tests.support.waiting import wait_for
from worker.ledger.tables import dead_letter, request

COUNT = 150


def publish_singles(system: System) -> None:
    for place in range(COUNT):
        system.producer.send(f"09{30_000_000 + place}", f"order {place} is on its way", confirm=False)


def publish_the_unusual(system: System) -> None:
    """What one commit for all must not swallow: each of these has an end of its own."""
    for words in ("the same", "the same", "another text"):
        system.producer.send("0911222333", words, idempotency_key="a-key", confirm=False)
    with Celery("foreign", broker=system.settings.broker_url, set_as_current=False) as app:
        ignored = {"queue": "every8d.normal", "ignore_result": True}
        app.send_task("every8d.accept", kwargs={"body": {"v": 1}}, **ignored)
        app.send_task("every8d.accept", kwargs={"bdy": 1}, **ignored)
        of_nobody = bodies.sealed(bodies.page(uuid.uuid4(), to=bodies.numbers(1), account="nobody"))
        app.send_task("every8d.accept", kwargs={"body": of_nobody}, **ignored)
        # A foreign producer whose client asks for results, and one that repeats what it is not sure of.
        again = bodies.sealed(bodies.page(uuid.uuid4(), to=["+886911222444"]))
        app.send_task("every8d.accept", kwargs={"body": again}, queue="every8d.normal")
        app.send_task("every8d.accept", kwargs={"body": again}, **ignored)


def left_in_the_queue(redis: "Redis") -> int:
    return int(redis.llen("every8d.normal")) + int(redis.hlen("unacked")) + int(redis.zcard("unacked_index"))


@pytest.mark.parametrize("db", ["sqlite", "postgres"])
def test_what_waits_together_is_committed_together_and_each_is_sent_once(db: str) -> None:
    with running(db) as system, Redis.from_url(system.settings.redis_url) as redis:
        warm = system.handed_over()
        normal = psutil.Process(system.supervisor.pids()["normal"])
        normal.suspend()
        publish_singles(system)
        publish_the_unusual(system)
        normal.resume()
        wait_for(lambda: left_in_the_queue(redis) == 0, within_s=60, what="an empty queue")
        wait_for(lambda: system.handed_over() - warm >= COUNT + 2, within_s=60, what="all sent")

        summary = system.control.summary()
        assert (summary.total - warm, summary.doubled_count) == (COUNT + 2, 0)
        with system.database.read() as connection:
            commits = connection.scalar(
                select(func.count(func.distinct(request.c.created_ms))).where(request.c.text.like("order %"))
            )
            reasons = sorted(connection.scalars(select(dead_letter.c.reason)))
        assert commits is not None
        # How many fewer depends on the machine; `./run bench` says what it is worth.
        assert commits < COUNT
        assert len(reasons) == 4
        assert [reason for reason in reasons if "idempotency key" in reason]
        assert [reason for reason in reasons if "no account nobody" in reason]
        with pytest.raises(IdempotencyConflict):
            system.producer.send("0911222333", "a third text", idempotency_key="a-key", confirm=True)
