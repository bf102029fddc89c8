import os
import subprocess
import sys
from pathlib import Path

EVERY8D = str(Path(sys.executable).with_name("every8d"))


def demo(place: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [EVERY8D, "demo", *arguments],
        cwd=place,
        env={**os.environ, "TMPDIR": str(place), "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


def test_every_message_of_the_demo_becomes_final(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2,801 texts" in done.stdout
    assert "0 doubled; 1 login for all workers" in done.stdout
    assert "20 erased at the gateway, 20.00 points back" in done.stdout
    assert "code: at the gateway" in done.stdout
    assert list(tmp_path.glob("every8d-demo-*")) == []


def test_a_users_own_file_goes_to_the_emulator_whatever_the_settings_say(tmp_path: Path) -> None:
    rows = ["手機,姓名", "0900940001,王小明", "0900940002,陳小華", "0900940002,陳小華"]
    (tmp_path / "own.csv").write_text("\n".join(rows), encoding="utf-8")
    real = {
        "EVERY8D_ACCOUNTS__DEFAULT__URL": "http://127.0.0.1:1/",
        "EVERY8D_BROKER_URL": "redis://127.0.0.1:1",
    }
    (tmp_path / ".env").write_text("EVERY8D_BROKER_URL=redis://127.0.0.1:1\n")
    done = demo(tmp_path, "--csv", "own.csv", "--text", "{姓名} 您好", "--keep", **real)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 texts in" in done.stdout
    (kept,) = tmp_path.glob("every8d-demo-*")
    assert (kept / "ledger.db").stat().st_size > 0


def test_a_file_with_a_bad_row_is_refused_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("to\n0900940001\n0223456789\n")
    done = demo(tmp_path, "--csv", "own.csv", "--text", "Hello")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "0223456789" not in done.stdout + done.stderr


def test_a_text_without_a_file_is_wrong_usage(tmp_path: Path) -> None:
    done = demo(tmp_path, "--text", "Hello")
    assert done.returncode == 2
    assert "--csv and --text go together" in done.stderr
