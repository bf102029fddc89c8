"""Raw replies in, typed outcomes out: every sample of the specification and of the field notes, and worse."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from every8d.errors import AccountFault, Busy, GatewayError, MessageFault, OutcomeUnknown, SessionGone
from every8d.replies import (
    Erased,
    parse_closed,
    parse_connection,
    parse_credit,
    parse_erased,
    parse_send,
    parse_status,
)

GUID = "220478cc-8506-49b2-93b7-2505f651c12e"
KEY = "e9df35fce357589a8e78c44c3e2abcdd"
DECLARATION = '<?xml version="1.0" encoding="utf-8" ?>'


@pytest.mark.parametrize(
    ("raw", "credit", "sended", "cost", "unsend"),
    [
        pytest.param(f"285.0,1,1.0,0,{GUID}", "285.0", 1, "1.0", 0, id="live"),
        pytest.param(
            f"1230.00,4,4.0,{GUID}", "1230.00", 4, "4.0", 0, id="the specification's, without UNSEND"
        ),
        pytest.param(
            f"1230.00,4,4.0,0,{GUID}", "1230.00", 4, "4.0", 0, id="the specification's, with UNSEND"
        ),
        pytest.param(f"80.00,3,1,2,{GUID}", "80.00", 3, "1", 2, id="partial"),
        pytest.param(f"88,1,1.00,0,{GUID}", "88", 1, "1.00", 0, id="credit without decimals"),
        pytest.param(f" 285.0, 1, 1.0, 0, {GUID}\r\n", "285.0", 1, "1.0", 0, id="blanks everywhere"),
        pytest.param(f"0,0,0,5,{GUID}", "0", 0, "0", 5, id="no credit at all"),
        pytest.param(
            f"285.0,1,1.0,0,{GUID},new,fields", "285.0", 1, "1.0", 0, id="fields of a later version"
        ),
    ],
)
@pytest.mark.parametrize("operation", ["sendSMS", "sendMessage", "sendParamSMS"])
def test_accepted(raw: str, credit: str, sended: int, cost: str, unsend: int, operation: str) -> None:
    reply = parse_send(raw, operation)
    assert (str(reply.credit), reply.sended, str(reply.cost), reply.unsend) == (credit, sended, cost, unsend)
    assert (reply.batch_id, reply.raw) == (GUID, raw.strip())


ERRORS = [
    pytest.param("-99, 主機端發生不明錯誤，請與廠商窗口聯繫。", Busy, -99, id="-99 with a blank"),
    pytest.param("-27,電話號碼不得為空", MessageFault, -27, id="-27"),
    pytest.param("-101,密碼錯誤", AccountFault, -101, id="-101"),
    pytest.param("-301", SessionGone, -301, id="a bare -301"),
    pytest.param("-301,Session 資料不存在，請重新登入。", SessionGone, -301, id="-301 with a text"),
    pytest.param("-301.00", SessionGone, -301, id="-301 as a decimal"),
    pytest.param(" -97 ,busy,a,b,c", Busy, -97, id="as many commas as a success has"),
    pytest.param("-24,內容", MessageFault, -24, id="-24"),
    pytest.param("-28,x", MessageFault, -28, id="-28"),
    pytest.param("-41,x", MessageFault, -41, id="-41"),
    pytest.param("-98,x", MessageFault, -98, id="-98"),
    pytest.param("-290,x", MessageFault, -290, id="-290, undocumented"),
    pytest.param("-300,x", AccountFault, -300, id="-300"),
    pytest.param("-306,x", MessageFault, -306, id="-306"),
    pytest.param("-999,x", AccountFault, -999, id="-999"),
    pytest.param("-99,0,0,0,", Busy, -99, id="a failure in the form of a success"),
    pytest.param("-99,0,0.0,1,not-a-guid", Busy, -99, id="the same, behind it no BatchID of the gateway's"),
    pytest.param("-100.0,0,0.0,2,", AccountFault, -100, id="-100 as a decimal in the form of a success"),
]

NONSENSE = [
    "",
    "  ",
    "OK",
    "<html><body>502 Bad Gateway</body></html>",
    f"NaN,1,1.0,0,{GUID}",
    f"Infinity,1,1.0,0,{GUID}",
    f"1e3,1,1.0,0,{GUID}",
    f"２８５,1,1.0,0,{GUID}",
    f"285.0,one,1.0,0,{GUID}",
    f"285.0,-1,1.0,0,{GUID}",
    f"285.0,1,1.0,-2,{GUID}",
    "285.0,1,1.0,0,",
    "285.0,1,1.0,0,not a batch id",
    "285.0,1,1.0",
    "285.0",
    f"1,230.00,4,4.0,0,{GUID}",
    f"-5.00,4,4.0,0,{GUID}",
    f"-100.0,0,0.0,2,{GUID}",
    f"-101.00,0,0,2,{GUID}",
    f"-300,0,0.0,2,{GUID}",
    f"-999.0,0,0.0,{GUID}",
    f"-301.0,0,0.0,2,{GUID},new,fields",
    f" -99, 0, 0.0, 1, {GUID}\r\n",
    "-",
    "--99",
    "9" * 5000,
    "\x00",
]


@pytest.mark.parametrize(("raw", "cls", "code"), ERRORS)
def test_a_send_is_refused(raw: str, cls: type[GatewayError], code: int) -> None:
    with pytest.raises(cls) as caught:
        parse_send(raw, "sendSMS")
    assert type(caught.value) is cls
    assert (caught.value.code, caught.value.raw, caught.value.operation) == (code, raw, "sendSMS")


@pytest.mark.parametrize("raw", NONSENSE)
def test_a_send_whose_outcome_nobody_knows(raw: str) -> None:
    with pytest.raises(OutcomeUnknown) as caught:
        parse_send(raw, "sendSMS")
    assert caught.value.code is None


def connection(code: str, key: str = f"<SESSION_KEY>{KEY}</SESSION_KEY>") -> str:
    description = "<DESCRIPTION>取得連線成功</DESCRIPTION>"
    return f"{DECLARATION}<SMS><GET_CONNECTION><CODE>{code}</CODE>{key}{description}</GET_CONNECTION></SMS>"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(connection("0"), id="live"),
        pytest.param(
            f'<?xml version=" 1.0" encoding=" utf-8" ?>\n<SMS>\n  <GET_CONNECTION>\n    <CODE>0</CODE >\n'
            f"<SESSION_KEY> {KEY}</SESSION_KEY>\n<DESCRIPTION>取得連線成功</DESCRIPTION>\n"
            "</GET_CONNECTION>\n</SMS >",
            id="the specification's, blanks and all",
        ),
        pytest.param("\ufeff" + connection("0").replace("utf-8", "big5"), id="a wrong encoding and a BOM"),
        pytest.param(connection(" 0 "), id="blanks around the code"),
        pytest.param(connection("0").removeprefix(DECLARATION), id="no declaration"),
    ],
)
def test_connected(raw: str) -> None:
    assert parse_connection(raw) == KEY


@pytest.mark.parametrize(
    ("raw", "cls", "code"),
    [
        (connection("-97"), Busy, -97),
        (connection("-100", "<SESSION_KEY></SESSION_KEY>"), AccountFault, -100),
        (connection("-101", "<SESSION_KEY/>"), AccountFault, -101),
        (connection("-999", ""), AccountFault, -999),
        (connection("-300", ""), AccountFault, -300),
        ("-301", SessionGone, -301),
        ("-101,密碼錯誤", AccountFault, -101),
    ],
)
def test_not_connected(raw: str, cls: type[GatewayError], code: int) -> None:
    with pytest.raises(cls) as caught:
        parse_connection(raw)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "raw",
    [
        "",
        DECLARATION,
        "OK",
        connection("0", ""),
        connection("0", "<SESSION_KEY> </SESSION_KEY>"),
        connection("zero"),
        connection(""),
        connection("0")[:-20],
        "<SMS/>",
        "<html><body>busy</body></html>",
        '<!DOCTYPE SMS [<!ENTITY k "x">]>' + connection("0", "<SESSION_KEY>&k;</SESSION_KEY>"),
        "<!DOCTYPE SMS>" + connection("0").removeprefix(DECLARATION),
    ],
)
def test_a_connection_that_cannot_be_read(raw: str) -> None:
    with pytest.raises(OutcomeUnknown) as caught:
        parse_connection(raw)
    assert KEY not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize("raw", ["2310.00", "79.0", "88", "0", "0.00", " 88 ", "-12.50"])
def test_credit(raw: str) -> None:
    assert str(parse_credit(raw)) == raw.strip()


@pytest.mark.parametrize(("raw", "cls", "code"), [case for case in ERRORS if "." not in case.values[0]])
def test_no_credit(raw: str, cls: type[GatewayError], code: int) -> None:
    with pytest.raises(cls) as caught:
        parse_credit(raw)
    assert caught.value.code == code


@pytest.mark.parametrize("raw", ["", "many", "NaN", "1,5", "<a/>"])
def test_a_credit_that_cannot_be_read(raw: str) -> None:
    with pytest.raises(OutcomeUnknown):
        parse_credit(raw)


@pytest.mark.parametrize(("raw", "expected"), [("1", True), ("-1", False), (" 1 ", True), ("-1\n", False)])
def test_closed(raw: str, expected: bool) -> None:
    assert parse_closed(raw) is expected


@pytest.mark.parametrize(
    ("raw", "cls"),
    [
        ("-301", SessionGone),
        ("-99,x", Busy),
        ("", OutcomeUnknown),
        ("0", OutcomeUnknown),
        ("yes", OutcomeUnknown),
    ],
)
def test_not_closed(raw: str, cls: type[GatewayError]) -> None:
    with pytest.raises(cls):
        parse_closed(raw)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("2,2.00", Erased(2, Decimal("2.00"))),
        ("2, 2", Erased(2, Decimal(2))),
        ("0,0.00", Erased(0, Decimal("0.00"))),
        ("", None),
        (" \n", None),
    ],
)
def test_erased(raw: str, expected: Erased | None) -> None:
    assert parse_erased(raw) == expected


@pytest.mark.parametrize(
    ("raw", "cls", "code"),
    [
        ("-3,無法取得指定發送資料", MessageFault, -3),
        ("-4,發送資料為刪除狀態或已經送出", MessageFault, -4),
        ("-8,取消作業暫時無法進行", MessageFault, -8),
        ("-301", SessionGone, -301),
        ("-99, x", Busy, -99),
        ("2", OutcomeUnknown, None),
        ("2,2,2", OutcomeUnknown, None),
        ("two,2", OutcomeUnknown, None),
        ("<html/>", OutcomeUnknown, None),
    ],
)
def test_not_erased(raw: str, cls: type[GatewayError], code: int | None) -> None:
    with pytest.raises(cls) as caught:
        parse_erased(raw)
    assert caught.value.code == code


PARSERS = [
    parse_connection,
    parse_credit,
    parse_closed,
    parse_erased,
    parse_status,
    partial(parse_send, operation="sendSMS"),
]


def failure(parse: Callable[[str], object], raw: str) -> GatewayError | None:
    try:
        parse(raw)
    except GatewayError as error:
        return error
    return None


@given(st.text() | st.from_regex(r"-?[0-9]{1,4}(,.{0,20}){0,6}", fullmatch=True))
def test_whatever_comes_is_a_value_or_one_of_our_errors(raw: str) -> None:
    for error in (failure(parse, raw) for parse in PARSERS):
        assert error is None or (error.code is None) == isinstance(error, OutcomeUnknown)
