"""`every8d price`: what a text costs. Asks nobody."""

from __future__ import annotations

import uuid
from typing import Any

import click

from every8d import pricing
from every8d.command import sendoptions, tables
from every8d.command.exits import DONE, EPILOG
from every8d.command.invocation import Invocation, common, pass_invocation
from every8d.command.order import Order
from every8d.command.source import Source
from every8d.rowcheck import cost


@click.command(epilog=EPILOG)
@common
@click.argument("text", required=False)
@click.option("--to", multiple=True, help="A number; may be given several times.")
@click.option("--csv", "path", metavar="FILE", help="A file of recipients; TEXT may then be a template.")
@click.option(
    "--column",
    "columns",
    metavar="FIELD=COLUMN",
    multiple=True,
    callback=sendoptions.columns,
    help="Which column is what: to=客戶電話, or to=3.",
)
@click.option("--skip-invalid", is_flag=True, help="Price the rows that can be sent.")
@click.option("--allow-duplicates", is_flag=True, help="Price the same number with the same text each time.")
@click.option(
    "--abroad",
    is_flag=True,
    envvar="EVERY8D_ABROAD",
    help="Allow numbers outside Taiwan [env: EVERY8D_ABROAD].",
)
@pass_invocation
def price(
    invocation: Invocation,
    /,
    text: str | None,
    to: tuple[str, ...],
    path: str | None,
    columns: dict[str, str],
    skip_invalid: bool,
    allow_duplicates: bool,
    abroad: bool,
) -> int:
    """Show characters, segments and points of TEXT, for one recipient or for all of them."""
    if (to and path) or not (text or path):
        raise click.UsageError(
            "give TEXT, with --to or --csv FILE, or neither（請指定內容，並擇一使用 --to 或 --csv）"
        )
    source = Source(path, columns=columns, text=text) if path else None
    shared = source.shared if source else text
    each: dict[str, Any] = {}
    if shared is not None:
        one = cost(shared, abroad=False)
        each = {"characters": pricing.characters(shared), "segments": one.segments, "points_each": one.points}
    if not (source or to):
        invocation.answer(command="price", **each)
        invocation.show(tables.pairs(invocation, each))
        return DONE
    options: dict[str, Any] = {
        "lane": "bulk",
        "subject": "",
        "send_at": None,
        "schedule": "ledger",
        "validity": None,
    }
    options |= {"deadline": None, "duplicates": allow_duplicates}
    order = Order(invocation, source, to, shared, uuid.uuid4().hex, abroad, skip_invalid, options)
    check = order.new_check()
    order.check_whole(check)
    characters = {"characters": each["characters"]} if each else {}
    invocation.answer(command="price", **characters, **check.as_json())
    invocation.show(
        *([tables.pairs(invocation, characters)] if each else []), *tables.checked(invocation, check, source)
    )
    return DONE
