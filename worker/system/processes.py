"""The processes of a whole system on one machine, and the environment that makes them one."""

import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from config import Settings
from config.account import EMULATOR_URL
from worker.lanes import LANES, beat_arguments, worker_arguments
from worker.system.valkey import EmbeddedValkey

#: Of the addresses that callbacks go to; the secret follows.
CALLBACKS_PATH = "/callbacks/every8d/"

_ROOT = "ignore:You're running the worker with superuser privileges"


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process to keep running. Its environment may hold a password, so no repr shows it; None is ours."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] | None = field(default=None, repr=False)
    nice: int = 0
    #: Stages start in order, and end in the opposite one: servers first and last.
    stage: int = 1
    #: For servers: whether it can be used. The next stage waits for it.
    ready: Callable[[], bool] | None = None


@dataclass(frozen=True, slots=True)
class CallbackAddress:
    """Where our own web process hears the callbacks of our own emulator."""

    port: int
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def url(self) -> str:
        """What the emulator is told."""
        return f"http://127.0.0.1:{self.port}{CALLBACKS_PATH}{self.secret}"


def child_environment(
    settings: Settings, *, gateway_url: str | None = None, callbacks: CallbackAddress | None = None
) -> dict[str, str]:
    """The environment of every child: ours, with what was resolved here: all share one broker and one ledger.

    `gateway_url` is the emulator's address where the system runs one; the account is then the emulator's own, and
    `callbacks` is where that reports to.
    """
    env = dict(os.environ)
    env |= {
        "EVERY8D_DATA_DIR": str(settings.data_dir),
        "EVERY8D_BROKER_URL": settings.broker_url,
        "EVERY8D_REDIS_URL": settings.redis_url,
        "EVERY8D_DATABASE_URL": settings.database_url,
        # A log line is to be seen when it is written, not when a buffer is full.
        "PYTHONUNBUFFERED": "1",
        # Celery's advice against root is for production; in a container, root is all there is.
        "PYTHONWARNINGS": ",".join(filter(None, [env.get("PYTHONWARNINGS"), _ROOT])),
    }
    if gateway_url is not None:
        env |= {
            "EVERY8D_ACCOUNTS__DEFAULT__URL": gateway_url,
            "EVERY8D_ACCOUNTS__DEFAULT__USER_ID": "demo",
            "EVERY8D_ACCOUNTS__DEFAULT__PASSWORD": "demo",
        }
    if callbacks is not None:
        env |= {
            "EVERY8D_WEB_HOST": "127.0.0.1",
            "EVERY8D_WEB_PORT": str(callbacks.port),
            "EVERY8D_ACCOUNTS__DEFAULT__CALLBACKS": "true",
            "EVERY8D_ACCOUNTS__DEFAULT__CALLBACK_SECRET": callbacks.secret,
        }
    return env


def emulator(
    port: int,
    env: Mapping[str, str],
    options: Iterable[str] = (),
    *,
    callbacks: CallbackAddress | None = None,
) -> ProcessSpec:
    """The emulator, on this port of the loopback address; it reports to `callbacks`."""
    if callbacks is not None:
        # Not as an option, which every user of the machine could read in the list of processes.
        env = {**env, "EMULATOR_CALLBACK_URL": callbacks.url}
    command = (sys.executable, "-m", "every8d.emulator", "--port", str(port), *options)
    return ProcessSpec("emulator", command, env, stage=0, ready=lambda: listens(port))


def valkey(server: EmbeddedValkey) -> ProcessSpec:
    """The embedded Valkey. Takes its data directory. Raises `lock.Held`, ValkeyFailed."""
    return ProcessSpec("valkey", tuple(server.prepare()), stage=0, ready=server.answers)


def engine(env: Mapping[str, str], *, loglevel: str = "INFO") -> list[ProcessSpec]:
    """A worker process for each lane, and beat."""
    celery = (sys.executable, "-m", "celery")
    workers = [
        ProcessSpec(name, (*celery, *worker_arguments(name, loglevel=loglevel)), env, nice=lane.nice)
        for name, lane in LANES.items()
    ]
    return [*workers, ProcessSpec("beat", (*celery, *beat_arguments(loglevel=loglevel)), env)]


def web(env: Mapping[str, str]) -> ProcessSpec:
    """What receives the gateway's callbacks, on the port of the environment's settings."""
    # -P: a folder `web` where the command was called is somebody else's.
    return ProcessSpec("web", (sys.executable, "-P", "-m", "web"), env)


def gateway_url(port: int) -> str:
    """The emulator's service address on this port."""
    return EMULATOR_URL.replace(f":{urlsplit(EMULATOR_URL).port}", f":{port}")


def listens(port: int) -> bool:
    """Whether somebody accepts connections on this port of the loopback address."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def free_port(preferred: int) -> int:
    """The preferred port of the loopback address, or any other where that is taken."""
    for port in (preferred, 0):
        with socket.socket() as probe, suppress(OSError):
            # As servers do: a port whose last connections still fade away is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise OSError("no free port on the loopback address")
