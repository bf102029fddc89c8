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
    """Show the credit of every account, or of --account, as last heard from the gateway."""
    from worker import operator_calls
    from worker.ledger import queries

    ledger = opening.ledger(invocation)
    found = [row for row in queries.account_states(ledger) if invocation.account in (None, row.alias)]
    if invocation.account and not found:
        invocation.fail(NO, "no_account", values={"alias": invocation.account})
    now = invocation.now()
    credits_now = {row.alias: operator_calls.refresh_credit(row.alias) for row in found} if ask else {}
    rows = [
        (row.alias, credits_now.get(row.alias, row.credit), now if ask else row.credit_at) for row in found
    ]
    invocation.answer(
        command="credit",
        accounts=[{"account": alias, "credit": points, "at": at} for alias, points, at in rows],
    )
    table = cells.table(invocation, ("account", "credit", "credit_at"), right=("credit",))
    for alias, points, at in rows:
        table.add_row(alias, cells.points(points), cells.ago(invocation, at))
    invocation.show(table)
    return DONE
