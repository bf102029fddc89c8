"""The pytest plugin, found by its entry point. It must stay cheap to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from every8d.testing.fake import FakeGateway


@pytest.fixture
def every8d_gateway() -> FakeGateway:
    """A fresh gateway in memory, with 1,000 points."""
    from every8d.testing.fake import FakeGateway

    return FakeGateway()
