"""The inbox on both databases: each report once, whatever it holds."""

import json
import threading
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.exc import SQLAlchemyError

from every8d.callback import parse
from tests.support.ledger import at_once, failures
from tests.support.servers import Clock
from tests.support.web import BATCH, query, rows
from worker import token
from worker.ledger.database import Database
from worker.ledger.inbox import Arrived, arrived, store

CHUNK = token.new_id(1_767_225_600_000)


def row(account: str = "default", **changes: str) -> Arrived:
    return arrived(account, parse(query(**changes).encode()))


def test_a_report_as_a_row(database: Database, clock: Clock) -> None:
    store(database, [row(SUBJECT=token.subject(CHUNK, "週年慶"))])
    [one] = rows(database)
    assert (one.account, one.batch_id, one.token, one.position) == ("default", BATCH, CHUNK, 1)
    assert (one.number, one.status, one.text, one.cost) == ("+886987654321", 100, None, Decimal(1))
    assert (one.sent_ms, one.reported_ms) == (1_514_779_201_000, 1_514_779_202_000)
    assert (one.state, one.received_ms, one.look_ms, one.looks) == (
        "waiting",
        clock.now_ms,
        clock.now_ms,
        0,
    )
    fields = json.loads(one.fields)
    assert "SM" not in fields
    assert (fields["NAME"], fields["CustID"]) == ("王小明", "CUSTOMER")


def test_a_reply_keeps_its_words(database: Database) -> None:
    store(database, [row(STATUS="999", SM=" 好的\r\n謝謝 👍 ", CHARGE="0")])
    [one] = rows(database)
    assert (one.status, one.text, one.cost) == (999, "好的\n謝謝 👍", None)
    assert json.loads(one.fields)["SM"] == " 好的\r\n謝謝 👍 "


def test_the_text_is_kept_where_nobody_knows_whether_it_is_a_reply(database: Database) -> None:
    store(database, [row(STATUS="??")])
    [one] = rows(database)
    assert (one.status, one.text) == (None, None)
    assert json.loads(one.fields)["SM"] == "Hello, 世界"


HOSTILE: dict[str, dict[str, str]] = {
    "NUL everywhere": dict.fromkeys(("BatchID", "RM", "STATUS", "SM", "SUBJECT", "NAME"), "\x00"),
    "a number of any length": {"RM": "+886" + "9" * 900},
    "great numbers": {"STATUS": "9" * 9, "MR": "9" * 9, "CHARGE": "999999999.999999999"},
    "greater numbers": {"STATUS": "9" * 40, "MR": "9" * 40, "CHARGE": "9" * 40},
    "the first of all years": {"ST": "00010101000000", "RT": "0001/1/1 0:0:0"},
    "the last of all years": {"ST": "99991231235959", "RT": "99991231235959"},
    "a token that is none": {"SUBJECT": "[e8d:ZZZZZZZZZZZZZ] [e8d:]"},
    "a reply of what a database may not like": {
        "STATUS": "999",
        "SM": "\x00\x1b[31m'; DROP TABLE inbox;--\\x00",
    },
}


@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE)
def test_whatever_a_report_holds_it_can_be_stored(database: Database, changes: dict[str, str]) -> None:
    store(database, [row(**changes)])
    [one] = rows(database)
    assert one.text is None or "\x00" not in one.text
    assert len(one.number) <= 20


def test_a_report_is_one_row_however_often_it_comes(database: Database, clock: Clock) -> None:
    store(database, [row(), row(), row(MR="2")])
    clock.advance(60)
    store(database, [row(), row(MR="3")])
    found = rows(database)
    assert sorted(one.position for one in found) == [1, 2, 3]
    assert [one.received_ms == clock.now_ms for one in found] == [one.position == 3 for one in found]


SAME: dict[str, bytes] = {
    "in another order": "&".join(reversed(query().split("&"))).encode(),
    "with other capitals": query().replace("BatchID", "BATCHID").replace("RM=", "rm=").encode(),
    "with other escapes": query().replace("%2B", "%2b").replace("%2C+", "%2c%20").encode(),
    "in Big5": query("cp950").encode(),
}


@pytest.mark.parametrize("raw", SAME.values(), ids=SAME)
def test_a_report_in_another_dress_is_the_same(raw: bytes) -> None:
    assert arrived("default", parse(raw)).digest == row().digest


@pytest.mark.parametrize(
    "changes", [{"STATUS": "0"}, {"MR": "2"}, {"RT": "20180101120003"}, {"MSGID": "7"}, {"SM": "Hello"}]
)
def test_a_report_with_other_contents_is_another(changes: dict[str, str]) -> None:
    assert row(**changes).digest != row().digest


def test_the_same_report_to_two_accounts_is_two() -> None:
    assert row("other").digest != row().digest


def test_no_repr_shows_a_row() -> None:
    assert "0987" not in repr(row()).replace("+886", "0")
    assert "CUSTOMER" not in repr(row())


def test_several_that_store_the_same_reports_in_other_orders_all_end(database: Database) -> None:
    reports = [row(MR=str(number)) for number in range(1, 201)]
    wrong = failures(database)

    def storing(turn: int) -> Any:
        return lambda: [
            store(database, (reports[turn:] + reports[:turn])[:: 1 - 2 * (turn % 2)]) for _ in range(3)
        ]

    at_once([storing(turn) for turn in range(4)])
    assert len(rows(database)) == 200
    assert wrong == []


def test_all_or_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(name: str) -> None:
        if name == "callback.stored":
            raise SQLAlchemyError("as a commit that fails")

    monkeypatch.setattr("worker.ledger.database.points.before", failing)
    with pytest.raises(SQLAlchemyError):
        store(database, [row(), row(MR="2")])
    monkeypatch.undo()
    assert rows(database) == []


def test_nothing_to_store_is_nothing_done(database: Database) -> None:
    before = threading.active_count()
    store(database, [])
    assert rows(database) == []
    assert threading.active_count() == before
