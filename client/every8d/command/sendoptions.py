"""The options of `send` as a request's header has them: times, lengths of time, columns. Callbacks of click
options.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import click

from every8d.csvheader import FIELDS
from every8d.errors import InvalidInput
from every8d.recipients import read_time

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LENGTH = re.compile(r"(\d{1,6})\s*([smhd])", re.IGNORECASE)


def length(_context: click.Context, _parameter: click.Parameter, value: str | None) -> timedelta | None:
    """A length of time, such as 90s, 30m, 2h, 1d."""
    if value is None:
        return None
    found = _LENGTH.fullmatch(value.strip())
    if found is None:
        raise click.BadParameter("write a length of time as 90s, 30m, 2h or 1d（時間長度）")
    return timedelta(**{_UNITS[found[2].lower()]: int(found[1])})


def moment(_context: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    """A time, such as `2026-01-31 15:30`; without an offset it is Asia/Taipei."""
    if value is None:
        return None
    try:
        found = read_time(value)
    except InvalidInput:
        found = None
    if found is None:
        raise click.BadParameter("write a time as 2026-01-31 15:30（台灣時間）, or with an offset")
    return found


def moment_or_length(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> datetime | timedelta | None:
    """A time, or a length of time from now."""
    if value is not None and _LENGTH.fullmatch(value.strip()):
        return length(context, parameter, value)
    return moment(context, parameter, value)


def columns(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """FIELD=COLUMN, several times: which column of the file is what."""
    found: dict[str, str] = {}
    for value in values:
        field, separator, column = (part.strip() for part in value.partition("="))
        if field not in FIELDS or not separator or not column:
            raise click.BadParameter(f"write FIELD=COLUMN; FIELD is one of {', '.join(FIELDS)}")
        found[field] = column
    return found
