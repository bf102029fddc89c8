"""Cells of recipient files: what spreadsheets do to numbers, and times as people write them."""

from datetime import UTC, datetime

import pytest

from every8d.csvfile import Row
from every8d.recipients import BadCell, BadRow, Reader, Recipient, fill, read_time, repair_number


@pytest.mark.parametrize(
    ("name", "cell", "number"),
    [
        ("as it is", "0912345678", "0912345678"),
        ("blanks around", " 0912345678 ", "0912345678"),
        ("leading zero lost", "912345678", "0912345678"),
        ("leading zero lost, as a decimal", "912345678.0", "0912345678"),
        ("plus lost", "886912345678", "+886912345678"),
        ("plus kept", "+886912345678", "+886912345678"),
        ("a formula against Excel", '="0912345678"', "0912345678"),
        ("an apostrophe against Excel", "'0912345678", "0912345678"),
        ("full-width digits", "０９１２３４５６７８", "0912345678"),
        ("nine digits that are no mobile", "223456789", "223456789"),
    ],
)
def test_numbers_are_repaired(name: str, cell: str, number: str) -> None:
    assert repair_number(cell) == number


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("9.12E+08", "scientific"),
        ("9.12345678E8", "scientific"),
        ("8.86912E+11", "scientific"),
        ("9,12E+08", "scientific"),
        ("９.１２Ｅ＋０８", "scientific"),
        ("", "no_number"),
        (" \u3000", "no_number"),
        ('=""', "no_number"),
    ],
)
def test_numbers_that_are_lost(cell: str, reason: str) -> None:
    with pytest.raises(BadCell) as raised:
        repair_number(cell)
    assert raised.value.reason == reason


AFTERNOON = datetime(2026, 1, 31, 7, 30, tzinfo=UTC)  # 15:30 in Taipei


@pytest.mark.parametrize(
    ("cell", "moment"),
    [
        ("2026-01-31 15:30", AFTERNOON),
        ("2026/1/31 15:30", AFTERNOON),
        ("2026/1/31 15:30:00", AFTERNOON),
        ("2026.01.31 15:30", AFTERNOON),
        ("2026/1/31 下午 03:30:00", AFTERNOON),
        ("2026/1/31 下午 3:30", AFTERNOON),
        ("2026/1/31 03:30 PM", AFTERNOON),
        ("2026年1月31日 15:30", AFTERNOON),
        ("2026年1月31日下午3點30分", AFTERNOON),
        ("20260131153000", AFTERNOON),
        ("2026-01-31T15:30", AFTERNOON),
        ("2026-01-31T07:30:00+00:00", AFTERNOON),
        ("2026-01-31T15:30:00+08:00", AFTERNOON),
        ("２０２６/１/３１ １５:３０", AFTERNOON),
        ("2026/1/31 上午 12:05", datetime(2026, 1, 30, 16, 5, tzinfo=UTC)),
        ("2026/1/31 下午 12:05", datetime(2026, 1, 31, 4, 5, tzinfo=UTC)),
        ("", None),
        ("  ", None),
    ],
)
def test_times(cell: str, moment: datetime | None) -> None:
    assert read_time(cell) == moment


@pytest.mark.parametrize(
    "cell",
    [
        "2026-01-31",
        "tomorrow",
        "2026-02-30 10:00",
        "2026-01-31 25:00",
        "31/1/2026 15:30",
        "46000.5",
        "下午 3:30",
        "2026/1/31 下午 15:30",
    ],
)
def test_times_that_cannot_be_read(cell: str) -> None:
    with pytest.raises(BadCell) as raised:
        read_time(cell)
    assert raised.value.reason == "bad_time"


def test_rows_become_recipients_or_reasons() -> None:
    fields = {"to": "手機", "text": "內容", "send_at": "時間"}
    rows = [
        Row(2, {"手機": "912345678", "內容": "hi", "時間": ""}),
        Row(3, {"手機": "9.12E+08", "內容": "hi", "時間": ""}),
        Row(4, {"手機": "0912345678", "內容": "hi", "時間": "soon"}),
        Row(5, {}, "bad_quotes"),
    ]
    first, *bad = Reader(fields).read(rows)
    assert isinstance(first, Recipient)
    assert (first.line, first.message.to, first.message.text, first.message.send_at) == (
        2,
        "0912345678",
        "hi",
        None,
    )
    assert bad == [BadRow(3, "scientific"), BadRow(4, "bad_time"), BadRow(5, "bad_quotes")]
    assert "912345678" not in repr(first)


def test_an_empty_value_does_not_become_a_hole_in_the_text() -> None:
    assert fill("{name}: {code}", ("name", "code"), {"name": "王", "code": "7"}) == "王: 7"
    with pytest.raises(BadCell) as raised:
        fill("{name}: {code}", ("name", "code"), {"name": "王", "code": " "})
    assert raised.value.reason == "no_value"
