"""`every8d beat`: the scheduler. Two may run; RedBeat's lock lets one work."""

import click

from every8d.command.invocation import common
from worker.commands.loading import load_settings
from worker.commands.worker import run_celery
from worker.lanes import beat_arguments


@click.command()
@common
@click.option("--loglevel", help="By default the settings' log_level.")
def beat(loglevel: str | None) -> None:
    """Run the scheduler of the sweeps."""
    run_celery(beat_arguments(loglevel=(loglevel or load_settings().log_level).upper()))
