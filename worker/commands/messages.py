"""`every8d messages`: the messages of a request, one by one."""

import click
from rich.text import Text

from every8d.command.exits import DONE, EPILOG
from every8d.command.invocation import Invocation, common, pass_invocation
from worker.commands import cells, opening


@click.command(epilog=EPILOG)
@common
@click.argument("request")
@click.option("--state", help="Only those in this state: delivered, unknown, ….")
@click.option("--after", type=click.IntRange(-1), default=-1, help="Only those behind this sequence number.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=1000, show_default=True)
@click.option("--show-numbers", is_flag=True, help="Show whole phone numbers.")
@pass_invocation
def messages(
    invocation: Invocation, /, request: str, state: str | None, after: int, limit: int, show_numbers: bool
) -> int:
    """Show where each message of REQUEST is. Texts are not shown."""
    from worker.ledger import texts

    ledger = opening.ledger(invocation)
    found = texts.request_messages(ledger, request, state=state, after_seq=after, limit=limit)
    # A name says who somebody is as well as a number does.
    masked = {} if show_numbers else {"name": ...}
    numbers = [cells.number(row.number, shown=show_numbers) for row in found]
    paused = texts.request_pauses(ledger, request)
    invocation.answer(
        command="messages",
        request=request,
        paused=[cells.plain(one) for one in paused],
        messages=[
            cells.plain(row, number=number, **masked) for row, number in zip(found, numbers, strict=True)
        ],
    )
    if not found:
        invocation.show(invocation.say("nothing"))
        return DONE
    # A time to wait for is shown where there is one: of its own, a retry's, or a cap's.
    waits = any(row.due_at is not None and row.due_at > invocation.now() for row in found)
    columns = ("seq", "number", "state", "status_code", "segments", "cost", "due_at" if waits else "final_at")
    table = cells.table(invocation, columns, right=("seq", "status_code", "segments", "cost"))
    for row, number in zip(found, numbers, strict=True):
        table.add_row(
            str(row.seq),
            number,
            cells.word(invocation, row.state),
            cells.escaped(row.status_raw),
            str(row.segments),
            cells.points(row.cost),
            cells.moment(row.final_at) if row.final_at or not waits else cells.moment(row.due_at),
        )
    invocation.show(table)
    for one in paused:
        told = f"{invocation.say(f'paused_{one.what}')}: {cells.pause(invocation, one)}"
        invocation.show(Text(told, "yellow"))
    if not show_numbers:
        invocation.note(invocation.say("show_numbers_advice"))
    return DONE
