"""The limiter: permits by rate, with otp served first, and places for loops; both over all workers, in Valkey."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from config.account import CallsInFlight
from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, running
from tests.support.engines import EngineMaker
from worker.engine import Engine
from worker.limiter import PLACE_MS

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def take(engine: Engine, lane: str, most: int = 1000) -> int:
    """Takes permits until one is refused; how many it got."""
    account = engine.account(running.ALIAS)
    for got in range(most):
        if engine.limiter.permit(running.ALIAS, account, lane):
            return got
    return most


@pytest.mark.parametrize(("lane", "share"), [("otp", 1.0), ("normal", 0.9), ("bulk", 0.8)])
def test_a_lane_leaves_room_for_those_before_it(make: EngineMaker, lane: str, share: float) -> None:
    rate = 500
    engine = make(rate_limit_calls_s=rate)
    began = time.monotonic()
    got = take(engine, lane)
    refilled = (time.monotonic() - began) * rate
    assert share * rate <= got <= share * rate + refilled + 1
    rest = take(engine, "otp")
    refilled = (time.monotonic() - began) * rate
    assert (1 - share) * rate <= got + rest - share * rate + 1 <= (1 - share) * rate + refilled + 2


def test_bulk_gets_nothing_of_what_normal_leaves(make: EngineMaker) -> None:
    engine = make(rate_limit_calls_s=100)
    assert take(engine, "normal") >= 90
    assert take(engine, "bulk") == 0
    assert take(engine, "otp") >= 9


@pytest.mark.parametrize(("lane", "rate"), [("otp", 100.0), ("bulk", 80.0)])
def test_the_rate_is_kept_over_two_workers(make: EngineMaker, lane: str, rate: float) -> None:
    engines = [make(rate_limit_calls_s=100), make(rate_limit_calls_s=100)]
    began, wanted = time.monotonic(), int(rate * 1.7)
    for place in range(wanted):
        engine = engines[place % 2]
        while wait_s := engine.limiter.permit(running.ALIAS, engine.account(running.ALIAS), lane):
            assert 0 < wait_s < 1
            time.sleep(wait_s)
    # A second's worth is in the bucket at first.
    assert time.monotonic() - began >= (wanted - rate) / rate - 0.05


def test_otp_is_served_while_bulk_takes_all_that_it_may(make: EngineMaker) -> None:
    engine = make(rate_limit_calls_s=50)
    account = engine.account(running.ALIAS)
    until, waits = time.monotonic() + 0.5, []
    while time.monotonic() < until:
        take(engine, "bulk")
        waits.append(engine.limiter.permit(running.ALIAS, account, "otp"))
        if sum(not wait for wait in waits) >= 5:
            break
    assert sum(not wait for wait in waits) >= 5
    assert not any(waits)


@pytest.mark.parametrize("lane", ["otp", "normal", "bulk"])
@pytest.mark.parametrize("rate", [0.5, 1.0, 2.0])
def test_a_slow_account_still_serves_every_lane(make: EngineMaker, rate: float, lane: str) -> None:
    engine = make(rate_limit_calls_s=rate)
    account = engine.account(running.ALIAS)
    assert take(engine, lane, 5) in (1, 2)
    wait_s = engine.limiter.permit(running.ALIAS, account, lane)
    assert 0 < wait_s <= 1 / (rate * 0.8) + 0.5


def test_polling_has_a_budget_of_its_own(make: EngineMaker) -> None:
    engine = make(rate_limit_calls_s=10)
    take(engine, "otp")
    assert engine.limiter.permit(f"{running.ALIAS}:poll", engine.account(running.ALIAS), "poll") == 0


def test_places_are_bounded_over_workers_and_freed(make: EngineMaker) -> None:
    flight = CallsInFlight(otp=1, normal=2, bulk=1, poll=1)
    one, other = make(max_calls_in_flight=flight), make(max_calls_in_flight=flight)
    account = one.account(running.ALIAS)
    with (
        one.limiter.place(running.ALIAS, account, "normal") as first,
        other.limiter.place(running.ALIAS, account, "normal") as second,
        other.limiter.place(running.ALIAS, account, "normal") as third,
        one.limiter.place(running.ALIAS, account, "bulk") as elsewhere,
    ):
        assert first is not None
        assert second is not None
        assert elsewhere is not None
        assert third is None
        assert first.keep()
    with other.limiter.place(running.ALIAS, account, "normal") as again:
        assert again is not None


def test_the_place_of_a_dead_loop_is_given_to_another(make: EngineMaker) -> None:
    engine = make(max_calls_in_flight=CallsInFlight(normal=1))
    account = engine.account(running.ALIAS)
    key = "every8d:places:default:normal"
    with engine.limiter.place(running.ALIAS, account, "normal") as dead:
        assert dead is not None
        [(name, until)] = engine.redis.zrange(key, 0, -1, withscores=True)
        assert time.time() * 1000 < until <= time.time() * 1000 + PLACE_MS + 1000
        # Its process died two minutes ago.
        engine.redis.zadd(key, {name: until - PLACE_MS - 1})
        with engine.limiter.place(running.ALIAS, account, "normal") as next_one:
            assert next_one is not None
            assert not dead.keep()


def test_no_more_calls_are_under_way_than_the_setting_says(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    engine = make(max_calls_in_flight=CallsInFlight(normal=2), chunk_size=1)
    engine.sessions.key(running.ALIAS)
    emulator.control.network(latency_ms=20)
    request = running.enqueue(engine, to=bodies.numbers(20))
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: running.send(engine), range(8)))
    assert running.counts(engine, request) == {"sent": 20}
    assert emulator.control.stats()["max_in_flight"] == 2
