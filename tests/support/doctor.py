"""A deployment for `every8d doctor`, and what it finds there."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from config import Account, Settings
from worker.doctor.deployment import Deployment
from worker.doctor.examination import examine
from worker.system.valkey import EmbeddedValkey

DeploymentMaker = Callable[..., Deployment]


@pytest.fixture
def deployment(tmp_path: Path, valkey: EmbeddedValkey) -> Iterator[DeploymentMaker]:
    """Makes deployments on the session's Valkey and on a ledger; `account` and `settings` are the test's."""
    with ExitStack() as stack:

        def make(
            database_url: str = "",
            *,
            account: dict[str, Any] | None = None,
            settings: dict[str, Any] | None = None,
            **how: Any,
        ) -> Deployment:
            fields: dict[str, Any] = {
                "data_dir": tmp_path,
                "broker_url": valkey.broker_url,
                "database_url": database_url,
                "accounts": {
                    "default": Account(user_id="demo", password=SecretStr("demo"), **(account or {}))
                },
            }
            return stack.enter_context(Deployment(Settings(**(fields | (settings or {}))), **how))

        yield make


def kinds(deployment: Deployment, check: str) -> list[str]:
    """What one check finds, as `verdict kind`."""
    return [f"{one.verdict} {one.kind}" for one in examine(deployment, [check])]
