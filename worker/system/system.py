"""The whole system on this machine, as `every8d up` and the demo run it."""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit

from config import Settings
from config.account import EMULATOR_URL
from worker.system import processes
from worker.system.guard import Guard
from worker.system.lock import FileLock
from worker.system.supervisor import STOP_S, Supervisor
from worker.system.valkey import EmbeddedValkey

EMULATOR_PORT = urlsplit(EMULATOR_URL).port or 0
#: A worker takes so much longer to end than its slowest gateway call: it settles that, and waits for its threads.
STOP_MARGIN_S = 15.0


def stop_s(settings: Settings) -> float:
    """Seconds from SIGTERM to SIGKILL: longer than the longest gateway call that the settings allow."""
    slowest = max((one.call_deadline_s for one in settings.accounts.values()), default=0.0)
    return max(STOP_S, slowest + STOP_MARGIN_S)


class System:
    """Everything that `settings` leave to us: Valkey, the emulator, the ledger's tables, workers and beat.

    A context manager: leaving it ends all of it.
    """

    def __init__(
        self,
        settings: Settings,
        output: Callable[[str, str], None],
        *,
        emulator_options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`output(name, line)` gets the processes' log lines, from several threads.

        `environment` adds to that of the workers and beat.
        """
        self.settings = settings
        self._emulator_options = emulator_options
        self._environment = environment or {}
        self.guard = Guard()
        self.supervisor = Supervisor(self.guard, output)
        self._lock: FileLock | None = None
        self._valkey = EmbeddedValkey(settings.data_dir) if settings.embedded_broker else None
        self.gateway_url: str | None = None
        self._callbacks: processes.CallbackAddress | None = None

    def start_servers(self) -> None:
        """Takes the data directory, starts Valkey and the emulator where they are ours, migrates the ledger.

        Raises `lock.Held` where another system runs on this directory; NotReady, ValkeyFailed.
        """
        self.settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = FileLock(self.settings.data_dir / "up.lock")
        servers = [processes.valkey(self._valkey)] if self._valkey else []
        if self.settings.embedded_gateway:
            port = processes.free_port(EMULATOR_PORT)
            self.gateway_url = processes.gateway_url(port)
            self._callbacks = processes.CallbackAddress(processes.free_port(self.settings.web_port))
            env = processes.child_environment(self.settings)
            servers.append(processes.emulator(port, env, self._emulator_options, callbacks=self._callbacks))
        self.supervisor.start(servers)
        from worker.ledger.migrate import upgrade  # alembic: not before it is needed

        upgrade(self.settings.database_url)

    def start_engine(self) -> None:
        """Starts the workers, beat, and, where an account has a callback secret, what receives callbacks."""
        env = processes.child_environment(
            self.settings, gateway_url=self.gateway_url, callbacks=self._callbacks
        )
        env |= self._environment
        specs = processes.engine(env, loglevel=self.settings.log_level)
        if self.hears_callbacks:
            specs.append(processes.web(env))
        self.supervisor.start(specs)

    @property
    def callback_url(self) -> str | None:
        """Where this system's emulator reports to, once it runs. Whoever knows it can make reports up."""
        return self._callbacks.url if self._callbacks else None

    @property
    def hears_callbacks(self) -> bool:
        """Whether a process for callbacks is part of this system."""
        secrets = (one.callback_secret for one in self.settings.accounts.values())
        return self._callbacks is not None or any(secrets)

    def addresses(self) -> dict[str, str]:
        """Where the parts are reached, fit to print: without passwords."""
        gateways = (
            {self.gateway_url} if self.gateway_url else {one.url for one in self.settings.accounts.values()}
        )
        addresses = {
            "gateway": ", ".join(sorted(gateways)) + (" (the emulator)" if self.gateway_url else ""),
            "broker": without_password(self.settings.broker_url),
            "ledger": without_password(self.settings.database_url),
            "data": str(self.settings.data_dir),
        }
        if self.hears_callbacks:
            port = self._callbacks.port if self._callbacks else self.settings.web_port
            host = "127.0.0.1" if self._callbacks else self.settings.web_host
            addresses["callbacks"] = f"http://{host}:{port}{processes.CALLBACKS_PATH}***"
        return addresses

    def stop(self, grace_s: float | None = None, *, hurry: Callable[[], bool] | None = None) -> None:
        """Ends all of it: first the workers, then the servers. Twice is harmless.

        A process is killed after `grace_s`; None: after what the settings' calls may take.
        """
        self.supervisor.stop(stop_s(self.settings) if grace_s is None else grace_s, hurry=hurry)
        self.guard.close()
        if self._valkey:
            self._valkey.release()
        if self._lock:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> "System":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def without_password(url: str) -> str:
    """The address with `***` for its password."""
    parts = urlsplit(url)
    if not parts.password:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")))
