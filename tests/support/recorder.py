"""`every8d` in the test's own process, with a producer that records what it is given."""

import json
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from click.testing import CliRunner, Result

from every8d.command import main
from every8d.command.invocation import Invocation
from every8d.ids import request_id
from every8d.message import Message
from every8d.producererrors import InvalidRows
from every8d.receipt import Receipt, RequestStatus
from every8d.seal import RowError

NOW = datetime(2026, 1, 31, 4, 0, tzinfo=UTC)
URL = "redis://broker.example/0"


@dataclass
class Recorder:
    """A producer that keeps what it was given, and answers as it is told."""

    fails: Callable[[uuid.UUID], Exception] | None = None
    statuses: list[RequestStatus] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    made: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, list[Any], dict[str, Any]]] = field(default_factory=list)

    def __call__(self, url: str, **options: Any) -> "Recorder":
        self.urls.append(url)
        self.made = options
        return self

    def send(self, to: str, text: str, **options: Any) -> Receipt:
        return self._answer("send", [Message(to)], {"text": text, **options})

    def send_many(self, messages: Iterable[Any], **options: Any) -> Receipt:
        rows = list(messages)
        self.calls.append(("send_many", rows, options))
        bad = [place for place, row in enumerate(rows, 1) if not isinstance(row, Message)]
        if bad:
            raise InvalidRows(
                tuple(RowError(place, "not_a_message") for place in bad), len(bad), uuid.UUID(int=7)
            )
        self.calls.pop()
        return self._answer("send_many", rows, options)

    def _answer(self, name: str, rows: list[Any], options: dict[str, Any]) -> Receipt:
        self.calls.append((name, rows, options))
        request = request_id(self.made.get("account", "default"), options["idempotency_key"])
        if self.fails:
            raise self.fails(request)
        return Receipt(request, "default", options["lane"], len(rows), len(rows), 1, 0, confirmed=True)

    def status(self, request: str) -> RequestStatus:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


def run(recorder: Recorder, *args: str, stdin: bytes | None = None) -> Result:
    """What a command printed, and its exit code."""
    called = Invocation(make_producer=recorder, now=lambda: NOW, sleep=lambda _s: None, lang="en")
    environ = {"EVERY8D_BROKER_URL": URL, "COLUMNS": "120", "EVERY8D_ABROAD": ""}
    return CliRunner().invoke(main, list(args), obj=called, env=environ, input=stdin)


def answer(result: Result) -> Any:
    """The one object that --json prints."""
    assert result.stdout.count("\n") == 1, result.stdout
    parsed = json.loads(result.stdout)
    assert parsed["exit"] == result.exit_code
    assert parsed["ok"] == (result.exit_code == 0)
    return parsed
