"""What a row of the delivery status changes, and when to ask again. Pure."""

import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from config import Account
from every8d import codes
from every8d.replies import StatusRow
from worker.ledger.rows import milliseconds
from worker.states import MessageState

_STATES = {
    "delivered": MessageState.DELIVERED,
    "undelivered": MessageState.UNDELIVERED,
    "refused": MessageState.UNDELIVERED,
    "no_credit": MessageState.NO_CREDIT,
    "cancelled": MessageState.CANCELLED,
}
_HOUR_MS = 3_600_000


class Known(NamedTuple):
    """What the ledger knows of a message before the row."""

    request_id: uuid.UUID
    seq: int
    status: int | None
    cost: Decimal | None
    state: str
    sent_ms: int | None
    final_ms: int | None


class Change(NamedTuple):
    """What the message becomes."""

    request_id: uuid.UUID
    seq: int
    status: int
    state: str
    cost: Decimal | None
    sent_ms: int | None
    final_ms: int | None


def plain_number(mobile: str) -> str:
    """The gateway's number as ours: without the padding, in E.164."""
    bare = mobile.strip()
    return "+886" + bare[1:] if bare.startswith("09") else bare


def changes(known: Mapping[str, Known], rows: Sequence[StatusRow], now_ms: int) -> list[Change]:
    """The messages that the rows tell something new of. Of two statuses the higher rank wins, whenever it comes.

    A number stands in a batch once, so it names the message; rows of numbers that are not ours change nothing.
    A message that was left unsent for want of credit (301) is held, not final, so that it may be sent again: unless
    the gateway ever says something else of it.
    """
    news: dict[str, Change] = {}
    for row in rows:
        number = plain_number(row.mobile)
        # A message of which another row has told already is what that one made of it.
        was = news.get(number) or known.get(number)
        if was is None or row.status is None:
            continue
        if was.status is not None and codes.rank(row.status) < codes.rank(was.status):
            if was.state == MessageState.NO_CREDIT and was.final_ms is None:
                # Unsent, and yet something became of it: sending it again might be once too often.
                news[number] = Change(
                    was.request_id, was.seq, was.status, was.state, was.cost, was.sent_ms, now_ms
                )
            continue
        # What a later row does not say is still true.
        sent_ms = milliseconds(row.sent_time) or was.sent_ms
        cost = was.cost if row.cost is None else row.cost
        if (row.status, cost, sent_ms) == (was.status, was.cost, was.sent_ms):
            continue
        delivery = codes.delivery(row.status)
        state, final_ms = was.state, was.final_ms
        if delivery.final:
            state = _STATES.get(delivery.word, MessageState.UNDELIVERED)
            held = state == MessageState.NO_CREDIT
            final_ms = was.final_ms if held else was.final_ms or now_ms
            if held and was.state == MessageState.CANCELLED:
                # It was cancelled while it was held; that it is unsent is no news.
                state = was.state
        news[number] = Change(was.request_id, was.seq, row.status, state, cost, sent_ms, final_ms)
    return list(news.values())


def first_poll_ms(account: Account, accepted_ms: int, send_time_ms: int | None) -> int:
    """When an accepted batch is polled for the first time: after its booked time, where it has one."""
    return max(accepted_ms, send_time_ms or 0) + int(account.first_poll_after_s * 1000)


def next_poll_ms(
    account: Account, now_ms: int, *, polls: int, pending: int, answered_ms: int, send_time_ms: int | None
) -> int | None:
    """When to ask again after `polls` polls, the last of which left `pending` messages open. None: never."""
    began = max(answered_ms, send_time_ms or 0)
    if pending:
        if now_ms - began > account.poll_give_up_h * _HOUR_MS:
            return None
        wait_s = min(account.first_poll_after_s * 2 ** min(polls, 20), account.poll_ceiling_s)
        return now_ms + int(wait_s * 1000)
    if account.callbacks or now_ms + _HOUR_MS - began > account.reply_window_h * _HOUR_MS:
        return None
    return now_ms + _HOUR_MS
