"""What a producer raises beside the plain `InvalidInput`; each says whether anything can have been sent.

Every8dError
├── InvalidInput              nothing can have been sent; correct the call
│   ├── InvalidRows           bad rows of a list or a stream, by number
│   ├── TextTooLong           (an InvalidText)
│   └── NoResultBackend       the Celery app cannot bring back an answer
├── BrokerUnreachable         a task could not be published
├── NoAnswer                  no worker answered in time
│   └── NotConfirmed          … whether the request is in the ledger
├── IdempotencyConflict       the key belongs to another request
└── NotAccepted               the worker refused the request
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from every8d.errors import Every8dError, InvalidInput, InvalidText

if TYPE_CHECKING:
    import uuid

    from every8d.seal import RowError

_SHOWN = 10


class InvalidRows(InvalidInput):
    """Rows that cannot be sent. Nothing of the request is sent.

    `rows` are the first 1,000 of them, `count` is how many there are. `request_id` is set when pages had
    already been published: then a seal that refuses them was published too, and `status` tells so.
    """

    def __init__(self, rows: tuple[RowError, ...], count: int, request_id: uuid.UUID | None = None) -> None:
        shown = ", ".join(f"{row.row} ({row.reason})" for row in rows[:_SHOWN])
        more = count - min(count, _SHOWN)
        super().__init__(
            f"{count} row{'s' if count != 1 else ''} cannot be sent, so nothing is sent: row {shown}"
            f"{f' and {more} more' if more else ''}; correct them, or skip invalid rows",
            f"有 {count} 列無法發送，因此全部未發送：第 {shown} 列{f'，另有 {more} 列' if more else ''}；"
            "請修正，或選擇略過無效的列",
        )
        self.rows = rows
        self.count = count
        self.request_id = request_id


class TextTooLong(InvalidText):
    """A text of more segments than are sent (`rowcheck.MAX_SEGMENTS`): rather a mistake than a message."""

    texts: ClassVar = {"too_long": ("the text is longer than 20 segments", "簡訊內容超過 20 則的長度")}

    def __init__(self, *, row: int | None = None) -> None:
        super().__init__("too_long", row=row)


class NoResultBackend(InvalidInput):
    """The Celery app has no result backend, so an answer cannot come back."""

    def __init__(self) -> None:
        super().__init__(
            "the Celery app has no result backend: set result_backend to the workers' own, "
            "or send with confirm=False",
            "此 Celery app 未設定 result_backend：請設為與 worker 相同者，或以 confirm=False 發送",
        )


class _OfRequest(Every8dError):
    """An error about one request, named by `request_id`; `detail` is safe to print."""

    _text: ClassVar[str]
    _text_zh: ClassVar[str]

    def __init__(self, request_id: uuid.UUID, detail: str = "") -> None:
        super().__init__(self._text.format(request=request_id, detail=detail))
        self.request_id = request_id
        self.detail = detail

    def in_chinese(self) -> str:
        return self._text_zh.format(request=self.request_id, detail=self.detail)


class BrokerUnreachable(_OfRequest):
    """A task could not be published within the retries. It may have arrived, if only the answer was lost.

    Repeating the call with the same idempotency key is safe; pages without their seal are never sent.
    """

    _text = (
        "request {request}: the broker {detail} cannot be reached; the request may or may not have been "
        "published: repeat it with the same idempotency key, or ask for its status when the broker is back"
    )
    _text_zh = (
        "請求 {request}：無法連線至 broker {detail}；此請求可能已送出也可能未送出："
        "請以相同的 idempotency key 重送，或於 broker 恢復後查詢其狀態"
    )


class NoAnswer(_OfRequest):
    """No worker answered in time. `detail` is the operation."""

    _text = (
        "request {request}: no worker answered ({detail}) in time; check that workers run for this queue "
        "and share the result backend"
    )
    _text_zh = (
        "請求 {request}：worker 未在時限內回應（{detail}）；"
        "請確認有 worker 處理此佇列，且使用相同的 result backend"
    )


class NoSuchRequest(_OfRequest):
    """The ledger has no request of this id."""

    _text = (
        "there is no request {request} in the ledger: it may still be in the queue (then ask again in a moment), "
        "or was not published to this broker"
    )
    _text_zh = "帳本中查無請求 {request}：可能仍在佇列中（請稍後再試），或並未發送至此 broker"


class NotConfirmed(NoAnswer):
    """The ledger's answer did not come in time. The request may still be accepted, and sent.

    Repeating the call with the same idempotency key is safe: it is the same request. Without a key, ask
    `status` before sending again.
    """

    _text = (
        "request {request} is published but not confirmed ({detail}); it may still be accepted and sent: "
        "repeat it with the same idempotency key, which is safe, or ask for its status"
    )
    _text_zh = (
        "請求 {request} 已送出但尚未確認（{detail}）；仍可能被接受並發送："
        "以相同的 idempotency key 重送是安全的，或請查詢其狀態"
    )


class IdempotencyConflict(_OfRequest):
    """The idempotency key was used before for another request: other numbers, text, options, or page size.

    The first request stands; nothing of this one is sent.
    """

    _text = (
        "request {request}: this idempotency key belongs to a request with another content; "
        "nothing of this one is sent: use a new key for a new message"
    )
    _text_zh = "請求 {request}：此 idempotency key 已用於內容不同的請求；本次未發送，新訊息請使用新的 key"


class NotAccepted(_OfRequest):
    """The worker refused the request; nothing of it is sent. `detail` is the worker's reason."""

    _text = "request {request} was refused by the worker and is not sent: {detail}"
    _text_zh = "請求 {request} 被 worker 拒絕，未發送：{detail}"
