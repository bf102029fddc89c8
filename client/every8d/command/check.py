"""A whole file checked before anything of it is sent: counts, price, bad rows, duplicates."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from every8d import phone
from every8d.recipients import BadRow, Recipient
from every8d.rowcheck import Cost, RowCheck, cost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from every8d.header import Header


@lru_cache(maxsize=256)
def _cost(text: str, abroad: bool) -> Cost:
    return cost(text, abroad=abroad)


@dataclass
class Check:
    """What a file holds; fed row by row. Takes some 100 bytes a row, whatever the texts, to find duplicates.

    `good` rows can be sent, `duplicates` of them (by line) repeat a number with the same text. `segments`
    and `points` are of what will be sent: without duplicates, unless the header wants them.
    """

    header: Header
    abroad: bool
    now: datetime
    rows: int = 0
    good: int = 0
    segments: int = 0
    points: int = 0
    bad: list[BadRow] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)
    by_segments: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        # The producer's own check, so that what passes here passes there.
        self._check = RowCheck(self.header, abroad=self.abroad, now=self.now)
        self._seen: set[int] = set()

    @property
    def count(self) -> int:
        """Messages that will go out."""
        return self.good if self.header.duplicates else self.good - len(self.duplicates)

    def add(self, row: Recipient | BadRow) -> BadRow | None:
        """Counts a row; returns it as a bad one where it cannot be sent."""
        self.rows += 1
        entry = row.reason if isinstance(row, BadRow) else self._check.check(row.message)
        if isinstance(entry, str):
            bad = BadRow(row.line, entry)
            self.bad.append(bad)
            return bad
        self.good += 1
        to, text = entry.message["to"], entry.message.get("text")
        # 64 bits: a million rows collide once in 30 million files, and this number is only told, never
        # acted on.
        key = hash((to, text))
        if key in self._seen:
            self.duplicates.append(row.line)
            if not self.header.duplicates:
                return None
        self._seen.add(key)
        segments = _cost(text or self.header.text or "", phone.is_abroad(to)).segments
        self.segments += segments
        self.points += entry.points
        self.by_segments[segments] += 1
        return None

    def watch(
        self, rows: Iterable[Recipient | BadRow], progress: Callable[[int], None] | None = None
    ) -> Iterator[Recipient | BadRow]:
        """The rows, counted as they pass. `progress` hears the count every 1,000 rows."""
        for row in rows:
            bad = self.add(row)
            if progress and self.rows % 1000 == 0:
                progress(self.rows)
            yield bad or row

    def as_json(self) -> dict[str, Any]:
        """For --json; every bad row and every duplicate by line."""
        return {
            "rows": self.rows,
            "count": self.count,
            "segments": self.segments,
            "points": str(self.points),
            "by_segments": {str(segments): count for segments, count in sorted(self.by_segments.items())},
            "duplicates": {"count": len(self.duplicates), "lines": self.duplicates},
            "invalid": {
                "count": len(self.bad),
                "rows": [{"line": row.line, "reason": row.reason} for row in self.bad],
            },
        }
