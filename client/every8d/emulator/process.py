"""An emulator as a process of its own, for tests, benches and `./run demo`."""

import contextlib
import subprocess
import sys
import threading
from typing import Self
from urllib.parse import urlsplit

from every8d.emulator.control import Control

_READY_WITHIN_S = 20.0


class EmulatorProcess:
    """Started ready to answer, stopped with `stop()` or the end of a `with`; it never outlives its parent.

    `arguments` are those of the command, such as `"--latency-ms", "50"`. Port 0 takes a free one.
    Raises RuntimeError when it does not come up.
    """

    def __init__(self, *arguments: str, port: int = 0, ready_within_s: float = _READY_WITHIN_S) -> None:
        command = [
            sys.executable,
            "-m",
            "every8d.emulator",
            "--port",
            str(port),
            "--die-with-parent",
            *arguments,
        ]
        # Its own process group: a Ctrl-C at the parent's terminal is the parent's to pass on.
        self._process = subprocess.Popen(  # noqa: S603 - our own module, by this interpreter
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.url = self._read_address(ready_within_s)
        self.control = Control(self.url)

    @property
    def port(self) -> int:
        """Where it listens."""
        return urlsplit(self.url).port or 0

    @property
    def pid(self) -> int:
        """The process, for whoever wants to kill it."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, within_s: float = 10.0) -> int:
        """End it, by force if it takes too long; its exit code."""
        self.control.close()
        return self._end(within_s)

    def _end(self, within_s: float) -> int:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(within_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        return self._process.returncode

    def kill(self) -> None:
        """End it as a crash does."""
        self._process.kill()
        self.stop()

    def _read_address(self, within_s: float) -> str:
        if self._process.stdout is None:
            raise AssertionError("stdout was asked for")
        timer = threading.Timer(within_s, self._process.kill)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        _, found, address = line.partition(": http")
        if not found:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
            self._end(1)
            raise RuntimeError(f"the emulator did not start (exit code {self._process.returncode})")
        return "http" + address.strip()
