"""Attempts to make the credit prove something false: each must leave the chunk to other evidence, and say why."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import update

from every8d.replies import SendReply
from tests.support import ledger, running
from tests.support.evidence import Scene
from worker import cancel, reconciler
from worker.evidence import Reason
from worker.ledger import gate, inbox, settle
from worker.ledger.claim import Terms, claim
from worker.ledger.tables import message

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
LEFT_UNSENT = "+886900930101"
ABROAD = "+819012345678"
LONG = "字" * 334


@dataclass(frozen=True)
class Fooling:
    """What happens between the baseline and the comparison, and why nothing is proven."""

    do: Callable[[Scene], object]
    reason: Reason
    settings: dict[str, Any]


def row(do: Callable[[Scene], object], reason: Reason, **settings: Any) -> Fooling:
    return Fooling(do, reason, settings)


def top_up_after_it_was_heard(scene: Scene) -> None:
    scene.lose("after", 3)
    # While the chunk is too young for a verdict, the keeper asks, and keeps the lowest that it hears.
    scene.look(30)
    scene.control.add_credit(3)


def low_credit_in_an_answer(scene: Scene) -> None:
    scene.lose("after", 3)
    scene.send(1)
    scene.control.add_credit(3)


def partly_unsent(scene: Scene) -> None:
    scene.lose("after", to=[*scene.numbers(2), LEFT_UNSENT], count=3)


def equal_prices(scene: Scene) -> None:
    scene.lose("after", 2)
    scene.lose("before", 2)


TABLE = {
    "a top-up": row(lambda s: (s.lose("after", 3), s.control.add_credit(500)), Reason.ROSE),
    "a top-up of one point more than was spent": row(
        lambda s: (s.lose("after", 3), s.control.add_credit(4)), Reason.ROSE
    ),
    "a top-up of a point less than was spent": row(
        lambda s: (s.lose("after", 3), s.control.add_credit(2)), Reason.NO_FIT
    ),
    "a top-up of just what was spent, after a lower credit was heard": row(
        top_up_after_it_was_heard, Reason.ROSE
    ),
    "the same, after a lower credit came with an answer": row(low_credit_in_an_answer, Reason.ROSE),
    "another system spends more": row(
        lambda s: (s.lose("before", 3), s.control.add_credit(-7)), Reason.SPENT
    ),
    "another system spends less": row(
        lambda s: (s.lose("before", 3), s.control.add_credit(-2)), Reason.NO_FIT
    ),
    "another system was found out before": row(
        lambda s: (s.control.add_credit(-7), s.look(61), s.lose("before", 3)), Reason.DOUBTED
    ),
    "a refund where the settings say that there is none": row(
        lambda s: (s.lose("after", 3), s.control.add_credit(1)), Reason.NO_FIT
    ),
    "a refund of the whole": row(
        lambda s: (s.lose("after", 3), s.control.add_credit(3)), Reason.AMBIGUOUS, refunds=True
    ),
    "nothing is gone, but all of it may have come back": row(
        lambda s: s.lose("before", 3), Reason.AMBIGUOUS, refunds=True
    ),
    "a refund of a part": row(
        lambda s: (s.lose("after", 3), s.control.add_credit(1)), Reason.REFUNDS, refunds=True
    ),
    "others' points may have come back": row(
        lambda s: (s.send(3), s.lose("after", 3)), Reason.REFUNDS, refunds=True
    ),
    "points of texts before the baseline may have come back": row(
        lambda s: (s.send(3), s.baseline(), s.lose("after", 3)), Reason.REFUNDS, refunds=True
    ),
    "a chunk that was sent in part": row(partly_unsent, Reason.NO_FIT),
    "the same, with refunds": row(partly_unsent, Reason.REFUNDS, refunds=True),
    "two of the same price": row(equal_prices, Reason.AMBIGUOUS),
    "a number abroad": row(
        lambda s: s.lose("before", to=[*s.numbers(1), ABROAD], count=2), Reason.PRICE, international=True
    ),
    "a text beyond 333 characters": row(lambda s: s.lose("before", text=LONG), Reason.PRICE),
    "beside one whose price is not certain": row(
        lambda s: (s.lose("before", 3), s.lose("before", text=LONG)), Reason.PRICE
    ),
    "one of thirteen": row(
        lambda s: [s.lose("before", count) for count in range(1, 13)] + [s.lose("after", 13)], Reason.TOO_MANY
    ),
}


@pytest.mark.parametrize("name", TABLE)
@ONE_DATABASE
def test_the_credit_proves_nothing(scene_of: Callable[..., Scene], name: str) -> None:
    fooling = TABLE[name]
    scene = scene_of(**fooling.settings)
    scene.baseline()
    fooling.do(scene)
    unknown = [one.id for one in scene.chunks() if one.state == "unknown"]
    assert unknown
    for _ in range(3):
        scene.compare()
    after = [one for one in scene.chunks() if one.id in unknown]
    assert {one.state for one in after} == {"unknown"}
    assert {one.evidence for one in after} == {fooling.reason}
    summary = scene.control.summary()
    assert summary.doubled_count == 0


@ONE_DATABASE
def test_a_credit_that_ran_out_in_the_middle_of_one_of_two(scene: Scene) -> None:
    """Four of the first one's ten went out, which is the price of the second one, of which none did."""
    scene.control.change_account(set_credit=4)
    scene.baseline()
    requests = scene.lose("after", 10), scene.lose("before", 4)
    for _ in range(3):
        scene.compare()
    assert [scene.counts(one) for one in requests] == [{"unknown": 10}, {"unknown": 4}]
    assert {one.evidence for one in scene.chunks()} == {Reason.SHORT}


