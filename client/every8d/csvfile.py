"""Rows of a recipient file, as people really save them.

Reads UTF-8 with or without BOM, Big5 (cp950) as Excel in Taiwan writes "CSV", and UTF-16 with BOM, which
Excel calls "Unicode text"; separated by comma, semicolon or tab. The file is read as a stream: a block of
64 KiB, a few lines of look-ahead and one row are all that is ever in memory.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from every8d.csvheader import Header, read_header
from every8d.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: Bytes read at a time, and at most looked at to tell one encoding from another.
BLOCK_BYTES = 64 * 1024
#: Characters of one line, at most. Longer is no list of recipients, and would have to be held in memory.
MAX_LINE_CHARS = 128 * 1024
#: Lines looked at to find the separator.
_LOOK_LINES = 20
_SEPARATORS = ",;\t"
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
#: What a spreadsheet's own files begin with (xlsx is a zip, xls an OLE container).
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")

_BAD_FILE = {
    "empty": ("the file has no rows", "檔案沒有任何資料列"),
    "spreadsheet": (
        "this is a spreadsheet, not a CSV file: save it as CSV first",
        "這是試算表檔案，請先另存為 CSV",
    ),
    "binary": (
        "this is not a text file, or UTF-16 without its byte order mark",
        "這不是文字檔，或是缺少 BOM 的 UTF-16",
    ),
    "no_header": (
        "the file has several columns and no header that names the numbers: add one, or name the column",
        "檔案有多個欄位，但沒有指出門號欄的標題列：請加上標題列，或指定欄位",
    ),
    "no_number_column": ("no column holds the numbers", "沒有門號欄位"),
    "no_column": ("a column that was asked for is not in the file", "檔案沒有所指定的欄位"),
    "same_column_twice": ("two columns have the same name", "有兩個欄位名稱相同"),
    "line_too_long": (f"a line has more than {MAX_LINE_CHARS} characters", f"單行超過 {MAX_LINE_CHARS} 字"),
    "quote_not_closed": ("a quotation mark is opened and not closed", "引號沒有結束"),
}


class BadFile(InvalidInput):
    """The file as a whole cannot be used; nothing of it may be sent, not even by skipping rows.

    `reason` is a key of this module's table, `line` the line of the file (from 1), or None for the whole
    file.
    """

    def __init__(self, reason: str, line: int | None = None) -> None:
        english, chinese = _BAD_FILE[reason]
        if line:
            english, chinese = f"line {line}: {english}", f"第 {line} 行：{chinese}"
        super().__init__(english, chinese)
        self.reason = reason
        self.line = line


class Readable(Protocol):
    """A binary stream, as far as it is needed."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its first line in the file (from 1), its cells by the header's names, what is wrong with it.

    `bad` is None, "undecodable" (bytes that are no characters), "too_many_cells" (usually a comma in a text
    that is not quoted) or "bad_quotes". The cells never appear in the repr.
    """

    line: int
    values: Mapping[str, str] = field(repr=False)
    bad: str | None = None


class CsvFile:
    """The rows of `stream`, once: an iterator of `Row`. Blank lines are skipped. Raises `BadFile`.

    `columns` names columns that the header does not tell by itself: one of `csvheader.FIELDS` to the name
    in the header, or to the position from 1.
    """

    def __init__(self, stream: Readable, columns: Mapping[str, str] | None = None) -> None:
        text = _Text(stream)
        lines = _split(text)
        look = list(itertools.islice(lines, _LOOK_LINES))
        self._text = text
        self._lines = _Counted(itertools.chain(look, lines))
        if look and look[0].lower().startswith("sep=") and look[0].strip("\n")[4:] in tuple(_SEPARATORS):
            self.separator = look[0][4]  # Excel's own first line: it says so, and is no row
            next(self._lines)
        else:
            self.separator = _separator(look, columns or {})
        self._reader = csv.reader(self._lines, delimiter=self.separator, strict=True)
        self.header: Header = self._find_header(columns or {})

    @property
    def encoding(self) -> str:
        """The encoding that is being read; "ascii" as long as nothing else was seen."""
        return self._text.encoding

    def __iter__(self) -> Iterator[Row]:
        names, width = self.header.names, len(self.header.names)
        nameless = "" in names
        if self.header.first is not None:
            yield self._row(*self.header.first)
        while (found := self._next()) is not None:
            line, cells = found
            # Nearly every row: no need to look closer.
            if len(cells) == width and not nameless and not _is_damaged("".join(cells)):
                yield Row(line, dict(zip(names, cells, strict=True)))
            else:
                yield self._row(line, cells)

    def _row(self, line: int, cells: list[str]) -> Row:
        names = self.header.names
        values = dict(zip(names, cells + [""] * (len(names) - len(cells)), strict=False))
        values.pop("", None)
        if not cells:
            return Row(line, {}, "bad_quotes")
        if _is_damaged("".join(cells)):
            return Row(line, values, "undecodable")
        if any(cell.strip() for cell in cells[len(names) :]):
            return Row(line, values, "too_many_cells")
        return Row(line, values)

    def _next(self) -> tuple[int, list[str]] | None:
        """The next row that is not blank, with its first line; no cells where its quotes make no sense."""
        while True:
            line = self._lines.number + 1
            try:
                cells = next(self._reader)
            except StopIteration:
                return None
            except csv.Error as error:
                # The reader starts afresh with the next line. Where it swallowed lines on the way, rows
                # would be lost without a word; so those are the end.
                if self._lines.ended or self._lines.number > line:
                    raise BadFile("quote_not_closed", line) from error
                return line, []
            if any(cell.strip() for cell in cells):
                return line, cells

    def _find_header(self, columns: Mapping[str, str]) -> Header:
        found = self._next()
        if found is None:
            raise BadFile("empty")
        line, cells = found
        header = read_header(line, cells, columns)
        if isinstance(header, str):
            raise BadFile(header, line)
        return header


def _is_damaged(text: str) -> bool:
    return "\ufffd" in text or "\x00" in text


class _Text:
    """Blocks of characters out of blocks of bytes; what cannot be decoded becomes U+FFFD."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.encoding = "ascii"

    def __iter__(self) -> Iterator[str]:
        block = self._stream.read(BLOCK_BYTES)
        if block.startswith(_SPREADSHEETS):
            raise BadFile("spreadsheet")
        decoder: codecs.IncrementalDecoder | None = None
        for bom, encoding in _BOMS:
            if block.startswith(bom):
                block = block[len(bom) :]
                self.encoding, decoder = encoding, _decoder(encoding)
                break
        else:
            if b"\x00" in block:
                raise BadFile("binary")
        while block:
            if decoder is None and not block.isascii():
                # Decided at the first byte that can tell: a long list of numbers may come before the first
                # name.
                self.encoding = _encoding(block)
                decoder = _decoder(self.encoding)
            yield decoder.decode(block) if decoder else block.decode("ascii")
            block = self._stream.read(BLOCK_BYTES)
        if decoder:
            yield decoder.decode(b"", final=True)


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder(encoding)(errors="replace")


