"""The task `every8d.accept` itself: whatever arguments it is published with, it ends, and what it was given is kept."""

from typing import Any

import pytest
from celery.exceptions import Retry
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from tasks import queue
from tests.support import bodies, running
from worker import accepting, runtime
from worker.engine import Engine
from worker.ledger.tables import dead_letter, request

SECRET = "0912345678 的驗證碼"


@pytest.fixture
def rung(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The task works with the test's engine; the lanes that it woke."""
    lanes: list[tuple[str, str]] = []
    monkeypatch.setattr(runtime, "engine", lambda: engine)
    monkeypatch.setattr(runtime, "wake", lambda alias, lane: lanes.append((alias, lane)))
    return lanes


def body() -> dict[str, Any]:
    return bodies.sealed(bodies.page(to=bodies.numbers(2)))


def run(*arguments: Any, **named: Any) -> Any:
    """What a worker does with a task, apart from the queue: its result, or its exception."""
    return queue.accept.apply(args=arguments, kwargs=named, throw=True).get()


@pytest.mark.parametrize("named", [False, True], ids=["by place", "by name"])
def test_one_body_is_accepted(engine: Engine, rung: list[tuple[str, str]], named: bool) -> None:
    result = run(body=body()) if named else run(body())
    assert (result["outcome"], result["accepted"]) == ("ready", 2)
    assert rung == [("default", "normal")]
    assert running.rows(engine, dead_letter) == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        pytest.param((), {}, id="none"),
        pytest.param((), {"bdy": SECRET}, id="another name"),
        pytest.param((), {"self": SECRET}, id="the name of a method's own"),
        pytest.param((SECRET, 2), {}, id="two"),
        pytest.param((body(), body()), {}, id="two bodies"),
        pytest.param((SECRET,), {"body": body()}, id="one by place and one by name"),
        pytest.param((), {"body": body(), "more": SECRET}, id="a body and more"),
    ],
)
def test_other_arguments_are_a_dead_letter(
    engine: Engine, rung: list[tuple[str, str]], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    result = run(*arguments, **named)
    assert (result["outcome"], result["reason"]) == ("dead", "its arguments are not one body")
    [letter] = running.rows(engine, dead_letter)
    assert letter.reason == result["reason"]
    assert (SECRET in letter.body) == (SECRET in str((arguments, named)))
    assert running.kinds(engine) == ["dead_letter"]
    assert running.rows(engine, request) == rung == []


def test_a_fault_of_the_workers_own_is_a_dead_letter_without_its_text(
    engine: Engine, rung: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise KeyError(SECRET)

    monkeypatch.setattr(accepting, "arrive", fails)
    one = body()
    with capture_logs() as logs:
        result = run(body=one)
    assert (result["outcome"], result["reason"]) == ("dead", "the worker failed on it: KeyError")
    [letter] = running.rows(engine, dead_letter)
    assert one["request"] in letter.body
    assert [entry["error"] for entry in logs if entry["log_level"] == "error"] == ["KeyError"]
    assert "0912345678" not in str([logs, letter, result, running.rows(engine, running.event)])
    assert rung == []


@pytest.mark.parametrize(("away_in", "arguments"), [("arrive", (body(),)), ("bury", ())])
def test_a_ledger_that_is_away_is_waited_for(
    engine: Engine,
    rung: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    away_in: str,
    arguments: tuple[Any, ...],
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("insert", {}, Exception("away"))

    with monkeypatch.context() as patched:
        patched.setattr(accepting, away_in, away)
        again: list[float] = []

        def retry(*, countdown: float) -> Retry:
            again.append(countdown)
            return Retry()

        patched.setattr(queue.accept, "retry", retry)
        with pytest.raises(Retry):
            run(*arguments)
    assert again == [queue.AWAY_S]
    assert running.rows(engine, dead_letter) == rung == []
