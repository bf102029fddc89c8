"""The emulator's reports into the inbox: in every dress that it knows, and repeated until they are stored."""

from collections.abc import Iterator
from typing import Any

import pytest

from every8d.emulator.process import EmulatorProcess
from tests.support import bodies
from tests.support.engines import EngineMaker
from tests.support.running import enqueue, rows, send
from tests.support.waiting import wait_for
from tests.support.web import locked, serving
from worker.engine import Engine
from worker.ledger.tables import chunk, inbox
from worker.token import encode

MESSAGES = 60
#: Reports that the emulator has under way at once.
TOGETHER = 32


@pytest.fixture
def sent(make: EngineMaker, emulator: EmulatorProcess, database_url: str) -> Iterator[Any]:
    """Sends a batch that the emulator reports on to a real web process, as the test's arguments say."""
    with serving(database_url) as web:

        def run(*, retry_s: float = 0.05, switches: dict[str, Any] | None = None, **target: Any) -> Engine:
            engine = make()
            emulator.control.callback_to(web.url, retry_s=retry_s, **target)
            emulator.control.switch(**(switches or {}))
            emulator.control.network(deliver_after_s=60)  # so that nothing is reported before a test wants it
            enqueue(engine, to=bodies.numbers(MESSAGES), text="週年慶開跑", subject="主旨")
            send(engine)
            return engine

        yield run


def told(emulator: EmulatorProcess) -> dict[str, int]:
    """The emulator's counts, once it has nothing left to say."""
    emulator.control.advance(120)
    return wait_for(
        lambda: (counts := emulator.control.callbacks())["pending"] == 0 and counts["due"] and counts
    )


DRESSES: dict[str, dict[str, Any]] = {
    "GET": {},
    "POST": {"method": "POST"},
    "Big5": {"charset": "big5"},
    "POST in Big5": {"method": "POST", "charset": "big5"},
    "names in capitals": {"switches": {"callback_upper_names": True}},
    "each of them twice": {"switches": {"callback_copies": 2}},
    "no subject": {"switches": {"echo_subject": False}},
}


@pytest.mark.parametrize("dress", DRESSES.values(), ids=DRESSES)
def test_every_report_is_stored_once(sent: Any, emulator: EmulatorProcess, dress: dict[str, Any]) -> None:
    engine = sent(**dress)
    counts = told(emulator)
    copies = dress.get("switches", {}).get("callback_copies", 1)
    assert (counts["stored"], counts["given_up"]) == (MESSAGES * copies, 0)
    [one] = rows(engine, chunk)
    stored = rows(engine, inbox)
    assert sorted(row.position for row in stored) == list(range(1, MESSAGES + 1))
    assert {(row.batch_id, row.account, row.status) for row in stored} == {(one.batch_id, "default", 100)}
    assert {row.number for row in stored} == set(bodies.numbers(MESSAGES))
    named = None if dress.get("switches", {}).get("echo_subject") is False else one.id
    assert {row.token for row in stored} == {named}
    if named:
        assert all(encode(one.id) in row.fields and "主旨" in row.fields for row in stored)


def test_reports_are_repeated_until_the_ledger_takes_them(sent: Any, emulator: EmulatorProcess) -> None:
    engine = sent(retry_s=0.2)
    with locked(engine.database):
        emulator.control.advance(120)
        # More than it sends at once: some have had their answer.
        wait_for(lambda: emulator.control.callbacks()["attempts"] > TOGETHER)
        assert emulator.control.callbacks()["stored"] == 0
    counts = told(emulator)
    assert (counts["stored"], counts["given_up"]) == (MESSAGES, 0)
    assert counts["attempts"] > MESSAGES
    assert sorted(row.position for row in rows(engine, inbox)) == list(range(1, MESSAGES + 1))
