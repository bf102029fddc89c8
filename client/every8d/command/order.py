"""What `send` is asked to send: checked whole, asked about, published."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import click

from every8d.command import tables
from every8d.command.check import Check
from every8d.command.exits import BAD_INPUT, NO, NOT_KNOWN, NOT_REACHED, Problem
from every8d.command.progress import counting
from every8d.header import check_account, checked
from every8d.ids import request_id
from every8d.message import Message
from every8d.producererrors import BrokerUnreachable, InvalidRows, NotConfirmed
from every8d.recipients import BadRow, Recipient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from every8d.command.invocation import Invocation
    from every8d.command.source import Source
    from every8d.receipt import Receipt


@dataclass(frozen=True)
class Order:
    """What is to be sent, and how: a file or numbers, the text they share, and the options of `Producer`.

    `key` is the idempotency key. There always is one, so that whoever does not learn the outcome can repeat
    the request instead of sending twice.
    """

    invocation: Invocation
    source: Source | None
    numbers: tuple[str, ...] = field(repr=False)
    text: str | None = field(repr=False)
    key: str
    abroad: bool
    skip_invalid: bool
    options: dict[str, Any] = field(repr=False)

    def rows(self) -> Iterator[Recipient | BadRow]:
        """Every row of the file, or every number by its place."""
        if self.source:
            return self.source.read()
        return (Recipient(place, Message(number)) for place, number in enumerate(self.numbers, 1))

    def new_check(self) -> Check:
        """A fresh check of this order. Raises InvalidInput where an option or the text cannot be."""
        account = check_account(self.invocation.account or "default")
        now = self.invocation.now()
        request = request_id(account, self.key)
        header = checked(request=request, account=account, text=self.text, now=now, **self.options)
        return Check(header, self.abroad, now)

    def head(self, check: Check) -> dict[str, Any]:
        """What --json says of every order."""
        head = {"account": check.header.account, "lane": check.header.lane, "key": self.key}
        return head | ({"encoding": self.source.encoding} if self.source else {})

    def check_whole(self, check: Check) -> None:
        """Reads everything once. Raises `Problem` for bad rows that are not to be skipped."""
        with counting(self.invocation, "checking") as progress:
            for _row in check.watch(self.rows(), progress):
                pass
        if check.bad and not self.skip_invalid:
            self._refuse(check)
        if not check.good:
            self.invocation.note(*tables.bad_rows(self.invocation, check.bad, file=bool(self.source)))
            self.invocation.fail(BAD_INPUT, "nobody", **self.head(check), **check.as_json())

    def ask(self, check: Check) -> None:
        """Asks a person who sits there, where more than one message would go out."""
        if check.count < 2 or not self.invocation.a_person_watches:
            return
        self.invocation.note(*tables.checked(self.invocation, check, self.source))
        count, points = f"{check.count:,}", f"{check.points:,}"
        if not click.confirm(self.invocation.say("ask", count=count, points=points), err=True):
            self.invocation.fail(NO, "not_sent_by_choice")

    def publish(self, check: Check) -> Receipt:
        """Publishes, and waits for the ledger. A file is read once more, and counted by `check`."""
        producer = self.invocation.producer(abroad=self.abroad)
        try:
            with counting(self.invocation, "publishing") as progress:
                if self.source is None and len(self.numbers) == 1:
                    return producer.send(
                        self.numbers[0],
                        self.text or "",
                        confirm=True,
                        idempotency_key=self.key,
                        **self.options,
                    )
                rows = check.watch(self.rows(), progress)
                # A bad row of a stream goes along as it is: the producer takes it for one, and seals the
                # request so.
                messages: Iterator[Any] = (
                    row.message if isinstance(row, Recipient) else row
                    for row in rows
                    if isinstance(row, Recipient) or not self.skip_invalid
                )
                return producer.send_many(
                    messages, text=self.text, confirm=True, idempotency_key=self.key, **self.options
                )
        except InvalidRows as error:
            if not check.bad:
                raise
            self._refuse(check, **({"request": str(error.request_id)} if error.request_id else {}))
        except NotConfirmed as error:
            raise self._repeatable(NOT_KNOWN, "not_confirmed", check) from error
        except BrokerUnreachable as error:
            raise self._repeatable(NOT_REACHED, "broker_lost", check) from error
        except (KeyboardInterrupt, click.Abort) as error:
            raise self._repeatable(NOT_KNOWN, "interrupted_sending", check) from error

    def _refuse(self, check: Check, **more: Any) -> NoReturn:
        self.invocation.note(*tables.checked(self.invocation, check, self.source))
        self.invocation.fail(
            BAD_INPUT,
            "bad_rows" if self.source else "bad_numbers",
            advice="bad_rows_advice",
            values={"bad": f"{len(check.bad):,}", "rows": f"{check.rows:,}"},
            **more,
            **self.head(check),
            **check.as_json(),
        )

    def _repeatable(self, exit_code: int, key: str, check: Check) -> Problem:
        """The outcome is not known here: says how to learn it, and how to repeat it without sending twice."""
        request = str(check.header.request)
        values: dict[str, object] = {"request": request, "key": self.key}
        return self.invocation.problem(
            exit_code, key, advice="not_confirmed_advice", values=values, request=request, **self.head(check)
        )
