"""The fault matrix's axes, a bench that plays one cell after another, and what an operator may never read in them.

A cell is an operation and what befalls one call of it. The bench empties ledger, Redis and emulator between two cells
rather than making new ones, so that hundreds of them take seconds; a test compares all cells of a row at once.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from every8d.emulator.control import Control
from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, running
from tests.support.engines import EngineMaker
from tests.support.servers import Clock
from worker.engine import Engine
from worker.ledger.accounts import ensure_accounts
from worker.ledger.tables import chunk, event, metadata

USER, PASSWORD, CREDIT = "shop", "pa55word", 1000
TEXT = "只給您看的內容"
SENDS = ("sendSMS", "sendMessage", "sendParamSMS")


class Means(StrEnum):
    """What a cell says about a call, by the architecture's table of outcomes."""

    ANSWERED = "answered"
    #: Certainly not executed, and may be tried again at once.
    NOT_SENT = "not sent"
    #: As above, and more than one message in the call may be why.
    TOO_LARGE = "too large"
    #: A SOAP Client fault: as above, or an operation that the gateway does not know.
    NO_SUCH_CALL = "no such call"
    BUSY = "busy"
    SESSION = "session"
    ACCOUNT = "account"
    MESSAGE = "message"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Cell:
    """What befalls a call: a fault of the emulator, what it means, and whether the gateway executes the call."""

    kind: str
    more: dict[str, Any]
    means: Means
    executed: bool
    #: Words of ours that tell a person what happened; those of `every8d.errors` and `every8d.codes`.
    words: str
    #: Only the call's deadline ends it.
    slow: bool = False

    def __str__(self) -> str:
        return " ".join([self.kind, *(str(value) for value in self.more.values())])


#: Every code of the field notes, some that only one operation has been heard to say, and one that nobody has.
CODES = {
    -3: Means.MESSAGE,
    -4: Means.MESSAGE,
    -8: Means.MESSAGE,
    -24: Means.MESSAGE,
    -27: Means.MESSAGE,
    -28: Means.MESSAGE,
    -41: Means.MESSAGE,
    -97: Means.BUSY,
    -98: Means.MESSAGE,
    -99: Means.BUSY,
    -100: Means.ACCOUNT,
    -101: Means.ACCOUNT,
    -290: Means.MESSAGE,
    -300: Means.ACCOUNT,
    -301: Means.SESSION,
    -306: Means.MESSAGE,
    -999: Means.ACCOUNT,
    -12345: Means.MESSAGE,
}
DOOR = {403: Means.NOT_SENT, 404: Means.NOT_SENT, 405: Means.NOT_SENT, 407: Means.NOT_SENT}
DOOR |= {413: Means.TOO_LARGE, 415: Means.NOT_SENT, 429: Means.NOT_SENT}
ODD_STATUSES = (302, 400, 408, 418, 500, 502, 503, 504)
#: Answers that are no answer to any operation.
NONSENSE = ("what?", "<SMS/>", "OK,1,1,0,x", "85.00,3,3.0,0,")


def _both(kind: str, words: str, *, slow: bool = False, **more: Any) -> list[Cell]:
    return [
        Cell(kind, {**more, "when": when}, Means.UNKNOWN, when == "after", words, slow)
        for when in ("before", "after")
    ]


CELLS = [
    *(
        Cell("delay", {"delay_ms": 20, "when": when}, Means.ANSWERED, True, "")
        for when in ("before", "after")
    ),
    Cell("drip", {"delay_ms": 0}, Means.ANSWERED, True, ""),
    *(Cell("http", {"status": status}, means, False, f"HTTP {status}") for status, means in DOOR.items()),
    Cell("client_fault", {}, Means.NO_SUCH_CALL, False, "a SOAP Client fault"),
    *(
        Cell("code", {"code": code}, means, False, "session" if code == -301 else str(code))
        for code, means in CODES.items()
    ),
    *_both("drop", "the connection broke"),
    *_both("reset", "the connection broke"),
    *_both("html", "an answer that is no reply"),
    *_both("empty", "an answer that is no reply"),
    *_both("server_fault", "a SOAP Server fault"),
    *(one for status in ODD_STATUSES for one in _both("http", f"HTTP {status}", status=status)),
    *(one for text in NONSENSE for one in _both("result", "", text=text)),
    Cell("half_body", {}, Means.UNKNOWN, True, "the connection broke"),
    Cell("truncated", {}, Means.UNKNOWN, True, "an answer that is no reply"),
    *_both("stall", "no whole answer in time", slow=True),
    *_both("delay", "no whole answer in time", slow=True, delay_ms=5000),
    Cell("hang_up", {}, Means.UNKNOWN, True, "no whole answer in time", slow=True),
    Cell("drip", {"delay_ms": 50}, Means.UNKNOWN, True, "no whole answer in time", slow=True),
]


