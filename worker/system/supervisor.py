"""Keeps processes running: starts them in order, shows their logs, restarts what dies, ends them all."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby

from worker.system.guard import Guard, GuardGone
from worker.system.processes import ProcessSpec

#: From SIGTERM to SIGKILL. Longer than a gateway call by default: a send under way is to be settled. See `stop_s`.
STOP_S = 45.0
#: For a server to be usable; a Valkey with much data takes its time.
READY_S = 60.0
#: A process that ran so long is not in trouble: its delay starts from the beginning.
HEALTHY_S = 60.0

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0


def restart_delay_s(deaths: int) -> float:
    """Seconds to wait after so many deaths in a row: 0.5, 1, 2 … 30."""
    return float(min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(deaths - 1, 16)))


class NotReady(Exception):
    """A process did not come up. The text names it."""


@dataclass(slots=True)
class _Kept:
    """One process that is kept running, over all its lives."""

    spec: ProcessSpec
    child: subprocess.Popen[bytes] | None = None
    keeper: threading.Thread | None = None
    deaths: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)


class Supervisor:
    """The processes of a system. `output(name, line)` gets each line of their logs, from several threads.

    Not a daemon: it lives in the program that runs it, and everything ends with that program (see `guard`).
    """

    def __init__(self, guard: Guard, output: Callable[[str, str], None]) -> None:
        self._guard = guard
        self._output = output
        self._kept: list[_Kept] = []
        self._lock = threading.Lock()
        #: A process that ran so long starts again without delay. Less for whoever kills them on purpose.
        self.healthy_s = HEALTHY_S

    def start(self, specs: Iterable[ProcessSpec]) -> None:
        """Starts the processes, stage by stage. Raises NotReady for a server that does not come up."""
        for _, stage in groupby(sorted(specs, key=_stage), _stage):
            several = [_Kept(spec) for spec in stage]
            for kept in several:
                self._kept.append(kept)
                self._spawn(kept)
                kept.keeper = threading.Thread(target=self._keep, args=(kept,), daemon=True)
                kept.keeper.start()
            for kept in several:
                self._wait_ready(kept)

    def deaths(self) -> dict[str, int]:
        """How often each process died by itself."""
        return {kept.spec.name: kept.deaths for kept in self._kept}

    def pids(self) -> dict[str, int]:
        """The processes that run now."""
        with self._lock:
            return {kept.spec.name: kept.child.pid for kept in self._kept if kept.child is not None}

    def stop(self, grace_s: float = STOP_S, *, hurry: Callable[[], bool] | None = None) -> None:
        """Ends all processes, the last stage first. They are killed after `grace_s`, or once `hurry()`."""
        for stage in sorted({kept.spec.stage for kept in self._kept}, reverse=True):
            self._stop_stage([kept for kept in self._kept if kept.spec.stage == stage], grace_s, hurry)

    def _stop_stage(self, several: list[_Kept], grace_s: float, hurry: Callable[[], bool] | None) -> None:
        for kept in several:
            kept.stopping.set()
            self._send(kept, "terminate")
        deadline = time.monotonic() + grace_s
        for kept in several:
            while kept.keeper is not None and kept.keeper.is_alive():
                if time.monotonic() > deadline or (hurry is not None and hurry()):
                    self._send(kept, "kill")
                kept.keeper.join(0.05)

    def _send(self, kept: _Kept, what: str) -> None:
        with self._lock, suppress(ProcessLookupError):
            if kept.child is not None:
                getattr(kept.child, what)()

    def _spawn(self, kept: _Kept) -> None:
        spec = kept.spec
        with self._lock:
            # Under the lock, so that stop() either sees the child or keeps it from starting.
            if kept.stopping.is_set():
                return
            kept.child = self._guard.spawn(spec.command, env=spec.env, nice=spec.nice, stdout=subprocess.PIPE)
        threading.Thread(target=self._read, args=(spec.name, kept.child), daemon=True).start()

    def _keep(self, kept: _Kept) -> None:
        in_a_row = 0
        while kept.child is not None:
            began = time.monotonic()
            code = kept.child.wait()
            with self._lock:
                kept.child = None
            if kept.stopping.is_set():
                return
            kept.deaths += 1
            in_a_row = 1 if time.monotonic() - began > self.healthy_s else in_a_row + 1
            delay = restart_delay_s(in_a_row)
            self._output(kept.spec.name, f"ended with {code}; starting it again in {delay:g} s")
            if kept.stopping.wait(delay):
                return
            try:
                self._spawn(kept)
            except (OSError, GuardGone) as error:
                self._output(kept.spec.name, f"cannot be started again: {error}")
                return

    def _read(self, name: str, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None  # noqa: S101  spawned with a pipe
        with child.stdout as lines:
            for line in lines:
                self._output(name, line.decode("utf-8", "replace").rstrip("\r\n"))

    def _wait_ready(self, kept: _Kept) -> None:
        ready = kept.spec.ready
        deadline = time.monotonic() + READY_S
        while ready is not None and not ready():
            if kept.deaths or time.monotonic() > deadline:
                raise NotReady(f"{kept.spec.name} did not come up; its last words are above")
            time.sleep(0.02)


def _stage(spec: ProcessSpec) -> int:
    return spec.stage
