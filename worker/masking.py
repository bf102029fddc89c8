"""Masked arguments: a task's arguments may be a campaign, so nothing that describes a task shows them."""

from typing import Any

from celery.worker.request import Request

MASKED = "(…)"


class MaskedRequest(Request):  # type: ignore[misc]  # Celery publishes no types
    """A task as a worker received it, whose arguments are shown by nothing: `argsrepr` is the publisher's word."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._argsrepr = MASKED
        self._kwargsrepr = MASKED

    def info(self, safe: bool = False) -> dict[str, Any]:  # noqa: ARG002 - Celery's signature
        """What `inspect` and Flower see."""
        described: dict[str, Any] = super().info(safe=True)
        described["args"], described["kwargs"] = MASKED, MASKED
        return described
