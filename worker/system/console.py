"""Several processes' log lines on one terminal, each with its process's name."""

import threading
import zlib
from typing import TextIO

#: ANSI colours that can be read on dark and on light ground.
_COLOURS = (36, 32, 33, 35, 34, 96, 92, 95)


class LogConsole:
    """Writes `name | line`; whole lines, from any thread; in colours where `colour` says so."""

    def __init__(self, out: TextIO, *, colour: bool, width: int = 8) -> None:
        self._out = out
        self._colour = colour
        self._width = width
        self._lock = threading.Lock()

    def __call__(self, name: str, line: str) -> None:
        if not line.strip():
            return
        head = f"{name.ljust(self._width)} |"
        if self._colour:
            head = f"\x1b[{_COLOURS[zlib.crc32(name.encode()) % len(_COLOURS)]}m{head}\x1b[0m"
        with self._lock:
            print(head, line, file=self._out, flush=True)
