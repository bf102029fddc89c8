"""The reading of callbacks: as the field notes record them, as other versions send them, and as nobody should."""

from datetime import datetime
from decimal import Decimal
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from every8d.callback import MOST_BYTES, MOST_FIELDS, CallbackReport, NotAReport, parse
from every8d.times import TAIPEI

#: Of the field notes, as it was recorded.
RECORDED = (
    b"BatchID=220478cc-8506-49b2-93b7-2505f651c12e&RM=%2b886987654321&RT=20180101120002&STATUS=100"
    b"&SM=Hello%2c+%e4%b8%96%e7%95%8c&CustID=AB&UserNo=CD&ST=20180101120001&MR=1&SUBJECT=&NAME=%e7%8e%8b&USERID=demo"
    b"&SOURCE=&CHARGE=0"
)


def test_a_recorded_report() -> None:
    report = parse(RECORDED)
    assert report.batch_id == "220478cc-8506-49b2-93b7-2505f651c12e"
    assert (report.mobile, report.status, report.position) == ("+886987654321", 100, 1)
    assert report.sent_time == datetime(2018, 1, 1, 12, 0, 1, tzinfo=TAIPEI)
    assert report.report_time == datetime(2018, 1, 1, 12, 0, 2, tzinfo=TAIPEI)
    assert (report.text, report.subject, report.charge) == ("Hello, 世界", "", Decimal(0))
    assert (report.user_id, report.is_reply) == ("demo", False)
    assert list(report.fields) == [
        *("BatchID", "RM", "RT", "STATUS", "SM", "CustID", "UserNo"),
        *("ST", "MR", "SUBJECT", "NAME", "USERID", "SOURCE", "CHARGE"),
    ]
    assert report.fields["NAME"] == "王"


CASES: dict[str, tuple[bytes, dict[str, object]]] = {
    "names in capitals": (b"BATCHID=abc&STATUS=0", {"batch_id": "abc", "status": 0}),
    "names in small letters": (b"batchid=abc&status=-1", {"batch_id": "abc", "status": -1}),
    "a reply": (
        b"STATUS=999&SM=%e5%a5%bd%0d%0a%e8%ac%9d+",
        {"is_reply": True, "text": "好\n謝", "status": 999},
    ),
    "UTF-8 as other programs write it": (
        b"STATUS=999&SM=" + quote("許功蓋 好").encode(),
        {"text": "許功蓋 好"},
    ),
    "Big5, with backslashes in its characters": (
        b"STATUS=999&SM=" + quote_plus("許功蓋 好", encoding="cp950").encode(),
        {"text": "許功蓋 好"},
    ),
    "Big5 that nobody has encoded": (b"STATUS=999&SM=" + "簡訊".encode("cp950"), {"text": "簡訊"}),
    "UTF-8 that nobody has encoded": (b"STATUS=999&SM=" + "簡訊".encode(), {"text": "簡訊"}),
    "a character beyond the first plane": (b"STATUS=999&SM=%f0%9f%91%8d", {"text": "👍"}),
    "one encoding for all values": (
        b"STATUS=999&SM=%c2%be&NAME=" + quote_plus("王小明", encoding="cp950").encode(),
        {"text": "職"},
    ),
    "a letter of Europe": (b"STATUS=999&SM=caf%c3%a9", {"text": "café"}),
    "a text cut in the middle of a character": (
        b"STATUS=999&SM=" + quote_plus("週年慶開跑".encode()[:-1]).encode(),
        {"text": "週年慶開\ufffd"},
    ),
    "a plus that nobody has encoded": (b"STATUS=0&RM=+886912345678", {"mobile": "+886912345678"}),
    "a padded number": (b"STATUS=0&RM=++0912345678++", {"mobile": "0912345678"}),
    "a plus in a text": (b"STATUS=999&SM=1%2B1+%3d+2", {"text": "1+1 = 2"}),
    "the first of two": (b"STATUS=100&status=0", {"status": 100}),
    "no number where one should be": (
        b"STATUS=abc&MR=x&CHARGE=y&BatchID=z",
        {"status": None, "position": None},
    ),
    "digits of another script": ("STATUS=１００&RM=x".encode(), {"status": None}),
    "a number beyond all numbers": (b"RM=x&STATUS=" + b"9" * 5000, {"status": None}),
    "a position beyond all positions": (b"RM=x&MR=" + b"9" * 5000, {"position": None}),
    "position nought": (b"RM=x&MR=0", {"position": None}),
    "a padded position": (b"RM=x&MR=007", {"position": 7}),
    "a charge beyond all": (b"RM=x&CHARGE=" + b"9" * 20, {"charge": None}),
    "a charge": (b"RM=x&CHARGE=1.50", {"charge": Decimal("1.50")}),
    "a batch of an odd form": (b"BatchID=%27%3b+DROP&STATUS=0", {"batch_id": ""}),
    "a batch too long": (b"BatchID=" + b"a" * 65, {"batch_id": ""}),
    "NUL in values": (
        b"STATUS=999&SM=a%00b&RM=%00%2b886912345678",
        {"text": "ab", "mobile": "+886912345678"},
    ),
    "a broken escape": (b"STATUS=999&SM=%zz%4", {"text": "%zz%4"}),
    "no such time": (b"RM=x&RT=20180231250000", {"report_time": None, "report_time_raw": "20180231250000"}),
    "a time of any length": (b"RM=x&RT=" + b"1" * 9000, {"report_time": None}),
    "a name without a value": (b"STATUS&RM=x", {"status": None, "mobile": "x"}),
    "empty parts": (b"&&STATUS=0&&", {"status": 0}),
    "only a status": (b"STATUS=0", {"batch_id": "", "mobile": "", "subject": ""}),
}


