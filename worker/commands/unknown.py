"""`every8d unknown`: gateway calls whose outcome is not known; an operator says what happened."""

import uuid
from typing import TYPE_CHECKING, Literal

import click
from rich.text import Text

from every8d.command.exits import DONE, EPILOG, NO
from every8d.command.invocation import Invocation, common, pass_invocation
from worker.commands import cells, opening

if TYPE_CHECKING:
    from worker.ledger.unknown import Evidence


@click.group(invoke_without_command=True, epilog=EPILOG)
@common
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@click.pass_context
def unknown(context: click.Context, limit: int) -> int:
    """Show chunks that may or may not have been sent, the oldest first.

    They are never repeated by themselves: resend, accept or refuse each when you know.
    """
    if context.invoked_subcommand:
        return DONE
    return _list(context.ensure_object(Invocation), limit)


def _list(invocation: Invocation, limit: int) -> int:
    from worker.ledger import queries
    from worker.ledger.unknown import evidence

    ledger = opening.ledger(invocation)
    found = queries.unknown_chunks(ledger, account=invocation.account, limit=limit)
    known = evidence(ledger, [chunk.chunk for chunk in found])
    # Between the two questions some of them may have been settled.
    found = [chunk for chunk in found if chunk.chunk in known]
    invocation.answer(
        command="unknown",
        chunks=[cells.plain(one) | {"evidence": cells.plain(known[one.chunk], chunk=...)} for one in found],
    )
    if not found:
        invocation.show(invocation.say("nothing"))
        return DONE
    columns = ("chunk", "at", "account", "messages", "points", "reason", "requests")
    table = cells.table(invocation, columns, right=("messages", "points"))
    for chunk in found:
        more = chunk.request_count - len(chunk.requests)
        requests = "\n".join(chunk.requests) + (f"\n+ {more}" if more > 0 else "")
        table.add_row(
            chunk.chunk,
            cells.moment(chunk.called_at),
            f"{chunk.account} / {chunk.lane}",
            f"{chunk.messages:,}",
            cells.points(chunk.points),
            cells.escaped(f"{chunk.operation}: {chunk.reason}"),
            requests,
        )
    invocation.show(table)
    for chunk in found:
        # Below the table: sentences in a column of it would squeeze all the others.
        invocation.show(
            Text(
                f"{chunk.chunk}  "
                + invocation.say("and_also").join(_evidence(invocation, known[chunk.chunk]))
            )
        )
    invocation.note(Text(invocation.say("unknown_advice"), "yellow"))
    return DONE


def _evidence(invocation: Invocation, known: "Evidence") -> list[str]:
    """What is known of a chunk, in sentences."""
    lines = [
        invocation.say("unknown_for", age=cells.age(known.unknown_since, invocation.now())),
        invocation.say(f"proof_{known.proof}"),
    ]
    if known.credit is not None:
        heard = cells.age(known.credit_at, invocation.now())
        lines.append(invocation.say("credit_heard", credit=cells.points(known.credit), age=heard))
    if known.baseline is not None:
        baseline, confirmed = cells.points(known.baseline), cells.points(known.confirmed)
        at = cells.moment(known.baseline_at)
        lines.append(invocation.say("credit_before", baseline=baseline, at=at, confirmed=confirmed))
    if known.callbacks:
        lines.append(invocation.say("callbacks_heard", count=known.callbacks))
    return lines


_by = click.option("--by", required=True, metavar="NAME", help="Who says so; kept with the event.")
_why = click.option("--why", required=True, metavar="TEXT", help="How it is known; kept with the event.")


@unknown.command(epilog=EPILOG)
@common
@click.argument("chunk")
@_by
@_why
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@pass_invocation
def resend(invocation: Invocation, /, chunk: str, by: str, why: str, yes: bool) -> int:
    """CHUNK was not sent: send its messages again. Where that is wrong, people get the text twice."""
    return _settle(invocation, chunk, "resend", by, why, ask=not yes)


@unknown.command(epilog=EPILOG)
@common
@click.argument("chunk")
@click.option("--batch-id", metavar="ID", help="Its BatchID, from the vendor's console: then it is followed.")
@_by
@_why
@pass_invocation
def accept(invocation: Invocation, /, chunk: str, batch_id: str | None, by: str, why: str) -> int:
    """CHUNK was sent. Without a BatchID, nothing more will be known of its messages."""
    if batch_id is not None:
        try:
            batch_id = str(uuid.UUID(batch_id))
        except ValueError:
            raise click.BadParameter("that is no BatchID", param_hint="--batch-id") from None
    return _settle(invocation, chunk, "accept", by, why, batch_id=batch_id)


@unknown.command(epilog=EPILOG)
@common
@click.argument("chunk")
@_by
@_why
@pass_invocation
def refuse(invocation: Invocation, /, chunk: str, by: str, why: str) -> int:
    """CHUNK was not sent, and shall not be: its messages become refused."""
    return _settle(invocation, chunk, "refuse", by, why)


def _settle(
    invocation: Invocation,
    chunk: str,
    decision: Literal["resend", "accept", "refuse"],
    by: str,
    why: str,
    *,
    batch_id: str | None = None,
    ask: bool = False,
) -> int:
    from worker.ledger import queries
    from worker.ledger.operators import settle_unknown

    ledger = opening.ledger(invocation)
    if ask and invocation.a_person_watches:
        messages = next((one.messages for one in queries.unknown_chunks(ledger) if one.chunk == chunk), "?")
        if not click.confirm(invocation.say("ask_resend", chunk=chunk, messages=messages), err=True):
            invocation.fail(NO, "not_sent_by_choice")
    done = settle_unknown(ledger, chunk, decision, batch_id=batch_id, by=by, why=why)
    invocation.answer(command=f"unknown {decision}", **cells.plain(done))
    key = "accepted_followed" if batch_id else f"settled_{decision}"
    invocation.show(invocation.say(key, chunk=done.chunk, messages=f"{done.messages:,}"))
    return DONE
