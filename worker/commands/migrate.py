"""`every8d migrate`: brings the ledger's tables to what this version needs."""

import click

from every8d.command.exits import DONE, EPILOG
from every8d.command.invocation import Invocation, common, pass_invocation
from worker.commands import opening  # noqa: F401 - adds this distribution's words
from worker.commands.loading import load_settings


@click.command(epilog=EPILOG)
@common
@pass_invocation
def migrate(invocation: Invocation, /) -> int:
    """Create or upgrade the ledger of the settings. Harmless to repeat, and at any number of places at once."""
    from worker.ledger import migrate as ledger

    ledger.upgrade(load_settings().database_url)
    invocation.answer(command="migrate", migrated=True)
    invocation.show(invocation.say("migrated"))
    return DONE
