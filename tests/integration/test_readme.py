"""The Python of both READMEs, run as it stands there, on a whole system with the emulator as the gateway."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import every8d
from every8d.testing import FakeGateway
from tests.support.system import System, running

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.zh-TW.md", "client/README.md")


def blocks(name: str) -> list[str]:
    """The Python blocks of a page, in its order."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with running("sqlite", first_poll_s=0.1) as one:
        yield one


@pytest.fixture
def here(system: System, monkeypatch: pytest.MonkeyPatch) -> System:
    """The system, with the addresses and the login that the READMEs name replaced by its own."""
    gateway, producer = every8d.Gateway, every8d.Producer

    def local_gateway(_user: str, _password: str) -> every8d.Gateway:
        return gateway("demo", "demo", url=system.control.gateway_url)

    def local_producer(url: str, **options: Any) -> every8d.Producer:
        return producer(url if url == "memory://" else system.settings.broker_url, **options)

    monkeypatch.setattr(every8d, "Gateway", local_gateway)
    monkeypatch.setattr(every8d, "Producer", local_producer)
    return system


def run(name: str, code: str, names: dict[str, Any]) -> None:
    exec(compile(code, name, "exec"), names)  # noqa: S102 - it is our own page


@pytest.mark.parametrize("name", READMES)
def test_every_program_of_a_page_runs(name: str, here: System) -> None:
    """One after the other, as a reader pastes them into one Python; then the tests that the page shows."""
    names: dict[str, Any] = {}
    for code in blocks(name):
        run(name, code, names)
    for shown in [value for key, value in names.items() if key.startswith("test_")]:
        shown(FakeGateway())


@pytest.mark.parametrize("name", READMES)
def test_the_first_program_of_a_page_sends_a_text(name: str, here: System) -> None:
    before = here.handed_over()
    run(name, blocks(name)[0], {})
    here.wait(partial(_more_than, here, before), 20, "the first program's text at the gateway")


def _more_than(system: System, before: int) -> bool:
    return system.handed_over() > before


def test_both_languages_show_the_same_programs() -> None:
    english, chinese = ([re.sub(r" *#.*", "", code) for code in blocks(name)] for name in READMES[:2])
    assert english == chinese