@ONE_DATABASE
def test_what_was_hopeless_does_not_hold_up_the_next(scene: Scene) -> None:
    scene.baseline()
    old = scene.lose("after", 3)
    scene.control.add_credit(500)
    scene.compare()
    assert running.kinds(scene.engine).count("credit_no_proof") == 1
    scene.clock.advance(1)
    new = scene.lose("before", 3)
    scene.compare()
    assert (scene.counts(old), scene.counts(new)) == ({"unknown": 3}, {"waiting": 3})
    assert running.kinds(scene.engine).count("credit_no_proof") == 1


@ONE_DATABASE
def test_another_system_is_told_of_once_and_forgotten_after_a_day(scene: Scene) -> None:
    scene.baseline()
    for _ in range(3):
        scene.control.add_credit(-5)
        scene.look(61)
    assert running.kinds(scene.engine) == ["credit_unexplained"]
    scene.look(86_401)
    scene.clock.advance(1)
    request = scene.lose("before", 1)
    scene.compare()
    assert scene.counts(request) == {"waiting": 1}


@ONE_DATABASE
def test_a_chunk_from_before_the_baseline_is_not_proven_by_it(scene: Scene) -> None:
    request = scene.lose("after", 3)
    scene.compare()
    assert scene.account().baseline == 997
    for _ in range(3):
        scene.compare()
    assert scene.counts(request) == {"unknown": 3}


@ONE_DATABASE
def test_an_unknown_chunk_before_the_gateway_has_had_its_time_allows_no_baseline(scene: Scene) -> None:
    scene.lose("after", 3)
    scene.look(100)
    assert scene.account().baseline is None


@ONE_DATABASE
def test_a_young_unknown_chunk_keeps_the_old_ones_waiting(scene: Scene) -> None:
    scene.baseline()
    old = scene.lose("before", 3)
    scene.look(170)
    young = scene.lose("after", 3)
    scene.look(30)
    assert (scene.counts(old), scene.counts(young)) == ({"unknown": 3}, {"unknown": 3})


