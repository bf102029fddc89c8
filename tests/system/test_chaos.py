"""`./run chaos`: a minute of it loses and doubles nothing, and it leaves no process behind, however it ends."""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.plan import VICTIMS
from tests.system.leftovers import living, wait_for

ROOT = Path(__file__).parents[2]


def chaos(*arguments: str) -> dict[str, Any]:
    """The result of a good run."""
    command = [sys.executable, "-m", "tests.chaos", "--json", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def assert_good(found: dict[str, Any], minutes: int) -> None:
    wrong = {name: found[name] for name in ("lost", "doubled", "denied", "strange", "wrong")}
    assert wrong == {"lost": 0, "doubled": 0, "denied": 0, "strange": 0, "wrong": []}
    # There was something to lose, and enough went wrong to lose it.
    assert found["committed"].keys() == {"otp", "normal", "bulk"}
    assert found["committed"]["otp"] > 60 * minutes
    assert sum(found["committed"].values()) == found["executed"] + found["held"] - found["held_executed"]
    assert found["delivered"] == found["executed"] - found["held_executed"]
    assert 0.1 < found["failed_calls"] / found["calls"] < 0.3
    assert sum(found["killed"].values()) > 4 * minutes
    assert found["unknown"]["settled"].get("callback", 0) > 0


@pytest.mark.timeout(400)
def test_a_minute_of_it_loses_and_doubles_nothing() -> None:
    assert_good(chaos("--minutes", "1", "--seed", "3"), 1)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("db", "minutes"), [("sqlite", 3), ("postgres", 10)])
def test_minutes_of_it_lose_and_double_nothing(db: str, minutes: int) -> None:
    found = chaos("--minutes", str(minutes), "--seed", "10", "--db", db)
    assert_good(found, minutes)
    # In ten minutes each kind of trouble comes; in fewer perhaps not.
    assert minutes < 10 or found["killed"].keys() == VICTIMS.keys()
    assert minutes < 10 or found["emptied"] > 0


@contextmanager
def started(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    """A run that is under way, and the lines that it has told so far."""
    command = [sys.executable, "-m", "tests.chaos", *arguments]
    lines: list[str] = []
    # A short path, as sockets want it, for files that nobody is left to remove.
    with tempfile.TemporaryDirectory(prefix="e8d", ignore_cleanup_errors=True) as directory:
        environment = {**os.environ, "TMPDIR": directory}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        reader = threading.Thread(target=lines.extend, args=(process.stderr,), daemon=True)
        reader.start()
        try:
            yield process, lines
        finally:
            process.kill()
            process.wait()
            reader.join(10)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_run_that_is_killed_leaves_no_process_behind() -> None:
    with started("--minutes", "5", "--db", "postgres") as (process, lines):
        wait_for(lambda: any("killed" in line for line in lines), 90, "somebody is killed")
        found = re.search(r"files in (\S+)", lines[0])
        assert found is not None
        directory = Path(found[1])
        kinds = ("valkey", "emulator", "worker", "postgres")

        def all_there() -> bool:
            running = " ".join(living(directory).values())
            return all(what in running for what in kinds)

        # Whoever was killed takes a moment to come back.
        wait_for(all_there, 60, "one process of each kind")
        process.kill()
        process.wait()
        wait_for(lambda: not living(directory), 30, "every process has ended")


@pytest.mark.timeout(60)
def test_a_system_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "EVERY8D_ACCOUNTS__SHOP__USER_ID=shop\nEVERY8D_ACCOUNTS__SHOP__PASSWORD=secret\n"
    )
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    command = [sys.executable, "-m", "tests.chaos"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "a gateway and a broker of its own" in done.stderr
