"""Tasks out, answers back: the only place that touches Celery, which is imported at its first use."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from every8d.producererrors import BrokerUnreachable, NoResultBackend

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Bounded, so that a web request fails soon when the broker is down: three tries, under a second.
RETRY_POLICY: Final = {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}
#: An answer is looked for after 1 ms, then ever less often, up to 25 ms: a small part of the whole wait.
_FIRST_LOOK_S: Final = 0.001
_LAST_LOOK_S: Final = 0.025
_LOOK_GROWTH: Final = 1.3


class Answer(NamedTuple):
    """What a worker answered: its result, or None where the task failed there."""

    result: Mapping[str, Any] | None


class Publisher:
    """Publishes tasks by name and waits for their answers. Shared by threads, and safe after a fork."""

    def __init__(
        self, app_or_url: Any, *, result_backend: str | None = None, socket_timeout_s: float = 5.0
    ) -> None:
        if isinstance(app_or_url, str):
            self.app = _app(app_or_url, result_backend, socket_timeout_s)
        else:
            self.app = app_or_url
        # On Redis a queue is a list that needs no declaring, which would be a tenth of a publish. Only for an
        # app of our own: another's queues may be bound to exchanges.
        undeclared = isinstance(app_or_url, str) and _is_redis(app_or_url)
        self._declare: dict[str, Any] = {"declare": []} if undeclared else {}
        self._ignored = {"ignore_result": True}
        self._answered: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"Publisher({self.address})"

    @property
    def address(self) -> str:
        """The broker's address, its password masked."""
        return str(self.app.connection_for_write().as_uri())

    def publish(
        self,
        task: str,
        kwargs: dict[str, Any],
        *,
        queue: str,
        request: uuid.UUID,
        shown: str,
        task_id: str,
        answered: bool,
        expires_s: float | None = None,
    ) -> None:
        """Publishes a task; `shown` is what Flower and events may show of its arguments: ids.

        Without `answered` no result is stored anywhere. Raises BrokerUnreachable after three tries.
        """
        from kombu.exceptions import OperationalError

        options = self._answered_options() if answered else self._ignored
        try:
            self.app.send_task(
                task,
                kwargs=kwargs,
                queue=queue,
                task_id=task_id,
                argsrepr="()",  # Celery would put the arguments in clear into the message's headers
                kwargsrepr=shown,
                serializer="json",
                retry=True,
                retry_policy=RETRY_POLICY,
                expires=expires_s,
                **self._declare,
                **options,
            )
        except (OperationalError, OSError, AttributeError) as error:
            # An AttributeError is how kombu fails on a channel whose connection was lost while it waited its turn.
            raise BrokerUnreachable(request, self.address) from error

    def require_answers(self) -> None:
        """Raises NoResultBackend where answers cannot come back."""
        self._answered_options()

    def _answered_options(self) -> dict[str, Any]:
        if self._answered is None:
            from celery.backends.base import BaseKeyValueStoreBackend, DisabledBackend

            backend = self.app.backend
            if isinstance(backend, DisabledBackend):
                raise NoResultBackend
            # Celery subscribes to every task that it publishes with a result, and forgets that only when an
            # AsyncResult is read. We look for the key ourselves, so the subscription is left out: the option
            # says so to this process, the header says to the worker that the result is wanted.
            quiet = isinstance(backend, BaseKeyValueStoreBackend)
            self._answered = {"ignore_result": True, "headers": {"ignore_result": False}} if quiet else {}
        return self._answered

    def wait(self, task_id: str, timeout_s: float) -> Answer | None:
        """The answer of a task that was published with `answered`, or None after the timeout.

        Polls: one key, read through this thread's own backend, so threads do not wait for each other.
        """
        deadline = time.monotonic() + timeout_s
        pause = _FIRST_LOOK_S
        while True:
            answer = self._look(task_id)
            left = deadline - time.monotonic()
            if answer is not None or left <= 0:
                return answer
            time.sleep(min(pause, left))
            pause = min(pause * _LOOK_GROWTH, _LAST_LOOK_S)

    def _look(self, task_id: str) -> Answer | None:
        backend = self.app.backend
        try:
            meta = backend.get_task_meta(task_id)
        except Exception:  # noqa: BLE001  each backend has errors of its own; the timeout bounds the waiting
            return None
        state = meta.get("status")
        if state == "SUCCESS":
            answer = Answer(meta["result"] if isinstance(meta.get("result"), dict) else None)
        elif state in {"FAILURE", "REVOKED", "REJECTED"}:
            answer = Answer(None)
        else:
            return None
        with suppress(Exception):  # the answer is here; what cannot be deleted expires by itself
            backend.forget(task_id)  # nobody else knows this id; kept, answers would fill Redis for an hour
        return answer


def new_task_id() -> str:
    """An id of a task: chosen here, so that the answer can be found whatever the publish returned."""
    return str(uuid.uuid4())


def _is_redis(url: str) -> bool:
    return url.startswith(("redis:", "rediss:", "redis+socket:"))


def _app(url: str, result_backend: str | None, socket_timeout_s: float) -> Any:
    from celery import Celery

    redis = _is_redis(url)
    results = result_backend or (url if redis else None)
    app = Celery("every8d.producer", broker=url, backend=results, set_as_current=False)
    transport: dict[str, Any] = {**RETRY_POLICY}
    if redis:
        transport |= {
            "socket_timeout": socket_timeout_s,
            "socket_connect_timeout": socket_timeout_s,
            "socket_keepalive": not url.startswith("redis+socket:"),
            "health_check_interval": 25,
        }
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        result_serializer="json",
        task_ignore_result=True,
        broker_connection_timeout=socket_timeout_s,
        broker_transport_options=transport,
        broker_pool_limit=32,  # threads of a web process that publish at the same moment
        redis_socket_timeout=socket_timeout_s,
        redis_socket_connect_timeout=socket_timeout_s,
        redis_backend_health_check_interval=25,
        result_backend_thread_safe=True,  # one client for all threads: they only read and delete keys
        result_backend_always_retry=False,
    )
    return app
