"""How long a system that ends waits for its workers: longer than the calls that its settings allow."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from config import Account, Settings
from worker.system.system import System


@pytest.mark.parametrize(
    ("deadlines_s", "grace_s"), [((), 45), ((5, 30), 45), ((30, 31), 46), ((300, 30), 315)]
)
def test_workers_have_time_for_the_slowest_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deadlines_s: tuple[float, ...], grace_s: float
) -> None:
    accounts = {
        f"shop{one}": Account(user_id="u", password=SecretStr("p"), call_deadline_s=one)
        for one in deadlines_s
    }
    system = System(Settings(data_dir=tmp_path, accounts=accounts), lambda name, line: None)
    asked: list[float] = []
    monkeypatch.setattr(system.supervisor, "stop", lambda grace, hurry: asked.append(grace))
    system.stop(3)
    system.stop()
    assert asked == [3, grace_s]
