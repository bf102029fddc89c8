"""getDeliveryStatus: pages, padding, replies, and the order of rows."""

from typing import Any

import pytest


def send(wire: Any, key: str, mobile: str) -> str:
    return str(wire.send(key, mobile).rsplit(",")[-1])


def mobiles_of(page: Any) -> list[str]:
    return [row.findtext("MOBILE").strip() for row in page.iter("SMS")]


NUMBERS = [f"+886{912_000_000 + i}" for i in range(2345)]


def test_pages_of_a_thousand_and_the_count_of_the_whole(wire: Any, key: str) -> None:
    batch = send(wire, key, ",".join(NUMBERS))
    seen = []
    for number, rows in (("", 1000), ("2", 1000), ("3", 345), ("4", 0)):
        page = wire.status(key, batch, number)
        assert page.findtext("CODE") == "0"
        assert page.find("GET_DELIVERY_STATUS").get("COUNT") == "2345"
        found = mobiles_of(page)
        assert len(found) == rows
        seen += found
    assert seen == NUMBERS
    assert mobiles_of(wire.status(key, batch, "1")) == NUMBERS[:1000]


def test_a_row(wire: Any, control: Any) -> None:
    control.move_clock("2010-03-20T03:27:50+08:00")
    key = wire.log_in()
    batch = send(wire, key, "0933123123")
    row = next(wire.status(key, batch).iter("SMS"))
    assert [child.tag for child in row] == ["NAME", "MOBILE", "SENT_TIME", "COST", "STATUS"]
    assert row.findtext("MOBILE") == "+886933123123       "
    assert row.findtext("SENT_TIME") == "2010/03/20 03:27:50"
    assert row.findtext("COST") == "1.00"
    control.switch(padded_times=False)
    assert wire.status(key, batch).findtext(".//SENT_TIME") == "2010/3/20 03:27:50"


def test_order_between_pages(wire: Any, key: str, control: Any) -> None:
    batch = send(wire, key, ",".join(NUMBERS))
    control.switch(row_order="reversed")
    assert mobiles_of(wire.status(key, batch)) == NUMBERS[::-1][:1000]
    control.switch(row_order="shuffled")
    first, again = (mobiles_of(wire.status(key, batch)) for _ in range(2))
    assert first != again
    assert len(set(first)) == 1000
    assert set(first) <= set(NUMBERS)


def test_replies(wire: Any, key: str, control: Any) -> None:
    batch = send(wire, key, "0900991100,0900991200,0900991300,0912345678")
    control.advance(60)
    rows = list(wire.status(key, batch).iter("SMS"))
    texts = [[reply.findtext("MESSAGE") for reply in row.iter("REPLY_SMS")] for row in rows]
    assert texts == [
        ["回覆簡訊"],
        ["第一則回覆", "第二則回覆, a & b"],
        ["收到]]>了 <b>&amp;</b>\n第二行 👍"],
        [],
    ]
    assert all(time.text.endswith(" ") for row in rows for time in row.iter("REPLY_TIME"))


@pytest.mark.parametrize(
    ("mobile", "status"),
    [
        ("0900910100", "101"),
        ("0900910799", "107"),
        ("0900900300", "-3"),
        ("0900900000", "0"),
        ("0900977700", "777"),
        ("0900950000", "500"),
        ("0900930100", "301"),
        ("0912345678", "100"),
    ],
)
def test_outcomes(wire: Any, key: str, control: Any, mobile: str, status: str) -> None:
    batch = send(wire, key, mobile)
    control.advance(60)
    assert wire.statuses(key, batch) == [status]
    assert control.statuses() == {int(status): 1}


def test_an_unknown_batch_has_no_rows(wire: Any, key: str) -> None:
    page = wire.status(key, "220478cc-8506-49b2-93b7-2505f651c12e")
    assert page.find("GET_DELIVERY_STATUS").get("COUNT") == "0"
