"""Valkey dies and comes back while calls are under way: every worker goes on, and nothing is lost or sent twice."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import config
from every8d import Producer
from every8d.emulator.control import Control
from tests.support.waiting import wait_for
from worker.system.system import System

WORKERS = ("otp", "normal", "bulk", "status")


@pytest.fixture
def system() -> Iterator[System]:
    """A whole system, with Valkey under the supervisor."""
    with tempfile.TemporaryDirectory(prefix="e8d") as directory:
        settings = config.load(data_dir=Path(directory), log_level="WARNING")
        with System(settings, lambda *_: None, emulator_options=("--deliver-after-s", "0")) as one:
            one.start_servers()
            one.start_engine()
            yield one


@pytest.mark.timeout(180)
def test_tasks_under_way_do_not_take_their_worker_with_them(system: System) -> None:
    control = Control(system.gateway_url or "")
    producer = Producer(system.settings.broker_url)
    for lane in ("otp", "normal", "bulk"):
        producer.send("0911000000", f"warm {lane}", lane=lane, confirm=True)
    wait_for(lambda: control.accepted() == 3, within_s=60)
    control.network(latency_ms=2000)
    for turn in range(6):
        producer.send(f"09120000{turn:02}", "您的驗證碼為 482913", lane="otp", confirm=False)
    wait_for(lambda: control.stats()["in_flight"] >= 3, what="calls under way")
    before = system.supervisor.pids()
    psutil.Process(before["valkey"]).kill()
    wait_for(lambda: system.supervisor.pids().get("valkey", before["valkey"]) != before["valkey"])
    wait_for(lambda: control.accepted() == 9, within_s=60)
    control.network(latency_ms=0)
    # The lanes hear their doorbells again.
    for lane in ("otp", "normal", "bulk"):
        producer.send("0911000001", f"after {lane}", lane=lane, confirm=True)
    wait_for(lambda: control.accepted() == 12, within_s=60)
    deaths = system.supervisor.deaths()
    assert {name: deaths[name] for name in WORKERS} == dict.fromkeys(WORKERS, 0)
    assert control.summary().doubled_count == 0
