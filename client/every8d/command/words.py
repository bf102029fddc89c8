"""What the commands say, in English and in Taiwan's Chinese."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Lang = Literal["en", "zh"]

#: Sentences: key → (English, 繁體中文).
SENTENCES: dict[str, tuple[str, str]] = {
    # send
    "sent": ("Accepted: {count} messages, {points} points.", "已受理：{count} 則簡訊，共 {points} 點。"),
    "request": ("Request", "發送編號"),
    "key": ("Key", "識別鍵（key）"),
    "account": ("Account", "帳號"),
    "lines": ("Lines: {lines}", "行號：{lines}"),
    "interrupted_sending": (
        "Interrupted while it was being published: it may or may not be accepted.",
        "送出途中被中斷：可能已受理，也可能尚未受理。",
    ),
    "lane": ("Lane", "通道"),
    "dry_run": ("Dry run: nothing was sent.", "試算：未發送任何簡訊。"),
    "ask": ("Send {count} messages for {points} points?", "確定發送 {count} 則簡訊（{points} 點）？"),
    "not_sent_by_choice": ("Nothing was sent.", "未發送任何簡訊。"),
    "publishing": ("Publishing", "送出中"),
    "checking": ("Checking the file", "檢查檔案中"),
    "bad_rows": (
        "{bad} of {rows} rows cannot be sent. Nothing was sent.",
        "{rows} 列中有 {bad} 列無法發送，未發送任何簡訊。",
    ),
    "bad_rows_advice": (
        "Correct them, or send the others with --skip-invalid.",
        "請修正後再試，或以 --skip-invalid 略過這些列。",
    ),
    "bad_rows_skipped": (
        "{bad} of {rows} rows cannot be sent and are left out.",
        "{rows} 列中有 {bad} 列無法發送，已略過。",
    ),
    "nobody": ("No row can be sent.", "沒有任何一列可以發送。"),
    "bad_numbers": (
        "{bad} of {rows} recipients cannot be sent to. Nothing was sent.",
        "{rows} 位收訊人中有 {bad} 位無法發送，未發送任何簡訊。",
    ),
    "more_rows": ("… and {count} more (all of them with --json)", "…另有 {count} 列（以 --json 列出全部）"),
    "duplicate_rows": (
        "{count} rows repeat a number with the same text; they go out once (--allow-duplicates: all).",
        "{count} 列的門號與內容重複，只發送一次（--allow-duplicates 可全部發送）。",
    ),
    "duplicate_rows_sent": (
        "{count} rows repeat a number with the same text, and are sent again.",
        "{count} 列的門號與內容重複，仍會全部發送。",
    ),
    "duplicates_told": (
        "{count} duplicates were left out (same number, same text).",
        "已略過 {count} 則重複簡訊（門號與內容皆相同）。",
    ),
    "not_confirmed": (
        "Published, but no worker confirmed it: it may or may not have been accepted.",
        "已送出佇列，但尚未獲得確認：可能已受理，也可能尚未受理。",
    ),
    "not_confirmed_advice": (
        "See `every8d status {request}`, or repeat the same command with --key {key}: it is sent once.",
        "請以 every8d status {request} 查詢，或加上 --key {key} 重複同一指令：只會發送一次。",
    ),
    # status, cancel
    "no_such_request": ("No such request.", "查無此發送編號。"),
    "no_such_request_advice": (
        "Check the id. Published less than a minute ago, it may still be on its way.",
        "請確認編號；若剛送出不久，可能仍在處理中。",
    ),
    "state": ("State", "狀態"),
    "messages": ("Messages", "則數"),
    "cost": ("Cost (points)", "扣點"),
    "paused_account": ("account paused", "帳號已暫停"),
    "paused_lane": ("lane paused", "通道已暫停"),
    "paused_request": ("request paused", "此筆已暫停"),
    "paused_by": ("{why} ({by}, since {since})", "{why}（{by}，自 {since} 起）"),
    "by_gateway": ("the gateway's refusals", "簡訊平台拒絕"),
    "by_limit": ("the limit on points", "點數上限"),
    "by_credit": ("want of credit", "點數不足"),
    "still_open": (
        "Not final yet. It goes on without this command: every8d status {request}",
        "尚未全部完成；關閉本指令不影響發送，可用 every8d status {request} 查詢。",
    ),
    "follow_lost": (
        "No worker or broker answers any more, so what became of it is not known here.",
        "工作程序（worker）或訊息佇列（broker）無回應，無法得知後續狀態。",
    ),
    "follow_lost_advice": (
        "What was accepted goes on; see every8d status {request} later.",
        "已受理的簡訊仍會繼續發送；請稍後以 every8d status {request} 查詢。",
    ),
    "unknown_left": (
        "{count} messages have an unknown outcome; they are not repeated by themselves (every8d unknown).",
        "{count} 則簡訊結果不明，系統不會自動重送（請見 every8d unknown）。",
    ),
    "no_credit_left": (
        "{count} messages were left unsent for want of credit; after a top-up they go out by themselves.",
        "{count} 則簡訊因點數不足未發送；補足點數後將自動發送。",
    ),
    "not_all_delivered": ("Not all messages were delivered.", "並非所有簡訊都已送達。"),
    "cancelled": (
        "Stopped {stopped}, erased at the gateway {erased}, points back {points}.",
        "已停止 {stopped} 則，已刪除預約 {erased} 則，回補 {points} 點。",
    ),
    "too_late": ("{count} were already sent.", "{count} 則已送出，無法取消。"),
    "pending": (
        "{count} are not settled yet: the gateway's answer is awaited.",
        "{count} 則尚待簡訊平台確認。",
    ),
    "nothing_cancelled": ("Nothing could be stopped any more.", "已無可取消的簡訊。"),
    # price
    "price": ("Price", "計價"),
    "rows": ("Rows", "列數"),
    "characters": ("Characters", "字數"),
    "segments": ("Segments", "則數（計費）"),
    "points": ("Points", "點數"),
    "points_each": ("Points for each", "每位點數"),
    "recipients": ("Recipients", "收訊人數"),
    "duplicates": ("Duplicates", "重複"),
    "invalid": ("Cannot be sent", "無法發送"),
    "encoding": ("Read as", "編碼"),
    "line": ("Line", "行"),
    "recipient": ("Recipient", "收訊人"),
    "reason": ("Reason", "原因"),
    # everywhere
    "advice": ("What to do", "建議"),
    "error": ("Error", "錯誤"),
    "no_broker": ("No broker is given.", "未指定訊息佇列（broker）。"),
    "no_broker_advice": (
        "Give --broker or set EVERY8D_BROKER_URL; `every8d up` prints the one of its own system.",
        "請以 --broker 或環境變數 EVERY8D_BROKER_URL 指定；every8d up 啟動時會顯示位址。",
    ),
    "broker_unreachable": ("The broker cannot be reached.", "無法連線至訊息佇列（broker）。"),
    "broker_lost": (
        "The broker cannot be reached: the request may or may not have been published.",
        "無法連線至訊息佇列（broker）：發送要求可能已送出，也可能尚未送出。",
    ),
    "broker_unreachable_advice": (
        "Check --broker or EVERY8D_BROKER_URL, and that the server runs.",
        "請檢查 --broker 或 EVERY8D_BROKER_URL，並確認伺服器執行中。",
    ),
    "ledger_unreachable": ("The ledger cannot be reached.", "無法連線至帳本資料庫。"),
    "ledger_unreachable_advice": (
        "Check EVERY8D_DATABASE_URL, and that the database runs.",
        "請檢查 EVERY8D_DATABASE_URL，並確認資料庫執行中。",
    ),
    "missing_extra": (
        "This command needs more: {package} is not installed.",
        "此指令需要尚未安裝的套件：{package}。",
    ),
    "missing_extra_advice": ("pip install '{install}'", "請執行：pip install '{install}'"),
    "unexpected": ("An unexpected error: {kind}.", "未預期的錯誤：{kind}。"),
    "interrupted": ("Interrupted.", "已中斷。"),
    "interrupted_advice": ("What was accepted goes on.", "已受理的簡訊仍會繼續發送。"),
    "broken_commands": (
        "There is no command {command}, and other commands could not be loaded: {which}",
        "沒有 {command} 指令，且部分指令無法載入：{which}",
    ),
    "wrong_usage_advice": (
        "{command} --help tells the options.",
        "請以 {command} --help 查看用法。",
    ),
}

#: Why a row or a number cannot be sent.
REASONS: dict[str, tuple[str, str]] = {
    "not_a_number": ("not a phone number", "不是電話號碼"),
    "landline": ("a landline, not a mobile number", "市話門號，無法接收簡訊"),
    "not_mobile": ("not a mobile number", "不是行動電話門號"),
    "abroad": ("a number abroad; the account sends to Taiwan only", "國際門號；此帳號僅發送國內"),
    "no_number": ("no number", "沒有門號"),
    "empty": ("empty", "空白"),
    "scientific": (
        "damaged by a spreadsheet (such as 9.12E+08): its digits are lost; format the column as text",
        "被試算表改成科學記號（如 9.12E+08），數字已遺失；請將欄位設為文字格式",
    ),
    "undecodable": ("a character that cannot be read", "含有無法辨識的字元"),
    "too_many_cells": (
        "more cells than the header (a comma in the text needs quotes)",
        "欄位數多於標題列（內容含逗號時須加引號）",
    ),
    "bad_quotes": ("quotation marks that do not fit", "引號不成對"),
    "no_text": ("no text", "沒有簡訊內容"),
    "no_value": ("a value that the text needs is empty", "內容所需的欄位是空的"),
    "too_long": ("the text is longer than 20 segments", "簡訊內容超過 20 則的長度"),
    "broken": ("the text holds half a character", "簡訊內容含有不完整的字元"),
    "missing_column": ("a column that the text needs is missing", "缺少內容所需的欄位"),
    "not_a_text": ("not a text", "不是文字"),
    "bad_name": ("the name holds a line end or a control character", "姓名含有換行或控制字元"),
    "bad_email": ("not an e-mail address", "電子郵件格式不正確"),
    "name_with_validity": (
        "--validity goes with neither a name nor an e-mail",
        "指定 --validity 時不可帶姓名或電子郵件",
    ),
    "own_time_in_booking": (
        "a send time of its own, which --book does not allow",
        "使用 --book 時不可有各自的發送時間",
    ),
    "name_too_long": ("the name has more than 50 characters", "姓名超過 50 字"),
    "bad_time": ("the send time cannot be read", "發送時間格式不正確"),
    "past_time": ("the send time has passed", "發送時間已過"),
    "invalid": ("not valid", "資料不正確"),
    "invalid_rows": ("rows that cannot be sent", "含有無法發送的資料列"),
}

#: States of requests and messages, and accounts' breakers.
STATES: dict[str, tuple[str, str]] = {
    "unknown_request": ("no such request", "查無此編號"),
    "staged": ("staged, not sealed", "接收中"),
    "ready": ("ready", "待發送"),
    "sending": ("sending", "發送中"),
    "done": ("done", "完成"),
    "abandoned": ("abandoned: never completed, nothing sent", "已放棄（未完整送達，未發送）"),
    "refused": ("refused", "遭拒"),
    "cancelled": ("cancelled", "已取消"),
    "waiting": ("waiting", "等待中"),
    "submitting": ("submitting", "提交中"),
    "unknown": ("outcome unknown", "結果不明"),
    "sent": ("sent", "已送出"),
    "booked": ("booked", "已預約"),
    "delivered": ("delivered", "已送達"),
    "undelivered": ("undelivered", "未送達"),
    "expired": ("expired", "逾期未送"),
    "no_credit": ("no credit", "點數不足"),
    "duplicate": ("duplicate", "重複"),
    "closed": ("closed (normal)", "正常"),
    "open": ("OPEN", "停用"),
    "locked": ("LOCKED", "已封鎖"),
}


def language(environ: Mapping[str, str] = os.environ) -> Lang:
    """The language of the environment: zh where LC_ALL, LC_MESSAGES or LANG is Chinese; else en."""
    locale = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    return "zh" if locale.lower().startswith("zh") else "en"


def say(lang: Lang, key: str, /, **values: object) -> str:
    """The sentence of this key."""
    return SENTENCES[key][lang == "zh"].format(**values)


def reason(lang: Lang, key: str) -> str:
    """Why a row cannot be sent; a reason without a sentence is told as it is."""
    return REASONS.get(key, (key, key))[lang == "zh"]


def state(lang: Lang, key: str) -> str:
    """A state in words; an unknown one as it is."""
    return STATES.get(key, (key, key))[lang == "zh"]
