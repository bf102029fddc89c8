"""A recipient file at the command line: read twice where that is possible, and the same both times."""

from __future__ import annotations

import hashlib
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from every8d import recipients, template
from every8d.csvfile import CsvFile
from every8d.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class CannotRead(InvalidInput):
    """The file cannot be opened."""


class FileChanged(InvalidInput):
    """Between checking and sending, the file became another."""

    def __init__(self) -> None:
        super().__init__(
            "the file changed while it was being sent: nothing of it is sent; send it again",
            "發送途中檔案已被更改，其內容不會發送；請重新發送",
        )


class _Hashing:
    """A stream that keeps a hash of what was read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        block = self._stream.read(size)
        self._hash.update(block)
        return block

    def digest(self) -> bytes:
        return self._hash.digest()


class Source:
    """The file `path`, or standard input for "-".

    `columns`: field to column, as `CsvFile` takes it. `text`: the text of every row, with the row's cells
    in braces; None takes the file's text column.
    """

    def __init__(
        self,
        path: str,
        *,
        columns: Mapping[str, str],
        text: str | None,
    ) -> None:
        self.path = path
        self._columns = columns
        self._text = text
        self._digest: bytes | None = None
        self.encoding = ""
        #: Pipes can be read once: what they bring is checked while it is being published.
        self.once = path == "-" and not sys.stdin.buffer.seekable()

    def read(self) -> Iterator[recipients.Recipient | recipients.BadRow]:
        """Every row, sendable or not.

        Raises `BadFile` and `CannotRead`, template errors, and at the end of a second reading `FileChanged`
        where the bytes were others than the first time.
        """
        with self._open() as stream:
            hashing = _Hashing(stream)
            rows = CsvFile(hashing, self._columns)
            if self._text is None and "text" not in rows.header.fields:
                raise InvalidInput(
                    "there is no text: give --text, or a column for it",
                    "沒有簡訊內容：請以 --text 指定，或在檔案加上內容欄",
                )
            yield from recipients.Reader(
                rows.header.fields, self._renderer(rows.header.names), shared=self.shared is not None
            ).read(rows)
            self.encoding = rows.encoding
            digest = hashing.digest()
            if self._digest not in (None, digest):
                raise FileChanged
            self._digest = digest

    @property
    def shared(self) -> str | None:
        """The text of the whole request, where it is the same for every row."""
        if self._text is None or template.columns(self._text):
            return None
        return template.render(self._text, {})

    def _renderer(self, names: tuple[str, ...]) -> recipients.Render | None:
        text = self._text
        if text is None:
            return None
        wanted = template.columns(text)
        for column in wanted:
            if column not in names:
                raise template.MissingColumn(column)
        return lambda values: recipients.fill(text, wanted, values)

    @contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        if self.path == "-":
            if not self.once:
                sys.stdin.buffer.seek(0)
            yield sys.stdin.buffer
            return
        try:
            stream = Path(self.path).open("rb")  # noqa: SIM115  closed below; only opening may fail as CannotRead
        except OSError as error:
            raise CannotRead(
                f"the file cannot be read: {error.strerror}", f"無法讀取檔案：{error.strerror}"
            ) from error
        with stream:
            yield stream
