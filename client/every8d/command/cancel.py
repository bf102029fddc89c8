"""`every8d cancel`: stop what is not sent yet."""

from __future__ import annotations

import click
from rich.text import Text

from every8d.command.exits import DONE, EPILOG, NO, NOT_KNOWN
from every8d.command.invocation import Invocation, common, pass_invocation


@click.command(epilog=EPILOG)
@common
@click.argument("request")
@pass_invocation
def cancel(invocation: Invocation, request: str) -> int:
    """Stop the messages of REQUEST that wait, and erase those booked at the gateway.

    Exit code 1: nothing could be stopped any more. 3: the gateway's answer is awaited; `every8d status`
    tells.
    """
    done = invocation.producer().cancel(request)
    reached = done.stopped + done.erased
    code = NOT_KNOWN if done.pending else DONE if reached or not done.too_late else NO
    invocation.answer(
        exit=code,
        ok=code == DONE,
        command="cancel",
        request=str(done.request_id),
        stopped=done.stopped,
        erased=done.erased,
        points_back=str(done.points_back),
        too_late=done.too_late,
        pending=done.pending,
    )
    if reached or not (done.too_late or done.pending):
        sentence = invocation.say(
            "cancelled", stopped=done.stopped, erased=done.erased, points=done.points_back
        )
        invocation.show(Text(sentence, "green" if reached else ""))
    elif not done.pending:
        invocation.show(Text(invocation.say("nothing_cancelled"), "red"))
    if done.too_late:
        invocation.show(invocation.say("too_late", count=f"{done.too_late:,}"))
    if done.pending:
        invocation.show(Text(invocation.say("pending", count=f"{done.pending:,}"), "yellow"))
    return code
