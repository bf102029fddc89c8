"""The emulator's clock and the gateway's three ways of writing a time.

Everything inside the emulator is seconds since the epoch (float); Taiwan's time (UTC+8, no daylight saving)
appears only where the gateway prints or reads one. The clock can be moved, so that a test need not wait for a
delivery, a booking or midnight in Taipei.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

TAIPEI_OFFSET_S = 8 * 3600
TAIPEI = timezone(timedelta(seconds=TAIPEI_OFFSET_S), "Asia/Taipei")
DAY_S = 86_400


class Clock:
    """A clock that runs at the usual pace, from wherever a test has put it."""

    __slots__ = ("_source", "offset_s")

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self.offset_s = 0.0

    def now(self) -> float:
        """Seconds since the epoch, as the emulator sees them."""
        return self._source() + self.offset_s

    def advance(self, seconds: float) -> None:
        """Move the clock; a negative number moves it back."""
        self.offset_s += seconds

    def move_to(self, moment: float) -> None:
        """Set the clock to `moment` (seconds since the epoch); it runs on from there."""
        self.offset_s = moment - self._source()


def taipei_day(moment: float) -> int:
    """The number of the Taipei calendar day: a session key lives within one (specification 1.1)."""
    return int((moment + TAIPEI_OFFSET_S) // DAY_S)


def _taipei(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC).astimezone(TAIPEI)


@lru_cache(maxsize=4096)
def _slashed(second: int, padded: bool) -> str:
    at = _taipei(second)
    if padded:
        return f"{at:%Y/%m/%d %H:%M:%S}"
    return f"{at.year}/{at.month}/{at.day} {at:%H:%M:%S}"


def slashed(moment: float, *, padded: bool = True) -> str:
    """`2015/09/23 15:37:05`, as SENT_TIME shows it; not padded it is `2010/3/20 03:27:50` (both are seen)."""
    return _slashed(int(moment), padded)


@lru_cache(maxsize=4096)
def _compact(second: int) -> str:
    return f"{_taipei(second):%Y%m%d%H%M%S}"


def compact(moment: float) -> str:
    """`20180101120002`, as callbacks carry times."""
    return _compact(int(moment))


def read_send_time(text: str) -> float | None:
    """Seconds since the epoch of a `yyyyMMddHHmmss` in Taipei time; None where it is none (code -28)."""
    if len(text) != 14 or not (text.isascii() and text.isdigit()):
        return None
    try:
        at = datetime(
            int(text[:4]),
            int(text[4:6]),
            int(text[6:8]),
            int(text[8:10]),
            int(text[10:12]),
            int(text[12:]),
            tzinfo=TAIPEI,
        )
    except ValueError:
        return None
    return at.timestamp()