def test_a_callback_tells_which_of_two_it_was(scene: Scene) -> None:
    scene.baseline()
    sent, lost = scene.lose("after", 2), scene.lose("before", 2)
    first = scene.chunks()[0]
    scene.compare()
    assert (scene.counts(sent), scene.counts(lost)) == ({"unknown": 2}, {"unknown": 2})
    report(scene, first.id)
    # The first comparison proved nothing, so that the next one waits a little.
    scene.compare()
    assert scene.counts(lost) == {"waiting": 2}
    # The chunk that the callback is of is settled by whoever matches it.
    assert scene.counts(sent) == {"unknown": 2}


def report(scene: Scene, chunk_id: int) -> None:
    """A callback that nobody has matched yet."""
    scene.engine.database.write(
        lambda connection: connection.execute(
            inbox.inbox.insert().values(
                account=running.ALIAS,
                received_ms=scene.clock.now_ms,
                token=chunk_id,
                fields="{}",
                digest=str(chunk_id),
            )
        )
    )


@ONE_DATABASE
def test_a_callback_keeps_a_code_from_going_out_again(scene_of: Callable[..., Scene]) -> None:
    scene = scene_of(exclusive=False, otp_unknown="resend")
    request = scene.lose("after", lane="otp")
    report(scene, scene.chunks()[0].id)
    scene.look(1000)
    assert scene.counts(request) == {"unknown": 1}


@ONE_DATABASE
def test_what_an_operator_said_of_one_is_not_taken_for_a_fact(scene: Scene) -> None:
    """He says that the one was not sent; it was. The credit must not make the other one pay for it."""
    scene.baseline()
    sent, lost = scene.lose("after", 2), scene.lose("before", 2)
    first = scene.chunks()[0]
    scene.engine.database.write(
        lambda connection: reconciler.evidence.decide(
            connection, first.id, "refuse", batch_id=None, by="li", why="", now_ms=scene.clock.now_ms
        )
    )
    for _ in range(3):
        scene.compare()
    assert (scene.counts(sent), scene.counts(lost)) == ({"refused": 2}, {"unknown": 2})


@ONE_DATABASE
def test_a_poll_that_tells_another_cost(scene: Scene) -> None:
    scene.baseline()
    told = scene.send(1)
    request = scene.lose("before", 1)
    running.poll_now(scene.engine)
    scene.engine.database.write(
        lambda connection: connection.execute(
            update(message).where(message.c.request_id == told).values(cost=Decimal(2))
        )
    )
    # The gateway has taken one more for it, later than it said: not the price of the other.
    scene.control.add_credit(-1)
    scene.compare()
    assert scene.counts(request) == {"unknown": 1}
    assert {row.evidence for row in scene.chunks() if row.state == "unknown"} == {"prices_differ"}


# --- while it measures


def test_a_chunk_that_is_under_way_when_the_gate_is_closed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "DRAIN_S", 0.1)
    scene.baseline()
    request = scene.lose("before", 1)
    scene.clock.advance(300)
    running.enqueue(scene.engine, to=scene.numbers(1))
    busy = claim(scene.engine.database, running.ALIAS, "normal", Terms(500, 9000, "busy"))
    assert busy is not None
    asked = scene.control.calls("getCredit")
    scene.look()
    assert (scene.counts(request), scene.control.calls("getCredit")) == ({"unknown": 1}, asked)
    settle.given_back(scene.engine.database, ledger.whose(busy), "a test")
    scene.look(61)
    assert scene.counts(request) == {"waiting": 1}


def test_a_chunk_that_becomes_unknown_while_the_gate_is_closed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.baseline()
    request = scene.lose("before", 1)
    scene.clock.advance(300)
    running.enqueue(scene.engine, to=scene.numbers(1))
    late = claim(scene.engine.database, running.ALIAS, "normal", Terms(500, 9000, "late"))
    assert late is not None
    database, real = scene.engine.database, gate.close

    def close(*arguments: Any) -> bool:
        closed = real(*arguments)
        assert settle.unknown(database, ledger.whose(late), "a timeout")
        return closed

    monkeypatch.setattr(reconciler, "DRAIN_S", 0.1)
    monkeypatch.setattr(gate, "close", close)
    scene.look()
    assert scene.counts(request) == {"unknown": 1}
    assert scene.account().gate_ms is None


