"""`every8d accounts`: accounts, their sessions and breakers; close a session, unblock an account."""

from typing import TYPE_CHECKING

import click
from rich.text import Text

from every8d.command.exits import DONE, EPILOG, NO
from every8d.command.invocation import Invocation, common, pass_invocation
from worker.commands import cells, opening
from worker.commands.pause import still as still_paused

if TYPE_CHECKING:
    from worker.ledger.queries import AccountState
    from worker.operator_calls import SessionState


@click.group(invoke_without_command=True, epilog=EPILOG)
@common
@click.pass_context
def accounts(context: click.Context) -> int:
    """Show accounts: breaker, session, credit, what waits. The session key itself is never shown."""
    if context.invoked_subcommand:
        return DONE
    return _list(context.ensure_object(Invocation))


def _list(invocation: Invocation) -> int:
    from worker import operator_calls
    from worker.ledger import queries

    ledger = opening.ledger(invocation)
    found = [row for row in queries.account_states(ledger) if invocation.account in (None, row.alias)]
    if invocation.account and not found:
        invocation.fail(NO, "no_account", values={"alias": invocation.account})
    sessions = operator_calls.session_states([row.alias for row in found])
    invocation.answer(
        command="accounts",
        accounts=[
            cells.plain(
                row,
                session=cells.plain(sessions[row.alias], alias=...),
                pauses=[cells.plain(one) for one in row.pauses],
            )
            for row in found
        ],
    )
    columns = ("account", "breaker", "session", "credit", "credit_at", "waiting", "paused")
    table = cells.table(invocation, columns, right=("credit",))
    for row in found:
        breaker = cells.word(invocation, row.breaker)
        if row.breaker != "closed" and row.breaker_code is not None:
            breaker.append(f" {row.breaker_code}")
        table.add_row(
            row.alias,
            breaker,
            _session(invocation, sessions[row.alias]),
            cells.points(row.credit),
            cells.ago(invocation, row.credit_at),
            " / ".join(f"{row.waiting.get(lane, 0):,}" for lane in ("otp", "normal", "bulk")),
            _paused(invocation, row),
        )
    invocation.show(table)
    if any(row.breaker != "closed" for row in found):
        invocation.note(Text(invocation.say("unblock_advice"), "yellow"))
    return DONE


def _paused(invocation: Invocation, row: "AccountState") -> Text:
    lines = [
        f"{invocation.say(one.what) if one.lane is None else one.lane}: {cells.pause(invocation, one)}"
        for one in row.pauses
    ]
    if row.paused_requests:
        lines.append(invocation.say("paused_requests", count=f"{row.paused_requests:,}"))
    return Text("\n".join(lines) or "–", "yellow" if lines else "")


def _session(invocation: Invocation, session: "SessionState") -> str:
    if session.present is None:
        return invocation.say("session_unseen")
    if not session.present:
        return invocation.say("session_none")
    return invocation.say("session_until", time=cells.moment(session.expires_at))


@accounts.command(epilog=EPILOG)
@common
@click.argument("alias")
@pass_invocation
def close(invocation: Invocation, /, alias: str) -> int:
    """Close the session of account ALIAS at the gateway. Workers log in again when they next need one."""
    from worker import operator_calls

    opening.ledger(invocation)
    closed = operator_calls.close_session(alias)
    invocation.answer(command="accounts close", account=alias, closed=closed)
    invocation.show(invocation.say("session_closed" if closed else "session_not_there", alias=alias))
    return DONE


@accounts.command(epilog=EPILOG)
@common
@click.argument("alias")
@click.option("--by", required=True, metavar="NAME", help="Who says so; kept with the event.")
@click.option("--why", required=True, metavar="TEXT", help="Why; kept with the event.")
@pass_invocation
def unblock(invocation: Invocation, /, alias: str, by: str, why: str) -> int:
    """Let workers log in to account ALIAS again, after its password was corrected.

    What an operator paused stays paused: every8d resume account ALIAS.
    """
    from worker.ledger.operators import unblock_account

    done = unblock_account(opening.ledger(invocation), alias, by=by, why=why)
    still = [cells.plain(one) for one in done.still]
    invocation.answer(command="accounts unblock", account=done.alias, was=done.was, still=still)
    was = invocation.state(done.was)
    invocation.show(invocation.say("unblocked", alias=done.alias, was=was))
    for one in done.still:
        invocation.note(still_paused(invocation, one))
    return DONE
