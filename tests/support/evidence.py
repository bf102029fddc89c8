"""An exclusive account with unknown chunks, for tests of what its credit proves."""

import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, running
from tests.support.engines import EngineMaker
from worker import reconciler
from worker.ledger.tables import account, chunk

CREDIT = 1000
#: 71 characters: two points each.
TWO_POINTS = "字" * 71


class Scene:
    """One exclusive account on an emulator with a thousand points, and the clock of its ledger."""

    def __init__(self, make: EngineMaker, emulator: EmulatorProcess, **account: Any) -> None:
        self.clock = running.clock_now()
        self.make = make
        self.settings: dict[str, Any] = {
            "exclusive": True,
            "refunds": False,
            "call_deadline_s": 2.0,
        } | account
        self.engine = make(clock=self.clock, **self.settings)
        self.control = emulator.control
        self.control.change_account(set_credit=CREDIT)
        self._used = 0

    def baseline(self) -> None:
        """The reconciler finds the account quiet."""
        self.look(61)
        assert self.account().baseline == Decimal(self.control.credit())
        self.clock.advance(1)

    def look(self, after_s: float = 0.0) -> None:
        self.clock.advance(after_s)
        reconciler.look(self.engine, running.ALIAS)

    def numbers(self, count: int) -> list[str]:
        self._used += count
        return bodies.numbers(count, self._used - count)

    def send(self, count: int = 1, **fields: Any) -> uuid.UUID:
        """A request, and one turn of its lane."""
        fields = {"to": self.numbers(count)} | fields
        self.clock.advance(120)
        request = running.enqueue(self.engine, **fields)
        running.send(self.engine, fields.get("lane", "normal"))
        return request

    def lose(self, when: str = "after", count: int = 1, kind: str = "drop", **fields: Any) -> uuid.UUID:
        """A request whose answer is lost."""
        more = {} if kind == "hang_up" else {"when": when}
        self.control.fault(kind, "sends", **more)
        request = self.send(count, **fields)
        assert running.counts(self.engine, request) == {"unknown": count}
        return request

    def compare(self) -> None:
        """The reconciler, once the gateway cannot be executing anything any more."""
        self.look(300)

    def counts(self, request: uuid.UUID) -> dict[str, int]:
        return running.counts(self.engine, request)

    def account(self) -> Any:
        with self.engine.database.read() as connection:
            return connection.execute(select(account)).one()

    def chunks(self) -> list[Any]:
        return sorted(running.rows(self.engine, chunk), key=lambda row: row.id)

    def while_measuring(self, monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
        """Does something between the two getCredits of the next comparison."""
        real, asked = reconciler.housekeeping.ask_credit, []

        def ask(engine: Any, alias: str) -> Decimal:
            credit = real(engine, alias)
            asked.append(credit)
            if len(asked) == 1:
                action()
            return credit

        monkeypatch.setattr(reconciler.housekeeping, "ask_credit", ask)


@pytest.fixture
def scene(make: EngineMaker, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """The usual one: no refunds, 180 s, and two getCredits that follow one another at once."""
    monkeypatch.setattr(reconciler, "APART_S", 0.001)
    return Scene(make, emulator)


@pytest.fixture
def scene_of(
    make: EngineMaker, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Scene]:
    """Scenes with other settings of the account."""
    monkeypatch.setattr(reconciler, "APART_S", 0.001)
    return lambda **account: Scene(make, emulator, **account)
