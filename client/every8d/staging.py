"""Pages and seal of one request, handed on as the rows come: one page in memory, never the whole list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from every8d.body import page_hash, seal_hash
from every8d.bodyfields import MAX_PAGES, MAX_REPORTED_ROWS
from every8d.errors import InvalidInput
from every8d.producererrors import InvalidRows
from every8d.receipt import Progress
from every8d.seal import RowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from every8d.confirming import Delivery
    from every8d.header import Header
    from every8d.rowcheck import Entry


class BadRows:
    """The bad rows of a request: all counted, the first 1,000 kept."""

    def __init__(self) -> None:
        self.count = 0
        self.rows: list[RowError] = []

    def add(self, row: int, reason: str) -> None:
        """A bad row, numbered from 1."""
        self.count += 1
        if self.count <= MAX_REPORTED_ROWS:
            self.rows.append(RowError(row, reason))

    def error(self, header: Header | None = None) -> InvalidRows:
        """The error that lists them; with the header of a request of which pages are out."""
        return InvalidRows(tuple(self.rows), self.count, header.request if header else None)

    def verdict(self) -> dict[str, Any]:
        """The verdict that a seal carries."""
        rows = [{"row": bad.row, "reason": bad.reason} for bad in self.rows]
        return {"reason": "invalid_rows", "rows": rows, "count": self.count}


class Staging:
    """Makes the pages of one request out of its entries, and the seal at the end. Not shared by threads.

    The newest full page is held back until another row comes: a request of one page carries its own seal.
    """

    def __init__(self, header: Header, delivery: Delivery, page_size: int) -> None:
        self._fields = header.fields()
        self._delivery = delivery
        self._page_size = page_size
        self._held: list[dict[str, Any]] = []
        self._hashes: list[str] = []
        self.points = 0
        self.messages = 0

    @property
    def pages(self) -> int:
        """Pages published."""
        return len(self._hashes)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to send."""
        return not self.pages and not self._held

    def add(self, entry: Entry) -> None:
        """Takes an entry; publishes the page that is full when it comes."""
        if len(self._held) >= self._page_size:
            self._publish(seal=False)
        self._held.append(entry.message)
        self.points += entry.points

    def drop(self) -> None:
        """Forgets what is not published."""
        self._held.clear()

    def finish(self, refused: dict[str, Any] | None = None) -> None:
        """Publishes what is left and the seal; the seal goes when all pages are confirmed, or at once."""
        if not self.pages:
            self._publish(seal=True)
        else:
            if self._held:
                self._publish(seal=False)
            self._delivery.settle()
            self._delivery.send({**self._fields, "page": None, "seal": self._seal(refused)})
        self._delivery.settle()

    def _publish(self, *, seal: bool) -> None:
        if self.pages >= MAX_PAGES:
            raise InvalidInput(
                f"a request has at most {MAX_PAGES} pages of {self._page_size}; nothing is sent: divide it",
                f"一個請求最多 {MAX_PAGES} 頁、每頁 {self._page_size} 筆；全部未發送，請分成多個請求",
            )
        body: dict[str, Any] = {**self._fields, "page": self.pages}
        if self._fields["text"] is not None and all(len(message) == 1 for message in self._held):
            body["to"] = [message["to"] for message in self._held]
        else:
            body["messages"] = self._held
        self._hashes.append(page_hash(body))
        self.messages += len(self._held)
        self._held = []
        body["seal"] = self._seal(None) if seal else None
        self._delivery.send(body)

    def _seal(self, refused: dict[str, Any] | None) -> dict[str, Any]:
        return {
            "pages": self.pages,
            "count": self.messages,
            "hash": seal_hash(self._hashes),
            "refused": refused,
        }


def stream(
    rows: Iterable[object],
    check: Callable[[object], Entry | str],
    staging: Staging,
    *,
    every: int,
    skip_invalid: bool,
    on_progress: Callable[[Progress], None] | None,
) -> BadRows:
    """Reads all rows and stages the good ones; after a bad one nothing more is published, unless skipped.

    What the iterable or `on_progress` raises goes through; then no seal is published, and nothing is sent.
    """
    bad = BadRows()
    number = 0

    def tell() -> None:
        if on_progress is not None:
            on_progress(Progress(number, bad.count, staging.messages, staging.pages))

    for number, row in enumerate(rows, 1):
        entry = check(row)
        if isinstance(entry, str):
            bad.add(number, entry)
            if not skip_invalid:
                staging.drop()
        elif skip_invalid or not bad.count:
            staging.add(entry)
        if number % every == 0:
            tell()
    if number % every:
        tell()
    return bad
