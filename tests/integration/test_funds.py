"""Requests that cost more than the credit, against a gateway that has one: held, let go, overruled."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import pytest

from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, ledger, running
from tests.support.engines import EngineMaker
from tests.support.servers import Clock
from worker import cancel, funds
from worker.engine import Engine
from worker.ledger import controls, settle, unpaid
from worker.ledger import funds as requests
from worker.ledger.accounts import ensure_accounts
from worker.ledger.credit import keep_credit
from worker.ledger.database import Database
from worker.ledger.pauses import Target
from worker.ledger.tables import account, request

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
LONG = "字" * 71  # two points


def campaign(engine: Engine, count: int, first: int = 0, **fields: object) -> uuid.UUID:
    return running.enqueue(engine, lane="bulk", to=bodies.numbers(count, first), **fields)


def later(engine: Engine, clock: Clock) -> None:
    """A minute passes, and workers do what they do by themselves."""
    clock.advance(funds.ASK_EVERY_S + 1)
    funds.sweep(engine)
    running.send(engine, "bulk")


def held(engine: Engine) -> list[str | None]:
    """Who holds each request, the oldest first."""
    rows = sorted(running.rows(engine, request), key=lambda row: row.created_ms)
    return [row.paused_by for row in rows]


def test_a_campaign_that_the_credit_does_not_cover_waits_for_a_top_up(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    emulator.control.change_account(set_credit=9)
    one = campaign(engine, 5, text=LONG)
    running.send(engine, "bulk")
    assert (emulator.control.summary().total, held(engine)) == (0, ["credit"])
    [row] = running.rows(engine, request)
    assert (row.funds, row.points, row.paused_reason) == ("held", 10, "it costs 10 points, and 9.00 are left")
    assert running.kinds(engine) == ["request_held"]
    # Neither time alone nor half a top-up lets it go.
    for points in (0, 0.5):
        emulator.control.add_credit(points)
        later(engine, clock)
    assert emulator.control.calls("sendSMS") == 0
    emulator.control.add_credit(0.5)
    later(engine, clock)
    assert running.counts(engine, one) == {"sent": 5}
    assert (held(engine), emulator.control.credit()) == ([None], "0.00")
    assert running.kinds(engine) == ["request_held", "request_funded"]


def test_what_is_covered_is_sent_where_the_settings_say_so_and_the_rest_after_a_top_up(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock, campaign_funds="send", chunk_size=3, reply_window_h=0)
    emulator.control.change_account(set_credit=4)
    one = campaign(engine, 10)
    running.send(engine, "bulk")
    # Three, one of three, and then no more calls: the gateway has said no.
    assert (emulator.control.summary().total, emulator.control.calls("sendSMS")) == (4, 2)
    assert (running.counts(engine, one), held(engine)) == ({"sent": 6, "waiting": 4}, ["credit"])
    clock.advance(1)
    running.poll_now(engine)
    assert running.counts(engine, one) == {"delivered": 4, "no_credit": 2, "waiting": 4}
    for _ in range(5):
        later(engine, clock)
    assert emulator.control.calls("sendSMS") == 2
    emulator.control.add_credit(6)
    for _ in range(4):
        later(engine, clock)
        running.poll_now(engine)
    clock.advance(1)
    running.poll_now(engine)
    assert running.counts(engine, one) == {"delivered": 10}
    summary = emulator.control.summary()
    assert (summary.total, summary.distinct, emulator.control.credit()) == (10, 10, "0.00")


@ONE_DATABASE
def test_a_campaign_of_which_nothing_is_covered_is_held_in_any_case(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    engine = make(campaign_funds="send")
    emulator.control.change_account(set_credit=1)
    campaign(engine, 3, text=LONG)
    running.send(engine, "bulk")
    assert (held(engine), emulator.control.calls("sendSMS")) == (["credit"], 0)


@ONE_DATABASE
def test_an_operator_sends_it_all_the_same(make: EngineMaker, emulator: EmulatorProcess) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    emulator.control.change_account(set_credit=2)
    one = campaign(engine, 3)
    running.send(engine, "bulk")
    controls.resume(
        engine.database, Target(running.ALIAS, "bulk", one), by="amy", why="the first two are enough"
    )
    running.send(engine, "bulk")
    assert (emulator.control.summary().total, running.counts(engine, one)) == (2, {"sent": 3})


def test_a_campaign_under_way_stops_when_others_have_spent_the_credit(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock, chunk_size=5)
    emulator.control.change_account(set_credit=100)
    one = campaign(engine, 50)
    requests.judge(
        engine.database, running.ALIAS, [one], "hold", asked=True
    )  # by a credit that nobody knows: held
    assert held(engine) == ["credit"]
    later(engine, clock)
    assert running.counts(engine, one) == {"sent": 50}
    two = campaign(engine, 50, 50)
    assert requests.judge(engine.database, running.ALIAS, [two], "hold", asked=False) == []
    emulator.control.change_account(set_credit=7)
    running.send(engine, "bulk")
    # Five, two of five; what follows is priced again.
    assert (emulator.control.calls("sendSMS"), held(engine)) == (12, [None, "credit"])
    assert running.counts(engine, two) == {"sent": 10, "waiting": 40}
    assert running.kinds(engine)[-2:] == ["credit_short", "request_held"]


@ONE_DATABASE
def test_the_credit_is_asked_for_once_for_campaigns_that_follow_each_other(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    engine = make(chunk_size=500)
    for place in range(30):
        campaign(engine, 2, place * 2)
    running.send(engine, "bulk")
    for place in range(30, 60):
        campaign(engine, 2, place * 2)
        running.send(engine, "bulk")
    assert emulator.control.calls("getCredit") == 1
    assert emulator.control.summary().total == 120


@pytest.mark.parametrize(
    ("kind", "more"),
    [("drop", {}), ("http", {"status": 503}), ("code", {"code": -99}), ("result", {"text": "plenty"})],
)
@ONE_DATABASE
def test_a_credit_that_is_not_known_lets_nothing_out_and_holds_nothing(
    make: EngineMaker, emulator: EmulatorProcess, kind: str, more: dict[str, object]
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    emulator.control.fault(kind, "getCredit", **more)
    one = campaign(engine, 3)
    running.send(engine, "bulk")
    assert (running.counts(engine, one), held(engine)) == ({"waiting": 3}, [None])
    assert running.kinds(engine) == ["gateway_unreachable"]
    clock.advance(61)
    running.send(engine, "bulk")
    assert running.counts(engine, one) == {"sent": 3}


@ONE_DATABASE
def test_an_accounts_fault_at_get_credit_blocks_the_account_once(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    engine = make(clock=running.clock_now())
    emulator.control.fault("code", "getCredit", code=-101, count=None)
    campaign(engine, 3)
    for _ in range(3):
        running.send(engine, "bulk")
    assert (emulator.control.calls("getCredit"), emulator.control.calls("sendSMS")) == (1, 0)
    assert running.kinds(engine)[0] == "account_blocked"


@ONE_DATABASE
def test_only_the_bulk_lane_is_priced(make: EngineMaker, emulator: EmulatorProcess) -> None:
    engine = make()
    emulator.control.change_account(set_credit=1)
    for lane in ("otp", "normal"):
        running.enqueue(engine, lane=lane, to=bodies.numbers(2))
        running.send(engine, lane)
    assert (emulator.control.calls("getCredit"), emulator.control.calls("sendSMS")) == (0, 2)


@ONE_DATABASE
def test_a_held_campaign_whose_deadline_passes_expires(make: EngineMaker, emulator: EmulatorProcess) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    emulator.control.change_account(set_credit=1)
    deadline = datetime.fromtimestamp(clock.now_ms / 1000 + 90, UTC).isoformat()
    one = campaign(engine, 3, deadline=deadline)
    running.send(engine, "bulk")
    later(engine, clock)
    assert (running.counts(engine, one), held(engine)) == ({"waiting": 3}, ["credit"])
    later(engine, clock)
    assert running.counts(engine, one) == {"expired": 3}
    assert unpaid.accounts_waiting(engine.database) == []
    assert emulator.control.calls("sendSMS") == 0


@ONE_DATABASE
def test_for_a_held_campaign_that_is_cancelled_nothing_is_asked_any_more(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    emulator.control.change_account(set_credit=1)
    one = campaign(engine, 3)
    running.send(engine, "bulk")
    assert unpaid.accounts_waiting(engine.database) == [running.ALIAS]
    assert (cancel.cancel(engine, one) or {})["stopped"] == 3
    asked = emulator.control.calls("getCredit")
    later(engine, clock)
    assert (unpaid.accounts_waiting(engine.database), emulator.control.calls("getCredit")) == ([], asked)


def test_while_something_is_held_the_credit_is_asked_for_once_a_minute_over_all_workers(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    clock = running.clock_now()
    engines = [make(clock=clock) for _ in range(3)]
    emulator.control.change_account(set_credit=1)
    campaign(engines[0], 3)
    running.send(engines[0], "bulk")
    before = emulator.control.calls("getCredit")
    for _ in range(12):
        for engine in engines:
            funds.sweep(engine)
        clock.advance(10)
    assert emulator.control.calls("getCredit") - before == 2


# --- the ledger's part


def priced(database: Database, credit: str) -> list[uuid.UUID]:
    """Two requests of ten points each, and an account with so much credit."""
    ensure_accounts(database, ["default"])
    keep_credit(database, "default", Decimal(credit))
    return [ledger.put(database, 10, lane="bulk") for _ in range(2)]


def test_two_campaigns_that_begin_at_once_are_not_covered_by_the_same_points(database: Database) -> None:
    names = priced(database, "19")
    judge = partial(requests.judge, database, "default", mode="hold", asked=True)
    verdicts = ledger.at_once([partial(judge, [name]) for name in names])
    assert sorted(len(verdict or ()) for verdict in verdicts) == [0, 1]


def test_points_of_a_call_under_way_are_not_covered_twice(database: Database) -> None:
    one, two = priced(database, "19")
    assert requests.judge(database, "default", [one], "hold", asked=True) == []
    ledger.taken(database, lane="bulk", only=one)
    assert requests.judge(database, "default", [two], "hold", asked=True) == [two]


def test_a_campaign_counts_only_with_what_of_it_still_waits(database: Database) -> None:
    one, two = priced(database, "20")
    assert requests.judge(database, "default", [one], "hold", asked=True) == []
    ledger.send(database, lane="bulk", only=one, size=9)
    keep_credit(database, "default", Decimal(11))
    # 11 left, of which the first still takes 1, although it cost 10.
    assert requests.judge(database, "default", [two], "hold", asked=True) == []


@pytest.mark.parametrize(
    ("age_s", "credit", "known"), [(59, "20", True), (61, "20", False), (0, "19", False)]
)
def test_a_request_is_let_go_by_a_credit_that_is_fresh_and_held_only_by_one_that_was_asked_for(
    database: Database, clock: Clock, age_s: float, credit: str, known: bool
) -> None:
    names = priced(database, credit)
    clock.advance(age_s)
    verdict = requests.judge(database, "default", names, "hold", asked=False)
    assert verdict == ([] if known else None)
    rows = [ledger.request_row(database, name).funds for name in names]
    assert rows == (["covered"] * 2 if known else [None] * 2)


def test_oldest_first_and_a_smaller_one_is_not_held_up_by_a_larger(database: Database, clock: Clock) -> None:
    ensure_accounts(database, ["default"])
    keep_credit(database, "default", Decimal(0))
    names = []
    for count in (50, 5, 4):
        names.append(ledger.put(database, count, lane="bulk"))
        clock.advance(1)
    requests.judge(database, "default", names, "hold", asked=True)
    keep_credit(database, "default", Decimal(8))
    assert list(requests.let_go(database, "default", "hold")) == [names[1]]
    assert requests.let_go(database, "default", "hold") == {}
    keep_credit(database, "default", Decimal(59))
    assert list(requests.let_go(database, "default", "hold")) == [names[0], names[2]]


def test_a_request_that_an_operator_paused_is_not_let_go(database: Database) -> None:
    [one, _] = priced(database, "0")
    requests.judge(database, "default", [one], "hold", asked=True)
    controls.pause(database, Target("default", "bulk", one), by="amy", why="a wrong list")
    keep_credit(database, "default", Decimal(1000))
    assert requests.let_go(database, "default", "hold") == {}


def test_a_low_credit_is_told_once_until_it_is_above_again(database: Database, clock: Clock) -> None:
    ensure_accounts(database, ["default"])
    told = []
    for credit in ("100", "99.99", "50", "99", "100", "99"):
        keep_credit(database, "default", Decimal(credit), alarm_below=100)
        told.append(ledger.events(database).get("low_credit", 0))
        clock.advance(600)
    assert told == [0, 1, 1, 1, 1, 2]


@ONE_DATABASE
def test_a_low_credit_is_told_by_the_send_that_made_it_low(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    engine = make(low_credit=5)
    emulator.control.change_account(set_credit=7)
    for first in range(4):
        running.enqueue(engine, to=bodies.numbers(1, first))
        running.send(engine)
    assert running.kinds(engine) == ["low_credit"]
    [row] = running.rows(engine, account)
    assert row.low_credit_ms is not None


def test_what_was_asked_before_the_shortage_is_no_top_up(database: Database, clock: Clock) -> None:
    ensure_accounts(database, ["default"])
    ledger.put(database, 5)
    claimed = ledger.taken(database)
    asked_ms = database.now_ms()
    clock.advance(1)
    settle.note_reply(database, ledger.whose(claimed), ledger.reply(2, unsend=3, credit="3.00"), 5)
    seen = []
    for credit, at_ms in (("500", asked_ms), ("3", None), ("2", None), ("2.5", None), ("2", None)):
        keep_credit(database, "default", Decimal(credit), asked_ms=at_ms)
        with database.read() as connection:
            row = connection.execute(account.select()).one()
        seen.append((row.short_credit, row.topped_ms is not None))
    assert seen == [(3, False), (3, False), (2, False), (2, True), (2, False)]


def test_what_is_held_is_summed_for_each_account(database: Database) -> None:
    one, two = priced(database, "15")
    requests.judge(database, "default", [one, two], "hold", asked=True)
    assert unpaid.points_held(database) == {"default": 10}
    keep_credit(database, "default", Decimal(20))
    requests.let_go(database, "default", "hold")
    assert unpaid.points_held(database) == {}
