"""The SessionKey's life: stored by who may, forgotten by who saw it fail, gone before the Taipei midnight."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from every8d.emulator.process import EmulatorProcess
from every8d.times import TAIPEI
from tests.support import bodies, running
from tests.support.waiting import wait_for
from worker.engine import Engine
from worker.scripts import Scripts
from worker.session import Sessions, SessionUnavailableError

KEY, LOCK, PACE = (f"every8d:{name}:default" for name in ("session", "session-lock", "login"))
#: The ledger has no part in these but a row that is read.
ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@ONE_DATABASE
def test_a_login_that_outlasts_its_lock_does_not_overwrite_the_next_ones_key(
    engine: Engine, emulator: EmulatorProcess
) -> None:
    emulator.control.fault("delay", "getConnection", delay_ms=400)
    got: list[str] = []
    thread = threading.Thread(target=lambda: got.append(engine.sessions.key(running.ALIAS)))
    thread.start()
    wait_for(lambda: emulator.control.calls("getConnection"))
    engine.redis.set(LOCK, "another's")
    engine.redis.set(KEY, "another's key")
    thread.join(20)
    assert got == ["another's key"]
    assert engine.redis.mget(KEY, LOCK) == [b"another's key", b"another's"]


@ONE_DATABASE
def test_a_key_that_came_while_we_waited_for_the_lock_is_used(
    engine: Engine, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = engine.redis.get

    def get(name: str) -> object:
        found = real(name)
        engine.redis.set(KEY, "another's key")  # right after we saw that there was none
        return found

    monkeypatch.setattr(engine.redis, "get", get)
    assert engine.sessions.key(running.ALIAS) == "another's key"
    assert emulator.control.calls("getConnection") == 0
    assert not engine.redis.exists(LOCK)


@ONE_DATABASE
def test_only_the_key_that_failed_is_forgotten(engine: Engine) -> None:
    key = engine.sessions.key(running.ALIAS)
    engine.sessions.gone(running.ALIAS, "an older key")
    assert engine.sessions.key(running.ALIAS) == key
    engine.sessions.gone(running.ALIAS, key)
    assert not engine.sessions.present(running.ALIAS)


@ONE_DATABASE
@pytest.mark.parametrize(
    ("now", "life"),
    [
        (datetime(2026, 5, 1, 12, 0, 0, tzinfo=TAIPEI), timedelta(hours=12, seconds=-5)),
        (datetime(2026, 5, 1, 0, 0, 0, tzinfo=TAIPEI), timedelta(hours=24, seconds=-5)),
        (datetime(2026, 5, 1, 15, 59, 0, tzinfo=UTC), timedelta(seconds=55)),
        (datetime(2026, 5, 1, 16, 0, 0, tzinfo=UTC), timedelta(hours=24, seconds=-5)),
        (datetime(2026, 12, 31, 23, 59, 48, tzinfo=TAIPEI), timedelta(seconds=7)),
        (datetime(2026, 12, 31, 23, 59, 56, tzinfo=TAIPEI), timedelta(seconds=4)),
    ],
)
def test_the_key_does_not_outlive_the_taipei_day(engine: Engine, now: datetime, life: timedelta) -> None:
    sessions = Sessions(
        engine.redis, Scripts(engine.redis), engine.database, engine.gateways, clock=lambda: now
    )
    sessions.key(running.ALIAS)
    left_s = int(engine.redis.pttl(KEY)) / 1000  # type: ignore[arg-type]  # redis-py types both of its worlds
    assert life.total_seconds() - 2 < left_s <= life.total_seconds()


@ONE_DATABASE
def test_midnight_in_the_middle_of_a_campaign(engine: Engine, emulator: EmulatorProcess) -> None:
    running.enqueue(engine, to=bodies.numbers(3))
    running.send(engine)
    emulator.control.advance(86_400)
    engine.redis.delete(PACE)
    request = running.enqueue(engine, to=bodies.numbers(3, 10))
    running.send(engine)
    assert running.counts(engine, request) == {"sent": 3}
    assert (emulator.control.logins(), emulator.control.summary().total) == (2, 6)


@ONE_DATABASE
def test_close_gives_the_session_up(engine: Engine, emulator: EmulatorProcess) -> None:
    assert engine.sessions.close(running.ALIAS) is False
    assert emulator.control.calls("closeConnection") == 0
    first = engine.sessions.key(running.ALIAS)
    assert engine.sessions.close(running.ALIAS) is True
    assert not engine.sessions.present(running.ALIAS)
    engine.redis.set(LOCK, "a login's")
    with pytest.raises(SessionUnavailableError, match="a login is under way"):
        engine.sessions.close(running.ALIAS)
    engine.redis.delete(LOCK)
    engine.redis.delete(PACE)
    assert engine.sessions.key(running.ALIAS) != first
