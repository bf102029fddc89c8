"""Recipient files as people save them."""

import codecs
import io
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from every8d.csvfile import BLOCK_BYTES, MAX_LINE_CHARS, BadFile, CsvFile, Row

#: A file as Excel in Taiwan saves "CSV": cp950, CRLF. 許功蓋 hold a backslash as their second byte.
BIG5 = b'\xa4\xe2\xbe\xf7,\xa9m\xa6W,\xa4\xba\xaee\r\n0912345678,\xb3\\\xa5\\\xbb\\,"\xb1z\xa6n, \xa6w"\r\n'
PLAIN = '手機,姓名,內容\r\n0912345678,許功蓋,"您好, 安"\r\n'
EXPECTED = {"手機": "0912345678", "姓名": "許功蓋", "內容": "您好, 安"}


def read(data: bytes, **columns: str) -> list[Row]:
    return list(CsvFile(io.BytesIO(data), columns))


def tabbed(text: str) -> str:
    return (
        text.replace(",姓名", "\t姓名")
        .replace(",內容", "\t內容")
        .replace("8,許", "8\t許")
        .replace('蓋,"', '蓋\t"')
    )


@pytest.mark.parametrize(
    ("name", "data", "encoding"),
    [
        ("utf-8", PLAIN.encode(), "utf-8"),
        ("utf-8 with a BOM, as Excel writes CSV UTF-8", codecs.BOM_UTF8 + PLAIN.encode(), "utf-8"),
        ("Big5, as Excel in Taiwan writes CSV", BIG5, "cp950"),
        ("the same bytes by Python's codec", PLAIN.encode("cp950"), "cp950"),
        ("Excel's Unicode text", codecs.BOM_UTF16_LE + tabbed(PLAIN).encode("utf-16-le"), "utf-16-le"),
        ("UTF-16 of the other end", codecs.BOM_UTF16_BE + tabbed(PLAIN).encode("utf-16-be"), "utf-16-be"),
        (
            "semicolons",
            PLAIN.replace(",姓", ";姓")
            .replace(",內", ";內")
            .replace("8,", "8;")
            .replace(',"', ';"')
            .encode(),
            "utf-8",
        ),
        ("sep= in the first line", b"sep=,\r\n" + PLAIN.encode(), "utf-8"),
        ("old Mac line ends", PLAIN.replace("\r\n", "\r").encode(), "utf-8"),
        ("no line end at the end", PLAIN.rstrip().encode(), "utf-8"),
        ("blank lines", ("\r\n" + PLAIN + "\r\n , ,\r\n\r\n").encode(), "utf-8"),
    ],
)
def test_one_row_in_every_encoding(name: str, data: bytes, encoding: str) -> None:
    file = CsvFile(io.BytesIO(data))
    rows = list(file)
    assert [row.values for row in rows] == [EXPECTED]
    assert [row.bad for row in rows] == [None]
    assert file.encoding == encoding
    assert file.header.fields == {"to": "手機", "name": "姓名", "text": "內容"}


