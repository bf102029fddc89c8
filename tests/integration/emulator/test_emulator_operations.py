"""The eight operations, as the specification and the field notes have them."""

import re
from typing import Any

import pytest

GUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
NOON = "2026-05-04T12:00:00+08:00"


def batch_of(reply: str) -> str:
    found = re.fullmatch(rf"[0-9.]+,\d+,[0-9.]+,\d+,({GUID})", reply)
    assert found is not None, reply
    return found[1]


def user(mobile: str, text: str, **more: str) -> str:
    attributes = {"NAME": "", "EMAIL": "", "SENDTIME": "", **more}
    written = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return f'<USER MOBILE="{mobile}" {written}><![CDATA[{text}]]></USER>'


def test_log_in(wire: Any) -> None:
    assert re.fullmatch(
        r'<\?xml version="1.0" encoding="utf-8"\?><SMS><GET_CONNECTION><CODE>0</CODE>'
        r"<SESSION_KEY>[0-9a-f]{32}</SESSION_KEY><DESCRIPTION>取得連線成功</DESCRIPTION></GET_CONNECTION></SMS>",
        wire.connect(),
    )


@pytest.mark.parametrize(
    ("user_id", "password", "code"),
    [("nobody", "x", -100), ("demo", "x", -101), ("", "", -300), ("demo", "", -300)],
)
def test_refused_logins(wire: Any, user_id: str, password: str, code: int) -> None:
    assert f"<CODE>{code}</CODE>" in wire.connect(user_id, password)


def test_ten_bad_logins_lock_the_account_and_its_session(wire: Any, key: str, control: Any) -> None:
    for _ in range(10):
        assert "<CODE>-101</CODE>" in wire.connect("demo", "wrong")
    assert "<CODE>-999</CODE>" in wire.connect()
    assert wire.call("getCredit", sessionKey=key).startswith("-301")
    control.unlock()
    assert "<CODE>0</CODE>" in wire.connect()


def test_a_good_login_forgets_the_bad_ones(wire: Any) -> None:
    for _ in range(3):
        for _ in range(9):
            wire.connect("demo", "wrong")
        assert "<CODE>0</CODE>" in wire.connect()


@pytest.mark.parametrize(
    ("mode", "first_lives", "same"), [("voids", False, False), ("keeps", True, False), ("same", True, True)]
)
def test_a_second_login(wire: Any, control: Any, mode: str, first_lives: bool, same: bool) -> None:
    control.switch(second_login=mode)
    first, second = wire.log_in(), wire.log_in()
    assert (first == second) is same
    assert wire.call("getCredit", sessionKey=first).startswith("-301") is not first_lives
    assert wire.call("getCredit", sessionKey=second) == "1000000.00"


def test_a_key_ends_with_the_day_in_taipei(wire: Any, control: Any) -> None:
    control.move_clock("2026-05-04T23:59:00+08:00")
    key = wire.log_in()
    assert wire.call("getCredit", sessionKey=key) == "1000000.00"
    control.advance(61)
    assert wire.call("getCredit", sessionKey=key).startswith("-301")


def test_close_ends_the_key(wire: Any, key: str) -> None:
    assert [wire.call("closeConnection", sessionKey=key) for _ in range(2)] == ["1", "-1"]
    assert wire.call("getCredit", sessionKey=key).startswith("-301")


@pytest.mark.parametrize("bare", [False, True])
def test_no_session(wire: Any, control: Any, bare: bool) -> None:
    control.switch(bare_301=bare)
    expected = "-301" if bare else "-301, Session 資料不存在，請重新登入。"
    for operation in (
        "sendSMS",
        "sendMessage",
        "sendParamSMS",
        "eraseBooking",
        "getDeliveryStatus",
        "getCredit",
    ):
        assert wire.call(operation, sessionKey="0" * 32) == expected


@pytest.mark.parametrize(
    ("mobile", "content", "send_time", "reply"),
    [
        ("", "x", "", "-27,電話號碼不得為空"),
        (" , ,", "x", "", "-41,無接收人電話號碼"),
        ("0912345678", "", "", "-24,簡訊內容不得為空"),
        ("0912345678", "x", "tomorrow", "-28, 預約時間格式錯誤，請使用 yyyyMMddHHmmss"),
        ("0912345678,12", "x", "", "-306,電話號碼格式錯誤"),
        ("0912345678,0900930600", "x", "", "-306,電話號碼格式錯誤"),
    ],
)
def test_a_refused_send_executes_nothing(
    wire: Any, key: str, control: Any, mobile: str, content: str, send_time: str, reply: str
) -> None:
    assert wire.send(key, mobile, content, send_time=send_time) == reply
    assert control.summary().accepted == 0
    assert control.credit() == "1000000.00"


