"""The messages of a page as rows of the ledger, and the two fast ways to insert them."""

import uuid
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert

from every8d import phone, pricing
from every8d.body import Page
from worker.ledger.database import Database
from worker.ledger.tables import message
from worker.states import MessageState

#: Sequence numbers that a page takes, used or not.
PAGE_SPACE = 1000


class MessageRow(NamedTuple):
    """A new message, in the order of the columns that `insert_messages` writes."""

    request_id: uuid.UUID
    seq: int
    number: str
    text: str | None
    name: str | None
    email: str | None
    points: int
    due_ms: int | None
    state: str
    final_ms: int | None


_COPY = f"COPY message ({', '.join(MessageRow._fields)}) FROM STDIN"


def message_rows(page: Page, now_ms: int, *, find_duplicates: bool) -> list[MessageRow]:
    """The page's messages, priced, due when their producer said. Numbers must have been checked.

    `find_duplicates`: the same number with the same text a second time becomes final, as `duplicate`.
    """
    first = (page.page or 0) * PAGE_SPACE
    request_due = milliseconds(page.send_at) or now_ms
    if page.schedule == "gateway":
        # Handed over now; the gateway waits until send_at.
        request_due = now_ms
    prices: dict[tuple[str, bool], int] = {}
    seen: set[tuple[str, str]] = set()
    rows = []
    for place, one in enumerate(page.messages):
        text = page.text if one.text is None else one.text
        assert text is not None  # noqa: S101 - body.parse has refused messages without a text
        priced = (text, phone.is_abroad(one.to))
        points = prices.get(priced)
        if points is None:
            points = prices[priced] = pricing.points(text, abroad=priced[1])
        duplicate = find_duplicates and (one.to, text) in seen
        if find_duplicates:
            seen.add((one.to, text))
        rows.append(
            MessageRow(
                page.request,
                first + place,
                one.to,
                None if one.text == page.text else one.text,
                one.name,
                one.email,
                points,
                None if duplicate else milliseconds(one.send_at) or request_due,
                MessageState.DUPLICATE if duplicate else MessageState.WAITING,
                now_ms if duplicate else None,
            )
        )
    return rows


def insert_messages(database: Database, connection: Connection, rows: Iterable[MessageRow]) -> None:
    """Writes the rows: COPY where there are many and PostgreSQL, one executemany elsewhere."""
    rows = list(rows)
    if not rows:
        return
    if database.is_postgres and len(rows) > 8:
        driver: Any = connection.connection.driver_connection
        with database.driver_errors(), driver.cursor() as cursor, cursor.copy(_COPY) as copy:
            for row in rows:
                copy.write_row(row)
        return
    connection.execute(insert(message), [row._asdict() for row in rows])


def joined(values: Iterable[object]) -> str:
    """Plain values (numbers, ids, words) as one parameter, for `string_to_array(…, ',', '')`; None becomes NULL.

    The driver would look at each item of a list by itself, which takes longer than the statement.
    """
    return ",".join(["" if value is None else str(value) for value in values])


def milliseconds(when: Any | None) -> int | None:
    """An aware datetime in milliseconds since 1970, UTC; None stays None."""
    return None if when is None else int(when.timestamp() * 1000)
