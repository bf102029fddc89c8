"""The Lua scripts, each in a file of its own whose header names its keys and what it promises."""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis.commands.core import Script

if TYPE_CHECKING:
    from redis import Redis


@cache
def _source(name: str) -> str:
    return files("worker").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


class Scripts:
    """The scripts on one Redis. An emptied Redis forgets them; they are then loaded again by themselves."""

    def __init__(self, redis: "Redis") -> None:
        self.session_store: Script = redis.register_script(_source("session_store"))
        self.delete_if_equal: Script = redis.register_script(_source("delete_if_equal"))
        self.permit: Script = redis.register_script(_source("permit"))
        self.slot: Script = redis.register_script(_source("slot"))


def run(script: Script, keys: list[str], *arguments: Any) -> int:
    """Runs a script that answers with a number."""
    return int(script(keys=keys, args=list(arguments)))
