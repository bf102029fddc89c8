"""Messages that the gateway left unsent for want of credit: which they are, when they go out again, and when never."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import pytest
from sqlalchemy import select

from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, ledger, running
from tests.support.engines import EngineMaker
from tests.support.servers import Clock
from worker import cancel, funds
from worker.engine import Engine
from worker.ledger import settle, unpaid
from worker.ledger.accounts import ensure_accounts
from worker.ledger.claim import Claim
from worker.ledger.credit import keep_credit
from worker.ledger.database import Database
from worker.ledger.polls import claim_poll, store_last_page
from worker.ledger.progress import progress
from worker.ledger.tables import chunk, message, number_use

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
HOUR_S = 3600.0


def later(engine: Engine, clock: Clock) -> None:
    """A minute passes, and workers do what they do by themselves: sweep, poll, sweep, send."""
    clock.advance(funds.ASK_EVERY_S + 1)
    funds.sweep(engine)
    clock.advance(1)
    running.poll_now(engine)
    funds.sweep(engine)
    running.send(engine)
    clock.advance(1)
    running.poll_now(engine)


def final(engine: Engine, request: uuid.UUID) -> bool:
    found = progress(engine.database, request)
    assert found is not None
    return found.final


@pytest.mark.parametrize("unsent", ["last", "first"])
def test_exactly_those_that_were_unsent_go_out_again_after_a_top_up(
    make: EngineMaker, emulator: EmulatorProcess, unsent: str
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    emulator.control.switch(unsent=unsent)
    emulator.control.change_account(set_credit=4)
    one = running.enqueue(engine, to=bodies.numbers(10))
    running.send(engine)
    assert (running.counts(engine, one), running.kinds(engine)) == ({"sent": 10}, ["credit_short"])
    clock.advance(1)
    running.poll_now(engine)
    assert running.counts(engine, one) == {"delivered": 4, "no_credit": 6}
    for _ in range(5):
        later(engine, clock)
    assert (emulator.control.calls("sendSMS"), final(engine, one)) == (1, False)
    emulator.control.add_credit(100)
    later(engine, clock)
    assert (running.counts(engine, one), final(engine, one)) == ({"delivered": 10}, True)
    summary = emulator.control.summary()
    assert (summary.total, summary.distinct, emulator.control.calls("sendSMS")) == (10, 10, 2)
    assert "messages_released" in running.kinds(engine)


@ONE_DATABASE
def test_a_top_up_that_covers_some_lets_so_many_go_and_the_dearer_wait(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    emulator.control.change_account(set_credit=0)
    texts = ["一", "字" * 71, "二", "三"]  # 1, 2, 1, 1 points
    one = running.enqueue(
        engine,
        text=None,
        messages=[{"to": to, "text": text} for to, text in zip(bodies.numbers(4), texts, strict=True)],
    )
    running.send(engine)
    clock.advance(1)
    running.poll_now(engine)
    seen = []
    for points in (2, 0, 1, 2):
        emulator.control.add_credit(points)
        later(engine, clock)
        seen.append((running.counts(engine, one), emulator.control.credit()))
    assert seen == [
        # Two points: the first goes; the second costs two, and nobody passes it.
        ({"delivered": 1, "no_credit": 3}, "1.00"),
        ({"delivered": 1, "no_credit": 3}, "1.00"),
        ({"delivered": 2, "no_credit": 2}, "0.00"),
        ({"delivered": 4}, "0.00"),
    ]
    summary = emulator.control.summary()
    assert (summary.total, summary.distinct) == (4, 4)


@ONE_DATABASE
def test_a_gateway_that_says_no_whatever_the_credit_is_asked_once_a_top_up(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    one = running.enqueue(engine, to=["+886900930100", *bodies.numbers(2)])
    running.send(engine)
    for _ in range(5):
        later(engine, clock)
    assert (running.counts(engine, one), emulator.control.calls("sendSMS")) == (
        {"delivered": 2, "no_credit": 1},
        1,
    )
    for tries in (2, 3):
        emulator.control.add_credit(1)
        for _ in range(5):
            later(engine, clock)
        assert emulator.control.calls("sendSMS") == tries
    assert emulator.control.summary().total == 2
    # And in the end it is final.
    for _ in range(2):
        clock.advance(72 * HOUR_S)
        funds.sweep(engine)
    assert (running.counts(engine, one), final(engine, one)) == ({"delivered": 2, "no_credit": 1}, True)
    assert running.kinds(engine)[-1] == "credit_wait_over"
    emulator.control.add_credit(1000)
    later(engine, clock)
    assert emulator.control.calls("sendSMS") == 3


@ONE_DATABASE
def test_nothing_is_asked_of_a_batch_with_held_messages_until_the_top_up(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock, reply_window_h=0)
    emulator.control.change_account(set_credit=1)
    running.enqueue(engine, to=bodies.numbers(3))
    running.send(engine)
    clock.advance(1)
    running.poll_now(engine)
    polls = emulator.control.calls("getDeliveryStatus")
    [row] = running.rows(engine, chunk)
    assert (row.pending, row.next_poll_ms) == (0, None)
    for _ in range(5):
        later(engine, clock)
    assert emulator.control.calls("getDeliveryStatus") == polls
    emulator.control.add_credit(5)
    later(engine, clock)
    # The old batch once more before they go out, and the new one.
    assert emulator.control.calls("getDeliveryStatus") == polls + 2


@pytest.mark.parametrize("code", [-99, -3])
@ONE_DATABASE
def test_a_poll_that_fails_after_the_top_up_lets_nothing_go(
    make: EngineMaker, emulator: EmulatorProcess, code: int
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    emulator.control.change_account(set_credit=1)
    one = running.enqueue(engine, to=bodies.numbers(3))
    running.send(engine)
    clock.advance(1)
    running.poll_now(engine)
    emulator.control.add_credit(5)
    emulator.control.fault("code", "getDeliveryStatus", code=code, count=None)
    for _ in range(3):
        later(engine, clock)
    assert running.counts(engine, one) == {"delivered": 1, "no_credit": 2}
    assert emulator.control.calls("sendSMS") == 1
    emulator.control.clear_faults()
    # The poll that failed is made again, or else the next one for replies.
    clock.advance(HOUR_S)
    running.poll_now(engine)
    later(engine, clock)
    assert running.counts(engine, one) == {"delivered": 3}


@ONE_DATABASE
def test_a_deadline_passes_while_messages_are_held(make: EngineMaker, emulator: EmulatorProcess) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    emulator.control.change_account(set_credit=1)
    deadline = datetime.fromtimestamp(clock.now_ms / 1000 + 100, UTC).isoformat()
    one = running.enqueue(engine, to=bodies.numbers(3), deadline=deadline)
    running.send(engine)
    clock.advance(1)
    running.poll_now(engine)
    later(engine, clock)
    assert running.counts(engine, one) == {"delivered": 1, "no_credit": 2}
    clock.advance(60)
    emulator.control.add_credit(10)
    later(engine, clock)
    assert (running.counts(engine, one), final(engine, one)) == ({"delivered": 1, "expired": 2}, True)
    assert emulator.control.calls("sendSMS") == 1
    assert "messages_expired" in running.kinds(engine)


def test_held_messages_are_cancelled_and_count_as_stopped(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    emulator.control.change_account(set_credit=1)
    one = running.enqueue(engine, to=bodies.numbers(3))
    running.send(engine)
    clock.advance(1)
    running.poll_now(engine)
    answer = cancel.cancel(engine, one)
    assert answer is not None
    assert (answer["stopped"], answer["erased"], answer["too_late"], answer["pending"]) == (2, 0, 1, 0)
    emulator.control.add_credit(10)
    later(engine, clock)
    assert (running.counts(engine, one), final(engine, one)) == ({"delivered": 1, "cancelled": 2}, True)
    assert emulator.control.summary().total == 1


@ONE_DATABASE
def test_a_request_that_was_cancelled_first_does_not_go_out_again(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    emulator.control.change_account(set_credit=1)
    one = running.enqueue(engine, to=bodies.numbers(3))
    running.send(engine)
    cancel.cancel(engine, one)
    emulator.control.add_credit(10)
    later(engine, clock)
    later(engine, clock)
    assert (running.counts(engine, one), final(engine, one)) == ({"delivered": 1, "cancelled": 2}, True)
    assert emulator.control.summary().total == 1


def test_two_workers_let_each_message_go_once(make: EngineMaker, emulator: EmulatorProcess) -> None:
    clock = running.clock_now()
    engines = [make(clock=clock) for _ in range(4)]
    emulator.control.change_account(set_credit=0)
    one = running.enqueue(engines[0], to=bodies.numbers(300))
    running.send(engines[0])
    clock.advance(1)
    running.poll_now(engines[0])
    emulator.control.add_credit(1000)
    clock.advance(61)
    for engine in engines:
        funds.sweep(engine)
    clock.advance(1)
    running.poll_now(engines[0])
    ledger.at_once(
        [partial(unpaid.release, engine.database, running.ALIAS, capped=False) for engine in engines]
    )
    ledger.at_once([partial(running.send, engine) for engine in engines])
    assert running.counts(engines[0], one) == {"sent": 300}
    summary = emulator.control.summary()
    assert (summary.total, summary.distinct) == (300, 300)


def test_a_text_that_was_not_sent_does_not_count_against_the_cap(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock, cap_day=1)
    emulator.control.change_account(set_credit=1)
    one = running.enqueue(engine, to=bodies.numbers(3))
    running.send(engine)
    clock.advance(1)
    running.poll_now(engine)
    emulator.control.add_credit(10)
    later(engine, clock)
    assert running.counts(engine, one) == {"delivered": 3}
    assert sorted(row.number for row in running.rows(engine, number_use)) == bodies.numbers(3)


# --- the ledger's part


def unsent(database: Database, count: int = 2, **fields: object) -> tuple[uuid.UUID, Claim]:
    """A request whose chunk was left unsent, all of it."""
    ensure_accounts(database, ["default"])
    key = ledger.put(database, count, **fields)
    claimed = ledger.taken(database)
    answer = ledger.reply(0, unsend=count, credit="0.00")
    settle.accepted(database, ledger.whose(claimed), answer, database.now_ms())
    settle.note_reply(database, ledger.whose(claimed), answer, count)
    return key, claimed


def poll(database: Database, statuses: Mapping[str, int], *, count: int | None = None) -> None:
    """One poll of the batch that is due, of one page."""
    claimed = claim_poll(database, "default", 120)
    assert claimed is not None
    rows = [ledger.row(number, status) for number, status in statuses.items()]
    store_last_page(
        database, claimed, rows, lambda _: database.now_ms(), count=len(rows) if count is None else count
    )


def top_up(database: Database, clock: Clock, credit: str = "100") -> None:
    clock.advance(10)
    keep_credit(database, "default", Decimal(credit))
    clock.advance(10)


def release(database: Database) -> int:
    return unpaid.release(database, "default", capped=False)[0]


def states(database: Database) -> list[tuple[str, int | None, bool]]:
    with database.read() as connection:
        rows = connection.execute(select(message).order_by(message.c.seq))
        return [(row.state, row.status, row.final_ms is not None) for row in rows]


ONE, TWO = bodies.numbers(2)


@pytest.mark.parametrize(
    ("before", "after", "count", "goes"),
    [
        pytest.param([], [301, 301], 2, 2, id="asked after the top-up"),
        pytest.param([301, 301], None, 2, 0, id="asked before the top-up only"),
        pytest.param([301, 301], [301, 301], 2, 2, id="asked again"),
        pytest.param([301, 301], [301, 301], 1, 0, id="not all rows of the batch are told"),
        pytest.param([301, 301], [100, 301], 2, 1, id="the gateway sent one by itself"),
        pytest.param([301, 301], [0, 301], 2, 1, id="one is on its way after all"),
        pytest.param([301, 301], [107, 301], 2, 1, id="one was tried after all"),
        pytest.param([301, 301], [777, 301], 2, 1, id="nobody knows what became of one"),
        pytest.param([301, 301], [303, -3], 2, 0, id="cancelled, refused"),
        pytest.param([107, 103], [301, 301], 2, 0, id="tried first, unsent later"),
    ],
)
def test_only_the_last_word_of_the_gateway_lets_a_message_go(
    database: Database, clock: Clock, before: list[int], after: list[int] | None, count: int, goes: int
) -> None:
    unsent(database)
    if before:
        poll(database, dict(zip((ONE, TWO), before, strict=True)))
    top_up(database, clock)
    if after is not None:
        poll(database, dict(zip((ONE, TWO), after, strict=True)), count=count)
    assert release(database) == goes
    assert release(database) == 0
    waiting = [one for one in ledger.messages(database) if one.state == "waiting"]
    assert len(waiting) == goes
    for one in waiting:
        assert (one.due_ms, one.chunk_id, one.position, one.status) == (clock.now_ms, None, None, None)


def test_what_contradicts_itself_is_final_and_a_late_delivery_still_wins(
    database: Database, clock: Clock
) -> None:
    unsent(database)
    poll(database, {ONE: 301, TWO: 301})
    assert states(database) == [("no_credit", 301, False)] * 2
    poll(database, {ONE: 107, TWO: 100})
    assert states(database) == [("no_credit", 301, True), ("delivered", 100, True)]
    poll(database, {ONE: 100, TWO: 301})
    assert states(database) == [("delivered", 100, True)] * 2


def test_a_status_that_comes_for_the_old_batch_after_the_release_changes_nothing(
    database: Database, clock: Clock
) -> None:
    key, _ = unsent(database)
    top_up(database, clock)
    poll(database, {ONE: 301, TWO: 301})
    slow = claim_poll(database, "default", 120)
    assert slow is not None
    assert release(database) == 0  # a poll is under way
    store_last_page(database, slow, [ledger.row(ONE, 301), ledger.row(TWO, 301)], lambda _: 0, count=2)
    assert release(database) == 2
    poll(database, {ONE: 100, TWO: 301})
    assert ledger.states(database, key) == {"waiting": 2}
    again = ledger.taken(database)
    poll(database, {ONE: 100, TWO: 301})
    assert ledger.states(database, key) == {"packed": 2}
    assert ledger.chunk_row(database, again).state == "submitting"


def test_a_new_shortage_stops_the_release_until_the_next_top_up(database: Database, clock: Clock) -> None:
    _, claimed = unsent(database)
    top_up(database, clock)
    poll(database, {ONE: 301, TWO: 301})
    settle.note_reply(database, ledger.whose(claimed), ledger.reply(0, unsend=1, credit="100.00"), 1)
    assert release(database) == 0
    top_up(database, clock, "100")
    assert release(database) == 0
    top_up(database, clock, "101")
    assert release(database) == 0  # not asked since
    poll(database, {ONE: 301, TWO: 301})
    assert release(database) == 2


def test_unsent_messages_that_no_reply_told_of_wait_for_more_than_there_was(
    database: Database, clock: Clock
) -> None:
    ensure_accounts(database, ["default"])
    ledger.put(database, 2)
    ledger.send(database)  # a reply of four fields: a credit of 100, and nothing unsent
    poll(database, {ONE: 301, TWO: 100})
    unpaid.note_shortage(database, "default")
    for credit, goes in (("100", 0), ("101", 1)):
        top_up(database, clock, credit)
        poll(database, {ONE: 301, TWO: 100})
        assert release(database) == goes


def test_held_messages_of_other_accounts_are_let_alone(database: Database, clock: Clock) -> None:
    unsent(database)
    poll(database, {ONE: 301, TWO: 301})
    assert unpaid.accounts_waiting(database) == ["default"]
    ensure_accounts(database, ["other"])
    clock.advance(100 * HOUR_S)
    keep_credit(database, "other", Decimal(5))
    unpaid.end(database, "other", 0)
    assert not unpaid.ask_again(database, "other")
    assert unpaid.release(database, "other", capped=False) == (0, set())
    assert states(database) == [("no_credit", 301, False)] * 2
    unpaid.end(database, "default", 101 * HOUR_S)
    assert states(database) == [("no_credit", 301, False)] * 2
    unpaid.end(database, "default", 100 * HOUR_S)
    assert states(database) == [("no_credit", 301, True)] * 2
    assert unpaid.accounts_waiting(database) == []


@ONE_DATABASE
def test_many_held_messages_are_let_go_in_small_transactions(database: Database, clock: Clock) -> None:
    key, _ = unsent(database, 500)
    top_up(database, clock, "1200")
    with database.read() as connection:
        numbers = list(connection.scalars(select(message.c.number)))
    poll(database, dict.fromkeys(numbers, 301))
    assert release(database) == 500
    assert ledger.request_row(database, key).next_due_ms == clock.now_ms
