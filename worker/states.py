"""The states of messages, chunks and requests, and which of a message's states are final."""

from enum import StrEnum


class MessageState(StrEnum):
    """What the ledger keeps of a message. While it is packed, its chunk says the rest."""

    WAITING = "waiting"
    PACKED = "packed"
    # final
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DUPLICATE = "duplicate"
    #: The gateway had no credit left for it: not sent. Held for a top-up first (`worker.funds`), then final.
    NO_CREDIT = "no_credit"
    #: An operator said that it was sent; nothing more will be known.
    SENT = "sent"


FINAL = frozenset(
    {
        MessageState.DELIVERED,
        MessageState.UNDELIVERED,
        MessageState.REFUSED,
        MessageState.CANCELLED,
        MessageState.EXPIRED,
        MessageState.DUPLICATE,
        MessageState.NO_CREDIT,
        MessageState.SENT,
    }
)


class ChunkState(StrEnum):
    """What became of a gateway call that sends."""

    #: Claimed: the call is about to be made, or under way, or its worker died.
    SUBMITTING = "submitting"
    ACCEPTED = "accepted"
    #: It may have been executed. Never repeated by itself.
    UNKNOWN = "unknown"
    #: Certainly not executed; its messages wait again.
    NOT_SENT = "not_sent"
    #: The gateway refused it for something in its messages.
    REFUSED = "refused"


class RequestState(StrEnum):
    """What the ledger keeps of a request; "sending" and "done" follow from its messages."""

    #: Pages without their seal: nothing of it is sent.
    STAGED = "staged"
    READY = "ready"
    ABANDONED = "abandoned"
    REFUSED = "refused"
    CANCELLED = "cancelled"


class EraseState(StrEnum):
    """What became of erasing a booked chunk."""

    WANTED = "wanted"
    ASKING = "asking"
    ERASED = "erased"
    TOO_LATE = "too_late"
    #: The answer was lost; polling says which.
    UNKNOWN = "unknown"
