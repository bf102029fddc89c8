"""Committing what arrives together in one transaction, and answering in time when the ledger does not.

Rows that come while a commit is under way are the next one. A thread that hangs in the database is left alone after
a while, and another takes its place: a server that went away without a word must not keep us out once it is back.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

T = TypeVar("T")

#: Seconds in which a row must be committed: within any patience that a gateway may have.
WITHIN_S = 3.0
#: Rows of one transaction.
TOGETHER = 500
#: Rows that may wait; when more come, the ledger is away or the gateway faster than it.
MOST_WAITING = 5000
#: Transactions at once: one, and others while it hangs.
THREADS = 4

#: The ledger is away, or too busy: trying the rows one by one would only take longer.
_AWAY = (OperationalError, InterfaceError, PoolTimeout)


class NotStored(Exception):
    """The row is not committed, as far as anybody knows. The text says why, in a few words for a log."""


@dataclass(slots=True, eq=False)
class _Ticket(Generic[T]):
    row: T
    done: asyncio.Future[None]


class Writer(Generic[T]):
    """The way of rows into the ledger, for one event loop. `store` commits rows, or raises; it runs in a thread."""

    def __init__(self, store: Callable[[Sequence[T]], None], *, within_s: float = WITHIN_S) -> None:
        self._store = store
        self._within_s = within_s
        self._waiting: deque[_Ticket[T]] = deque()
        #: When each loop of commits began the one that it is at.
        self._began: dict[asyncio.Task[None], float] = {}

    async def put(self, row: T) -> None:
        """Returns when the row is committed. Raises NotStored where it is not in time."""
        if len(self._waiting) >= MOST_WAITING:
            raise NotStored("too many wait")
        ticket = _Ticket(row, asyncio.get_running_loop().create_future())
        self._waiting.append(ticket)
        self._begin()
        try:
            async with asyncio.timeout(self._within_s):
                await ticket.done
        except TimeoutError:
            raise NotStored("the ledger takes too long") from None

    async def close(self) -> None:
        """Commits what waits, as far as the ledger lets it."""
        if self._began:
            await asyncio.wait(self._began, timeout=self._within_s)

    def _begin(self) -> None:
        """Starts a loop of commits, unless one is at work that does not hang."""
        now = asyncio.get_running_loop().time()
        works = any(now - began < self._within_s for began in self._began.values())
        if not works and len(self._began) < THREADS:
            task = asyncio.create_task(self._commit_all())
            self._began[task] = now

    async def _commit_all(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - we are in one
        try:
            while tickets := self._next():
                self._began[task] = asyncio.get_running_loop().time()
                await self._commit(tickets)
        finally:
            # In the step that found nothing waiting: a row that comes after it must find no loop at work.
            del self._began[task]

    def _next(self) -> list[_Ticket[T]]:
        """The oldest rows that somebody still waits for."""
        tickets: list[_Ticket[T]] = []
        while self._waiting and len(tickets) < TOGETHER:
            ticket = self._waiting.popleft()
            if not ticket.done.done():
                tickets.append(ticket)
        return tickets

    async def _commit(self, tickets: list[_Ticket[T]]) -> None:
        error = await self._stored([ticket.row for ticket in tickets])
        if error is not None and len(tickets) > 1 and not isinstance(error, _AWAY):
            # One row that the ledger cannot take must not keep out the others.
            for ticket in tickets:
                await self._commit([ticket])
            return
        for ticket in tickets:
            if ticket.done.done():
                continue
            if error is None:
                ticket.done.set_result(None)
            else:
                ticket.done.set_exception(NotStored(type(error).__name__))

    async def _stored(self, rows: list[T]) -> Exception | None:
        """Commits in a thread; gives what went wrong."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Exception | None] = loop.create_future()

        def work() -> None:
            error = None
            try:
                self._store(rows)
            except Exception as raised:  # noqa: BLE001 - whatever it is: not stored, and those who wait are told
                error = raised
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(done.set_result, error)

        # Not of a pool: Python waits for a pool's threads at its end, and this one may hang.
        threading.Thread(target=work, name="every8d-inbox", daemon=True).start()
        return await done
