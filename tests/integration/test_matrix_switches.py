"""What nobody knows of the real gateway, switched both ways: the same texts go out once each, at the same price."""

import time
from dataclasses import fields
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import pytest

from every8d.emulator.switches import Switches
from every8d.gateway import Gateway
from tests.support import bodies, running
from tests.support.matrix import CREDIT, PASSWORD, TEXT, USER, Bench
from tests.support.waiting import wait_for
from worker.ledger.tables import account, chunk, message

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

#: These dress callbacks, and change nothing where none are asked for.
CALLBACKS = {"echo_subject", "callback_upper_names", "callback_copies"}
#: Values for the switches whose type names none.
VALUES: dict[str, tuple[Any, ...]] = {"idle_close_s": (0.0, 0.05)}


def values(name: str) -> tuple[Any, ...]:
    hint = get_type_hints(Switches)[name]
    return get_args(hint) if get_origin(hint) else VALUES.get(name, (False, True))


CASES = [
    (one.name, value) for one in fields(Switches) if one.name not in CALLBACKS for value in values(one.name)
]


class Seen(NamedTuple):
    """Of a campaign in three requests, and two keys that went in its middle."""

    messages: list[dict[str, int]]
    chunks: set[str]
    texts: int
    doubled: int
    credit: str
    events: list[str]


def rest(seconds: float) -> None:
    """Until a connection has been idle for so long."""
    since = time.monotonic()
    wait_for(lambda: time.monotonic() - since >= seconds)


def campaign(bench: Bench, switch: str, value: Any) -> Seen:
    """By all three operations, another system's login and a lost key among them; then polled to the end."""
    engine, control = bench.patient, bench.control
    control.switch(**{switch: value})
    # A server that closes a connection in the moment of a call makes an unknown; one that has closed it does not.
    rest_s = 4 * value if switch == "idle_close_s" else 0.0
    rows = [{"to": one, "text": f"{TEXT} {one[-1]}"} for one in bodies.numbers(3, 10)]
    requests = [running.enqueue(engine, to=bodies.numbers(3), text=TEXT)]
    running.send(engine)
    with Gateway(USER, PASSWORD, url=control.gateway_url) as other:
        other.get_connection()
    bench.later(3)
    rest(rest_s)
    requests.append(running.enqueue(engine, messages=rows))
    running.send(engine)
    control.void_keys(USER)
    bench.later(3)
    rest(rest_s)
    requests.append(running.enqueue(engine, to=bodies.numbers(3, 20), text=TEXT, validity=10))
    running.send(engine)
    bench.later(3)
    running.poll_now(engine)
    summary = control.summary()
    [row] = running.rows(engine, account)
    assert f"{row.credit:.2f}" == control.credit(USER)
    return Seen(
        [running.counts(engine, one) for one in requests],
        set(running.chunk_states(engine)),
        summary.total,
        summary.doubled_count,
        f"{row.credit:.2f}",
        running.kinds(engine),
    )


@pytest.mark.parametrize(("switch", "value"), CASES)
@ONE_DATABASE
def test_either_way_the_same_texts_go_out_once(bench: Bench, switch: str, value: Any) -> None:
    bench.empty()
    seen = campaign(bench, switch, value)
    events = ["operation_off"] if (switch, value) == ("send_message", False) else []
    wanted = Seen([{"delivered": 3}] * 3, {"accepted", "not_sent"}, 9, 0, f"{CREDIT - 9:.2f}", events)
    assert seen == wanted
    assert all(one.cost == 1 for one in running.rows(bench.patient, message))
    bench.check_private(switch)


@pytest.mark.parametrize("unsent", ["last", "first"])
@ONE_DATABASE
def test_whichever_messages_stay_unsent_the_right_ones_are_told(bench: Bench, unsent: str) -> None:
    bench.empty()
    engine = bench.patient
    bench.control.switch(unsent=unsent)
    bench.control.change_account(USER, set_credit=2)
    running.enqueue(engine, to=bodies.numbers(5), text=TEXT)
    running.send(engine)
    bench.later(1)
    running.poll_now(engine)
    [row] = running.rows(engine, chunk)
    assert (row.sended, row.unsend) == (2, 3)
    sent = {one["number"] for one in bench.control.sent()}
    states = {one.number: one.state for one in running.rows(engine, message)}
    assert {number for number, state in states.items() if state == "delivered"} == sent
    assert {number for number, state in states.items() if state == "no_credit"} == set(
        bodies.numbers(5)
    ) - sent


def test_every_switch_is_turned() -> None:
    assert {name for name, _ in CASES} | CALLBACKS == {one.name for one in fields(Switches)}
