"""Beat with RedBeat as its scheduler: what only a tick does is done, also after beat was killed."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support.system import System, running
from tests.support.waiting import wait_for
from worker.engine import make_redis
from worker.system import processes

if TYPE_CHECKING:
    from redis import Redis

#: The credit is asked for by beat alone: no keeper does it, and nothing is sent.
EVERY_S = 10


@pytest.mark.timeout(180)  # RedBeat's lock and two intervals
def test_ticks_come_and_go_on_after_beat_was_killed() -> None:
    with running("sqlite", settings={"credit_interval_s": str(EVERY_S)}, warm=False) as system:
        wait_for_call(system, after=0, within_s=40)
        assert make_redis(system.settings).exists("every8d:beat::lock"), (
            "RedBeat's, so that one beat of several ticks"
        )
        pid = system.supervisor.pids()["beat"]
        system.kill("beat")
        wait_for(lambda: system.supervisor.pids().get("beat", pid) != pid, what="another beat")
        # The dead one's tick may still be on its way; its lock lasts for 10 s, and the next beat begins only then.
        asked = system.control.calls("getCredit")
        wait_for_call(system, after=asked + 1, within_s=60)
        assert system.supervisor.deaths()["beat"] == 1


def wait_for_call(system: System, *, after: int, within_s: float) -> None:
    wait_for(lambda: system.control.calls("getCredit") > after, within_s=within_s, what="a tick")


@pytest.mark.slow
def test_two_beats_tick_as_one() -> None:
    with running("sqlite", warm=False) as system:
        redis = make_redis(system.settings)
        [beat] = [
            one
            for one in processes.engine(processes.child_environment(system.settings))
            if one.name == "beat"
        ]
        system.supervisor.start([replace(beat, name="second beat")])
        # Without a worker that takes them, ticks stay in their queue; those of `sweep_due` come every two seconds.
        status = psutil.Process(system.supervisor.pids()["status"])
        status.suspend()
        began, first = time.monotonic(), ticks(redis)
        wait_for(lambda: ticks(redis) - first >= 10, within_s=60, what="ten ticks")
        took_s = time.monotonic() - began
        status.resume()
        assert system.supervisor.deaths().get("second beat", 0) == 0
        assert took_s > 10 * 2 - 4


def ticks(redis: "Redis") -> int:
    return sum(b"every8d.sweep_due" in one for one in redis.lrange("every8d.status", 0, -1))
