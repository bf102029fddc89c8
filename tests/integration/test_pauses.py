"""Pauses of an account, a lane and a request: nothing of them goes out until they are resumed, on both databases."""

import threading
import uuid

import pytest

from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, ledger, running
from tests.support.engines import EngineMaker
from tests.support.servers import Clock
from tests.support.waiting import wait_for
from worker.ledger import accounts, pauses, settle
from worker.ledger.claim import due, due_lanes
from worker.ledger.controls import NotPaused, RequestOver, pause, resume
from worker.ledger.database import Database
from worker.ledger.operators import unblock_account
from worker.ledger.pauses import Target, standing
from worker.ledger.progress import progress
from worker.ledger.queries import NotFound, account_states, events

ONE, TWO, THREE = bodies.numbers(3)
KINDS = ["account", "lane", "request"]


@pytest.fixture(autouse=True)
def _accounts(database: Database) -> None:
    accounts.ensure_accounts(database, ["default", "shop"])


def target(kind: str, request: uuid.UUID, lane: str = "normal") -> Target:
    return {
        "account": Target("default"),
        "lane": Target("default", lane),
        "request": Target("", request=request),
    }[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_it_is_claimed_until_it_is_resumed(database: Database, clock: Clock, kind: str) -> None:
    key = ledger.put(database, to=[ONE])
    done = pause(database, target(kind, key), by="li", why="a wrong text")
    assert (done.target.what, done.target.account, done.under_way) == (kind, "default", 0)
    assert (due(database, "default", "normal"), due_lanes(database)) == (False, [])
    assert ledger.take(database) is None
    assert ledger.take(database, only=key) is None
    [found] = standing(database)
    assert (found.what, found.account, found.by, found.why) == (kind, "default", "li", "a wrong text")
    assert found.since is not None
    assert found.since.timestamp() * 1000 == clock.now_ms
    clock.advance(60)
    ended = resume(database, target(kind, key), by="wang", why="it was right")
    assert (ended.was, ended.still) == (found, ())
    assert standing(database) == []
    assert len(ledger.taken(database).packed.messages) == 1
    told = [(one.kind, one.account, one.text) for one in events(database)]
    name = str(done.target)
    assert told == [
        ("paused", "default", f"li paused {name}: a wrong text"),
        ("resumed", "default", f"wang resumed {name}: it was right"),
    ]


@pytest.mark.parametrize(
    ("kind", "others"),
    [("account", {"shop"}), ("lane", {"shop", "otp"}), ("request", {"shop", "otp", "normal"})],
)
def test_what_is_not_paused_goes_on(database: Database, kind: str, others: set[str]) -> None:
    key = ledger.put(database, to=[ONE])
    ledger.put(database, to=[TWO])
    ledger.put(database, to=[ONE], lane="otp")
    ledger.put(database, to=[ONE], account="shop")
    pause(database, target(kind, key), by="li", why="")
    found = {
        name
        for name, how in {
            "normal": {"lane": "normal"},
            "otp": {"lane": "otp"},
            "shop": {"account": "shop"},
        }.items()
        if ledger.take(database, **how) is not None
    }
    assert found == others
    assert ledger.states(database, key) == {"waiting": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_back_or_comes_new_waits_as_well(database: Database, kind: str) -> None:
    key = ledger.put(database, 2)
    claimed = ledger.taken(database, size=1)
    assert pause(database, target(kind, key), by="li", why="").under_way == 1
    settle.not_sent(database, ledger.whose(claimed), "unreachable")
    if kind != "request":
        ledger.put(database, to=[THREE])
    assert (ledger.take(database), due(database, "default", "normal")) == (None, False)
    resume(database, target(kind, key), by="li", why="")
    taken = len(ledger.taken(database).packed.messages)
    assert taken == (2 if kind == "request" else 3)


def test_pauses_are_told_apart_and_end_one_by_one(database: Database) -> None:
    key = ledger.put(database, to=[ONE])
    for kind in KINDS:
        pause(database, target(kind, key), by=kind, why=f"the {kind}")
    found = progress(database, key)
    assert found is not None
    assert [(one.what, one.by) for one in found.pauses] == [(kind, kind) for kind in KINDS]
    for place, kind in enumerate(KINDS):
        assert ledger.take(database) is None
        # Only what holds this very thing back is told: an account is not held back by one of its lanes.
        assert resume(database, target(kind, key), by="li", why="").still == ()
        assert len(standing(database)) == 2 - place
    assert len(ledger.taken(database).packed.messages) == 1


def test_what_else_holds_it_back_is_told(database: Database) -> None:
    key = ledger.put(database, to=[ONE])
    for kind in KINDS:
        pause(database, target(kind, key), by="li", why="")
    still = resume(database, target("request", key), by="li", why="").still
    assert [one.what for one in still] == ["account", "lane"]
    still = resume(database, target("lane", key), by="li", why="").still
    assert [one.what for one in still] == ["account"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_pause_is_the_last_word(database: Database, kind: str) -> None:
    key = ledger.put(database, to=[ONE])
    for by in ("li", "wang"):
        pause(database, target(kind, key), by=by, why=f"says {by}")
    assert [(one.by, one.why) for one in standing(database)] == [("wang", "says wang")]
    resume(database, target(kind, key), by="li", why="")
    with pytest.raises(NotPaused, match="is not paused"):
        resume(database, target(kind, key), by="li", why="")
    assert ledger.events(database) == {"paused": 2, "resumed": 1}


def test_what_is_not_there_is_not_found(database: Database) -> None:
    for unknown in (Target("nobody"), Target("nobody", "bulk"), Target("", request=uuid.uuid4())):
        for act in (pause, resume):
            with pytest.raises(NotFound):
                act(database, unknown, by="li", why="")
    assert (standing(database), ledger.events(database)) == ([], {})


def test_a_request_that_is_over_is_not_paused(database: Database) -> None:
    from worker.ledger import cancel

    key = ledger.put(database, to=[ONE])
    cancel.stop(database, key)
    with pytest.raises(RequestOver, match="cancelled"):
        pause(database, Target("", request=key), by="li", why="")


def test_pages_of_a_paused_request_arrive_and_wait(database: Database) -> None:
    from every8d import body
    from worker.ledger.accept import accept

    key = uuid.uuid4()
    page = bodies.page(key, to=[ONE])
    accept(database, body.parse(page))
    pause(database, Target("", request=key), by="li", why="")
    assert accept(database, body.parse(bodies.seal_alone([page]))).outcome == "ready"
    assert (due(database, "default", "normal"), ledger.take(database, only=key)) == (False, None)
    resume(database, Target("", request=key), by="li", why="")
    assert len(ledger.taken(database).packed.messages) == 1


def test_a_deadline_that_passes_in_a_pause_is_kept(database: Database, clock: Clock) -> None:
    key = ledger.put(database, to=[ONE], deadline=ledger.moment(clock.now_ms + 10_000))
    pause(database, Target("default"), by="li", why="")
    clock.advance(11)
    resume(database, Target("default"), by="li", why="")
    assert ledger.take(database) is None
    assert ledger.states(database, key) == {"expired": 1}


def test_unblocking_ends_the_gateways_pause_and_not_an_operators(database: Database) -> None:
    accounts.pause_account(database, "default", "the gateway refused us")
    [found] = standing(database)
    assert (found.by, found.why) == (pauses.GATEWAY, "the gateway refused us")
    assert unblock_account(database, "default", by="li", why="").still == ()
    assert standing(database) == []
    pause(database, Target("default"), by="li", why="a wrong text")
    # Nor does the gateway take an operator's pause over: then somebody else could end it.
    accounts.pause_account(database, "default", "the gateway refused us")
    done = unblock_account(database, "default", by="wang", why="")
    assert (done.was, [one.by for one in done.still]) == ("closed", ["li"])
    assert accounts.account_row(database, "default").paused
    resume(database, Target("default"), by="li", why="")
    accounts.pause_account(database, "default", "again")
    assert resume(database, Target("default"), by="li", why="").was.by == pauses.GATEWAY


@pytest.mark.parametrize(
    ("by", "before", "after"),
    [
        (pauses.CREDIT, "held", "operator"),
        # An operator paused it since, for another reason: the price is judged anew.
        ("li", "held", None),
        ("li", "covered", "covered"),
        ("li", None, None),
    ],
)
def test_resuming_what_was_held_for_its_price_sends_it_whatever_it_costs(
    database: Database, by: str, before: str | None, after: str | None
) -> None:
    from sqlalchemy import update

    from worker.ledger.tables import request

    key = ledger.put(database, to=[ONE])
    values = {"funds": before, "paused_ms": 1, "paused_by": by, "paused_reason": "r"}
    database.write(lambda c: c.execute(update(request).where(request.c.id == key).values(values)))
    resume(database, Target("", request=key), by="li", why="it may cost what it costs")
    assert ledger.request_row(database, key).funds == after


def test_accounts_and_requests_show_what_is_paused(database: Database) -> None:
    key, other = ledger.put(database, to=[ONE]), ledger.put(database, to=[TWO])
    pause(database, Target("default", "normal"), by="li", why="lunch")
    pause(database, Target("", request=other), by="li", why="a wrong text")
    pause(database, Target("shop"), by="wang", why="unpaid")
    states = {one.alias: one for one in account_states(database)}
    assert [(one.what, one.lane, one.by, one.why) for one in states["default"].pauses] == [
        ("lane", "normal", "li", "lunch")
    ]
    assert (states["default"].paused, states["default"].paused_requests) == (False, 1)
    assert (states["shop"].paused, states["shop"].pause_reason, states["shop"].paused_requests) == (
        True,
        "unpaid",
        0,
    )
    of_key, of_other = progress(database, key), progress(database, other)
    assert of_key is not None
    assert of_other is not None
    assert [one.what for one in of_key.pauses] == ["lane"]
    assert [one["why"] for one in of_other.result()["paused"]] == ["lunch", "a wrong text"]


def test_what_is_over_is_not_shown_as_paused(database: Database, clock: Clock) -> None:
    key = ledger.put(database, to=[ONE], deadline=ledger.moment(clock.now_ms + 1))
    clock.advance(1)
    assert ledger.take(database) is None
    pause(database, Target("default"), by="li", why="")
    found = progress(database, key)
    assert found is not None
    assert (found.final, found.pauses) == (True, ())


@pytest.mark.parametrize("kind", KINDS)
def test_no_call_begins_after_a_pause(make: EngineMaker, emulator: EmulatorProcess, kind: str) -> None:
    """Four loops send one text a call; what the pause found under way ends, and nothing follows."""
    engine = make(chunk_size=1)
    key = running.enqueue(engine, to=bodies.numbers(200))
    emulator.control.fault("delay", "sendSMS", delay_ms=50, count=None)
    loops = [threading.Thread(target=running.send, args=(engine,)) for _ in range(4)]
    for one in loops:
        one.start()
    wait_for(lambda: emulator.control.calls("sendSMS") >= 8, what="some calls")
    done = pause(engine.database, target(kind, key), by="li", why="stop")
    before = running.counts(engine, key)
    for one in loops:
        one.join(30)
        assert not one.is_alive()
    after = running.counts(engine, key)
    # One call of each loop may have been claimed at the very moment of the pause.
    assert 0 < after["sent"] <= before.get("sent", 0) + before.get("submitting", 0) + len(loops)
    assert done.under_way <= 4
    assert after["waiting"] == 200 - after["sent"]
    running.send(engine)
    assert running.counts(engine, key) == after
    resume(engine.database, target(kind, key), by="li", why="go on")
    emulator.control.clear_faults()
    running.send(make())
    assert running.counts(engine, key) == {"sent": 200}
    assert (emulator.control.summary().total, emulator.control.summary().doubled) == (200, [])
