"""Reads bombs, each in a forked child, and prints what each cost: outcome, CPU seconds, MiB beyond its own input.

A program of its own, so that a reader that runs wild takes neither the tests' memory nor their time.
"""

import json
import os
import resource
import sys
from collections.abc import Callable, Iterator
from typing import Any

from every8d.body import parse
from every8d.csvfile import BLOCK_BYTES, CsvFile
from every8d.errors import Every8dError
from every8d.replies import parse_connection, parse_credit, parse_erased, parse_send, parse_status

MIB = 2**20
#: The most that the transport reads of an answer.
ANSWER = 8 * MIB
#: A row is a microsecond or two, so that files of many rows are a hundredth of that.
HUGE, FILE = 100 * MIB, MIB
#: CPU seconds after which a child is killed.
KILL_S = 60


def log(rows: str, count: str = "1") -> str:
    return (
        f'<SMS_LOG><CODE>0</CODE><GET_DELIVERY_STATUS COUNT="{count}">{rows}</GET_DELIVERY_STATUS></SMS_LOG>'
    )


def row(inside: str) -> str:
    return log(f"<SMS>{inside}</SMS>")


def fill(part: str) -> str:
    return part * (ANSWER // len(part.encode()))


def attributes(count: int) -> str:
    return " ".join(f'a{n}=""' for n in range(count))


ENTITIES = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(12))

#: A whole status page each, as large as the transport lets through.
PAGES: dict[str, Callable[[], str]] = {
    "a million attributes": lambda: log(f"<SMS {attributes(1_000_000)}/>"),
    "100,000 attributes": lambda: log(f"<SMS {attributes(100_000)}/>"),
    "namespaces": lambda: log("<SMS " + " ".join(f'xmlns:a{n}="u{n}"' for n in range(250_000)) + "/>"),
    "empty rows": lambda: log(fill("<SMS/>")),
    "rows": lambda: log(fill("<SMS><STATUS>100</STATUS></SMS>")),
    "as many rows as are read": lambda: log("<SMS><STATUS>100</STATUS></SMS>" * 60_000),
    "replies of one row": lambda: row("<REPLY_SMS><MESSAGE>a</MESSAGE></REPLY_SMS>" * 60_000),
    "messages of one reply": lambda: row("<REPLY_SMS>" + "<MESSAGE>a</MESSAGE>" * 120_000 + "</REPLY_SMS>"),
    "depth": lambda: log("<SMS>" * 100_000 + "</SMS>" * 100_000),
    "one name": lambda: row(f"<NAME>{fill('x')}</NAME>"),
    "a long time": lambda: row(f"<SENT_TIME>{fill('1/')}</SENT_TIME>"),
    "a long cost": lambda: row(f"<COST>{fill('1')}</COST>"),
    "a long status": lambda: row(f"<STATUS>{fill('1')}</STATUS>"),
    "a long count": lambda: log("", fill("9")),
    "forbidden references": lambda: row(f"<NAME>{fill('&#1;')}</NAME>"),
    "long references": lambda: row(f"<NAME>&#1;&#x{fill('0')}</NAME>"),
    "comments": lambda: log(fill("<!---->")),
    "CDATA sections": lambda: row(f"<NAME>{fill('<![CDATA[]]>')}</NAME>"),
    "declarations": lambda: fill("<?xml "),
    "entities": lambda: f"<!DOCTYPE SMS_LOG [<!ENTITY e0 'x'>{ENTITIES}]>{row('<NAME>&e12;</NAME>')}",
    "commas": lambda: fill(","),
    "minus": lambda: fill("-"),
    "blanks": lambda: fill(" ") + "<",
    "digits": lambda: fill("9"),
}


