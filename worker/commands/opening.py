"""The ledger for a command, and the words of this distribution's commands."""

from typing import TYPE_CHECKING

from every8d.command import words
from every8d.command.exits import NOT_REACHED, Problem
from every8d.command.invocation import Invocation
from worker.commands.loading import load_settings
from worker.commands.sentences import SENTENCES, STATES

if TYPE_CHECKING:
    from worker.ledger.database import Database

words.SENTENCES.update(SENTENCES)
words.STATES.update(STATES)


def broker_url() -> str:
    """The broker of the settings, for the commands that publish. Raises `Problem` where settings are wrong."""
    return load_settings().broker_url


def ledger(invocation: Invocation) -> "Database":
    """The ledger of the settings. Raises `Problem` where it is not there or too old, or settings are wrong."""
    from worker.ledger import queries

    load_settings()  # wrong ones are told in one table
    try:
        return queries.open_ledger()
    except queries.LedgerMissing as error:
        text = error.in_chinese() if invocation.lang == "zh" else str(error)
        raise Problem(NOT_REACHED, "ledger_missing", text) from error
    except queries.LedgerOld:
        raise invocation.problem(NOT_REACHED, "ledger_older", advice="ledger_older_advice") from None
