"""Packing: which messages share a gateway call, and by which operation."""

import uuid
from dataclasses import dataclass
from html import escape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from every8d.contentxml import Recipient, build
from worker.packing import MAX_BYTES, SEND_MESSAGE, SEND_PARAM_SMS, SEND_SMS, Candidate, Packed, pack

REQUEST, OTHER = uuid.uuid4(), uuid.uuid4()
#: ASP.NET's limit on a request.
GATEWAY_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True)
class Header:
    text: str | None = "您好"
    validity_min: int | None = None


def one(seq: int, number: str | None = None, **fields: Any) -> Candidate:
    usual: dict[str, Any] = {
        "text": None,
        "name": None,
        "email": None,
        "points": 1,
        "part": None,
        "attempts": 0,
    }
    return Candidate(
        fields.pop("request", REQUEST), seq, number or f"+8869{10_000_000 + seq}", **(usual | fields)
    )


def packed(candidates: list[Candidate], header: Header | None = None, size: int = 500, **how: Any) -> Packed:
    headers = {REQUEST: header or Header(), OTHER: Header("另一則")}
    found = pack(candidates, headers, size, **how)
    assert found is not None
    return found


def seqs(found: Packed) -> list[int]:
    return [message.seq for message in found.messages]


def test_nothing_makes_no_call() -> None:
    assert pack([], {}, 500) is None


@pytest.mark.parametrize(
    ("candidates", "validity", "operation"),
    [
        pytest.param([one(0), one(1)], None, SEND_SMS, id="one text"),
        pytest.param([one(0), one(1)], 5, SEND_MESSAGE, id="one text with a validity"),
        pytest.param([one(0), one(1, text="您好")], None, SEND_SMS, id="one text, spelled out"),
        pytest.param([one(0), one(1, text="再見")], None, SEND_PARAM_SMS, id="two texts"),
        pytest.param([one(0), one(1, request=OTHER)], None, SEND_PARAM_SMS, id="two requests"),
        pytest.param([one(0), one(1, name="王")], None, SEND_PARAM_SMS, id="a name"),
        pytest.param([one(0, email="a@b.c")], None, SEND_PARAM_SMS, id="an e-mail, alone"),
        pytest.param([one(0, name="", email="")], None, SEND_SMS, id="empty names"),
    ],
)
def test_the_operation_follows_from_texts_names_and_validity(
    candidates: list[Candidate], validity: int | None, operation: str
) -> None:
    found = packed(candidates, Header(validity_min=validity))
    assert (found.operation, seqs(found)) == (operation, list(range(len(candidates))))
    assert (found.text is None) == (len(set(found.texts)) > 1)
    assert found.validity_min == validity


def test_a_call_with_a_validity_has_one_text() -> None:
    found = packed([one(0), one(1, text="再見"), one(2)], Header(validity_min=5))
    assert (seqs(found), found.operation) == ([0, 2], SEND_MESSAGE)


def test_a_gateway_without_sendmessage_gets_the_text_without_the_validity() -> None:
    found = packed(
        [one(0), one(1, text="再見")], Header(validity_min=5), operations_off=frozenset({SEND_MESSAGE})
    )
    assert (seqs(found), found.operation, found.validity_min) == ([0, 1], SEND_PARAM_SMS, None)


def test_a_number_stands_in_a_call_once_and_the_first_of_its_texts_goes() -> None:
    found = packed([one(0, "+886911111111", text="一"), one(1, "+886911111111", text="二"), one(2)])
    assert seqs(found) == [0, 2]


def test_a_half_goes_alone_whoever_is_first() -> None:
    assert seqs(packed([one(0, part=7), one(1), one(2, part=8), one(3, part=7)])) == [0, 3]
    assert seqs(packed([one(0), one(1, part=7), one(2)])) == [0, 2]


def test_no_more_than_the_size_and_never_nothing() -> None:
    assert seqs(packed([one(seq) for seq in range(9)], size=4)) == [0, 1, 2, 3]
    assert seqs(packed([one(0, text="長" * MAX_BYTES), one(1)])) == [0]


def test_points_add_up() -> None:
    assert packed([one(0, points=3), one(1, points=2)]).points == 5


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"text": "&" * 3000}, id="escaped once more on the way"),
        pytest.param({"text": "<" * 3000}, id="less than"),
        pytest.param({"text": "]]>" * 1000}, id="the end of a CDATA section"),
        pytest.param({"text": "長" * 3000}, id="Chinese"),
        pytest.param({"text": "😀" * 1500}, id="outside the BMP"),
        pytest.param(
            {"text": "一", "name": '"' * 50, "email": '"&"' * 80 + "@b.c"}, id="names escaped twice"
        ),
        pytest.param({"text": "一"}, id="short texts"),
    ],
)
def test_what_goes_out_stays_below_the_gateways_limit(fields: dict[str, Any]) -> None:
    candidates = [one(seq, **fields) for seq in range(12_000 if len(fields["text"]) < 9 else 1_500)]
    found = packed(candidates, size=20_000)
    recipients = (
        Recipient(message.number, text, message.name or "", message.email or "")
        for message, text in zip(found.messages, found.texts, strict=True)
    )
    # The document goes inside an element of another one.
    wire = len(escape(build(recipients), quote=False).encode())
    assert wire < GATEWAY_LIMIT - 4096


@given(
    st.lists(
        st.builds(
            one,
            st.integers(0, 9999),
            st.sampled_from([f"+88691{n:07}" for n in range(6)]),
            text=st.sampled_from([None, "一", "二", "您好"]),
            name=st.sampled_from([None, "王"]),
            part=st.sampled_from([None, None, 7]),
        ),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 6),
)
def test_whatever_is_packed_goes_to_its_own_number_once(candidates: list[Candidate], size: int) -> None:
    found = packed(candidates, size=size)
    numbers = [message.number for message in found.messages]
    assert len(set(numbers)) == len(numbers) <= size
    assert found.messages[0] == candidates[0]
    assert len({message.part for message in found.messages}) == 1
    for message, text in zip(found.messages, found.texts, strict=True):
        assert message in candidates
        assert text == (message.text or "您好")
    if found.operation != SEND_PARAM_SMS:
        assert (set(found.texts), any(message.name for message in found.messages)) == ({found.text}, False)
