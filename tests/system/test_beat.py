"""Beat with RedBeat as its scheduler: what only a tick does is done, also after beat was killed."""

import pytest

from tests.support.system import System, running
from tests.support.waiting import wait_for
from worker.engine import make_redis

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
