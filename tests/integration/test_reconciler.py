"""Unknown chunks that the credit settles: the whole flow, against the emulator and its faults."""

import pytest

from tests.support import ledger, running
from tests.support.evidence import TWO_POINTS, Scene
from worker import housekeeping, reconciler, token
from worker.ledger.claim import Terms, claim
from worker.ledger.tables import event
from worker.ledger.unknown import Evidence, evidence

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def settled(scene: Scene) -> list[tuple[str, str | None]]:
    return [(row.state, row.settled_by) for row in scene.chunks()]


def test_dropped_before_it_was_executed_it_goes_out_again_once(scene: Scene) -> None:
    scene.baseline()
    request = scene.lose("before", 3)
    scene.compare()
    assert settled(scene) == [("not_sent", "credit")]
    assert scene.counts(request) == {"waiting": 3}
    assert "it was not sent" in scene.chunks()[0].settled_why
    scene.clock.advance(5)
    running.send(scene.engine)
    assert scene.counts(request) == {"sent": 3}
    summary = scene.control.summary()
    assert (summary.total, summary.doubled_count) == (3, 0)


@pytest.mark.parametrize("lane", ["otp", "bulk"])
def test_dropped_after_it_was_executed_it_is_sent(scene: Scene, lane: str) -> None:
    scene.baseline()
    request = scene.lose("after", 2, lane=lane, text=TWO_POINTS)
    scene.compare()
    assert settled(scene) == [("accepted", "credit")]
    assert scene.counts(request) == {"sent": 2}
    [row] = scene.chunks()
    assert (row.batch_id, row.pending, row.settled_ms) == (None, 0, scene.clock.now_ms)
    assert "4.00 are gone" in row.settled_why
    running.send(scene.engine, lane)
    assert (scene.control.summary().total, scene.control.summary().doubled_count) == (2, 0)
    assert running.kinds(scene.engine) == ["chunk_unknown", "gateway_unreachable", "chunk_settled"]


def test_executed_after_we_hung_up_it_is_sent(scene: Scene) -> None:
    scene.baseline()
    request = scene.lose(kind="hang_up", count=2)
    scene.control.wait(lambda control: control.summary().total == 2)
    scene.compare()
    assert settled(scene) == [("accepted", "credit")]
    assert scene.counts(request) == {"sent": 2}


def test_a_worker_that_died_during_the_call(scene: Scene) -> None:
    scene.baseline()
    request = running.enqueue(scene.engine, to=scene.numbers(2))
    assert claim(scene.engine.database, running.ALIAS, "normal", Terms(500, 90, "dead")) is not None
    scene.clock.advance(91)
    housekeeping.sweep_leases(scene.engine)
    scene.compare()
    assert (settled(scene), scene.counts(request)) == ([("not_sent", "credit")], {"waiting": 2})


def test_others_of_the_account_were_sent_meanwhile(scene: Scene) -> None:
    scene.baseline()
    scene.send(20)
    first = scene.lose("after", 3)
    scene.send(7, text=TWO_POINTS)
    second = scene.lose("before", 5)
    scene.send(1)
    scene.compare()
    states = [state for state, by in settled(scene) if by == "credit"]
    assert states == ["accepted", "not_sent"]
    assert (scene.counts(first), scene.counts(second)) == ({"sent": 3}, {"waiting": 5})


def test_what_is_settled_makes_a_new_baseline(scene: Scene) -> None:
    scene.baseline()
    scene.lose("after", 3)
    scene.compare()
    assert scene.account().baseline == 997
    scene.clock.advance(1)
    request = scene.lose("before", 3)
    scene.compare()
    assert scene.counts(request) == {"waiting": 3}


def test_not_before_the_gateway_has_had_its_time(scene: Scene) -> None:
    scene.baseline()
    request = scene.lose("before", 1)
    became_ms = scene.clock.now_ms
    for seconds in (1, 100, 78.9):
        scene.look(seconds)
        assert scene.counts(request) == {"unknown": 1}
    scene.look(5)
    assert scene.counts(request) == {"waiting": 1}
    assert scene.account().gate_closed_ms >= became_ms + 180_000