@pytest.mark.parametrize(
    ("content_xml", "code"),
    [
        ("", "-24"),
        ("<REPS></REPS>", "-41"),
        ("<REPS>", "-99"),
        ("<OTHER/>", "-99"),
        (f"<REPS>{user('', 'x')}</REPS>", "-27"),
        (f"<REPS>{user('+886912345678', '')}</REPS>", "-24"),
        (f"<REPS>{user('+886912345678', 'x', SENDTIME='soon')}</REPS>", "-28"),
        (f"<REPS>{user('+886912345678' + ' ' * 8, 'x')}</REPS>", "-306"),
    ],
)
def test_refused_personal_sends(wire: Any, key: str, control: Any, content_xml: str, code: str) -> None:
    reply = wire.call("sendParamSMS", sessionKey=key, subject="", contentXML=content_xml, sendTime="")
    assert reply.partition(",")[0] == code
    assert control.summary().accepted == 0


def test_a_bad_number_can_be_named_or_taken(wire: Any, key: str, control: Any) -> None:
    control.switch(name_bad_number=True)
    assert wire.send(key, "0912345678,12") == "-306,電話號碼格式錯誤: 12"
    control.switch(bad_number="status")
    batch = batch_of(wire.send(key, "0912345678,12"))
    assert wire.statuses(key, batch) == ["0", "-8"]


@pytest.mark.parametrize(("unsent", "statuses"), [("last", ["0", "0", "301"]), ("first", ["301", "0", "0"])])
def test_the_credit_runs_out(wire: Any, control: Any, unsent: str, statuses: list[str]) -> None:
    control.create_account("poor", "p", credit="2.00")
    control.switch(unsent=unsent)
    key = wire.log_in("poor", "p")
    reply = wire.send(key, "0912345671,0912345672,0912345673")
    assert reply.startswith("0.00,2,2.0,1,")
    assert wire.statuses(key, batch_of(reply)) == statuses
    assert wire.send(key, "0912345674").startswith("0.00,0,0.0,1,")
    control.add_credit(5, "poor")
    assert wire.call("getCredit", sessionKey=key) == "5.00"
    summary = control.summary()
    assert (summary.total, summary.unsent, summary.accepted) == (2, 2, 4)


@pytest.mark.parametrize(("digits", "cost"), [(0, "2"), (1, "2.0"), (2, "2.00")])
def test_cost_is_written_in_three_ways(wire: Any, key: str, control: Any, digits: int, cost: str) -> None:
    control.switch(cost_digits=digits)
    assert wire.send(key, "0912345678", "字" * 71).split(",")[2] == cost


def test_abroad(wire: Any, key: str, control: Any) -> None:
    refused = wire.send(key, "+85261234567,0912345678", "字" * 71)
    assert refused.startswith("999998.00,1,2.0,0,")
    assert wire.statuses(key, batch_of(refused)) == ["500", "0"]
    control.change_account(abroad=True)
    assert wire.send(key, "+85261234567,0912345678", "字" * 71).startswith("999990.00,2,8.0,0,")


def test_personal_sends(wire: Any, key: str, control: Any) -> None:
    users = user("+886912345671", "一", NAME="王小明 &amp; 子", EMAIL="a@b.c") + user(
        "+886912345672", "字" * 71
    )
    reply = wire.send_personal(key, users)
    assert reply.startswith("999997.00,2,3.0,0,")
    rows = control.sent(text=True)
    assert [(row["text"][:1], row["name"], row["email"]) for row in rows] == [
        ("一", "王小明 & 子", "a@b.c"),
        ("字", "", ""),
    ]
    names = [row.findtext("NAME") for row in wire.status(key, batch_of(reply)).iter("SMS")]
    assert names == ["王小明 & 子", ""]


