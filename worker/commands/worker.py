"""`every8d worker`: a Celery worker of one lane, with the arguments that this project needs."""

import os
import sys

import click

from every8d.command.invocation import common
from worker.commands.loading import load_settings
from worker.lanes import LANES, worker_arguments

_LEVELS = click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False)


@click.command(context_settings={"ignore_unknown_options": True})
@common
@click.option(
    "--lane", required=True, type=click.Choice(list(LANES)), help="Which queues this worker drains."
)
@click.option("--concurrency", type=click.IntRange(1, 500), help="Threads; by default what fits the lane.")
@click.option("--loglevel", type=_LEVELS, help="By default the settings' log_level.")
@click.argument("celery_options", nargs=-1, type=click.UNPROCESSED)
def worker(lane: str, concurrency: int | None, loglevel: str | None, celery_options: tuple[str, ...]) -> None:
    """Run the worker of a lane. Other options are handed to Celery."""
    # Wrong settings are told here in one table, not by Celery in a traceback.
    level = loglevel or load_settings().log_level
    os.nice(LANES[lane].nice)
    arguments = worker_arguments(lane, concurrency=concurrency, loglevel=level.upper(), extra=celery_options)
    run_celery(arguments)


def run_celery(arguments: list[str]) -> None:
    """Becomes Celery: the same process, so that signals and exit codes are its own."""
    os.execv(sys.executable, [sys.executable, "-m", "celery", *arguments])  # noqa: S606  no shell is wanted
