"""Committing the outcome of a call, also when the ledger is away for a while, and whatever becomes of this process."""

from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random_exponential

from every8d.replies import SendReply
from worker import token
from worker.engine import Engine
from worker.ledger import aftermath, settle
from worker.spool import Kept

#: An outcome that the database cannot take now is offered again for so long; the spool has it for longer.
KEEP_TRYING_S = 120.0

_log = structlog.get_logger(__name__)


@retry(
    retry=retry_if_exception_type(SQLAlchemyError),
    stop=stop_after_delay(KEEP_TRYING_S),
    wait=wait_random_exponential(multiplier=0.1, max=5),
    reraise=True,
)
def keep(commit: Callable[..., bool], /, *arguments: Any, **named: Any) -> bool:
    """Commits an outcome, also when the database is away for a while. False where it was settled before."""
    return commit(*arguments, **named)


def keep_answer(engine: Engine, whose: settle.Whose, size: int, reply: SendReply, next_poll_ms: int) -> None:
    """Commits the answer of an accepted call. `size` in messages; `next_poll_ms` is when it is asked for first."""
    try:
        done = settle.accepted(engine.database, whose, reply, next_poll_ms)
    except SQLAlchemyError as error:
        # Should the ledger and the disk stay away, this line is all that is left of the BatchID.
        _log.error(
            "accepted, but the ledger does not take the answer; trying on",
            chunk=token.encode(whose.id),
            account=whose.account,
            batch_id=reply.batch_id,
            sended=reply.sended,
            unsend=reply.unsend,
            spooled=engine.spool.put(Kept(whose, size, reply, next_poll_ms)),
            error=type(error).__name__,
        )
        done = keep(settle.accepted, engine.database, whose, reply, next_poll_ms)
    if not done:
        # Settled meanwhile: by our own commit whose answer was lost, from the spool, or otherwise.
        keep(aftermath.answer_came_late, engine.database, whose, reply, next_poll_ms)
    engine.spool.drop(whose.id)


def keep_no(engine: Engine, whose: settle.Whose, commit: Callable[..., bool], **named: Any) -> bool:
    """Commits a definite no: `settle.not_sent` or `settle.refused`, with what they take besides.

    In the spool it is a plain "not sent": its messages are tried again, and whatever is wrong with them is found anew.
    """
    engine.departures.refused(whose.id)
    try:
        return commit(engine.database, whose, **named)
    except SQLAlchemyError:
        # Without the gateway's words: they may hold a number.
        engine.spool.put(Kept(whose, why="the gateway said no; the ledger was away", code=named.get("code")))
    done = keep(commit, engine.database, whose, **named)
    engine.spool.drop(whose.id)
    return done
