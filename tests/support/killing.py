"""Worker processes that kill themselves at a named point, and what is left of their work for the next one."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from kombu.exceptions import OperationalError
from redis import Redis
from sqlalchemy import select, update

from config.settings import redis_address
from every8d import Producer
from every8d.emulator.control import Control
from every8d.emulator.process import EmulatorProcess
from every8d.producererrors import BrokerUnreachable, NoAnswer, NotConfirmed
from tests.support import bodies
from tests.support.waiting import wait_for
from worker.ledger import tables
from worker.ledger.database import Database
from worker.ledger.progress import progress
from worker.system.valkey import EmbeddedValkey

T = TypeVar("T")

PROGRAM = Path(__file__).parents[1] / "system" / "worker_nursery.py"
#: A producer asks again after this: the worker that was to answer is dead.
CONFIRM_S = 1.5
#: Kept short, so that tests wait little: each is a setting that operators have, too.
ACCOUNT = {
    "USER_ID": "demo",
    "PASSWORD": "demo",
    "RATE_LIMIT_CALLS_S": "1000",
    "CHUNK_SIZE": "1500",
    "FIRST_POLL_S": "0.05",
    "POLL_CEILING_S": "0.5",
    "REPLY_WINDOW_H": "0",
    "RETRY_CEILING_S": "0.2",
    "CALL_DEADLINE_S": "10",
}


class Nursery:
    """The program that forks workers: see `tests/system/worker_nursery.py`."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM)],
            env={**os.environ, "PYTHONPATH": str(PROGRAM.parents[2]), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == "ready"

    def start(self, environment: dict[str, str]) -> int:
        return int(self._ask("start " + json.dumps(environment)))

    def wait(self, pid: int, within_s: float) -> str:
        return self._ask(f"wait {pid} {within_s}")

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def _ask(self, line: str) -> str:
        print(line, file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture(scope="session")
def nursery(valkey_server: EmbeddedValkey) -> Iterator[Nursery]:
    one = Nursery({"EVERY8D_BROKER_URL": valkey_server.broker_url})
    yield one
    one.close()


@dataclass
class Site:
    """One ledger, one Valkey, one emulator, and the workers that a test starts and loses."""

    nursery: Nursery
    database: Database
    redis: Redis
    control: Control
    producer: Producer
    directory: Path
    environment: dict[str, str]
    alive: list[int] = field(default_factory=list)
    started: list[int] = field(default_factory=list)
    #: Servers of the test's own, which end with it.
    servers: ExitStack = field(default_factory=ExitStack)
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4))

    def start(self, kill_at: str = "", **account: str) -> int:
        """A worker of all lanes. `account`: further settings of the account."""
        named = {f"EVERY8D_ACCOUNTS__DEFAULT__{name.upper()}": value for name, value in account.items()}
        pid = self.nursery.start(self.environment | named | {"EVERY8D_KILL_AT": kill_at})
        self.alive.append(pid)
        self.started.append(pid)
        return pid

    def killed(self, pid: int, within_s: float = 30) -> None:
        """Returns when the worker has died by its own SIGKILL."""
        ended = self.nursery.wait(pid, within_s)
        assert ended == str(-signal.SIGKILL), f"it ended with {ended}: {self.log()[-3000:]}"
        self.alive.remove(pid)

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self.killed(pid)

    def time_passes(self) -> None:
        """What only a dead worker's clock would free is free: locks in Redis, leases of polls and erasures."""
        for key in self.redis.scan_iter("every8d:session-lock:*"):
            self.redis.delete(key)
        for key in self.redis.scan_iter("every8d:places:*"):
            self.redis.delete(key)
        for row in self.redis.zrange("unacked_index", 0, -1):
            self.redis.zadd("unacked_index", {row: 0})
        chunk = tables.chunk
        self._write(update(chunk).where(chunk.c.poll_lease_ms.is_not(None)).values(poll_lease_ms=0))
        self._write(update(chunk).where(chunk.c.erase_ms.is_not(None)).values(erase_ms=0))
        self._write(update(tables.account).values(gate_ms=None, gate_closed_ms=None, compared_ms=None))

    def leases_end(self) -> None:
        """The leases of chunks in hand are over. Only for a dead worker's: a living one's would be taken from it."""
        self._write(update(tables.chunk).where(tables.chunk.c.state == "submitting").values(lease_ms=0))

    def _write(self, statement: Any) -> None:
        self.database.write(lambda connection: connection.execute(statement))

    def ring(self, *names: str) -> None:
        """What beat would ask for."""
        for name in names:
            # Our own connection may be lost, too; then kombu fails with whatever its channel has lost.
            with suppress(OperationalError, AttributeError):
                self.producer._publisher.app.send_task(f"every8d.{name}", queue="every8d.status")

    def background(self, work: Callable[[], T]) -> "Future[T]":
        return self.threads.submit(work)

    def insist(self, ask: Callable[[], T], *, times: int = 8) -> T:
        """A producer that waits, and asks again, with the same ids, when nobody answers."""
        for _ in range(times):
            with suppress(NotConfirmed, NoAnswer, BrokerUnreachable):
                return ask()
        raise AssertionError(f"nobody answers; {self.log()[-3000:]}")

    def campaign(self, count: int, lane: str = "bulk") -> "Future[uuid.UUID]":
        """So many people get one text; its id once the ledger has all of it, however often that is asked for."""
        to = [one.replace("+886", "0") for one in bodies.numbers(count)]

        def send() -> uuid.UUID:
            key = {"confirm": True, "idempotency_key": "campaign"}
            return self.producer.send_many(to, text="會員日全館八折", lane=lane, **key).request_id  # type: ignore[arg-type]  # of two types

        return self.background(lambda: self.insist(send))

    def assert_each_once(self, request: uuid.UUID, count: int) -> None:
        """Returns when all of it is delivered: nothing lost, nothing sent twice, nothing unknown."""
        self.until(
            lambda: self.control.summary().total >= count and "waiting" not in self.counts(request),
            lambda: self.counts(request),
            *("sweep_leases", "sweep_due"),
        )
        # A poll that was under way when the fault came is another's in two minutes.
        self.time_passes()
        self.until(
            lambda: self.counts(request) == {"delivered": count},
            lambda: self.counts(request),
            *("sweep_leases", "sweep_polls"),
        )
        found = self.control.summary()
        assert (found.total, found.distinct, found.doubled_count) == (count, count, 0)
        assert "chunk_unknown" not in self.kinds()

    def counts(self, request: uuid.UUID) -> dict[str, int]:
        """The request's messages by state, without those that are none; empty where it is not known."""
        found = progress(self.database, request)
        return {} if found is None else {word: count for word, count in found.counts.items() if count}

    def rows(self, table: Any) -> list[Any]:
        with self.database.read() as connection:
            return list(connection.execute(select(table)))

    def kinds(self) -> list[str]:
        """The kinds of all events."""
        return [row.kind for row in self.rows(tables.event)]

    def until(self, wanted: Callable[[], bool], what: Callable[[], object], *bells: str) -> None:
        """Returns when it is so; rings meanwhile, as beat does."""
        turns = iter(range(10_000))

        def look() -> bool:
            if next(turns) % 10 == 0:
                self.ring(*bells)
            return wanted()

        try:
            wait_for(look, within_s=60)
        except AssertionError as error:
            raise AssertionError(f"{what()}; {self.log()[-3000:]}") from error

    def log(self) -> str:
        path = self.directory / "workers.log"
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        for pid in list(self.alive):
            self.kill(pid)
        self.servers.close()
        self.threads.shutdown(cancel_futures=True)
        self.database.close()
        self.redis.close()


