"""`every8d doctor` on ledgers that forget, lag, are full or of another version; and on accounts that are stopped."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from alembic import command
from click.testing import CliRunner
from sqlalchemy import event, text

from every8d.command import group
from every8d.command.group import Every8d
from every8d.command.invocation import Invocation
from tests.support.doctor import DeploymentMaker, kinds
from tests.support.waiting import wait_for
from worker import commands
from worker.ledger import migrate
from worker.ledger.accounts import ensure_accounts, login_refused
from worker.ledger.database import Database


@contextmanager
def set_on(server: str, setting: str, value: str) -> Iterator[None]:
    """A setting of the whole server, for a while."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET {setting} = {value}".encode())
        connection.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            connection.execute(f"ALTER SYSTEM RESET {setting}".encode())
            connection.execute("SELECT pg_reload_conf()")


def test_a_ledger_as_it_should_be(deployment: DeploymentMaker, database_url: str) -> None:
    one = deployment(database_url, workers_s=0.1)
    assert kinds(one, "durability") == ["ok durable"]
    assert kinds(one, "migrations") == ["ok schema_current"]
    assert kinds(one, "clocks") in (["ok clocks_together"], ["ok clock_one"])
    assert kinds(one, "breakers") == ["ok breakers_closed"]
    assert all(found.startswith("ok ") for found in kinds(one, "connections"))


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_postgres_that_forgets(
    deployment: DeploymentMaker, postgres_server: str, postgres_url: str, setting: str
) -> None:
    migrate.upgrade(postgres_url)
    one = deployment(postgres_url)
    with set_on(postgres_server, setting, "off"):
        wait_for(lambda: kinds(one, "durability") == ["problem postgres_forgets"], what="the server's reload")
    wait_for(lambda: kinds(one, "durability") == ["ok durable"], what="the server's reload")


def test_a_postgres_that_takes_no_writes_or_few_connections(
    deployment: DeploymentMaker, postgres_server: str, postgres_url: str
) -> None:
    migrate.upgrade(postgres_url)
    name = postgres_url.partition("/t")[2].partition("?")[0]
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE t{name} SET default_transaction_read_only = on".encode())
        connection.execute(f"ALTER DATABASE t{name} CONNECTION LIMIT 30".encode())
    one = deployment(postgres_url, workers_s=0.1)
    assert kinds(one, "durability") == ["problem read_only"]
    assert "problem server_full" in kinds(one, "connections")


def test_a_sqlite_that_forgets(deployment: DeploymentMaker, migrated_sqlite: Path) -> None:
    database = Database(f"sqlite:///{migrated_sqlite}")

    @event.listens_for(database.engine, "connect")
    def _hasten(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA synchronous=NORMAL")

    one = deployment(f"sqlite:///{migrated_sqlite}")
    one.ledger = database
    assert kinds(one, "durability") == ["problem sqlite_forgets"]
    database.close()


@pytest.mark.parametrize("ahead_s", [3600, -3])
def test_a_host_whose_clock_is_wrong(deployment: DeploymentMaker, postgres_url: str, ahead_s: float) -> None:
    migrate.upgrade(postgres_url)
    one = deployment(postgres_url, clock=lambda: time.time() + ahead_s)
    assert kinds(one, "clocks") == ["problem clocks_apart"]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_tables_of_another_version(
    request: pytest.FixtureRequest, deployment: DeploymentMaker, tmp_path: Path, kind: str
) -> None:
    url = (
        request.getfixturevalue("postgres_url") if kind == "postgres" else f"sqlite:///{tmp_path / 'old.db'}"
    )
    old(url)
    one = deployment(url)
    assert kinds(one, "migrations") == ["problem schema_older"]
    assert kinds(one, "breakers") == ["unseen schema_older"]
    migrate.upgrade(url)
    assert kinds(one, "migrations") == ["ok schema_current"]
    one.ledger.write(
        lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    )
    assert kinds(one, "migrations") == ["problem schema_newer"]


def old(url: str) -> None:
    """A ledger as the first version left it."""
    database = Database(url, pool_size=1)
    with database.engine.begin() as connection:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    database.close()


@pytest.mark.parametrize(("lang", "words"), [("en", "older version"), ("zh", "較舊的版本")])
@pytest.mark.parametrize("arguments", [["accounts"], ["unknown"], ["pause"], ["events"]])
def test_commands_on_an_old_ledger_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], lang: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVERY8D_DATA_DIR", str(tmp_path))
    old(f"sqlite:///{tmp_path / 'ledger.db'}")
    monkeypatch.setattr(group, "joined", list)
    made = Every8d(name="every8d", commands={str(one.name): one for one in commands.commands})
    shown = CliRunner().invoke(made, [*arguments, "--lang", lang], obj=Invocation(), env={"COLUMNS": "160"})
    assert shown.exit_code == 4
    assert words in shown.output
    assert "every8d migrate" in shown.output
    told = json.loads(CliRunner().invoke(made, [*arguments, "--json"], obj=Invocation()).stdout)
    assert told["error"]["kind"] == "ledger_older"


def test_this_versions_tables_are_those_of_the_newest_migration(database: Database) -> None:
    from worker.ledger import tables

    assert migrate.age(database) is migrate.Age.CURRENT
    with database.read() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == tables.REVISION


@pytest.mark.parametrize(("locked", "kind"), [(False, "breaker_open"), (True, "breaker_locked")])
def test_an_account_that_may_not_log_in(
    deployment: DeploymentMaker, database_url: str, locked: bool, kind: str
) -> None:
    one = deployment(database_url)
    ensure_accounts(one.ledger, ["default"])
    login_refused(one.ledger, "default", -101, "f", locked=locked)
    assert kinds(one, "breakers") == [f"problem {kind}"]
