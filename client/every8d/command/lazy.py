"""Commands that are imported when they are called, not when they are listed."""

from __future__ import annotations

import importlib
from typing import Any

import click

from every8d.command import words
from every8d.command.exits import BAD_INPUT, Problem
from every8d.command.invocation import Invocation


class LazyCommand(click.Command):
    """Stands for the command or group at `target` ("package.module:name"), and imports it when it is called.

    `help` is its line in the list of commands; `install` names what to install where a package is missing.
    """

    def __init__(self, name: str, target: str, help: str, install: str = "") -> None:  # noqa: A002  click's own word
        super().__init__(name, help=help, short_help=help)
        self.target = target
        self.install = install

    def load(self, lang: words.Lang) -> click.Command:
        """The real command. Raises `Problem` where a package that it needs is not installed."""
        module, _, attribute = self.target.partition(":")
        try:
            command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise Problem(
                BAD_INPUT,
                "missing_extra",
                words.say(lang, "missing_extra", package=error.name or module),
                words.say(lang, "missing_extra_advice", install=self.install) if self.install else "",
            ) from error
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.target} is no click command")
        return command

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The real command's context: a group invokes the command of the context, so the real one."""
        invocation = parent.ensure_object(Invocation) if parent else Invocation()
        return self.load(invocation.lang).make_context(info_name, args, parent, **extra)
