"""`every8d demo`: a whole system in a temporary directory, and something to see it work by."""

import os
import shutil
import signal
import tempfile
from pathlib import Path

import click

from config import load
from every8d.command.exits import BAD_INPUT, NO, Problem
from every8d.command.invocation import Invocation, common, pass_invocation
from worker.system import demo as story_of
from worker.system.console import LogConsole
from worker.system.demoview import DemoView, summary
from worker.system.guard import GuardGone
from worker.system.supervisor import NotReady
from worker.system.system import System
from worker.system.valkey import ValkeyFailed

#: Beside the packages in a checkout; an installed worker brings no sample files.
SAMPLES = Path(__file__).parents[2] / "docs" / "demo"

#: Nobody wants to watch for half an hour.
_QUICK = {
    "EVERY8D_CREDIT_INTERVAL_S": "10",
    "EVERY8D_ACCOUNTS__DEFAULT__FIRST_POLL_S": "2",
    "EVERY8D_ACCOUNTS__DEFAULT__POLL_CEILING_S": "3",
    "EVERY8D_ACCOUNTS__DEFAULT__REPLY_WINDOW_H": "0",
}


@click.command()
@common
@click.option(
    "--csv", "path", type=click.Path(dir_okay=False, exists=True, path_type=Path), help="Your recipients."
)
@click.option("--text", help="The text for them; {column} is replaced by the row's cell.")
@click.option("--keep", is_flag=True, help="Keep the ledger and the logs.")
@pass_invocation
def demo(invocation: Invocation, path: Path | None, text: str | None, keep: bool) -> None:
    """Run a campaign, a personalised campaign, a code and a booking through a fresh system.

    Everything is real but the gateway, which is the emulator: nothing reaches a telephone.
    """
    if (path is None) != (text is None):
        raise click.UsageError("--csv and --text go together")
    source = (path or SAMPLES / "recipients.csv").absolute()
    if not source.exists():
        raise Problem(
            BAD_INPUT, "no_samples", "The sample files are not installed.", "Give --csv and --text."
        )
    place = Path(tempfile.mkdtemp(prefix="every8d-demo-"))
    # Neither the environment's settings nor a .env file: they could name a real gateway.
    for name in [name for name in os.environ if name.startswith("EVERY8D_")]:
        del os.environ[name]
    os.chdir(place)
    for number in (signal.SIGTERM, signal.SIGHUP):  # end in order, as after Ctrl-C
        signal.signal(number, signal.default_int_handler)
    try:
        _run(invocation, place, source, text, personal=None if path else SAMPLES / "personal.csv")
    finally:
        os.chdir("/")
        if keep:
            invocation.note(f"Kept: {place}")
        else:
            shutil.rmtree(place, ignore_errors=True)


def _run(
    invocation: Invocation, place: Path, source: Path, text: str | None, *, personal: Path | None
) -> None:
    console = invocation.out
    with (place / "system.log").open("w", encoding="utf-8") as log:
        settings = load(data_dir=place)
        output = LogConsole(log, colour=False)
        options = ("--deliver-after-s", "3", "--fail-permille", "20")
        with (
            System(settings, output, emulator_options=options, environment=_QUICK) as system,
            DemoView(console) as view,
        ):
            try:
                console.print("Starting Valkey, the emulator, four workers, beat and web …")
                system.start_servers()
                system.start_engine()
                told = story_of.play(system, source, text or story_of.CAMPAIGN_TEXT, personal, view.changed)
            except (story_of.DemoFailed, NotReady, ValkeyFailed, GuardGone) as error:
                log.flush()
                last = "\n".join((place / "system.log").read_text(encoding="utf-8").splitlines()[-40:])
                click.echo(last, err=True)
                raise Problem(NO, "demo_failed", f"The demo failed: {error}.") from error
    console.print(summary(told))
