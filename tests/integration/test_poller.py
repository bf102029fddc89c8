"""Polling over real sockets: pages, failures among them, every kind of status, and replies once."""

import pytest

from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, running
from tests.support.engines import EngineMaker
from worker.ledger import accounts
from worker.ledger.tables import chunk, message, reply

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
STATUS = "getDeliveryStatus"


def test_a_chunk_of_2500_is_three_pages(make: EngineMaker, emulator: EmulatorProcess) -> None:
    clock = running.clock_now()
    engine = make(clock=clock, chunk_size=2500)
    request = running.enqueue_pages(engine, 2500, lane="bulk")
    running.send(engine, "bulk")
    assert [row.size for row in running.rows(engine, chunk)] == [2500]
    clock.advance(1)
    running.poll_now(engine)
    assert emulator.control.calls(STATUS) == 3
    assert running.counts(engine, request) == {"delivered": 2500}
    [row] = running.rows(engine, chunk)
    assert (row.pending, row.poll_page, row.polls) == (0, 1, 1)
    assert row.next_poll_ms > clock.now_ms  # for replies


@ONE_DATABASE
@pytest.mark.parametrize("order", ["shuffled", "reversed"])
def test_rows_that_change_their_order_between_pages(
    make: EngineMaker, emulator: EmulatorProcess, order: str
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock, chunk_size=2500, poll_ceiling_s=60)
    emulator.control.switch(row_order=order)
    request = running.enqueue_pages(engine, 2500)
    running.send(engine)
    for _ in range(30):
        clock.advance(60)
        running.poll_now(engine)
        if running.counts(engine, request) == {"delivered": 2500}:
            break
    assert running.counts(engine, request) == {"delivered": 2500}


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("drop", {}),
        ("html", {}),
        ("truncated", {}),
        ("http", {"status": 503}),
        ("code", {"code": -99}),
        ("result", {"text": "<SMS"}),
    ],
)
def test_a_poll_that_fails_goes_on_where_it_stopped(
    make: EngineMaker, emulator: EmulatorProcess, kind: str, more: dict[str, object]
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock, chunk_size=2500)
    request = running.enqueue_pages(engine, 2500)
    running.send(engine)
    emulator.control.fault(kind, STATUS, skip=1, **more)
    clock.advance(60)  # longer than a call takes on a busy machine
    running.poll_now(engine)
    running.poll_now(engine)
    assert running.counts(engine, request) == {"delivered": 1000, "sent": 1500}
    [row] = running.rows(engine, chunk)
    assert (row.poll_page, row.poll_lease_ms, emulator.control.calls(STATUS)) == (2, None, 2)
    # A second, give or take a half: this account's batches are polled sooner than that at first.
    assert 500 <= row.next_poll_ms - clock.now_ms <= 1500
    clock.advance(30)
    running.poll_now(engine)
    assert running.counts(engine, request) == {"delivered": 2500}
    assert emulator.control.calls(STATUS) == 4


def test_a_key_that_goes_in_the_middle_of_a_poll(make: EngineMaker, emulator: EmulatorProcess) -> None:
    clock = running.clock_now()
    engine = make(clock=clock, chunk_size=2500)
    request = running.enqueue_pages(engine, 2500)
    running.send(engine)
    engine.redis.delete("every8d:login:default")  # as if the first login had been long ago
    emulator.control.fault("code", STATUS, skip=1, code=-301)
    clock.advance(60)  # longer than a call takes on a busy machine
    running.poll_now(engine)
    assert running.counts(engine, request) == {"delivered": 2500}
    assert (emulator.control.calls(STATUS), emulator.control.logins()) == (4, 2)


