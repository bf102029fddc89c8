"""`./run chaos`: campaigns and codes through a whole system, while its workers are killed and its gateway fails.

Ends with a table, and with 1 where a message was lost or sent twice.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.plan import Plan
from tests.chaos.run import NotOurs, run
from tests.chaos.table import as_json, as_text


def main() -> int:
    """Reads the arguments, runs, prints. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="./run chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="of trouble; calm and count come after")
    parser.add_argument("--seed", type=int, help="repeats who is killed when, and which calls fail")
    parser.add_argument("--db", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--keep", action="store_true", help="keeps the ledger and the log of a good run too")
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    arguments = parser.parse_args()
    seed = random.randrange(1_000_000) if arguments.seed is None else arguments.seed
    # A minute is the quick look; evidence from the credit takes about as long again.
    settle_s = 90.0 if arguments.minutes > 1 else 0.0
    plan = Plan(arguments.minutes * 60, seed, arguments.db, settle_s)
    for name in [name for name in os.environ if name.upper().startswith("EVERY8D_")]:
        del os.environ[name]
    directory = Path(tempfile.mkdtemp(prefix="e8d-chaos-"))
    print(f"seed {seed}, {plan.db}, files in {directory}", file=sys.stderr, flush=True)
    try:
        result = run(plan, directory, lambda line: print(line, file=sys.stderr, flush=True))
    except NotOurs as error:
        print(error, file=sys.stderr)
        shutil.rmtree(directory)
        return 2
    print(json.dumps(as_json(result)) if arguments.json else as_text(result))
    if not result.wrong() and not arguments.keep:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        print(f"the ledger and the log are in {directory}", file=sys.stderr)
    return 1 if result.wrong() else 0


if __name__ == "__main__":
    sys.exit(main())
