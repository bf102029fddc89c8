"""A worker process's keepers: they start for each account that can be served, and look after what beat asks for."""

import atexit
import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import config
from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, inbox, running
from tests.support.engines import EngineMaker
from tests.support.waiting import wait_for
from worker import runtime
from worker.engine import Engine
from worker.keeper import Keeper
from worker.ledger.accounts import ensure_accounts
from worker.ledger.claim import Terms, claim
from worker.ledger.tables import chunk

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def process(make: EngineMaker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The engine of what the runtime takes for its process."""
    clock = running.clock_now()
    engine = make(clock=clock)
    monkeypatch.setattr(runtime, "_engine", engine)
    monkeypatch.setattr(runtime, "_stopping", engine.stopping)
    monkeypatch.setattr(runtime, "_keepers", {})
    monkeypatch.setattr(config, "load", lambda: engine.settings)
    yield engine
    runtime.finish()
    atexit.unregister(runtime.finish)
    gc.unfreeze()


def test_an_account_whose_client_cannot_be_made_waits_alone(
    process: Engine, emulator: EmulatorProcess, tmp_path: Path
) -> None:
    accounts = process.settings.accounts
    good = accounts.pop("default")
    wrong = {"url": good.url.replace("http:", "https:"), "ca_file": tmp_path / "missing.pem"}
    accounts |= {"broken": good.model_copy(update=wrong), "default": good}
    ensure_accounts(process.database, accounts)
    with pytest.raises(FileNotFoundError):
        process.gateways.gateway("broken")
    runtime.start(["every8d.normal"])
    one = running.enqueue(process, to=bodies.numbers(2))
    other = running.enqueue(process, to=bodies.numbers(3, 10), account="broken")
    wait_for(lambda: running.counts(process, one) == {"sent": 2})
    assert running.counts(process, other) == {"waiting": 3}
    accounts["broken"] = good
    wait_for(lambda: running.counts(process, other) == {"sent": 3}, what="the account's next try")
    assert emulator.control.summary().doubled_count == 0


def test_keepers_may_begin_while_the_process_stops(process: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    class Quiet(Keeper):
        def __init__(self) -> None:
            super().__init__("quiet", lambda: None, 60, threading.Event())

        def wake(self) -> None:
            late = Keeper("late", lambda: None, 60, process.stopping)
            late.start()
            runtime._keepers["late", "bulk"] = late

        def join(self, timeout: float | None = None) -> None:
            self.wake()

    monkeypatch.setattr(runtime, "_keepers", {("early", "bulk"): Quiet(), ("early", "otp"): Quiet()})
    runtime.stop()
    runtime.finish()
    assert len(runtime._keepers) == 3


def test_the_status_process_sweeps_without_beat(process: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "SWEEPS_S", 0.05)
    one = running.enqueue(process, to=bodies.numbers(2))
    assert claim(process.database, running.ALIAS, "normal", Terms(500, -1, "dead")) is not None
    runtime.start(["every8d.status"])
    wait_for(lambda: running.counts(process, one) == {"unknown": 2}, within_s=5)


def test_the_status_process_matches_callbacks(process: Engine) -> None:
    one = running.enqueue(process, to=bodies.numbers(1))
    running.send(process)
    [sent] = running.rows(process, chunk)
    inbox.bring(process.database, {"token": sent.id, "number": bodies.numbers(1)[0]})
    runtime.start(["every8d.status"])
    wait_for(lambda: inbox.states(process.database) == [("matched", None)], within_s=10)
    assert running.counts(process, one) == {"delivered": 1}


def test_a_process_that_ends_without_a_word_waits_for_its_keepers(
    process: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered: list[object] = []
    monkeypatch.setattr(atexit, "register", registered.append)
    runtime.start(["every8d.bulk"])
    assert registered == [runtime.finish]
