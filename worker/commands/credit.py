"""`every8d credit`: the points that each account has left."""

import click

from every8d.command.exits import DONE, EPILOG, NO
from every8d.command.invocation import Invocation, common, pass_invocation
from worker.commands import cells, opening


@click.command(epilog=EPILOG)
@common
@click.option("--now", "ask", is_flag=True, help="Ask the gateway, with the session that the workers share.")
@pass_invocation
def credit(invocation: Invocation, /, ask: bool) -> int:
    """Show the credit of every account, or of --account, as last heard from the gateway.

    "Held" are the points of what waits for a top-up.
    """
    from worker import operator_calls
    from worker.ledger import queries, unpaid

    ledger = opening.ledger(invocation)
    found = [row for row in queries.account_states(ledger) if invocation.account in (None, row.alias)]
    if invocation.account and not found:
        invocation.fail(NO, "no_account", values={"alias": invocation.account})
    now = invocation.now()
    credits_now = {row.alias: operator_calls.refresh_credit(row.alias) for row in found} if ask else {}
    held = unpaid.points_held(ledger)
    rows = [
        (
            row.alias,
            credits_now.get(row.alias, row.credit),
            now if ask else row.credit_at,
            held.get(row.alias, 0),
        )
        for row in found
    ]
    invocation.answer(
        command="credit",
        accounts=[
            {"account": alias, "credit": points, "at": at, "held": waits} for alias, points, at, waits in rows
        ],
    )
    some = any(waits for *_, waits in rows)
    columns = ("account", "credit", "credit_at", *(("held",) if some else ()))
    table = cells.table(invocation, columns, right=("credit", "held"))
    for alias, points, at, waits in rows:
        more = (cells.points(waits or None),) if some else ()
        table.add_row(alias, cells.points(points), cells.ago(invocation, at), *more)
    invocation.show(table)
    return DONE
