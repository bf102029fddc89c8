"""The command `every8d` itself: its list, other distributions' commands, languages; status and cancel."""

import json
import re
import subprocess
import sys
import uuid
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from every8d.command import follow, group, words
from every8d.command.group import Every8d, main
from every8d.command.invocation import Invocation
from every8d.command.lazy import LazyCommand
from every8d.producererrors import BrokerUnreachable, NoAnswer
from every8d.receipt import Cancelled, RequestStatus

REQUEST = uuid.UUID("0198c0de-0000-7000-8000-000000000001")


def invoke(producer: Any, *args: str) -> Any:
    invocation = Invocation(make_producer=lambda _url, **_options: producer, broker="memory://", lang="en")
    return CliRunner().invoke(main, list(args), obj=invocation, env={"COLUMNS": "100"})


class Entry(SimpleNamespace):
    """An entry point of another distribution."""

    def load(self) -> Any:
        if isinstance(self.commands, Exception):
            raise self.commands
        return self.commands


def joined(monkeypatch: pytest.MonkeyPatch, **entries: Any) -> Every8d:
    found = [
        Entry(name=name, module=name, dist=SimpleNamespace(name=f"{name}-dist"), commands=commands)
        for name, commands in entries.items()
    ]
    monkeypatch.setattr(group, "joined", lambda: found)
    return Every8d(name="every8d")


@click.command()
def extra() -> None:
    """An extra command."""
    click.echo("extra runs")


def test_commands_of_other_distributions_join(monkeypatch: pytest.MonkeyPatch) -> None:
    made = joined(monkeypatch, more=[extra])
    assert CliRunner().invoke(made, ["extra"]).output == "extra runs\n"
    assert "An extra command." in CliRunner().invoke(made, ["--help"]).output


def test_a_broken_distribution_is_named_and_breaks_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    made = joined(monkeypatch, broken=ImportError("no module x"), more=[extra])
    help_text = CliRunner().invoke(made, ["--help"]).output
    assert "broken-dist" in help_text
    assert "An extra command." in help_text
    assert CliRunner().invoke(made, ["extra"]).exit_code == 0
    missing = CliRunner().invoke(made, ["unheard", "--json"])
    assert missing.exit_code == 2
    assert "broken-dist" in json.loads(missing.stdout)["error"]["message"]


def test_our_own_commands_do_not_look_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    made = joined(monkeypatch)
    monkeypatch.setattr(group, "joined", lambda: pytest.fail("looked for other distributions"))
    assert CliRunner().invoke(made, ["price", "x"]).exit_code == 0


def test_a_missing_extra_says_what_to_install() -> None:
    made = click.Group(
        commands=[LazyCommand("gone", "no_such_package.x:y", "Gone.", install="every8d[gone]")]
    )
    made = Every8d(name="every8d", commands=made.commands)
    result = CliRunner().invoke(made, ["gone", "--json"])
    error = json.loads(result.stdout)["error"]
    assert (result.exit_code, error["kind"]) == (2, "missing_extra")
    assert "no_such_package" in error["message"]
    assert "every8d[gone]" in error["advice"]


def test_help_and_a_price_import_neither_celery_nor_zeep() -> None:
    code = (
        "import sys; from every8d.command.group import main\n"
        "for args in (['--help'], ['send', '--help'], ['price', 'x']):\n"
        "    try: main(args)\n"
        "    except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'celery', 'kombu', 'redis', 'zeep', 'lxml', 'aiohttp', 'sqlalchemy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_tells_the_exit_codes_of_every_command() -> None:
    for args in (
        ["--help"],
        ["send", "--help"],
        ["status", "--help"],
        ["cancel", "--help"],
        ["price", "--help"],
    ):
        text = CliRunner().invoke(main, args).output
        assert "Exit codes:" in text
        assert "  3  not confirmed" in text


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "zh_TW.UTF-8"}, "zh"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "zh_TW.UTF-8"}, "zh"),
        ({"LANG": "zh_TW.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "zh_TW", "LC_MESSAGES": "", "LC_ALL": ""}, "zh"),
    ],
)
def test_the_language_of_the_environment(environ: dict[str, str], language: str) -> None:
    assert words.language(environ) == language


def test_every_sentence_takes_the_same_values_in_both_languages() -> None:
    from string import Formatter

    for key, (english, chinese) in words.SENTENCES.items():
        fields = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in (english, chinese)]
        assert fields[0] == fields[1], key


