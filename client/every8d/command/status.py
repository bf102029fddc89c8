"""`every8d status`: what became of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from every8d.command import sendoptions
from every8d.command.exits import EPILOG
from every8d.command.follow import follow, tell
from every8d.command.invocation import Invocation, common, pass_invocation

if TYPE_CHECKING:
    from datetime import timedelta


@click.command(epilog=EPILOG)
@common
@click.argument("request")
@click.option("--watch", is_flag=True, help="Follow it until every message is final.")
@click.option("--timeout", metavar="LENGTH", callback=sendoptions.length, help="Follow at most this long.")
@pass_invocation
def status(invocation: Invocation, request: str, watch: bool, timeout: timedelta | None) -> int:
    """Show how many messages of REQUEST are waiting, sent, delivered and so on.

    Single messages are shown by `every8d messages REQUEST`, where the ledger is.
    """
    if watch:
        return follow(invocation, request, timeout, command="status")
    return tell(invocation, invocation.producer().status(request), followed=False, command="status")
