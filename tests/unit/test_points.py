"""The list of points is complete: no commit and no gateway call without a name on either side."""

import re
import subprocess
import sys

from tests.support import points

#: The schema's own transactions: nothing of a message moves there.
OF_THE_SCHEMA = {"worker/ledger/migrate.py"}


def test_every_commit_has_a_point_of_its_own() -> None:
    found = points.commits()
    assert [one.where for one in found if one.name is None] == []
    names = [one.name or "" for one in found]
    assert sorted(names) == sorted(set(names))
    assert [name for name in names if not re.fullmatch(r"[a-z]+\.[a-z_]+", name)] == []
    # The search finds what there is: were `write` renamed, nothing would be missed.
    assert {"accept.whole", "accept.page", "send.claim", "settle.accepted", "poll.last_page"} <= set(names)


def test_no_transaction_goes_past_the_points() -> None:
    assert {one.rpartition(":")[0] for one in points.transactions_past_write()} <= OF_THE_SCHEMA


def test_every_gateway_call_stands_between_its_points() -> None:
    found = points.calls()
    assert [one.where for one in found if one.name is None] == []
    assert {one.name for one in found} == {f"call.{name}" for name in points.OPERATIONS.values()}


PROGRAM = """
import os
from worker import points
for turn in range(3):
    points.before("send.claim")
    print("began", turn, flush=True)
    points.after("send.claim")
    print("ended", turn, flush=True)
"""


def killed_at(place: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"EVERY8D_KILL_AT": place, "PYTHONPATH": str(points.ROOT)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout.decode().splitlines()


def test_a_process_dies_at_the_place_that_is_named_and_at_no_other() -> None:
    assert killed_at("before:send.claim") == (-9, [])
    assert killed_at("after:send.claim") == (-9, ["began 0"])
    assert killed_at("before:send.claim#3") == (-9, ["began 0", "ended 0", "began 1", "ended 1"])
    assert killed_at("before:send")[0] == killed_at("")[0] == 0
