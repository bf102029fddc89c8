"""`every8d up`: the whole system on this machine, until Ctrl-C."""

import os
import shlex
import signal
import sys
import threading
from types import FrameType

import click

from every8d.command.exits import NO, NOT_REACHED, Problem
from every8d.command.invocation import Invocation, common, pass_invocation
from worker.commands.loading import load_settings
from worker.system.console import LogConsole
from worker.system.guard import GuardGone
from worker.system.lock import Held
from worker.system.supervisor import NotReady
from worker.system.system import System
from worker.system.valkey import ValkeyFailed


@click.command()
@common
@pass_invocation
def up(invocation: Invocation) -> None:
    """Run workers, beat and whatever servers the settings leave to us.

    Logs go to standard output (with --json, to standard error); Ctrl-C ends all of it, a second Ctrl-C at once.
    """
    settings = load_settings()
    asked = _Asked()
    out = sys.stderr if invocation.json else sys.stdout
    console = LogConsole(out, colour=out.isatty() and "NO_COLOR" not in os.environ)
    system = System(settings, console)
    try:
        system.start_servers()
        _tell(system, invocation)
        system.start_engine()
        # A wait with an end lets Python run the signal handlers.
        while not asked.to_stop.wait(0.5):
            if not system.guard.alive:
                raise GuardGone("the guard process was killed")
    except Held as error:
        raise Problem(
            NO,
            "already_up",
            f"A system is already running on {settings.data_dir} (process {error.pid}).",
            "End it with Ctrl-C there, or give this one another EVERY8D_DATA_DIR.",
        ) from None
    except (NotReady, ValkeyFailed, GuardGone) as error:
        raise Problem(NOT_REACHED, "not_up", f"The system did not stay up: {error}.") from error
    finally:
        if asked.to_stop.is_set():
            invocation.note("Ending; another Ctrl-C ends everything at once.")
        system.stop(hurry=asked.hurry.is_set)


class _Asked:
    """What the signals asked for: to stop, then to hurry. The same for SIGTERM and a closed terminal."""

    def __init__(self) -> None:
        self.to_stop = threading.Event()
        self.hurry = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._signalled)

    def _signalled(self, _number: int, _frame: FrameType | None) -> None:
        (self.hurry if self.to_stop.is_set() else self.to_stop).set()


def _tell(system: System, invocation: Invocation) -> None:
    addresses = system.addresses()
    invocation.answer(**addresses)
    if invocation.json:
        return
    if system.gateway_url:
        broker = shlex.quote(system.settings.broker_url)
        addresses["try"] = f"every8d --broker {broker} send 0900940000 --text Hello --wait"
    width = max(map(len, addresses))
    invocation.out.print("The system is up; Ctrl-C ends all of it.")
    for name, address in addresses.items():
        # Not wrapped: an address is to be copied.
        invocation.out.print(f"  {name.ljust(width)}  {address}", soft_wrap=True, markup=False)
