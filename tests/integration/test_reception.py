"""The thread that accepts together, apart from a worker: what it acknowledges, and what it hands over."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from tests.support import bodies
from worker import reception, runtime
from worker.engine import Engine
from worker.ledger.tables import request


class Loop:
    """A consumer's loop that runs at once what it is told to call soon."""

    def call_soon(self, call: Callable[..., Any], *arguments: Any) -> None:
        call(*arguments)


class Message:
    """A broker's message on a channel that is not Redis's."""

    channel = object()

    def __init__(self) -> None:
        self.acknowledged = 0

    def ack_log_error(self, *_: Any) -> None:
        self.acknowledged += 1


@pytest.fixture
def woken(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    lanes: list[tuple[str, str]] = []
    monkeypatch.setattr(runtime, "engine", lambda: engine)
    monkeypatch.setattr(runtime, "wake", lambda alias, lane: lanes.append((alias, lane)))
    return lanes


def receive(*raws: Any) -> tuple[list[int], list[int]]:
    """The places of the bodies that were acknowledged, and of those that were handed over."""
    hall, messages, over = reception.Reception(Loop()), [Message() for _ in raws], []
    hall._keeper = Idle()  # type: ignore[assignment] # the test looks by itself
    for place, (raw, message) in enumerate(zip(raws, messages, strict=True)):
        hall.put(reception._Arrived(message, raw, lambda place=place: over.append(place)))
    hall._look()
    return [place for place, one in enumerate(messages) if one.acknowledged == 1], over


class Idle:
    def wake(self) -> None:
        """Nobody sleeps."""


def whole(**fields: Any) -> dict[str, Any]:
    return bodies.sealed(bodies.page(**({"to": bodies.numbers(1)} | fields)))


def test_whole_new_bodies_are_acknowledged_and_their_lanes_woken(
    engine: Engine, woken: list[tuple[str, str]]
) -> None:
    assert receive(whole(), whole(lane="bulk"), whole()) == ([0, 1, 2], [])
    assert sorted(woken) == [("default", "bulk"), ("default", "normal")]


def test_the_same_request_twice_is_acknowledged_once(engine: Engine, woken: list[tuple[str, str]]) -> None:
    once = whole()
    assert receive(once, once) == ([0], [1])
    assert receive(once) == ([], [0])


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda: "nonsense", id="no body"),
        pytest.param(lambda: whole(account="nobody"), id="an account that is not there"),
        pytest.param(lambda: whole(lane="otp"), id="otp, which is sent by its own task"),
        pytest.param(lambda: bodies.page(to=bodies.numbers(1)), id="a page without its seal"),
        pytest.param(lambda: whole(to=["+886212345678"]), id="a landline"),
    ],
)
def test_what_is_not_usual_is_handed_over_and_holds_nobody_up(
    engine: Engine, woken: list[tuple[str, str]], other: Callable[[], Any]
) -> None:
    assert receive(whole(), other(), whole()) == ([0, 2], [1])


def test_without_a_ledger_all_are_handed_over_and_none_is_acknowledged(
    engine: Engine, woken: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("the connection is closed"))

    monkeypatch.setattr(type(engine.intake), "accept_together", away)
    assert receive(whole(), whole()) == ([], [0, 1])
    with engine.database.read() as connection:
        assert connection.execute(select(request.c.id)).all() == []


def test_a_lane_that_cannot_be_woken_is_no_reason_to_accept_twice(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise ConnectionError("Redis is away")

    monkeypatch.setattr(runtime, "engine", lambda: engine)
    monkeypatch.setattr(runtime, "wake", fails)
    assert receive(whole()) == ([0], [])
