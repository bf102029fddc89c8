"""A worker that gets SIGQUIT (or SIGTERM with REMAP_SIGTERM) in the middle of a campaign: Celery's cold shutdown."""

import signal

import psutil
import pytest
from sqlalchemy import func, select

from tests.support.system import System, running
from tests.support.waiting import wait_for
from worker.ledger import queries, tables

CALL_S = 2
COUNT = 2000
LANE = "bulk"


@pytest.mark.timeout(240)  # the soft shutdown alone takes 40 s
def test_only_the_calls_under_way_are_finished_and_nothing_is_in_doubt() -> None:
    with running("sqlite", chunk_size=100, first_poll_s=1) as system:
        before = system.handed_over()
        system.control.network(latency_ms=CALL_S * 1000)
        numbers = (f"09{51_000_000 + place:08d}" for place in range(COUNT))
        request = system.producer.send_many(numbers, text="會員日全館八折", confirm=True).request_id
        wait_for(lambda: states(system).get("submitting", 0) >= 2)
        pid = system.supervisor.pids()[LANE]
        begun = sum(states(system).values())
        psutil.Process(pid).send_signal(signal.SIGQUIT)
        # Celery waits for all of the soft shutdown; calls would begin all that time.
        wait_for(lambda: system.supervisor.pids().get(LANE) != pid, within_s=70, what="the end of the worker")
        system.control.network(latency_ms=0)
        assert set(states(system)) == {"accepted"}
        # One may have begun between the count and the signal, for each of the lane's calls.
        at_once = system.settings.accounts["default"].max_calls_in_flight.bulk
        assert sum(states(system).values()) <= begun + at_once
        assert system.producer.status(str(request)).messages["waiting"] > 0

        done = wait_for(
            lambda: (now := system.producer.status(str(request))).final and now, within_s=40, what="the rest"
        )
        assert done.messages["delivered"] == COUNT
        assert system.handed_over() - before == COUNT
        assert system.control.summary().doubled_count == 0
        assert queries.unknown_chunks(system.database) == []


def states(system: System) -> dict[str, int]:
    """The lane's chunks of the campaign, counted by state."""
    chunk = tables.chunk
    with system.database.read() as connection:
        rows = connection.execute(
            select(chunk.c.state, func.count().label("n")).where(chunk.c.lane == LANE).group_by(chunk.c.state)
        )
        return {row.state: row.n for row in rows}
