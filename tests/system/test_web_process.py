"""`every8d web` as a process: how it starts and ends, what it refuses to start with; and as a part of `every8d up`."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from every8d.emulator.control import Control
from tests.support.waiting import wait_for
from tests.support.web import OTHER_SECRET, PATH, SECRET, Web, query, rows
from tests.system.test_up import EVERY8D, environment, started
from worker.ledger import migrate
from worker.ledger.database import Database

ACCOUNT = {"EVERY8D_ACCOUNTS__DEFAULT__USER_ID": "demo", "EVERY8D_ACCOUNTS__DEFAULT__PASSWORD": "demo"}
SECRETS = {**ACCOUNT, "EVERY8D_ACCOUNTS__DEFAULT__CALLBACK_SECRET": SECRET}


def run(place: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [EVERY8D, "web", *arguments],
        env={**environment(place), **settings},
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@contextmanager
def running(place: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[str], Web]]:
    """The process on a free port, as a system starts it."""
    with (place / "web.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "web", "--port", "0", "--json"],
            env={**environment(place), **settings},
            cwd=place,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    try:
        told = json.loads(process.stdout.readline())
        yield process, Web(told["port"])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "no secret": (ACCOUNT, "No account has a callback_secret"),
    "a short one": (
        {**SECRETS, "EVERY8D_ACCOUNTS__DEFAULT__CALLBACK_SECRET": "short"},
        "of default must be 16",
    ),
    "one for two": (
        {
            **SECRETS,
            "EVERY8D_ACCOUNTS__SHOP__USER_ID": "shop",
            "EVERY8D_ACCOUNTS__SHOP__PASSWORD": "demo",
            "EVERY8D_ACCOUNTS__SHOP__CALLBACK_SECRET": SECRET,
        },
        "of shop is that of another account",
    ),
}


@pytest.mark.parametrize(("settings", "words"), REFUSED.values(), ids=REFUSED)
def test_it_refuses_to_start_without_secrets_that_will_do(
    tmp_path: Path, settings: dict[str, str], words: str
) -> None:
    done = run(tmp_path, **settings)
    assert done.returncode == 2
    told = " ".join(done.stderr.split())
    assert words in told
    assert "CALLBACK_SECRET" in told
    assert SECRET not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_told_in_both_languages(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = run(tmp_path, "--port", port, **SECRETS)
        chinese = run(tmp_path, "--port", port, "--lang", "zh", **SECRETS)
    assert done.returncode == chinese.returncode == 4
    assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr
    assert f"無法監聽 127.0.0.1:{port}" in chinese.stderr


def test_it_ends_on_sigterm_and_what_was_200_is_there_after_a_sigkill(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'ledger.db'}")
    migrate.upgrade(f"sqlite:///{tmp_path / 'ledger.db'}")
    with running(tmp_path, **SECRETS) as (process, web):
        assert web.report() == 200
        assert web.report(secret=OTHER_SECRET) == 404
        process.kill()
        process.wait()
    assert len(rows(database)) == 1
    with running(tmp_path, **SECRETS) as (process, web), web.connect() as idle:
        assert web.report(MR="2") == 200
        idle.sendall(b"GET /")
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    assert len(rows(database)) == 2
    database.close()
    log = (tmp_path / "web.log").read_text()
    assert "Traceback" not in log
    assert SECRET not in log


@pytest.mark.parametrize(("point", "stored"), [("before:callback.stored", 0), ("after:callback.stored", 1)])
def test_a_report_whose_process_dies_at_the_commit_is_repeated_and_stored_once(
    tmp_path: Path, database_url: str, point: str, stored: int
) -> None:
    database = Database(database_url)
    place = {**SECRETS, "EVERY8D_DATABASE_URL": database_url}
    with running(tmp_path, **place, EVERY8D_KILL_AT=point) as (process, web):
        with pytest.raises(OSError, match=r"."):  # no answer, so that the gateway repeats it
            web.report()
        assert process.wait(20) == -signal.SIGKILL
    assert len(rows(database)) == stored
    with running(tmp_path, **place) as (_, web):
        assert web.report() == 200
    assert len(rows(database)) == 1
    database.close()


def test_a_whole_system_hears_its_emulator(tmp_path: Path) -> None:
    with started(tmp_path) as up:
        assert up.stdout is not None
        told: dict[str, Any] = json.loads(up.stdout.readline())
        assert told["callbacks"].startswith("http://127.0.0.1:")
        assert told["callbacks"].endswith(PATH + "***")
        control = Control(told["gateway"])
        done = subprocess.run(
            [EVERY8D, "--broker", told["broker"], "send", "0900940001", "--text", "Hello", "--json"],
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        wait_for(lambda: control.callbacks()["stored"] == 1, within_s=30, what="a report that is stored")
        database = Database(f"sqlite:///{tmp_path / 'ledger.db'}")
        [one] = rows(database)
        assert (one.account, one.number, one.status) == ("default", "+886900940001", 100)
        assert one.token is not None
        database.close()
        # A stranger knows the port, and not the secret.
        web = Web(int(told["callbacks"].split(":")[2].split("/")[0]))
        assert web.ask(f"{PATH}***?{query()}") == 404
        control.close()
