"""Which calls have begun: what another process finds, however this one ended."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.points import ROOT
from worker import departures
from worker.departures import Departures, left_behind

PROGRAM = """
import os, signal, sys
from pathlib import Path
from worker.departures import Departures
one = Departures(Path(sys.argv[1]))
for chunk_id in (11, 12, 13, 14):
    one.watch(chunk_id).__enter__()
one.begin(12)
one.begin(13)
one.refused(13)
with one.watch(15):
    pass
print("up", flush=True)
sys.stdin.readline()
os.kill(os.getpid(), signal.SIGKILL)
"""


def found(directory: Path) -> list[int]:
    return sorted(chunk_id for ids in left_behind(directory) for chunk_id in ids)


def test_what_a_killed_process_had_not_begun_is_found_and_only_once_it_is_dead(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env={"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    assert found(tmp_path) == []
    process.communicate("\n", timeout=30)
    # 12 may be out; of 13 the gateway said that it is not; 15 was settled.
    assert found(tmp_path) == [11, 13, 14]


def test_files_of_another_start_of_the_machine_prove_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Departures(tmp_path)
    one.watch(11).__enter__()
    one.close()
    assert found(tmp_path) == [11]
    monkeypatch.setattr(departures, "_BOOT_ID", tmp_path / "boot_id")
    assert found(tmp_path) == []
    (tmp_path / "boot_id").write_text("another start\n")
    assert found(tmp_path) == []


def test_a_file_is_gone_when_its_process_ends_with_nothing_in_hand(tmp_path: Path) -> None:
    one = Departures(tmp_path)
    with one.watch(11):
        assert len(list(tmp_path.iterdir())) == 1
    one.close()
    assert list(tmp_path.iterdir()) == []


def test_a_chunk_that_failed_on_the_way_stays_in_hand(tmp_path: Path) -> None:
    one = Departures(tmp_path)
    with pytest.raises(ZeroDivisionError), one.watch(11):
        raise ZeroDivisionError
    one.close()
    assert found(tmp_path) == [11]


def test_what_cannot_be_marked_is_not_found_as_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Departures(tmp_path)
    one.watch(11).__enter__()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(departures.os, "pwrite", full)
    one.begin(11)
    one.close()
    assert found(tmp_path) == []


def test_more_chunks_than_words_are_sent_without_a_word(tmp_path: Path) -> None:
    one = Departures(tmp_path)
    for chunk_id in range(1, departures.WORDS + 3):
        one.watch(chunk_id).__enter__()
    one.begin(departures.WORDS + 2)
    one.close()
    assert found(tmp_path) == list(range(1, departures.WORDS + 1))


def test_where_no_file_can_be_made_nothing_is_kept_and_all_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    one = Departures(tmp_path / "file" / "calls")
    with one.watch(11):
        one.begin(11)
    one.close()
    assert found(tmp_path / "file" / "calls") == []


def test_a_doubtful_chunk_is_looked_for_until_its_claim_cannot_come_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Departures(tmp_path)
    one.watch(11).__enter__()
    one.doubt(11)
    assert one.in_doubt() == [11]
    monkeypatch.setattr(departures, "KEEP_S", 0)
    assert one.in_doubt() == []
    one.close()
    assert found(tmp_path) == []


def test_nothing_leaves_after_the_file_is_given_up(tmp_path: Path) -> None:
    one = Departures(tmp_path)
    one.watch(11).__enter__()
    one.close()
    with pytest.raises(OSError, match="given up"):
        one.begin(11)


@pytest.mark.parametrize(("steps", "doubtful"), [((), [11]), (("begin",), []), (("begin", "refused"), [11])])
@pytest.mark.parametrize("kept", [True, False])
def test_what_failed_on_the_way_is_doubtful_unless_its_call_had_begun(
    tmp_path: Path, steps: tuple[str, ...], doubtful: list[int], kept: bool
) -> None:
    (tmp_path / "file").write_text("")
    one = Departures(tmp_path if kept else tmp_path / "file" / "calls")

    def fail() -> None:
        with one.watch(11):
            for step in steps:
                getattr(one, step)(11)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert one.in_doubt() == doubtful
    one.close()
