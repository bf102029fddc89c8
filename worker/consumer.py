"""Celery's consumer, for queues into which anybody may put anything.

What is no task of ours is kept as a dead letter. By itself Celery would write its whole body into the log, numbers and
texts included, and drop it; and a few kinds end the worker, find their way back into the queue, and end the next one.
"""

from collections.abc import Callable
from typing import Any

import structlog
from celery.worker.consumer import Consumer as CeleryConsumer
from sqlalchemy.exc import SQLAlchemyError

from worker import accepting, runtime

#: A ledger that does not take a dead letter is offered it again after so many seconds.
AGAIN_S = 5.0

_log = structlog.get_logger(__name__)


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery has no types
    """As Celery's, but for what it cannot read."""

    def create_task_handler(self, *given: Any, **named: Any) -> Callable[[Any], Any]:
        """What is called with each message. Raises the connection's errors alone."""
        received = super().create_task_handler(*given, **named)
        expected = (*self.connection_errors, *self.connection.channel_errors)

        def handle(message: Any) -> Any:
            try:
                if _is_no_call(message):
                    # Celery would take it apart as one, fail over it outside the task, and forget it.
                    return self._bury(message, "it is no call")
                return received(message)
            except expected:
                raise
            except Exception as error:
                if message.acknowledged:
                    raise
                return self._bury(message, f"Celery cannot read it ({type(error).__name__})")

        return handle

    def on_unknown_message(self, body: Any, message: Any) -> None:  # noqa: ARG002 - Celery's signature
        """It names no task at all."""
        self._bury(message, "it is no task")

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002 - Celery's signature
        """It names a task that there is not: a misspelt name, or another system's."""
        self._bury(message, "there is no task of its name")

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002 - Celery's signature
        """Its arguments are none, or it comes in a serializer that we do not read."""
        self._bury(message, f"it is no valid task ({type(exc).__name__})")

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Its body is not what its content type says."""
        self._bury(message, f"its body cannot be decoded ({type(exc).__name__})")

    def _bury(self, message: Any, reason: str) -> None:
        try:
            accepting.bury(runtime.engine(), _readable(message), None, reason)
        except SQLAlchemyError as error:
            _log.error("a message that is no task could not be kept; again soon", error=type(error).__name__)
            self.timer.call_after(AGAIN_S, message.reject_log_error, (_log, self.connection_errors, True))
            return
        message.reject_log_error(_log, self.connection_errors)


def _is_no_call(message: Any) -> bool:
    """Whether it can be decoded, and is neither a call of Celery's second protocol nor one of its first."""
    try:
        payload = message.payload
    except Exception:  # noqa: BLE001 - whatever it is, Celery meets it again and says so
        return False
    if isinstance(payload, dict):
        return "args" not in payload
    if not isinstance(payload, list | tuple) or len(payload) != 3:
        return True
    return not (isinstance(payload[0], list | tuple) and isinstance(payload[1], dict))


def _readable(message: Any) -> dict[str, Any]:
    body = message.body
    headers = message.headers if isinstance(message.headers, dict) else {}
    return {
        "task": headers.get("task"),
        "content_type": message.content_type,
        "body": body.decode("utf-8", "replace") if isinstance(body, bytes) else body,
    }
