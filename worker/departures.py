"""Which claimed chunks' calls have begun, kept where a process that is killed leaves it behind.

In the ledger a worker that was killed before the first byte of its call looks like one that was killed during the
call. Here they are told apart. Each process has a small file, and in it a word for each chunk in hand: written before
the claim is committed, marked before the first byte leaves. The kernel keeps what was written when the process dies,
and lets go of its lock then. A chunk whose word is not marked was certainly not sent.

It counts only where that is certain: the lock is free, so the process is gone; and the machine has not been started
again since, because nothing is forced to the disk (that would cost more than it tells). Otherwise the lease decides.
"""

import errno
import fcntl
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

#: Chunks in hand at once, in one process: far above any number of threads. One more has no word, and no proof.
WORDS = 512
#: A file of a dead process is kept for so long: the commit of its last claim may still be on its way.
KEEP_S = 600.0
#: The same for files of another start of the machine, which prove nothing.
KEEP_OTHERS_S = 86_400.0

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_WORD = 8
_log = structlog.get_logger(__name__)


class Departures:
    """The words of one process, in a file of its own in `directory`, made with the first chunk. Thread-safe.

    Where no file can be made, or the system does not say when it was started, nothing is kept and nothing proven.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._file: int | None = None
        self._path: Path | None = None
        self._tried = False
        self._places: dict[int, int] = {}
        self._begun: set[int] = set()
        self._doubtful: dict[int, float] = {}
        self._free = list(range(WORDS - 1, -1, -1))

    @contextmanager
    def watch(self, chunk_id: int) -> Iterator[None]:
        """Around a chunk, from before its claim until its outcome is committed."""
        self._take(chunk_id)
        try:
            yield
        except BaseException:
            # It may be that the chunk is claimed, and nothing is committed of its end.
            if chunk_id in self._begun:
                self._drop(chunk_id)
            else:
                self.doubt(chunk_id)
            raise
        self._drop(chunk_id)

    def refused(self, chunk_id: int) -> None:
        """The gateway's answer was a definite no: again as if nothing had left, until that is committed."""
        self._begun.discard(chunk_id)
        place = self._places.get(chunk_id)
        if place is not None:
            with suppress(OSError):
                self._write(place, chunk_id << 1)

    def doubt(self, chunk_id: int) -> None:
        """Nobody knows whether the chunk's claim is committed, and it will not be sent: it may appear yet."""
        with self._lock:
            self._doubtful[chunk_id] = time.monotonic()

    def in_doubt(self) -> list[int]:
        """Those chunks, for as long as the commits of their claims may still be on their way."""
        for chunk_id, since in list(self._doubtful.items()):
            if time.monotonic() - since > KEEP_S:
                self._drop(chunk_id)
        return list(self._doubtful)

    def begin(self, chunk_id: int) -> None:
        """The next thing that happens is that bytes of the chunk's call leave. Raises OSError: then none may."""
        self._begun.add(chunk_id)
        place = self._places.get(chunk_id)
        if place is None:
            return
        if self._file is None:
            # The file is given up, and whoever finds it may take the chunk for one that was not sent.
            raise OSError(errno.EBADF, "the calls in hand are given up")
        try:
            self._write(place, chunk_id << 1 | 1)
        except OSError:
            # What says "not begun" must not be found when the bytes are out.
            if self._path is not None:
                self._path.unlink()

    def close(self) -> None:
        """Takes the file away, unless a chunk is still in hand."""
        with self._lock:
            if self._file is not None:
                if not self._places and self._path is not None:
                    self._path.unlink(missing_ok=True)
                os.close(self._file)
            self._file, self._tried = None, True

    def _take(self, chunk_id: int) -> None:
        with self._lock:
            if not self._tried:
                self._tried = True
                self._open()
            if self._file is None or not self._free:
                return
            place = self._free.pop()
            try:
                self._write(place, chunk_id << 1)
            except OSError:
                self._free.append(place)
                return
            self._places[chunk_id] = place

    def _drop(self, chunk_id: int) -> None:
        with self._lock:
            self._begun.discard(chunk_id)
            self._doubtful.pop(chunk_id, None)
            place = self._places.pop(chunk_id, None)
            if place is None:
                return
            with suppress(OSError):
                self._write(place, 0)
            # A word that could not be cleared names a chunk that is settled, which nobody settles again.
            self._free.append(place)

    def _open(self) -> None:
        boot = _boot()
        if boot is None:
            return
        path = self._directory / f"{boot}.{secrets.token_hex(8)}"
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            os.write(self._file, bytes(WORDS * _WORD))
        except OSError as error:
            _log.warning("no file of calls in hand", directory=str(self._directory), error=error.strerror)
            if self._file is not None:
                os.close(self._file)
            self._file = None
            return
        self._path = path

    def _write(self, place: int, word: int) -> None:
        if self._file is not None:
            os.pwrite(self._file, word.to_bytes(_WORD, "little"), place * _WORD)


def left_behind(directory: Path) -> Iterator[list[int]]:
    """For each process that died, of this start of the machine: the chunks whose call had not begun."""
    boot = _boot()
    now = time.time()
    for path in sorted(directory.glob("*.*")) if boot is not None else ():
        with suppress(OSError):
            if path.name.partition(".")[0] != boot:
                if now - path.stat().st_mtime > KEEP_OTHERS_S:
                    path.unlink()
                continue
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield _not_begun(file.read())
                if now - path.stat().st_mtime > KEEP_S:
                    path.unlink()


def _not_begun(words: bytes) -> list[int]:
    found = (int.from_bytes(words[at : at + _WORD], "little") for at in range(0, len(words), _WORD))
    return [word >> 1 for word in found if word and not word & 1]


def _boot() -> str | None:
    """What tells this start of the machine from every other; None where the system does not say."""
    try:
        return _BOOT_ID.read_text().strip() or None
    except OSError:
        return None
