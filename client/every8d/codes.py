"""The gateway's numbers and what they mean: error codes, and the delivery statuses of messages.

Chinese meanings are the gateway's own words where they are published, English ones and the advice are ours.
Delivery statuses: specification 3.2 and what the live service was seen to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class CodeText:
    """What an error code means and what to do about it, in English and in Taiwan's Chinese."""

    meaning: str
    meaning_zh: str
    advice: str
    advice_zh: str


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """A delivery status: the code, one word for it, whether it can still change, and its meaning."""

    status: int
    word: str
    final: bool
    meaning: str
    meaning_zh: str


_LOGIN = (
    "Correct the account's user id and password; ten failures lock it.",
    "請更正帳號與密碼；錯誤達 10 次帳號將被封鎖。",
)
_NUMBER = ("Correct or remove the number.", "請更正或移除該號碼。")
_WAIT = ("Nothing was done. Wait a little and try again.", "系統未執行此命令，請稍後再試。")

ERRORS: Final[dict[int, CodeText]] = {
    -3: CodeText(
        "the batch could not be found", "無法取得指定發送資料",
        "Check the BatchID and the account.", "請確認批次代碼與帳號是否正確。",
    ),
    -4: CodeText(
        "the batch is deleted or has already been sent", "發送資料為刪除狀態或已經送出",
        "It can no longer be cancelled; ask for its delivery status.", "已無法取消，請改查詢發送狀態。",
    ),
    -8: CodeText(
        "cancelling is not possible just now", "取消作業暫時無法進行",
        "Nothing was cancelled. Try again in a few minutes.", "尚未取消，請數分鐘後再試。",
    ),
    -24: CodeText("the text is empty", "簡訊內容不得為空", "Give the message a text.", "請填寫簡訊內容。"),
    -27: CodeText(
        "the number is empty", "電話號碼不得為空",
        "Give the message a number.", "請填寫電話號碼。",
    ),
    -28: CodeText(
        "the sendTime is malformed", "預約發送時間格式錯誤",
        "Send the time as yyyyMMddHHmmss, in Taipei time.", "請使用 yyyyMMddHHmmss 格式（台北時間）。",
    ),
    -41: CodeText("there is no mobile number", "無手機號碼", *_NUMBER),
    -97: CodeText("the gateway is busy", "系統忙碌中，請稍後再試", *_WAIT),
    -98: CodeText(
        "the message repeats an earlier one and was filtered", "重複發送的簡訊已被過濾",
        "Send it once; if it is meant, wait or change the text.",
        "請勿重複發送；如確有需要，請稍後再送或調整內容。",
    ),
    -99: CodeText("an unknown error on the gateway's side", "主機端發生不明錯誤，請與廠商窗口聯繫。", *_WAIT),
    -100: CodeText("there is no such account", "取得連線失敗，無此帳號", *_LOGIN),
    -101: CodeText("the password is wrong", "取得連線失敗，密碼錯誤", *_LOGIN),
    -300: CodeText(
        "the user id or the password is empty", "帳號密碼不得為空",
        "Set the account's user id and password.", "請設定帳號與密碼。",
    ),
    -301: CodeText(
        "the session key is gone", "Session 資料不存在，請重新登入。",
        "Nothing was done. Log in again and repeat the call.", "系統未執行此命令，請重新登入後再試。",
    ),
    -306: CodeText("the number is malformed", "電話號碼格式錯誤", *_NUMBER),
    -999: CodeText(
        "the account is locked: more than ten wrong logins",
        "帳號已封鎖，請洽服務窗口。認證錯誤超過 10 次將封鎖此服務。",
        "Only the vendor can unlock it. Correct the password first, then unblock the account here.",
        "請洽 EVERY8D 服務窗口解除封鎖，更正密碼後再啟用此帳號。",
    ),
}  # fmt: skip

_UNKNOWN: Final = CodeText(
    "a code that is not in the documentation", "文件未載明的錯誤代碼",
    "The gateway refused. Read its own words, and ask support@every8d.com.tw with the code.",
    "系統已拒絕此命令，請參考原始回覆，並以錯誤代碼洽詢 support@every8d.com.tw。",
)  # fmt: skip


def known(code: int) -> bool:
    """Whether the error code has a meaning in this table."""
    return code in ERRORS


def describe(code: int) -> CodeText:
    """The meaning of an error code; a text that says so where nobody knows it."""
    return ERRORS.get(code, _UNKNOWN)


