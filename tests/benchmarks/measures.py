"""The measurements: each returns figures by name."""

import gc
import itertools
import subprocess
import sys
import threading
import time
from statistics import quantiles
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from tests.support.system import System
from worker.ledger.tables import chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

Figures = dict[str, float]

WARM = 100

#: Every message of a run is another text, so that what the emulator counts as doubled is.
_turn = itertools.count()

_SINGLES = """
import sys, time
from every8d import Producer
broker, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
producer = Producer(broker)
producer.send("0911000000", f"warm {first}", confirm=True)
print("ready", flush=True)
sys.stdin.readline()
for place in range(first, first + count):
    producer.send(f"09{place:08d}", f"order {place} is on its way")
print("published", flush=True)
"""


def campaign(system: System, count: int) -> Figures:
    """One text to many: from the first publish until the gateway has accepted the last."""
    before, began = system.handed_over(), time.perf_counter()
    system.producer.send_many(
        (f"09{10_000_000 + n}" for n in range(count)), text=f"會員日全館八折 {next(_turn)}", lane="bulk"
    )
    published = time.perf_counter()
    system.wait(lambda: system.handed_over() - before >= count, 300, "campaign")
    return {
        "campaign_per_s": count / (time.perf_counter() - began),
        "campaign_published_per_s": count / (published - began),
    }


def different_texts(system: System, count: int) -> Figures:
    """A text of its own for each, through send_many."""
    before, began = system.handed_over(), time.perf_counter()
    rows: Iterator[tuple[str, str]] = (
        (f"09{20_000_000 + n}", f"王小明{n}您好，您的點數為{n}點") for n in range(count)
    )
    system.producer.send_many(rows, lane="bulk")
    system.wait(lambda: system.handed_over() - before >= count, 300, "different texts")
    return {"send_many_per_s": count / (time.perf_counter() - began)}


def singles(system: System, count: int) -> Figures:
    """Single `send` calls from two producer processes, half of them each."""
    count -= count % 2
    commands = [
        [sys.executable, "-c", _SINGLES, system.settings.broker_url, str(first), str(count // 2)]
        for first in (30_000_000, 40_000_000)
    ]
    producers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for command in commands
    ]
    for one in producers:
        assert one.stdout is not None
        one.stdout.readline()
    time.sleep(1)
    before, began = system.handed_over(), time.perf_counter()
    for one in producers:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in producers:
        assert one.stdout is not None
        one.stdout.readline()
    published = time.perf_counter()
    system.wait(lambda: system.handed_over() - before >= count, 300, "singles")
    figures = {
        "single_per_s": count / (time.perf_counter() - began),
        "single_published_per_s": count / (published - began),
    }
    for one in producers:
        one.communicate()
    return figures


def status_rows(system: System) -> Figures:
    """Polling what the campaigns sent, by the system's own poll loops: from due to stored."""
    full = (chunk.c.state == "accepted") & (chunk.c.size >= 100) & chunk.c.final_ms.is_(None)
    with system.database.read() as connection:
        count = connection.scalar(select(func.sum(chunk.c.size)).where(full)) or 0
    began = time.perf_counter()
    system.database.write(
        lambda connection: connection.execute(update(chunk).where(full).values(next_poll_ms=0))
    )

    def all_final() -> bool:
        with system.database.read() as connection:
            return connection.scalar(select(func.count()).where(full)) == 0

    system.wait(all_final, 300, "polling")
    return {"status_rows": count, "status_rows_per_s": count / (time.perf_counter() - began)}


def otp(system: System, samples: int, name: str, *, per_s: float = 50.0) -> Figures:
    """From publishing one otp message to its receipt by the gateway, at a steady rate. Milliseconds.

    The first hundred are not counted: they open connections and wake threads.
    """
    # This process's own collections are not what is measured.
    gc.collect()
    gc.freeze()
    published: dict[str, float] = {}
    text = f"您的驗證碼是 {next(_turn)}"
    began = time.time()
    for n in range(-WARM, samples):
        number = f"09{50_000_000 + n}"
        wait = began + (n + WARM) / per_s - time.time()
        if wait > 0:
            time.sleep(wait)
        if n >= 0:
            published["+886" + number[1:]] = time.time()
        system.producer.send(number, text, lane="otp", confirm=False)
    system.wait(lambda: published.keys() <= _arrived(system, began).keys(), 120, "otp messages")
    received = _arrived(system, began)
    waits = [(received[number] - at) * 1000 for number, at in published.items()]
    # Inclusive: with few samples the other method makes up a p99 beyond the slowest.
    percentiles = quantiles(waits, n=1000, method="inclusive")
    return {
        f"otp_{name}_p50_ms": percentiles[499],
        f"otp_{name}_p99_ms": percentiles[989],
        f"otp_{name}_max_ms": max(waits),
    }


def _arrived(system: System, since: float) -> dict[str, float]:
    # Messages that waited may share a call; a campaign's calls are larger than any otp one.
    return {one.number: one.received for one in system.control.arrivals(since=since, most_messages=100)}


_CAMPAIGNS = """
import sys
from every8d import Producer
broker, size = sys.argv[1], int(sys.argv[2])
producer = Producer(broker)
print("ready", flush=True)
for turn, _ in enumerate(sys.stdin):
    numbers = (f"09{60_000_000 + n}" for n in range(size))
    producer.send_many(numbers, text=f"週年慶開跑 {turn}", lane="bulk")
"""


def otp_under_campaign(system: System, samples: int, campaign_size: int) -> Figures:
    """The same while campaigns go out one after the other, published by another process."""
    stopping = threading.Event()
    command = [sys.executable, "-c", _CAMPAIGNS, system.settings.broker_url, str(campaign_size)]
    publisher = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert publisher.stdin is not None
    assert publisher.stdout is not None
    publisher.stdout.readline()

    def campaigns() -> None:
        assert publisher.stdin is not None
        while not stopping.is_set():
            before = system.handed_over()
            publisher.stdin.write("go\n")
            publisher.stdin.flush()
            while not stopping.is_set() and system.handed_over() - before < campaign_size:
                time.sleep(0.2)

    noise = threading.Thread(target=campaigns)
    noise.start()
    before, began = system.handed_over(), time.perf_counter()
    try:
        figures = otp(system, samples, "campaign")
    finally:
        rate = (system.handed_over() - before) / (time.perf_counter() - began)
        stopping.set()
        noise.join()
        publisher.communicate()
    return figures | {"otp_campaign_meanwhile_per_s": rate}
