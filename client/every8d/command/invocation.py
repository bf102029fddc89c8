"""How `every8d` was called: what every command shares, and how it answers."""

from __future__ import annotations

import functools
import json
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import click

from every8d.command import words
from every8d.command.exits import BAD_INPUT, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console, RenderableType

    from every8d.producer import Producer

#: Entry points that name a function: it returns the broker's address.
BROKER_GROUP = "every8d.broker"

P = ParamSpec("P")
R = TypeVar("R")


def _producer(url: str, **options: Any) -> Producer:
    from every8d.producer import Producer  # celery: not before a command needs it

    return Producer(url, **options)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Invocation:
    """One call of `every8d`. Tests put a recording producer and a clock in."""

    json: bool = False
    lang: words.Lang = field(default_factory=words.language)
    broker: str | None = field(default=None, repr=False)  # may hold a password
    account: str | None = None
    make_producer: Callable[..., Any] = _producer
    now: Callable[[], datetime] = _now
    sleep: Callable[[float], None] = time.sleep

    def say(self, key: str, /, **values: object) -> str:
        return words.say(self.lang, key, **values)

    def reason(self, key: str) -> str:
        return words.reason(self.lang, key)

    def state(self, key: str) -> str:
        return words.state(self.lang, key)

    def producer(self, **options: Any) -> Producer:
        """The producer on the broker that was given, or that an installed worker's settings name.

        Raises `Problem` where there is none.
        """
        self.broker = self.broker or _broker_of_worker()
        if not self.broker:
            raise self.problem(BAD_INPUT, "no_broker", advice="no_broker_advice")
        if self.account:
            options["account"] = self.account
        producer: Producer = self.make_producer(self.broker, **options)
        return producer

    @functools.cached_property
    def out(self) -> Console:
        """Standard output, for results."""
        return _console(stderr=False)

    @functools.cached_property
    def err(self) -> Console:
        """Standard error, for progress and problems: results stay clean for a pipe."""
        return _console(stderr=True)

    @property
    def a_person_watches(self) -> bool:
        """Whether questions and moving pictures make sense."""
        return not self.json and sys.stdin.isatty() and sys.stderr.isatty()

    def show(self, *parts: RenderableType) -> None:
        """For people only."""
        if not self.json:
            for part in parts:
                self.out.print(part)

    def note(self, *parts: RenderableType) -> None:
        """For people only, beside the result."""
        if not self.json:
            for part in parts:
                self.err.print(part)

    def answer(self, **payload: Any) -> None:
        """The result for scripts: with --json, one object on standard output."""
        if self.json:
            emit({"ok": True, "exit": 0, **payload})

    def problem(
        self,
        exit_code: int,
        key: str,
        /,
        *,
        advice: str = "",
        values: dict[str, object] | None = None,
        **more: Any,
    ) -> Problem:
        """A `Problem` in this call's language. `values` fill the sentences, `more` goes into --json."""
        values = values or {}
        return Problem(
            exit_code, key, self.say(key, **values), self.say(advice, **values) if advice else "", **more
        )

    def fail(self, exit_code: int, key: str, /, **rest: Any) -> NoReturn:
        """Ends the command with a `Problem`."""
        raise self.problem(exit_code, key, **rest)


def _broker_of_worker() -> str | None:
    """The broker of the settings, where every8d-worker is installed: `every8d up` and then `every8d send` just work."""
    from importlib.metadata import entry_points

    for entry in entry_points(group=BROKER_GROUP):
        url: str = entry.load()()
        return url
    return None


def emit(payload: dict[str, Any]) -> None:
    """One JSON object on a line of its own; times in ISO 8601, points and ids as strings."""
    click.echo(json.dumps(payload, ensure_ascii=False, default=_plain))


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=False)


def common(function: Callable[P, R]) -> Callable[P, R]:
    """The options that every command has; they may stand before or after the command's name."""
    for option in reversed(_COMMON):
        function = option(function)
    return function


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    if value not in (None, False) and parameter.name:
        setattr(context.ensure_object(Invocation), parameter.name, value)
    return value


_COMMON: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=_keep,
        is_eager=True,
        help="One JSON object on stdout.",
    ),
    click.option(
        "--lang",
        type=click.Choice(["en", "zh"]),
        expose_value=False,
        callback=_keep,
        is_eager=True,
        help="Language of messages; by default the environment's.",
    ),
    click.option(
        "--broker",
        metavar="URL",
        envvar="EVERY8D_BROKER_URL",
        expose_value=False,
        callback=_keep,
        help="Address of the Redis or other broker [env: EVERY8D_BROKER_URL].",
    ),
    click.option(
        "--account", metavar="ALIAS", expose_value=False, callback=_keep, help="Account that sends."
    ),
)

pass_invocation = click.make_pass_decorator(Invocation, ensure=True)
