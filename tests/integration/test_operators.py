"""What operators decide: unknown chunks and blocked accounts, on both databases."""

import pytest

from every8d.errors import Every8dError
from tests.support import ledger
from tests.support.servers import Clock
from worker import token
from worker.ledger import accounts, cancel, settle
from worker.ledger.claim import Claim
from worker.ledger.database import Database
from worker.ledger.operators import WrongState, settle_unknown, unblock_account
from worker.ledger.polls import claim_poll
from worker.ledger.queries import NotFound, unknown_chunks


def lost(database: Database, count: int = 3) -> Claim:
    """A chunk of which nobody knows whether it was sent."""
    ledger.put(database, count)
    claimed = ledger.taken(database)
    assert settle.unknown(database, ledger.whose(claimed), "a read timeout")
    return claimed


def test_resend_makes_the_messages_wait_again(database: Database) -> None:
    claimed = lost(database)
    name = token.encode(claimed.id)
    done = settle_unknown(database, name.lower(), "resend", batch_id=None, by="li", why="not in the console")
    assert (done.decision, done.messages, done.state) == ("resend", 3, "waiting")
    row = ledger.chunk_row(database, claimed)
    assert (row.state, row.settled_by, row.settled_why, row.pending) == (
        "not_sent",
        "li",
        "not in the console",
        0,
    )
    assert len(ledger.taken(database).packed.messages) == 3
    assert (unknown_chunks(database), ledger.events(database)["chunk_settled"]) == ([], 1)


def test_resend_of_a_request_that_was_cancelled_sends_nothing(database: Database) -> None:
    claimed = lost(database)
    key = claimed.packed.messages[0].request_id
    cancel.stop(database, key)
    settle_unknown(database, token.encode(claimed.id), "resend", batch_id=None, by="li", why="")
    assert (ledger.states(database, key), ledger.take(database)) == ({"cancelled": 3}, None)


def test_accept_with_a_batch_is_polled_from_now_on(database: Database, clock: Clock) -> None:
    claimed = lost(database)
    settle_unknown(database, token.encode(claimed.id), "accept", batch_id="abc", by="li", why="seen")
    poll = claim_poll(database, "default", 120)
    assert poll is not None
    assert (poll.batch_id, poll.size, poll.answered_ms) == ("abc", 3, clock.now_ms)
    assert ledger.take(database) is None


def test_accept_without_a_batch_ends_as_sent(database: Database) -> None:
    claimed = lost(database)
    done = settle_unknown(database, token.encode(claimed.id), "accept", batch_id=None, by="li", why="seen")
    assert done.state.startswith("sent")
    assert (ledger.states(database), ledger.take(database)) == ({"sent": 3}, None)
    assert claim_poll(database, "default", 120) is None


def test_refuse_ends_the_messages(database: Database) -> None:
    claimed = lost(database)
    settle_unknown(database, token.encode(claimed.id), "refuse", batch_id=None, by="li", why="not wanted")
    assert (ledger.states(database), ledger.take(database)) == ({"refused": 3}, None)
    assert all(one.final_ms for one in ledger.messages(database))


def test_a_chunk_is_settled_once_also_by_two_operators_at_once(database: Database) -> None:
    name = token.encode(lost(database).id)

    def decide() -> str:
        try:
            return settle_unknown(database, name, "resend", batch_id=None, by="li", why="").state
        except WrongState:
            return "wrong state"

    assert sorted(ledger.at_once([decide] * 3)) == ["waiting", "wrong state", "wrong state"]
    assert len(ledger.taken(database).packed.messages) == 3
    assert ledger.take(database) is None


def test_only_unknown_chunks_are_settled(database: Database) -> None:
    ledger.put(database, 1)
    claimed = ledger.taken(database)
    with pytest.raises(WrongState, match="submitting"):
        settle_unknown(database, token.encode(claimed.id), "resend", batch_id=None, by="li", why="")
    assert ledger.states(database) == {"packed": 1}


@pytest.mark.parametrize("name", ["", "nonsense", "0" * 13, "Z" * 13, "7ZZZZZZZZZZZZ", "IIIIIIIIIIIII"])
def test_what_is_no_chunk_is_not_found(database: Database, name: str) -> None:
    with pytest.raises(NotFound) as error:
        settle_unknown(database, name, "resend", batch_id=None, by="li", why="")
    assert isinstance(error.value, Every8dError)


def test_an_account_is_unblocked(database: Database) -> None:
    accounts.ensure_accounts(database, ["default"])
    for turn in range(accounts.REFUSALS_LIMIT):
        accounts.login_refused(database, "default", -101, f"{turn:064}", locked=False)
    assert accounts.account_row(database, "default").breaker == "locked"
    accounts.pause_account(database, "default", "403")
    assert unblock_account(database, "default", by="li", why="asked the vendor").was == "locked"
    row = accounts.account_row(database, "default")
    assert (row.breaker, row.refusals, row.fingerprint, row.paused) == ("closed", 0, None, False)
    assert unblock_account(database, "default", by="li", why="").was == "closed"
    with pytest.raises(NotFound):
        unblock_account(database, "shop", by="li", why="")


def test_a_paused_account_was_paused(database: Database) -> None:
    accounts.ensure_accounts(database, ["default"])
    accounts.pause_account(database, "default", "403")
    assert unblock_account(database, "default", by="li", why="").was == "paused"


def test_loops_that_fail_by_one_fault_make_their_lane_wait_once(database: Database, clock: Clock) -> None:
    """Sixteen calls in flight find the gateway down at the same moment: the lane must not wait for a minute."""
    found = ledger.at_once([lambda: accounts.lane_failed(database, "default", "otp", "down", 60)] * 8)
    assert set(found) == {1.0}
    waits = []
    for _ in range(8):
        clock.advance(61)
        waits.append(accounts.lane_failed(database, "default", "otp", "down", 60))
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    assert ledger.events(database) == {"gateway_unreachable": 1}
    accounts.lane_went_well(database, "default", "otp")
    assert accounts.lane_failed(database, "default", "otp", "down", 60) == 1
