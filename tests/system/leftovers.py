"""Which processes of a system still live, found by their environment or command line."""

import time
from collections.abc import Callable
from pathlib import Path

import psutil


def living(data_dir: Path) -> dict[int, str]:
    """The processes, of whatever parent, that name this data directory: id to command line."""
    found = {}
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            # Valkey writes its title over its environment; the title names its socket.
            ours = str(data_dir) in command or process.environ().get("EVERY8D_DATA_DIR") == str(data_dir)
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found[process.pid] = command
        except (psutil.Error, OSError):
            continue
    return found


def wait_for(condition: Callable[[], object], within_s: float, what: str) -> None:
    """Returns when the condition holds; fails with `what` after the deadline."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.02)
