"""The ledger taken away in the middle of a campaign: calls stop before they start, and no answer is lost."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from every8d.emulator.process import EmulatorProcess
from tests.support import postgres
from tests.support.killing import Nursery, Site, working
from tests.support.waiting import wait_for
from worker import spool
from worker.ledger import migrate, tables
from worker.system.valkey import EmbeddedValkey

COUNT = 1000
CHUNK = {"chunk_size": "50"}
LATENCY_MS = 300


@pytest.fixture
def own_postgres() -> Iterator[postgres.Postgres]:
    """A PostgreSQL that the test may take away."""
    with postgres.restartable() as server:
        yield server


@pytest.fixture
def on_postgres(
    nursery: Nursery,
    own_postgres: postgres.Postgres,
    valkey: EmbeddedValkey,
    emulator: EmulatorProcess,
) -> Iterator[Site]:
    migrate.upgrade(own_postgres.url)
    with (
        tempfile.TemporaryDirectory(prefix="e8d") as directory,
        working(nursery, own_postgres.url, valkey.broker_url, emulator.control, Path(directory)) as one,
    ):
        yield one


def in_flight(site: Site) -> int:
    return int(site.control.stats()["in_flight"])


def answers_kept(site: Site) -> int:
    return spool.waiting(site.directory / "spool")


def test_a_postgres_that_is_restarted_loses_and_doubles_nothing(
    on_postgres: Site, own_postgres: postgres.Postgres
) -> None:
    site = on_postgres
    site.control.network(latency_ms=LATENCY_MS)
    site.start(**CHUNK)
    sent = site.campaign(COUNT)
    for part in (0.2, 0.5):
        wait_for(
            lambda part=part: site.control.summary().accepted > COUNT * part and in_flight(site), within_s=60
        )
        own_postgres.stop()
        own_postgres.start()
    site.assert_each_once(sent.result(60), COUNT)
    assert answers_kept(site) == 0


def all_answers_kept(site: Site, submitting: int) -> None:
    """Returns when each call that was under way is over, and its answer on the disk."""
    wait_for(lambda: in_flight(site) == 0 and answers_kept(site) == submitting, within_s=30)


def called_between(site: Site, began: float, ended: float) -> int:
    """How many messages came to the gateway in that time (seconds since 1970)."""
    return len([one for one in site.control.arrivals(since=began) if one.received < ended])


@pytest.mark.slow
@pytest.mark.parametrize("worker", ["lives", "is killed"])
def test_a_postgres_that_is_down_for_a_minute(
    on_postgres: Site, own_postgres: postgres.Postgres, worker: str
) -> None:
    site = on_postgres
    site.control.network(latency_ms=1000)
    pid = site.start(**CHUNK)
    request = site.campaign(COUNT).result(60)
    wait_for(lambda: site.control.summary().accepted > COUNT * 0.2 and in_flight(site) > 1, within_s=60)
    own_postgres.stop()
    went_away = time.time()
    wait_for(lambda: in_flight(site) == 0 and answers_kept(site) > 0)
    # Calls that had been claimed may have been on their way to the gateway.
    quiet_since = time.time()
    if worker == "is killed":
        site.kill(pid)
        site.start(**CHUNK)
    wait_for(lambda: time.time() - went_away > 60, within_s=70)
    came_back = time.time()
    own_postgres.start()
    site.assert_each_once(request, COUNT)
    assert called_between(site, quiet_since + 1, came_back) == 0
    assert answers_kept(site) == 0


@pytest.mark.parametrize("full", ["for the ledger", pytest.param("for everything", marks=pytest.mark.slow)])
def test_a_full_disk_loses_and_doubles_nothing(
    nursery: Nursery,
    migrated_sqlite: Path,
    valkey: EmbeddedValkey,
    emulator: EmulatorProcess,
    tmp_path: Path,
    full: str,
) -> None:
    # No file of the worker's may grow past so many bytes: to it that is a disk without room, for large files or all.
    room = 4096 if full == "for the ledger" else 0
    (tmp_path / "ledger.db").write_bytes(migrated_sqlite.read_bytes())
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with working(nursery, url, valkey.broker_url, emulator.control, tmp_path) as site:
        site.control.network(latency_ms=LATENCY_MS)
        pid = site.start(**CHUNK)
        request = site.campaign(COUNT).result(60)
        wait_for(lambda: site.control.summary().accepted > COUNT * 0.2 and in_flight(site) > 1, within_s=60)
        worker = psutil.Process(pid)
        usual = worker.rlimit(psutil.RLIMIT_FSIZE)
        worker.rlimit(psutil.RLIMIT_FSIZE, (room, usual[1]))
        # As many as stay so, whatever the worker does: nothing can be written any more.
        submitting = sum(row.state == "submitting" for row in site.rows(tables.chunk))
        claimed = len(site.rows(tables.chunk))
        assert submitting > 0
        if room:
            all_answers_kept(site, submitting)
            site.kill(pid)
            assert len(site.rows(tables.chunk)) == claimed
            site.start(**CHUNK)
        else:
            wait_for(lambda: in_flight(site) == 0, within_s=30)
            assert answers_kept(site) == 0
            assert len(site.rows(tables.chunk)) == claimed
            worker.rlimit(psutil.RLIMIT_FSIZE, usual)
        site.assert_each_once(request, COUNT)
        assert answers_kept(site) == 0
