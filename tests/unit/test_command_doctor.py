"""`every8d doctor` at the command line, where no server runs: what it prints, and its exit codes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from every8d.command import group
from every8d.command.group import Every8d
from every8d.command.invocation import Invocation
from worker import commands
from worker.doctor import examination
from worker.doctor.finding import Finding, ok, problem, warning


def run(monkeypatch: pytest.MonkeyPatch, place: Path, *args: str) -> Result:
    monkeypatch.chdir(place)
    monkeypatch.setenv("EVERY8D_DATA_DIR", str(place))
    monkeypatch.setattr(group, "joined", list)
    made = Every8d(name="every8d", commands={str(one.name): one for one in commands.commands})
    return CliRunner().invoke(made, ["doctor", *args], obj=Invocation(lang="en"), env={"COLUMNS": "160"})


def test_without_servers_it_says_so_and_ends_with_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = run(monkeypatch, tmp_path, "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["ok"], told["exit"], told["healthy"]) == (1, False, 1, False)
    assert {one["check"] for one in told["findings"]} == set(examination.CHECKS)
    redis = next(one for one in told["findings"] if one["check"] == "eviction")
    assert (redis["verdict"], redis["kind"]) == ("unseen", "redis_away")
    assert "EVERY8D_BROKER_URL" in redis["advice"]
    # It has looked, and made nothing.
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", ["Redis: eviction", "NOT SEEN", "→ start Redis", "Put right what is marked"]),
        ("zh", ["Redis 淘汰策略", "無法檢查", "→ 請啟動 Redis", "請處理標示的項目"]),
    ],
)
def test_both_languages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lang: str, words: list[str]) -> None:
    shown = run(monkeypatch, tmp_path, "--lang", lang)
    assert shown.exit_code == 1
    for word in words:
        assert word in shown.output


STRANGE = {"worker": "\x1b[31m[bold]evil", "queues": "celery"}
ENDINGS: dict[str, tuple[list[Finding], int]] = {
    "well": ([ok("spool", "spool_empty")], 0),
    "a warning": ([ok("spool", "spool_empty"), warning("flower", "flower_local")], 0),
    "a problem": ([ok("spool", "spool_empty"), problem("lanes", "lane_eaten", **STRANGE)], 1),
}


@pytest.mark.parametrize(("found", "code"), ENDINGS.values(), ids=ENDINGS)
def test_exit_codes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, found: list[Finding], code: int) -> None:
    monkeypatch.setattr(examination, "examine", lambda _deployment: found)
    shown = run(monkeypatch, tmp_path)
    assert shown.exit_code == code
    assert ("Nothing must be put right" in shown.output) == (code == 0)
    # What another program called its worker does nothing here.
    assert "\x1b" not in shown.output
    assert ("[bold]evil" in shown.output) == (code == 1)
    told = json.loads(run(monkeypatch, tmp_path, "--json").stdout)
    assert (told["exit"], [one["verdict"] for one in told["findings"]]) == (
        code,
        [one.verdict for one in found],
    )


@pytest.mark.parametrize("args", [["--web", "sms.example.com"], ["--flower", "ftp://x"], ["--wait", "0"]])
def test_wrong_usage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, args: list[str]) -> None:
    assert run(monkeypatch, tmp_path, *args).exit_code == 2
