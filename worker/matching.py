"""Matching callbacks: from the inbox to messages and chunks, by the status process, whenever something is there.

Callbacks come at any time: before their send is committed, twice, or for batches that are not ours. So each is stored
first, and looked for here, again and again where it is not found (`worker.reports` says how often).
"""

import structlog

from worker import token
from worker.engine import Engine
from worker.ledger import looked, matching

#: Rows of one transaction: as many as a bulk transaction may have.
ROWS = 500

_log = structlog.get_logger(__name__)


def match(engine: Engine) -> None:
    """Looks at every row of the inbox that is due. Harmless to call at any moment, by any number of processes."""
    limit = ROWS
    while not engine.stopping.is_set() and matching.due(engine.database):
        try:
            done = matching.match(engine.database, engine.settings.accounts, limit=limit)
        except matching.CannotMatch as error:
            # One by one: those that can be matched must not wait for the one that cannot.
            _log.error(
                "callbacks cannot be matched", rows=len(error.ids), error=type(error.__cause__).__name__
            )
            if len(error.ids) == 1:
                looked.put_off(engine.database, error.ids[0])
            limit = 1
            continue
        for chunk_id in done.settled:
            _log.warning("chunk settled: a callback proves that it was sent", chunk=token.encode(chunk_id))
        for chunk_id in done.sent_after_all:
            _log.error("a chunk was sent after all: see `every8d events`", chunk=token.encode(chunk_id))
        if done.looked:
            _log.info("callbacks", matched=done.matched, unmatched=done.looked - done.matched)
        if done.looked < limit:
            # The rest, if there is any, is another matcher's.
            return
