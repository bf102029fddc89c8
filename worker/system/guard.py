"""Children that cannot outlive us, however we end.

A guard process holds the read end of a pipe whose write end is ours alone, and a process group into which
all children are started. When we end, by SIGKILL as well, the pipe closes, and the guard ends the group:
SIGTERM, a grace, SIGKILL. A child is in the group before its program runs, so none can slip through, and
nothing has to be registered.
(Linux' PR_SET_PDEATHSIG follows the thread that forked, and macOS has none.)

This file is also the guard's program; it runs without site-packages and imports nothing of ours.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

#: From SIGTERM to SIGKILL when we are gone. Whatever is cut short then is what a power cut would cut short.
GRACE_S = 5.0


class GuardGone(Exception):
    """The guard itself was killed, so nothing would end the children after us."""


class Guard:
    """The group of processes that end with us. A context manager; leaving it ends what is left of them."""

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self._process = subprocess.Popen(  # noqa: S603  our own program
            # -I -S: a bare interpreter, up in some 10 ms and 8 MiB.
            [sys.executable, "-I", "-S", str(Path(__file__)), str(grace_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )
        assert self._process.stdin is not None  # noqa: S101  it was asked for
        assert self._process.stdout is not None  # noqa: S101
        self._pipe = self._process.stdin
        with self._process.stdout as answer:
            #: The process group of the children.
            self.group = int(answer.readline())
        self._children: list[subprocess.Popen[bytes]] = []

    @property
    def alive(self) -> bool:
        """False when somebody killed the guard."""
        return self._process.poll() is None

    def spawn(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        nice: int = 0,
        stdout: int | IO[bytes] | None = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Starts a child in the group, its standard error joined to its output. Raises GuardGone, OSError."""
        if not self.alive:
            raise GuardGone("the guard process was killed; start again")
        child = subprocess.Popen(  # noqa: S603  the commands are our own
            list(command),
            env=None if env is None else dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            process_group=self.group,
        )
        self._children = [one for one in self._children if one.poll() is None]
        self._children.append(child)
        if nice:
            # Now, while the child has one thread: those that it starts inherit it.
            os.setpriority(os.PRIO_PROCESS, child.pid, nice)
        return child

    def close(self) -> None:
        """Ends what is left of the group, and returns when all of it is gone."""
        self._pipe.close()
        while self._process.poll() is None:
            # The guard waits for an empty group, and a dead child counts until somebody asks for its end.
            for child in self._children:
                child.poll()
            time.sleep(0.01)

    def __enter__(self) -> "Guard":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def main(grace_s: float) -> None:
    """The guard's program: writes the group's id, waits for the pipe's end, and ends the group."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(ignored, signal.SIG_IGN)
    number: int = signal.SIGTERM
    group = _make_group()
    os.write(1, f"{group}\n".encode())
    os.close(1)
    while os.read(0, 1):
        pass
    deadline = time.monotonic() + grace_s
    while _signal(group, number):
        _reap()
        time.sleep(0.02)
        # Zero asks only whether the group still has members.
        number = signal.SIGKILL if time.monotonic() > deadline else 0
        if time.monotonic() > deadline + 1:
            break  # zombies that nobody reaps, in a container without an init


def _make_group() -> int:
    """A group without the guard, so that it can see when it is empty. Its first member does nothing."""
    reader, writer = os.pipe()
    anchor = os.fork()
    if anchor == 0:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.close(1)
        os.close(writer)
        os.read(reader, 1)  # until the guard ends
        os._exit(0)
    os.close(reader)
    os.setpgid(anchor, anchor)  # whoever of the two comes first
    return anchor


def _signal(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        return False
    return True


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


if __name__ == "__main__":
    main(float(sys.argv[1]))