@contextmanager
def working(
    nursery: Nursery, database_url: str, broker_url: str, control: Control, directory: Path
) -> Iterator[Site]:
    """A site on these servers; every worker of it is gone at the end."""
    environment = {
        "EVERY8D_DATABASE_URL": database_url,
        "EVERY8D_DATA_DIR": str(directory),
        "EVERY8D_LOOK_INTERVAL_S": "0.2",
        "EVERY8D_STAGED_TIMEOUT_S": "0.5",
        "NURSERY_LOG": str(directory / "workers.log"),
    }
    account = ACCOUNT | {"URL": control.gateway_url}
    environment |= {f"EVERY8D_ACCOUNTS__DEFAULT__{name}": value for name, value in account.items()}
    control.add_credit(100_000)
    one = Site(
        nursery,
        Database(database_url, pool_size=4),
        Redis.from_url(redis_address(broker_url)),
        control,
        Producer(broker_url, confirm_timeout_s=CONFIRM_S),
        directory,
        environment,
    )
    try:
        yield one
    finally:
        one.close()


@pytest.fixture
def site(
    nursery: Nursery, database_url: str, valkey: EmbeddedValkey, emulator: EmulatorProcess, tmp_path: Path
) -> Iterator[Site]:
    with working(nursery, database_url, valkey.broker_url, emulator.control, tmp_path) as one:
        yield one