class Endless:
    """A large file that is never in memory as a whole: one beginning, and then the same again and again."""

    def __init__(self, first: bytes, part: bytes, size: int = FILE) -> None:
        self._blocks = self._make(first, part * (BLOCK_BYTES // len(part)), size)

    def _make(self, first: bytes, block: bytes, size: int) -> Iterator[bytes]:
        yield first
        for _ in range(size // BLOCK_BYTES):
            yield block

    def read(self, _size: int, /) -> bytes:
        return next(self._blocks, b"")


FILES: dict[str, Callable[[], Endless]] = {
    "one line": lambda: Endless(b"to\n", b"x", HUGE),
    "one quoted cell": lambda: Endless(b'to\n"', b"x\n", HUGE),
    "a header of commas": lambda: Endless(b"to", b","),
    "rows of commas": lambda: Endless(b"to,text\n", b"," * 32_000 + b"\n"),
    "quotes": lambda: Endless(b"to,text\n", b'"'),
    "quotes and commas": lambda: Endless(b"to,text\n", b'",'),
    "blank lines": lambda: Endless(b"to\n", b"\n"),
    "NUL": lambda: Endless(b"to\n", b"\x00\n"),
    "no characters": lambda: Endless(b"to\n", b"\xff\n"),
    "half of Big5": lambda: Endless("門號\n".encode("cp950"), b"\xa4"),
    "line ends of every kind": lambda: Endless(b"to\n", b"\r\n\r\n\n\r"),
}


def page_of(**fields: Any) -> dict[str, Any]:
    body = {
        "v": 1,
        "request": "0190d2f2-7b6e-7000-8000-000000000000",
        "account": "default",
        "lane": "otp",
        "text": "x",
        "subject": "",
        "send_at": None,
        "schedule": "ledger",
        "validity": None,
        "deadline": None,
        "duplicates": False,
        "enqueued_at": "2026-01-01T08:00:00+08:00",
        "page": 0,
        "seal": None,
        "to": ["+886912345678"],
    }
    return body | fields


def nested(depth: int) -> Any:
    found: Any = []
    for _ in range(depth):
        found = [found]
    return found


BODIES: dict[str, Callable[[], Any]] = {
    "a text of 100 MB": lambda: page_of(text="x" * HUGE),
    "an address of 100 MB": lambda: page_of(
        messages=[{"to": "+886912345678", "email": "a@" + "b" * HUGE}], to=None
    ),
    "a number of 100 MB": lambda: page_of(to=["+" + "9" * HUGE]),
    "an account of 100 MB": lambda: page_of(account="a" * HUGE),
    "a time of 100 MB": lambda: page_of(send_at="2026-01-01T" + "0" * HUGE),
    "a request of 100 MB": lambda: page_of(request="0" * HUGE),
    "a million recipients": lambda: page_of(to=["+886912345678"] * 1_000_000),
    "a million unknown fields": lambda: page_of(**{f"f{n}": 1 for n in range(1_000_000)}),
    "a million refused rows": lambda: page_of(
        seal={
            "pages": 1,
            "count": 1,
            "hash": "0" * 64,
            "refused": {"reason": "x", "rows": [{}] * 1_000_000, "count": 1},
        }
    ),
    "lists in lists": lambda: page_of(text=nested(100_000)),
    "a list of lists in lists": lambda: nested(100_000),
    "an endless number": lambda: page_of(v=10**100_000, page=10**100_000, validity=10**100_000),
    "100 MB": lambda: "x" * HUGE,
}

READERS: dict[str, tuple[dict[str, Any], list[Callable[[Any], Any]]]] = {
    "page": (
        PAGES,
        [parse_status, parse_connection, parse_credit, parse_erased, lambda raw: parse_send(raw, "sendSMS")],
    ),
    "file": (FILES, [lambda stream: sum(1 for _ in CsvFile(stream))]),
    "body": (BODIES, [parse]),
}


def outcome(read: Callable[[Any], Any], made: Any) -> str:
    try:
        read(made)
    except Every8dError as error:
        return type(error).__name__ if len(str(error)) < 1000 else "an endless error"
    except Exception as error:  # noqa: BLE001 - named for the test, which fails on it
        return f"crashed: {type(error).__name__}"
    return "read"


def cost(make: Callable[[], Any], readers: list[Callable[[Any], Any]]) -> dict[str, Any]:
    made = make()
    before = resource.getrusage(resource.RUSAGE_SELF)
    outcomes = [outcome(read, made) for read in readers]
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s, kib = after.ru_utime - before.ru_utime, after.ru_maxrss - before.ru_maxrss
    return {"outcomes": outcomes, "cpu_s": round(cpu_s, 2), "mib": kib // 1024}


def in_a_child(make: Callable[[], Any], readers: list[Callable[[Any], Any]]) -> dict[str, Any]:
    from_child, to_parent = os.pipe()
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CPU, (KILL_S, KILL_S))
        os.write(to_parent, json.dumps(cost(make, readers)).encode())
        os._exit(0)
    os.close(to_parent)
    said = os.read(from_child, 10_000)
    os.close(from_child)
    os.waitpid(child, 0)
    return dict(json.loads(said)) if said else {"outcomes": ["killed"], "cpu_s": KILL_S, "mib": 0}


if __name__ == "__main__":
    bombs, readers = READERS[sys.argv[1]]
    print(json.dumps({name: in_a_child(make, readers) for name, make in bombs.items()}))
