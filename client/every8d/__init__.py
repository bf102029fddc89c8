"""Send text messages through the EVERY8D gateway of Taiwan.

from every8d import Gateway                     # at once, from this process (extra `gateway`)
with Gateway("user", "password") as gateway:
    gateway.send("0912345678", "您好")

from every8d import Producer                    # by the workers (extra `producer`)
Producer("redis://localhost").send("0912345678", "您好")
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    )
    from every8d.gateway import Gateway
    from every8d.message import Message
    from every8d.producer import Producer
    from every8d.receipt import Cancelled, Pause, Price, Progress, Receipt, RequestStatus

#: Where each public name lives. They load when first used, so that a web app pays for what it needs only.
_HOMES = {
    "errors": (
        "AccountFault",
        "Busy",
        "Every8dError",
        "GatewayError",
        "InvalidInput",
        "InvalidNumber",
        "InvalidText",
        "MessageFault",
        "NotSent",
        "OutcomeUnknown",
        "PastTime",
        "Rejected",
        "SessionGone",
        "Unreachable",
    ),
    "gateway": ("Gateway",),
    "message": ("Message",),
    "producer": ("Producer",),
    "receipt": ("Cancelled", "Pause", "Price", "Progress", "Receipt", "RequestStatus"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AccountFault",
    "Busy",
    "Cancelled",
    "Every8dError",
    "Gateway",
    "GatewayError",
    "InvalidInput",
    "InvalidNumber",
    "InvalidText",
    "Message",
    "MessageFault",
    "NotSent",
    "OutcomeUnknown",
    "PastTime",
    "Pause",
    "Price",
    "Producer",
    "Progress",
    "Receipt",
    "Rejected",
    "RequestStatus",
    "SessionGone",
    "Unreachable",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'every8d' has no attribute {name!r}")
    return getattr(import_module(f"every8d.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
