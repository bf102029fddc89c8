"""Four processes of 32 threads that all send, while the account's session is taken away from under them.

A storm goes on until its campaign is over, or until nothing of it can be sent; the emulator counts logins and texts.
"""

import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from every8d import Gateway
from every8d.emulator.process import EmulatorProcess
from every8d.times import TAIPEI
from tests.support import running
from tests.support.engines import EngineMaker
from tests.support.waiting import wait_for
from worker.engine import Engine
from worker.ledger import operators
from worker.session import LOGIN_PACE_MS
from worker.system.valkey import EmbeddedValkey

PROCESSES, THREADS = 4, 32
KEY, PACE = "every8d:session:default", "every8d:login:default"
PACE_S = LOGIN_PACE_MS / 1000
#: The session is Redis' and the gateway's; claims by 128 threads are what the databases differ in.
ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SLOW = pytest.mark.slow


class Crowd:
    """The four processes, kept from test to test: starting them takes longer than a storm."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(__file__).with_name("storm_process.py"))]
        self._processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(PROCESSES)
        ]

    def tell(self, line: str, answer: str) -> None:
        for one in self._processes:
            assert one.stdin is not None
            one.stdin.write(line + "\n")
            one.stdin.flush()
        for one in self._processes:
            assert one.stdout is not None
            assert one.stdout.readline() == answer + "\n"

    def kill(self) -> None:
        for one in self._processes:
            one.kill()
            one.communicate()


@pytest.fixture(scope="module")
def crowd() -> Iterator[Crowd]:
    one = Crowd()
    yield one
    one.kill()


class Storm:
    """A campaign, and the crowd that sends it."""

    def __init__(self, crowd: Crowd, engine: Engine, emulator: EmulatorProcess) -> None:
        self._crowd, self.engine, self.emulator = crowd, engine, emulator

    @contextmanager
    def raging(self, **account: Any) -> Iterator[None]:
        """All 128 threads send, in messages of one each, until the block ends."""
        settings = self.engine.settings
        fields = {
            "user_id": "demo",
            "password": "demo",
            "url": self.emulator.control.gateway_url,
            "chunk_size": 1,
            "rate_limit_calls_s": 5000,
            "max_calls_in_flight": {"normal": PROCESSES * THREADS},
        }
        given = {
            "broker_url": settings.broker_url,
            "database_url": settings.database_url,
            "database_pool_size": 16,
            "slice_s": 1,
            "accounts": {"default": fields | account},
        }
        self._crowd.tell(json.dumps(given), "ready")
        try:
            yield
        finally:
            self._crowd.tell("", "stopped")

    def campaign(self, count: int) -> uuid.UUID:
        return running.enqueue_pages(self.engine, count)

    def sent(self) -> int:
        return self.emulator.control.summary().total

    def wait_for_sent(self, count: int, within_s: float = 60) -> None:
        wait_for(lambda: self.sent() >= count, within_s=within_s, what=f"{count} texts sent")

    def wait_for_a_new_key_and_texts(self) -> None:
        redis = self.engine.redis
        old, sent = redis.get(KEY), self.sent()
        wait_for(lambda: redis.get(KEY) not in (None, old), what="a new key", within_s=40)
        wait_for(lambda: self.sent() > sent, what="progress", within_s=40)

    def waiting(self, request: uuid.UUID) -> int:
        counts = running.counts(self.engine, request)
        return counts.get("waiting", 0) + counts.get("submitting", 0)

    def assert_sent_once(self, request: uuid.UUID, count: int) -> None:
        wait_for(
            lambda: running.counts(self.engine, request).get("sent") == count, what="every answer is kept"
        )
        summary = self.emulator.control.summary()
        assert (summary.total, summary.distinct, summary.doubled_count) == (count, count, 0)


@pytest.fixture
def storm(crowd: Crowd, make: EngineMaker, emulator: EmulatorProcess) -> Storm:
    engine = make()
    emulator.control.network(latency_ms=50)
    return Storm(crowd, engine, emulator)


@contextmanager
def every_second(deed: Any) -> Iterator[list[float]]:
    """Something that another system does every second until the block ends; gives the times when it did."""
    done, times = threading.Event(), []

    def keep_doing() -> None:
        while not done.wait(1):
            deed()
            times.append(time.monotonic())

    thread = threading.Thread(target=keep_doing)
    thread.start()
    try:
        yield times
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("database_url", [pytest.param("sqlite", marks=SLOW), "postgres"], indirect=True)
def test_a_key_that_vanishes_while_128_threads_send_is_replaced_by_one_login(storm: Storm) -> None:
    request = storm.campaign(300)
    with storm.raging():
        storm.wait_for_sent(60)
        # The last login is not long ago, and that alone would hold the next one up.
        storm.engine.redis.delete(PACE)
        storm.emulator.control.void_keys()
        storm.wait_for_sent(300)
    storm.assert_sent_once(request, 300)
    assert storm.emulator.control.logins() == 2
    assert storm.emulator.control.calls("getConnection") == 2
    assert "account_contended" not in running.kinds(storm.engine)


@pytest.mark.parametrize(
    ("database_url", "how"),
    [
        ("sqlite", "closes"),
        pytest.param("postgres", "closes", marks=SLOW),
        pytest.param("sqlite", "logs in", marks=SLOW),
        pytest.param("postgres", "logs in", marks=SLOW),
    ],
    indirect=["database_url"],
)
def test_another_system_takes_the_session_every_second_and_the_campaign_goes_on(
    storm: Storm, how: str
) -> None:
    control = storm.emulator.control
    other = Gateway("demo", "demo", url=control.gateway_url)
    # More than can be sent meanwhile.
    request = storm.campaign(4000)
    deed = control.void_keys if how == "closes" else other.get_connection
    began = time.monotonic()
    with storm.raging():
        with every_second(deed) as turns:
            for _ in range(3):
                storm.wait_for_a_new_key_and_texts()
        elapsed = time.monotonic() - began
    others = len(turns) if how == "logs in" else 0
    other.close()
    logins = control.logins() - others
    assert len(turns) >= 3
    assert 3 <= logins <= elapsed / PACE_S + 1
    # Once a minute at most it says so.
    assert running.kinds(storm.engine).count("account_contended") <= 1
    counts = running.counts(storm.engine, request)
    assert counts.keys() == {"sent", "waiting"}
    storm.assert_sent_once(request, counts["sent"])


@ONE_DATABASE
@SLOW
@pytest.mark.parametrize("wrong", ["password", "locked"])
def test_an_account_that_is_refused_in_the_middle_is_one_login_over_restarts_and_an_emptied_redis(
    storm: Storm, make: EngineMaker, valkey: EmbeddedValkey, wrong: str
) -> None:
    control = storm.emulator.control
    request = storm.campaign(300)
    with storm.raging():
        storm.wait_for_sent(60)
        storm.engine.redis.delete(PACE)
        # Both end the session too: what is under way gets -301, and then the login is refused.
        if wrong == "password":
            control.change_account(password="another", void_keys=True)
        else:
            control.lock()
        wait_for(lambda: "account_blocked" in running.kinds(storm.engine))
    for _ in range(2):
        with Redis.from_url(valkey.redis_url) as redis:
            redis.flushall()
        with storm.raging():
            # Each thread looks three times, and claims nothing: the breaker comes first.
            before = len(running.chunk_states(storm.engine))
        assert len(running.chunk_states(storm.engine)) == before
    assert control.calls("getConnection") == 2
    assert running.kinds(storm.engine).count("account_blocked") == 1
    left = storm.waiting(request)
    assert left == 300 - storm.sent() > 0
    if wrong == "locked":
        control.unlock()
        operators.unblock_account(
            storm.engine.database, "default", by="somebody", why="the vendor unlocked it"
        )
    # Another password in the settings needs no operator.
    with storm.raging(password="another" if wrong == "password" else "demo"):
        storm.wait_for_sent(300)
    storm.assert_sent_once(request, 300)
    assert control.calls("getConnection") == 3


def midnight() -> datetime:
    """The next one in Taipei."""
    today = datetime.now(TAIPEI).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=1)


@ONE_DATABASE
def test_midnight_in_taipei_passes_in_mid_campaign(storm: Storm) -> None:
    control = storm.emulator.control
    # At most 256 texts a second: midnight comes before the last of them.
    control.network(latency_ms=500)
    request = storm.campaign(400)
    with storm.raging():
        storm.wait_for_sent(1)
        storm.engine.redis.delete(PACE)
        # By the gateway's clock it is midnight soon; by ours not yet, so nobody foresees it.
        control.move_clock((midnight() - timedelta(seconds=1)).isoformat())
        storm.wait_for_sent(400)
    assert control.now() > midnight().timestamp()
    storm.assert_sent_once(request, 400)
    assert control.logins() == 2
    assert control.calls("getConnection") == 2
    assert "account_contended" not in running.kinds(storm.engine)
