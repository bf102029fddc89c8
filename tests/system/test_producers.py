"""Producers as processes of their own: they die in the middle, come back, and send the same thing at the same time."""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from celery import Celery

from every8d.ids import request_id
from every8d.message import Message
from every8d.producererrors import IdempotencyConflict, InvalidRows
from tests.support.system import System, running
from tests.support.waiting import wait_for
from worker.ledger import queries

COUNT = 3000
STAGED_TIMEOUT_S = 3


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    settings = {"staged_timeout_s": str(STAGED_TIMEOUT_S)}
    with running("sqlite", settings=settings, first_poll_s=1, warm=False) as one:
        yield one


@contextmanager
def producer(system: System, key: str, *more: object) -> Iterator["subprocess.Popen[str]"]:
    """A producer's process, ready to begin when it gets a line."""
    command = [
        sys.executable,
        str(Path(__file__).with_name("producer_program.py")),
        system.settings.broker_url,
    ]
    process = subprocess.Popen(
        [*command, key, *map(str, more)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert line(process) == "up"
        yield process
    finally:
        process.kill()
        process.communicate()


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def begin(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    print(file=process.stdin, flush=True)


def sent(system: System, request: uuid.UUID) -> None:
    """Returns when the gateway has all of the request."""
    wait_for(lambda: system.producer.status(request).messages.get("waiting", 1) == 0, within_s=40)
    wait_for(lambda: system.producer.status(request).final, within_s=40)


def test_a_producer_that_dies_between_pages_sends_nothing_until_it_comes_back(system: System) -> None:
    key, before = "dies", system.handed_over()
    request = request_id("default", key)
    with producer(system, key, COUNT, 1800) as dying:
        begin(dying)
        assert line(dying) == "stopped"
        # Pages of 500; the last full one is held back until its next row comes.
        staged = wait_for(lambda: (now := system.producer.status(request)).count == 1500 and now)
        assert (staged.state, staged.messages["waiting"], staged.final) == ("staged", 1500, False)
    # Looks now, and not only when beat's sweep comes round.
    sweep = Celery(broker=system.settings.broker_url, set_as_current=False).signature("every8d.sweep_staged")

    def abandoned() -> bool:
        sweep.apply_async(queue="every8d.status")
        return system.producer.status(request).state == "abandoned"

    wait_for(abandoned, within_s=STAGED_TIMEOUT_S + 20)
    assert [event.request for event in queries.events(system.database, kind="request_abandoned")] == [
        str(request)
    ]
    assert system.handed_over() == before

    with producer(system, key, COUNT) as again:
        begin(again)
        assert line(again) == f"{request} {COUNT} True"
    sent(system, request)
    assert system.producer.status(request).messages["delivered"] == COUNT
    assert system.handed_over() - before == COUNT
    assert system.control.summary().doubled_count == 0


def test_two_processes_with_one_idempotency_key_at_once_make_one_request(system: System) -> None:
    key, before = "twins", system.handed_over()
    request = request_id("default", key)
    with ExitStack() as stack:
        twins = [stack.enter_context(producer(system, key, COUNT)) for _ in range(2)]
        for one in twins:
            begin(one)
        assert [line(one) for one in twins] == [f"{request} {COUNT} True"] * 2
    sent(system, request)
    assert system.producer.status(request).messages["delivered"] == COUNT
    assert system.handed_over() - before == COUNT
    assert system.control.summary().doubled_count == 0


def test_an_idempotency_key_with_another_body_is_told_and_kept_as_a_dead_letter(system: System) -> None:
    rows = [Message("0912300001", "甲"), Message("0912300002", "乙")]
    others: list[tuple[list[Message], dict[str, str]]] = [
        ([rows[0], Message("0912300002", "丙")], {}),
        ([rows[0], Message("0912300003", "乙")], {}),
        ([*rows, Message("0912300003", "丙")], {}),
        (rows, {"lane": "normal"}),
    ]
    key, before = "used", system.handed_over()
    first = system.producer.send_many(rows, idempotency_key=key, confirm=True)
    for messages, options in others:
        with pytest.raises(IdempotencyConflict):
            system.producer.send_many(messages, idempotency_key=key, confirm=True, **options)
    letters = queries.dead_bodies(system.database)
    assert [one.request for one in letters] == [str(first.request_id)] * len(others)
    assert all("idempotency key was used with other" in one.reason for one in letters)
    sent(system, first.request_id)
    assert system.producer.status(first.request_id).messages["delivered"] == len(rows)
    assert system.handed_over() - before == len(rows)


def test_a_bad_row_after_the_first_pages_refuses_all_of_them(system: System) -> None:
    before = system.handed_over()

    def rows() -> Iterator[str]:
        yield from (f"09{70_000_000 + place:08d}" for place in range(1200))
        yield "02-2345-6789"

    with pytest.raises(InvalidRows) as told:
        system.producer.send_many(rows(), text="週年慶", confirm=True)
    assert [(row.row, row.reason) for row in told.value.rows] == [(1201, "landline")]
    assert told.value.request_id is not None
    status = system.producer.status(told.value.request_id)
    assert (status.state, status.final, status.messages["refused"]) == ("refused", True, 1000)
    assert system.handed_over() == before
