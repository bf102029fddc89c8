"""Confirmation, status and cancel, through a real Celery worker and result backend."""

from __future__ import annotations

import statistics
import threading
import time
import uuid
from typing import TYPE_CHECKING

import pytest
import redis

from every8d.producer import Producer
from every8d.producererrors import IdempotencyConflict, InvalidRows, NoAnswer, NotAccepted, NotConfirmed
from tests.integration.producer_support import valkey, worker

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = "您的驗證碼是 246810"
NUMBER = "0912345678"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with valkey(tmp_path_factory.mktemp("valkey")) as url, worker(url):
        yield url


def calls(url: str, request: uuid.UUID, page: int | None) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.get(f"calls:{request}:{page}") or 0)


def numbers(count: int) -> list[str]:
    return [f"09{10_000_000 + index}" for index in range(count)]


def test_otp_is_confirmed_by_default_and_soon(system: str) -> None:
    producer = Producer(system)
    took = []
    for _ in range(30):
        started = time.perf_counter()
        receipt = producer.send(NUMBER, TEXT, lane="otp")
        took.append(time.perf_counter() - started)
        assert receipt.confirmed
    assert statistics.median(took) < 0.25  # a figure of a loaded machine; a handful of ms on a free one


def test_answers_that_were_read_are_deleted(system: str) -> None:
    Producer(system).send(NUMBER, TEXT, lane="otp")
    with redis.Redis.from_url(system) as client:
        assert client.keys("celery-task-meta-*") == []


def test_threads_confirm_each_their_own(system: str) -> None:
    producer = Producer(system)
    wrong: list[object] = []

    def send(index: int) -> None:
        for round_ in range(10):
            receipt = producer.send(f"091{index}34567{round_}", TEXT, lane="otp")
            if not receipt.confirmed or calls(system, receipt.request_id, 0) != 1:
                wrong.append(receipt)

    threads = [threading.Thread(target=send, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


def test_many_pages_are_confirmed_and_the_seal_goes_last(system: str) -> None:
    producer = Producer(system, page_size=100)
    rows = [*numbers(500), NUMBER, NUMBER]
    receipt = producer.send(rows, TEXT, confirm=True, subject="slow first page")
    assert (receipt.confirmed, receipt.pages, receipt.duplicates) == (True, 6, 1)
    with redis.Redis.from_url(system, decode_responses=True) as client:
        order = [
            entry for entry in client.lrange("order", 0, -1) if entry.startswith(str(receipt.request_id))
        ]
    assert order[-1] == f"{receipt.request_id}:None"
    assert len(order) == 7


def test_a_lost_answer_is_asked_for_again_with_the_same_ids(system: str) -> None:
    receipt = Producer(system, confirm_timeout_s=0.5).send(
        NUMBER, TEXT, lane="otp", subject="first answer is lost"
    )
    assert receipt.confirmed
    assert calls(system, receipt.request_id, 0) >= 2


def test_a_task_that_fails_is_published_again(system: str) -> None:
    receipt = Producer(system).send(NUMBER, TEXT, lane="otp", subject="fails once")
    assert receipt.confirmed
    assert calls(system, receipt.request_id, 0) == 2


def test_the_same_key_twice_is_one_request_and_another_body_a_conflict(system: str) -> None:
    producer = Producer(system)
    first = producer.send(NUMBER, TEXT, lane="otp", idempotency_key="order 1")
    again = Producer(system).send(NUMBER, TEXT, lane="otp", idempotency_key="order 1")
    assert first == again
    with pytest.raises(IdempotencyConflict) as caught:
        producer.send(NUMBER, "別的", lane="otp", idempotency_key="order 1")
    assert caught.value.request_id == first.request_id


def test_a_dead_letter_is_told_with_its_reason(system: str) -> None:
    with pytest.raises(NotAccepted, match="subject is not liked"):
        Producer(system).send(NUMBER, TEXT, lane="otp", subject="dead")


def test_a_refused_stream_is_told_once_its_verdict_is_in_the_ledger(system: str) -> None:
    with pytest.raises(InvalidRows) as caught:
        Producer(system, page_size=10).send_many([*numbers(25), "abc"], text=TEXT, confirm=True)
    assert caught.value.request_id is not None
    assert calls(system, caught.value.request_id, None) == 1


def test_no_worker_is_not_confirmed_and_names_the_request(tmp_path) -> None:
    with valkey(tmp_path) as url:
        with pytest.raises(NotConfirmed, match="idempotency key") as caught:
            Producer(url, confirm_timeout_s=0.05).send(NUMBER, TEXT, lane="otp")
        assert str(caught.value.request_id) in str(caught.value)
        with pytest.raises(NoAnswer, match=r"every8d\.status"):
            Producer(url, confirm_timeout_s=0.05).status(uuid.uuid4())


def test_status_and_cancel_are_typed(system: str) -> None:
    producer = Producer(system)
    receipt = producer.send(NUMBER, TEXT, lane="otp")
    status = producer.status(receipt.request_id)
    assert (status.state, status.count, dict(status.messages), str(status.cost), status.final) == (
        "done",
        2,
        {"delivered": 2},
        "2.00",
        True,
    )
    cancelled = producer.cancel(str(receipt.request_id))
    assert (cancelled.stopped, cancelled.erased, str(cancelled.points_back)) == (1, 1, "1.00")


def test_an_unknown_request_has_a_status_and_a_failing_task_is_told(system: str) -> None:
    producer = Producer(system)
    assert not producer.status(uuid.uuid4()).known
    with pytest.raises(NoAnswer, match="failed in the worker"):
        producer.cancel(uuid.uuid4())
