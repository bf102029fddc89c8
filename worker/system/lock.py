"""One holder at a time for a data directory."""

import fcntl
import os
from pathlib import Path
from types import TracebackType


class Held(Exception):
    """Somebody else holds the lock. `pid` is its process, where it could be read."""

    def __init__(self, path: Path, pid: int | None) -> None:
        super().__init__(f"{path} is held by process {pid or 'unknown'}")
        self.path = path
        self.pid = pid


class FileLock:
    """A lock on a file, released by the kernel when its holder ends, however it ends. A context manager."""

    def __init__(self, path: Path) -> None:
        """Takes the lock at once. Raises Held."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(self._file, 20).strip()
            os.close(self._file)
            raise Held(path, int(pid) if pid.isdigit() else None) from None
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Gives the lock back. The file stays: removing it would let two hold it."""
        os.close(self._file)

    def __enter__(self) -> "FileLock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
