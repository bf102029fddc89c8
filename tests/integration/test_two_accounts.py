"""Two accounts in one worker: each with its own login, session, credit and chunk size, and its own breaker."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from pydantic import SecretStr

from config import Account, Settings
from config.celery import celery_config
from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, running
from worker.dispatch import dispatch
from worker.engine import Engine, make_engine
from worker.ledger.accounts import account_row
from worker.ledger.tables import chunk
from worker.system.valkey import EmbeddedValkey

#: Alias: user, password, recipients in one call.
ACCOUNTS = {"shop": ("shop-user", "shop-password", 2), "clinic": ("clinic-user", "clinic-password", 5)}

Maker = Callable[..., Engine]


@pytest.fixture
def make_two(
    database_url: str, valkey: EmbeddedValkey, emulator: EmulatorProcess, tmp_path: Path
) -> Iterator[Maker]:
    """Makes engines that know both accounts; keywords give an alias another password than the gateway's."""
    made: list[Engine] = []
    for user, password, _ in ACCOUNTS.values():
        emulator.control.create_account(user, password, credit=100)

    def maker(**passwords: str) -> Engine:
        accounts = {
            alias: Account(
                user_id=user,
                password=SecretStr(passwords.get(alias, password)),
                url=emulator.control.gateway_url,
                chunk_size=size,
                rate_limit_calls_s=1000,
            )
            for alias, (user, password, size) in ACCOUNTS.items()
        }
        settings = Settings(
            data_dir=tmp_path,
            broker_url=valkey.broker_url,
            database_url=database_url,
            accounts=accounts,
            slice_s=10,
        )
        app = Celery("test", set_as_current=False)
        app.conf.update(celery_config(settings))
        made.append(make_engine(settings, app))
        return made[-1]

    yield maker
    for engine in made:
        engine.close()


def enqueue_both(engine: Engine) -> dict[str, uuid.UUID]:
    """Ten recipients each, of another ten thousand."""
    return {
        alias: running.enqueue(engine, account=alias, to=bodies.numbers(10, place * 10_000))
        for place, alias in enumerate(ACCOUNTS)
    }


def dispatch_both(engine: Engine) -> None:
    for alias in ACCOUNTS:
        dispatch(engine, alias, "normal")


def sent(emulator: EmulatorProcess) -> dict[str, list[str]]:
    """The numbers that were sent to, by the gateway's user."""
    found: dict[str, list[str]] = {}
    for one in emulator.control.sent():
        found.setdefault(one["account"], []).append(one["number"])
    return {user: sorted(numbers) for user, numbers in found.items()}


def sizes(engine: Engine) -> dict[str, list[int]]:
    return {alias: [row.size for row in running.rows(engine, chunk, account=alias)] for alias in ACCOUNTS}


def test_each_sends_by_its_own_session_in_its_own_chunks(make_two: Maker, emulator: EmulatorProcess) -> None:
    engine = make_two()
    requests = enqueue_both(engine)
    dispatch_both(engine)
    assert sent(emulator) == {"shop-user": bodies.numbers(10), "clinic-user": bodies.numbers(10, 10_000)}
    assert sizes(engine) == {"shop": [2] * 5, "clinic": [5] * 2}
    assert [running.counts(engine, one) for one in requests.values()] == [{"sent": 10}] * 2
    assert engine.sessions.key("shop") != engine.sessions.key("clinic")
    assert emulator.control.logins() == 2
    assert {user: emulator.control.credit(user) for user in sent(emulator)} == {
        "shop-user": "90.00",
        "clinic-user": "90.00",
    }


@pytest.mark.parametrize("blocked", ACCOUNTS)
def test_a_wrong_password_stops_its_own_account_only(
    make_two: Maker, emulator: EmulatorProcess, blocked: str
) -> None:
    [free] = ACCOUNTS.keys() - {blocked}
    engine = make_two(**{blocked: "wrong"})
    requests = enqueue_both(engine)
    for _ in range(2):
        dispatch_both(engine)
    states: dict[str, Any] = {alias: account_row(engine.database, alias).breaker for alias in ACCOUNTS}
    assert states == {blocked: "open", free: "closed"}
    assert running.counts(engine, requests[blocked]) == {"waiting": 10}
    assert running.counts(engine, requests[free]) == {"sent": 10}
    assert sent(emulator).keys() == {ACCOUNTS[free][0]}
    assert (emulator.control.logins(), emulator.control.stats()["refused_logins"]) == (1, 1)
