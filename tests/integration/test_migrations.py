"""Migrations: what they make is what the tables say, whoever runs them, however often."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from tests.support import ledger
from worker.ledger import migrate
from worker.ledger.database import Database
from worker.ledger.tables import metadata


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without any table; on SQLite not even the folder is there."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'new' / 'ledger.db'}"


def test_migrating_twice_is_migrating_once_and_loses_nothing(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    database = Database(empty_url)
    ledger.put(database, 3)
    migrate.upgrade(empty_url)
    assert migrate.is_current(database)
    assert ledger.states(database) == {"waiting": 3}
    database.close()


def test_an_empty_database_is_not_current(postgres_url: str) -> None:
    database = Database(postgres_url)
    assert not migrate.is_current(database)
    database.close()


def test_the_tables_are_what_the_code_says(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    database = Database(empty_url)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": False}
        )
        # `Points` are whole numbers in the database.
        different = [one for one in compare_metadata(context, metadata) if "Points" not in str(one)]
        found = inspect(connection)
        for table in metadata.tables.values():
            there = {column["name"]: column for column in found.get_columns(table.name)}
            assert set(there) == {column.name for column in table.columns}
            for column in table.columns:
                assert there[column.name]["nullable"] == column.nullable, (table.name, column.name)
                default = there[column.name]["default"]
                serial = column.autoincrement is True or "nextval" in str(default)
                assert (default is not None) == (column.server_default is not None) or serial, column
            assert {index["name"] for index in found.get_indexes(table.name)} >= {
                one.name for one in table.indexes
            }
            partial = [one for one in table.indexes if one.dialect_options["postgresql"]["where"] is not None]
            kept = {one["name"]: one for one in found.get_indexes(table.name)}
            dialect = "postgresql" if database.is_postgres else "sqlite"
            assert all(
                kept[one.name]["dialect_options"].get(f"{dialect}_where") is not None for one in partial
            )
    assert different == []
    database.close()


def test_several_that_migrate_at_once_wait_for_one_another(empty_url: str) -> None:
    ledger.at_once([lambda: migrate.upgrade(empty_url)] * 3)
    database = Database(empty_url)
    assert migrate.is_current(database)
    with database.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM alembic_version")) == 1
    database.close()
