"""What the commands show to people, as Rich renderables. Rows are named by line, never by number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from every8d.times import TAIPEI

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from rich.console import RenderableType

    from every8d.command.check import Check
    from every8d.command.invocation import Invocation
    from every8d.command.source import Source
    from every8d.receipt import RequestStatus
    from every8d.recipients import BadRow

#: Bad rows on the screen; --json has all of them.
SHOWN_ROWS = 20

#: Pauses that nobody had to ask for.
_BY_THEMSELVES = ("gateway", "limit", "credit")

#: Colours of states; what is not here has none.
_COLOURS = {
    "delivered": "green",
    "done": "green",
    "sent": "cyan",
    "booked": "cyan",
    "undelivered": "red",
    "refused": "red",
    "no_credit": "red",
    "abandoned": "red",
    "expired": "red",
    "unknown": "bold yellow",
    "unknown_request": "red",
    "cancelled": "dim",
    "duplicate": "dim",
}


def pairs(invocation: Invocation, values: Mapping[str, object]) -> Table:
    """Names and values in two columns; the names are keys of `words`."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in values.items():
        table.add_row(invocation.say(key), value if isinstance(value, Text) else str(value))
    return table


def checked(invocation: Invocation, check: Check, source: Source | None) -> list[RenderableType]:
    """What a check found, before anything is sent."""
    values: dict[str, object] = {"recipients": f"{check.count:,}"}
    if source:
        values = {"rows": f"{check.rows:,}", **values, "encoding": source.encoding}
    by_segments = ", ".join(
        f"{count:,} × {segments}" for segments, count in sorted(check.by_segments.items())
    )
    values["segments"] = f"{check.segments:,}" + (f"  ({by_segments})" if by_segments else "")
    values["points"] = f"{check.points:,}"
    values["duplicates"] = f"{len(check.duplicates):,}"
    values["invalid"] = f"{len(check.bad):,}"
    parts: list[RenderableType] = [pairs(invocation, values)]
    if check.duplicates:
        key = "duplicate_rows_sent" if check.header.duplicates else "duplicate_rows"
        lines = ", ".join(str(line) for line in check.duplicates[:SHOWN_ROWS])
        more = " …" if len(check.duplicates) > SHOWN_ROWS else ""
        sentence = invocation.say(key, count=f"{len(check.duplicates):,}")
        parts.append(Text(f"{sentence} {invocation.say('lines', lines=lines + more)}"))
    if check.bad:
        parts += bad_rows(invocation, check.bad, file=bool(source))
    return parts


def bad_rows(invocation: Invocation, bad: Sequence[BadRow], *, file: bool) -> list[RenderableType]:
    """The first rows that cannot be sent, by line (of a file) or place, and reason."""
    table = Table()
    table.add_column(invocation.say("line" if file else "recipient"), justify="right", no_wrap=True)
    table.add_column(invocation.say("reason"), overflow="fold")
    for row in bad[:SHOWN_ROWS]:
        table.add_row(str(row.line), invocation.reason(row.reason))
    if len(bad) <= SHOWN_ROWS:
        return [table]
    return [table, Text(invocation.say("more_rows", count=f"{len(bad) - SHOWN_ROWS:,}"), "dim")]


def left_out(invocation: Invocation, check: Check) -> Text:
    """That the bad rows are skipped, as was asked for."""
    values = {"bad": f"{len(check.bad):,}", "rows": f"{check.rows:,}"}
    return Text(invocation.say("bad_rows_skipped", **values), "yellow")


def rows_json(bad: Sequence[BadRow]) -> list[dict[str, Any]]:
    """Bad rows for --json, all of them."""
    return [{"line": row.line, "reason": row.reason} for row in bad]


def request(invocation: Invocation, status: RequestStatus) -> Table:
    """Where a request is: its messages by state."""
    table = Table(
        title=f"{invocation.say('request')} {status.request_id}", title_justify="left", min_width=48
    )
    table.add_column(invocation.say("state"))
    table.add_column(invocation.say("messages"), justify="right")
    for state, count in status.messages.items():
        if count:
            table.add_row(Text(invocation.state(state), _COLOURS.get(state, "")), f"{count:,}")
    table.add_section()
    table.add_row(
        Text(invocation.state(status.state), f"bold {_COLOURS.get(status.state, '')}"), f"{status.count:,}"
    )
    if status.account:
        table.add_row(invocation.say("account"), f"{status.account} / {status.lane}", style="dim")
    table.add_row(invocation.say("cost"), str(status.cost), style="dim")
    for one in status.paused:
        told = paused(invocation, by=one.by, why=one.why, since=one.since)
        table.add_row(invocation.say(f"paused_{one.what}"), Text(told), style="yellow")
    return table


def paused(invocation: Invocation, *, by: str, why: str, since: datetime | None) -> str:
    """Why something is paused, by whom and since when, in Taipei's time. Operators' words do nothing to a terminal."""
    name = invocation.say(f"by_{by}") if by in _BY_THEMSELVES else by
    when = since.astimezone(TAIPEI).strftime("%m-%d %H:%M") if since else "–"
    told = invocation.say("paused_by", why=why or "–", by=name or "–", since=when)
    return "".join(char if char.isprintable() else "�" for char in told)
