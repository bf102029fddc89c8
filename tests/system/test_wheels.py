"""Both distributions, built and installed where nothing else is, with exactly the dependencies that they declare."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The two wheels by distribution, built offline with the hatchling of this environment."""
    folder = tmp_path_factory.mktemp("wheels")
    for source in (ROOT / "client", ROOT):
        command = [
            sys.executable,
            "-m",
            "hatchling",
            "build",
            "--target",
            "wheel",
            "--directory",
            str(folder),
        ]
        subprocess.run(command, cwd=source, check=True, capture_output=True)
    return {re.sub("_", "-", wheel.name.split("-")[0]): wheel for wheel in folder.glob("*.whl")}


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


class Environment:
    """An empty virtual environment in which some wheels of ours are installed."""

    def __init__(self, place: Path, wheels: dict[str, Path], *requirements: str) -> None:
        self.bin = place / "venv" / "bin"
        self._place = place
        has_pip = importlib.util.find_spec("pip") is not None
        uv = shutil.which("uv")
        venv.create(place / "venv", with_pip=not (has_pip or uv), symlinks=True)
        python = str(self.bin / "python")
        if uv:
            install = [uv, "pip", "install", "--offline", "--python", python]
        elif has_pip:
            install = [sys.executable, "-m", "pip", "--python", python, "install"]
        else:
            install = [python, "-m", "pip", "install"]
        wanted = closure(requirements)
        ours = [str(wheels[name]) for name in wanted if name in wheels]
        subprocess.run(
            [*install, "--quiet", "--no-deps", "--no-index", *ours], check=True, capture_output=True
        )
        site = next((place / "venv" / "lib").glob("python*/site-packages"))
        for name in wanted - wheels.keys():
            borrow(name, site)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("EVERY8D_", "PYTHON"))
        }
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=self._place,
            env=clean,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def python(self, code: str) -> str:
        done = self.run("python", "-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def has(self, module: str) -> bool:
        code = f"import importlib.util; print(importlib.util.find_spec({module!r}) is not None)"
        return self.python(code) == "True"


def closure(requirements: tuple[str, ...]) -> set[str]:
    """The distributions that these requirements need, by the metadata of what is installed here."""
    found: dict[str, set[str]] = {}
    queue = [Requirement(one) for one in requirements]
    while queue:
        wanted = queue.pop()
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        known = found.setdefault(name, set())
        extras = ({""} | wanted.extras) - known
        known |= extras
        for text in distribution(name).requires or []:
            needed = Requirement(text)
            if extras and (
                needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras)
            ):
                queue.append(needed)
    return set(found)


def borrow(name: str, site: Path) -> None:
    """Puts a distribution of this environment into another's site-packages: its own files only."""
    borrowed = distribution(name)
    for top in {file.parts[0] for file in borrowed.files or [] if file.parts[0] != ".."}:
        if not (site / top).exists() and not top.endswith(".pth"):
            (site / top).symlink_to(Path(str(borrowed.locate_file(top))).resolve())


def test_the_client_wheel_brings_one_package(wheels: dict[str, Path]) -> None:
    tops = {name.split("/")[0] for name in names(wheels["every8d"])}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"every8d"}
    assert {"every8d/py.typed", "every8d/__init__.py"} <= set(names(wheels["every8d"]))


def test_the_worker_wheel_brings_its_four_and_no_tests(wheels: dict[str, Path]) -> None:
    tops = {name.split("/")[0] for name in names(wheels["every8d-worker"])}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"worker", "tasks", "config", "web"}


@pytest.mark.parametrize("name", ["every8d", "every8d-worker"])
def test_a_wheel_has_all_that_its_folder_has(wheels: dict[str, Path], name: str) -> None:
    source = ROOT / "client" if name == "every8d" else ROOT
    packages = ["every8d"] if name == "every8d" else ["worker", "tasks", "config", "web"]
    files = {
        path.relative_to(source).as_posix()
        for package in packages
        for path in (source / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files <= set(names(wheels[name]))


@pytest.mark.parametrize("name", ["every8d", "every8d-worker"])
def test_a_wheel_says_what_it_is(wheels: dict[str, Path], name: str) -> None:
    folder = wheels[name].name.rsplit("-", 3)[0] + ".dist-info"
    with zipfile.ZipFile(wheels[name]) as archive:
        metadata = archive.read(f"{folder}/METADATA").decode()
        assert "Apache License" in archive.read(f"{folder}/licenses/LICENSE").decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Python: >=3.11" in metadata
    assert "Description-Content-Type: text/markdown" in metadata


def test_the_client_alone(wheels: dict[str, Path], tmp_path: Path) -> None:
    here = Environment(tmp_path, wheels, "every8d")
    assert here.python("import every8d; print(every8d.__file__)").startswith(str(tmp_path))
    assert not any(map(here.has, ["celery", "zeep", "worker", "config"]))
    done = here.run("every8d", "--help")
    assert done.returncode == 0, done.stderr
    assert "send" in done.stdout


def test_the_client_with_the_gateway_needs_no_celery(wheels: dict[str, Path], tmp_path: Path) -> None:
    here = Environment(tmp_path, wheels, "every8d[gateway]")
    here.python("from every8d.gateway import Gateway; Gateway('user', 'secret').close()")
    assert not here.has("celery")


def test_the_producer_needs_no_soap_and_no_database(wheels: dict[str, Path], tmp_path: Path) -> None:
    here = Environment(tmp_path, wheels, "every8d[producer]")
    here.python("from every8d.producer import Producer; Producer('redis://127.0.0.1:1')")
    # Celery loads it when it first publishes; it has a dependency of its own.
    here.python("import kombu.transport.redis")
    assert not any(map(here.has, ["zeep", "sqlalchemy", "worker"]))


def test_the_emulator_needs_no_client_of_the_gateway(wheels: dict[str, Path], tmp_path: Path) -> None:
    here = Environment(tmp_path, wheels, "every8d[emulator]")
    done = here.run("every8d", "emulator", "--help")
    assert done.returncode == 0, done.stderr
    assert not any(map(here.has, ["zeep", "celery"]))


def test_callbacks_are_received_with_the_extra_alone(wheels: dict[str, Path], tmp_path: Path) -> None:
    here = Environment(tmp_path, wheels, "every8d-worker[web]")
    done = here.run("every8d", "web", "--help")
    assert done.returncode == 0, done.stderr
    # As `every8d up` starts it; it begins, and misses a secret.
    done = here.run("python", "-P", "-m", "web")
    assert done.returncode == 2, done.stderr
    assert "callback_secret" in done.stderr


def test_the_worker_joins_the_command_and_makes_its_ledger(wheels: dict[str, Path], tmp_path: Path) -> None:
    here = Environment(tmp_path, wheels, "every8d-worker")
    done = here.run("every8d", "worker", "--help")
    assert done.returncode == 0, done.stderr
    here.python("from worker.ledger.migrate import upgrade; upgrade('sqlite:///ledger.db')")
    assert (tmp_path / "ledger.db").stat().st_size > 0
    done = here.run("python", "-m", "celery", "--app", "worker", "report")
    assert done.returncode == 0, done.stderr
