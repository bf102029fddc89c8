"""When the gateway does not take our calls: lanes wait, accounts stop, and what waited goes on."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr

from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, running
from tests.support.engines import EngineMaker
from worker.engine import Engine
from worker.ledger import accounts
from worker.ledger.operators import unblock_account
from worker.ledger.tables import message


@pytest.mark.parametrize("code", [-100, -101, -300, -999])
def test_an_accounts_fault_stops_the_account_and_makes_nothing_final(
    make: EngineMaker, emulator: EmulatorProcess, code: int
) -> None:
    engine = make()
    emulator.control.fault("code", "sendSMS", code=code)
    request = running.enqueue(engine, to=bodies.numbers(3))
    for lane in ("normal", "normal", "otp"):
        running.send(engine, lane)
    running.enqueue(engine, lane="otp", to=bodies.numbers(1, 50))
    running.send(engine, "otp")
    row = accounts.account_row(engine.database, running.ALIAS)
    assert (row.breaker, row.breaker_code, row.refusals) == ("locked" if code == -999 else "open", code, 1)
    assert running.chunk_states(engine) == ["not_sent"]
    assert running.counts(engine, request) == {"waiting": 3}
    assert {one.attempts for one in running.rows(engine, message)} == {0}
    assert (emulator.control.calls("sendSMS"), emulator.control.summary().total) == (1, 0)
    assert running.kinds(engine) == ["account_blocked"]
    unblock_account(engine.database, running.ALIAS, by="test", why="")
    running.send(engine)
    assert emulator.control.summary().total == 3


def test_calls_that_are_refused_together_are_one_refusal(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    # Six refused logins leave the account to an operator; eight calls in flight are one refusal, not eight.
    engine = make(chunk_size=1)
    engine.sessions.key(running.ALIAS)
    emulator.control.fault("code", "sendSMS", code=-101, count=8)
    emulator.control.network(latency_ms=300)
    request = running.enqueue(engine, to=bodies.numbers(8))
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: running.send(engine), range(8)))
    assert emulator.control.calls("sendSMS") > 1
    row = accounts.account_row(engine.database, running.ALIAS)
    assert (row.breaker, row.refusals) == ("open", 1)
    assert running.kinds(engine) == ["account_blocked"]
    assert running.counts(engine, request) == {"waiting": 8}


def test_a_front_that_fails_every_call_does_not_get_the_whole_campaign(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock, chunk_size=1)
    emulator.control.fault("http", "sends", status=502, count=None)
    request = running.enqueue(engine, lane="bulk", to=bodies.numbers(20))
    for _ in range(3):
        running.send(engine, "bulk")
        running.send(engine, "bulk")
        clock.advance(60)
    assert running.counts(engine, request) == {"unknown": 3, "waiting": 17}
    emulator.control.clear_faults()
    running.send(engine, "bulk")
    assert running.counts(engine, request) == {"unknown": 3, "sent": 17}


def test_a_gateway_that_is_always_busy_gets_so_many_tries_and_no_more(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock, busy_tries=5)
    emulator.control.fault("code", "sendSMS", code=-99, count=None)
    request = running.enqueue(engine, to=bodies.numbers(2))
    for _ in range(4):
        running.send(engine)
        clock.advance(100)
    # Four spells of three calls each, and nothing is given up.
    assert emulator.control.calls("sendSMS") == 12
    assert running.counts(engine, request) == {"waiting": 2}
    for _ in range(10):
        running.send(engine)
        clock.advance(100)
    assert running.counts(engine, request) == {"refused": 2}
    assert running.kinds(engine).count("message_refused") == 2


@pytest.mark.parametrize("code", [-97, -99])
def test_many_loops_and_a_busy_second_give_nothing_up(
    make: EngineMaker, emulator: EmulatorProcess, code: int
) -> None:
    engine = make(busy_tries=6)
    emulator.control.fault("code", "sendSMS", code=code, count=None)
    request = running.enqueue(engine, to=bodies.numbers(20))
    until = time.monotonic() + 4
    loops = [threading.Thread(target=_send_until, args=(engine, until)) for _ in range(4)]
    for one in loops:
        one.start()
    for one in loops:
        one.join()
    assert emulator.control.calls("sendSMS") >= 4
    assert running.counts(engine, request) == {"waiting": 20}


def _send_until(engine: Engine, until: float) -> None:
    while time.monotonic() < until:
        running.send(engine)


@pytest.mark.parametrize("status", [404, 415])
def test_a_lane_that_fails_waits_longer_each_time_and_goes_on_by_itself(
    make: EngineMaker, emulator: EmulatorProcess, status: int
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock, retry_ceiling_s=4)
    emulator.control.fault("http", "sends", status=status, count=None)
    request = running.enqueue(engine, to=bodies.numbers(2))
    for wait_s in (1, 2, 4, 4):
        calls = emulator.control.calls("sendSMS")
        running.send(engine)
        running.send(engine)
        assert emulator.control.calls("sendSMS") == calls + 3
        assert accounts.gate(engine.database, running.ALIAS, "normal").wait_ms == wait_s * 1000
        clock.advance(wait_s)
    assert running.kinds(engine) == ["gateway_unreachable"]
    emulator.control.clear_faults()
    running.send(engine)
    assert running.counts(engine, request) == {"sent": 2}
    assert accounts.gate(engine.database, running.ALIAS, "normal").failures == 0


@pytest.mark.parametrize("status", [403, 429])
def test_a_gateway_that_does_not_want_us_pauses_the_account(
    make: EngineMaker, emulator: EmulatorProcess, status: int
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    emulator.control.fault("http", "sends", status=status, count=None)
    request = running.enqueue(engine, to=bodies.numbers(2))
    for _ in range(15):
        running.send(engine)
        clock.advance(60)
    assert emulator.control.calls("sendSMS") == 30
    assert "account_paused" in running.kinds(engine)
    emulator.control.clear_faults()
    running.send(engine)
    assert running.counts(engine, request) == {"waiting": 2}
    unblock_account(engine.database, running.ALIAS, by="test", why="")
    running.send(engine)
    assert running.counts(engine, request) == {"sent": 2}


def test_another_password_after_an_accounts_fault_closes_the_breaker(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    engine = make()
    emulator.control.fault("code", "sendSMS", code=-101)
    request = running.enqueue(engine, to=bodies.numbers(3))
    running.send(engine)
    emulator.control.change_account(password="new")
    changed = make(password=SecretStr("new"))
    running.send(engine)
    assert running.counts(engine, request) == {"waiting": 3}
    running.send(changed)
    assert running.counts(engine, request) == {"sent": 3}
