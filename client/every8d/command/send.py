"""`every8d send`: a text to numbers, or to the rows of a file."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from every8d.command import sendoptions, tables
from every8d.command.exits import DONE, EPILOG
from every8d.command.follow import follow
from every8d.command.invocation import Invocation, common, pass_invocation
from every8d.command.order import Order
from every8d.command.source import Source

if TYPE_CHECKING:
    from datetime import timedelta

    from every8d.command.check import Check
    from every8d.receipt import Receipt


@click.command(epilog=EPILOG)
@common
@click.argument("to", nargs=-1, metavar="[TO]...")
@click.option("--text", help="The text; with --csv also a template: {column} is replaced by the row's cell.")
@click.option(
    "--csv", "path", metavar="FILE", help="A file of recipients: UTF-8, Big5 or UTF-16; - is standard input."
)
@click.option(
    "--column",
    "columns",
    metavar="FIELD=COLUMN",
    multiple=True,
    callback=sendoptions.columns,
    help="Which column is what: to=客戶電話, or to=3.",
)
@click.option(
    "--lane", type=click.Choice(["otp", "normal", "bulk"]), help="normal for numbers, bulk for files."
)
@click.option("--subject", default="", help="A note for the gateway's records; not sent to the phone.")
@click.option(
    "--at",
    "send_at",
    metavar="TIME",
    callback=sendoptions.moment,
    help="When to send: 2026-01-31 15:30 (Asia/Taipei).",
)
@click.option("--book", is_flag=True, help="Book --at at the gateway, instead of holding it here.")
@click.option(
    "--validity",
    metavar="LENGTH",
    callback=sendoptions.length,
    help="How long the operators try to deliver: 30m, 2h; at most 24h.",
)
@click.option(
    "--deadline",
    metavar="TIME|LENGTH",
    callback=sendoptions.moment_or_length,
    help="Not sent after this: a time, or 30m, 2h from now.",
)
@click.option("--key", help="The same key is the same request: repeating is safe. Made up if not given.")
@click.option("--dry-run", is_flag=True, help="Check and price everything; send nothing.")
@click.option("--skip-invalid", is_flag=True, help="Leave out rows that cannot be sent.")
@click.option("--allow-duplicates", is_flag=True, help="The same number with the same text twice is wanted.")
@click.option(
    "--abroad",
    is_flag=True,
    envvar="EVERY8D_ABROAD",
    help="Allow numbers outside Taiwan [env: EVERY8D_ABROAD].",
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask before sending.")
@click.option("--wait", is_flag=True, help="Follow it until every message is final.")
@click.option("--timeout", metavar="LENGTH", callback=sendoptions.length, help="Follow at most this long.")
@pass_invocation
def send(
    invocation: Invocation,
    /,
    to: tuple[str, ...],
    text: str | None,
    path: str | None,
    columns: dict[str, str],
    lane: str | None,
    book: bool,
    key: str | None,
    dry_run: bool,
    skip_invalid: bool,
    allow_duplicates: bool,
    abroad: bool,
    yes: bool,
    wait: bool,
    timeout: timedelta | None,
    **options: Any,
) -> int:
    """Send TEXT to each number TO, or to each row of a CSV file.

    A file is checked whole before anything of it is sent; one bad row stops it all, unless --skip-invalid.
    The file needs a header such as to/手機, text/內容, name/姓名, email, send_at/發送時間, or holds numbers
    only.
    """
    if bool(to) == bool(path):
        raise click.UsageError("give numbers, or --csv FILE（請指定門號或 --csv 檔案）")
    if to and text is None:
        raise click.UsageError("--text is missing（缺少 --text）")
    if timeout is not None and not wait:
        raise click.UsageError("--timeout goes with --wait（--timeout 須與 --wait 併用）")
    source = Source(path, columns=columns, text=text) if path else None
    order = Order(
        invocation,
        source,
        to,
        source.shared if source else text,
        key or f"every8d-{uuid.uuid4().hex[:16]}",
        abroad,
        skip_invalid,
        {
            **options,
            "lane": lane or ("bulk" if path else "normal"),
            "schedule": "gateway" if book else "ledger",
            "duplicates": allow_duplicates,
        },
    )
    check = order.new_check()
    if dry_run or not (source and source.once):
        order.check_whole(check)
    if dry_run:
        invocation.answer(command="send", dry_run=True, **order.head(check), **check.as_json())
        invocation.show(*tables.checked(invocation, check, source))
        if check.bad:
            invocation.show(tables.left_out(invocation, check))
        invocation.show(Text(invocation.say("dry_run"), "bold"))
        return DONE
    if not (yes or (source and source.once)):
        order.ask(check)
    check = order.new_check()
    receipt = order.publish(check)
    return _tell(order, check, receipt, timeout, wait=wait)


def _tell(order: Order, check: Check, receipt: Receipt, timeout: timedelta | None, *, wait: bool) -> int:
    """Says what was accepted and, with --wait, what became of it."""
    invocation = order.invocation
    request = str(receipt.request_id)
    duplicates = receipt.duplicates or 0
    head = {
        **order.head(check),
        "request": request,
        "count": receipt.count,
        "points": str(receipt.points),
        "duplicates": duplicates,
        "confirmed": receipt.confirmed,
        "invalid": {"count": len(check.bad), "rows": tables.rows_json(check.bad)},
    }
    if check.bad:
        invocation.note(*tables.bad_rows(invocation, check.bad, file=bool(order.source)))
        invocation.note(tables.left_out(invocation, check))
    count, points = f"{receipt.count - duplicates:,}", f"{receipt.points:,}"
    invocation.show(Text(invocation.say("sent", count=count, points=points), "green"))
    if duplicates:
        invocation.show(invocation.say("duplicates_told", count=f"{duplicates:,}"))
    invocation.show(tables.pairs(invocation, {"request": request, "key": order.key}))
    if not wait:
        invocation.answer(command="send", **head)
        return DONE
    return follow(invocation, request, timeout, command="send", **head)
