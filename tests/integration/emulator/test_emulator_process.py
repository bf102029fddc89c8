"""The emulator as a process: ready when it says so, quiet, and gone when it should be."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from every8d.emulator.process import EmulatorProcess

COMMAND = [sys.executable, "-m", "every8d.emulator", "--port", "0"]


def until(condition: Callable[[], bool], within_s: float = 10.0) -> bool:
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def is_gone(pid: int) -> bool:
    """Whether the process has ended; a zombie that nobody has buried counts."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_one_line_with_the_address_and_a_clean_end(name: signal.Signals) -> None:
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        port = int(line.split(":")[3].partition("/")[0])
        assert line == f"every8d emulator: http://127.0.0.1:{port}/API21/SOAP/SMS.asmx\n"
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            started = time.monotonic()
            process.send_signal(name)
            rest, errors = process.communicate(timeout=10)
        assert (process.returncode, rest, errors) == (0, "", "")
        assert time.monotonic() - started < 5


def test_it_ends_with_its_parent_even_if_that_is_killed() -> None:
    parent = (
        "from every8d.emulator.process import EmulatorProcess; import time\n"
        "print(EmulatorProcess().pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert not is_gone(child)
        process.kill()
    try:
        assert until(lambda: is_gone(child))
    finally:
        if not is_gone(child):
            os.kill(child, signal.SIGKILL)


def test_a_port_that_is_taken_is_told() -> None:
    with EmulatorProcess() as emulator:
        command = [*COMMAND[:-1], str(emulator.port)]
        found = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert found.returncode == 1
    assert f"cannot listen on 127.0.0.1:{emulator.port}" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_process_that_does_not_start_is_told() -> None:
    with pytest.raises(RuntimeError, match="exit code 2"):
        EmulatorProcess("--no-such-option")


def test_options_reach_it_and_the_same_port_can_be_taken_again() -> None:
    with EmulatorProcess("--credit", "12.50", "--latency-ms", "1", "--abroad") as emulator:
        assert emulator.control.credit() == "12.50"
        assert emulator.control.accounts()["demo"]["abroad"] is True
        port = emulator.port
        emulator.kill()
    with EmulatorProcess(port=port) as again:
        assert again.port == port


def test_requests_that_are_no_http_are_not_logged(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdout is not None
        port = int(process.stdout.readline().split(":")[3].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as wire:
            wire.sendall(b"+886912345678 secret\r\n\r\n")
            assert b"400" in wire.recv(1000)
        process.terminate()
    assert log.read_text() == ""
