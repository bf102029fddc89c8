"""Twice: every task that there is, delivered two times at once and a third time later, does what it does once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from config.beat import beat_config
from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, running
from tests.support.engines import EngineMaker
from tests.support.servers import Clock
from worker import runtime
from worker.celery import app
from worker.engine import Engine
from worker.ledger.claim import Terms, claim
from worker.ledger.tables import event, message, metadata, request

AT_ONCE = 2


@dataclass
class Stage:
    """An engine in which a task runs, the emulator, and the arguments that the scene has made."""

    engine: Engine
    emulator: EmulatorProcess
    clock: Clock
    arguments: list[Any] = field(default_factory=list)

    def send(self, count: int = 3, **fields: Any) -> Any:
        made = running.enqueue(self.engine, to=bodies.numbers(count), **fields)
        running.send(self.engine)
        return made


def accepting(stage: Stage) -> None:
    stage.arguments = [bodies.sealed(bodies.page(to=bodies.numbers(3), lane="otp"))]


def dispatching(stage: Stage) -> None:
    running.enqueue(stage.engine, to=bodies.numbers(3))
    stage.arguments = [running.ALIAS, "normal"]


def polling(stage: Stage) -> None:
    stage.send()
    stage.clock.advance(60)
    stage.arguments = [running.ALIAS]


def asking(stage: Stage) -> None:
    stage.arguments = [str(stage.send())]


def cancelling(stage: Stage) -> None:
    at = datetime.fromtimestamp(stage.clock.now_ms // 1000 + 7200, UTC).isoformat()
    stage.arguments = [str(stage.send(schedule="gateway", send_at=at))]


def lease_over(stage: Stage) -> None:
    running.enqueue(stage.engine, to=bodies.numbers(3))
    assert claim(stage.engine.database, running.ALIAS, "normal", Terms(500, 90, "dead")) is not None
    stage.clock.advance(91)


def unsealed(stage: Stage) -> None:
    from worker.accepting import arrive

    arrive(stage.engine, bodies.page(uuid4(), to=bodies.numbers(3)), None)
    stage.clock.advance(1000)


def erasure_waits(stage: Stage) -> None:
    from worker.cancel import cancel

    cancelling(stage)
    [name] = stage.arguments
    stage.emulator.control.fault("code", "eraseBooking", code=-8)
    [row] = running.rows(stage.engine, request)
    assert str(row.id) == name
    cancel(stage.engine, row.id)
    stage.clock.advance(20)
    stage.arguments = []


def something_of_everything(stage: Stage) -> None:
    stage.send()
    running.enqueue(stage.engine, to=bodies.numbers(2, 50), lane="bulk")
    stage.clock.advance(60)


#: Every task of ours, and what there is for it to do.
SCENES: dict[str, Callable[[Stage], None]] = {
    "every8d.accept": accepting,
    "every8d.dispatch": dispatching,
    "every8d.poll": polling,
    "every8d.status": asking,
    "every8d.cancel": cancelling,
    "every8d.sweep_leases": lease_over,
    "every8d.sweep_staged": unsealed,
    "every8d.sweep_erasures": erasure_waits,
}


def tasks() -> list[str]:
    app.loader.import_default_modules()
    return sorted(name for name in app.tasks if name.startswith("every8d."))


@pytest.fixture
def stage(make: EngineMaker, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch) -> Stage:
    clock = running.clock_now()
    engine = make(clock=clock, close_idle_min=1)
    monkeypatch.setattr(runtime, "_engine", engine)
    return Stage(engine, emulator, clock)


def told(stage: Stage) -> dict[str, Any]:
    """What the task did: states of the ledger without times and ids, texts, calls that change something."""
    with stage.engine.database.read() as connection:
        rows = {
            table.name: sorted(str(tuple(row)) for row in connection.execute(select(*columns)))
            for table, columns in (
                (message, [message.c.number, message.c.state, message.c.status, message.c.attempts]),
                (request, [request.c.state]),
                (
                    metadata.tables["chunk"],
                    [metadata.tables["chunk"].c[name] for name in ("state", "size", "erase")],
                ),
                (metadata.tables["reply"], [metadata.tables["reply"].c.digest]),
                (event, [event.c.kind]),
            )
        }
    control, summary = stage.emulator.control, stage.emulator.control.summary()
    calls = ("sendSMS", "sendMessage", "sendParamSMS", "eraseBooking", "getDeliveryStatus", "getConnection")
    return rows | {"summary": summary, "calls": {name: control.calls(name) for name in calls}}


def run(name: str, arguments: list[Any]) -> Any:
    return app.tasks[name].apply(args=arguments, throw=True, ignore_result=True).result


@pytest.mark.parametrize("name", tasks())
def test_a_task_that_is_delivered_twice_does_its_work_once(stage: Stage, name: str) -> None:
    SCENES.get(name, something_of_everything)(stage)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = list(threads.map(lambda _: run(name, stage.arguments), range(AT_ONCE)))
    once = told(stage)
    # Long after, as a broker does that has lost patience.
    stage.clock.advance(1)
    answers.append(run(name, stage.arguments))
    later = told(stage)
    assert later == once
    assert once["summary"].doubled_count == 0
    assert all(
        count <= 1 for count in (once["calls"][call] for call in once["calls"] if call != "eraseBooking")
    )
    if name == "every8d.accept":
        assert [one["outcome"] for one in answers] == ["ready"] * 3
        assert (once["summary"].total, len(once["request"])) == (3, 1)
    if name in ("every8d.dispatch", "every8d.poll", "every8d.status"):
        assert once["summary"].total == 3
    if name == "every8d.sweep_leases":
        assert once["event"] == ["('chunk_unknown',)"]
    if name == "every8d.sweep_staged":
        assert once["event"] == ["('request_abandoned',)"]
    if name in ("every8d.cancel", "every8d.sweep_erasures"):
        assert once["summary"].cancelled == 3


def test_two_beats_tick_as_one(stage: Stage) -> None:
    """RedBeat lets one of them tick; even where both did, each of their jobs looks at the ledger's state."""
    something_of_everything(stage)
    jobs = [entry["task"] for entry in beat_config(stage.engine.settings)["beat_schedule"].values()]
    assert set(jobs) <= set(tasks())
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for job in jobs:
            list(threads.map(lambda _, job=job: run(job, []), range(AT_ONCE)))
    # One doorbell for each lane that has something due, however many ticks there were.
    lengths = {
        name: stage.engine.redis.llen(f"every8d.{name}") for name in ("otp", "normal", "bulk", "status")
    }
    assert lengths == {"otp": 0, "normal": 0, "bulk": 1, "status": 1}
    running.send(stage.engine, "bulk")
    running.poll_now(stage.engine)
    summary = stage.emulator.control.summary()
    assert (summary.total, summary.doubled_count) == (5, 0)
