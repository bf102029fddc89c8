"""`every8d callbacks`, on a ledger in SQLite."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from every8d.command import group
from every8d.command.group import Every8d
from every8d.command.invocation import Invocation
from tests.support import inbox
from worker import commands, token
from worker.ledger.database import Database
from worker.ledger.tables import metadata
from worker.reports import Reason

NOW = datetime(2026, 1, 31, 4, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
CHUNK = token.new_id(NOW_MS)
NUMBER = "+886912345678"


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVERY8D_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("EVERY8D_DATABASE_URL", f"sqlite:///{tmp_path / 'ledger.db'}")
    one = Database(f"sqlite:///{tmp_path / 'ledger.db'}", clock=lambda: NOW_MS)
    metadata.create_all(one.engine)
    yield one
    one.close()


def run(monkeypatch: pytest.MonkeyPatch, *args: str, lang: str = "en") -> Result:
    monkeypatch.setattr(group, "joined", list)
    made = Every8d(name="every8d", commands={str(one.name): one for one in commands.commands})
    invocation = Invocation(now=lambda: NOW, sleep=lambda _s: None, lang=lang)
    return CliRunner().invoke(made, ["callbacks", *args], obj=invocation, env={"COLUMNS": "220"})


def answer(monkeypatch: pytest.MonkeyPatch, *args: str) -> Any:
    result = run(monkeypatch, *args, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def lost(**fields: Any) -> dict[str, Any]:
    return {"state": "unmatched", "reason": "no_chunk", "number": NUMBER, "batch_id": "b"} | fields


def test_what_fits_nothing_is_counted_and_listed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "0 callbacks wait" in run(monkeypatch).stdout
    inbox.bring(
        database,
        lost(received_ms=NOW_MS - 7_200_000, look_ms=NOW_MS + 60_000, looks=9),
        lost(account="shop", chunk_id=CHUNK, token=CHUNK, reason="said_not_sent", look_ms=None, status=None),
        {"state": "waiting"},
        {"state": "matched", "look_ms": None},
    )
    found = answer(monkeypatch)
    assert (found["waiting"], found["unmatched"]) == (1, 2)
    second, first = found["callbacks"]
    assert (first["account"], first["status"], first["reason"], first["looks"]) == (
        "default",
        100,
        "no_chunk",
        9,
    )
    assert (first["batch_id"], first["chunk"], second["chunk"]) == ("b", None, token.encode(CHUNK))
    assert (second["reason"], second["again_at"]) == ("said_not_sent", None)
    shown = run(monkeypatch).stdout
    assert "1 callbacks wait to be matched; 2 fit no message." in shown
    assert token.encode(CHUNK) in shown
    assert "2026-01-31 12:01:00" in shown
    assert "may go out twice" in shown
    assert [one["account"] for one in answer(monkeypatch, "--account", "shop")["callbacks"]] == ["shop"]
    assert answer(monkeypatch, "--account", "shop")["waiting"] == 0
    assert len(answer(monkeypatch, "--since", "1h")["callbacks"]) == 1
    assert len(answer(monkeypatch, "--limit", "1")["callbacks"]) == 1


def test_numbers_are_masked_and_what_strangers_wrote_does_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.bring(database, lost(), lost(batch_id="[bold]\x1b[31m"))
    for extra in ([], ["--json"]):
        hidden = run(monkeypatch, *extra)
        assert "+8869•••••678" in hidden.stdout
        assert NUMBER not in hidden.output
        assert "\x1b" not in hidden.output
        assert NUMBER in run(monkeypatch, *extra, "--show-numbers").stdout
    assert "[bold]�[31m" in run(monkeypatch).stdout


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_reason_has_its_words(database: Database, monkeypatch: pytest.MonkeyPatch, lang: str) -> None:
    # A call under way keeps its callbacks waiting.
    reasons = [reason for reason in Reason if reason is not Reason.SUBMITTING]
    inbox.bring(database, *[lost(reason=reason) for reason in reasons])
    shown = run(monkeypatch, lang=lang)
    assert shown.exit_code == 0, shown.output
    assert not [reason for reason in reasons if reason in shown.output]
