"""Hostile answers and bodies through the whole engine: the ledger takes them, and no log shows them raw."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, running
from tests.support.engines import EngineMaker
from worker import log
from worker.accepting import arrive
from worker.engine import Engine
from worker.ledger.tables import chunk, dead_letter, event, message, reply

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
GUID = "5b7b3d70-5f0b-4b4e-9d3f-0d9a4f0e0c11"
#: A line of its own, colours, and what ends a terminal's title: none of it may reach a log as it is.
MARK = "\x1b[31mHOSTILE\x1b]0;x\x07\n2026-01-01 [error] FAKE\r\u2028\u202e+886987654321"
#: The same as XML can carry it.
MARKED = "".join(one if one >= " " else f"&#{ord(one)};" for one in MARK)


@pytest.fixture(params=["console", "json"])
def lines(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the engine logs at every level, as a worker writes it."""
    stream = io.StringIO()
    root, kept = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers, root.level
    monkeypatch.setattr(sys, "stderr", stream)
    log.configure(request.param, "DEBUG")
    structlog.configure(cache_logger_on_first_use=False)
    yield stream
    root.handlers, root.level = handlers, level
    structlog.configure(**kept)


def check(lines: io.StringIO, engine: Engine) -> None:
    """Neither the log nor an event shows what came from outside."""
    shown = lines.getvalue() + "".join(one.detail for one in running.rows(engine, event))
    assert [
        one for one in ("\x1b[31mH", "\x07", "\r", "\u2028", "\u202e", "FAKE", "HOSTILE") if one in shown
    ] == []
    assert "987654321" not in shown
    lines.truncate(0)


def page(rows: str, count: str = "3") -> str:
    return (
        f'<SMS_LOG><CODE>0</CODE><GET_DELIVERY_STATUS COUNT="{count}">{rows}</GET_DELIVERY_STATUS></SMS_LOG>'
    )


ROW = "<SMS><MOBILE>{}</MOBILE><STATUS>{}</STATUS><COST>{}</COST><SENT_TIME>{}</SENT_TIME>{}</SMS>"
REPLY = "<REPLY_SMS><REPLY_TIME>{}</REPLY_TIME><MESSAGE>{}</MESSAGE></REPLY_SMS>"
TIME = "2026/01/01 00:00:00"
NUMBER = bodies.numbers(1)[0]
PAGES = {
    "numbers at their limits": page(
        ROW.format(NUMBER, "999999999", "99999999999999.999999999", "9999/12/31 23:59:59", "")
    ),
    "the least that there is": page(
        ROW.format(NUMBER, "-999999999", "-99999999999999", "0001/01/01 00:00:00", "")
    ),
    "numbers beyond": page(ROW.format(NUMBER, "9" * 12, "9" * 20, "99999/1/1 1:1:1", "")),
    "a long number that replies": page(
        ROW.format("+886" + "9" * 500, "100", "1", TIME, REPLY.format(TIME, "x"))
    ),
    "marks everywhere": page(
        ROW.format(MARKED, MARKED, MARKED, MARKED, REPLY.format(MARKED, MARKED))
        + ROW.format(NUMBER, "100", "1", TIME, REPLY.format(MARKED, MARKED))
    ),
    "a reply of a megabyte": page(ROW.format(NUMBER, "100", "1", TIME, REPLY.format(TIME, "字" * 350_000))),
    "the same reply many times": page(ROW.format(NUMBER, "100", "1", TIME, REPLY.format(TIME, "x") * 5000)),
    "the same row many times": page(ROW.format(NUMBER, "100", "1", TIME, "") * 3000),
    "a count beyond the batch": page(ROW.format(NUMBER, "0", "1", TIME, ""), "999999999"),
    "a count below zero": page(ROW.format(NUMBER, "100", "1", TIME, ""), "-5"),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_hostile_page_is_stored_and_polling_goes_on(
    make: EngineMaker, emulator: EmulatorProcess, lines: io.StringIO, name: str
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    request = running.enqueue(engine, to=bodies.numbers(3))
    running.send(engine)
    emulator.control.fault("result", "getDeliveryStatus", text=PAGES[name], count=40)
    clock.advance(60)
    running.poll_now(engine)
    # An endless batch is not asked for for ever, and no page holds the batch up.
    assert emulator.control.calls("getDeliveryStatus") < 40
    [row] = running.rows(engine, chunk)
    assert row.poll_lease_ms is None
    assert row.polls == 1
    emulator.control.clear_faults()
    clock.advance(3700)
    running.poll_now(engine)
    found = running.counts(engine, request)
    assert found.get("delivered", 0) >= 2, found
    assert len(running.rows(engine, reply)) <= 2
    assert {one.chunk_id for one in running.rows(engine, message)} == {row.id}
    check(lines, engine)


ANSWERS = [
    f"99999999999999.999999999,999999999,99999999999999.999999999,999999999,{GUID}",
    f"-99999999999999,1,1,0,{GUID}",
    f"{'9' * 15}.0,1,1.0,0,{GUID}",
    f"85.00,3,3.0,0,{GUID},{MARKED * 3000}",
    f"85.00,3,3.0,0,{MARKED}",
    f"-99,{MARKED}",
    f"-306,{MARKED}",
    f"-12345,{MARKED}",
    MARKED,
    f"85.00,3,3.0,0,{'{'}{GUID}{'}'}",
    "85.00,3,3.0,0,../../etc/passwd",
    "85.00,3,3.0,0,' OR 1=1 --",
]


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_a_hostile_answer_to_a_send_loses_and_doubles_nothing(
    make: EngineMaker, emulator: EmulatorProcess, lines: io.StringIO, answer: str
) -> None:
    engine = make(clock=running.clock_now())
    emulator.control.fault("result", "sendSMS", text=answer, when="before" if answer[0] == "-" else "after")
    running.enqueue(engine, to=bodies.numbers(3))
    running.send(engine)
    summary = emulator.control.summary()
    states = set(running.chunk_states(engine))
    assert summary.doubled_count == 0
    assert "submitting" not in states
    assert summary.total == 3 or states == {"unknown"}
    assert all(len(row.raw or "") <= 4096 for row in running.rows(engine, chunk))
    check(lines, engine)


@ONE_DATABASE
def test_a_dead_body_is_kept_in_part(engine: Engine) -> None:
    arrive(engine, bodies.page(text="x" * 20_000_000, to=[NUMBER]), None)
    [row] = running.rows(engine, dead_letter)
    assert 100_000 < len(row.body) < 2_000_000


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(MARK) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.just(MARK) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
FIELDS = sorted(bodies.sealed(bodies.page(to=[NUMBER])))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(FIELDS) | st.just(MARK), values, max_size=4), st.booleans())
@ONE_DATABASE
def test_whatever_body_comes_it_is_answered_and_no_log_shows_it(
    engine: Engine, lines: io.StringIO, changed: dict[str, Any], sealed: bool
) -> None:
    body = bodies.page(to=[NUMBER], text=MARK)
    answer = arrive(engine, (bodies.sealed(body) if sealed else body) | changed, MARK).result
    assert answer["outcome"] in ("dead", "ready", "staged", "conflict", "refused"), answer
    assert MARK not in json.dumps(answer, ensure_ascii=False)
    check(lines, engine)
