"""Answers that a gateway should not give: made of the right pieces in wrong ways, they are values or our errors."""

import re
from collections.abc import Callable
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from every8d.errors import GatewayError, OutcomeUnknown
from every8d.replies import (
    StatusPage,
    parse_closed,
    parse_connection,
    parse_credit,
    parse_erased,
    parse_send,
    parse_status,
)

GUID = "220478cc-8506-49b2-93b7-2505f651c12e"
#: What stands where a value should: numbers beyond every limit, markup, control characters, other scripts' digits.
ODD = st.sampled_from(
    [
        *(
            "",
            " ",
            "0",
            "-0",
            "+1",
            "１２",
            "٣",
            "1e9",
            "NaN",
            "-Infinity",
            "0x10",
            "1_000",
            "9" * 30,
            "-" + "9" * 30,
        ),
        *("-301", "-999", "-101.0", "100.00", "-100.0", "1.0000000001", "2147483648", "99999999999999.999"),
        *("2026/02/30 25:61:61", "9999/12/31 23:59:59", "0001/01/01 00:00:00", "20260101000000"),
        *(
            "+886912345678",
            "0912345678 ",
            "<b>",
            "&amp;",
            "&#0;",
            "&#x1;",
            "&#55296;",
            "]]>",
            "<![CDATA[a]]>",
            "<!--",
        ),
        *("\x00", "\x1b[31m", "\r\nFAKE line", "\u2028", "\ufffe", "\ud800", "💣", GUID, GUID.upper(), "{}"),
    ]
)
VALUES = ODD | st.text(max_size=8)
TAGS = st.sampled_from(
    [
        "SMS",
        "NAME",
        "MOBILE",
        "SENT_TIME",
        "COST",
        "STATUS",
        "REPLY_SMS",
        "REPLY_TIME",
        "MESSAGE",
        "CODE",
        "X",
    ]
)
ELEMENTS = st.recursive(
    VALUES,
    lambda inner: st.builds(
        lambda tag, inside: f"<{tag}>{''.join(inside)}</{tag}>", TAGS, st.lists(inner, max_size=6)
    ),
    max_leaves=12,
)
PAGES = st.builds(
    lambda code, count, inside: (
        f'<SMS_LOG><CODE>{code}</CODE><GET_DELIVERY_STATUS COUNT="{count}">{"".join(inside)}'
        "</GET_DELIVERY_STATUS></SMS_LOG>"
    ),
    VALUES | st.just("0"),
    VALUES | st.just("3"),
    st.lists(ELEMENTS, max_size=6),
)
CONNECTIONS = st.builds(
    lambda code, key: (
        f"<SMS><GET_CONNECTION><CODE>{code}</CODE><SESSION_KEY>{key}</SESSION_KEY></GET_CONNECTION></SMS>"
    ),
    VALUES | st.just("0"),
    VALUES,
)
LINES = st.lists(VALUES, max_size=8).map(",".join)
PARSERS: list[Callable[[str], object]] = [
    parse_connection,
    parse_credit,
    parse_closed,
    parse_erased,
    parse_status,
    partial(parse_send, operation="sendSMS"),
]


@settings(max_examples=400, deadline=None)
@given(PAGES | CONNECTIONS | LINES)
def test_odd_values_in_right_places(raw: str) -> None:
    for parse in PARSERS:
        try:
            found = parse(raw)
        except GatewayError as error:
            check_error(error)
        else:
            check(found)


def check_error(error: GatewayError) -> None:
    """Of the answer only a code's number is told, in either language."""
    assert (error.code is None) == isinstance(error, OutcomeUnknown)
    shown = str(error) + repr(error) + error.in_chinese()
    assert not re.search(r"[\x00-\x1f\x7f]|886\d{9}|0912345678|<b>|FAKE", shown)


def check(found: object) -> None:
    """What was read fits into the ledger: 32 bits for counts and statuses, 64 for ten-thousandths of a point."""
    if not isinstance(found, StatusPage):
        return
    assert abs(found.count) < 2**31
    for row in found.rows:
        assert row.status is None or abs(row.status) < 2**31
        assert row.cost is None or abs(row.cost) * 10_000 < 2**63
        for one in row.replies:
            assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", one.text)


@settings(max_examples=300, deadline=None)
@given(st.lists(VALUES, min_size=4, max_size=4), st.integers(0, 4))
def test_an_accepted_send_fits_into_the_ledger(values: list[str], place: int) -> None:
    fields = ["285.0", "1", "1.0", "0", GUID]
    for at, value in enumerate(values):
        if at != place:
            continue
        fields[at] = value
    try:
        reply = parse_send(",".join(fields), "sendSMS")
    except GatewayError:
        return
    assert 0 <= reply.sended < 2**31
    assert 0 <= reply.unsend < 2**31
    assert max(abs(reply.credit), abs(reply.cost)) * 10_000 < 2**63
    assert len(reply.batch_id) <= 64
    assert reply.batch_id.isascii()
