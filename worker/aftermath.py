"""What dead processes, and a ledger that was away, left behind on this machine: settled where it can be proven.

Each worker process looks when it starts and every few seconds. Doing it twice, or two processes at once, changes
nothing: a chunk that is settled stays as it is.
"""

import structlog

from worker import token
from worker.departures import left_behind
from worker.engine import Engine
from worker.ledger import aftermath as ledger
from worker.ledger import settle
from worker.spool import Kept

_log = structlog.get_logger(__name__)


def settle_left_behind(engine: Engine) -> None:
    """Settles chunks whose worker died before their call began, and answers that the ledger could not take.

    Raises SQLAlchemy's errors where the ledger is away; what is left then is looked at again.
    """
    _not_begun(engine, engine.departures.in_doubt(), "its claim was not answered")
    for ids in left_behind(engine.settings.calls_dir):
        _not_begun(engine, ids, "its worker died before its call began")
    for kept in engine.spool.kept():
        if not ledger.is_here(engine.database, kept.whose.id):
            # Another ledger's: whoever works on that one finds it.
            _log.error("the spool has an answer of another ledger's", chunk=token.encode(kept.whose.id))
            continue
        settle_kept(engine, kept)
        engine.spool.drop(kept.whose.id)


def _not_begun(engine: Engine, ids: list[int], why: str) -> None:
    for whose in ledger.open_chunks(engine.database, ids):
        if settle.not_sent(engine.database, whose, why):
            _log.warning("given back", chunk=token.encode(whose.id), account=whose.account, reason=why)


def settle_kept(engine: Engine, kept: Kept) -> bool:
    """Commits what was kept. True where the ledger says the same now."""
    if kept.reply is None:
        return settle.not_sent(engine.database, kept.whose, kept.why, code=kept.code)
    if settle.accepted(engine.database, kept.whose, kept.reply, kept.next_poll_ms):
        settle.note_reply(engine.database, kept.whose, kept.reply, kept.size)
        _log.info("an answer of the spool is settled", chunk=token.encode(kept.whose.id))
        return True
    return ledger.answer_came_late(engine.database, kept.whose, kept.reply, kept.next_poll_ms)
