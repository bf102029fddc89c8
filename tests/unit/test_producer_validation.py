"""What the producer refuses before it publishes, and what it makes of good input; without a broker."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from every8d.errors import InvalidInput, InvalidNumber, InvalidText, PastTime
from every8d.header import checked
from every8d.ids import uuid7
from every8d.message import Message
from every8d.producer import Producer
from every8d.producererrors import InvalidRows, TextTooLong
from every8d.receipt import Price
from every8d.rowcheck import Entry, RowCheck
from every8d.seal import RowError
from every8d.times import TAIPEI

NOW = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)  # 12:00 in Taipei
NUMBER = "0912345678"


@pytest.fixture
def producer() -> Producer:
    # Nothing listens there: a call that published would fail with another error.
    return Producer("redis://127.0.0.1:1/0", now=lambda: NOW)


REFUSED: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "no number": ({"to": []}, InvalidInput),
    "an empty number": ({"to": ""}, InvalidNumber),
    "a landline": ({"to": "02-2345-6789"}, InvalidNumber),
    "a number abroad": ({"to": "+81 90 1234 5678"}, InvalidNumber),
    "an empty text": ({"text": ""}, InvalidText),
    "a blank text": ({"text": " \r\n"}, InvalidText),
    "half a character": ({"text": "a\ud83d"}, InvalidText),
    "a text of 21 segments": ({"text": "字" * (333 * 4 + 1)}, TextTooLong),
    "an unknown lane": ({"lane": "fast"}, InvalidInput),
    "an unknown schedule": ({"schedule": "cron"}, InvalidInput),
    "a subject too long": ({"subject": "字" * 51}, InvalidInput),
    "a subject of two lines": ({"subject": "a\nb"}, InvalidInput),
    "an account with a blank": ({"account": "a b"}, InvalidInput),
    "an empty key": ({"idempotency_key": ""}, InvalidInput),
    "a past time": ({"send_at": NOW - timedelta(seconds=6)}, PastTime),
    "a past time in Taipei": ({"send_at": datetime(2026, 3, 1, 11, 59)}, PastTime),  # noqa: DTZ001  what is tested
    "a past deadline": ({"deadline": NOW}, PastTime),
    "a deadline of nothing": ({"deadline": timedelta(0)}, InvalidInput),
    "a deadline before the time": (
        {"send_at": NOW + timedelta(hours=2), "deadline": timedelta(hours=1)},
        InvalidInput,
    ),
    "a validity of nothing": ({"validity": 0}, InvalidInput),
    "a validity beyond a day": ({"validity": 1441}, InvalidInput),
    "a validity of half a minute": ({"validity": timedelta(seconds=90)}, InvalidInput),
    "a booking without a time": ({"schedule": "gateway"}, InvalidInput),
    "a booking too near": ({"schedule": "gateway", "send_at": NOW + timedelta(minutes=9)}, InvalidInput),
    "a name for several": ({"to": [NUMBER, NUMBER], "name": "王"}, InvalidInput),
    "a name with a validity": ({"name": "王", "validity": 5}, InvalidRows),
    "a name too long": ({"name": "王" * 51}, InvalidRows),
    "an e-mail that is none": ({"email": "someone"}, InvalidRows),
    "a bad number in a list": ({"to": [NUMBER, "1"]}, InvalidRows),
}


@pytest.mark.parametrize(("call", "error"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_calls_are_refused(producer: Producer, call: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        producer.send(**({"to": NUMBER, "text": "您好", "confirm": False} | call))
    assert type(caught.value) is error
    assert "912345678" not in f"{caught.value!s}{caught.value!r}"


def check(row: object, *, abroad: bool = False, **fields: Any) -> Entry | str:
    header = {
        "request": uuid7(),
        "account": "default",
        "lane": "bulk",
        "text": "共同",
        "subject": "",
        "send_at": None,
        "schedule": "ledger",
        "validity": None,
        "deadline": None,
        "duplicates": False,
        "now": NOW,
    }
    return RowCheck(checked(**(header | fields)), abroad=abroad, now=NOW).check(row)


LATER = NOW + timedelta(hours=1)
BAD_ROWS: dict[str, tuple[object, dict[str, Any], str]] = {
    "a number of no use": ("123", {}, "not_a_number"),
    "no number": ({"text": "a"}, {}, "no_number"),
    "an empty number": ("", {}, "no_number"),
    "a number that is an int": (Message(912345678), {}, "not_a_number"),  # type: ignore[arg-type]  # what is tested
    "a landline": (("0223456789", "a"), {}, "landline"),
    "a number abroad": ("+819012345678", {}, "abroad"),
    "an empty text": ((NUMBER, ""), {}, "no_text"),
    "no text at all": (NUMBER, {"text": None}, "no_text"),
    "a text that is none": ((NUMBER, 5), {}, "not_a_text"),
    "a text broken": ((NUMBER, "a\ud83d"), {}, "broken"),
    "a text too long": ((NUMBER, "字" * 1333), {}, "too_long"),
    "a text too long abroad": (("+819012345678", "字" * 1401), {"abroad": True}, "too_long"),
    "a past time": (Message(NUMBER, send_at=NOW - timedelta(minutes=1)), {}, "past_time"),
    "a time that is a text": ({"to": NUMBER, "send_at": "noon"}, {}, "bad_time"),
    "a name that is a number": ({"to": NUMBER, "name": 5}, {}, "bad_name"),
    "a name too long": (Message(NUMBER, name="王" * 51), {}, "name_too_long"),
    "an e-mail that is none": (Message(NUMBER, email="a b@c"), {}, "bad_email"),
    "a name with a validity": (Message(NUMBER, name="王"), {"validity": 5}, "name_with_validity"),
    "an own time in a booking": (
        Message(NUMBER, send_at=LATER),
        {"schedule": "gateway", "send_at": LATER},
        "own_time_in_booking",
    ),
    "an unknown field": ({"to": NUMBER, "fax": "1"}, {}, "unknown_field"),
    "no message": (5, {}, "not_a_message"),
    "a triple": ((NUMBER, "a", "b"), {}, "not_a_message"),
}


@pytest.mark.parametrize(("row", "fields", "reason"), BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_bad_rows_have_a_reason(row: object, fields: dict[str, Any], reason: str) -> None:
    assert check(row, **fields) == reason


GOOD_ROWS: dict[str, tuple[object, dict[str, Any], dict[str, Any], int]] = {
    "a number": (NUMBER, {}, {"to": "+886912345678"}, 1),
    "a full-width number": ("０９１２３４５６７８", {}, {"to": "+886912345678"}, 1),
    "the shared text again": ((NUMBER, "共同"), {}, {"to": "+886912345678"}, 1),
    "a text of its own": ((NUMBER, "字" * 71), {}, {"to": "+886912345678", "text": "字" * 71}, 2),
    "line ends are made one": ((NUMBER, "a\r\nb\rc"), {}, {"to": "+886912345678", "text": "a\nb\nc"}, 1),
    "abroad costs three": ("+819012345678", {"abroad": True}, {"to": "+819012345678"}, 3),
    "blank fields of a CSV": (
        {"to": NUMBER, "name": "", "email": "", "text": None, "send_at": None},
        {},
        {"to": "+886912345678"},
        1,
    ),
    "a naive time is Taipei's": (
        Message(NUMBER, send_at=datetime(2026, 3, 1, 13, 0)),  # noqa: DTZ001  what is tested
        {},
        {"to": "+886912345678", "send_at": "2026-03-01T05:00:00+00:00"},
        1,
    ),
    "a moment ago is now": (
        Message(NUMBER, send_at=NOW - timedelta(seconds=3)),
        {},
        {"to": "+886912345678", "send_at": "2026-03-01T03:59:57+00:00"},
        1,
    ),
}


@pytest.mark.parametrize(("row", "fields", "message", "points"), GOOD_ROWS.values(), ids=GOOD_ROWS.keys())
def test_good_rows(row: object, fields: dict[str, Any], message: dict[str, Any], points: int) -> None:
    assert check(row, **fields) == Entry(message, points)


def test_times_and_validity_of_the_header() -> None:
    header = checked(
        request=uuid7(),
        account="a",
        lane="otp",
        text="x",
        subject="s",
        send_at=datetime(2026, 3, 1, 13, 0, 0, 5),  # noqa: DTZ001
        schedule="gateway",
        validity=timedelta(minutes=30),
        deadline=datetime(2026, 3, 1, 15, tzinfo=TAIPEI),
        duplicates=True,
        now=NOW,
    )
    fields = header.fields()
    assert fields["send_at"] == "2026-03-01T05:00:00+00:00"
    assert fields["deadline"] == "2026-03-01T07:00:00+00:00"
    assert fields["validity"] == 30


PRICES = {
    "one": (NUMBER, "您好", Price(1, 1, 1)),
    "two long": ([NUMBER, NUMBER], "字" * 71, Price(4, 4, 2)),
    "beyond 333": (NUMBER, "字" * 334, Price(6, 6, 1)),
    "abroad": ([NUMBER, "+819012345678"], "字" * 71, Price(2 + 6, 2 + 2, 2)),
}


@pytest.mark.parametrize(("to", "text", "price"), PRICES.values(), ids=PRICES.keys())
def test_price_asks_nobody(to: str | list[str], text: str, price: Price) -> None:
    assert Producer("redis://127.0.0.1:1/0", abroad=True).price(to, text) == price


def test_many_bad_rows_are_counted_and_a_thousand_listed(producer: Producer) -> None:
    with pytest.raises(InvalidRows) as caught:
        producer.send_many(["1"] * 1500, text="您好")
    assert caught.value.count == 1500
    assert caught.value.rows[-1] == RowError(1000, "not_a_number")
    assert len(caught.value.rows) == 1000
    assert "1500 rows" in str(caught.value)
    assert "1500" in caught.value.in_chinese()


@pytest.mark.parametrize("skip", [False, True])
def test_a_stream_of_nothing_is_refused(producer: Producer, skip: bool) -> None:
    with pytest.raises(InvalidInput):
        producer.send_many([], text="您好", skip_invalid=skip)
    with pytest.raises(InvalidRows):
        producer.send_many(["1"], text="您好", skip_invalid=skip)


def test_a_message_shows_nothing() -> None:
    assert "912345678" not in repr(Message(NUMBER, "您好"))
    assert "您好" not in repr(Message(NUMBER, "您好"))
    assert "912345678" not in repr(check(NUMBER))


def test_importing_the_client_loads_no_celery() -> None:
    code = (
        "import sys, every8d, every8d.producer; "
        "sys.exit(any(name in sys.modules for name in ('celery', 'kombu', 'redis')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
