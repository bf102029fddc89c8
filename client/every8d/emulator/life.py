"""What becomes of a message, as a function of the clock: no message has a timer.

Ordinary numbers are delivered `deliver_after_s` (and up to a fifth more) after they were sent. The magic
numbers `0900 9CC CNN` (CCC the outcome, NN free: a hundred numbers for each) have the outcome that they name:

| CCC | becomes |
|---|---|
| 000 | stays 0 for ever |
| 001–010 | delivery status -1 … -10, at once |
| 101–107 | that status, after the usual delay |
| 108 | stays 0 until its validity is over, then 107 |
| 110 | 107 after the usual delay, 100 after three times that |
| 200–299 | delivered CCC - 200 seconds after it was sent |
| 301 | left unsent (301), whatever the credit |
| 306 | the whole call is refused with -306 |
| 500 | status 500, as for a foreign number of an account that may not send abroad |
| 700, 777, 888 | that status (777 is in no list) |
| 911 | delivered, then one reply |
| 912 | delivered, then two replies |
| 913 | delivered, then a reply whose text is unpleasant: `]]>`, markup, line ends, an emoji |
| any other | as an ordinary number |
"""

from typing import NamedTuple

SENT, DELIVERED, UNDELIVERED = 0, 100, 107
BOOKED, NO_CREDIT, CANCELLED, ABROAD_OFF = 300, 301, 303, 500

_FIRST_MAGIC = 886_900_900_000
_LAST_MAGIC = 886_900_999_999

NEVER_FINAL, UNTIL_INVALID, LATE = 0, 108, 110
LEFT_UNSENT, REFUSED, FORBIDDEN = 301, 306, 500
ONE_REPLY, TWO_REPLIES, HOSTILE_REPLY = 911, 912, 913
_NAMED_STATUSES = frozenset({101, 102, 103, 104, 105, 106, 107, 700, 777, 888})
_MAGIC = (
    _NAMED_STATUSES
    | frozenset(range(11))
    | frozenset(range(200, 300))
    | {UNTIL_INVALID, LATE, LEFT_UNSENT, REFUSED, FORBIDDEN, ONE_REPLY, TWO_REPLIES, HOSTILE_REPLY}
)

#: Statuses of messages that the gateway kept: nothing went to a telephone, nothing was charged.
NOT_SENT = frozenset({NO_CREDIT, CANCELLED, ABROAD_OFF})

HOSTILE_TEXT = "收到]]>了 <b>&amp;</b>\n第二行 👍"
#: How far apart a handset's two answers are, and how long after the delivery the first comes.
REPLY_AFTER_S = 1.0


class Reply(NamedTuple):
    """A text sent back by the recipient."""

    at: float
    text: str


class Habits(NamedTuple):
    """What the network does with ordinary numbers."""

    deliver_after_s: float = 2.0
    fail_permille: int = 0  # of ordinary numbers that end as 101 or 103, always the same ones
    reply_permille: int = 0  # of ordinary numbers that answer once delivered, always the same ones


def magic_of(number: int) -> int | None:
    """The outcome that the number names, None for an ordinary number."""
    if not _FIRST_MAGIC <= number <= _LAST_MAGIC:
        return None
    code = number // 100 % 1000
    return code if code in _MAGIC else None


def spread(number: int) -> int:
    """0 … 999, the same for the same number always, and uneven between neighbours."""
    return (number * 2_654_435_761 >> 8) % 1000


def changes(
    number: int, magic: int | None, sent_at: float, validity_s: float, habits: Habits
) -> list[tuple[float, int]]:
    """When a message that was sent takes which delivery status after 0: (seconds since the epoch, status)."""
    usual = sent_at + habits.deliver_after_s * (1 + spread(number) / 5000)
    if magic is None:
        return [(usual, _ordinary_end(number, habits))]
    if magic == NEVER_FINAL:
        return []
    if magic <= 10:
        return [(sent_at, -magic)]
    if magic in _NAMED_STATUSES:
        return [(usual, magic)]
    if magic == UNTIL_INVALID:
        return [(sent_at + validity_s, UNDELIVERED)]
    if magic == LATE:
        return [(usual, UNDELIVERED), (sent_at + 3 * habits.deliver_after_s, DELIVERED)]
    if 200 <= magic < 300:
        return [(sent_at + magic - 200, DELIVERED)]
    return [(usual, DELIVERED)]


def _ordinary_end(number: int, habits: Habits) -> int:
    if habits.fail_permille and (number * 40_503 >> 4) % 1000 < habits.fail_permille:
        return 101 if number & 1 else 103
    return DELIVERED


def ordinary_status(number: int, sent_at: float, now: float, habits: Habits) -> int:
    """`status_at` for a number that is not magic, where all of those are delivered: the quick way."""
    return SENT if now < sent_at + habits.deliver_after_s * (1 + spread(number) / 5000) else DELIVERED


def status_at(moments: list[tuple[float, int]], now: float) -> int:
    """The delivery status at `now`, of a message that was sent, from its `changes`."""
    status = SENT
    for at, then in moments:
        if at > now:
            break
        status = then
    return status


def replies(number: int, magic: int | None, moments: list[tuple[float, int]], habits: Habits) -> list[Reply]:
    """The texts that the recipient will send back, in order; none from a telephone that was not reached."""
    if not moments or moments[-1][1] != DELIVERED:
        return []
    first = moments[-1][0] + REPLY_AFTER_S
    if magic == ONE_REPLY:
        return [Reply(first, "回覆簡訊")]
    if magic == TWO_REPLIES:
        return [Reply(first, "第一則回覆"), Reply(first + REPLY_AFTER_S, "第二則回覆, a & b")]
    if magic == HOSTILE_REPLY:
        return [Reply(first, HOSTILE_TEXT)]
    if magic is None and habits.reply_permille and (number * 69_621 >> 5) % 1000 < habits.reply_permille:
        return [Reply(first, "好的，謝謝")]
    return []
