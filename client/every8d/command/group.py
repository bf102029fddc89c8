"""The command `every8d`: its list of commands, and how each of its endings is told."""

from __future__ import annotations

import os
import sys
import traceback
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import click

from every8d.command import problems
from every8d.command.exits import BAD_INPUT, EPILOG, INTERRUPTED, NOT_KNOWN, Problem
from every8d.command.invocation import Invocation, common, emit
from every8d.command.lazy import LazyCommand

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Entry points whose value is a list of click commands; every8d-worker joins by it.
GROUP = "every8d.commands"

_OWN = (
    LazyCommand("send", "every8d.command.send:send", "Send a text to numbers, or to the rows of a CSV file."),
    LazyCommand("status", "every8d.command.status:status", "What became of a request."),
    LazyCommand("cancel", "every8d.command.cancel:cancel", "Stop what is not sent yet."),
    LazyCommand("price", "every8d.command.price:price", "What a text costs."),
    LazyCommand(
        "emulator",
        "every8d.emulator.command:emulator",
        "A faithful EVERY8D gateway on a port, for development and tests.",
        install="every8d[emulator]",
    ),
)


class Every8d(click.Group):
    """The group, with the commands of other distributions, and with exit codes that scripts can use."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for command in _OWN:
            self.add_command(command)
        self._broken: dict[str, Exception] = {}
        self._joined = False

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._join()
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        # Our own are known without looking for other distributions, which takes longer than all the rest.
        if cmd_name not in self.commands:
            self._join()
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None and self._broken:
            invocation = ctx.ensure_object(Invocation)
            raise invocation.problem(
                BAD_INPUT, "broken_commands", values={"which": self._broken_text(), "command": args[0]}
            )
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        if self._broken:
            formatter.write_paragraph()
            formatter.write_text(f"Commands that could not be loaded: {self._broken_text()}")

    def _broken_text(self) -> str:
        return "; ".join(f"{name} ({type(error).__name__}: {error})" for name, error in self._broken.items())

    def _join(self) -> None:
        """Adds the commands of other distributions. One that cannot be imported is remembered and told."""
        if self._joined:
            return
        self._joined = True
        for entry in joined():
            name = f"{entry.dist.name if entry.dist else entry.module}: {entry.name}"
            try:
                commands: Iterable[click.Command] = entry.load()
                for command in commands:
                    self.add_command(command)
            except Exception as error:  # noqa: BLE001  whatever another distribution does wrong, ours still work
                self._broken[name] = error

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs a command and exits with its code (see `exits`)."""
        arguments = list(sys.argv[1:] if args is None else args)
        invocation = extra.setdefault("obj", None) or Invocation()
        extra["obj"] = invocation
        _look_ahead(arguments, invocation)
        try:
            code = super().main(
                arguments,
                prog_name or "every8d",
                complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **extra,
            )
        except (click.exceptions.Abort, KeyboardInterrupt):
            self._tell(
                invocation.problem(INTERRUPTED, "interrupted", advice="interrupted_advice"), invocation
            )
            code = INTERRUPTED
        except BrokenPipeError:
            # The reader has enough, as in `every8d events | head`. Python would complain once more at its
            # exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 0
        except Exception as error:  # noqa: BLE001  the last place where an error can become an exit code
            problem = problems.explain(error, invocation)
            if problem is None:
                # Not foreseen, so nothing is known of what was done: the code that says so, and where it
                # happened.
                traceback.print_exception(error, limit=-5, chain=False, file=sys.stderr)
                kind = type(error).__name__
                problem = invocation.problem(NOT_KNOWN, "unexpected", values={"kind": kind})
            self._tell(problem, invocation)
            code = problem.exit_code
        if not standalone_mode:
            return code
        sys.exit(code if isinstance(code, int) else 0)

    def _tell(self, problem: Problem, invocation: Invocation) -> None:
        if invocation.json:
            emit(problem.as_json())
            return
        from rich.text import Text

        if problem.message:
            head = (
                invocation.say("error") + "：" if invocation.lang == "zh" else invocation.say("error") + ": "
            )
            invocation.err.print(Text.assemble((head, "bold red"), problem.message))
        if problem.advice:
            invocation.err.print(Text(problem.advice))


def joined() -> Iterable[EntryPoint]:
    """The entry points of other distributions."""
    return entry_points(group=GROUP)


def _look_ahead(arguments: list[str], invocation: Invocation) -> None:
    """Takes --json and --lang before anything is parsed, so that they hold for wrong options, too."""
    if "--" in arguments:
        arguments = arguments[: arguments.index("--")]
    invocation.json = invocation.json or "--json" in arguments
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        value = following if argument == "--lang" else argument.removeprefix("--lang=")
        if argument.startswith("--lang") and value in ("en", "zh"):
            invocation.lang = "zh" if value == "zh" else "en"


def _version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"every8d {version('every8d')}")
        context.exit()


@click.group(cls=Every8d, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@common
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version."
)
def main() -> None:
    """Send text messages through the EVERY8D gateway, and follow what becomes of them."""
