import os
import subprocess
import sys
from pathlib import Path

EVERY8D = str(Path(sys.executable).with_name("every8d"))


def every8d(place: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EVERY8D_")}
    return subprocess.run(
        [EVERY8D, *arguments],
        cwd=place,
        env={**clean, "EVERY8D_DATA_DIR": str(place), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_worker_becomes_celery_with_what_was_added(tmp_path: Path) -> None:
    done = every8d(tmp_path, "worker", "--lane", "bulk", "--", "--help")
    assert done.returncode == 0, done.stderr
    assert "celery worker" in done.stdout


def test_beat_becomes_celery(tmp_path: Path) -> None:
    done = every8d(tmp_path, "beat", "--loglevel", "nonsense")
    assert done.returncode == 2
    assert "celery beat" in done.stderr


def test_no_such_lane_is_wrong_usage(tmp_path: Path) -> None:
    done = every8d(tmp_path, "worker", "--lane", "fast")
    assert done.returncode == 2
    assert "'otp', 'normal', 'bulk', 'status'" in " ".join(done.stderr.split())


def test_wrong_settings_are_a_table_of_what_is_wrong(tmp_path: Path) -> None:
    done = every8d(tmp_path, "worker", "--lane", "otp", EVERY8D_SLICE_S="900")
    assert done.returncode == 2
    assert "EVERY8D_SLICE_S" in done.stderr
    assert "Traceback" not in done.stderr
