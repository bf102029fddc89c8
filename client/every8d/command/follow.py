"""Following a request until every message of it is final."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.text import Text

from every8d.command import tables
from every8d.command.exits import DONE, NO, NOT_KNOWN, Problem
from every8d.producererrors import BrokerUnreachable, NoAnswer

if TYPE_CHECKING:
    from datetime import timedelta

    from every8d.command.invocation import Invocation
    from every8d.receipt import RequestStatus

#: Seconds between two looks: soon at first, then ever less often, up to the last.
_FIRST_PAUSE_S = 0.5
_LAST_PAUSE_S = 3.0
#: Looks without an answer in a row until it is given up.
_PATIENCE = 5
#: Ends of a message that are not the ones wished for. A duplicate was left out on purpose.
_FAILED = ("undelivered", "refused", "expired", "no_credit", "cancelled")
_MOVING = ("waiting", "submitting", "sent", "booked")


def follow(invocation: Invocation, request: str, timeout: timedelta | None, /, **head: Any) -> int:
    """Shows the request until it is final, the time is over, or only unknown outcomes are left.

    Returns the exit code.
    `head` goes into --json, beside the last status. Raises `Problem` when nobody answers,
    after some patience.
    """
    producer = invocation.producer()
    ends = time.monotonic() + timeout.total_seconds() if timeout is not None else float("inf")
    with Live(console=invocation.err, auto_refresh=False, transient=True) as live:
        pause, missed, before = _FIRST_PAUSE_S, 0, None
        while True:
            try:
                status = producer.status(request)
                missed = 0
            except (NoAnswer, BrokerUnreachable) as error:
                missed += 1
                if missed >= _PATIENCE or time.monotonic() >= ends:
                    raise _lost(invocation, request, head) from error
                invocation.sleep(pause)
                continue
            if invocation.a_person_watches:
                live.update(tables.request(invocation, status), refresh=True)
            elif not invocation.json and status != before:
                # Logs and pipes get a line at each change instead of a picture.
                invocation.err.print(_line(invocation, status))
            if is_over(status) or time.monotonic() >= ends:
                break
            before = status
            invocation.sleep(min(pause, max(0.0, ends - time.monotonic())))
            pause = min(pause * 1.5, _LAST_PAUSE_S)
    return tell(invocation, status, followed=True, **head)


def _lost(invocation: Invocation, request: str, head: dict[str, Any]) -> Problem:
    """Nobody answers any more. The request itself goes on, so this is not "not reached"."""
    values: dict[str, object] = {"request": request}
    return invocation.problem(
        NOT_KNOWN, "follow_lost", advice="follow_lost_advice", values=values, **{**head, "request": request}
    )


def tell(invocation: Invocation, status: RequestStatus, /, *, followed: bool, **head: Any) -> int:
    """Shows a status, and returns the exit code.

    Of a followed request the code says what became of it, else only that it was found.
    """
    code = exit_code(status) if followed else (DONE if status.known else NO)
    payload = {**head, **status_json(status)}
    if not status.known:
        values: dict[str, object] = {"request": str(status.request_id)}
        invocation.fail(NO, "no_such_request", advice="no_such_request_advice", values=values, **payload)
    invocation.answer(exit=code, ok=code == DONE, **payload)
    invocation.show(tables.request(invocation, status))
    unknown = status.messages.get("unknown", 0)
    if unknown:
        invocation.note(Text(invocation.say("unknown_left", count=f"{unknown:,}"), "yellow"))
    unpaid = status.messages.get("no_credit", 0)
    if unpaid and not status.final:
        invocation.note(Text(invocation.say("no_credit_left", count=f"{unpaid:,}"), "yellow"))
    if followed and not is_over(status):
        invocation.note(invocation.say("still_open", request=status.request_id))
    if followed and code == NO:
        invocation.note(Text(invocation.say("not_all_delivered"), "red"))
    return code


def is_over(status: RequestStatus) -> bool:
    """Whether nothing more happens by itself: final, or only what waits for somebody is left.

    That is messages with an unknown outcome, and those that wait for a top-up.
    """
    if status.final or status.state in ("abandoned", "refused", "unknown_request"):
        return True
    return status.state not in ("staged", "ready") and not any(status.messages.get(word) for word in _MOVING)


def exit_code(status: RequestStatus) -> int:
    """What became of a followed request: 0 all as wished, 1 something failed, 3 not known or not over."""
    if status.state in ("abandoned", "refused", "unknown_request", "cancelled"):
        return NO
    if not status.final:
        return NOT_KNOWN
    return NO if any(status.messages.get(word) for word in _FAILED) else DONE


def status_json(status: RequestStatus) -> dict[str, Any]:
    """A status for --json."""
    return {
        "request": str(status.request_id),
        "account": status.account,
        "lane": status.lane,
        "state": status.state,
        "count": status.count,
        "messages": dict(status.messages),
        "cost": str(status.cost),
        "final": status.final,
        "paused": [
            {"what": one.what, "by": one.by, "why": one.why, "since": one.since} for one in status.paused
        ],
    }


def _line(invocation: Invocation, status: RequestStatus) -> str:
    counts = ", ".join(
        f"{invocation.state(state)} {count:,}" for state, count in status.messages.items() if count
    )
    parts = [counts] if counts else []
    for one in status.paused:
        told = tables.paused(invocation, by=one.by, why=one.why, since=one.since)
        parts.append(f"{invocation.say(f'paused_{one.what}')}: {told}")
    state = invocation.state(status.state)
    return f"{state}: {'; '.join(parts)}" if parts else state
