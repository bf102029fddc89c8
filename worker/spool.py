"""Answers of the gateway that the ledger cannot take now: one small file each, until it can.

The text is out, and this process is the only place that knows its BatchID: so the answer is forced to the disk at the
first failure, and outlives the process. Files hold counts, points and ids; no number, no text, no secret.
"""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog

from every8d.replies import SendReply
from worker import token
from worker.ledger.settle import Whose

_ENDING = ".json"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """An outcome to be settled: the answer of an accepted call, or a definite no (`why` for people, `code`).

    `next_poll_ms`: when an accepted batch is asked for first. `size` in messages.
    """

    whose: Whose
    size: int = 0
    reply: SendReply | None = None
    next_poll_ms: int = 0
    why: str = ""
    code: int | None = None


class Spool:
    """The files of a directory, which processes share. It is made when it is needed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, kept: Kept) -> bool:
        """Writes it and forces it to the disk. False, and a line in the log, where that cannot be done."""
        path = self._path(kept.whose.id)
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(path.with_suffix(".new"), json.dumps(_plain(kept)).encode())
            path.with_suffix(".new").replace(path)
            _force(self._directory)
        except OSError as error:
            with suppress(OSError):
                path.with_suffix(".new").unlink()
            _log.error("the spool takes no answer", directory=str(self._directory), error=error.strerror)
            return False
        return True

    def drop(self, chunk_id: int) -> None:
        """It is in the ledger. A file that stays is settled again, which changes nothing."""
        with suppress(OSError):
            self._path(chunk_id).unlink(missing_ok=True)

    def kept(self) -> Iterator[Kept]:
        """What waits, oldest first. A file that cannot be read stays where it is, and is told."""
        for path in _files(self._directory):
            try:
                yield _read(json.loads(path.read_bytes()))
            except FileNotFoundError:
                continue  # settled by another process meanwhile
            except (OSError, ValueError, TypeError, KeyError, ArithmeticError) as error:
                _log.error("a file of the spool cannot be read", file=str(path), error=type(error).__name__)

    def _path(self, chunk_id: int) -> Path:
        return self._directory / (token.encode(chunk_id) + _ENDING)


def waiting(directory: Path) -> int:
    """How many answers wait in a spool; 0 where there is none."""
    return len(_files(directory))


def _files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*" + _ENDING))


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        if os.write(descriptor, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _force(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _plain(kept: Kept) -> dict[str, Any]:
    plain = asdict(kept)
    if kept.reply is not None:
        # Not the raw reply: what a gateway may write behind the fifth field is nobody's to promise.
        plain["reply"] |= {"credit": str(kept.reply.credit), "cost": str(kept.reply.cost), "raw": None}
    return plain


def _read(plain: dict[str, Any]) -> Kept:
    reply = plain["reply"]
    if reply is not None:
        fields = [reply[name] for name in ("credit", "sended", "cost", "unsend", "batch_id")]
        credit, sended, cost, unsend, batch_id = fields
        reply = SendReply(
            Decimal(credit), int(sended), Decimal(cost), int(unsend), batch_id, raw=",".join(map(str, fields))
        )
    return Kept(
        Whose(**plain["whose"]), plain["size"], reply, plain["next_poll_ms"], plain["why"], plain["code"]
    )