@dataclass
class Bench:
    """Engines of one account on one ledger, and one emulator, emptied between two cells."""

    control: Control
    clock: Clock
    patient: Engine
    hasty: Engine
    logged: list[Any] = field(default_factory=list)

    def engine(self, cell: Cell) -> Engine:
        """The one whose calls end soon, for a cell that only the deadline ends."""
        return self.hasty if cell.slow else self.patient

    def play(self, cells: list[Cell], scene: Callable[["Bench", Cell], Any]) -> dict[str, Any]:
        """What `scene` sees of each cell, by the cell's name. Fails where anybody could read what nobody may."""
        seen = {}
        for cell in cells:
            self.empty()
            with capture_logs() as self.logged:
                seen[str(cell)] = scene(self, cell)
            self.check_private(str(cell))
        return seen

    def befall(self, cell: Cell, operation: str, **more: Any) -> None:
        """Lets the cell's fault befall the next call of the operation."""
        self.control.fault(cell.kind, operation, **(cell.more | more))

    def empty(self) -> None:
        """As freshly started: an empty ledger with its account, an empty Redis, an emulator without faults."""
        database = self.patient.database
        with database.engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
        ensure_accounts(database, self.patient.settings.accounts)
        self.patient.redis.flushall()
        self.control.reset()
        self.control.create_account(USER, PASSWORD, credit=CREDIT)
        self.clock.now_ms = running.clock_now().now_ms

    def later(self, seconds: float) -> None:
        """So much later, for us and for the pace of logins."""
        self.clock.advance(seconds)
        self.patient.redis.delete("every8d:login:default")

    def read(self) -> str:
        """All that an operator can read of it: events, what is kept of chunks, and the log."""
        words = [row.detail for row in running.rows(self.patient, event)]
        words += [row.why or "" for row in running.rows(self.patient, chunk)]
        return "\n".join([*words, *(repr(line) for line in self.logged)])

    def check_private(self, name: str) -> None:
        """No number, text, password or session key in what an operator reads; no control character either."""
        words = self.read()
        assert PASSWORD not in words, name
        assert TEXT not in words, name
        assert not re.search(r"886\d{9}|09\d{8}", words), name
        assert not re.search(r"(?<![0-9a-f-])[0-9a-f]{32}(?![0-9a-f-])", words), name
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", words), name


@pytest.fixture
def bench(make: EngineMaker, emulator: EmulatorProcess) -> Bench:
    clock = running.clock_now()
    account = {"user_id": USER, "password": SecretStr(PASSWORD), "clock": clock}
    return Bench(
        emulator.control, clock, make(**account), make(**account, call_deadline_s=0.4, connect_timeout_s=5)
    )


def fields(operation: str, count: int = 3) -> dict[str, Any]:
    """A body's fields that make its messages go out by this operation."""
    if operation == "sendParamSMS":
        rows = [{"to": one, "text": f"{TEXT} {one[-2:]}"} for one in bodies.numbers(count)]
        return {"messages": rows}
    more = {"validity": 10} if operation == "sendMessage" else {}
    return {"to": bodies.numbers(count), "text": TEXT, **more}


def compare(seen: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Fails with every cell that differs, and not with a page of those that do not."""
    differ = [f"{name}\n  seen   {seen.get(name)}\n  wanted {wanted.get(name)}" for name in wanted]
    wrong = [one for one, name in zip(differ, wanted, strict=True) if seen.get(name) != wanted[name]]
    assert not wrong, "\n".join(wrong)
    assert seen.keys() == wanted.keys()
