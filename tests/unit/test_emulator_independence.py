"""The emulator shares no code with the client: it could not find the client's mistakes if it did."""

import ast
from pathlib import Path

import every8d.emulator

FOLDER = Path(every8d.emulator.__file__).parent


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, file
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def test_of_every8d_it_imports_itself_alone() -> None:
    files = sorted(FOLDER.rglob("*.py"))
    assert len(files) > 20
    for file in files:
        ours = {
            name
            for name in imported(file)
            if name.split(".")[0] in {"every8d", "worker", "tasks", "config", "web"}
        }
        assert all(name.startswith("every8d.emulator") for name in ours), file


def test_steering_an_emulator_needs_nothing_but_python() -> None:
    for name in ("control.py", "process.py"):
        for module in imported(FOLDER / name):
            assert module.split(".")[0] not in {"aiohttp", "lxml", "click"}, name
