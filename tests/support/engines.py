"""Engines on the test servers: what a worker process works with, made in the test's own process."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from pydantic import SecretStr

from config import Account, Settings
from config.account import CallsInFlight
from config.celery import celery_config
from every8d.emulator.process import EmulatorProcess
from worker.engine import Engine, make_engine
from worker.ledger.database import Database
from worker.system.valkey import EmbeddedValkey

EngineMaker = Callable[..., Engine]


@pytest.fixture
def make(
    database_url: str, valkey: EmbeddedValkey, emulator: EmulatorProcess, tmp_path: Path
) -> Iterator[EngineMaker]:
    """Makes engines on one ledger, one Valkey and one emulator. `account` fields and `clock` are the test's."""
    made: list[Engine] = []

    def maker(*, clock: Callable[[], int] | None = None, **account: Any) -> Engine:
        fields: dict[str, Any] = {
            "user_id": "demo",
            "password": SecretStr("demo"),
            "url": emulator.control.gateway_url,
            "rate_limit_calls_s": 1000,
            "max_calls_in_flight": CallsInFlight(otp=16, normal=8, bulk=8, poll=4),
            "first_poll_s": 0.001,
        }
        settings = Settings(
            data_dir=tmp_path,
            broker_url=valkey.broker_url,
            database_url=database_url,
            accounts={"default": Account(**(fields | account))},
            slice_s=10,
        )
        app = Celery("test", set_as_current=False)
        app.conf.update(celery_config(settings))
        engine = make_engine(settings, app, database=Database(database_url, clock=clock))
        made.append(engine)
        return engine

    yield maker
    for engine in made:
        engine.close()


@pytest.fixture
def engine(make: EngineMaker) -> Engine:
    """One engine with the usual settings."""
    return make()
