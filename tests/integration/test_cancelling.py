"""Cancelling: what waits here, what is booked there, what is under way; and eraseBooking answers of every kind."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, running
from tests.support.engines import EngineMaker
from worker.cancel import cancel, sweep_erasures
from worker.engine import Engine
from worker.ledger import accounts
from worker.ledger.tables import chunk

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Desk:
    """An engine whose clock the test moves, with a booking of four messages two hours ahead if asked for."""

    def __init__(self, make: EngineMaker) -> None:
        self.clock = running.clock_now()
        self.engine: Engine = make(clock=self.clock)

    def booking(self, *, send: bool = True) -> uuid.UUID:
        at = datetime.fromtimestamp(self.clock.now_ms // 1000 + 7200, UTC).isoformat()
        request = running.enqueue(self.engine, to=bodies.numbers(4), schedule="gateway", send_at=at)
        if send:
            running.send(self.engine)
        return request

    def cancel(self, request: uuid.UUID) -> dict[str, Any]:
        found = cancel(self.engine, request)
        assert found is not None
        return {key: value for key, value in found.items() if key != "request" and value not in (0, "0.00")}

    def poll(self) -> None:
        self.clock.advance(7300)
        running.poll_now(self.engine)


@pytest.fixture
def desk(make: EngineMaker) -> Desk:
    return Desk(make)


def test_what_waits_in_the_ledger_is_stopped(desk: Desk, emulator: EmulatorProcess) -> None:
    request = running.enqueue(desk.engine, to=bodies.numbers(5))
    assert desk.cancel(request) == {"stopped": 5}
    assert desk.cancel(request) == {"stopped": 5}
    running.send(desk.engine)
    assert running.counts(desk.engine, request) == {"cancelled": 5}
    assert emulator.control.stats()["total_calls"] == 0
    assert running.kinds(desk.engine) == ["request_cancelled"]


def test_an_unknown_request_is_none_of_ours(engine: Engine) -> None:
    assert cancel(engine, uuid.uuid4()) is None


@pytest.mark.parametrize(("refund", "back"), [(True, {"points_back": "4.00"}), (False, {})])
def test_a_booking_is_erased_and_its_points_come_back(
    desk: Desk, emulator: EmulatorProcess, refund: bool, back: dict[str, str]
) -> None:
    emulator.control.switch(refund_erased=refund)
    request = desk.booking()
    assert desk.cancel(request) == {"erased": 4, **back}
    assert desk.cancel(request) == {"erased": 4, **back}
    assert emulator.control.calls("eraseBooking") == 1
    assert (emulator.control.summary().cancelled, emulator.control.summary().booked) == (4, 0)
    assert running.counts(desk.engine, request) == {"cancelled": 4}


@pytest.mark.parametrize("kind", ["drop", "html", "reset", "empty", "server_fault"])
@ONE_DATABASE
def test_a_lost_answer_to_an_erasure_that_was_made_is_found_by_polling(
    desk: Desk, emulator: EmulatorProcess, kind: str
) -> None:
    request = desk.booking()
    emulator.control.fault(kind, "eraseBooking", when="after")
    assert desk.cancel(request) in ({"pending": 4}, {"too_late": 4})
    running.poll_now(desk.engine)
    assert desk.cancel(request) == {"erased": 4}
    assert emulator.control.calls("eraseBooking") == 1


def test_a_lost_erasure_that_was_not_made_is_asked_for_again(desk: Desk, emulator: EmulatorProcess) -> None:
    request = desk.booking()
    emulator.control.fault("drop", "eraseBooking")
    assert desk.cancel(request) == {"pending": 4}
    running.poll_now(desk.engine)
    sweep_erasures(desk.engine)
    assert desk.cancel(request) == {"erased": 4, "points_back": "4.00"}
    assert emulator.control.summary().cancelled == 4


@pytest.mark.parametrize("when", ["already sent", "no such data"])
def test_too_late_is_said_and_its_delivery_is_followed(
    desk: Desk, emulator: EmulatorProcess, when: str
) -> None:
    request = desk.booking()
    emulator.control.advance(7300)
    # The gateway's midnight may lie between, and with it the end of the key.
    desk.engine.redis.flushall()
    if when == "no such data":
        emulator.control.fault("result", "eraseBooking", text="")
    assert desk.cancel(request) == {"too_late": 4}
    desk.poll()
    assert running.counts(desk.engine, request) == {"delivered": 4}
    assert desk.cancel(request) == {"too_late": 4}
    sweep_erasures(desk.engine)
    assert emulator.control.calls("eraseBooking") == 1


Trouble = Callable[[EmulatorProcess], None]


@pytest.mark.parametrize(
    "trouble",
    [
        lambda emulator: emulator.control.fault("code", "eraseBooking", code=-8),
        lambda emulator: emulator.control.fault("code", "eraseBooking", code=-99),
        lambda emulator: emulator.control.fault("http", "eraseBooking", status=429),
        lambda emulator: emulator.control.void_keys(),
    ],
    ids=["-8", "-99", "429", "-301 within two seconds of a login"],
)
def test_a_booking_that_cannot_be_erased_now_is_erased_by_the_sweep(
    desk: Desk, emulator: EmulatorProcess, trouble: Trouble
) -> None:
    request = desk.booking()
    trouble(emulator)
    assert desk.cancel(request) == {"pending": 4}
    calls = emulator.control.calls("eraseBooking")
    sweep_erasures(desk.engine)
    assert emulator.control.calls("eraseBooking") == calls
    desk.clock.advance(15)
    desk.engine.redis.delete("every8d:login:default")  # two seconds later
    sweep_erasures(desk.engine)
    assert desk.cancel(request) == {"erased": 4, "points_back": "4.00"}


def test_a_key_that_is_gone_is_replaced_for_an_erasure(desk: Desk, emulator: EmulatorProcess) -> None:
    request = desk.booking()
    emulator.control.void_keys()
    desk.engine.redis.delete("every8d:login:default")
    assert desk.cancel(request) == {"erased": 4, "points_back": "4.00"}


@ONE_DATABASE
def test_an_accounts_fault_at_an_erasure_stops_the_account(desk: Desk, emulator: EmulatorProcess) -> None:
    request = desk.booking()
    emulator.control.fault("code", "eraseBooking", code=-101)
    assert desk.cancel(request) == {"pending": 4}
    assert accounts.account_row(desk.engine.database, running.ALIAS).breaker == "open"


@ONE_DATABASE
def test_a_booking_of_an_account_without_settings_waits_and_hinders_no_other(
    desk: Desk, emulator: EmulatorProcess
) -> None:
    request = desk.booking()
    kept = desk.engine.settings.accounts.pop("default")
    assert desk.cancel(request) == {"pending": 4}
    desk.engine.settings.accounts["default"] = kept
    desk.clock.advance(15)
    sweep_erasures(desk.engine)
    assert desk.cancel(request) == {"erased": 4, "points_back": "4.00"}


@pytest.mark.parametrize(
    ("booked", "code", "at_first", "then"),
    [
        (False, None, {"pending": 3}, {"too_late": 3}),
        (False, -99, {"pending": 3}, {"stopped": 3}),
        (False, -306, {"pending": 3}, {"stopped": 3}),
        (True, None, {"pending": 4}, {"erased": 4, "points_back": "4.00"}),
        (True, -99, {"pending": 4}, {"stopped": 4}),
    ],
)
def test_cancelled_while_its_call_is_under_way(
    desk: Desk,
    emulator: EmulatorProcess,
    monkeypatch: pytest.MonkeyPatch,
    booked: bool,
    code: int | None,
    at_first: dict[str, Any],
    then: dict[str, Any],
) -> None:
    if code is not None:
        emulator.control.fault("code", "sendSMS", code=code)
    request = desk.booking(send=False) if booked else running.enqueue(desk.engine, to=bodies.numbers(3))
    gateway, seen = desk.engine.gateways.gateway(running.ALIAS), []
    real = gateway.send_sms

    def send_sms(*arguments: Any, **named: Any) -> Any:
        try:
            return real(*arguments, **named)
        finally:
            # The gateway has answered, and nothing of it is committed yet.
            seen.append(desk.cancel(request))

    monkeypatch.setattr(gateway, "send_sms", send_sms)
    running.send(desk.engine)
    sweep_erasures(desk.engine)
    assert (seen, desk.cancel(request)) == ([at_first], then)
    assert emulator.control.calls("sendSMS") == 1
    running.send(desk.engine)
    assert emulator.control.calls("sendSMS") == 1
    assert len(running.rows(desk.engine, chunk)) == 1
