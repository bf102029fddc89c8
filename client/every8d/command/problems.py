"""What each error means for the person at the command line: an exit code, a sentence, and what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from every8d import producererrors
from every8d.command.exits import BAD_INPUT, NO, NOT_KNOWN, NOT_REACHED, Problem
from every8d.errors import Every8dError, GatewayError, InvalidInput, NotSent, OutcomeUnknown

if TYPE_CHECKING:
    from every8d.command.invocation import Invocation

#: Base classes of libraries that need not be installed: (top package, class) → exit code and sentence.
_FOREIGN = {
    ("redis", "RedisError"): (NOT_REACHED, "broker_unreachable"),
    ("kombu", "OperationalError"): (NOT_REACHED, "broker_unreachable"),
    ("sqlalchemy", "SQLAlchemyError"): (NOT_REACHED, "ledger_unreachable"),
}


def explain(error: Exception, invocation: Invocation) -> Problem | None:
    """The problem that an error is, in the language of this call; None where nobody foresaw it."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, click.ClickException):
        return _usage(error, invocation)
    if isinstance(error, Every8dError):
        return _ours(error, invocation)
    for cls in type(error).__mro__:
        if found := _FOREIGN.get((cls.__module__.partition(".")[0], cls.__name__)):
            # The library's own text may hold an address with its password, or a statement with its values.
            return invocation.problem(found[0], found[1], advice=f"{found[1]}_advice")
    if isinstance(error, ModuleNotFoundError) and (error.name or "") in ("celery", "kombu", "redis", "zeep"):
        extra = "gateway" if error.name == "zeep" else "producer"
        values: dict[str, object] = {"package": error.name, "install": f"every8d[{extra}]"}
        return invocation.problem(BAD_INPUT, "missing_extra", advice="missing_extra_advice", values=values)
    return None


def _usage(error: click.ClickException, invocation: Invocation) -> Problem:
    if type(error).__name__ == "NoArgsIsHelpError":
        return Problem(BAD_INPUT, "usage", error.format_message())
    # click repeats surplus arguments, which may be a number or a text.
    message = re.sub(r"(extra arguments?) \(.*\)", r"\1", error.format_message(), flags=re.DOTALL)
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "every8d"
    return Problem(BAD_INPUT, "usage", message, invocation.say("wrong_usage_advice", command=path))


def _ours(error: Every8dError, invocation: Invocation) -> Problem:
    def problem(exit_code: int, advice: str = "", **more: Any) -> Problem:
        text = error.in_chinese() if invocation.lang == "zh" else str(error)
        return Problem(exit_code, _snake(type(error).__name__), text, advice, **more)

    if isinstance(error, producererrors.InvalidRows):
        rows = [{"row": row.row, "reason": row.reason} for row in error.rows]
        return problem(BAD_INPUT, invalid={"count": error.count, "rows": rows})
    if isinstance(error, InvalidInput):
        return problem(BAD_INPUT)
    if isinstance(error, producererrors.BrokerUnreachable):
        # Its own text is for a producer in a program; at the command line the address is what is wrong,
        # mostly.
        key = "broker_unreachable"
        return invocation.problem(NOT_REACHED, key, advice=f"{key}_advice", request=str(error.request_id))
    if isinstance(error, producererrors.NoAnswer):
        return problem(NOT_KNOWN, request=str(error.request_id))
    if isinstance(error, producererrors.IdempotencyConflict | producererrors.NotAccepted):
        return problem(NO, request=str(error.request_id))
    if isinstance(error, NotSent):
        return problem(NOT_REACHED)
    if isinstance(error, OutcomeUnknown):
        return problem(NOT_KNOWN)
    if isinstance(error, GatewayError):
        return problem(NO, code=error.code)
    # Not found, in another state, the breaker open, …: each of our other errors is a definite no.
    return problem(NO)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
