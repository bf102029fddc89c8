"""Accepting whole requests that arrive at the same time in one transaction, as a database commits its own.

Whoever comes first commits for all who came while the last commit was under way. Nobody waits for company: a
request that comes alone is committed alone, at once.
"""

import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from every8d.body import Page
from worker.ledger.accept import accept
from worker.ledger.database import Database
from worker.ledger.whole import Accepted, insert_wholes, whole

#: Messages in one transaction: enough to share its cost, few enough for an otp message to wait through.
TOGETHER = 200


#: In a crowd a transaction waits so long for more; a request that comes alone never waits.
GATHER_S = 0.005


@dataclass(slots=True, eq=False)
class _Ticket:
    page: Page
    accepted: Accepted | None = None
    error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.accepted is not None or self.error is not None


class Intake:
    """The way of whole requests into the ledger, for all threads of a process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[_Ticket] = deque()
        self._committing = threading.Lock()
        #: The last transaction had company, so the next may expect some.
        self._crowded = False

    def accept(self, page: Page) -> Accepted:
        """Commits a request of one page (`accept.is_whole`), perhaps together with others. Raises as `accept` does."""
        ticket = _Ticket(page)
        self._waiting.append(ticket)
        while not ticket.done:
            with self._committing:
                if not ticket.done:
                    if self._crowded:
                        time.sleep(GATHER_S)
                    tickets = self._next()
                    self._crowded = len(tickets) > 1
                    try:
                        self._commit(tickets)
                    except BaseException:
                        # This thread is being ended; the others' tickets are still theirs to commit.
                        self._waiting.extendleft(one for one in tickets if one is not ticket and not one.done)
                        raise
        if ticket.error is not None:
            raise ticket.error
        assert ticket.accepted is not None  # noqa: S101 - done and no error
        return ticket.accepted

    def accept_together(self, pages: list[Page]) -> set[uuid.UUID]:
        """Commits whole requests in one transaction; each id stands there once. Returns those that were new.

        Raises what the ledger raises, for all of them.
        """
        if not pages:
            return set()
        with self._committing:
            now_ms = self._database.now_ms()
            return insert_wholes(self._database, [whole(page, now_ms) for page in pages])

    def _next(self) -> list[_Ticket]:
        """The oldest tickets: at least one, and no more than fit together."""
        tickets = [self._waiting.popleft()]
        size = len(tickets[0].page.messages)
        while self._waiting and (size := size + len(self._waiting[0].page.messages)) <= TOGETHER:
            tickets.append(self._waiting.popleft())
        return tickets

    def _commit(self, tickets: list[_Ticket]) -> None:
        wholes, alone = {}, []
        for ticket in tickets:
            if ticket.page.request in wholes:
                alone.append(ticket)
            else:
                wholes[ticket.page.request] = ticket
        try:
            now_ms = self._database.now_ms()
            prepared = {request: whole(ticket.page, now_ms) for request, ticket in wholes.items()}
            new = insert_wholes(self._database, list(prepared.values()))
        except Exception as error:  # noqa: BLE001 - each is tried alone, or given its error
            # One of them may be at fault: each for itself then, so that it fails alone.
            new = set()
            if isinstance(error, SQLAlchemyError) and len(tickets) == 1:
                tickets[0].error = error
                return
        for request, ticket in wholes.items():
            if request in new:
                ticket.accepted = prepared[request].accepted
            else:
                # The ledger has something of this request already.
                alone.append(ticket)
        for ticket in alone:
            try:
                ticket.accepted = accept(self._database, ticket.page)
            except Exception as error:  # noqa: BLE001 - it is raised in the thread that waits for it
                ticket.error = error
