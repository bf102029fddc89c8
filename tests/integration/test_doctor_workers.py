"""`every8d doctor` asks real workers: one of ours with too many threads, and another program's on the same Redis."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from celery import Celery

from every8d.emulator.process import EmulatorProcess
from tests.support.doctor import DeploymentMaker, kinds
from tests.support.waiting import wait_for
from worker.doctor.deployment import Deployment
from worker.doctor.examination import examine
from worker.system.valkey import EmbeddedValkey

HERE = Path(__file__).parent


@contextmanager
def process(log: Path, *arguments: str, cwd: Path, **environment: str) -> Iterator[None]:
    """A Celery process, until the end."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EVERY8D_")}
    with log.open("w") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env={**clean, "PYTHONWARNINGS": "ignore", **environment},
            cwd=cwd,
            stdout=output,
            stderr=output,
        )
    try:
        yield
    finally:
        started.kill()
        started.wait()


def answering(make: DeploymentMaker, url: str, name: str) -> Deployment:
    """A deployment that has heard the worker of this name."""

    def heard() -> Deployment | None:
        one = make(url, workers_s=1.0)
        return one if any(worker.name.startswith(name) for worker in one.workers) else None

    found = wait_for(heard, within_s=60, what=f"an answer of {name}")
    assert found is not None
    return found


def test_lanes_connections_and_visibility(
    deployment: DeploymentMaker,
    database_url: str,
    valkey: EmbeddedValkey,
    emulator: EmulatorProcess,
    tmp_path: Path,
) -> None:
    settings = {
        "EVERY8D_DATA_DIR": str(tmp_path),
        "EVERY8D_BROKER_URL": valkey.broker_url,
        "EVERY8D_DATABASE_URL": database_url,
        "EVERY8D_ACCOUNTS__DEFAULT__USER_ID": "demo",
        "EVERY8D_ACCOUNTS__DEFAULT__PASSWORD": "demo",
        "EVERY8D_ACCOUNTS__DEFAULT__URL": emulator.control.gateway_url,
    }
    command = (
        *("celery", "--quiet", "-A", "worker", "worker", "-Q", "every8d.otp", "-n", "otp@here"),
        *("-P", "threads", "-c", "21", "--without-mingle", "--without-gossip"),
    )
    with process(tmp_path / "otp.log", *command, cwd=tmp_path, **settings):
        one = answering(deployment, database_url, "otp@")
        found = examine(one, ["lanes"])
        assert {str(each.values["queue"]) for each in found} == {
            *("every8d.normal", "celery", "every8d.bulk", "every8d.status"),
        }
        assert {each.kind for each in found} == {"lane_unheard"}
        assert kinds(one, "connections")[0] == "problem pool_small"
        assert kinds(one, "visibility") == ["ok visibility_long_enough"]


def test_a_stranger_on_our_redis(
    deployment: DeploymentMaker, migrated_sqlite: Path, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    with Celery("enqueues", broker=valkey.broker_url, set_as_current=False) as app:
        app.send_task("stranger.tidy", queue="celery", countdown=7200)
    command = (
        *("celery", "--quiet", "-A", "doctor_stranger", "worker", "-n", "stranger@here", "-P", "threads"),
        *("-Q", "celery", "-c", "1"),
    )
    with process(tmp_path / "stranger.log", *command, cwd=HERE, STRANGER_BROKER=valkey.broker_url):
        url = f"sqlite:///{migrated_sqlite}"

        def held() -> Deployment | None:
            one = answering(deployment, url, "stranger@")
            return one if one.workers[0].latest_eta else None

        one = wait_for(held, within_s=60, what="the task that it holds back")
        assert one is not None
        assert kinds(one, "visibility") == ["problem visibility_short", "problem countdown_long"]
        assert "problem lane_eaten" in kinds(one, "lanes")
        # Its threads are not ours to count: what our own lanes would have is enough.
        assert kinds(one, "connections")[0] == "ok pool_large_enough"
