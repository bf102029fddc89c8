import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_the_lock_names_no_host() -> None:
    assert "://" not in LOCK
    assert not re.search(r"^\s*(-i|-f|--[a-z-]*(index|find-links|host)[a-z-]*)", LOCK, re.MULTILINE)


def test_every_requirement_is_pinned_and_has_hashes() -> None:
    entries = [line for line in LOCK.splitlines() if line and not line.startswith((" ", "#"))]
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9.-]+==[^ ]+( ;.*)? \\$", entry), entry
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", LOCK)) >= len(entries)


def test_our_own_packages_are_not_in_it() -> None:
    assert not re.search(r"^every8d", LOCK, re.MULTILINE)


def test_it_has_what_the_projects_ask_for() -> None:
    locked = set(re.findall(r"^([a-z0-9.-]+)==", LOCK, re.MULTILINE))
    wanted = set()
    for file in (ROOT / "pyproject.toml", ROOT / "client" / "pyproject.toml"):
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        for group in (project["dependencies"], *project["optional-dependencies"].values()):
            wanted |= {re.split(r"[^a-z0-9.-]", requirement.lower(), maxsplit=1)[0] for requirement in group}
    assert wanted - {"every8d", "every8d-worker"} <= locked
