"""Every named point: a worker process gets SIGKILL there, a new one continues, and the emulator counts.

Of each piece of work: nothing is lost, nothing is sent twice, and no chunk is unknown of which anything can be proven.

What can be proven of a chunk whose worker was killed between its claim and its answer's commit? The ledger alone tells
nothing. But a worker writes down, where a killed process leaves it behind, that the first byte of a call is about to
leave (`worker.departures`), so:

* killed before that (`after:send.claim`, `before:call.…`; also while connecting): not sent, for certain. The next
  process on the machine gives the chunk back, and it is sent. Unknown here would be false.
* killed after a definite no, before its commit (`before:settle.not_sent`, `before:settle.refused`): the same.
* killed when the bytes had left and no answer was committed (`after:call.send…`, `before:settle.accepted`): nobody on
  our side can know. The chunk is unknown when its lease is over, which is true, and it is not sent again by itself.
  `LEFT` below is all of these places; at any other an unknown chunk fails the test. Evidence settles them: see the
  tests of callbacks and of credit.

A commit that a killed process had handed to PostgreSQL may still be made. Both ways are the same as above: a claim
that appears later is found by the same file.
"""

import pytest

from tests.support import points
from tests.support.killing import Site
from tests.support.works import WORKS

SENDS = ("sendSMS", "sendMessage", "sendParamSMS")
#: Where the bytes have left, and what the gateway made of them is not in the ledger.
LEFT = {f"after:call.{name}" for name in SENDS} | {"before:settle.accepted"}
#: The areas of the paths that this page is about; others' commits move no message.
AREAS = {
    *("accept", "send", "settle", "poll", "cancel", "session", "call", "lane", "account"),
    *("callback", "reconcile", "gate"),
}
#: Points of these areas at which another test kills: the callbacks' own process, and the reconciler's proof.
ELSEWHERE = {
    "callback.stored": "tests/system/test_web_process.py",
    "reconcile.turn": "tests/integration/test_reconciler_killed.py",
    "reconcile.look": "tests/integration/test_reconciler_killed.py",
    "reconcile.conclude": "tests/integration/test_reconciler_killed.py",
    "gate.close": "tests/integration/test_reconciler_killed.py",
}
#: Only a fault of our own leads there: no worker can be brought to it from outside.
FAULTS_OF_OURS = {"callback.put_off"}
PLACES = [
    pytest.param(name, f"{side}:{point}", id=f"{name}, {side} {point}")
    for name, work in WORKS.items()
    for point in work.passes
    for side in ("before", "after")
]
#: In every run of the tests; the others take longer.
FAST = [
    ("one text", "before:accept.whole", "otp"),
    ("one text", "after:send.claim", "bulk"),
    ("one text", "before:call.sendSMS", "otp"),
    ("one text", "after:call.sendSMS", "bulk"),
    ("callbacks", "before:settle.accepted", "otp"),
]


def run(site: Site, name: str, lane: str, place: str) -> None:
    work = WORKS[name]
    work.prepare(site)
    dying = site.start(place, **work.account)
    begun = site.background(lambda: work.begin(site, lane))
    site.killed(dying)
    if place in LEFT or work.unknown:
        site.leases_end()
    site.time_passes()
    site.start(**work.account)

    def watched() -> bool:
        work.while_waiting(site)
        return begun.done()

    site.until(watched, lambda: "the producer waits", *work.bells)
    request = begun.result()
    left = place in LEFT and not work.unknown
    ends = ({"unknown": work.sent},) if left and not work.proven else work.ends

    def ended() -> bool:
        work.while_waiting(site)
        return site.counts(request) in ends

    site.until(ended, lambda: site.counts(request), *work.bells)
    found = site.control.summary()
    lost = work.refused_first and left
    assert (found.total, found.distinct, found.doubled_count) == (
        (0, 0, 0) if lost else (work.sent, work.sent, 0)
    )
    if not work.proven:
        # Where a callback is first, nobody hears that a chunk was unknown.
        assert ("chunk_unknown" in site.kinds()) == (
            left or work.unknown or name == "an answer after a decision"
        )


@pytest.mark.parametrize(("name", "place", "lane"), FAST)
def test_killed_at_a_point(site: Site, name: str, place: str, lane: str) -> None:
    run(site, name, lane, place)


@pytest.mark.slow
@pytest.mark.parametrize("lane", ["otp", "bulk"])
@pytest.mark.parametrize(("name", "place"), PLACES)
def test_killed_at_every_point(site: Site, name: str, lane: str, place: str) -> None:
    run(site, name, lane, place)


def test_no_point_of_the_paths_is_left_out() -> None:
    passed = {point for work in WORKS.values() for point in work.passes}
    there = {one.name for one in (*points.commits(), *points.calls()) if one.name}
    assert {name for name in there if name.partition(".")[0] in AREAS} == passed | set(
        ELSEWHERE
    ) | FAULTS_OF_OURS
    for point, file in ELSEWHERE.items():
        assert f":{point}" in (points.ROOT / file).read_text(), point
