"""Accounts apart: what goes wrong with one in a sweep is logged, and must not stop the accounts behind it."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

_log = structlog.get_logger(__name__)


class Apart:
    """One sweep over accounts. `failed` are those of which the rest is left for the next sweep."""

    def __init__(self, sweep: str) -> None:
        self._sweep = sweep
        self.failed: set[str] = set()

    @contextmanager
    def account(self, alias: str) -> Iterator[None]:
        """Around what is done for an account: any error ends this, and nothing else."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a missing file, a wrong proxy, a ledger that is away: all the same
            self.failed.add(alias)
            # Its text might show a proxy's password, or what the gateway said of a number.
            _log.error(
                "a sweep failed for this account",
                sweep=self._sweep,
                account=alias,
                error=type(error).__name__,
            )
