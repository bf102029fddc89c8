"""Real servers for a test session: Valkey, PostgreSQL and the emulator, each started once and emptied between tests."""

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from every8d.emulator.process import EmulatorProcess
from tests.support import postgres
from worker.ledger import migrate
from worker.ledger.database import Database
from worker.system.guard import Guard
from worker.system.valkey import EmbeddedValkey

#: Delivered at once, so that a test polls when it likes.
EMULATOR = ("--deliver-after-s", "0")


@pytest.fixture(scope="session")
def guard() -> Iterator[Guard]:
    """Ends every process that the session started, however the session ends."""
    with Guard() as one:
        yield one


@pytest.fixture(scope="session")
def valkey_server(guard: Guard) -> Iterator[EmbeddedValkey]:
    with tempfile.TemporaryDirectory(prefix="e8d") as directory:
        server = EmbeddedValkey(Path(directory))
        server.start(guard)
        yield server


@pytest.fixture
def valkey(valkey_server: EmbeddedValkey) -> EmbeddedValkey:
    """The session's Valkey, emptied."""
    with Redis.from_url(valkey_server.redis_url) as redis:
        redis.flushall()
    return valkey_server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The session's PostgreSQL; gives the address of its maintenance database."""
    with postgres.started() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """An empty database of its own."""
    with postgres.created(postgres_server, f"t{uuid.uuid4().hex}") as url:
        yield url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a migrated, empty ledger, to be copied: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("migrated") / "ledger.db"
    migrate.upgrade(f"sqlite:///{path}")
    assert not path.with_name("ledger.db-wal").exists()
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> Iterator[str]:
    """The name of a migrated, empty database, to be copied."""
    name = "migrated"
    with postgres.created(postgres_server, name) as url:
        migrate.upgrade(url)
        yield name


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a migrated, empty ledger: each test that asks for it runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        copy = shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "ledger.db")
        yield f"sqlite:///{copy}"
        return
    server, template = (request.getfixturevalue(name) for name in ("postgres_server", "migrated_postgres"))
    with postgres.created(server, f"t{uuid.uuid4().hex}", template=template) as url:
        yield url


class Clock:
    """Milliseconds since 1970 that a test moves: the database's clock, by argument."""

    def __init__(self, now_ms: int = 1_767_225_600_000) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(database_url: str, clock: Clock) -> Iterator[Database]:
    """A ledger whose clock is the test's."""
    one = Database(database_url, clock=clock)
    yield one
    one.close()


@pytest.fixture(scope="session")
def emulator_process() -> Iterator[EmulatorProcess]:
    with EmulatorProcess(*EMULATOR) as process:
        yield process


@pytest.fixture
def emulator(emulator_process: EmulatorProcess) -> EmulatorProcess:
    """The session's emulator, reset: no faults, its first credit, nothing sent."""
    emulator_process.control.reset()
    return emulator_process
