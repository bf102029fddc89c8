"""Caps and limits by the settings, through the gateway: what goes out, what waits, and what a worker forgets."""

from collections import Counter
from decimal import Decimal

from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, running
from tests.support.engines import EngineMaker
from worker import housekeeping
from worker.ledger.bounds import Bounds, bounds_of
from worker.ledger.caps import Caps
from worker.ledger.controls import resume
from worker.ledger.limits import Limits
from worker.ledger.pauses import Target
from worker.ledger.tables import number_use


def test_settings_become_bounds(make: EngineMaker) -> None:
    def of(lane: str, **fields: float) -> Bounds | None:
        return bounds_of(make(**fields).account("default"), lane)

    assert (of("bulk"), of("otp")) == (None, None)
    assert of("otp", points_hour=5) is None
    assert of("otp", cap_hour=3, points_day=5) == Bounds(Caps(3, 0), None)
    assert of("bulk", points_day=0.5) == Bounds(None, Limits(Decimal(0), Decimal("0.5")))
    assert of("bulk", cap_day=2, points_hour=7) == Bounds(Caps(0, 2), Limits(Decimal(7), Decimal(0)))


def test_one_number_gets_no_more_than_its_cap(make: EngineMaker, emulator: EmulatorProcess) -> None:
    clock = running.clock_now()
    engine = make(clock=clock, cap_hour=2)
    people = bodies.numbers(3)
    for lane in ("otp", "normal", "bulk"):
        for place in range(2):
            running.enqueue(engine, to=people, lane=lane, text=f"{lane} {place}")
    for lane in ("otp", "normal", "bulk"):
        running.send(engine, lane)
    assert Counter(one["number"] for one in emulator.control.sent()) == dict.fromkeys(people, 2)
    clock.advance(3600)
    for lane in ("otp", "normal", "bulk"):
        running.send(engine, lane)
    assert Counter(one["number"] for one in emulator.control.sent()) == dict.fromkeys(people, 4)
    assert emulator.control.summary().doubled == []
    # The first six texts still count for a day, had it a cap; after that they are forgotten.
    housekeeping.sweep_number_use(engine)
    assert len(running.rows(engine, number_use)) == 12
    clock.advance(24 * 3600 - 3600)
    housekeeping.sweep_number_use(engine)
    assert len(running.rows(engine, number_use)) == 6


def test_a_text_that_the_gateway_refused_does_not_count(make: EngineMaker, emulator: EmulatorProcess) -> None:
    engine = make(cap_day=1)
    emulator.control.fault("code", "sendSMS", code=-99)
    request = running.enqueue(engine, to=bodies.numbers(1))
    running.send(engine)
    assert running.counts(engine, request) == {"sent": 1}
    assert len(running.rows(engine, number_use)) == 1


def test_a_campaign_pauses_at_its_limit_and_codes_go_on(make: EngineMaker, emulator: EmulatorProcess) -> None:
    engine = make(points_hour=50, chunk_size=20)
    campaign = running.enqueue(engine, to=bodies.numbers(80), lane="bulk")
    for _ in range(3):
        running.send(engine, "bulk")
    assert running.counts(engine, campaign) == {"sent": 50, "waiting": 30}
    assert running.kinds(engine) == ["limit_reached"]
    code = running.enqueue(engine, to=bodies.numbers(1, 500), lane="otp")
    running.send(engine, "otp")
    assert running.counts(engine, code) == {"sent": 1}
    resume(engine.database, Target("default", "bulk"), by="li", why="it is wanted")
    running.send(engine, "bulk")
    assert running.counts(engine, campaign) == {"sent": 80}
    assert emulator.control.summary().total == 81