def _table(*rows: tuple[int, str, bool, str, str]) -> dict[int, DeliveryStatus]:
    return {row[0]: DeliveryStatus(*row) for row in rows}


# 104-107 changed their meanings between versions of the specification; all of them say "not delivered".
DELIVERIES: Final[dict[int, DeliveryStatus]] = _table(
    (0, "sent", False, "handed to the carrier, which is trying the handset",
     "訊息已成功傳送給電信端，電信基地台與受話方手機溝通中"),
    (100, "delivered", True, "on the handset", "成功送達手機"),
    (101, "undelivered", True, "handset off, no signal, or its messages do not work",
     "因受話方手機關機/訊號不良/簡訊功能異常等原因，該訊息無法送達受話方手機"),
    (102, "undelivered", True, "a fault in the carrier's network or base station",
     "因網路系統/基地台設備異常等原因，該訊息無法送達受話方手機"),
    (103, "undelivered", True, "the number is not in use or suspended",
     "因受話方手機門號為空號或停用中，該訊息無法送達受話方手機"),
    (104, "undelivered", True, "the handset is of an unsuitable kind",
     "因受話方手機規格不符(山寨機或海外機)，該訊息無法送達受話方手機"),
    (105, "undelivered", True, "an unexpected fault of the handset",
     "因受話方手機設備問題/手機出現未預期錯誤等原因，該訊息無法送達受話方手機"),
    (106, "undelivered", True, "an unexpected fault while the system sent",
     "因系統傳送時發生非預期錯誤，該訊息無法送達受話方手機"),
    (107, "undelivered", True, "handset off, no signal, or its messages do not work",
     "因受話方手機關機/訊號不良/簡訊功能異常等原因，該訊息無法送達受話方手機"),
    (300, "booked", False, "booked for later", "預約簡訊"),
    (301, "no_credit", True, "not sent: no credit left", "無額度，未發送"),
    (303, "cancelled", True, "the booking was cancelled", "取消預約"),
    (500, "refused", True, "a number abroad: switch international sending on in the vendor's console",
     "該門號為國際門號，請至系統設定開啟國際簡訊發送功能"),
    (700, "sent", False, "sent as MMS", "多媒體簡訊已發送"),
    (888, "sent", False, "test mode", "測試模式"),
    (999, "reply", False, "a reply of the recipient, no status", "回覆簡訊"),
    (-1, "refused", True, "wrong parameters", "參數錯誤，該訊息傳送失敗"),
    (-2, "refused", True, "wrong account or password", "API 帳號或密碼錯誤，該訊息傳送失敗"),
    (-3, "refused", True, "wrong number, or on the do-not-send list",
     "受話方手機號碼錯誤或是簡訊黑名單，該訊息傳送失敗"),
    (-4, "refused", True, "the time to send it had passed by more than 24 hours",
     "訊息預計發送時間已逾期 24 小時以上，該訊息傳送失敗"),
    (-5, "refused", True, "the text is too long", "Short Message 內容長度超過限制，該訊息傳送失敗"),
    (-6, "refused", True, "the time to send it is malformed", "DT(預計發送時間)格式錯誤，該訊息傳送失敗"),
    (-8, "refused", True, "the number is malformed", "電話號碼格式錯誤"),
    (-10, "refused", True, "MMS is not supported", "不支援多媒體簡訊"),
)  # fmt: skip

#: How much a status is worth against another one of the same message: the higher wins, whatever their times.
_RANKS: Final = {100: 4, 301: 3, 303: 3, 500: 3, 300: 1, 0: 1} | dict.fromkeys(range(101, 108), 2)


def delivery(status: int) -> DeliveryStatus:
    """A delivery status by its code. An unknown one is not final, but a negative one is always a refusal."""
    listed = DELIVERIES.get(status)
    if listed is not None:
        return listed
    if status < 0:
        return DeliveryStatus(
            status, "refused", True, "refused, for a reason not documented", "傳送失敗，原因未載明"
        )
    return DeliveryStatus(status, "unknown_status", False, "a status not documented", "文件未載明的狀態")


def rank(status: int) -> int:
    """100 → 4; 301, 303, 500 and negatives → 3; 101-107 → 2; 300 and 0 → 1; anything else → 0."""
    return 3 if status < 0 else _RANKS.get(status, 0)
