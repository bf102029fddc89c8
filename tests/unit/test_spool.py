"""The spool: an answer survives its process, holds nothing that is nobody's business, and never stops a send."""

import errno
import os
import stat
from decimal import Decimal
from pathlib import Path

import pytest

from every8d.replies import SendReply, parse_send
from worker import spool, token
from worker.ledger.settle import Whose
from worker.spool import Kept, Spool

WHOSE = Whose(token.new_id(1_767_225_600_000), "default", "otp")
BATCH = "220478cc-8506-49b2-93b7-2505f651c12e"
REPLY = SendReply(Decimal("285.00"), 1, Decimal("1.5"), 2, BATCH, raw=f"285.00,1,1.5,2,{BATCH}")


@pytest.mark.parametrize(
    "kept",
    [
        Kept(WHOSE, 3, REPLY, 1_767_225_630_000),
        Kept(WHOSE, why="the gateway said no", code=-301),
        Kept(WHOSE, why="the gateway said no"),
    ],
)
def test_what_is_put_is_there_for_the_next_process_until_it_is_dropped(tmp_path: Path, kept: Kept) -> None:
    directory = tmp_path / "made" / "when needed"
    assert spool.waiting(directory) == 0
    assert Spool(directory).put(kept)
    assert Spool(directory).put(kept)
    assert list(Spool(directory).kept()) == [kept]
    assert spool.waiting(directory) == 1
    Spool(directory).drop(kept.whose.id)
    Spool(directory).drop(kept.whose.id)
    assert (spool.waiting(directory), list(directory.iterdir())) == (0, [])


def test_what_a_gateway_writes_behind_its_answer_is_not_kept(tmp_path: Path) -> None:
    reply = parse_send(f"285.00,1,1.5,2,{BATCH},+886912345678,一段文字", "sendSMS")
    Spool(tmp_path).put(Kept(WHOSE, 3, reply, 1))
    [file] = tmp_path.iterdir()
    assert "912345678" not in file.read_text()
    assert ascii("一段文字")[1:-1] not in file.read_text()
    assert [one.reply for one in Spool(tmp_path).kept()] == [REPLY]
    assert file.stat().st_mode & 0o077 == 0


def test_it_is_on_the_disk_before_it_is_said_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        forced.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")

    monkeypatch.setattr(spool.os, "fsync", fsync)
    assert Spool(tmp_path).put(Kept(WHOSE, 3, REPLY, 1))
    assert forced == ["file", "directory"]


def test_a_full_disk_is_told_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spool.os, "fsync", full)
    assert not Spool(tmp_path).put(Kept(WHOSE, 3, REPLY, 1))
    monkeypatch.undo()
    monkeypatch.setattr(spool.os, "write", lambda *_: 3)
    assert not Spool(tmp_path).put(Kept(WHOSE, 3, REPLY, 1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", ["", "{", "[]", '{"whose": 1}', '{"reply": {"credit": "x"}}', "null"])
def test_a_file_that_cannot_be_read_stays_and_holds_nothing_up(tmp_path: Path, words: str) -> None:
    (tmp_path / "0000000000000.json").write_text(words)
    Spool(tmp_path).put(Kept(WHOSE, 3, REPLY, 1))
    assert len(list(Spool(tmp_path).kept())) == 1
    assert spool.waiting(tmp_path) == 2