def test_an_account_that_is_not_exclusive_is_never_asked(scene_of: type[Scene]) -> None:
    scene = scene_of(exclusive=False)
    request = scene.lose("before", 1)
    scene.compare()
    assert (scene.counts(request), scene.control.calls("getCredit")) == ({"unknown": 1}, 0)
    assert scene.account().baseline is None


def test_two_reconcilers_at_once_settle_it_once(scene: Scene) -> None:
    scene.baseline()
    scene.lose("before", 2)
    engines = [scene.engine, *(scene.make(clock=scene.clock, **scene.settings) for _ in range(3))]
    scene.clock.advance(300)
    asked = scene.control.calls("getCredit")
    ledger.at_once([lambda one=one: reconciler.look(one, running.ALIAS) for one in engines])  # type: ignore[misc]
    assert settled(scene) == [("not_sent", "credit")]
    assert scene.control.calls("getCredit") == asked + 2
    assert running.kinds(scene.engine).count("chunk_settled") == 1


@ONE_DATABASE
def test_an_operator_reads_what_is_known(scene: Scene) -> None:
    def known() -> Evidence:
        [one] = evidence(
            scene.engine.database, [token.encode(scene.chunks()[-1].id)], scene.engine.settings
        ).values()
        return one

    scene.lose("after", 3)
    assert (known().proof, known().baseline, known().predicted) == ("no_baseline", None, 3)
    scene.compare()
    scene.clock.advance(1)
    scene.send(5)
    scene.lose("after", 2, text=TWO_POINTS)
    now = known()
    assert (now.proof, now.baseline, now.confirmed, now.predicted) == ("too_early", 997, 5, 4)
    scene.control.add_credit(100)
    scene.compare()
    assert (known().proof, known().credit, known().callbacks) == ("rose", 1088, 0)


def test_the_gate_is_open_again_and_lanes_go_on(scene: Scene) -> None:
    scene.baseline()
    scene.lose("before", 1)
    scene.compare()
    assert (scene.account().gate_ms, scene.account().gate_by) == (None, None)
    request = scene.send(1)
    assert scene.counts(request) == {"sent": 1}


def test_a_lane_does_nothing_while_the_gate_is_closed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.baseline()
    scene.lose("before", 1)
    scene.clock.advance(300)
    other = running.enqueue(scene.engine, lane="otp", to=scene.numbers(1))
    scene.while_measuring(monkeypatch, lambda: running.send(scene.engine, "otp"))
    reconciler.look(scene.engine, running.ALIAS)
    assert settled(scene) == [("not_sent", "credit")]
    assert scene.counts(other) == {"waiting": 1}
    running.send(scene.engine, "otp")
    assert scene.counts(other) == {"sent": 1}


def test_a_baseline_is_taken_at_quiet_moments_only(scene: Scene) -> None:
    scene.look()
    assert scene.account().baseline == 1000
    scene.clock.advance(61)
    running.enqueue(scene.engine, to=scene.numbers(1))
    assert claim(scene.engine.database, running.ALIAS, "normal", Terms(500, 90, "busy")) is not None
    was_ms = scene.account().baseline_ms
    scene.look()
    assert scene.account().baseline_ms == was_ms


@ONE_DATABASE
def test_otp_is_sent_again_by_setting_after_its_wait(scene_of: type[Scene]) -> None:
    scene = scene_of(exclusive=False, otp_unknown="resend", otp_resend_after_s=60)
    other, request = scene.lose("before", 1), scene.lose("before", 1, lane="otp")
    scene.look(59)
    assert scene.counts(request) == {"unknown": 1}
    scene.look(2)
    assert (scene.counts(request), scene.counts(other)) == ({"waiting": 1}, {"unknown": 1})
    [first] = [row for row in scene.chunks() if row.lane == "otp"]
    assert (first.state, first.settled_by) == ("not_sent", "setting")
    assert "60 s" in first.settled_why
    running.send(scene.engine, "otp")
    assert scene.counts(request) == {"sent": 1}
    [news] = [row for row in running.rows(scene.engine, event) if row.kind == "chunk_settled"]
    assert news.detail.startswith("setting settled")


@ONE_DATABASE
def test_otp_is_held_by_default(scene_of: type[Scene]) -> None:
    scene = scene_of(exclusive=False)
    request = scene.lose("before", 1, lane="otp")
    scene.look(100_000)
    assert scene.counts(request) == {"unknown": 1}
