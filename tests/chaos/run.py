"""One run: a whole system, producers that enqueue, a gateway that fails, processes that die; then the count."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import config
from every8d.emulator.control import Control
from tests.chaos import ledger
from tests.chaos.counting import Count, Execution, count
from tests.chaos.enqueuing import Enqueuer
from tests.chaos.plan import ACCOUNT, CALL_DEADLINE_S, FAILING, FAULTS, Plan, shares
from tests.chaos.troubles import Troubles
from worker.ledger.database import Database
from worker.system.guard import Guard
from worker.system.system import System

#: For all that is not held to be sent and followed to its end, once nothing fails any more.
CALM_S = 120.0
#: Between two looks.
LOOK_S = 0.5
#: A call that was under way when the calm began is over after its deadline and this.
MARGIN_S = 5.0
#: Ten times so long the gateway repeats a callback that is not answered.
CALLBACK_RETRY_S = 4.0
_PAGE = 20_000


class NotOurs(Exception):
    """The gateway or the broker is somebody else's: this would send real texts, or count another's."""


@dataclass(slots=True)
class Result:
    """What the table shows."""

    plan: Plan
    count: Count
    unknowns: ledger.Unknowns
    otp_delays_s: list[float] = field(default_factory=list)
    calls: int = 0
    failed_calls: int = 0
    deaths: Counter[str] = field(default_factory=Counter)
    emptied: int = 0
    reports: Counter[str] = field(default_factory=Counter)
    #: What did not end within the calm, and what a producer was told that cannot be right.
    unfinished: list[str] = field(default_factory=list)

    def wrong(self) -> list[str]:
        """Empty for a good run."""
        return [*self.count.wrong(), *self.unfinished]

    def otp_quantile_s(self, per_mille: int) -> float:
        """Of the codes that arrived, how long the slowest but so many took; 1000 is the longest."""
        delays = self.otp_delays_s
        if len(delays) < 2 or per_mille == 1000:
            return max(delays, default=0.0)
        return quantiles(delays, n=1000, method="inclusive")[per_mille - 1]


def run(plan: Plan, directory: Path, tell: Callable[[str], None]) -> Result:
    """Runs the plan in an empty directory, and counts. `tell` gets a line for each thing that happens.

    Everything that it starts ends with this process, however that ends.
    """
    with _log(directory) as log, _postgres(plan, directory) as database_url:
        settings = config.load(data_dir=directory, database_url=database_url, log_level="INFO")
        if not (settings.embedded_gateway and settings.embedded_broker):
            raise NotOurs(
                "chaos needs a gateway and a broker of its own: unset EVERY8D_…, and look into .env"
            )
        environment = {f"EVERY8D_ACCOUNTS__DEFAULT__{name}": str(value) for name, value in ACCOUNT.items()}
        system = System(settings, log, emulator_options=("--deliver-after-s", "1"), environment=environment)
        with system:
            # Whoever is killed here is not in trouble, and comes back at once each time.
            system.supervisor.healthy_s = 0.0
            system.start_servers()
            system.start_engine()
            database = Database(settings.database_url, pool_size=4)
            try:
                return _storm(plan, system, database, tell)
            finally:
                database.close()


def _storm(plan: Plan, system: System, database: Database, tell: Callable[[str], None]) -> Result:
    control = Control(system.gateway_url or "")
    if control.faults() or system.supervisor.deaths()["emulator"]:
        raise NotOurs("another system on this machine has the emulator's port: try again when it has ended")
    control.add_credit(100_000_000)
    control.seed(plan.seed)
    # Each callback comes twice, and again for longer than a web process takes to come back.
    control.switch(callback_copies=2, row_order="shuffled")
    control.callback_to(system.callback_url, retry_s=CALLBACK_RETRY_S)
    for (kind, more), share in zip(FAULTS, shares(len(FAULTS), FAILING), strict=True):
        control.fault(kind, count=None, share=share, **more)
    began = time.time()
    enqueuer = Enqueuer(
        system.settings.broker_url, f"chaos-{began}", lambda: ledger.waiting(database, "bulk")
    )
    troubles = Troubles(system, plan.seed, lambda what: tell(f"{time.time() - began:5.1f} s: {what}"))
    enqueuer.start()
    troubles.start()
    try:
        time.sleep(plan.seconds)
    except BaseException:
        enqueuer.give_up()
        raise
    finally:
        troubles.stop()
    failed = sum(one["hits"] for one in control.faults())
    calls = int(control.stats()["total_calls"])
    control.clear_faults()
    tell(f"{time.time() - began:5.1f} s: calm")
    calm = Calm(database, control)
    enqueuer.stop()
    unfinished = calm.wait(plan.settle_s) + enqueuer.errors
    if control.stats()["total_calls"] < calls:
        unfinished.append("the emulator itself was started anew, and its record is gone")
    return Result(
        plan=plan,
        count=count(enqueuer.enqueued, enqueuer.confirmed, ledger.rows(database), _executions(control)),
        unknowns=ledger.unknowns(database),
        otp_delays_s=_otp_delays(control, enqueuer),
        calls=calls,
        failed_calls=failed,
        deaths=troubles.deaths,
        emptied=troubles.emptied,
        reports=ledger.reports(database),
        unfinished=unfinished,
    )


class Calm:
    """Nothing fails any more: waits until all is sent and followed to its end, but for what is held."""

    def __init__(self, database: Database, control: Control) -> None:
        self._database, self._control = database, control
        self._began_ms, self._began = database.now_ms(), time.monotonic()

    def wait(self, settle_s: float) -> list[str]:
        """Returns what is not finished. Waits longer while chunks are unknown: their evidence may come yet."""
        while (left := self._left() or self._coming()) and time.monotonic() - self._began < CALM_S:
            time.sleep(LOOK_S)
        until = time.monotonic() + settle_s
        while time.monotonic() < until and (left or ledger.chunks(self._database)["unknown"]):
            time.sleep(LOOK_S)
            left = self._left()
        return self._left()

    def _coming(self) -> list[str]:
        """Evidence that is on its way."""
        counts = {
            "callbacks are on their way": self._control.callbacks()["pending"],
            "callbacks are not looked at": ledger.reports(self._database)["waiting"],
        }
        return [f"{n} {what}" for what, n in counts.items() if n]

    def _left(self) -> list[str]:
        # A chunk of a worker that died would be `submitting` for a minute yet.
        if time.monotonic() - self._began > CALL_DEADLINE_S + MARGIN_S:
            ledger.end_leases(self._database, self._began_ms)
        chunks = ledger.chunks(self._database)
        counts = {
            "messages wait": ledger.waiting(self._database),
            "chunks are submitting": chunks["submitting"],
            "chunks are not final": chunks["open"],
        }
        return [f"{n} {what}" for what, n in counts.items() if n]


def _executions(control: Control) -> Iterator[Execution]:
    for offset in range(0, sys.maxsize, _PAGE):
        page = control.sent(offset=offset, limit=_PAGE)
        yield from (Execution(one["number"], one["sha256"]) for one in page)
        if len(page) < _PAGE:
            return


def _otp_delays(control: Control, enqueuer: Enqueuer) -> list[float]:
    first: dict[str, float] = {}
    for one in control.arrivals():
        if one.number.startswith("+88691"):
            first.setdefault(one.number, one.received)
    return [
        received - enqueuer.began[number] for number, received in first.items() if number in enqueuer.began
    ]


@contextmanager
def _log(directory: Path) -> Iterator[Callable[[str, str], None]]:
    with (directory / "log").open("w", buffering=1) as log:

        def write(name: str, line: str) -> None:
            with contextlib.suppress(ValueError):  # closed: the last words of a process that is ending
                print(name, line, file=log)

        yield write


@contextmanager
def _postgres(plan: Plan, directory: Path) -> Iterator[str]:
    """A PostgreSQL of its own, ended with us; no address for SQLite, which is the default."""
    if plan.db != "postgres":
        yield ""
        return
    with Guard() as guard:
        command = [sys.executable, "-m", "tests.chaos.guarded_postgres"]
        # Its files are with the others of the run.
        environment = {**os.environ, "TMPDIR": str(directory)}
        server = guard.spawn(command, env=environment, stdout=subprocess.PIPE)
        assert server.stdout is not None
        with server.stdout:
            lines = iter(server.stdout)
            url = next((line for line in map(bytes.decode, lines) if line.startswith("postgresql")), "")
            if not url:
                raise RuntimeError("PostgreSQL did not start")
            yield url.strip()
            server.send_signal(signal.SIGTERM)
            server.wait(30)
