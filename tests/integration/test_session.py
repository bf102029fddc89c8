"""One SessionKey for all: however many workers want it, and whatever happens to it, one login."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis
from sqlalchemy.exc import OperationalError

from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, running
from tests.support.engines import EngineMaker
from tests.support.waiting import wait_for
from worker.breaker import BreakerOpenError
from worker.engine import Engine
from worker.session import SessionUnavailableError
from worker.system.valkey import EmbeddedValkey

PROCESSES = 4
KEY, PACE = "every8d:session:default", "every8d:login:default"
#: The ledger has no part in these but a row that is read.
ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

Storm = Callable[..., list[str]]


@pytest.fixture
def storm(valkey: EmbeddedValkey, emulator: EmulatorProcess, database_url: str) -> Storm:
    """Lets 4 processes of 32 threads want the key in the same moment; returns what each of them got."""

    def go(*, old: str = "", password: str) -> list[str]:
        account = {"user_id": "demo", "password": password, "url": emulator.control.gateway_url}
        settings = {
            "broker_url": valkey.broker_url,
            "database_url": database_url,
            "accounts": {"default": account},
            "database_pool_size": 32,
        }
        processes = [
            subprocess.Popen(
                [sys.executable, Path(__file__).with_name("session_process.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(PROCESSES)
        ]
        try:
            return _answers(processes, json.dumps(settings), old)
        finally:
            for one in processes:
                one.kill()
                one.communicate()

    return go


def _answers(processes: list[Any], settings: str, old: str) -> list[str]:
    for one in processes:
        one.stdin.write(settings + "\n")
        one.stdin.flush()
    for one in processes:
        assert one.stdout.readline() == "ready\n"
    for one in processes:
        one.stdin.write(old + "\n")
        one.stdin.flush()
    return [answer for one in processes for answer in json.loads(one.stdout.readline())]


def refuses(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0


def long_ago(engine: Engine) -> None:
    """As if the last login had been more than two seconds ago."""
    engine.redis.delete(PACE)


def test_four_processes_of_32_threads_make_one_login(emulator: EmulatorProcess, storm: Storm) -> None:
    emulator.control.network(latency_ms=50)
    got = storm(password="demo")
    assert (len(got), len(set(got))) == (128, 1)
    assert emulator.control.calls("getConnection") == 1


@ONE_DATABASE
def test_a_key_that_128_threads_find_gone_is_replaced_once(
    engine: Engine, emulator: EmulatorProcess, storm: Storm
) -> None:
    old = engine.sessions.key(running.ALIAS)
    emulator.control.void_keys()
    long_ago(engine)
    emulator.control.network(latency_ms=50)
    got = storm(old=old, password="demo")
    assert (len(got), len(set(got))) == (128, 1)
    assert emulator.control.logins() == 2


def test_a_wrong_password_is_one_login_over_processes_restarts_and_an_emptied_redis(
    make: EngineMaker, emulator: EmulatorProcess, storm: Storm, valkey: EmbeddedValkey
) -> None:
    assert set(storm(password="wrong")) == {"BreakerOpenError"}
    for _ in range(2):
        with Redis.from_url(valkey.redis_url) as redis:
            redis.flushall()
        restarted = make(password="wrong")
        request = running.enqueue(restarted, to=bodies.numbers(1), duplicates=True)
        running.send(restarted)
        assert running.counts(restarted, request) == {"waiting": 1}
    assert emulator.control.calls("getConnection") == 1
    assert running.kinds(restarted).count("account_blocked") == 1
    # Put right, it goes on without an operator.
    good = make()
    running.send(good)
    assert running.counts(good, request) == {"sent": 1}


def test_six_wrong_passwords_in_a_row_leave_it_to_an_operator(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    def log_in(password: str) -> str:
        engine = make(password=password)
        long_ago(engine)
        request = running.enqueue(engine, to=bodies.numbers(1))
        running.send(engine)
        return next(iter(running.counts(engine, request)))

    for place in range(5):
        assert log_in(f"wrong {place}") == "waiting"
    # A success among them counts anew.
    assert log_in("demo") == "sent"
    emulator.control.void_keys()
    make().redis.delete(KEY)
    for place in range(6):
        log_in(f"wrong {place}")
    assert log_in("demo") == "waiting"
    assert log_in("wrong again") == "waiting"
    assert emulator.control.calls("getConnection") == 12


def test_a_locked_account_is_asked_once(make: EngineMaker, emulator: EmulatorProcess) -> None:
    emulator.control.lock()
    engine = make()
    request = running.enqueue(engine, to=bodies.numbers(1))
    for password in ("demo", "demo", "another"):
        engine = make(password=password)
        long_ago(engine)
        running.send(engine)
    assert emulator.control.calls("getConnection") == 1
    assert running.counts(engine, request) == {"waiting": 1}
    assert running.kinds(engine) == ["account_blocked"]


@ONE_DATABASE
@pytest.mark.parametrize(("times", "got"), [(1, True), (2, True), (3, False)])
def test_a_busy_login_is_tried_again_a_few_times(
    engine: Engine, emulator: EmulatorProcess, times: int, got: bool
) -> None:
    emulator.control.busy_logins(times)
    if got:
        assert engine.sessions.key(running.ALIAS)
    else:
        with pytest.raises(SessionUnavailableError) as caught:
            engine.sessions.key(running.ALIAS)
        assert caught.value.down
        assert engine.sessions.key(running.ALIAS)
    assert (emulator.control.calls("getConnection", "-97"), emulator.control.logins()) == (0, 1)
    assert emulator.control.calls("getConnection", "fault code") == times


@ONE_DATABASE
@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("drop", {"when": "after"}),
        ("html", {}),
        ("http", {"status": 503}),
        ("code", {"code": -5}),
        ("empty", {}),
    ],
)
def test_a_login_without_an_answer_is_tried_again_later(
    make: EngineMaker, emulator: EmulatorProcess, kind: str, more: dict[str, Any]
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    emulator.control.fault(kind, "getConnection", **more)
    request = running.enqueue(engine, to=bodies.numbers(1))
    running.send(engine)
    running.send(engine)
    assert (running.counts(engine, request), emulator.control.calls("getConnection")) == ({"waiting": 1}, 1)
    clock.advance(1)
    running.send(engine)
    assert running.counts(engine, request) == {"sent": 1}


def test_a_gateway_that_is_down_backs_off_and_goes_on_by_itself(
    engine: Engine, emulator: EmulatorProcess
) -> None:
    emulator.control.down(1.5)
    wait_for(lambda: refuses(emulator.port))
    request = running.enqueue(engine, to=bodies.numbers(3))
    running.send(engine)
    assert running.counts(engine, request) == {"waiting": 3}
    assert running.kinds(engine) == ["gateway_unreachable"]

    def sent() -> bool:
        running.send(engine)
        return running.counts(engine, request) == {"sent": 3}

    wait_for(sent)
    assert emulator.control.summary().doubled_count == 0


@ONE_DATABASE
def test_another_system_that_takes_the_session_away_bounds_the_logins_and_not_the_progress(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    engine = make(chunk_size=1)
    emulator.control.network(latency_ms=40)
    request = running.enqueue(engine, to=bodies.numbers(14))
    done, began = threading.Event(), time.monotonic()

    def other_system() -> None:
        while not done.wait(0.3):
            emulator.control.void_keys()

    thread = threading.Thread(target=other_system)
    thread.start()
    try:

        def sent() -> bool:
            running.send(engine)
            return running.counts(engine, request) == {"sent": 14}

        wait_for(sent, within_s=60)
    finally:
        done.set()
        thread.join()
    assert emulator.control.logins() <= (time.monotonic() - began) / 2 + 1
    assert emulator.control.logins() > 1
    assert running.kinds(engine).count("account_contended") == 1
    assert (emulator.control.summary().total, emulator.control.summary().doubled_count) == (14, 0)


def test_a_ledger_that_cannot_be_written_means_no_login(
    make: EngineMaker, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make(password=SecretStr("wrong"))

    def full(*_: object, **__: object) -> None:
        raise OperationalError("write", {}, Exception("disk full"))

    monkeypatch.setattr(engine.database, "write", full)
    for _ in range(3):
        with pytest.raises(OperationalError):
            engine.sessions.key(running.ALIAS)
    assert emulator.control.stats()["refused_logins"] == 0


def test_logins_that_begin_and_never_end_lock_the_account_before_the_gateway_does(
    make: EngineMaker, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make(password=SecretStr("wrong"))

    def dies(*_: object) -> None:
        raise OperationalError("write", {}, Exception("gone"))

    monkeypatch.setattr(engine.sessions, "refused", dies)
    for _ in range(8):
        engine.redis.flushall()
        with pytest.raises((OperationalError, BreakerOpenError)):
            engine.sessions.key(running.ALIAS)
    assert emulator.control.stats()["refused_logins"] == 6
