"""Bodies of `every8d.accept` for tests, written out by hand rather than by the producer."""

import uuid
from typing import Any

from every8d.body import page_hash, seal_hash

ENQUEUED = "2026-01-01T08:00:00+08:00"


def numbers(count: int, first: int = 0) -> list[str]:
    """Plain Taiwanese mobiles, none of them magic for the emulator."""
    return [f"+8869{10_000_000 + first + place}" for place in range(count)]


def page(request: uuid.UUID | None = None, *, number: int = 0, **fields: Any) -> dict[str, Any]:
    """One page without a seal. `to` or `messages` must be given."""
    body: dict[str, Any] = {
        "v": 1,
        "request": str(request or uuid.uuid4()),
        "account": "default",
        "lane": "normal",
        "text": "您好",
        "subject": "",
        "send_at": None,
        "schedule": "ledger",
        "validity": None,
        "deadline": None,
        "duplicates": False,
        "enqueued_at": ENQUEUED,
        "page": number,
        "seal": None,
    }
    return body | fields


def sealed(body: dict[str, Any]) -> dict[str, Any]:
    """The page with its own seal: a request of one page."""
    return body | {"seal": seal_of([body])}


def seal_of(pages: list[dict[str, Any]]) -> dict[str, Any]:
    """The seal over these pages."""
    return {
        "pages": len(pages),
        "count": sum(len(one.get("to") or one.get("messages") or []) for one in pages),
        "hash": seal_hash([page_hash(one) for one in pages]),
        "refused": None,
    }


def seal_alone(pages: list[dict[str, Any]]) -> dict[str, Any]:
    """The task body that seals these pages."""
    header = {key: value for key, value in pages[0].items() if key not in ("to", "messages")}
    return header | {"page": None, "seal": seal_of(pages)}
