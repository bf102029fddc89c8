"""One chunk: the gateway call, what its outcome means, and the commit of it.

Nothing waits here, and nothing is repeated: a call is made once, its outcome is committed first, and whatever may be
tried again goes back to the ledger, to be claimed anew.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial

import structlog
from sqlalchemy.exc import SQLAlchemyError

from config import Account
from every8d import sockets
from every8d.contentxml import Recipient, build
from every8d.errors import (
    AccountFault,
    Busy,
    GatewayError,
    InvalidInput,
    MessageFault,
    NotSent,
    PastTime,
    Rejected,
    SessionGone,
)
from every8d.replies import SendReply
from worker import points, token
from worker.committing import keep, keep_answer, keep_no
from worker.engine import Engine
from worker.ledger import accounts, credit, settle
from worker.ledger.claim import Claim
from worker.packing import SEND_MESSAGE, SEND_SMS
from worker.statuses import first_poll_ms

#: A lease outlives the call's deadline by this: for the claim before it and the commits after it.
LEASE_MARGIN_S = 60.0
#: HTTP answers of a gateway that wants less of us, or nothing.
UNWANTED = (403, 429)
#: Busy, and nothing was wrong with any message: never counts against them.
LOGIN_BUSY = -97
#: HTTP: the call is larger than the gateway takes.
TOO_LARGE = 413

_log = structlog.get_logger(__name__)


class Outcome(StrEnum):
    """What a call meant for its chunk."""

    ACCEPTED = "accepted"
    #: Certainly not executed: may be tried again at once.
    NOT_SENT = "not_sent"
    #: The session key was gone: try again with a new one.
    NO_SESSION = "no_session"
    #: The gateway refused the account itself: stop.
    BLOCKED = "blocked"
    #: Refused for something in its messages; the others go on.
    REFUSED = "refused"
    UNKNOWN = "unknown"


def send(engine: Engine, claim: Claim, session_key: str, *, last_try: bool = True) -> tuple[Outcome, str]:
    """Makes the call of a claimed chunk and commits its outcome. Returns it with a reason that is safe to print.

    `last_try`: before the lane backs off. Only such a one counts against the messages' tries.
    """
    whose = settle.Whose(claim.id, claim.account, claim.lane)
    account = engine.account(claim.account)
    if claim.left_s(lease_s(account)) < account.call_deadline_s:
        # Another worker could take the chunk for lost while our call is still under way.
        keep_no(engine, whose, settle.given_back, why="too late to call within the lease")
        return Outcome.NOT_SENT, "the claim took too long"
    try:
        reply = _call(engine, claim, session_key)
    except GatewayError as error:
        return _failed(engine, claim, whose, session_key, error, last_try)
    except PastTime:
        # The booking's time passed on the way here; claimed anew, it is sent without one.
        keep_no(engine, whose, settle.given_back, why="its time to send had passed")
        return Outcome.NOT_SENT, "the time to send had passed"
    except InvalidInput as error:
        # Ours, before any byte left: the text or a number cannot be written in a call.
        part = token.new_id(claim.lease_ms)
        keep_no(engine, whose, settle.refused, why=str(error), code=0, new_part=part)
        return Outcome.REFUSED, str(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the text may be out
        # A fault of ours, at a moment that nobody knows: the same as a lost answer.
        _log.exception("a send failed unexpectedly", chunk=token.encode(claim.id), account=claim.account)
        keep(settle.unknown, engine.database, whose, f"an unexpected {type(error).__name__}")
        return Outcome.UNKNOWN, type(error).__name__
    # By the lease, not by the database's clock: until the answer is committed nothing else may fail.
    answered_ms = claim.lease_ms - int(claim.left_s(lease_s(account)) * 1000)
    first_poll = first_poll_ms(account, answered_ms, claim.send_time_ms)
    keep_answer(engine, whose, len(claim.packed.messages), reply, first_poll)
    _afterwards(engine, claim, whose, reply)
    return Outcome.ACCEPTED, ""


def lease_s(account: Account) -> float:
    """How long a chunk of the account is leased: its call's deadline, and time for the claim and the commits."""
    return account.call_deadline_s + LEASE_MARGIN_S


@contextmanager
def _noting_departure(engine: Engine, chunk_id: int) -> Iterator[None]:
    """Around the call of a chunk: whoever finds it after this process knows whether a byte of it left."""
    told = sockets.before_departure.set(partial(engine.departures.begin, chunk_id))
    try:
        yield
    finally:
        sockets.before_departure.reset(told)


