"""Redis emptied, killed and silent in the middle of a campaign: it is courier, lock and clock, never the record."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from every8d.emulator.process import EmulatorProcess
from tests.support.killing import Nursery, Site, working
from tests.support.proxy import Proxy
from tests.support.waiting import wait_for
from worker.system.guard import Guard
from worker.system.processes import free_port
from worker.system.valkey import EmbeddedValkey

COUNT = 1500
CHUNK = {"chunk_size": "50"}


@pytest.fixture
def own_valkey(guard: Guard) -> Iterator[EmbeddedValkey]:
    """A Valkey that the test may kill."""
    with tempfile.TemporaryDirectory(prefix="e8d") as directory:
        server = EmbeddedValkey(Path(directory), port=free_port(0))
        server.start(guard)
        yield server
        server.stop()


@pytest.fixture
def broker_url(own_valkey: EmbeddedValkey) -> str:
    return own_valkey.broker_url


@pytest.fixture
def own_site(
    broker_url: str, migrated_sqlite: Path, emulator: EmulatorProcess, tmp_path: Path
) -> Iterator[Site]:
    copy = shutil.copy(migrated_sqlite, tmp_path / "ledger.db")
    nursery = Nursery({"EVERY8D_BROKER_URL": broker_url})
    with working(nursery, f"sqlite:///{copy}", broker_url, emulator.control, tmp_path) as one:
        yield one
    nursery.close()


def test_an_emptied_redis_costs_logins_and_no_message(site: Site) -> None:
    site.control.network(latency_ms=50)
    site.start(**CHUNK)
    sent = site.campaign(COUNT)
    for part in (0.2, 0.4, 0.6):
        wait_for(lambda part=part: site.control.summary().accepted > COUNT * part, within_s=60)
        site.redis.flushall()
    site.assert_each_once(sent.result(60), COUNT)
    assert site.control.logins() <= 4


def test_a_killed_valkey_that_comes_back_empty_costs_no_message(
    own_site: Site, own_valkey: EmbeddedValkey, guard: Guard
) -> None:
    site = own_site
    site.control.network(latency_ms=50)
    site.start(**CHUNK)
    sent = site.campaign(COUNT)
    wait_for(lambda: site.control.summary().accepted > COUNT * 0.3, within_s=60)
    server = psutil.Process(int((own_valkey.data_dir / "valkey.pid").read_text()))
    server.kill()
    wait_for(lambda: not own_valkey.answers())
    shutil.rmtree(own_valkey.data_dir / "appendonlydir")
    # What had been claimed is called and settled; nothing else begins.
    wait_for(lambda: site.control.stats()["in_flight"] == 0)
    own_valkey.start(guard)
    site.assert_each_once(sent.result(60), COUNT)
    # And whatever is published now is heard.
    number = "0987654321"
    site.insist(
        lambda: site.producer.send(number, "驗證碼 7301", lane="otp", confirm=True, idempotency_key="after")
    )
    wait_for(lambda: site.control.sent(number="+886987654321"))


class TestSilence:
    """Connections that are open and say nothing: the peer is gone, and nobody said so."""

    @pytest.fixture
    def proxy(self, own_valkey: EmbeddedValkey) -> Iterator[Proxy]:
        with Proxy(own_valkey.port) as one:
            yield one

    @pytest.fixture
    def broker_url(self, proxy: Proxy) -> str:
        return f"redis://127.0.0.1:{proxy.port}/0"

    @pytest.mark.slow
    def test_half_open_connections_are_noticed_and_nothing_is_lost(
        self, own_site: Site, proxy: Proxy
    ) -> None:
        site = own_site
        site.control.network(latency_ms=50)
        site.start(**CHUNK)
        sent = site.campaign(COUNT)
        wait_for(lambda: site.control.summary().accepted > COUNT * 0.3, within_s=60)
        assert proxy.freeze() > 0
        site.assert_each_once(sent.result(60), COUNT)
        # Celery's own connection is asked for a sign of life after 25 s, and waited for 30 s.
        number = "0987654321"
        site.insist(
            lambda: site.producer.send(
                number, "驗證碼 7301", lane="otp", confirm=True, idempotency_key="after"
            ),
            times=30,
        )
        wait_for(lambda: site.control.sent(number="+886987654321"), within_s=60)
