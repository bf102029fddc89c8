"""The bodies of one request on their way into the ledger: published, and where asked for, confirmed."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from every8d.body import TASK
from every8d.producererrors import IdempotencyConflict, NotAccepted, NotConfirmed
from every8d.publishing import new_task_id

if TYPE_CHECKING:
    import uuid

    from every8d.publishing import Publisher

#: Bodies published and not yet confirmed, at most: keeps workers of a lane busy and the memory small.
WINDOW: Final = 8
#: How often a body is published before the caller is told that it is not confirmed.
TRIES: Final = 3
_PAUSE_AFTER_FAILURE_S: Final = 0.2


@dataclass(slots=True)
class _InFlight:
    body: dict[str, Any]
    task_id: str = field(default_factory=new_task_id)
    tries: int = 1
    since: float = field(default_factory=time.monotonic)


class Delivery:
    """Publishes the bodies of one request, in order. With `confirm` it waits for the ledger's answers.

    An unanswered body is published again with the same ids, which is harmless. `duplicates` adds up what
    the answers say. Not shared by threads.
    """

    def __init__(
        self, publisher: Publisher, *, request: uuid.UUID, lane: str, confirm: bool, timeout_s: float
    ) -> None:
        self._publisher = publisher
        self._request = request
        self._queue = f"every8d.{lane}"
        self._confirm = confirm
        self._timeout_s = timeout_s
        self._flying: deque[_InFlight] = deque()
        self.duplicates = 0
        if confirm:
            publisher.require_answers()

    def send(self, body: dict[str, Any]) -> None:
        """Publishes a body; waits for the oldest where too many are not confirmed.

        Raises BrokerUnreachable, NotConfirmed, IdempotencyConflict, NotAccepted.
        """
        flying = _InFlight(body)
        self._publish(flying)
        if self._confirm:
            self._flying.append(flying)
            if len(self._flying) >= WINDOW:
                self._settle(self._flying.popleft())

    def settle(self) -> None:
        """Waits until all that was sent is confirmed. Raises as `send` does."""
        while self._flying:
            self._settle(self._flying.popleft())

    def _publish(self, flying: _InFlight) -> None:
        self._publisher.publish(
            TASK,
            {"body": flying.body},
            queue=self._queue,
            request=self._request,
            shown=f"{{'request': '{self._request}', 'page': {flying.body['page']}}}",
            task_id=flying.task_id,
            answered=self._confirm,
        )

    def _settle(self, flying: _InFlight) -> None:
        while not self._confirmed(flying):
            if flying.tries >= TRIES:
                raise NotConfirmed(self._request, f"no answer to {flying.tries} tries")
            flying.tries += 1
            flying.since = time.monotonic()
            self._publish(flying)

    def _confirmed(self, flying: _InFlight) -> bool:
        left = flying.since + self._timeout_s - time.monotonic()
        answer = self._publisher.wait(flying.task_id, left)
        if answer is None:
            return False  # published again under the same task id: a late answer to the first counts too
        result = answer.result or {}
        outcome = result.get("outcome")
        if outcome == "conflict":
            raise IdempotencyConflict(self._request)
        seal = flying.body["seal"]
        refusing = seal is not None and seal["refused"] is not None
        if outcome == "dead" or (outcome == "refused" and not refusing):
            raise NotAccepted(self._request, str(result.get("reason") or "no reason given"))
        # A seal that finds pages missing is "staged": not yet what a caller waits for.
        if outcome in {"ready", "refused"} or (outcome == "staged" and seal is None):
            # Found in a request of one page at once, over several pages when they are sealed.
            self.duplicates += int(result.get("duplicates") or 0)
            return True
        # The task failed there, or its seal came too early. That answer was deleted when it was read.
        time.sleep(_PAUSE_AFTER_FAILURE_S)
        return False
