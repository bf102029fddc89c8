"""`every8d doctor`: checks a deployment against the traps that lose texts or send them twice."""

from typing import TYPE_CHECKING

import click
from rich.text import Text

from every8d.command import words
from every8d.command.exits import DONE, EPILOG, NO
from every8d.command.invocation import Invocation, common, pass_invocation
from worker.commands import cells, opening  # noqa: F401 - opening adds this distribution's words
from worker.commands.doctorwords import SENTENCES, STATES
from worker.commands.loading import load_settings

if TYPE_CHECKING:
    from worker.doctor.finding import Finding

words.SENTENCES.update(SENTENCES)
words.STATES.update(STATES)

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "bold red", "unseen": "bold red"}


def _address(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not value.startswith(("http://", "https://")):
        raise click.BadParameter("that is no http or https address")
    return value


@click.command(epilog=EPILOG)
@common
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0.1, 60),
    default=3.0,
    show_default=True,
    metavar="SECONDS",
    help="How long workers have to answer.",
)
@click.option("--web", metavar="URL", callback=_address, help="Where `every8d web` is; by default, here.")
@click.option("--flower", metavar="URL", callback=_address, help="Where Flower is; by default, here.")
@pass_invocation
def doctor(invocation: Invocation, /, wait_s: float, web: str | None, flower: str | None) -> int:
    """Check this deployment: Redis, ledger, workers, beat, accounts, callbacks. Changes nothing.

    Exit code 1 where something must be put right; warnings alone are 0. Run it where workers run.
    """
    from worker.doctor.deployment import Deployment
    from worker.doctor.examination import examine

    with Deployment(load_settings(), workers_s=wait_s, web_url=web, flower_url=flower) as deployment:
        findings = examine(deployment)
    healthy = all(one.verdict.healthy for one in findings)
    code = DONE if healthy else NO
    invocation.answer(
        command="doctor",
        ok=healthy,
        exit=code,
        healthy=healthy,
        findings=[
            cells.plain(one, message=_message(invocation, one), advice=_advice(invocation, one))
            for one in findings
        ],
    )
    _show(invocation, findings)
    invocation.note(Text(invocation.say("doctor_healthy" if healthy else "doctor_ill")))
    return code


def _show(invocation: Invocation, findings: "list[Finding]") -> None:
    table = cells.table(invocation, ("doctor_check", "doctor_verdict", "doctor_finding"))
    for one in findings:
        told = Text(_message(invocation, one))
        if advice := _advice(invocation, one):
            told.append(f"\n→ {advice}", "bold" if not one.verdict.healthy else "")
        verdict = Text(invocation.state(one.verdict), _COLOURS[one.verdict])
        table.add_row(invocation.say(f"doctor_{one.check}"), verdict, told)
    invocation.show(table)


def _message(invocation: Invocation, finding: "Finding") -> str:
    return invocation.say(f"doctor_{finding.kind}", **_shown(finding))


def _advice(invocation: Invocation, finding: "Finding") -> str:
    """What to do; nothing where all is well."""
    if finding.verdict == "ok":
        return ""
    return invocation.say(f"doctor_{finding.kind}_advice", **_shown(finding))


def _shown(finding: "Finding") -> dict[str, object]:
    # Names of workers and queues are whatever another program chose.
    return {name: cells.escaped(str(value)).plain for name, value in finding.values.items()}
