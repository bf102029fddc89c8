"""The writer of the web process: rows that come together go together, and nobody waits longer than promised."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence

import pytest
from sqlalchemy.exc import DataError, OperationalError

from web import writer as module
from web.writer import Writer


class Ledger:
    """A stand-in for the database that is slow, hangs or refuses as a test likes. Really waits, in real threads."""

    def __init__(self) -> None:
        self.commits: list[list[int]] = []
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.error: Callable[[Sequence[int]], Exception | None] = lambda _: None
        self.entered = threading.Semaphore(0)

    def store(self, rows: Sequence[int]) -> None:
        self.entered.release()
        assert self.goes_on.wait(20)
        error = self.error(rows)
        if error is not None:
            raise error
        self.commits.append(list(rows))

    async def is_entered(self) -> None:
        assert await asyncio.to_thread(self.entered.acquire, timeout=20)


async def outcomes(writer: Writer[int], numbers: Sequence[int]) -> list[str]:
    """`ok`, or why not, for each row."""
    found = await asyncio.gather(*(writer.put(number) for number in numbers), return_exceptions=True)
    return ["ok" if one is None else str(one) for one in found]


def away(_: Sequence[int]) -> Exception:
    return OperationalError("INSERT", {}, Exception("away"))


def test_rows_that_come_while_a_commit_is_under_way_are_the_next_one() -> None:
    ledger = Ledger()

    async def run() -> None:
        writer = Writer(ledger.store)
        ledger.goes_on.clear()
        first = asyncio.create_task(writer.put(0))
        await ledger.is_entered()
        others = asyncio.create_task(outcomes(writer, range(1, 1200)))
        await asyncio.sleep(0)
        ledger.goes_on.set()
        await first
        assert await others == ["ok"] * 1199
        await writer.close()

    asyncio.run(run())
    assert [len(rows) for rows in ledger.commits] == [1, 500, 500, 199]
    assert [row for rows in ledger.commits for row in rows] == list(range(1200))


def test_a_row_that_comes_alone_does_not_wait_for_company() -> None:
    ledger = Ledger()

    async def run() -> None:
        writer = Writer(ledger.store)
        for number in range(3):
            await writer.put(number)

    asyncio.run(run())
    assert ledger.commits == [[0], [1], [2]]


def test_a_ledger_that_is_away_is_asked_once_for_all() -> None:
    ledger = Ledger()
    asked: list[int] = []

    def error(rows: Sequence[int]) -> Exception:
        asked.append(len(rows))
        return away(rows)

    ledger.error = error

    async def run() -> list[str]:
        return await outcomes(Writer(ledger.store), range(100))

    assert set(asyncio.run(run())) == {"OperationalError"}
    assert asked == [100]


def test_a_row_that_the_ledger_cannot_take_keeps_out_no_other() -> None:
    ledger = Ledger()
    ledger.error = lambda rows: DataError("INSERT", {}, Exception("no")) if 7 in rows else None

    async def run() -> list[str]:
        return await outcomes(Writer(ledger.store), range(10))

    assert asyncio.run(run()) == ["DataError" if number == 7 else "ok" for number in range(10)]


def test_a_ledger_that_hangs_is_told_of_in_time_and_used_again_when_it_is_back() -> None:
    ledger = Ledger()

    async def run() -> None:
        writer = Writer(ledger.store, within_s=0.2)
        ledger.goes_on.clear()
        began = time.monotonic()
        for number in range(10):  # more than there are threads
            assert await outcomes(writer, [number]) == ["the ledger takes too long"]
        assert time.monotonic() - began < 10
        threads = [one for one in threading.enumerate() if one.name == "every8d-inbox"]
        assert 1 < len(threads) <= module.THREADS
        assert all(one.daemon for one in threads)  # or a hanging one would keep the process from ending
        ledger.goes_on.set()
        async with asyncio.timeout(10):
            while await outcomes(writer, [99]) != ["ok"]:
                pass
        await writer.close()

    asyncio.run(run())
    # Nobody waited any longer for those that had not begun.
    assert {row for rows in ledger.commits for row in rows} < {*range(10), 99}


def test_a_thread_that_hangs_for_ever_does_not_keep_others_out() -> None:
    ledger = Ledger()
    hangs = threading.Event()

    def store(rows: Sequence[int]) -> None:
        if 0 in rows:
            hangs.wait(20)
        ledger.store(rows)

    async def run() -> None:
        writer = Writer(store, within_s=0.2)
        assert await outcomes(writer, [0]) == ["the ledger takes too long"]
        assert await outcomes(writer, [1]) == ["ok"]
        assert await outcomes(writer, range(2, 50)) == ["ok"] * 48
        hangs.set()
        await writer.close()

    asyncio.run(run())
    assert ledger.commits[:2] == [[1], list(range(2, 50))]


def test_more_than_may_wait_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 10)
    ledger = Ledger()

    async def run() -> None:
        writer = Writer(ledger.store)
        ledger.goes_on.clear()
        first = asyncio.create_task(writer.put(0))
        await ledger.is_entered()
        others = asyncio.create_task(outcomes(writer, range(1, 13)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        ledger.goes_on.set()
        await first
        assert await others == ["ok"] * 10 + ["too many wait"] * 2

    asyncio.run(run())


def test_closing_commits_what_waits() -> None:
    ledger = Ledger()

    async def run() -> None:
        writer = Writer(ledger.store)
        ledger.goes_on.clear()
        waiting = [asyncio.create_task(writer.put(number)) for number in range(5)]
        await ledger.is_entered()
        ledger.goes_on.set()
        await writer.close()
        assert all(one.done() and one.exception() is None for one in waiting)

    asyncio.run(run())
    assert sorted(row for rows in ledger.commits for row in rows) == list(range(5))