def _encoding(block: bytes) -> str:
    """UTF-8 or cp950: the one in which the block makes sense; else the one in which more of its lines do."""
    for encoding in ("utf-8", "cp950"):
        try:
            codecs.getincrementaldecoder(encoding)().decode(
                block
            )  # not final: the block may end inside a character
        except UnicodeDecodeError:
            continue
        return encoding
    lines = [line for line in block.split(b"\n") if not line.isascii()]
    return max(("utf-8", "cp950"), key=lambda encoding: sum(_decodes(line, encoding) for line in lines))


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _split(text: Iterable[str]) -> Iterator[str]:
    r"""Lines ending in "\n", whatever the file's line ends are; str.splitlines would split at U+2028 too."""
    ends = io.IncrementalNewlineDecoder(None, translate=True)
    rest = ""
    number = 0
    for block in itertools.chain(text, (None,)):
        # The declared types know only bytes, but without an inner decoder it takes and gives str.
        decoded = ends.decode("", final=True) if block is None else ends.decode(block)
        first, *others = decoded.split("\n")
        rest += first
        for other in others:
            number += 1
            yield rest + "\n"
            rest = other
        if len(rest) > MAX_LINE_CHARS:
            raise BadFile("line_too_long", number + 1)
    if rest:
        yield rest


class _Counted:
    """Lines, counted as they are taken, so that a row knows where it began."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.number = 0
        self.ended = False

    def __iter__(self) -> _Counted:
        return self

    def __next__(self) -> str:
        try:
            line = next(self._lines)
        except StopIteration:
            self.ended = True
            raise
        self.number += 1
        return line


def _separator(look: list[str], columns: Mapping[str, str]) -> str:
    """The separator under which the first row is a header, or else under which the rows are equally wide."""

    def score(separator: str) -> tuple[int, int]:
        rows: list[list[str]] = []
        reader = csv.reader(look, delimiter=separator)
        while len(rows) < _LOOK_LINES:
            try:
                rows.append(next(reader))
            except (StopIteration, csv.Error):
                break
        rows = [row for row in rows if any(cell.strip() for cell in row)]
        if not rows:
            return 0, 0
        header = read_header(1, rows[0], columns)
        named = len(header.fields) if not isinstance(header, str) and header.first is None else 0
        equal = all(len(row) == len(rows[0]) for row in rows)
        return named, len(rows[0]) if equal else 1

    return max(_SEPARATORS, key=score)
