"""Texts are cleaned before they are priced and sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from every8d.errors import InvalidText
from every8d.text import body, clean


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain 您好 😀", "plain 您好 😀"),
        ("a\r\nb", "a\nb"),
        ("a\rb", "a\nb"),
        ("a\n\r\nb", "a\n\nb"),
        ("a\vb\fc", "a\nb\nc"),
        ("a\x00\x01\x1f\x7fb", "ab"),
        ("a\tb", "a\tb"),
        ("a\ufffeb\uffffc", "abc"),
        ("\u200bzero width\u200d", "\u200bzero width\u200d"),
    ],
)
def test_clean(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "\x00", "\u3000"])
def test_a_body_must_say_something(text: str) -> None:
    with pytest.raises(InvalidText) as caught:
        body(text)
    assert caught.value.reason == "empty"


@given(st.text())
def test_whatever_is_clean_fits_into_xml_and_stays_so(text: str) -> None:
    cleaned = clean(text)
    element = etree.Element("a")
    element.text = cleaned
    assert (etree.fromstring(etree.tostring(element)).text or "") == cleaned
    assert clean(cleaned) == cleaned
