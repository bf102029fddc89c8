"""`every8d replies`: texts that people sent back."""

from datetime import timedelta

import click

from every8d.command import sendoptions
from every8d.command.exits import DONE, EPILOG
from every8d.command.invocation import Invocation, common, pass_invocation
from worker.commands import cells, opening


@click.command(epilog=EPILOG)
@common
@click.option("--request", help="Only replies to this request.")
@click.option("--since", metavar="LENGTH", callback=sendoptions.length, help="Of the last 2h, 3d, ….")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@click.option("--show-numbers", is_flag=True, help="Show whole phone numbers.")
@pass_invocation
def replies(
    invocation: Invocation, /, request: str | None, since: timedelta | None, limit: int, show_numbers: bool
) -> int:
    """Show replies, the newest first, with their texts."""
    from worker.ledger import texts

    start = invocation.now() - since if since else None
    found = texts.replies(
        opening.ledger(invocation), account=invocation.account, request=request, since=start, limit=limit
    )
    numbers = [cells.number(reply.number, shown=show_numbers) for reply in found]
    invocation.answer(
        command="replies",
        replies=[cells.plain(reply, number=number) for reply, number in zip(found, numbers, strict=True)],
    )
    if not found:
        invocation.show(invocation.say("nothing"))
        return DONE
    table = cells.table(invocation, ("at", "account", "number", "text"))
    for reply, number in zip(found, numbers, strict=True):
        when = cells.moment(reply.replied_at or reply.received_at)
        table.add_row(when, reply.account or "–", number, cells.escaped(reply.text))
    invocation.show(table)
    if not show_numbers:
        invocation.note(invocation.say("show_numbers_advice"))
    return DONE
