"""A whole system for tests and measurements: Valkey, the ledger, the emulator, the workers of all lanes, and beat."""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

import config
from every8d import Producer
from every8d.emulator.control import Control
from every8d.emulator.process import EmulatorProcess
from tests.support import postgres
from worker.ledger import migrate
from worker.ledger.database import Database
from worker.system import processes
from worker.system.guard import Guard
from worker.system.supervisor import Supervisor
from worker.system.valkey import EmbeddedValkey


@dataclass
class System:
    """What a measurement uses."""

    settings: config.Settings
    log: Path
    control: Control
    producer: Producer
    database: Database
    supervisor: Supervisor
    emulator: EmulatorProcess

    def wait(self, condition: Callable[[], bool], within_s: float, what: str) -> None:
        """Waits until the condition holds. Raises TimeoutError."""
        deadline = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {within_s:.0f} s: {what}")
            time.sleep(0.01)

    def handed_over(self) -> int:
        """Messages that the gateway has accepted."""
        return self.control.accepted()

    def kill(self, name: str) -> None:
        """SIGKILL for one of our processes; the supervisor starts it again."""
        psutil.Process(self.supervisor.pids()[name]).kill()

    def memory(self) -> dict[str, float]:
        """Each of our processes' proportional set size (PSS), in MiB."""
        found = {name: _pss(pid) for name, pid in self.supervisor.pids().items()}
        return found | {"emulator": _pss(self.emulator.pid)}


def _pss(pid: int) -> float:
    return float(psutil.Process(pid).memory_full_info().pss) / 2**20


@contextmanager
def running(
    db: str,
    latency_ms: int = 0,
    *,
    deliver_after_s: float = 0,
    settings: dict[str, str] | None = None,
    warm: bool = True,
    **account: Any,
) -> Iterator[System]:
    """Starts the system and ends it. `account` are further settings of the default account, `settings` of all.

    Raises RuntimeError, with the end of the log, where the workers do not come up.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="e8d")))
        guard = stack.enter_context(Guard())
        server = EmbeddedValkey(directory)
        server.start(guard)
        emulator = stack.enter_context(
            EmulatorProcess("--latency-ms", str(latency_ms), "--deliver-after-s", str(deliver_after_s))
        )
        environment = {
            "EVERY8D_DATA_DIR": str(directory),
            "EVERY8D_BROKER_URL": server.broker_url,
            "EVERY8D_REDIS_URL": server.redis_url,
            "EVERY8D_LOG_LEVEL": "WARNING",
            "EVERY8D_ACCOUNTS__DEFAULT__USER_ID": "demo",
            "EVERY8D_ACCOUNTS__DEFAULT__PASSWORD": "demo",
            "EVERY8D_ACCOUNTS__DEFAULT__URL": emulator.control.gateway_url,
            # The emulator has no limit; what is measured is ours.
            "EVERY8D_ACCOUNTS__DEFAULT__RATE_LIMIT_CALLS_S": "5000",
            # Polling is measured by itself, afterwards.
            "EVERY8D_ACCOUNTS__DEFAULT__FIRST_POLL_S": "3600",
            "EVERY8D_ACCOUNTS__DEFAULT__REPLY_WINDOW_H": "0",
        }
        environment |= {f"EVERY8D_{name.upper()}": value for name, value in (settings or {}).items()}
        environment |= {
            f"EVERY8D_ACCOUNTS__DEFAULT__{name.upper()}": str(value) for name, value in account.items()
        }
        if db == "postgres":
            environment["EVERY8D_DATABASE_URL"] = stack.enter_context(postgres.started())
        os.environ.update(environment)
        stack.callback(lambda: [os.environ.pop(name, None) for name in environment])
        loaded = config.load()
        migrate.upgrade(loaded.database_url)
        emulator.control.add_credit(100_000_000)
        log = stack.enter_context((directory / "log").open("w"))
        supervisor = Supervisor(guard, _writes(log))
        specs = processes.engine(processes.child_environment(loaded), loglevel="WARNING")
        supervisor.start(specs)
        stack.callback(supervisor.stop, 10.0)
        database = Database(loaded.database_url, pool_size=2)
        stack.callback(database.close)
        producer = Producer(loaded.broker_url, confirm_timeout_s=60)
        system = System(loaded, directory / "log", emulator.control, producer, database, supervisor, emulator)
        try:
            if warm:
                _warm(system)
            yield system
        except Exception:
            log.flush()
            print((directory / "log").read_text()[-4000:], file=sys.stderr)
            raise


def _warm(system: System) -> None:
    """Each lane has sent one: processes are up, the session is there."""
    lanes = ("otp", "normal", "bulk")
    for lane in lanes:
        sent = system.producer.send("0911000000", f"warm {lane}", lane=lane, confirm=True)
        system.producer.status(sent.request_id)
    system.wait(lambda: system.handed_over() >= len(lanes), 60, "warm workers")


def _writes(log: IO[str]) -> Callable[[str, str], None]:
    return lambda name, line: print(name, line, file=log, flush=True)
