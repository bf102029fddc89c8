"""`every8d pause` and `resume`, and where pauses show: accounts, messages, status; in both languages."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from every8d.command import follow, tables
from every8d.command.invocation import Invocation
from every8d.receipt import Pause, RequestStatus, read_status
from tests.unit.test_command_operator import NOW, REQUEST, answer, run
from tests.unit.test_command_operator import ledger as ledger

WHO = ["--by", "Lin", "--why", "a wrong text"]
TARGETS = {
    "account": ["account", "default"],
    "lane": ["lane", "default", "bulk"],
    "request": ["request", str(REQUEST)],
}


@pytest.mark.parametrize("what", TARGETS)
def test_pausing_and_resuming(ledger: Any, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    done = answer(run(monkeypatch, "pause", *TARGETS[what], *WHO, "--json"))
    assert (done["command"], done["account"], done["by"], done["why"], done["under_way"]) == (
        f"pause {what}",
        "default",
        "Lin",
        "a wrong text",
        0,
    )
    [one] = answer(run(monkeypatch, "pause", "--json"))["paused"]
    assert (one["what"], one["account"], one["by"], one["why"]) == (what, "default", "Lin", "a wrong text")
    assert datetime.fromisoformat(one["since"]).tzinfo is not None
    assert "a wrong text (Lin, since " in run(monkeypatch, "pause").stdout
    assert answer(run(monkeypatch, "pause", "--account", "shop", "--json"))["paused"] == []
    done = answer(run(monkeypatch, "resume", *TARGETS[what], "--by", "Wang", "--why", "right", "--json"))
    assert (done["command"], done["was"]["by"], done["still"]) == (f"resume {what}", "Lin", [])
    again = run(monkeypatch, "resume", *TARGETS[what], *WHO, "--json")
    assert (again.exit_code, json.loads(again.stdout)["error"]["kind"]) == (1, "not_paused")
    assert "Nothing" in run(monkeypatch, "pause").stdout


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", ["Account default is paused", "But Account default / bulk", "goes on"]),
        ("zh", ["已暫停帳號 default", "但通道 default / bulk仍暫停中", "已恢復發送編號"]),
    ],
)
def test_both_languages(ledger: Any, monkeypatch: pytest.MonkeyPatch, lang: str, words: list[str]) -> None:
    shown = run(monkeypatch, "pause", *TARGETS["account"], *WHO, "--lang", lang).output
    for what in ("lane", "request"):
        run(monkeypatch, "pause", *TARGETS[what], *WHO)
    run(monkeypatch, "resume", *TARGETS["account"], *WHO)
    shown += run(monkeypatch, "resume", *TARGETS["request"], *WHO, "--lang", lang).output
    for one in words:
        assert one.replace("Account default / bulk", "Lane default / bulk") in shown
    wrong = run(monkeypatch, "resume", *TARGETS["account"], *WHO, "--lang", lang).output
    assert ("is not paused" if lang == "en" else "並未暫停") in wrong


@pytest.mark.parametrize(
    "args",
    [
        ["pause", "account", "default", "--by", "Lin"],
        ["pause", "account", "default", "--why", "w"],
        ["pause", "lane", "default", "fast", *WHO],
        # A pause by these names would be taken for one that ends by itself.
        ["pause", "account", "default", "--by", "credit", "--why", "w"],
        ["pause", "account", "default", "--by", " ", "--why", "w"],
        ["pause", "account", "default", "--by", "x" * 65, "--why", "w"],
        ["resume"],
    ],
)
def test_who_why_and_what_are_asked_for(
    ledger: Any, monkeypatch: pytest.MonkeyPatch, args: list[str]
) -> None:
    assert run(monkeypatch, *args).exit_code == 2
    assert answer(run(monkeypatch, "pause", "--json"))["paused"] == []


@pytest.mark.parametrize("args", [["account", "nobody"], ["lane", "nobody", "otp"], ["request", "nonsense"]])
def test_what_is_not_there(ledger: Any, monkeypatch: pytest.MonkeyPatch, args: list[str]) -> None:
    for verb in ("pause", "resume"):
        result = run(monkeypatch, verb, *args, *WHO, "--json")
        assert (result.exit_code, json.loads(result.stdout)["error"]["kind"]) == (1, "not_found")


def test_accounts_and_messages_show_pauses(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for what in TARGETS:
        run(monkeypatch, "pause", *TARGETS[what], "--by", f"Lin of {what}", "--why", f"\x1b[31mwhy {what}")
    shown = run(monkeypatch, "accounts").stdout
    messages = run(monkeypatch, "messages", str(REQUEST)).stdout
    for what in ("account", "lane"):
        assert f"why {what}" in "".join(shown.split("\n")) or f"Lin of {what}" in shown
    assert "requests: 1" in shown
    for what in TARGETS:
        assert f"why {what} (Lin of {what}, since " in messages
    assert "\x1b" not in shown + messages
    [account] = answer(run(monkeypatch, "accounts", "--json"))["accounts"]
    assert [(one["what"], one["by"]) for one in account["pauses"]] == [
        ("account", "Lin of account"),
        ("lane", "Lin of lane"),
    ]
    assert account["paused_requests"] == 1
    found = answer(run(monkeypatch, "messages", str(REQUEST), "--json"))
    assert [one["what"] for one in found["paused"]] == list(TARGETS)
    done = answer(run(monkeypatch, "accounts", "unblock", "default", *WHO, "--json"))
    assert [one["by"] for one in done["still"]] == ["Lin of account"]


def test_a_status_tells_its_pauses() -> None:
    paused = {"what": "lane", "by": "limit", "why": "50 of 50 points", "since": "2026-01-31T03:00:00+00:00"}
    status = read_status(REQUEST, {"state": "sending", "count": 2, "messages": {}, "paused": [paused]})
    since = datetime(2026, 1, 31, 3, tzinfo=UTC)
    assert status.paused == (Pause("lane", "limit", "50 of 50 points", since),)
    assert follow.status_json(status)["paused"] == [paused | {"since": since}]
    for lang, told in (
        ("en", "50 of 50 points (the limit on points, since 01-31 11:00)"),
        ("zh", "50 of 50 points（點數上限，自 01-31 11:00 起）"),
    ):
        invocation = Invocation(now=lambda: NOW, lang=lang)  # type: ignore[arg-type]
        assert told in follow._line(invocation, status)
        with invocation.out.capture() as shown:
            invocation.out.width = 120
            invocation.out.print(tables.request(invocation, status))
        assert told in shown.get()


def test_a_status_of_an_older_worker_has_none() -> None:
    status = read_status(REQUEST, {"state": "done", "count": 1, "messages": {}, "final": True})
    assert status == RequestStatus(REQUEST, None, None, "done", 1, {}, Decimal(0), True)
