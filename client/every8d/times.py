"""The gateway's times: Asia/Taipei, written `yyyyMMddHHmmss`, read in several shapes (spec. 1.2, 3.2)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final

# Taiwan has had no daylight saving time since 1979, so a fixed offset is right and needs no tzdata.
TAIPEI: Final[tzinfo] = timezone(timedelta(hours=8), "Asia/Taipei")

_COMPACT = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})")
_SPACED = re.compile(
    r"([0-9]{4})[/-]([0-9]{1,2})[/-]([0-9]{1,2})[ T]+([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:\.[0-9]+)?"
)


def aware(moment: datetime) -> datetime:
    """The same moment with a time zone: a naive one means Asia/Taipei."""
    return moment.replace(tzinfo=TAIPEI) if moment.tzinfo is None else moment


def to_gateway(moment: datetime) -> str:
    """`yyyyMMddHHmmss` in Taipei, as sendTime wants it; fractions of a second are cut off."""
    local = aware(moment).astimezone(TAIPEI)
    year, month, day, hour, minute, second = local.timetuple()[:6]
    return f"{year:04d}{month:02d}{day:02d}{hour:02d}{minute:02d}{second:02d}"


# The rows of a status page mostly share a few moments: remembering them halves the cost of a page.
@lru_cache(maxsize=4096)
def from_gateway(text: str) -> datetime | None:
    """A time as the gateway writes it, aware and in Taipei; None where it cannot be read.

    Reads `2015/09/23 15:37:05`, the same not zero-padded or with blanks around it, and `20150923153705`.
    """
    stripped = text.strip()
    match = _SPACED.fullmatch(stripped) or _COMPACT.fullmatch(stripped)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=TAIPEI)
    except ValueError:
        return None
