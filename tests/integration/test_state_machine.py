"""A random walk over ledger, gateway and clock: no message in two places, no final state lowered, credit adds up.

Hypothesis chooses the steps: requests, calls that fail in every way, workers that die at any point, clocks that move,
deliveries, polls, cancellations, operators' words, credit that runs out. Beside it a model that a person can read:
each message may be executed once, and once more for each time that an operator said so without knowing.
"""

import uuid  # noqa: TC003 - beside what is needed at run time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from every8d import codes
from every8d.errors import GatewayError, OutcomeUnknown, Unreachable
from every8d.pricing import points as price
from every8d.testing import FakeGateway
from tests.support import bodies, running
from tests.support.engines import EngineMaker
from tests.support.servers import Clock
from worker import funds, housekeeping, points, token
from worker.cancel import cancel, sweep_erasures
from worker.engine import Engine
from worker.ledger.accounts import ensure_accounts
from worker.ledger.operators import settle_unknown, unblock_account
from worker.ledger.tables import chunk, message, metadata
from worker.states import FINAL, ChunkState

CREDIT = 400
LANES = ("otp", "normal", "bulk")
LONG = "長" * 80
NO_CREDIT = 301
#: What a call may come to, and whether the gateway executes it all the same.
OUTCOMES: tuple[tuple[int | str | type[GatewayError], bool], ...] = (
    (-99, False),
    (-301, False),
    (-306, False),
    (-24, False),
    (Unreachable, False),
    (OutcomeUnknown, False),
    (OutcomeUnknown, True),
    ("what?", True),
    ("<html/>", False),
)


class Killed(BaseException):
    """The worker dies here: nothing after this point runs, and no open transaction is committed."""


