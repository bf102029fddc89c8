"""Many claimers at once, in threads and in processes: every message is in exactly one chunk, and none is forgotten."""

import json
import random
import subprocess
import sys
import threading
from collections import Counter
from typing import Any

from sqlalchemy import func, select

from tests.support import bodies, ledger
from worker.ledger import cancel, settle
from worker.ledger.claim import due
from worker.ledger.database import Database
from worker.ledger.tables import chunk, message, request

PROGRAM = """
import json, sys
from worker.ledger.claim import Terms, claim, due
from worker.ledger.database import Database
database = Database(sys.argv[1])
sys.stdin.readline()
taken = []
while due(database, "default", "normal"):
    found = claim(database, "default", "normal", Terms(37, 90, "test"))
    if found is not None:
        taken += [[str(one.request_id), one.seq] for one in found.packed.messages]
print(json.dumps(taken))
"""


def fill(database: Database) -> int:
    """Long requests, short ones, several subjects."""
    total = 0
    for place, count in enumerate((400, 1, 1, 1, 37, 74, 5, 200, 1, 1)):
        ledger.put(database, to=bodies.numbers(count, place * 1000), subject="甲" if place % 4 == 3 else "")
        total += count
    return total


def check_whole(database: Database, total: int) -> None:
    """Each message points to one chunk; sizes, positions and pending add up."""
    with database.read() as connection:
        rows = connection.execute(
            select(chunk.c.id, chunk.c.size, chunk.c.pending, func.count(), func.min(message.c.position))
            .add_columns(func.max(message.c.position), func.count(message.c.number.distinct()))
            .join(message, message.c.chunk_id == chunk.c.id)
            .group_by(chunk.c.id, chunk.c.size, chunk.c.pending)
        ).all()
        chunks = connection.scalar(select(func.count()).select_from(chunk))
        forgotten = connection.scalar(select(func.count()).where(message.c.due_ms.is_not(None)))
        open_requests = connection.scalar(select(func.count()).where(request.c.next_due_ms.is_not(None)))
    assert len(rows) == chunks
    for _, size, pending, count, first, last, distinct in rows:
        assert (size, pending, first, last, distinct) == (count, count, 1, count, count)
    assert (sum(row[1] for row in rows), forgotten, open_requests) == (total, 0, 0)


def test_eight_threads_take_each_message_once(database: Database) -> None:
    total = fill(database)
    failures = ledger.failures(database)

    def drain() -> list[Any]:
        mine = []
        while due(database, "default", "normal"):
            if (found := ledger.take(database, size=37)) is not None:
                mine += [(one.request_id, one.seq) for one in found.packed.messages]
        return mine

    taken = Counter(one for part in ledger.at_once([drain] * 8) for one in part)
    assert (len(taken), set(taken.values())) == (total, {1})
    check_whole(database, total)
    assert failures == []


def test_three_processes_take_each_message_once(database: Database, database_url: str) -> None:
    total = fill(database)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for one in started:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    answers = [one.communicate(timeout=60)[0] for one in started]
    assert [one.returncode for one in started] == [0, 0, 0]
    taken = Counter(tuple(one) for answer in answers for one in json.loads(answer))
    assert (len(taken), set(taken.values())) == (total, {1})
    check_whole(database, total)


def test_claims_releases_and_a_cancel_at_once_forget_nothing(database: Database) -> None:
    """Whatever the order, a message that is free is found again, and one that is cancelled is not."""
    for place, count in enumerate((60, 1, 1, 30)):
        ledger.put(database, to=bodies.numbers(count, place * 1000))
    doomed = ledger.put(database, to=bodies.numbers(50, 9000))
    sent: list[tuple[Any, int]] = []
    lock = threading.Lock()
    failures = ledger.failures(database)

    def work(seed: int) -> None:
        chance = random.Random(seed)
        while due(database, "default", "normal"):
            found = ledger.take(database, size=10)
            if found is None:
                continue
            whose = ledger.whose(found)
            match chance.randrange(4):
                case 0:
                    assert settle.not_sent(database, whose, "unreachable")
                case 1 if len(found.packed.messages) > 1:
                    assert settle.refused(database, whose, -306, "no", new_part=found.id)
                case _:
                    answer = ledger.reply(len(found.packed.messages))
                    assert settle.accepted(database, whose, answer, database.now_ms())
                    with lock:
                        sent.extend((one.request_id, one.seq) for one in found.packed.messages)

    ledger.at_once(
        [*(lambda seed=seed: work(seed) for seed in range(6)), lambda: cancel.stop(database, doomed)]  # type: ignore[list-item]
    )
    counted = Counter(sent)
    assert set(counted.values()) == {1}
    final = {(one.request_id, one.seq): one.state for one in ledger.messages(database)}
    assert set(final.values()) <= {"packed", "cancelled"}
    assert {key for key, state in final.items() if state == "packed"} == set(counted)
    assert {key[0] for key, state in final.items() if state == "cancelled"} <= {doomed}
    assert not set(failures) - {"DeadlockDetected"}
    with database.read() as connection:
        left = connection.scalar(select(func.count()).where(request.c.next_due_ms.is_not(None)))
    assert left == 0