def test_the_first_name_may_come_after_many_numbers() -> None:
    numbers = "".join(f"09{n:08d},\r\n" for n in range(BLOCK_BYTES // 12 + 100)).encode()
    data = b"to,name\r\n" + numbers + b"0912345678,\xb3\\\r\n"
    assert len(data) > BLOCK_BYTES
    rows = read(data)
    assert rows[-1].values == {"to": "0912345678", "name": "許"}
    assert rows[-1].line == data.count(b"\n")


@pytest.mark.parametrize("offset", range(4))
def test_a_character_may_lie_across_two_blocks(offset: int) -> None:
    head = b"to,name\n"
    filler = b"0912345678," + b"x" * (BLOCK_BYTES - len(head) - 13 - offset) + b"\n"
    rows = read(head + b"\n".join([filler.rstrip(b"\n"), "0922222222,王小明".encode(), b""]))
    assert [row.values["name"][-3:] for row in rows] == ["xxx", "王小明"]


@pytest.mark.parametrize(
    ("name", "header", "field", "column"),
    [
        ("English", "Phone Number,Message", "to", "Phone Number"),
        ("underscores and case", "NAME,Send_At,TO", "send_at", "Send_At"),
        ("full-width", "ＴＯ,x", "to", "ＴＯ"),
        ("with a remark", "手機(必填),姓名", "to", "手機(必填)"),
        ("the mobile of two numbers", "電話,手機", "to", "手機"),
        ("行動電話", "行動電話,信箱", "email", "信箱"),
        ("門號", "姓名,門號,發送時間", "to", "門號"),
    ],
)
def test_headers(name: str, header: str, field: str, column: str) -> None:
    file = CsvFile(io.BytesIO(f"{header}\n1,2,3\n".encode()))
    assert file.header.fields[field] == column


def test_numbers_alone_need_no_header() -> None:
    rows = read(b"0912345678\n\n0922333444\n")
    assert [(row.line, dict(row.values)) for row in rows] == [
        (1, {"to": "0912345678"}),
        (3, {"to": "0922333444"}),
    ]


@pytest.mark.parametrize(
    ("data", "columns", "to"),
    [
        ("客戶,主要電話\n王,0912345678\n", {"to": "主要電話"}, "0912345678"),
        ("客戶,主要電話\n王,0912345678\n", {"to": "2"}, "0912345678"),
        ("王,0912345678\n", {"to": "2"}, "0912345678"),
        ("手機,備用\n0900000000,0912345678\n", {"to": "備用"}, "0912345678"),
    ],
)
def test_columns_that_were_named(data: str, columns: dict[str, str], to: str) -> None:
    file = CsvFile(io.BytesIO(data.encode()), columns)
    assert [row.values[file.header.fields["to"]] for row in file] == [to]


def test_rows_are_named_by_their_first_line() -> None:
    data = 'to,text\n0912345678,"one\ntwo\n\nthree"\n0922333444,x\n'
    assert [(row.line, row.values["text"]) for row in read(data.encode())] == [
        (2, "one\ntwo\n\nthree"),
        (6, "x"),
    ]


@pytest.mark.parametrize(
    ("name", "data", "line", "bad"),
    [
        (
            "a broken byte in UTF-8",
            "to,name\n0912345678,王\n".encode() + b"0922333444,\xff\n",
            3,
            "undecodable",
        ),
        ("a broken byte in Big5", BIG5 + b"0922333444,\xb3\xff,x\r\n", 3, "undecodable"),
        ("a comma that is not quoted", b"to,text\n0912345678,hello, you\n", 2, "too_many_cells"),
        ("quotes in the middle", b'to,text\n0912345678,"a"b\n', 2, "bad_quotes"),
        (
            "a NUL",
            b"to,text\n" + b"0912345678,a\n" * BLOCK_BYTES + b"0912345678,\x00\n",
            BLOCK_BYTES + 2,
            "undecodable",
        ),
    ],
)
def test_bad_rows_are_named_by_line(name: str, data: bytes, line: int, bad: str) -> None:
    assert [(row.line, row.bad) for row in read(data) if row.bad] == [(line, bad)]


def test_cells_that_are_missing_or_empty_at_the_end() -> None:
    rows = read(b"to,name,text\n0912345678\n0922333444,x,y,,\n")
    assert [(row.bad, row.values) for row in rows] == [
        (None, {"to": "0912345678", "name": "", "text": ""}),
        (None, {"to": "0922333444", "name": "x", "text": "y"}),
    ]


@pytest.mark.parametrize(
    ("reason", "line", "data"),
    [
        ("empty", None, b""),
        ("empty", None, b"\n \n"),
        ("spreadsheet", None, b"PK\x03\x04rest"),
        ("binary", None, "手機\n".encode("utf-16-le")),
        ("no_header", 1, "王,0912345678\n".encode()),
        ("no_number_column", 1, b"name,text\nx,y\n"),
        ("same_column_twice", 1, b"to,x,x\n1,2,3\n"),
        ("quote_not_closed", 2, b'to,text\n0912345678,"never closed\n0922333444,x\n'),
        ("line_too_long", 2, b"to\n" + b"9" * (MAX_LINE_CHARS + BLOCK_BYTES)),
    ],
)
def test_files_that_cannot_be_used(reason: str, line: int | None, data: bytes) -> None:
    with pytest.raises(BadFile) as raised:
        read(data)
    assert (raised.value.reason, raised.value.line) == (reason, line)
    assert raised.value.in_chinese() != str(raised.value)


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(BadFile) as raised:
        read(b"to\n0912345678\n", text="nope")
    assert raised.value.reason == "no_column"


def test_nothing_of_a_row_is_in_its_repr() -> None:
    assert "0912345678" not in repr(read(b"to,text\n0912345678,secret\n"))


class Endless:
    """A stream that counts what is taken of it, and fails the test when the whole of it is."""

    def __init__(self, line: bytes, most: int) -> None:
        self.block = line * (BLOCK_BYTES // len(line))
        self.most = most
        self.read_bytes = 0

    def read(self, size: int, /) -> bytes:
        self.read_bytes += len(self.block)
        assert self.read_bytes <= self.most, "the file is read ahead of its rows"
        return self.block


def test_rows_come_before_the_file_ends() -> None:
    stream = Endless(b"0912345678\n", most=3 * BLOCK_BYTES)
    rows = iter(CsvFile(stream))
    assert [next(rows).line for _ in range(10_000)] == list(range(1, 10_001))


ENCODERS: list[Callable[[str], bytes]] = [
    lambda text: text.encode(errors="replace"),
    lambda text: text.encode("cp950", errors="replace"),
    lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le", errors="replace"),
]
ALPHABET = st.sampled_from("手機許功王,;\t\"'\n\r 09127=+eE\x00\ufffd\u2028a")


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=400),
        st.builds(
            lambda text, encode: encode("to,text\n" + text),
            st.text(ALPHABET, max_size=200),
            st.sampled_from(ENCODERS),
        ),
    )
)
def test_whatever_the_bytes_are(data: bytes) -> None:
    """Rows or a BadFile, never another error; lines rise and are within the file."""
    try:
        rows = read(data)
    except BadFile:
        return
    lines = [row.line for row in rows]
    assert lines == sorted(set(lines))
    assert not lines or lines[-1] <= data.count(b"\n") + data.count(b"\r") + 1


CELL = st.text(st.sampled_from("手機許功王,;\t\"'\n 09127=+a"), max_size=12).filter(
    lambda cell: "\r" not in cell
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(CELL, CELL), max_size=20),
    st.sampled_from(",;\t"),
    st.sampled_from(["utf-8", "utf-8-sig", "cp950", "utf-16"]),
)
def test_what_a_csv_writer_wrote_is_read_back(
    cells: list[tuple[str, str]], separator: str, encoding: str
) -> None:
    import csv

    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, quoting=csv.QUOTE_ALL)
    writer.writerows([("手機", "內容"), *cells])
    wanted = [cell for cell in cells if any(part.strip() for part in cell)]
    rows = read(out.getvalue().encode(encoding))
    assert [(row.values["手機"], row.values["內容"]) for row in rows] == wanted
