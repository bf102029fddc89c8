"""`every8d callbacks`: what the gateway reported that fits no message of ours."""

from datetime import timedelta

import click
from rich.text import Text

from every8d.command import sendoptions
from every8d.command.exits import DONE, EPILOG
from every8d.command.invocation import Invocation, common, pass_invocation
from worker.commands import cells, opening


@click.command(epilog=EPILOG)
@common
@click.option("--since", metavar="LENGTH", callback=sendoptions.length, help="Of the last 2h, 3d, ….")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@click.option("--show-numbers", is_flag=True, help="Show whole phone numbers.")
@pass_invocation
def callbacks(invocation: Invocation, /, since: timedelta | None, limit: int, show_numbers: bool) -> int:
    """Show the gateway's callbacks that fit no message of ours, the newest first."""
    from worker.ledger import unmatched

    ledger = opening.ledger(invocation)
    start = invocation.now() - since if since else None
    found = unmatched.unmatched(ledger, account=invocation.account, since=start, limit=limit)
    counts = unmatched.counts(ledger, account=invocation.account)
    numbers = [cells.number(one.number, shown=show_numbers) for one in found]
    invocation.answer(
        command="callbacks",
        waiting=counts.waiting,
        unmatched=counts.unmatched,
        callbacks=[cells.plain(one, number=number) for one, number in zip(found, numbers, strict=True)],
    )
    columns = ("at", "account", "number", "status_code", "chunk", "batch", "reason", "look_again")
    table = cells.table(invocation, columns, right=("status_code",))
    for one, number in zip(found, numbers, strict=True):
        table.add_row(
            cells.moment(one.at),
            cells.escaped(one.account),
            cells.escaped(number),
            "–" if one.status is None else str(one.status),
            one.chunk or "–",
            cells.escaped(one.batch_id or "–"),
            invocation.say(f"callback_{one.reason}"),
            cells.moment(one.again_at),
        )
    if found:
        invocation.show(table)
    told = {"waiting": f"{counts.waiting:,}", "unmatched": f"{counts.unmatched:,}"}
    invocation.show(invocation.say("callbacks_counted", **told))
    if found:
        invocation.note(Text(invocation.say("callbacks_advice"), "yellow"))
    return DONE
