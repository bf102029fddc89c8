"""The gateway's error replies, as the wire has them: with a blank or without, with commas in the text."""

#: Whole replies of the sending operations, eraseBooking and getCredit, by code.
PLAIN = {
    -3: "-3,無法取得指定發送資料",
    -4: "-4,發送資料為刪除狀態或已經送出",
    -8: "-8,取消作業暫時無法進行",
    -24: "-24,簡訊內容不得為空",
    -27: "-27,電話號碼不得為空",
    -28: "-28, 預約時間格式錯誤，請使用 yyyyMMddHHmmss",
    -41: "-41,無接收人電話號碼",
    -97: "-97, 系統忙碌中，請稍後再試",
    -98: "-98,重複發送之簡訊已被過濾",
    -99: "-99, 主機端發生不明錯誤，請與廠商窗口聯繫。",
    -100: "-100,無此帳號",
    -101: "-101,密碼錯誤",
    -290: "-290",
    -300: "-300,帳號或密碼不得為空",
    -301: "-301, Session 資料不存在，請重新登入。",
    -306: "-306,電話號碼格式錯誤",
    -999: "-999, 帳號已封鎖，請洽服務窗口。",
}

#: DESCRIPTION of getConnection, by CODE (specification 1.1).
LOGIN = {
    0: "取得連線成功",
    -97: "系統忙碌中，請稍後再試",
    -100: "取得連線失敗，無此帳號",
    -101: "取得連線失敗，密碼錯誤",
    -300: "帳號或密碼不得為空",
    -999: "帳號已封鎖，請洽服務窗口。認證錯誤超過 10 次將封鎖此服務。",
}


def plain(code: int) -> str:
    """The reply `code,text`; codes that nobody has seen get a text that says so."""
    return PLAIN.get(code, f"{code},未定義的錯誤")


def description(code: int) -> str:
    """The text alone, for the XML replies."""
    known = LOGIN.get(code)
    if known is not None:
        return known
    return plain(code).partition(",")[2].strip() or "未定義的錯誤"


def connection(code: int, key: str = "") -> str:
    """getConnection's XML. On failure SESSION_KEY is empty, or (-101) is missing: both have been seen."""
    session = "" if code == -101 else f"<SESSION_KEY>{key}</SESSION_KEY>"
    return (
        '<?xml version="1.0" encoding="utf-8"?><SMS><GET_CONNECTION>'
        f"<CODE>{code}</CODE>{session}<DESCRIPTION>{description(code)}</DESCRIPTION>"
        "</GET_CONNECTION></SMS>"
    )


def status_error(code: int) -> str:
    """getDeliveryStatus's XML when it has no rows to show."""
    return (
        '<?xml version="1.0" encoding="utf-8"?><SMS_LOG>'
        f"<CODE>{code}</CODE><DESCRIPTION>{description(code)}</DESCRIPTION></SMS_LOG>"
    )
