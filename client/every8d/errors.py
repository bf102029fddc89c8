"""What can go wrong, divided by what it means for the money.

    Every8dError
    ├── InvalidInput (ValueError)     refused here, before anything could be sent
    │   ├── InvalidNumber
    │   ├── InvalidText
    │   └── PastTime
    └── GatewayError                  a call to the gateway failed
        ├── NotSent                   certainly not executed: trying again cannot send twice
        │   ├── Unreachable           no connection: DNS, connect, TLS
        │   ├── Rejected              refused at the door: HTTP 403 404 405 407 413 415 429, SOAP Client fault
        │   ├── Busy                  -97, -99
        │   └── SessionGone           -301
        ├── AccountFault              -100 -101 -300 -999: nothing executed; stop
        ├── MessageFault              -24 -27 -28 -41 -306 and every other negative code: a definite no
        └── OutcomeUnknown            bytes left and no answer can be read: never repeat it on a guess

No message, repr or argument of these holds a number, a text, a password or a session key. `raw`, the
gateway's own words, may: it is an attribute that nothing prints.
"""

from __future__ import annotations

from typing import Any, ClassVar

from every8d import codes

#: Characters of a reply that are kept in `raw`: enough for any error text, not for a web page.
RAW_LIMIT = 4096


class Every8dError(Exception):
    """Everything that this library raises on purpose."""

    def in_chinese(self) -> str:
        """The message in Taiwan's Chinese."""
        return str(self)

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions pickle by their positional arguments; ours have keyword ones.
        return _rebuild, (type(self), self.args, self.__dict__.copy())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


def _rebuild(cls: type[Every8dError], args: tuple[Any, ...], state: dict[str, Any]) -> Every8dError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class InvalidInput(Every8dError, ValueError):
    """Refused by us before anything could be sent. `row`, where a caller sets it, is named by the message."""

    def __init__(self, message: str, message_zh: str = "", *, row: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.message_zh = message_zh or message
        self.row = row

    def __str__(self) -> str:
        return self.message if self.row is None else f"row {self.row}: {self.message}"

    def in_chinese(self) -> str:
        return self.message_zh if self.row is None else f"第 {self.row} 列：{self.message_zh}"


class _ByReason(InvalidInput):
    """An input error whose texts follow from a short reason, good for tables and metrics."""

    texts: ClassVar[dict[str, tuple[str, str]]]

    def __init__(self, reason: str, *, row: int | None = None) -> None:
        # An unlisted reason is a caller's own text; it would be in the way to fail over it inside an error.
        super().__init__(*self.texts.get(reason, (reason, reason)), row=row)
        self.reason = reason


class InvalidNumber(_ByReason):
    """Not a number to send to. `reason`: empty, not_a_number, landline, not_mobile, abroad."""

    texts: ClassVar = {
        "empty": ("the phone number is empty", "電話號碼空白"),
        "not_a_number": ("not a valid phone number", "不是有效的電話號碼"),
        "landline": ("a landline number: texts go to mobiles only", "市內電話無法接收簡訊，請改用手機號碼"),
        "not_mobile": ("not a mobile number", "不是手機號碼"),
        "abroad": (
            "a number outside Taiwan, and sending abroad is not switched on for this account",
            "國際門號，而此帳號未開啟國際簡訊發送",
        ),
    }


class InvalidText(_ByReason):
    """Not a text that can be sent. `reason`: empty, broken."""

    texts: ClassVar = {
        "empty": ("the text is empty", "簡訊內容空白"),
        "broken": (
            "the text holds half a character: it was read in the wrong encoding",
            "簡訊內容含有不完整的字元，讀取時的編碼可能有誤",
        ),
    }


class PastTime(InvalidInput):
    """A time to send that has passed: the gateway might send at once or never, so it is not asked."""

    def __init__(self, message: str = "", message_zh: str = "", *, row: int | None = None) -> None:
        super().__init__(
            message or "the time to send has already passed", message_zh or "預約發送時間已過", row=row
        )


class GatewayError(Every8dError):
    """A call to the gateway failed; the class says what that means for the money.

    `operation` is the gateway's name of the call, `code` its negative number where it gave one, `status`
    the HTTP status where that is what failed, `raw` the reply (never printed, cut at 4,096 characters),
    `account` an alias that a caller may set and that the message then names. `detail` is in our own words
    and safe to print.
    """

    #: What the class means where no code says more: meaning, meaning_zh, advice, advice_zh.
    default: ClassVar = codes.CodeText(
        "the call failed", "呼叫失敗", "Look at the log of the gateway.", "請查閱系統紀錄。"
    )

    def __init__(
        self,
        operation: str,
        *,
        code: int | None = None,
        detail: str = "",
        raw: str = "",
        status: int | None = None,
        fault: bool = False,
        account: str | None = None,
    ) -> None:
        super().__init__(operation)
        self.operation = operation
        self.code = code
        self.detail = detail
        self.raw = raw[:RAW_LIMIT]
        self.status = status
        self.fault = fault
        self.account = account

    @property
    def text(self) -> codes.CodeText:
        """Meaning and advice, by the code where there is one."""
        return self.default if self.code is None else codes.describe(self.code)

    @property
    def meaning(self) -> str:
        """What happened, in English."""
        return self.text.meaning

    @property
    def meaning_zh(self) -> str:
        """What happened, in Chinese."""
        return self.text.meaning_zh

    @property
    def advice(self) -> str:
        """What to do, in English."""
        return self.text.advice

    @property
    def advice_zh(self) -> str:
        """What to do, in Chinese."""
        return self.text.advice_zh

    @property
    def known(self) -> bool:
        """False for a code that is in no documentation."""
        return self.code is None or codes.known(self.code)

    def _head(self) -> str:
        head = self.operation if self.account is None else f"{self.operation} (account {self.account})"
        return head if self.code is None else f"{head} {self.code}"

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self._head()}: {self.meaning}{detail}. {self.advice}"

    def in_chinese(self) -> str:
        detail = f"（{self.detail}）" if self.detail else ""
        return f"{self._head()}：{self.meaning_zh.rstrip('。')}{detail}。{self.advice_zh}"


