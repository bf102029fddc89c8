"""contentXML: whatever the texts hold, the gateway reads back exactly them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from every8d import contentxml
from every8d.contentxml import Recipient, build
from every8d.errors import InvalidInput, InvalidNumber, InvalidText
from every8d.text import clean
from every8d.times import TAIPEI


def read(document: str) -> list[tuple[str, dict[str, str]]]:
    root = etree.fromstring(document)
    assert root.tag == "REPS"
    assert all(child.tag == "USER" for child in root)
    return [(child.text or "", dict(child.attrib)) for child in root]


def test_the_specifications_sample() -> None:
    document = build(
        [
            Recipient("+886900000001", "ok ok\njava hello<>@#$$%^&*()", name="TEST"),
            Recipient(
                "+886900000002",
                "這是什麼的測試內容喔<>@#$$%^&*()",
                name="Eric1",
                email="service@every8d.com.tw",
            ),
        ]
    )
    assert document == (
        '<REPS><USER NAME="TEST" MOBILE="+886900000001" EMAIL="" SENDTIME="">'
        "<![CDATA[ok ok\njava hello<>@#$$%^&*()]]></USER>"
        '<USER NAME="Eric1" MOBILE="+886900000002" EMAIL="service@every8d.com.tw" SENDTIME="">'
        "<![CDATA[這是什麼的測試內容喔<>@#$$%^&*()]]></USER></REPS>"
    )


@pytest.mark.parametrize(
    "text",
    [
        "]]>",
        "a]]>b]]>c",
        "]]]]>>",
        "]]>" * 50,
        "<![CDATA[x]]>",
        "&amp;",
        "</USER></REPS>",
        " padded ",
        "多\n行",
        "😀",
    ],
)
def test_texts_arrive_as_they_are(text: str) -> None:
    assert read(build([Recipient("+886912345678", text)]))[0][0] == text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ('"A" & <B>\'', '"A" & <B>\''),
        ("a\nb\tc", "a\nb\tc"),
        ("王" * 60, "王" * 50),
        ("\x00bell\x07", "bell"),
        ("]]>", "]]>"),
        ("&" * 60, "&" * 50),
    ],
)
def test_names(name: str, expected: str) -> None:
    assert read(build([Recipient("+886912345678", "x", name=name)]))[0][1]["NAME"] == expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (None, ""),
        (datetime(2009, 1, 31, 15, 30), "20090131153000"),  # noqa: DTZ001 - naive means Taipei
        (datetime(2009, 1, 31, 7, 30, tzinfo=UTC), "20090131153000"),
        (datetime(2009, 1, 31, 15, 30, tzinfo=TAIPEI), "20090131153000"),
    ],
)
def test_each_recipient_has_a_send_time(moment: datetime | None, expected: str) -> None:
    assert read(build([Recipient("+886912345678", "x", send_time=moment)]))[0][1]["SENDTIME"] == expected


@pytest.mark.parametrize(
    "mobile", ["0912345678", "", "+886 912345678", "+8869123456789012345678", '+886"', "+٨٨٦٩١٢٣٤٥"]
)
def test_a_number_must_be_e164(mobile: str) -> None:
    with pytest.raises(InvalidNumber) as caught:
        build([Recipient("+886912345678", "x"), Recipient(mobile, "x")])
    assert caught.value.row == 2
    assert str(caught.value).startswith("row 2: ")


@pytest.mark.parametrize(("text", "reason"), [("", "empty"), (" \n", "empty"), ("a\ud800", "broken")])
def test_a_bad_text_is_named_by_its_row(text: str, reason: str) -> None:
    with pytest.raises(InvalidText) as caught:
        build([Recipient("+886912345678", text)])
    assert (caught.value.reason, caught.value.row) == (reason, 1)


def test_no_recipients() -> None:
    with pytest.raises(InvalidInput):
        build([])


def test_a_recipient_shows_nothing_of_itself() -> None:
    shown = repr(Recipient("+886912345678", "secret", name="Wang", email="w@example.com"))
    assert not any(part in shown for part in ("912345678", "secret", "Wang", "example"))


texts = st.text(min_size=1).map(lambda text: "x" + text)


@given(st.lists(st.tuples(texts, st.text(max_size=60), st.text(max_size=20)), min_size=1, max_size=5))
def test_anything_survives_the_way_there(rows: list[tuple[str, str, str]]) -> None:
    recipients = [Recipient("+886912345678", *row) for row in rows]
    found = read(build(recipients))
    assert [text for text, _ in found] == [clean(text) for text, _, _ in rows]
    assert [attributes["NAME"] for _, attributes in found] == [
        clean(n)[: contentxml.NAME_LIMIT] for _, n, _ in rows
    ]
    assert [attributes["EMAIL"] for _, attributes in found] == [clean(email) for _, _, email in rows]