def test_messages_in_chinese() -> None:
    result = CliRunner().invoke(main, ["--lang", "zh", "send", "02-23456789", "--text", "x"])
    assert "市話門號" in result.stderr
    assert "未發送任何簡訊" in result.stderr


def producer(**answers: Any) -> Any:
    def call(answer: Any) -> Any:
        def method(_request: str) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        return method

    return SimpleNamespace(**{name: call(answer) for name, answer in answers.items()})


def status(state: str, final: bool = False, **messages: int) -> RequestStatus:
    return RequestStatus(
        REQUEST, "default", "bulk", state, sum(messages.values()), messages, Decimal("2.00"), final
    )


def test_status_shows_counts() -> None:
    found = producer(status=status("sending", delivered=1200, unknown=3))
    result = invoke(found, "status", str(REQUEST))
    assert result.exit_code == 0
    assert "1,200" in result.stdout
    assert "outcome unknown" in result.stdout
    parsed = json.loads(invoke(found, "status", str(REQUEST), "--json").stdout)
    assert parsed == {
        "ok": True,
        "exit": 0,
        "command": "status",
        "request": str(REQUEST),
        "account": "default",
        "lane": "bulk",
        "state": "sending",
        "count": 1203,
        "messages": {"delivered": 1200, "unknown": 3},
        "cost": "2.00",
        "final": False,
        "paused": [],
    }


@pytest.mark.parametrize(("final", "told"), [(False, True), (True, False)])
def test_status_says_what_waits_for_a_top_up(final: bool, told: bool) -> None:
    held = status("done" if final else "sending", final, delivered=2, no_credit=3)
    shown = invoke(producer(status=held), "status", str(REQUEST))
    assert (shown.exit_code, "3 messages were left unsent" in shown.output) == (0, told)
    assert (follow.is_over(held), follow.exit_code(held)) == (True, 1 if final else 3)


@pytest.mark.parametrize(
    ("name", "answer", "code", "kind"),
    [
        ("not found", status("unknown_request"), 1, "no_such_request"),
        ("no worker", NoAnswer(REQUEST, "every8d.status"), 3, "no_answer"),
        ("no broker", BrokerUnreachable(REQUEST, "redis://x"), 4, "broker_unreachable"),
    ],
)
def test_status_that_cannot_be_had(name: str, answer: Any, code: int, kind: str) -> None:
    result = invoke(producer(status=answer), "status", str(REQUEST), "--json")
    parsed = json.loads(result.stdout)
    assert (result.exit_code, parsed["exit"], parsed["ok"], parsed["error"]["kind"]) == (
        code,
        code,
        False,
        kind,
    )


@pytest.mark.parametrize(
    ("name", "counts", "code"),
    [
        ("all stopped", (3, 0, 0, 0), 0),
        ("some erased, some too late", (0, 2, 1, 0), 0),
        ("nothing was there to stop", (0, 0, 0, 0), 0),
        ("too late", (0, 0, 5, 0), 1),
        ("the gateway's answer is awaited", (1, 0, 0, 2), 3),
    ],
)
def test_cancel(name: str, counts: tuple[int, int, int, int], code: int) -> None:
    stopped, erased, too_late, pending = counts
    done = Cancelled(REQUEST, stopped, erased, Decimal("2.00"), too_late, pending)
    result = invoke(producer(cancel=done), "cancel", str(REQUEST), "--json")
    parsed = json.loads(result.stdout)
    assert (result.exit_code, parsed["exit"], parsed["ok"]) == (code, code, code == 0)
    assert (parsed["stopped"], parsed["erased"], parsed["too_late"], parsed["pending"]) == counts
    assert parsed["points_back"] == "2.00"


def test_every_reason_for_a_bad_row_has_words() -> None:
    from every8d import csvfile, errors, producererrors, recipients, rowcheck

    said = (
        set(errors.InvalidNumber.texts)
        | set(errors.InvalidText.texts)
        | set(producererrors.TextTooLong.texts)
    )
    for module, names in ((rowcheck, "_BadRow"), (recipients, "BadCell")):
        source = Path(str(module.__file__)).read_text()
        said |= set(re.findall(rf'{names}\("(\w+)"\)', source)) | set(
            re.findall(r'return "(\w+)" if', source)
        )
    said |= set(re.findall(r'Row\([^)]*"(\w+)"\)', Path(str(csvfile.__file__)).read_text()))
    assert {"scientific", "undecodable", "landline", "bad_email", "no_text"} <= said
    assert said <= set(words.REASONS)
