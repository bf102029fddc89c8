"""Raw status pages in, typed rows out: every sample of the specification and of the field notes, and worse."""

from datetime import datetime
from decimal import Decimal

import pytest

from every8d.errors import Busy, GatewayError, MessageFault, OutcomeUnknown, SessionGone
from every8d.replies import StatusPage, parse_status
from every8d.times import TAIPEI

DECLARATION = '<?xml version="1.0" encoding="utf-8" ?>'


def log(body: str, count: str = 'COUNT="1230"', code: str = "0") -> str:
    return (
        f"{DECLARATION}<SMS_LOG><CODE>{code}</CODE><DESCRIPTION>發送狀態查詢成功</DESCRIPTION>"
        f"<GET_DELIVERY_STATUS {count}>{body}</GET_DELIVERY_STATUS></SMS_LOG>"
    )


SPECIFIED = """
    <SMS>
      <NAME>Roger</NAME>
      <MOBILE>+886933123123</MOBILE>
      <SENT_TIME>2010/3/20 03:27:50</SENT_TIME>
      <COST>1.00</COST>
      <STATUS>100</STATUS>
      <REPLY_SMS>
        <REPLY_TIME>2010/03/23 12:05:09 </REPLY_TIME>
        <MESSAGE>
          <![CDATA[回覆簡訊]]>
        </MESSAGE>
      </REPLY_SMS>
    </SMS>"""


def test_the_specifications_page() -> None:
    page = parse_status(log(SPECIFIED))
    assert (page.count, page.raw_code, len(page.rows)) == (1230, "0", 1)
    row = page.rows[0]
    assert (row.name, row.mobile, row.cost, row.status) == ("Roger", "+886933123123", Decimal("1.00"), 100)
    assert row.sent_time == datetime(2010, 3, 20, 3, 27, 50, tzinfo=TAIPEI)
    assert [(reply.time, reply.time_raw, reply.text) for reply in row.replies] == [
        (datetime(2010, 3, 23, 12, 5, 9, tzinfo=TAIPEI), "2010/03/23 12:05:09", "回覆簡訊")
    ]


def one(body: str) -> tuple[object, ...]:
    row = parse_status(log(f"<SMS>{body}</SMS>")).rows[0]
    return row.name, row.mobile, row.sent_time, row.cost, row.status, row.status_raw, len(row.replies)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            "<NAME/><MOBILE>+886933123123   </MOBILE><SENT_TIME>2015/09/23 15:37:05</SENT_TIME>"
            "<COST>1</COST><STATUS>-3</STATUS>",
            ("", "+886933123123", datetime(2015, 9, 23, 15, 37, 5, tzinfo=TAIPEI), Decimal(1), -3, "-3", 0),
            id="padded with blanks",
        ),
        pytest.param("", ("", "", None, None, None, "", 0), id="nothing at all"),
        pytest.param(
            "<STATUS>99999</STATUS><COST>free</COST><SENT_TIME>soon</SENT_TIME>",
            ("", "", None, None, 99999, "99999", 0),
            id="unknown and unreadable",
        ),
        pytest.param(
            "<STATUS> DELIVRD </STATUS>", ("", "", None, None, None, "DELIVRD", 0), id="a status in words"
        ),
        pytest.param(
            "<NAME><![CDATA[A&B]]></NAME><EXTRA>1</EXTRA><STATUS>301</STATUS>",
            ("A&B", "", None, None, 301, "301", 0),
            id="unknown elements",
        ),
        pytest.param(
            "<STATUS>100</STATUS><REPLY_SMS><REPLY_TIME>x</REPLY_TIME><MESSAGE>1</MESSAGE></REPLY_SMS>"
            "<REPLY_SMS><REPLY_TIME/><MESSAGE>2</MESSAGE></REPLY_SMS>",
            ("", "", None, None, 100, "100", 2),
            id="several replies",
        ),
        pytest.param(
            "<REPLY_SMS><REPLY_TIME>a</REPLY_TIME><MESSAGE>1</MESSAGE><REPLY_TIME>b</REPLY_TIME><MESSAGE>2</MESSAGE>"
            "</REPLY_SMS>",
            ("", "", None, None, None, "", 2),
            id="several replies in one element",
        ),
    ],
)
def test_rows(body: str, expected: tuple[object, ...]) -> None:
    assert one(body) == expected


def test_a_reply_in_several_cdata_sections_with_a_control_character() -> None:
    body = (
        "<SMS><REPLY_SMS><MESSAGE><![CDATA[a]]]]><![CDATA[>b]]>&#x1;\x02 &#10;c</MESSAGE></REPLY_SMS></SMS>"
    )
    assert parse_status(log(body)).rows[0].replies[0].text == "a]]>b \nc"


@pytest.mark.parametrize(
    ("raw", "cls", "code"),
    [
        ("-301", SessionGone, -301),
        ("-301,Session 資料不存在，請重新登入。", SessionGone, -301),
        (log("", code="-301"), SessionGone, -301),
        (log("", code="-99"), Busy, -99),
        (log("", code="-3"), MessageFault, -3),
        ("<SMS_LOG><CODE>-290</CODE></SMS_LOG>", MessageFault, -290),
        (log("", code="x"), OutcomeUnknown, None),
        (log(SPECIFIED, count=""), OutcomeUnknown, None),
        (log(SPECIFIED, count='COUNT="many"'), OutcomeUnknown, None),
        (log(SPECIFIED)[:-30], OutcomeUnknown, None),
        ("", OutcomeUnknown, None),
        ("<SMS_LOG/>", OutcomeUnknown, None),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + log("<SMS/>"), OutcomeUnknown, None),
    ],
)
def test_no_page(raw: str, cls: type[GatewayError], code: int | None) -> None:
    with pytest.raises(cls) as caught:
        parse_status(raw)
    assert caught.value.code == code


def test_a_page_behind_the_last() -> None:
    assert parse_status(log("", count='COUNT="2"')) == StatusPage(2, (), "0")
    assert parse_status("<SMS_LOG><CODE>0</CODE></SMS_LOG>") == StatusPage(0, (), "0")


def test_an_entity_bomb_is_not_set_off() -> None:
    entities = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(12))
    bomb = f'<!DOCTYPE SMS_LOG [<!ENTITY e0 "boom">{entities}]><SMS_LOG><CODE>0</CODE>&e12;</SMS_LOG>'
    with pytest.raises(OutcomeUnknown):
        parse_status(bomb)


def test_a_full_page_keeps_every_row_in_order() -> None:
    rows = "".join(f"<SMS><MOBILE>+8869{n:08d}</MOBILE><STATUS>{n % 108}</STATUS></SMS>" for n in range(1000))
    page = parse_status(log(rows))
    assert [row.mobile for row in page.rows] == [f"+8869{n:08d}" for n in range(1000)]
    assert [row.status for row in page.rows] == [n % 108 for n in range(1000)]


def test_pages_show_no_numbers_and_no_replies() -> None:
    page = parse_status(log(SPECIFIED))
    for shown in (repr(page), repr(page.rows), repr(page.rows[0]), repr(page.rows[0].replies)):
        assert not any(part in shown for part in ("933123123", "Roger", "回覆"))
