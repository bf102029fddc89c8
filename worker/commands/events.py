"""`every8d events`: what the system noticed."""

from datetime import timedelta
from typing import TYPE_CHECKING

import click
from rich.text import Text

from every8d.command import sendoptions
from every8d.command.exits import DONE, EPILOG
from every8d.command.invocation import Invocation, common, emit, pass_invocation
from worker.commands import cells, opening

if TYPE_CHECKING:
    from worker.ledger.queries import EventRow

_PAUSE_S = 1.0


@click.command(epilog=EPILOG)
@common
@click.option("--since", metavar="LENGTH", callback=sendoptions.length, help="Of the last 2h, 3d, ….")
@click.option("--kind", help="Only events of this kind.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@click.option("--follow", "-f", is_flag=True, help="Go on until Ctrl-C; with --json one object a line.")
@pass_invocation
def events(
    invocation: Invocation, /, since: timedelta | None, kind: str | None, limit: int, follow: bool
) -> int:
    """Show events, the newest last."""
    from worker.ledger import queries

    ledger = opening.ledger(invocation)
    start = invocation.now() - since if since else None
    found = queries.events(ledger, since=start, account=invocation.account, kind=kind, limit=limit)
    if not follow:
        invocation.answer(command="events", events=[cells.plain(one) for one in found])
        invocation.show(*map(line, found)) if found else invocation.show(invocation.say("nothing"))
        return DONE
    # What is older than --since stays unsaid, also when nothing is newer yet.
    last = queries.last_event_id(ledger) if not found else 0
    while True:
        for one in found:
            if invocation.json:
                emit(cells.plain(one))
            invocation.show(line(one))
            last = max(last, one.id)
        invocation.sleep(_PAUSE_S)
        found = queries.events(ledger, account=invocation.account, kind=kind, after=last, limit=limit)


def line(one: "EventRow") -> Text:
    """An event as one line: time, kind, what it is about, what happened."""
    about = " ".join(
        f"{name} {value}"
        for name, value in (("account", one.account), ("request", one.request), ("chunk", one.chunk))
        if value
    )
    return Text.assemble(
        (cells.moment(one.at), "dim"),
        " ",
        (f"{one.kind:<20}", cells.colour(one.severity)),
        *((" ", (f"[{about}]", "cyan")) if about else ()),
        f" {one.text}",
    )
