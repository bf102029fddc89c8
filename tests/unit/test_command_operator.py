"""The operators' commands, on a ledger in SQLite."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, insert, select, update

from every8d.command import group
from every8d.command.group import Every8d
from every8d.command.invocation import Invocation
from worker import commands, token
from worker.commands import cells
from worker.commands.sentences import SENTENCES
from worker.evidence import Reason
from worker.ledger import tables

NOW = datetime(2026, 1, 31, 4, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
REQUEST = uuid.UUID("0198c0de-0000-7000-8000-000000000001")
CHUNK = 5_000_000_000_000
NUMBER = "+886912345678"
BODY = "a text that nobody may see"


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVERY8D_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("EVERY8D_DATABASE_URL", f"sqlite:///{tmp_path / 'ledger.db'}")
    engine = create_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    tables.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(
            insert(tables.request).values(
                id=REQUEST,
                account="default",
                lane="bulk",
                state="ready",
                text=BODY,
                pack_key="p",
                header_hash="h",
                created_ms=NOW_MS,
            )
        )
        connection.execute(
            insert(tables.chunk).values(
                id=CHUNK,
                account="default",
                lane="bulk",
                state="unknown",
                operation="sendSMS",
                size=2,
                points=Decimal(2),
                worker="w",
                claimed_ms=NOW_MS,
                lease_ms=NOW_MS,
                why="read timeout [after 30 s]",
            )
        )
        for seq in range(2):
            connection.execute(
                insert(tables.message).values(
                    request_id=REQUEST,
                    seq=seq,
                    number=NUMBER[:-1] + str(seq),
                    name="王小明",
                    points=1,
                    chunk_id=CHUNK,
                    state="packed",
                )
            )
        connection.execute(
            insert(tables.reply).values(
                account="default",
                batch_id="b",
                number=NUMBER,
                text="[bold]好\x1b[31m",
                replied_ms=NOW_MS,
                stored_ms=NOW_MS,
                digest="d",
            )
        )
        connection.execute(
            insert(tables.event).values(
                at_ms=NOW_MS, kind="chunk_unknown", account="default", chunk_id=CHUNK, detail="look"
            )
        )
        connection.execute(
            insert(tables.dead_letter).values(
                at_ms=NOW_MS, task="every8d.accept", reason="an unknown field", messages=3, body=NUMBER + BODY
            )
        )
        connection.execute(
            insert(tables.account).values(
                alias="default",
                salt="s",
                breaker="open",
                breaker_code=-101,
                credit=Decimal("79.5"),
                credit_ms=NOW_MS - 600_000,
            )
        )
    yield engine
    engine.dispose()


def run(monkeypatch: pytest.MonkeyPatch, *args: str) -> Result:
    monkeypatch.setattr(group, "joined", list)
    made = Every8d(name="every8d", commands={str(one.name): one for one in commands.commands})
    invocation = Invocation(now=lambda: NOW, sleep=lambda _s: None, lang="en")
    return CliRunner().invoke(made, list(args), obj=invocation, env={"COLUMNS": "160"})


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_numbers_are_masked_unless_asked_for(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for args in (["replies"], ["messages", str(REQUEST)]):
        for extra in ([], ["--json"]):
            hidden = run(monkeypatch, *args, *extra)
            assert hidden.exit_code == 0, hidden.output
            assert "+8869•••••" in hidden.stdout
            assert "91234567" not in hidden.output
            assert "王小明" not in hidden.output
            assert NUMBER[:-1] in run(monkeypatch, *args, *extra, "--show-numbers").stdout


@pytest.mark.parametrize(
    ("number", "masked"), [(NUMBER, "+8869•••••678"), ("+81", "•••"), ("+12025550123", "+1202••••123")]
)
def test_masks(number: str, masked: str) -> None:
    assert cells.number(number, shown=False) == masked
    assert cells.number(number, shown=True) == number


def test_a_strangers_text_does_nothing_to_the_terminal(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = run(monkeypatch, "replies").stdout
    assert "[bold]好�[31m" in shown
    assert "\x1b" not in shown


def test_messages_of_a_request_that_is_not_there(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for request in (str(uuid.uuid4()), "nonsense"):
        result = run(monkeypatch, "messages", request, "--json")
        assert (result.exit_code, json.loads(result.stdout)["error"]["kind"]) == (1, "not_found")


def test_dead_bodies_never_show_what_they_hold(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for extra in ([], ["--json"]):
        shown = run(monkeypatch, "dead", *extra)
        assert "an unknown field" in shown.stdout
        assert BODY not in shown.output
        assert "91234567" not in shown.output


def test_events(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    [event] = answer(run(monkeypatch, "events", "--json"))["events"]
    assert (event["kind"], event["severity"], event["chunk"]) == (
        "chunk_unknown",
        "alert",
        token.encode(CHUNK),
    )
    assert "chunk_unknown" in run(monkeypatch, "events").stdout
    assert answer(run(monkeypatch, "events", "--kind", "other", "--json"))["events"] == []


def test_unknown_chunks_are_listed(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    [chunk] = answer(run(monkeypatch, "unknown", "--json"))["chunks"]
    assert (chunk["chunk"], chunk["messages"], chunk["requests"]) == (token.encode(CHUNK), 2, [str(REQUEST)])
    assert chunk["evidence"]["proof"] == "not_exclusive"
    assert (chunk["evidence"]["callbacks"], chunk["evidence"]["predicted"]) == (0, "2")
    shown = run(monkeypatch, "unknown").stdout
    assert "read timeout [after 30 s]" in shown
    assert f"{token.encode(CHUNK)}  unknown for 0 s; the credit proves nothing" in shown


def test_every_reason_is_said_in_both_languages() -> None:
    missing = [one for one in Reason if f"proof_{one}" not in SENTENCES]
    assert not missing


@pytest.mark.parametrize(
    ("decision", "more", "chunk_state", "message_state", "sentence"),
    [
        ("resend", ["--yes"], "not_sent", "waiting", "wait to be sent again"),
        ("accept", [], "accepted", "sent", "nothing more will be known"),
        ("accept", ["--batch-id", str(REQUEST)], "accepted", "packed", "followed by their BatchID"),
        ("refuse", [], "refused", "refused", "are refused"),
    ],
)
def test_an_operator_settles_an_unknown_chunk(
    ledger: Any,
    monkeypatch: pytest.MonkeyPatch,
    decision: str,
    more: list[str],
    chunk_state: str,
    message_state: str,
    sentence: str,
) -> None:
    who = ["--by", "Lin", "--why", "the vendor says so"]
    result = run(monkeypatch, "unknown", decision, token.encode(CHUNK), *who, *more)
    assert result.exit_code == 0, result.output
    assert sentence in result.stdout
    with ledger.connect() as connection:
        row = connection.execute(select(tables.chunk.c.state, tables.chunk.c.settled_by)).one()
        assert tuple(row) == (chunk_state, "Lin")
        assert set(connection.scalars(select(tables.message.c.state))) == {message_state}
    again = run(monkeypatch, "unknown", decision, token.encode(CHUNK), *who, *more, "--json")
    assert (again.exit_code, json.loads(again.stdout)["error"]["kind"]) == (1, "wrong_state")


def test_who_and_why_are_asked_for(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for args in (["unknown", "refuse", "X"], ["accounts", "unblock", "default"]):
        assert run(monkeypatch, *args, "--by", "Lin").exit_code == 2
    bad = ["unknown", "accept", token.encode(CHUNK), "--batch-id", "x", "--by", "Lin", "--why", "w"]
    assert run(monkeypatch, *bad).exit_code == 2


def test_accounts_show_their_breaker_and_are_unblocked(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = run(monkeypatch, "accounts")
    assert shown.exit_code == 0, shown.output
    assert "OPEN -101" in shown.stdout
    [account] = answer(run(monkeypatch, "accounts", "--account", "default", "--json"))["accounts"]
    assert (account["breaker"], account["credit"]) == ("open", "79.5")
    assert account["session"]["present"] is None  # no Redis here, and the rest is told all the same
    done = answer(
        run(monkeypatch, "accounts", "unblock", "default", "--by", "Lin", "--why", "mended", "--json")
    )
    assert done["was"] == "open"
    assert "normal" in run(monkeypatch, "accounts").stdout


def test_credit_as_last_heard(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = run(monkeypatch, "credit").stdout
    assert "79.5" in shown
    assert "10 min ago" in shown
    missing = run(monkeypatch, "credit", "--account", "nobody", "--json")
    assert (missing.exit_code, json.loads(missing.stdout)["error"]["kind"]) == (1, "no_account")


def test_credit_shows_what_waits_for_a_top_up(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Held" not in run(monkeypatch, "credit").stdout
    with ledger.begin() as connection:
        connection.execute(update(tables.message).values(state="no_credit"))
        held = {"next_due_ms": NOW_MS, "paused_ms": NOW_MS, "paused_by": "credit", "points": 1500}
        connection.execute(update(tables.request).values(held))
    [account] = answer(run(monkeypatch, "credit", "--json"))["accounts"]
    assert (account["credit"], account["held"]) == ("79.5", 1502)
    assert "1,502" in run(monkeypatch, "credit").stdout


def test_without_a_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERY8D_DATA_DIR", str(tmp_path))
    result = run(monkeypatch, "events", "--json")
    assert (result.exit_code, json.loads(result.stdout)["error"]["kind"]) == (4, "ledger_missing")
