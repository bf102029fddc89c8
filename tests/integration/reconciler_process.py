"""A process that compares credits until it is killed or has settled something. Run by test_reconciler_killed.py.

Reads one line of settings as JSON; EVERY8D_KILL_AT says where it dies.
"""

import json
import sys
import time

from celery import Celery
from sqlalchemy import func, select

from config import Settings
from worker import reconciler
from worker.engine import make_engine
from worker.ledger.tables import chunk


def main() -> None:
    reconciler.LOOK_S, reconciler.APART_S = 0.05, 0.001
    engine = make_engine(Settings(**json.loads(sys.stdin.readline())), Celery("test"))
    unknown = select(func.count()).where(chunk.c.state == "unknown")
    until = time.monotonic() + 30
    while time.monotonic() < until:
        reconciler.look(engine, "default")
        with engine.database.read() as connection:
            if not connection.scalar(unknown):
                break
    engine.close()


if __name__ == "__main__":
    main()
