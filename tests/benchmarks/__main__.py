"""`./run bench`: prints how fast this machine is with everything on it. Nothing is asserted: machines are noisy."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from tests.benchmarks import emulator_speed, measures
from tests.benchmarks.measures import Figures
from tests.support.system import System, running

if TYPE_CHECKING:
    from collections.abc import Callable

#: What to reach on two cores with everything on them, PostgreSQL, a gateway that takes 50 ms.
WANTED = {
    "campaign_per_s": 5000,
    "send_many_per_s": 4000,
    "single_per_s": 700,
    "status_rows_per_s": 15000,
    "otp_idle_p99_ms": -50,
    "otp_campaign_p99_ms": -150,
    "emulator_send_sms_per_cpu_s": 1500,
}


def measure(system: System, share: float, only: set[str]) -> Figures:
    """All the measurements on one running system. `share` scales their sizes."""

    def size(full: int) -> int:
        # Quantiles need two samples, and two producers a message each.
        return max(2, int(full * share))

    steps: dict[str, Callable[[], Figures]] = {
        "otp": lambda: measures.otp(system, size(2000), "idle"),
        "campaign": lambda: measures.campaign(system, size(100_000)),
        "send_many": lambda: measures.different_texts(system, size(50_000)),
        "single": lambda: measures.singles(system, size(10_000)),
        "status": lambda: measures.status_rows(system),
        "otp_campaign": lambda: measures.otp_under_campaign(system, size(2000), size(100_000)),
    }
    figures: Figures = {}
    for name, step in steps.items():
        if not only or name in only:
            print(f"  {name} …", file=sys.stderr, flush=True)
            figures |= step()
    figures |= {f"pss_{name}_mib": mib for name, mib in system.memory().items()}
    summary = system.control.summary()
    return figures | {"doubled": summary.doubled_count}


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("--db", choices=["sqlite", "postgres"], default="postgres")
    parser.add_argument("--latency", type=int, nargs="*", default=[0, 50], help="the gateway's, in ms")
    parser.add_argument("--share", type=float, default=1.0, help="of the full sizes, for a quick look")
    parser.add_argument(
        "--only", nargs="*", default=[], help="otp campaign send_many single status otp_campaign"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results = {}
    emulator = {} if arguments.only else emulator_speed.figures(max(1.0, 5 * arguments.share))
    for latency in arguments.latency:
        print(f"{arguments.db}, gateway {latency} ms", file=sys.stderr, flush=True)
        with running(arguments.db, latency) as system:
            results[str(latency)] = emulator | measure(system, arguments.share, set(arguments.only))
    if arguments.json:
        print(json.dumps({"db": arguments.db, "latency_ms": results}, indent=2))
        return
    for latency, figures in results.items():
        print(f"\n{arguments.db}, gateway latency {latency} ms")
        for name, value in figures.items():
            wanted = WANTED.get(name)
            aim = "" if wanted is None else f"   wanted {'≤' if wanted < 0 else '≥'} {abs(wanted)}"
            print(f"  {name:32} {value:12,.1f}{aim}")


if __name__ == "__main__":
    main()