class Walk(RuleBasedStateMachine):
    """The system, and the model beside it."""

    engine: Engine
    clock: Clock
    made: Callable[[], FakeGateway]

    def __init__(self) -> None:
        super().__init__()
        self.gateway = type(self).made()
        self.toppedup = 0
        self.born = 0
        #: Each message by its number, which no other has: how often it may be executed.
        self.may: dict[str, int] = {}
        self.requests: dict[uuid.UUID, list[str]] = {}
        self.before: dict[str, Any] = {}

    # --- what happens

    @rule(count=st.integers(1, 4), lane=st.sampled_from(LANES), long=st.booleans(), each=st.booleans())
    def enqueue(self, count: int, lane: str, long: bool, each: bool) -> None:
        numbers = bodies.numbers(count, self.born)
        self.born += count
        text = LONG if long else "短"
        rows = [{"to": one, "text": f"{text}{one[-4:]}"} for one in numbers]
        fields = {"messages": rows} if each else {"to": numbers, "text": text}
        self.requests[running.enqueue(self.engine, lane=lane, **fields)] = numbers
        self.may |= dict.fromkeys(numbers, 1)

    @rule(chosen=st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=3))
    def calls_will_fail(self, chosen: list[tuple[Any, bool]]) -> None:
        for outcome, executed in chosen:
            self.gateway.outcomes(outcome, executed=executed)

    @rule()
    def send(self) -> None:
        for lane in LANES:
            running.send(self.engine, lane)

    @rule(outcome=st.sampled_from(OUTCOMES), count=st.integers(1, 4), lane=st.sampled_from(LANES))
    def a_call_fails(self, outcome: tuple[Any, bool], count: int, lane: str) -> None:
        self.enqueue(count=count, lane=lane, long=False, each=False)
        self.gateway.outcomes(outcome[0], executed=outcome[1])
        running.send(self.engine, lane)

    @rule(lane=st.sampled_from(LANES), place=st.integers(1, 14))
    def send_and_die(self, lane: str, place: int) -> None:
        self.die_at(place, lambda: running.send(self.engine, lane))

    @rule(place=st.integers(1, 6))
    def poll_and_die(self, place: int) -> None:
        self.die_at(place, lambda: running.poll_now(self.engine))

    @rule()
    def poll(self) -> None:
        running.poll_now(self.engine)

    @rule(seconds=st.sampled_from([1, 30, 200, 4000]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.engine.redis.delete("every8d:login:default")
        housekeeping.sweep_leases(self.engine)
        sweep_erasures(self.engine)
        funds.sweep(self.engine)

    @rule(status=st.sampled_from([0, 100, 101, 107, -3, 777]), place=st.integers(0, 50))
    def delivered(self, status: int, place: int) -> None:
        sent = self.rows()
        if sent:
            sent[place % len(sent)].status = status

    @precondition(lambda self: self.requests)
    @rule(place=st.integers(0, 50))
    def cancel(self, place: int) -> None:
        names = list(self.requests)
        cancel(self.engine, names[place % len(names)])

    @rule(knows=st.booleans(), wish=st.sampled_from(["resend", "refuse", "accept"]))
    def an_operator_settles(self, knows: bool, wish: str) -> None:
        for row in self.chunks("unknown")[:1]:
            batch = self.batch_of(row.id)
            if knows:
                wish = "accept" if batch else "resend"
            elif wish == "resend" and batch:
                for one in self.messages_of(row.id):
                    self.may[one.number] += 1
            self.settle(row.id, wish, batch)

    @rule()
    def the_key_goes(self) -> None:
        self.gateway.expire_session()
        self.engine.redis.delete("every8d:login:default")

    @rule(left=st.sampled_from([0, 1, 3]))
    def credit_runs_out(self, left: int) -> None:
        self.toppedup += left - int(self.gateway.points)
        self.gateway.points = type(self.gateway.points)(left)

    @rule()
    def a_top_up(self) -> None:
        self.toppedup += 300
        self.gateway.points += 300
        housekeeping.check_credit(self.engine)

    @rule()
    def redis_is_emptied(self) -> None:
        self.engine.redis.flushall()

    # --- what must hold

    @invariant()
    def nobody_gets_a_text_twice(self) -> None:
        got = Counter(one.to for one in self.executed())
        assert {number: count for number, count in got.items() if count > self.may[number]} == {}

    @invariant()
    def every_message_is_in_one_place(self) -> None:
        rows, chunks = self.messages(), {row.id: row for row in self.chunks()}
        assert sorted(row.number for row in rows) == sorted(self.may)
        inside: Counter[int] = Counter()
        for row in rows:
            if row.due_ms is not None:
                assert (row.state, row.chunk_id, row.final_ms) == ("waiting", None, None), row
            if row.state == "packed":
                inside[row.chunk_id] += 1
                assert chunks[row.chunk_id].state in ("submitting", "accepted", "unknown"), row
                assert row.final_ms is None, row
            if row.state == "waiting":
                assert row.due_ms is not None, row
            if row.state in FINAL and row.state != "no_credit":
                assert row.final_ms is not None, row
        for one in chunks.values():
            if one.state in (ChunkState.SUBMITTING, ChunkState.UNKNOWN):
                assert inside[one.id] == one.size, one
        places = [(row.chunk_id, row.position) for row in rows if row.state == "packed"]
        assert len(places) == len(set(places))

    @invariant()
    def no_final_state_is_left_for_a_lower_one(self) -> None:
        now = {row.number: row for row in self.messages()}
        for number, was in self.before.items():
            row = now[number]
            if was.final_ms is not None:
                assert row.final_ms == was.final_ms, (was, row)
                assert row.state in FINAL, (was, row)
                assert was.state not in ("delivered", "refused", "cancelled") or row.state == was.state, (
                    was,
                    row,
                )
            if was.status is not None and row.chunk_id == was.chunk_id:
                assert codes.rank(row.status) >= codes.rank(was.status), (was, row)
        self.before = now

    @invariant()
    def credit_adds_up(self) -> None:
        spent = sum(price(one.text) for one in self.executed())
        assert self.gateway.points == CREDIT + self.toppedup - spent
        # Each batch that the ledger knows cost what its messages in it cost at the gateway.
        by_batch: Counter[str] = Counter()
        for one in self.executed():
            by_batch[one.batch_id] += price(one.text)
        for row in self.chunks("accepted"):
            if row.cost is not None:
                assert row.cost == by_batch[row.batch_id], row

    def teardown(self) -> None:
        """Everything is put right; then each message that nobody stopped has been executed as often as it may."""
        self.gateway._scripts.clear()
        self.toppedup += 10_000
        self.gateway.points += 10_000
        unblock_account(self.engine.database, running.ALIAS, by="test", why="the end")
        for _ in range(8):
            self.time_passes(4000)
            for row in self.chunks("unknown"):
                batch = self.batch_of(row.id)
                self.settle(row.id, "accept" if batch else "resend", batch)
            self.send()
            for one in self.rows():
                one.status = 100
            self.clock.advance(60)
            running.poll_now(self.engine)
        self.nobody_gets_a_text_twice()
        self.every_message_is_in_one_place()
        self.credit_adds_up()
        got = Counter(one.to for one in self.executed())
        for row in self.messages():
            assert row.state in FINAL, row
            if row.state == "delivered":
                assert got[row.number] >= 1, row
            if row.state == "expired":
                assert got[row.number] == 0, row

    # --- helpers

    def die_at(self, place: int, work: Callable[[], None]) -> None:
        """Runs the work until it passes so many named points, and no further."""
        left = place

        def passed(_name: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed

        kept = points.before, points.after
        points.before = points.after = passed
        try:
            work()
        except Killed:
            # Redis forgets a dead worker's places and locks by itself, in time.
            for key in self.engine.redis.scan_iter("every8d:*"):
                if b"session:" not in key:
                    self.engine.redis.delete(key)
        finally:
            points.before, points.after = kept

    def rows(self) -> list[Any]:
        """What the gateway really sent, with its status: not what it left unsent."""
        return [row for rows in self.gateway._batches.values() for row in rows if row.status != NO_CREDIT]

    def executed(self) -> list[Any]:
        """The messages of those, in order."""
        return [row.message for row in self.rows()]

    def messages(self) -> list[Any]:
        return running.rows(self.engine, message)

    def messages_of(self, chunk_id: int) -> list[Any]:
        return running.rows(self.engine, message, chunk_id=chunk_id)

    def chunks(self, state: str | None = None) -> list[Any]:
        return running.rows(self.engine, chunk, **({} if state is None else {"state": state}))

    def batch_of(self, chunk_id: int) -> str | None:
        """The batch that the gateway made of the chunk, if it executed the call: by the token in its subject."""
        name = token.encode(chunk_id)
        return next((one.batch_id for one in self.gateway.sent if name in one.subject), None)

    def settle(self, chunk_id: int, wish: Any, batch: str | None) -> None:
        database = self.engine.database
        batch_id = batch if wish == "accept" else None
        settle_unknown(database, token.encode(chunk_id), wish, batch_id=batch_id, by="test", why="it says so")


@pytest.fixture
def walk(make: EngineMaker) -> type[Walk]:
    clock = running.clock_now()
    engine = make(clock=clock, chunk_size=3, retry_ceiling_s=1, busy_tries=2)

    def made() -> FakeGateway:
        """An empty ledger, an empty Redis, and a gateway of which nothing is known yet."""
        with engine.database.engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
        ensure_accounts(engine.database, engine.settings.accounts)
        engine.redis.flushall()
        gateway = FakeGateway("demo", "demo", points=CREDIT)
        # The one place where an engine looks for a client.
        engine.gateways._made[running.ALIAS] = gateway  # type: ignore[assignment]  # of the same methods
        return gateway

    return type("Walk", (Walk,), {"engine": engine, "clock": clock, "made": staticmethod(made)})


def play(walk: type[Walk], examples: int, steps: int) -> None:
    run_state_machine_as_test(
        walk,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            # Ids are random, so that no walk is ever quite the same: as it was is what there is to tell.
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_short_walk(walk: type[Walk]) -> None:
    play(walk, 20, 25)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_long_walk(walk: type[Walk]) -> None:
    play(walk, 150, 50)
