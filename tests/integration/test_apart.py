"""Several accounts, one of them broken: the sweeps look after the others all the same."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from celery import Celery
from pydantic import SecretStr
from sqlalchemy import update

from config import Account, Settings
from config.celery import celery_config
from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, running
from tests.support.servers import Clock
from worker import cancel, funds, housekeeping
from worker.dispatch import dispatch
from worker.engine import Engine, make_engine
from worker.ledger import cancel as ledger
from worker.ledger import funds as prices
from worker.ledger.database import Database
from worker.ledger.tables import account, chunk
from worker.system.valkey import EmbeddedValkey

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

BROKEN, WHOLE = "broken", "whole"


@pytest.fixture
def clock() -> Clock:
    return running.clock_now()


@pytest.fixture
def engine(
    database_url: str, valkey: EmbeddedValkey, emulator: EmulatorProcess, tmp_path: Path, clock: Clock
) -> Iterator[Engine]:
    """Two accounts; the first one's certificates are gone, so that not even a client can be made for it."""
    url = emulator.control.gateway_url
    secret = SecretStr("secret")
    broken = Account(user_id=BROKEN, password=secret, url="https" + url[4:], ca_file=tmp_path / "gone.pem")
    accounts = {BROKEN: broken, WHOLE: Account(user_id=WHOLE, password=secret, url=url)}
    for alias in accounts:
        emulator.control.create_account(alias, "secret", credit=100)
    settings = Settings(
        data_dir=tmp_path, broker_url=valkey.broker_url, database_url=database_url, accounts=accounts
    )
    app = Celery("test", set_as_current=False)
    app.conf.update(celery_config(settings))
    one = make_engine(settings, app, database=Database(database_url, clock=clock))
    yield one
    one.close()


def known_credits(engine: Engine) -> dict[str, Decimal | None]:
    return {row.alias: row.credit for row in running.rows(engine, account)}


def test_the_credit_of_the_others_is_asked_for(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    housekeeping.check_credit(engine)
    assert known_credits(engine) == {BROKEN: None, WHOLE: Decimal(100)}
    told = capfd.readouterr()
    assert "FileNotFoundError" in told.out + told.err


def test_bookings_of_the_others_are_erased(engine: Engine, clock: Clock, emulator: EmulatorProcess) -> None:
    later = datetime.fromtimestamp(clock.now_ms / 1000 + 7200, UTC).isoformat()
    requests = [
        running.enqueue(engine, account=WHOLE, to=bodies.numbers(1, n), schedule="gateway", send_at=later)
        for n in range(3)
    ]
    for _ in requests:
        dispatch(engine, WHOLE, "normal")
    # As if the first two were the broken account's.
    oldest = [row.id for row in running.rows(engine, chunk)][:2]
    with engine.database.engine.begin() as connection:
        connection.execute(update(chunk).where(chunk.c.id.in_(oldest)).values(account=BROKEN))
    for request in requests:
        ledger.stop(engine.database, request)
    cancel.sweep_erasures(engine)
    assert [row.erase for row in running.rows(engine, chunk)] == ["asking", "asking", "erased"]
    # And asked for again: nothing of it is lost.
    clock.advance(61)
    assert len(ledger.claim_erasures(engine.database)) == 2


def test_what_the_others_hold_is_let_go(engine: Engine, clock: Clock, emulator: EmulatorProcess) -> None:
    emulator.control.change_account(WHOLE, set_credit=1)
    one = running.enqueue(engine, account=WHOLE, lane="bulk", to=bodies.numbers(3))
    dispatch(engine, WHOLE, "bulk")
    held = running.enqueue(engine, account=BROKEN, lane="bulk", to=bodies.numbers(3))
    prices.judge(engine.database, BROKEN, [held], "hold", asked=True)
    emulator.control.add_credit(2, WHOLE)
    clock.advance(61)
    funds.sweep(engine)
    dispatch(engine, WHOLE, "bulk")
    assert running.counts(engine, one) == {"sent": 3}
    assert running.counts(engine, held) == {"waiting": 3}
