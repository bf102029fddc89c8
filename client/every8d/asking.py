"""Questions about a request, asked of the ledger through a task and its answer."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final, TypeVar

from every8d.errors import InvalidInput
from every8d.producererrors import NoAnswer, NoSuchRequest
from every8d.publishing import new_task_id
from every8d.receipt import Cancelled, RequestStatus, read_cancelled, read_status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from every8d.publishing import Publisher

QUEUE: Final = "every8d.status"
_T = TypeVar("_T")


def request_of(request_id: uuid.UUID | str) -> uuid.UUID:
    """The id as a UUID. Raises InvalidInput."""
    try:
        return request_id if isinstance(request_id, uuid.UUID) else uuid.UUID(request_id)
    except ValueError:
        raise InvalidInput("that is no request id", "這不是有效的請求編號") from None


def status(publisher: Publisher, request: uuid.UUID, timeout_s: float) -> RequestStatus:
    """Asks where a request is. The question expires with the timeout: a late answer helps nobody."""
    return _ask(publisher, "every8d.status", request, read_status, timeout_s, expires_s=timeout_s)


def cancel(publisher: Publisher, request: uuid.UUID, timeout_s: float) -> Cancelled:
    """Asks to cancel. It is done also when the answer comes too late; so it does not expire. Raises NoSuchRequest."""
    return _ask(publisher, "every8d.cancel", request, read_cancelled, timeout_s, expires_s=None)


def _ask(
    publisher: Publisher,
    task: str,
    request: uuid.UUID,
    read: Callable[[uuid.UUID, Mapping[str, Any]], _T],
    timeout_s: float,
    expires_s: float | None,
) -> _T:
    task_id = new_task_id()
    publisher.publish(
        task,
        {"request": str(request)},
        queue=QUEUE,
        request=request,
        shown=f"{{'request': '{request}'}}",
        task_id=task_id,
        answered=True,
        expires_s=expires_s,
    )
    answer = publisher.wait(task_id, timeout_s)
    if answer is None:
        raise NoAnswer(request, task)
    result = answer.result or {}
    if read is read_cancelled and result.get("state") == "unknown_request":
        raise NoSuchRequest(request)
    try:
        return read(request, result)
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise NoAnswer(request, f"{task} failed in the worker: see its log") from error
