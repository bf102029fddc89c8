"""Named points at which a test may kill the process: before and after each commit and each gateway call.

A commit is `before:NAME` while its transaction is open with all of its work done, and `after:NAME` once it is
committed; a gateway call is `before:call.OPERATION` and `after:call.OPERATION`. EVERY8D_KILL_AT names one of them, or
`NAME#3` for the third time that it is passed: the process then kills itself with SIGKILL, as a power cut would.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOCK = threading.Lock()


def _plan(words: str) -> tuple[str, int]:
    name, _, times = words.partition("#")
    return name, int(times or 1)


_name, _left = _plan(os.environ.get("EVERY8D_KILL_AT", ""))


def before(name: str) -> None:
    """What `name` names is about to happen."""
    if _name:
        _pass(f"before:{name}")


def after(name: str) -> None:
    """What `name` names has happened."""
    if _name:
        _pass(f"after:{name}")


@contextmanager
def call(operation: str) -> Iterator[None]:
    """Around a gateway call: it is over, too, when it ends with an error."""
    before(f"call.{operation}")
    try:
        yield
    finally:
        after(f"call.{operation}")


def _pass(place: str) -> None:
    global _left  # noqa: PLW0603 - the process's own count, under a lock
    if place != _name:
        return
    with _LOCK:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