def test_a_late_answer_that_settles_while_it_measures(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.baseline()
    sent, lost = scene.lose("after", 3), scene.lose("before", 3)
    first = scene.chunks()[0]
    answer = SendReply(Decimal(997), 3, Decimal(3), 0, ledger.BATCH, raw="997.00,3,3.0,0,…")
    whose = settle.Whose(first.id, first.account, first.lane)
    scene.while_measuring(
        monkeypatch, lambda: settle.accepted(scene.engine.database, whose, answer, scene.clock.now_ms)
    )
    scene.compare()
    # The same price twice was no proof before; with the answer it is one.
    assert (scene.counts(sent), scene.counts(lost)) == ({"sent": 3}, {"waiting": 3})
    assert [(one.state, one.settled_by) for one in scene.chunks()] == [
        ("accepted", None),
        ("not_sent", "credit"),
    ]
    assert scene.chunks()[0].batch_id == ledger.BATCH


@pytest.mark.parametrize("what", ["a call behind the gate", "credits that differ", "it takes too long"])
def test_what_happens_while_it_measures_costs_the_proof(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    scene.baseline()
    request = scene.lose("before", 1)
    other = running.enqueue(scene.engine, lane="bulk", to=scene.numbers(1))

    def call() -> None:
        # By a process whose settings do not say that the account is exclusive.
        rude = scene.make(clock=scene.clock, **{**scene.settings, "exclusive": False})
        running.send(rude, "bulk")
        assert scene.counts(other) == {"sent": 1}

    actions: dict[str, Callable[[], object]] = {
        "a call behind the gate": call,
        "credits that differ": lambda: scene.control.add_credit(1),
        "it takes too long": lambda: scene.clock.advance(3.1),
    }
    scene.while_measuring(monkeypatch, actions[what])
    scene.compare()
    assert scene.counts(request) == {"unknown": 1}
    monkeypatch.undo()
    monkeypatch.setattr(reconciler, "APART_S", 0.001)
    scene.look(61)
    expected = {"unknown": 1} if what == "credits that differ" else {"waiting": 1}
    assert scene.counts(request) == expected


def book(scene: Scene) -> Any:
    later = datetime.fromtimestamp(scene.clock.now_ms / 1000 + 4 * 3600, UTC).isoformat()
    return scene.send(3, send_at=later, schedule="gateway")


@pytest.mark.parametrize("fault", ["after", "before", None])
def test_an_erasure_takes_its_baseline_with_it(scene: Scene, fault: str | None) -> None:
    """The points that it brings back would make up for those of a chunk that was sent."""
    booked = book(scene)
    scene.baseline()
    request = scene.lose("after", 3)
    if fault is not None:
        scene.control.fault("drop", "eraseBooking", when=fault)
    cancel.cancel(scene.engine, booked)
    assert scene.account().baseline is None
    assert (scene.account().erase_lost_ms is not None) == (fault is not None)
    for _ in range(3):
        scene.compare()
    assert scene.counts(request) == {"unknown": 3}
    assert scene.account().baseline is not None


def test_no_baseline_while_an_erasure_may_be_executed(scene: Scene) -> None:
    booked = book(scene)
    scene.control.fault("drop", "eraseBooking", when="before")
    cancel.cancel(scene.engine, booked)
    scene.look(179)
    assert scene.account().baseline is None
    scene.look(6)
    assert scene.account().baseline is not None


def test_nothing_is_erased_while_the_gate_is_closed(scene: Scene) -> None:
    booked = book(scene)
    assert gate.close(scene.engine.database, running.ALIAS, "somebody")
    cancel.cancel(scene.engine, booked)
    assert scene.control.calls("eraseBooking") == 0
    scene.clock.advance(3.1)
    cancel.sweep_erasures(scene.engine)
    assert scene.control.calls("eraseBooking") == 1
    assert scene.counts(booked) == {"cancelled": 3}
