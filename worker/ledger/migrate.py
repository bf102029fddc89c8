"""Bringing a ledger's tables to what this version needs."""

from enum import StrEnum
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from worker.ledger.database import Database

#: PostgreSQL's advisory lock for migrations: any number, always the same one.
_LOCK = 8_319_052


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("worker.ledger").joinpath("migrations")))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(database_url: str) -> None:
    """Migrates to the newest version; harmless where it is already there, or when two run at once."""
    database = Database(database_url, pool_size=1)
    if database.url.get_backend_name() == "sqlite" and database.url.database:
        Path(database.url.database).parent.mkdir(parents=True, exist_ok=True)
    try:
        with database.engine.begin() as connection:
            if database.is_postgres:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        database.close()


class Age(StrEnum):
    """A ledger's tables against those that this version needs."""

    CURRENT = "current"
    OLDER = "older"
    #: A later version has migrated it.
    NEWER = "newer"


def age(database: Database) -> Age:
    """Reads the ledger's revision; one without any is older."""
    scripts = ScriptDirectory.from_config(_config())
    with database.read() as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
    if revision == scripts.get_current_head():
        return Age.CURRENT
    known = {one.revision for one in scripts.walk_revisions()}
    return Age.OLDER if revision is None or revision in known else Age.NEWER


def is_current(database: Database) -> bool:
    """Whether the ledger has this version's tables."""
    return age(database) is Age.CURRENT


def new_revision(database_url: str, message: str) -> None:
    """Writes a migration from the ledger as it is to the tables as they are: for developers."""
    database = Database(database_url, pool_size=1)
    with database.engine.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.revision(config, message, autogenerate=True)
    database.close()
