"""A worker that is told to end while the gateway is answering: it ends in order, and nothing is in doubt."""

from collections.abc import Callable, Iterator

import psutil
import pytest
from sqlalchemy import func, select

from tests.support.system import System, running
from tests.support.waiting import wait_for
from worker.ledger import queries, tables
from worker.system.supervisor import STOP_S

CALL_S = 2


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with running("sqlite", chunk_size=100, first_poll_s=1) as one:
        yield one


def one_code(system: System) -> tuple[str, int]:
    """Sent by the accepting task itself."""
    request = system.producer.send("0912500001", "驗證碼 7301", lane="otp", confirm=True)
    return str(request.request_id), 1


def one_campaign(system: System) -> tuple[str, int]:
    """Sent by the lane's keeper, then also by the tasks that its doorbell calls; too long to be done in time."""
    numbers = (f"09{50_000_000 + place:08d}" for place in range(2000))
    request = system.producer.send_many(numbers, text="會員日全館八折", confirm=True)
    return str(request.request_id), 2000


@pytest.mark.parametrize(("lane", "send", "calls"), [("otp", one_code, 1), ("bulk", one_campaign, 2)])
def test_calls_under_way_are_finished_and_settled(
    system: System, lane: str, send: Callable[[System], tuple[str, int]], calls: int
) -> None:
    before = system.handed_over()
    system.control.network(latency_ms=CALL_S * 1000)
    request, count = send(system)
    wait_for(lambda: in_flight(system, lane) >= calls)
    pid = system.supervisor.pids()[lane]
    psutil.Process(pid).terminate()
    wait_for(lambda: system.supervisor.pids().get(lane) != pid, within_s=STOP_S, what="the end of the worker")
    settled = states(system, lane)
    assert set(settled) == {"accepted"}, settled
    assert f"{lane} ended with 0;" in system.log.read_text()
    # It did not stay to send the rest of the campaign.
    assert (system.producer.status(request).messages["waiting"] > 0) == (count > 1)

    system.control.network(latency_ms=0)
    done = wait_for(lambda: (now := system.producer.status(request)).final and now, within_s=40)
    assert done.messages["delivered"] == count
    assert system.handed_over() - before == count
    assert system.control.summary().doubled_count == 0
    assert queries.unknown_chunks(system.database) == []


def in_flight(system: System, lane: str) -> int:
    """How many sends of this lane the gateway is answering now."""
    return min(system.control.stats()["in_flight"], states(system, lane).get("submitting", 0))


def states(system: System, lane: str) -> dict[str, int]:
    """The lane's chunks, counted by state."""
    chunk = tables.chunk
    with system.database.read() as connection:
        rows = connection.execute(
            select(chunk.c.state, func.count().label("n")).where(chunk.c.lane == lane).group_by(chunk.c.state)
        )
        return {row.state: row.n for row in rows}
