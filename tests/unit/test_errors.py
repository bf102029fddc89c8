"""The error tree divides by what it means for the money; no error shows what must not be shown."""

import copy
import pickle

import pytest

from every8d import errors
from every8d.errors import (
    AccountFault,
    Busy,
    Every8dError,
    GatewayError,
    InvalidInput,
    InvalidNumber,
    InvalidText,
    MessageFault,
    NotSent,
    OutcomeUnknown,
    PastTime,
    Rejected,
    SessionGone,
    Unreachable,
    from_code,
)

SECRET = "+886912345678 my text"


@pytest.mark.parametrize(
    ("code", "cls", "known"),
    [
        (-301, SessionGone, True),
        (-97, Busy, True),
        (-99, Busy, True),
        (-100, AccountFault, True),
        (-101, AccountFault, True),
        (-300, AccountFault, True),
        (-999, AccountFault, True),
        (-24, MessageFault, True),
        (-27, MessageFault, True),
        (-28, MessageFault, True),
        (-41, MessageFault, True),
        (-98, MessageFault, True),
        (-306, MessageFault, True),
        (-3, MessageFault, True),
        (-4, MessageFault, True),
        (-8, MessageFault, True),
        (-290, MessageFault, False),
        (-31337, MessageFault, False),
    ],
)
def test_a_code_has_a_class(code: int, cls: type[GatewayError], known: bool) -> None:
    error = from_code(code, "sendSMS", f"{code},{SECRET}")
    assert type(error) is cls
    assert (error.code, error.known, error.operation) == (code, known, "sendSMS")
    assert isinstance(error, NotSent) == (cls in (SessionGone, Busy))
    assert str(code) in str(error)
    assert error.meaning in str(error)
    assert error.advice in str(error)
    assert error.advice_zh in error.in_chinese()


def test_only_999_is_locked() -> None:
    locked = [code for code in (-100, -101, -300, -999) if AccountFault("getConnection", code=code).locked]
    assert locked == [-999]


ALL = [
    InvalidInput("bad", "不良", row=3),
    InvalidNumber("landline", row=17),
    InvalidText("empty"),
    PastTime(),
    Unreachable("sendSMS", detail="connection refused"),
    Rejected("sendSMS", status=403, detail="HTTP 403", raw=SECRET),
    Busy("sendSMS", code=-97, raw=SECRET),
    SessionGone("sendSMS", code=-301, raw=SECRET),
    AccountFault("getConnection", code=-101, raw=SECRET, account="default"),
    MessageFault("sendSMS", code=-306, raw=SECRET),
    OutcomeUnknown("sendSMS", detail="a SOAP Server fault", raw=SECRET),
]


def pickled(error: Every8dError) -> Every8dError:
    return pickle.loads(pickle.dumps(error))  # type: ignore[no-any-return]  # noqa: S301 - our own


@pytest.mark.parametrize("error", ALL, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("again", [pickled, copy.copy])
def test_errors_travel(error: Every8dError, again: object) -> None:
    arrived = again(error)  # type: ignore[operator]  # a function of the table above
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert arrived.in_chinese() == error.in_chinese()
    assert vars(arrived) == vars(error)


@pytest.mark.parametrize("error", ALL, ids=lambda error: type(error).__name__)
def test_errors_show_no_secret(error: Every8dError) -> None:
    for shown in (str(error), repr(error), error.in_chinese(), repr(error.args)):
        assert "912345678" not in shown
        assert "my text" not in shown


def test_the_message_names_the_account_where_it_is_known() -> None:
    error = OutcomeUnknown("sendSMS", detail="no whole answer in time")
    assert str(error).startswith(
        "sendSMS: the request left, but its outcome is not known (no whole answer in time). "
    )
    error.account = "marketing"
    assert str(error).startswith("sendSMS (account marketing): ")
    assert error.in_chinese().startswith("sendSMS (account marketing)：請求已送出，但結果不明（")


def test_a_long_answer_is_not_carried_along() -> None:
    assert len(OutcomeUnknown("sendSMS", raw="x" * 100_000).raw) == errors.RAW_LIMIT


def test_the_tree_is_the_documented_one() -> None:
    assert {cls.__name__ for cls in NotSent.__subclasses__()} == {
        "Unreachable",
        "Rejected",
        "Busy",
        "SessionGone",
    }
    assert not issubclass(OutcomeUnknown, NotSent)
    assert issubclass(InvalidInput, ValueError)
    for cls in (Unreachable, Rejected, Busy, SessionGone, AccountFault, MessageFault, OutcomeUnknown):
        assert cls.__name__ in (errors.__doc__ or "")
        assert cls.__doc__
