"""`every8d dead`: task bodies that could not be read."""

from datetime import timedelta

import click

from every8d.command import sendoptions
from every8d.command.exits import DONE, EPILOG
from every8d.command.invocation import Invocation, common, pass_invocation
from worker.commands import cells, opening


@click.command(epilog=EPILOG)
@common
@click.option("--since", metavar="LENGTH", callback=sendoptions.length, help="Of the last 2h, 3d, ….")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@pass_invocation
def dead(invocation: Invocation, /, since: timedelta | None, limit: int) -> int:
    """Show dead-lettered bodies: why, and of which request. Never what they hold."""
    from worker.ledger import queries

    start = invocation.now() - since if since else None
    found = queries.dead_bodies(opening.ledger(invocation), since=start, limit=limit)
    invocation.answer(command="dead", bodies=[cells.plain(body) for body in found])
    if not found:
        invocation.show(invocation.say("nothing"))
        return DONE
    columns = ("id", "at", "reason", "request", "account", "page", "messages", "size")
    table = cells.table(invocation, columns, right=("page", "messages", "size"))
    for body in found:
        table.add_row(
            body.id,
            cells.moment(body.at),
            cells.escaped(body.reason),
            body.request or "–",
            cells.escaped(body.account or "–"),
            "–" if body.page is None else str(body.page),
            cells.points(body.messages),
            f"{body.bytes:,} B",
        )
    invocation.show(table)
    return DONE