@pytest.mark.parametrize(("switch", "cost"), [("triple", "3.0"), ("usual", "1.0")])
def test_a_local_number_in_a_personal_send_is_miscounted(
    wire: Any, key: str, control: Any, switch: str, cost: str
) -> None:
    control.switch(local_param_number=switch)
    assert wire.send_personal(key, user("0912345678", "x")).split(",")[2] == cost


def test_a_booking_is_sent_when_due(wire: Any, control: Any) -> None:
    control.move_clock(NOON)
    key = wire.log_in()
    batch = batch_of(wire.send(key, "0912345678", send_time="20260504123000"))
    assert wire.statuses(key, batch) == ["300"]
    assert (control.summary().total, control.summary().booked) == (0, 1)
    control.advance(1801)
    assert wire.statuses(key, batch) == ["0"]
    assert wire.status(key, batch).findtext(".//SENT_TIME") == "2026/05/04 12:30:00"
    assert wire.call("eraseBooking", sessionKey=key, batchID=batch).startswith("-4,")
    assert (control.summary().total, control.summary().booked) == (1, 0)


def test_a_time_that_has_passed_sends_at_once(wire: Any, key: str) -> None:
    batch = batch_of(wire.send(key, "0912345678", send_time="20090131153000"))
    assert wire.statuses(key, batch) == ["0"]


@pytest.mark.parametrize(
    ("refunds", "reply", "credit"), [(True, "2,2.00", "1000000.00"), (False, "2,0.00", "999998.00")]
)
def test_erasing_a_booking(wire: Any, control: Any, refunds: bool, reply: str, credit: str) -> None:
    control.move_clock(NOON)
    control.switch(refund_erased=refunds)
    key = wire.log_in()
    batch = batch_of(wire.send(key, "0912345671,0912345672", send_time="20260504123000"))
    assert wire.call("eraseBooking", sessionKey=key, batchID=batch) == reply
    assert wire.call("getCredit", sessionKey=key) == credit
    assert wire.statuses(key, batch) == ["303", "303"]
    assert wire.call("eraseBooking", sessionKey=key, batchID=batch) == "-4,發送資料為刪除狀態或已經送出"
    assert wire.call("eraseBooking", sessionKey=key, batchID="what") == "-3,無法取得指定發送資料"


def test_each_recipients_own_time(wire: Any, control: Any) -> None:
    control.move_clock(NOON)
    key = wire.log_in()
    users = user("+886912345671", "x") + user("+886912345672", "y", SENDTIME="20260504123000")
    batch = batch_of(wire.send_personal(key, users))
    assert wire.statuses(key, batch) == ["0", "300"]
    assert wire.call("eraseBooking", sessionKey=key, batchID=batch) == "1,1.00"
    assert wire.statuses(key, batch) == ["0", "303"]


def test_nobody_sees_the_batch_of_another(wire: Any, key: str, control: Any) -> None:
    batch = batch_of(wire.send(key, "0912345678"))
    control.create_account("other", "o", credit=5)
    other = wire.log_in("other", "o")
    assert wire.status(other, batch).find("GET_DELIVERY_STATUS").get("COUNT") == "0"
    assert wire.call("eraseBooking", sessionKey=other, batchID=batch) == ""


def test_validity_ends_the_waiting(wire: Any, key: str, control: Any) -> None:
    reply = wire.call(
        "sendMessage",
        sessionKey=key,
        subject="",
        content="x",
        mobile="0900910800",
        sendTime="",
        retryTime="60",
    )
    batch = batch_of(reply)
    control.advance(3599)
    assert wire.statuses(wire.log_in(), batch) == ["0"]
    control.advance(2)
    assert wire.statuses(wire.log_in(), batch) == ["107"]


@pytest.mark.parametrize(
    "declaration", ["", '<?xml version="1.0" encoding="utf-8"?>', '<?xml version="1.0" encoding="utf-16"?>']
)
def test_a_declaration_in_content_xml_changes_nothing(
    wire: Any, key: str, control: Any, declaration: str
) -> None:
    content_xml = declaration + "<REPS>" + user("+886912345678", "a]]]]><![CDATA[>b 中") + "</REPS>"
    assert wire.call("sendParamSMS", sessionKey=key, contentXML=content_xml).startswith("999999.00,1,1.0,0,")
    assert control.sent(text=True)[0]["text"] == "a]]>b 中"
