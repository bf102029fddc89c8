"""The command `every8d`."""

from every8d.command.group import main

__all__ = ["main"]