@pytest.mark.parametrize(
    ("number", "word", "status"),
    [
        ("+886910000000", "delivered", 100),
        ("+886900900000", "sent", 0),
        ("+886900910100", "undelivered", 101),
        ("+886900910700", "undelivered", 107),
        ("+886900900300", "undelivered", -3),
        ("+886900950000", "undelivered", 500),
        ("+886900930100", "no_credit", 301),
        ("+886900977700", "sent", 777),
    ],
)
@ONE_DATABASE
def test_every_kind_of_status(
    make: EngineMaker, emulator: EmulatorProcess, number: str, word: str, status: int
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    request = running.enqueue(engine, to=[number])
    running.send(engine)
    clock.advance(1)
    running.poll_now(engine)
    [row] = running.rows(engine, message)
    assert (running.counts(engine, request), row.status) == ({word: 1}, status)
    # What was left unsent is held for a top-up.
    assert (row.final_ms is None) == (word in ("sent", "no_credit"))


def test_a_late_delivery_wins_and_a_final_state_is_not_lowered(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    emulator.control.network(deliver_after_s=10)
    request = running.enqueue(engine, to=["+886900911000"])  # 107 first, 100 after all
    running.send(engine)
    seen = []
    for _ in range(3):
        emulator.control.advance(13)
        clock.advance(3600)
        running.poll_now(engine)
        seen.append(next(iter(running.counts(engine, request))))
    assert seen == ["undelivered", "undelivered", "delivered"]


def test_replies_are_stored_once_and_for_their_message(make: EngineMaker, emulator: EmulatorProcess) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    to = ["+886900991100", "+886900991200", "+886900991300", "+886910000000"]
    running.enqueue(engine, to=to)
    running.send(engine)
    for _ in range(4):
        clock.advance(3601)
        emulator.control.advance(60)
        running.poll_now(engine)
    found = [(row.number, row.text, row.seq) for row in running.rows(engine, reply)]
    assert sorted(found) == [
        ("+886900991100", "回覆簡訊", 0),
        ("+886900991200", "第一則回覆", 1),
        ("+886900991200", "第二則回覆, a & b", 1),
        ("+886900991300", "收到]]>了 <b>&amp;</b>\n第二行 👍", 2),
    ]


@ONE_DATABASE
def test_a_batch_that_the_gateway_will_not_speak_of_is_given_up_and_hinders_no_other(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock, chunk_size=1, poll_give_up_h=2, poll_ceiling_s=1800, reply_window_h=0)
    request = running.enqueue(engine, to=bodies.numbers(3))
    running.send(engine)
    emulator.control.fault("code", STATUS, code=-3, count=2)
    clock.advance(1)
    running.poll_now(engine)
    assert running.counts(engine, request) == {"delivered": 1, "sent": 2}
    emulator.control.fault("code", STATUS, code=-3, count=None)
    for _ in range(10):
        clock.advance(1801)
        running.poll_now(engine)
    assert running.kinds(engine).count("polling_given_up") == 2
    calls = emulator.control.calls(STATUS, "fault code")
    clock.advance(100_000)
    running.poll_now(engine)
    assert emulator.control.calls(STATUS, "fault code") == calls < 20


def test_an_accounts_fault_in_a_poll_stops_the_account(make: EngineMaker, emulator: EmulatorProcess) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    request = running.enqueue(engine, to=bodies.numbers(2))
    running.send(engine)
    emulator.control.fault("code", STATUS, code=-101)
    for _ in range(3):
        clock.advance(60)
        running.poll_now(engine)
    assert accounts.account_row(engine.database, running.ALIAS).breaker == "open"
    assert emulator.control.calls(STATUS) == 1
    assert running.counts(engine, request) == {"sent": 2}


def test_a_poll_that_its_process_did_not_end_is_taken_over(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    from worker.ledger.polls import claim_poll

    clock = running.clock_now()
    engine = make(clock=clock)
    request = running.enqueue(engine, to=bodies.numbers(2))
    running.send(engine)
    clock.advance(1)
    assert claim_poll(engine.database, running.ALIAS, 120) is not None  # and its process dies
    running.poll_now(engine)
    assert running.counts(engine, request) == {"sent": 2}
    clock.advance(121)
    running.poll_now(engine)
    assert running.counts(engine, request) == {"delivered": 2}
