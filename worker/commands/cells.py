"""Cells of the commands' tables: times in Taipei, ages, masked numbers, ids."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from every8d.command import tables
from every8d.command.invocation import Invocation
from every8d.times import TAIPEI

if TYPE_CHECKING:
    from worker.ledger.pauses import Pause

_COLOURS = {
    "alert": "bold red",
    "warning": "yellow",
    "open": "bold red",
    "locked": "bold red",
    "closed": "green",
    "delivered": "green",
    "undelivered": "red",
    "refused": "red",
    "no_credit": "red",
    "unknown": "bold yellow",
}


#: Columns that are copied to the next command, or read at a glance: never folded.
_WHOLE = frozenset({"chunk", "id", "at", "number"})


def table(invocation: Invocation, columns: Iterable[str], *, right: Iterable[str] = ()) -> Table:
    """A table with these columns, which are keys of `words`."""
    made = Table()
    numbers = set(right)
    for key in columns:
        made.add_column(
            invocation.say(key),
            justify="right" if key in numbers else "left",
            overflow="fold",
            no_wrap=key in _WHOLE,
        )
    return made


def moment(value: datetime | None) -> str:
    """A time in Taipei, to the second; "–" for none."""
    return value.astimezone(TAIPEI).strftime("%Y-%m-%d %H:%M:%S") if value else "–"


def age(value: datetime | None, now: datetime) -> str:
    """How long ago a time is, roughly: 12 s, 5 min, 3 h, 2 d."""
    if value is None:
        return "–"
    seconds = max(0, int((now - value) / timedelta(seconds=1)))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def number(e164: str, *, shown: bool) -> str:
    """A phone number, masked unless it was asked for: `+8869•••••678`."""
    if shown or len(e164) < 9:
        return e164 if shown else "•" * len(e164)
    return e164[:5] + "•" * (len(e164) - 8) + e164[-3:]


def escaped(text: str) -> Text:
    """Somebody else's text: its brackets are no markup, its control characters do nothing."""
    return Text("".join(char if char.isprintable() or char == "\n" else "�" for char in text))


def colour(state: str) -> str:
    """The colour of a state or a severity."""
    return _COLOURS.get(state, "")


def ago(invocation: Invocation, value: datetime | None) -> str:
    """How long before this call a time is."""
    return "–" if value is None else invocation.say("ago", age=age(value, invocation.now()))


def points(value: object) -> str:
    """Points as people write them; "–" for none."""
    return "–" if value is None else f"{value:,}"


def word(invocation: Invocation, state: str) -> Text:
    """A state in words, in its colour."""
    return Text(invocation.state(state), colour(state))


def pause(invocation: Invocation, one: "Pause") -> str:
    """Why something is paused, by whom and since when."""
    return tables.paused(invocation, by=one.by, why=one.why, since=one.since)


def plain(row: object, **changed: Any) -> dict[str, Any]:
    """A dataclass with slots as --json shows it: its fields, some of them changed; "…" drops a field."""
    fields: Iterable[str] = getattr(row, "__dataclass_fields__", ())
    values = {name: getattr(row, name) for name in fields} | changed
    return {name: _plain(value) for name, value in values.items() if value is not ...}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
