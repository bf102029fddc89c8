"""Delivery reports and replies to the customer's address (specification 3.1), as the field notes record them.

Off unless an address is configured. A batch's reports are worked out when it is accepted and wait in one
heap; there is no timer for a message. Anything but 200 is repeated, `retries` times, then never again.
"""

import asyncio
import contextlib
import heapq
import re
from typing import NamedTuple
from urllib.parse import quote_plus

import aiohttp
from yarl import URL

from every8d.emulator.batch import Batch
from every8d.emulator.clock import compact
from every8d.emulator.state import CallbackTarget, State

REPLY = 999
_TICK_S = 0.02
_TOGETHER = 32
_ANSWER_WITHIN_S = 10.0


class Event(NamedTuple):
    """One report that will be due: ordered by its time."""

    at: float
    order: int
    batch: Batch
    position: int
    status: int
    reply: str = ""


class CallbackSender:
    """Sends what is due, `_TOGETHER` at a time; the counts are for the control API."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._due: list[Event] = []
        self._order = 0
        self._task: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_TOGETHER)
        self._session: aiohttp.ClientSession | None = None
        self.counts = {"due": 0, "attempts": 0, "stored": 0, "given_up": 0}
        self.serve(state)

    def serve(self, state: State) -> None:
        """Report on this state's batches from now on, and drop what was still due of another."""
        self._state = state
        state.on_accept = self._accepted
        self._due.clear()
        for task in self._sending:
            task.cancel()
        self.counts = dict.fromkeys(self.counts, 0)

    def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End, without the reports that are still due."""
        tasks = [task for task in (self._task, *self._sending) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def pending(self) -> int:
        """Reports that are not yet stored or given up."""
        return len(self._due) + len(self._sending)

    def _accepted(self, batch: Batch) -> None:
        if self._state.callback is None:
            return
        habits = self._state.habits
        for position in range(len(batch)):
            if position in batch.kept:
                continue
            for at, status in batch.changes_of(position, habits):
                self._push(Event(at, self._order, batch, position, status))
            for reply in batch.replies_of(position, habits):
                self._push(Event(reply.at, self._order, batch, position, REPLY, reply.text))

    def _push(self, event: Event) -> None:
        self._order += 1
        heapq.heappush(self._due, event)

    async def _run(self) -> None:
        # Its own jar and no cookies: a callback carries nothing from another.
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=_ANSWER_WITHIN_S)
        )
        while True:
            await asyncio.sleep(_TICK_S)
            while self._due and self._due[0].at <= self._state.clock.now():
                event = heapq.heappop(self._due)
                target = self._state.callback
                if target is None or event.position in event.batch.kept:
                    continue
                for _ in range(self._state.switches.callback_copies):
                    await self._slots.acquire()
                    task = asyncio.create_task(self._deliver(self._session, target, event))
                    self._sending.add(task)
                    task.add_done_callback(self._sending.discard)

    async def _deliver(self, session: aiohttp.ClientSession, target: CallbackTarget, event: Event) -> None:
        self.counts["due"] += 1
        query = self._query(target, event)
        waiting = False
        try:
            for attempt in range(1 + target.retries):
                if attempt:
                    self._slots.release()  # others go on while this one waits
                    waiting = True
                    await asyncio.sleep(target.retry_s)
                    await self._slots.acquire()
                    waiting = False
                self.counts["attempts"] += 1
                if await _send(session, target, query):
                    self.counts["stored"] += 1
                    return
            self.counts["given_up"] += 1
        finally:
            if not waiting:
                self._slots.release()

    def _query(self, target: CallbackTarget, event: Event) -> str:
        batch, position = event.batch, event.position
        upper = self._state.switches.callback_upper_names
        values = {
            "BATCHID" if upper else "BatchID": batch.batch_id,
            "RM": f"+{batch.numbers[position]}",
            "RT": compact(event.at),
            "STATUS": str(event.status),
            # The sent text on ordinary reports; only STATUS=999 brings a reply.
            "SM": event.reply if event.status == REPLY else batch.text_of(position),
            "CustID": "EMULATOR",
            "UserNo": batch.user_id,
            "ST": compact(batch.due_of(position)),
            "MR": str(position + 1),
            "SUBJECT": batch.subject if self._state.switches.echo_subject else "",
            "NAME": batch.names[position] if batch.names else "",
            "USERID": batch.user_id,
            "SOURCE": "",
            "CHARGE": "0" if event.status == REPLY else str(batch.cost_of(position)),
        }
        return "&".join(f"{name}={_quoted(value, target.charset)}" for name, value in values.items())


def _quoted(value: str, charset: str) -> str:
    """As .NET's UrlEncode writes it, with small hexadecimal digits."""
    quoted = quote_plus(value, encoding=charset, errors="replace")
    return re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), quoted)


async def _send(session: aiohttp.ClientSession, target: CallbackTarget, query: str) -> bool:
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
        if target.method == "POST":
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = session.post(target.url, data=query.encode("ascii"), headers=kind, allow_redirects=False)
        else:
            joint = "&" if "?" in target.url else "?"
            answer = session.get(URL(target.url + joint + query, encoded=True), allow_redirects=False)
        async with answer as response:
            return response.status == 200
    return False
