"""A reconciler that is killed at each of its points, the gate closed or not: the next one settles, once and rightly."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, running
from tests.support.engines import EngineMaker
from tests.support.servers import Clock
from worker import reconciler
from worker.ledger.tables import account, chunk
from worker.system.valkey import EmbeddedValkey

POINTS = [
    "after:gate.close",
    "before:reconcile.conclude",
    *(
        pytest.param(one, marks=pytest.mark.slow)
        for one in (
            "after:reconcile.turn",
            "after:reconcile.look",
            "before:gate.close",
            "before:call.getCredit",
            "after:call.getCredit",
            "after:funds.credit#2",
            "after:reconcile.conclude",
        )
    ),
]
ACCOUNT = {"exclusive": True, "refunds": False, "unknown_after_s": 0.0, "call_deadline_s": 5.0}


@pytest.mark.parametrize("point", POINTS)
def test_the_next_one_goes_on(
    make: EngineMaker,
    emulator: EmulatorProcess,
    valkey: EmbeddedValkey,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
) -> None:
    when = "before" if database_url.startswith("sqlite") else "after"
    monkeypatch.setattr(reconciler, "APART_S", 0.001)
    first = make(**ACCOUNT)
    reconciler.look(first, running.ALIAS)
    emulator.control.fault("drop", "sends", when=when)
    request = running.enqueue(first, to=bodies.numbers(3))
    running.send(first)
    assert running.counts(first, request) == {"unknown": 3}
    settings = {
        "broker_url": valkey.broker_url,
        "database_url": database_url,
        "accounts": {
            "default": {
                "user_id": "demo",
                "password": "demo",
                "url": emulator.control.gateway_url,
                **ACCOUNT,
            }
        },
    }
    killed = subprocess.run(
        [sys.executable, Path(__file__).with_name("reconciler_process.py")],
        input=json.dumps(settings) + "\n",
        text=True,
        env={**os.environ, "EVERY8D_KILL_AT": point},
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    # Whatever it left closed has opened by itself by now, and another minute has begun.
    second = make(clock=Clock(int(time.time() * 1000) + 120_000), **ACCOUNT)
    reconciler.look(second, running.ALIAS)
    expected = {"waiting": 3} if when == "before" else {"sent": 3}
    assert running.counts(second, request) == expected
    [row] = running.rows(second, chunk)
    assert row.settled_by == "credit"
    assert running.kinds(second).count("chunk_settled") == 1
    assert running.rows(second, account)[0].gate_ms is None
    running.send(second)
    summary = emulator.control.summary()
    assert (summary.total, summary.doubled_count) == (3, 0)
