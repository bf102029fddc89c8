"""Texts out of a template and a row: `{name} 您好，您的代碼是 {code}`."""

import re
from collections.abc import Mapping

from every8d.errors import InvalidInput

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class MissingColumn(InvalidInput):
    """A template names a column that the row has not. `column` and `row` (from 1, or None) say which."""

    def __init__(self, column: str, row: int | None = None) -> None:
        super().__init__(
            f"the template's column {{{column}}} is missing; add it, or correct the template",
            f"範本中的欄位 {{{column}}} 不存在；請加入該欄位，或修正範本",
            row=row,
        )
        self.column = column
        self.reason = "missing_column"


class BadTemplate(InvalidInput):
    """A template with a single brace. `position` is the character's, from 1."""

    def __init__(self, position: int) -> None:
        super().__init__(
            f"the template has a single brace at character {position}; write {{{{ or }}}} for a brace",
            f"範本第 {position} 個字元為單獨的大括號；大括號本身請寫成 {{{{ 或 }}}}",
        )
        self.position = position
        self.reason = "bad_template"


def columns(template: str) -> tuple[str, ...]:
    """The columns that a template names, each once, in their order. Raises BadTemplate."""
    return tuple(dict.fromkeys(_column(match) for match in _PART.finditer(template) if _is_column(match)))


def render(template: str, row: Mapping[str, str | None], number: int | None = None) -> str:
    """The text for a row: each `{column}` replaced by the row's value, `{{` and `}}` by a brace.

    Nothing else is special: no formats, attributes or indexes, and a value is never a template itself.
    `number` is the row's, from 1, for the error. Raises MissingColumn (a column absent, or None as csv
    gives for a short line) and BadTemplate.
    """

    def part(match: re.Match[str]) -> str:
        if not _is_column(match):
            return match[0][0]
        column = _column(match)
        value = row.get(column)
        if value is None:
            raise MissingColumn(column, number)
        return value

    return _PART.sub(part, template)


def _is_column(match: re.Match[str]) -> bool:
    if match[0] in {"{", "}"}:
        raise BadTemplate(match.start() + 1)
    return match[1] is not None


def _column(match: re.Match[str]) -> str:
    return match[1].strip()
