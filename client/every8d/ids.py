"""Identifiers of requests: made by the producer, so that a repeated call can name the same request."""

import os
import threading
import time
import uuid

# Fixed for ever: another namespace would make another request of the same idempotency key.
NAMESPACE = uuid.UUID("7fdd6e1c-8052-5d44-a025-3da874b19eb1")

_lock = threading.Lock()
_last_ms = 0
_last_counter = 0
_COUNTER_BITS = 42
_COUNTER_SEED_BITS = 41  # the highest counter bit starts at 0: room to count (RFC 9562, 6.2, method 1)


def uuid7() -> uuid.UUID:
    """A UUID of version 7 (RFC 9562, 5.7): 48 bits of Unix time in ms, a 42-bit counter, 32 random bits.

    Ids of one process grow strictly, also within a millisecond and when the clock is set back; ids of
    different processes sort by time. Thread-safe. (`uuid.uuid7` of Python 3.14 does the same; this runs on
    3.11.)
    """
    global _last_ms, _last_counter  # noqa: PLW0603  monotonic ids need the last one of this process
    with _lock:
        now_ms = time.time_ns() // 1_000_000
        if now_ms > _last_ms:
            _last_ms = now_ms
            _last_counter = int.from_bytes(os.urandom(6)) & ((1 << _COUNTER_SEED_BITS) - 1)
        else:
            _last_counter += 1
            if _last_counter >> _COUNTER_BITS:  # borrow a millisecond of the future
                _last_ms += 1
                _last_counter = 0
        ms, counter = _last_ms, _last_counter
    high, low = counter >> 30, counter & 0x3FFF_FFFF
    tail = int.from_bytes(os.urandom(4))
    number = (ms & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low << 32 | tail
    return uuid.UUID(int=number)


def request_id(account: str, idempotency_key: str | None = None) -> uuid.UUID:
    """The id of a request: a new UUIDv7, or UUIDv5 of account and key: the same wherever it is computed."""
    if idempotency_key is None:
        return uuid7()
    # An account's name has no line end (body.ACCOUNT), so no two pairs give the same string.
    return uuid.uuid5(NAMESPACE, f"{account}\n{idempotency_key}")
