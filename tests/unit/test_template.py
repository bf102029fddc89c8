"""Texts out of templates and rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from every8d.template import BadTemplate, MissingColumn, columns, render

ROW = {"name": "王小明", "訂單": "A-17", "empty": "", "brace": "{name}", "short": None}

CASES = {
    "a column": ("{name} 您好", "王小明 您好"),
    "a Chinese column, twice": ("{訂單}/{訂單}", "A-17/A-17"),
    "blanks around a column": ("{ name }", "王小明"),
    "an empty value": ("a{empty}b", "ab"),
    "braces": ("{{name}} {{{name}}}", "{name} {王小明}"),
    "a value is no template": ("{brace}", "{name}"),
    "no column": ("您好", "您好"),
}


@pytest.mark.parametrize(("template", "text"), CASES.values(), ids=CASES.keys())
def test_render(template: str, text: str) -> None:
    assert render(template, ROW) == text


@pytest.mark.parametrize("column", ["nobody", "short", "", "name.upper", "name[0]", "name!r", "name:>9"])
def test_a_missing_column_is_named_with_its_row(column: str) -> None:
    with pytest.raises(MissingColumn) as caught:
        render("您好 {" + column + "}", ROW, 17)
    assert (caught.value.column, caught.value.row) == (column, 17)
    assert "row 17" in str(caught.value)
    assert "17" in caught.value.in_chinese()
    assert "王小明" not in str(caught.value)


@pytest.mark.parametrize(("template", "position"), [("{name", 1), ("ab}", 3), ("{a{b}", 1), ("{{}", 3)])
def test_a_single_brace_is_told(template: str, position: int) -> None:
    for use in (lambda: render(template, {"a": "1", "b": "2"}), lambda: columns(template)):
        with pytest.raises(BadTemplate) as caught:
            use()
        assert caught.value.position == position


def test_columns_are_listed_once_in_order() -> None:
    assert columns("{b} {a} {{x}} { b }") == ("b", "a")


@given(st.text())
def test_any_text_comes_through_when_its_braces_are_doubled(text: str) -> None:
    assert render(text.replace("{", "{{").replace("}", "}}"), {}) == text