@pytest.mark.parametrize(("raw", "wanted"), CASES.values(), ids=CASES)
def test_a_callback(raw: bytes, wanted: dict[str, object]) -> None:
    report = parse(raw)
    assert {name: getattr(report, name) for name in wanted} == wanted


def test_parameters_that_nobody_specified_are_kept() -> None:
    assert dict(parse(b"STATUS=0&MSGID=17&TYPE=a+b&x=").fields) == {
        "STATUS": "0",
        "MSGID": "17",
        "TYPE": "a b",
        "x": "",
    }


def test_both_values_of_a_parameter_that_came_twice_are_kept() -> None:
    assert parse(b"STATUS=100&STATUS=0").fields["STATUS"] == "100,0"


def test_the_first_part_counts() -> None:
    report = parse(b"STATUS=100&RM=a", b"STATUS=0&MR=3")
    assert (report.status, report.mobile, report.position) == (100, "a", 3)


@pytest.mark.parametrize("charset", ["big5", "Big5", '"BIG5"', "ms950"])
def test_a_charset_that_is_named_comes_first(charset: str) -> None:
    # Two bytes that are a character in either.
    kind = f"application/x-www-form-urlencoded; charset={charset}"
    assert parse(b"STATUS=999&SM=%c2%be", content_type=kind).text == "職"
    assert parse(b"STATUS=999&SM=%c2%be").text == "¾"


def test_a_charset_that_is_wrong_or_unknown_does_not_matter() -> None:
    for charset in ("big5", "latin1", "utf-7", ""):
        kind = f"text/plain; charset={charset}"
        assert parse(b"STATUS=999&SM=%e4%b8%96%e7%95%8c", content_type=kind).text == "世界"


REFUSED = {
    "nothing": b"",
    "only separators": b"&=&=&",
    "somebody's visit": b"utm_source=x",
    "too many": b"STATUS=0&" + b"&".join(b"a%d=" % n for n in range(MOST_FIELDS)),
    "too large": b"STATUS=0&SM=" + b"a" * MOST_BYTES,
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_what_is_no_report_is_refused(raw: bytes) -> None:
    with pytest.raises(NotAReport) as caught:
        parse(raw)
    assert "utm_source" not in repr(caught.value)


def test_limits_are_over_all_parts() -> None:
    half = b"STATUS=0&SM=" + b"a" * (MOST_BYTES // 2)
    assert parse(half).status == 0
    with pytest.raises(NotAReport):
        parse(half, half)


def test_no_repr_shows_a_number_or_a_text() -> None:
    assert repr(parse(RECORDED)) == "CallbackReport(status=100, fields=14)"


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=3), st.text(max_size=60))
def test_whatever_comes_is_a_report_or_refused(parts: list[bytes], content_type: str) -> None:
    parts[0] = b"STATUS=0&" + parts[0]
    try:
        report = parse(*parts, content_type=content_type)
    except NotAReport:
        return
    assert_sound(report)


NAMES = st.sampled_from(
    ["BatchID", "RM", "RT", "STATUS", "SM", "ST", "MR", "SUBJECT", "CHARGE", "status", "x"]
)
VALUES = st.one_of(st.binary(max_size=40), st.from_regex(rb"[-+0-9./ ]{0,24}", fullmatch=True))


@given(st.lists(st.tuples(NAMES, VALUES), max_size=MOST_FIELDS), st.booleans())
def test_whatever_the_values_are_the_report_fits_its_types(
    pairs: list[tuple[str, bytes]], encoded: bool
) -> None:
    raw = b"&".join(
        name.encode() + b"=" + (quote_plus(value).encode() if encoded else value) for name, value in pairs
    )
    try:
        report = parse(raw)
    except NotAReport:
        return
    assert_sound(report)


@given(st.dictionaries(st.text("abcXYZ_", min_size=1), st.text(st.characters(exclude_categories=["Cs"]))))
def test_every_value_comes_back_as_it_was_sent(values: dict[str, str]) -> None:
    raw = "&".join(f"{name}={quote_plus(value)}" for name, value in values.items())
    try:
        report = parse(b"STATUS=100&" + raw.encode())
    except NotAReport:
        assert len(values) >= MOST_FIELDS or len(raw) > MOST_BYTES - 20
        return
    assert dict(report.fields) == {"STATUS": "100", **values}


def assert_sound(report: CallbackReport) -> None:
    """What the inbox can store."""
    for number in (report.status, report.position):
        assert number is None or abs(number) < 2**31
    assert report.position is None or report.position > 0
    assert report.charge is None or report.charge < 10**9
    for words in (report.batch_id, report.mobile, report.text, report.subject, report.user_id):
        assert "\x00" not in words
        words.encode()
    assert len(report.batch_id) <= 64
