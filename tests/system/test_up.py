import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.system.leftovers import living, wait_for

EVERY8D = str(Path(sys.executable).with_name("every8d"))
#: Ours, Valkey, the emulator, four workers, beat, web, the guard and its group's first member.
PROCESSES = 11


@contextmanager
def started(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """`every8d up` on this directory, with all of its processes running."""
    with (data_dir / "log").open("w") as log:
        up = subprocess.Popen(
            [EVERY8D, "up", "--json"],
            env=environment(data_dir),
            cwd=data_dir,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        log_file = data_dir / "log"
        wait_for(
            lambda: up.poll() is not None or log_file.read_text().count(" ready.") == 4, 90, "four workers"
        )
        assert up.poll() is None, log_file.read_text()
        yield up
    finally:
        if up.poll() is None:
            up.kill()
            up.wait()
        assert up.stdout is not None
        up.stdout.close()
        wait_for(lambda: not living(data_dir), 20, f"all of it gone, but there is {living(data_dir)}")


def environment(data_dir: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EVERY8D_")}
    return {**clean, "EVERY8D_DATA_DIR": str(data_dir)}


def test_ctrl_c_ends_all_of_it_and_a_second_one_is_refused(tmp_path: Path) -> None:
    with started(tmp_path) as up:
        assert up.stdout is not None
        told = json.loads(up.stdout.readline())
        assert told["broker"] == f"redis+socket://{tmp_path}/valkey.sock"
        assert told["gateway"].startswith("http://127.0.0.1:")
        assert len(living(tmp_path)) == PROCESSES

        second = subprocess.run(
            [EVERY8D, "up"],
            env=environment(tmp_path),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert second.returncode == 1
        assert f"already running on {tmp_path} (process {up.pid})" in second.stderr.replace("\n", "")
        assert len(living(tmp_path)) == PROCESSES

        up.send_signal(signal.SIGINT)
        assert up.wait(30) == 0
        assert living(tmp_path) == {}


def test_nothing_outlives_a_killed_one_and_the_next_begins_where_it_was(tmp_path: Path) -> None:
    with started(tmp_path) as up:
        up.kill()
        up.wait()
    with started(tmp_path) as up:
        up.send_signal(signal.SIGTERM)
        assert up.wait(30) == 0
