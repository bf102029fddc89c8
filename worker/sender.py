"""One chunk: the gateway call, what its outcome means, and the commit of it.

Nothing waits here, and nothing is repeated: a call is made once, its outcome is committed first, and whatever may be
tried again goes back to the ledger, to be claimed anew.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random_exponential

from config import Account
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
from worker import token
from worker.engine import Engine
from worker.ledger import accounts, settle
from worker.ledger.claim import Claim
from worker.packing import SEND_MESSAGE, SEND_SMS
from worker.statuses import first_poll_ms

#: A lease outlives the call's deadline by this: for the claim before it and the commits after it.
LEASE_MARGIN_S = 60.0
#: An answer that the database cannot take now is offered again for so long: the text is out, and this is the only
#: place that knows its BatchID.
KEEP_TRYING_S = 120.0
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
        keep(settle.given_back, engine.database, whose, "too late to call within the lease")
        return Outcome.NOT_SENT, "the claim took too long"
    try:
        reply = _call(engine, claim, session_key)
    except GatewayError as error:
        return _failed(engine, claim, whose, session_key, error, last_try)
    except PastTime:
        # The booking's time passed on the way here; claimed anew, it is sent without one.
        keep(settle.given_back, engine.database, whose, "its time to send had passed")
        return Outcome.NOT_SENT, "the time to send had passed"
    except InvalidInput as error:
        # Ours, before any byte left: the text or a number cannot be written in a call.
        keep(settle.refused, engine.database, whose, 0, str(error), new_part=token.new_id(claim.lease_ms))
        return Outcome.REFUSED, str(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the text may be out
        # A fault of ours, at a moment that nobody knows: the same as a lost answer.
        _log.exception("a send failed unexpectedly", chunk=token.encode(claim.id), account=claim.account)
        keep(settle.unknown, engine.database, whose, f"an unexpected {type(error).__name__}")
        return Outcome.UNKNOWN, type(error).__name__
    # By the lease, not by the database's clock: until the answer is committed nothing else may fail.
    answered_ms = claim.lease_ms - int(claim.left_s(lease_s(account)) * 1000)
    first_poll = first_poll_ms(account, answered_ms, claim.send_time_ms)
    if not _keep_answer(engine, claim, whose, reply, first_poll):
        _log.error(
            "accepted, but somebody had settled the chunk otherwise",
            chunk=token.encode(claim.id),
            account=claim.account,
            batch_id=reply.batch_id,
        )
    _afterwards(engine, claim, whose, reply)
    return Outcome.ACCEPTED, ""


def lease_s(account: Account) -> float:
    """How long a chunk of the account is leased: its call's deadline, and time for the claim and the commits."""
    return account.call_deadline_s + LEASE_MARGIN_S


def _keep_answer(
    engine: Engine, claim: Claim, whose: settle.Whose, reply: SendReply, first_poll: int
) -> bool:
    try:
        return settle.accepted(engine.database, whose, reply, first_poll)
    except SQLAlchemyError as error:
        # Should the ledger stay away, this line is all that is left of the BatchID.
        _log.error(
            "accepted, but the ledger does not take the answer; trying on",
            chunk=token.encode(claim.id),
            account=claim.account,
            batch_id=reply.batch_id,
            sended=reply.sended,
            unsend=reply.unsend,
            error=type(error).__name__,
        )
    return keep(settle.accepted, engine.database, whose, reply, first_poll)


def _call(engine: Engine, claim: Claim, session_key: str) -> SendReply:
    gateway = engine.gateways.gateway(claim.account)
    packed = claim.packed
    subject = token.subject(claim.id, claim.subject)
    send_time = None if claim.send_time_ms is None else datetime.fromtimestamp(claim.send_time_ms / 1000, UTC)
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
            keep(settle.not_sent, database, whose, "the session was gone", code=code)
            engine.sessions.gone(claim.account, session_key)
            return Outcome.NO_SESSION, "the session was gone"
        case Busy() if account.busy_is_not_sent or code == LOGIN_BUSY:
            counts = last_try and code != LOGIN_BUSY
            keep(settle.not_sent, database, whose, why, code=code, tries=_tries(account, claim, counts))
            return Outcome.NOT_SENT, f"the gateway is busy ({code})"
        case Rejected() if error.fault and claim.packed.operation == SEND_MESSAGE:
            keep(settle.not_sent, database, whose, why)
            accounts.turn_operation_off(database, claim.account, SEND_MESSAGE)
            return Outcome.REFUSED, "the gateway does not know sendMessage"
        case Rejected() if error.fault:
            keep(settle.not_sent, database, whose, why, tries=_tries(account, claim, last_try))
            return Outcome.NOT_SENT, "the gateway does not take the call"
        case Rejected() if error.status == TOO_LARGE and len(claim.packed.messages) > 1:
            # Again and again the same chunk would hold the lane up for ever; in halves it fits.
            part = token.new_id(claim.lease_ms)
            keep(settle.refused, database, whose, 0, why, new_part=part)
            return Outcome.REFUSED, "the call was too large"
        case NotSent() if not isinstance(error, Busy):
            keep(settle.not_sent, database, whose, why, code=code)
            reason = f"HTTP {error.status}" if error.status else "the gateway cannot be reached"
            return Outcome.NOT_SENT, reason
        case AccountFault():
            keep(settle.not_sent, database, whose, why, code=code)
            engine.sessions.refused(claim.account, error)
            return Outcome.BLOCKED, f"the gateway refused the account ({code})"
        case MessageFault():
            named = _named(error.raw, (one.number for one in claim.packed.messages))
            keep(
                settle.refused,
                database,
                whose,
                code or 0,
                why,
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


@retry(
    retry=retry_if_exception_type(SQLAlchemyError),
    stop=stop_after_delay(KEEP_TRYING_S),
    wait=wait_random_exponential(multiplier=0.1, max=5),
    reraise=True,
)
def keep(commit: Callable[..., bool], /, *arguments: Any, **named: Any) -> bool:
    """Commits an outcome, also when the database is away for a while. False where it was settled before."""
    return commit(*arguments, **named)


def _afterwards(engine: Engine, claim: Claim, whose: settle.Whose, reply: SendReply) -> None:
    """What follows from the answer; the answer itself is committed and cannot be undone by any of it."""
    try:
        settle.note_reply(engine.database, whose, reply, len(claim.packed.messages))
    except SQLAlchemyError as error:
        _log.warning("credit not noted", chunk=token.encode(claim.id), error=type(error).__name__)
