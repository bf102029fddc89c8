"""Steering an emulator from a test or a bench: the control API, typed, over one kept connection a thread."""

import http.client
import json
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Self
from urllib.parse import quote, urlencode, urlsplit

#: Where the gateway takes SOAP calls; any path may come before it.
PATH = "/API21/SOAP/SMS.asmx"


class ControlError(Exception):
    """The emulator refused what it was asked; the message is its own."""


class Arrival(NamedTuple):
    """A message that was accepted. `received` is seconds since the epoch by the machine's clock."""

    number: str
    received: float
    subject: str
    messages: int  # in the same call


class Doubled(NamedTuple):
    """A text that was sent to a number more than once."""

    number: str
    sha256: str
    executions: int


class Summary(NamedTuple):
    """What was really sent: see `every8d.emulator.report`."""

    total: int  # messages sent
    distinct: int  # pairs of number and text among them
    doubled_count: int  # pairs sent more than once
    doubled: list[Doubled]  # the first thousand of them
    batches: int
    accepted: int  # messages in batches, sent or not
    booked: int
    unsent: int
    cancelled: int
    forbidden: int
    points: int


class Control:
    """The control API of the emulator at `base_url` (`http://127.0.0.1:8021`; a path behind it is ignored).

    Safe to share between threads. Raises ControlError for a refusal, OSError where there is no emulator.
    """

    def __init__(self, base_url: str, *, timeout_s: float = 30.0) -> None:
        parts = urlsplit(base_url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._timeout_s = timeout_s
        self._local = threading.local()

    @property
    def gateway_url(self) -> str:
        """Where the emulated gateway takes SOAP calls."""
        return f"http://{self._host}:{self._port}{PATH}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    # --- what happened

    def ping(self) -> None:
        """Raise OSError unless the emulator answers."""
        self._get("ping")

    def stats(self) -> dict[str, Any]:
        """`calls` by operation and outcome; `total_calls`, `(refused_)logins`, `(max_)in_flight`, `accepted`."""
        found: dict[str, Any] = self._get("stats")
        return found

    def calls(self, operation: str, outcome: str | None = None) -> int:
        """How many calls of an operation were answered so: `ok`, `-301`, `fault drop`, … (None: all)."""
        outcomes: dict[str, int] = self.stats()["calls"].get(operation, {})
        return sum(outcomes.values()) if outcome is None else outcomes.get(outcome, 0)

    def accepted(self) -> int:
        """Messages in batches so far: quick however many there are, so fit for asking again and again."""
        return int(self.stats()["accepted"])

    def logins(self) -> int:
        """Good calls of getConnection."""
        return int(self.stats()["logins"])

    def summary(self) -> Summary:
        """Totals and doubles, quickly, however many messages there are."""
        found = self._get("sent/summary")
        found["doubled"] = [Doubled(**pair) for pair in found["doubled"]]
        return Summary(**found)

    def statuses(self) -> dict[int, int]:
        """Messages by delivery status, now."""
        return {int(status): count for status, count in self._get("statuses").items()}

    def sent(
        self,
        *,
        number: str | None = None,
        batch: str | None = None,
        subject: str | None = None,
        text: bool = False,
        everything: bool = False,
        offset: int = 0,
        limit: int = 1000,
    ) -> list[dict[str, Any]]:
        """Messages sent, oldest first: number, sha256, subject, batch, position, account, received, executed,
        executions, status, cost, name, email, text if asked for. `everything`: also the booked and kept.
        """
        wanted = {"number": number, "batch": batch, "subject": subject, "offset": offset, "limit": limit}
        wanted["text"], wanted["everything"] = int(text), int(everything)
        messages: list[dict[str, Any]] = self._get("sent", **wanted)["messages"]
        return messages

    def arrivals(
        self, *, since: float = 0.0, most_messages: int = 0, subject: str | None = None
    ) -> list[Arrival]:
        """Every accepted message with the time when its call arrived (`time.time()` of this machine).

        `most_messages` 1 leaves out calls of more than one message; 0 leaves out none.
        """
        rows = self._get("arrivals", since=since, most_messages=most_messages, subject=subject)["arrivals"]
        return [Arrival(*row) for row in rows]

    def callbacks(self) -> dict[str, int]:
        """Delivery reports: `due`, `attempts`, `stored`, `given_up`, `pending`."""
        found: dict[str, int] = self._get("callbacks")
        return found

    def credit(self, user_id: str = "demo") -> str:
        """The account's points, such as `1230.00`."""
        return str(self.accounts()[user_id]["credit"])

    def accounts(self) -> dict[str, dict[str, Any]]:
        """`credit`, `abroad`, `locked`, `bad_logins` by userID."""
        found: dict[str, dict[str, Any]] = self._get("accounts")
        return found

    def wait(
        self, until: Callable[["Control"], bool], *, within_s: float = 10.0, every_s: float = 0.02
    ) -> None:
        """Look until the condition holds; raise TimeoutError where it does not in time."""
        end = time.monotonic() + within_s
        while not until(self):
            if time.monotonic() > end:
                raise TimeoutError(f"the emulator did not get there within {within_s} s")
            time.sleep(every_s)

    # --- what shall happen

    def reset(self) -> None:
        """As freshly started."""
        self._post("reset")

    def fault(self, kind: str, operation: str = "*", **more: Any) -> None:
        """Add a fault: see `every8d.emulator.faults` for the kinds, and for what `more` may name."""
        self._post("faults", kind=kind, operation=operation, **more)

    def faults(self) -> list[dict[str, Any]]:
        """The faults with their `hits`."""
        found: list[dict[str, Any]] = self._get("faults")["faults"]
        return found

    def clear_faults(self) -> None:
        """No more faults."""
        self._call("DELETE", "faults")

    def seed(self, seed: int) -> None:
        """Repeat the choice of which calls a fault's `share` hits."""
        self._post("seed", seed=seed)

    def busy_logins(self, times: int) -> None:
        """The next logins get -97."""
        self.fault("code", "getConnection", code=-97, count=times)

    def switch(self, **switches: Any) -> None:
        """Set switches by name: see `every8d.emulator.switches`."""
        self._post("switches", **switches)

    def network(self, **changes: Any) -> None:
        """`latency_ms`, `deliver_after_s`, `fail_permille`, `reply_permille`."""
        self._post("network", **changes)

    def callback_to(self, url: str | None, **more: Any) -> None:
        """Report on batches accepted from now on; `method`, `charset`, `retry_s`, `retries`."""
        self._post("callback", url=url, **more)

    def down(self, seconds: float) -> None:
        """Refuse every connection for a while, this API's too."""
        self._post("down", seconds=seconds)
        self.close()

    def now(self) -> float:
        """The emulator's clock, seconds since the epoch."""
        return float(self._get("clock")["now"])

    def advance(self, seconds: float) -> None:
        """Move the emulator's clock forward."""
        self._post("clock", advance_s=seconds)

    def move_clock(self, to: str | float) -> None:
        """Set the emulator's clock: ISO 8601 with an offset, or seconds since the epoch."""
        self._post("clock", to=to)

    def create_account(
        self, user_id: str, password: str, *, credit: float | str = 0, abroad: bool = False
    ) -> None:
        """Open an account, or replace it."""
        self._post("accounts", user_id=user_id, password=password, credit=credit, abroad=abroad)

    def change_account(self, user_id: str = "demo", **changes: Any) -> None:
        """`add_credit`, `set_credit`, `abroad`, `locked`, `password`, `void_keys`."""
        self._post("account", user_id=user_id, **changes)

    def add_credit(self, points: float | str, user_id: str = "demo") -> None:
        """Top up."""
        self.change_account(user_id, add_credit=points)

    def lock(self, user_id: str = "demo") -> None:
        """Lock the account: -999 until unlocked."""
        self.change_account(user_id, locked=True)

    def unlock(self, user_id: str = "demo") -> None:
        """Unlock it and forget its bad logins."""
        self.change_account(user_id, locked=False)

    def void_keys(self, user_id: str = "demo") -> None:
        """End the account's session, as another system's closeConnection does: the next call gets -301."""
        self.change_account(user_id, void_keys=True)

    # --- the wire

    def _get(self, path: str, **query: Any) -> Any:
        given = {name: value for name, value in query.items() if value is not None}
        return self._call("GET", path + ("?" + urlencode(given, quote_via=quote) if given else ""))

    def _post(self, path: str, **body: Any) -> Any:
        return self._call("POST", path, json.dumps(body).encode())

    def _call(self, method: str, path: str, body: bytes | None = None) -> Any:
        kept = getattr(self._local, "connection", None)
        try:
            return self._once(kept or self._connect(), method, path, body)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self.close()
            # A kept connection may have been closed while it was idle; a fresh one has no such excuse.
            if kept is None or method == "POST":
                raise
            return self._once(self._connect(), method, path, body)

    def _connect(self) -> http.client.HTTPConnection:
        self._local.connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        connection: http.client.HTTPConnection = self._local.connection
        return connection

    def _once(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None
    ) -> Any:
        try:
            connection.request(method, f"/control/{path}", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        except BaseException:
            self.close()
            raise
        if response.status != 200:
            raise ControlError(answer.get("error", f"HTTP {response.status}"))
        return answer
