"""The seal of a request: what makes its pages whole, or refuses them."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from every8d.bodyfields import MAX_PAGES, MAX_REPORTED_ROWS, PAGE_LIMIT, bad, whole

_HASH = re.compile(r"[0-9a-f]{64}")
_REASON = re.compile(r"[a-z0-9_]{1,40}")


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that cannot be sent: its number, from 1, and why; never its content."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A seal's verdict: nothing may be sent. The bad rows, the first 1,000, and how many they are."""

    reason: str
    rows: tuple[RowError, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Seal:
    """What makes a request whole: how many pages and messages it has, and a hash over its pages' hashes."""

    pages: int
    count: int
    hash: str
    refused: Refused | None


def seal_hash(page_hashes: Iterable[str]) -> str:
    """sha256, hex, over the hashes of a request's pages, in page order, joined by line feeds."""
    return hashlib.sha256("\n".join(page_hashes).encode()).hexdigest()


def read_seal(value: object, page: int | None, messages: int, digest: str | None) -> Seal:
    """The field `seal` of a body with this page number, count of messages and page hash. Raises BadBody."""
    if not isinstance(value, dict) or value.keys() != {"pages", "count", "hash", "refused"}:
        bad("seal has not the fields pages, count, hash, refused")
    if not whole(value["pages"], 1, MAX_PAGES) or not whole(value["count"], 1, value["pages"] * PAGE_LIMIT):
        bad("seal.pages or seal.count is out of range")
    if not isinstance(value["hash"], str) or not _HASH.fullmatch(value["hash"]):
        bad("seal.hash is no sha256 in lower-case hex")
    if page is not None and page >= value["pages"]:
        bad("page is beyond seal.pages")
    if (
        digest is not None
        and value["pages"] == 1
        and (messages, seal_hash([digest])) != (value["count"], value["hash"])
    ):
        bad("seal does not fit the page")
    refused = None if value["refused"] is None else _refused(value["refused"])
    return Seal(value["pages"], value["count"], value["hash"], refused)


def _refused(value: object) -> Refused:
    if not isinstance(value, dict) or value.keys() != {"reason", "rows", "count"}:
        bad("seal.refused has not the fields reason, rows, count")
    rows = value["rows"]
    if (
        not isinstance(rows, list)
        or len(rows) > MAX_REPORTED_ROWS
        or not whole(value["count"], len(rows), 10**9)
    ):
        bad(f"seal.refused.rows is no list of at most {MAX_REPORTED_ROWS}, or its count is wrong")
    for row in rows:
        if not isinstance(row, dict) or row.keys() != {"row", "reason"} or not whole(row["row"], 1, 10**9):
            bad("seal.refused.rows holds what is no row")
    for reason in (value["reason"], *(row["reason"] for row in rows)):
        if not isinstance(reason, str) or not _REASON.fullmatch(reason):
            bad("seal.refused holds what is no reason")
    return Refused(
        value["reason"], tuple(RowError(row["row"], row["reason"]) for row in rows), value["count"]
    )
