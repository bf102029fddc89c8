"""`every8d pause` and `every8d resume`: stop an account, a lane or a request before its next call; let it go on."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click
from rich.text import Text

from config import Lane
from every8d.command.exits import DONE, EPILOG
from every8d.command.invocation import Invocation, common, pass_invocation
from worker.commands import cells, opening

if TYPE_CHECKING:
    from worker.ledger.pauses import Pause, Target

P = ParamSpec("P")
R = TypeVar("R")

#: As wide as the ledger's column.
_NAME_LENGTH = 64


def _name(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    from worker.ledger.pauses import BY_THEMSELVES

    if not value.strip() or len(value) > _NAME_LENGTH or value in BY_THEMSELVES:
        raise click.BadParameter("that is nobody's name")
    return value


_OPTIONS = (
    click.option("--by", required=True, metavar="NAME", callback=_name, help="Who says so; kept and shown."),
    click.option(
        "--why", required=True, metavar="TEXT", help="Why; kept and shown, so no number and no text."
    ),
)


def _who_and_why(function: Callable[P, R]) -> Callable[P, R]:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.group(invoke_without_command=True, epilog=EPILOG)
@common
@click.pass_context
def pause(context: click.Context) -> int:
    """Show what is paused, or pause more: what is under way ends, nothing else begins.

    Messages are accepted and wait; statuses are followed; cancelling works.
    """
    if context.invoked_subcommand:
        return DONE
    return _list(context.ensure_object(Invocation))


@click.group(epilog=EPILOG)
@common
def resume() -> None:
    """Let go on what is paused, whoever paused it."""


def _list(invocation: Invocation) -> int:
    from worker.ledger.pauses import standing

    found = standing(opening.ledger(invocation), of_account=invocation.account)
    invocation.answer(command="pause", paused=[cells.plain(one) for one in found])
    if not found:
        invocation.show(invocation.say("nothing"))
        return DONE
    table = cells.table(invocation, ("paused", "reason"))
    for one in found:
        table.add_row(_title(invocation, one), Text(cells.pause(invocation, one)))
    invocation.show(table)
    return DONE


def _title(invocation: Invocation, one: "Pause | Target") -> str:
    name = one.request if one.what == "request" else one.account
    lane = f" / {one.lane}" if one.what == "lane" else ""
    return f"{invocation.say(one.what)} {name}{lane}"


def _pause(invocation: Invocation, target: "Target", by: str, why: str) -> int:
    from worker.ledger import controls

    done = controls.pause(opening.ledger(invocation), target, by=by, why=why)
    invocation.answer(
        command=f"pause {target.what}", **_json(done.target), by=by, why=why, under_way=done.under_way
    )
    key = "now_paused_but" if done.under_way else "now_paused"
    what = _title(invocation, done.target)
    invocation.show(invocation.say(key, what=what, calls=f"{done.under_way:,}"))
    return DONE


def _resume(invocation: Invocation, target: "Target", by: str, why: str) -> int:
    from worker.ledger import controls

    done = controls.resume(opening.ledger(invocation), target, by=by, why=why)
    invocation.answer(
        command=f"resume {target.what}",
        **_json(done.target),
        by=by,
        why=why,
        was=cells.plain(done.was),
        still=[cells.plain(one) for one in done.still],
    )
    invocation.show(invocation.say("now_resumed", what=_title(invocation, done.target)))
    for one in done.still:
        invocation.note(still(invocation, one))
    return DONE


def still(invocation: Invocation, one: "Pause") -> Text:
    """That this pause holds back all the same what was just let go."""
    told = invocation.say("still_paused", what=_title(invocation, one), reason=cells.pause(invocation, one))
    return Text(told, "yellow")


def _json(target: "Target") -> dict[str, Any]:
    return {
        "account": target.account,
        "lane": target.lane,
        "request": str(target.request) if target.request else None,
    }


def _join(group: click.Group, act: Callable[[Invocation, "Target", str, str], int], verb: str) -> None:
    """Adds the three commands of a group; they differ in what they name."""

    @group.command(epilog=EPILOG, help=f"{verb} the whole account ALIAS, all of its lanes.")
    @common
    @click.argument("alias")
    @_who_and_why
    @pass_invocation
    def account(invocation: Invocation, /, alias: str, by: str, why: str) -> int:
        from worker.ledger.pauses import Target

        return act(invocation, Target(alias), by, why)

    @group.command(epilog=EPILOG, help=f"{verb} one LANE of account ALIAS: otp, normal or bulk.")
    @common
    @click.argument("alias")
    @click.argument("lane", type=click.Choice([str(one) for one in Lane]))
    @_who_and_why
    @pass_invocation
    def lane(invocation: Invocation, /, alias: str, lane: str, by: str, why: str) -> int:
        from worker.ledger.pauses import Target

        return act(invocation, Target(alias, lane), by, why)

    @group.command(epilog=EPILOG, help=f"{verb} one REQUEST, by its id.")
    @common
    @click.argument("request")
    @_who_and_why
    @pass_invocation
    def request(invocation: Invocation, /, request: str, by: str, why: str) -> int:
        from worker.ledger.pauses import Target
        from worker.ledger.texts import request_id

        return act(invocation, Target("", request=request_id(request)), by, why)


_join(pause, _pause, "Pause")
_join(resume, _resume, "Resume")
