"""`./run bench` at a hundredth of its size: every figure is there. How large they are is not judged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIGURES = {
    *(f"otp_{name}_{figure}_ms" for name in ("idle", "campaign") for figure in ("p50", "p99", "max")),
    *("campaign_per_s", "campaign_published_per_s", "send_many_per_s"),
    *("single_per_s", "single_published_per_s", "status_rows", "status_rows_per_s"),
    "otp_campaign_meanwhile_per_s",
    *("emulator_send_sms_per_s", "emulator_send_sms_per_cpu_s"),
    *(f"pss_{name}_mib" for name in ("otp", "normal", "bulk", "status", "beat", "emulator")),
}


def bench(*arguments: str) -> dict[str, float]:
    """The figures that the bench prints for a gateway that answers at once."""
    command = [sys.executable, "-m", "tests.benchmarks", "--latency", "0", "--json", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    figures: dict[str, float] = json.loads(done.stdout)["latency_ms"]["0"]
    return figures


@pytest.mark.slow
@pytest.mark.parametrize("db", ["sqlite", "postgres"])
def test_every_figure_is_measured_and_nothing_is_doubled(db: str) -> None:
    figures = bench("--share", "0.01", "--db", db)
    assert figures.pop("doubled") == 0
    assert figures.keys() == FIGURES
    assert all(figure > 0 for figure in figures.values())
    for name in ("idle", "campaign"):
        p50, p99, most = (figures[f"otp_{name}_{figure}_ms"] for figure in ("p50", "p99", "max"))
        assert p50 <= p99 <= most


@pytest.mark.slow
def test_a_share_of_next_to_nothing_is_measured_too() -> None:
    figures = bench("--share", "0.0003", "--only", "otp", "single", "--db", "sqlite")
    assert figures["otp_idle_max_ms"] > 0
    assert figures["single_per_s"] > 0
    assert figures["doubled"] == 0