class NotSent(GatewayError):
    """Certainly not executed: it may be tried again without the danger of sending twice."""

    default = codes.CodeText(
        "the gateway did not execute the call", "系統未執行此命令", "Try again.", "請稍後再試。"
    )


class Unreachable(NotSent):
    """No byte of the request left: the name, the connection, the TLS handshake or the proxy failed."""

    default = codes.CodeText(
        "the gateway cannot be reached; nothing was sent",
        "無法連線至簡訊平台，尚未送出任何資料",
        "Check the address, the network and the certificates; it is safe to try again.",
        "請檢查連線位址、網路與憑證；可安全重試。",
    )


class Rejected(NotSent):
    """Refused at the door: HTTP 403 404 405 407 413 415 429 (`status`), or a SOAP Client fault (`fault`)."""

    default = codes.CodeText(
        "the gateway's front refused the request; it was not executed",
        "簡訊平台前端拒絕此請求，命令未執行",
        "403 and 429: slow down, or ask the vendor to admit your address. Others: check the gateway's URL.",
        "403、429：請降低速率或請廠商開放來源位址；其他：請檢查連線位址。",
    )


class Busy(NotSent):
    """-97 or -99: the gateway did not process the command."""


class SessionGone(NotSent):
    """-301, from any operation: the session key is no longer valid, and the call was not executed."""


class AccountFault(GatewayError):
    """-100 -101 -300 -999: the login is refused, nothing executed. Stop: ten refusals lock the account."""

    @property
    def locked(self) -> bool:
        """True for -999: only the vendor can unlock the account."""
        return self.code == -999


class MessageFault(GatewayError):
    """-24 -27 -28 -41 -306 and every other negative code: a definite no to this message or batch."""


class OutcomeUnknown(GatewayError):
    """Bytes of the request left, and no answer can be read: it may have been executed. Never guess."""

    default = codes.CodeText(
        "the request left, but its outcome is not known",
        "請求已送出，但結果不明",
        "A send is not repeated by itself: look at the delivery status, the credit or the vendor's console.",
        "為避免重複發送，系統不會自動重送；請先查詢發送狀態、餘額或廠商後台。",
    )


def from_code(code: int, operation: str, raw: str = "") -> GatewayError:
    """The error that a negative code means, in any operation."""
    cls: type[GatewayError]
    if code == -301:
        cls = SessionGone
    elif code in (-97, -99):
        cls = Busy
    elif code in (-100, -101, -300, -999):
        cls = AccountFault
    else:
        cls = MessageFault
    return cls(operation, code=code, raw=raw)