def _call(engine: Engine, claim: Claim, session_key: str) -> SendReply:
    gateway = engine.gateways.gateway(claim.account)
    packed = claim.packed
    subject = token.subject(claim.id, claim.subject)
    send_time = None if claim.send_time_ms is None else datetime.fromtimestamp(claim.send_time_ms / 1000, UTC)
    with points.call(packed.operation), _noting_departure(engine, claim.id):
        if packed.operation == SEND_SMS or packed.operation == SEND_MESSAGE:
            mobiles = [one.number for one in packed.messages]
            text = packed.text or ""
            if packed.operation == SEND_SMS:
                return gateway.send_sms(
                    session_key, subject=subject, content=text, mobiles=mobiles, send_time=send_time
                )
            return gateway.send_message(
                session_key,
                subject=subject,
                content=text,
                mobiles=mobiles,
                send_time=send_time,
                validity=packed.validity_min or 0,
            )
        recipients = (
            Recipient(one.number, text, one.name or "", one.email or "")
            for one, text in zip(packed.messages, packed.texts, strict=True)
        )
        return gateway.send_param_sms(
            session_key, subject=subject, content_xml=build(recipients), send_time=send_time
        )


def _failed(
    engine: Engine, claim: Claim, whose: settle.Whose, session_key: str, error: GatewayError, last_try: bool
) -> tuple[Outcome, str]:
    database, account = engine.database, engine.account(claim.account)
    error.account = claim.account
    code = error.code
    why = _why(error)
    match error:
        case SessionGone():
            keep_no(engine, whose, settle.not_sent, why="the session was gone", code=code)
            engine.sessions.gone(claim.account, session_key)
            return Outcome.NO_SESSION, "the session was gone"
        case Busy() if account.busy_is_not_sent or code == LOGIN_BUSY:
            counts = last_try and code != LOGIN_BUSY
            keep_no(engine, whose, settle.not_sent, why=why, code=code, tries=_tries(account, claim, counts))
            return Outcome.NOT_SENT, f"the gateway is busy ({code})"
        case Rejected() if error.fault and claim.packed.operation == SEND_MESSAGE:
            keep_no(engine, whose, settle.not_sent, why=why)
            accounts.turn_operation_off(database, claim.account, SEND_MESSAGE)
            return Outcome.REFUSED, "the gateway does not know sendMessage"
        case Rejected() if error.fault:
            keep_no(engine, whose, settle.not_sent, why=why, tries=_tries(account, claim, last_try))
            return Outcome.NOT_SENT, "the gateway does not take the call"
        case Rejected() if error.status == TOO_LARGE and len(claim.packed.messages) > 1:
            # Again and again the same chunk would hold the lane up for ever; in halves it fits.
            part = token.new_id(claim.lease_ms)
            keep_no(engine, whose, settle.refused, why=why, code=0, new_part=part)
            return Outcome.REFUSED, "the call was too large"
        case NotSent() if not isinstance(error, Busy):
            keep_no(engine, whose, settle.not_sent, why=why, code=code)
            reason = f"HTTP {error.status}" if error.status else "the gateway cannot be reached"
            return Outcome.NOT_SENT, reason
        case AccountFault():
            keep_no(engine, whose, settle.not_sent, why=why, code=code)
            engine.sessions.refused(claim.account, error)
            return Outcome.BLOCKED, f"the gateway refused the account ({code})"
        case MessageFault():
            named = _named(error.raw, (one.number for one in claim.packed.messages))
            keep_no(
                engine,
                whose,
                settle.refused,
                why=why,
                code=code or 0,
                named=named,
                new_part=token.new_id(claim.lease_ms),
            )
            return Outcome.REFUSED, f"the gateway refused messages ({code})"
        case _:
            keep(settle.unknown, database, whose, why)
            return Outcome.UNKNOWN, "the outcome of a call is not known"


def _tries(account: Account, claim: Claim, counts: bool) -> settle.Tries | None:
    return settle.Tries(account.busy_tries, token.new_id(claim.lease_ms)) if counts else None


def _why(error: GatewayError) -> str:
    """What happened, in one line for operators; what to do is theirs to read in `docs`."""
    code = "" if error.code is None else f" {error.code}"
    return f"{error.operation}{code}: {error.detail or error.meaning}"


def _named(raw: str, numbers: Iterable[str]) -> list[str]:
    """Those of the numbers that the gateway's words name, in either form. Whole ones: one may begin as another does."""
    words = set(re.findall(r"\+?\d+", raw))
    return [one for one in numbers if one in words or one.replace("+886", "0", 1) in words]


def _afterwards(engine: Engine, claim: Claim, whose: settle.Whose, reply: SendReply) -> None:
    """What follows from the answer; the answer itself is committed and cannot be undone by any of it."""
    try:
        settle.note_reply(engine.database, whose, reply, len(claim.packed.messages))
        alarm_below = engine.account(claim.account).low_credit
        if reply.credit < alarm_below:
            credit.alarm(engine.database, claim.account, reply.credit, alarm_below)
    except SQLAlchemyError as error:
        _log.warning("credit not noted", chunk=token.encode(claim.id), error=type(error).__name__)
