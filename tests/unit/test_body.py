"""The body of an accept task: what is written is read, what is malformed is refused; hashes."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
import time
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from every8d import body

REQUEST = "0198c1f0-7d1a-7abc-8def-001122334455"


def compact(**changes: Any) -> dict[str, Any]:
    """A page of two numbers with one text and its own seal; changed fields are not sealed anew."""
    page = sealed(
        {
            "v": 1,
            "request": REQUEST,
            "account": "default",
            "lane": "normal",
            "text": "您好",
            "subject": "",
            "send_at": None,
            "schedule": "ledger",
            "validity": None,
            "deadline": None,
            "duplicates": False,
            "enqueued_at": "2026-01-01T00:00:00+00:00",
            "page": 0,
            "to": ["+886912345678", "+886912345679"],
        }
    )
    return page | changes


def unsealed(**changes: Any) -> dict[str, Any]:
    """A page without its seal: fields can be changed without breaking the hash."""
    return compact(seal=None) | changes


def sealed(page: dict[str, Any]) -> dict[str, Any]:
    count = len(page.get("to", page.get("messages", [])))
    seal = {"pages": 1, "count": count, "hash": body.seal_hash([body.page_hash(page)]), "refused": None}
    return page | {"seal": seal}


def messages(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    page = unsealed(**changes)
    del page["to"]
    return page | {"messages": list(rows)}


def without(page: dict[str, Any], field: str) -> dict[str, Any]:
    return {key: value for key, value in page.items() if key != field}


ROW = {"to": "+886912345678", "text": "您好"}
SEAL = compact()["seal"]
REFUSED = {"reason": "invalid_rows", "rows": [{"row": 17, "reason": "landline"}], "count": 1}


def test_a_page_is_read() -> None:
    page = body.parse(compact(validity=5, deadline="2026-01-01T09:00:00+08:00", seal=None))
    assert page.request == uuid.UUID(REQUEST)
    assert (page.account, page.lane, page.text, page.subject) == ("default", "normal", "您好", "")
    assert (page.schedule, page.validity, page.duplicates, page.page) == ("ledger", 5, False, 0)
    assert page.enqueued_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert page.deadline == datetime(2026, 1, 1, 1, tzinfo=UTC)
    assert page.messages == (body.BodyMessage("+886912345678"), body.BodyMessage("+886912345679"))


def test_a_deadline_in_seconds_counts_from_enqueued_at() -> None:
    assert body.parse(unsealed(deadline=90)).deadline == datetime(2026, 1, 1, 0, 1, 30, tzinfo=UTC)


def test_a_seal_alone_is_read() -> None:
    seal = {**SEAL, "pages": 3, "count": 2500, "refused": REFUSED}
    page = body.parse(without(compact(page=None, seal=seal), "to"))
    assert (page.page, page.page_hash, page.messages) == (None, None, ())
    assert page.seal == body.Seal(
        3, 2500, SEAL["hash"], body.Refused("invalid_rows", (body.RowError(17, "landline"),), 1)
    )


CHANGED = {
    "not an object": ["a list"],
    "another version": unsealed(v=2),
    "a version that is true": unsealed(v=True),
    "an unknown field": unsealed(extra=1),
    "a request that is no UUID": unsealed(request="17"),
    "a request in braces": unsealed(request="{" + REQUEST + "}"),
    "a request that is a number": unsealed(request=17),
    "an account with a blank": unsealed(account="a b"),
    "a lane that is none": unsealed(lane="fast"),
    "a lane that is a list": unsealed(lane=["otp"]),
    "a schedule that is none": unsealed(schedule="later"),
    "a text that is blank": unsealed(text=" \n"),
    "a text that is a number": unsealed(text=1),
    "a text with a control character": unsealed(text="a\x00"),
    "a text with half a character": unsealed(text="a\ud83d"),
    "a text too long": unsealed(text="a" * 3001),
    "numbers without a text": unsealed(text=None),
    "a subject of two lines": unsealed(subject="a\nb"),
    "a subject too long": unsealed(subject="a" * 51),
    "a validity of nothing": unsealed(validity=0),
    "a validity beyond a day": unsealed(validity=1441),
    "a validity that is true": unsealed(validity=True),
    "duplicates that are a number": unsealed(duplicates=1),
    "a time without offset": unsealed(send_at="2026-01-01T00:00:00"),
    "a time that is none": unsealed(send_at="soon"),
    "a time that is a number": unsealed(send_at=5),
    "a time beyond all times": unsealed(enqueued_at="9999-12-31T23:59:59-08:00"),
    "no enqueued_at": unsealed(enqueued_at=None),
    "a deadline of nothing": unsealed(deadline=0),
    "a deadline beyond all times": unsealed(deadline=400 * 86400, enqueued_at="9999-12-31T00:00:00+00:00"),
    "a booking without a time": unsealed(schedule="gateway"),
    "a page below 0": unsealed(page=-1),
    "a page beyond all pages": unsealed(page=10_000),
    "neither page nor seal": without(unsealed(page=None), "to"),
    "a seal with numbers and no page": compact(page=None),
    "no numbers": unsealed(to=[]),
    "1,001 numbers": unsealed(to=["+886912345678"] * 1001),
    "numbers and messages": unsealed(messages=[ROW]),
    "neither numbers nor messages": without(unsealed(), "to"),
    "a local number": unsealed(to=["0912345678"]),
    "a number that is none": unsealed(to=[912345678]),
    "numbers that are a text": unsealed(to="+886912345678"),
    "a message that is a text": messages("+886912345678"),  # type: ignore[arg-type]  # what is tested
    "a message without number": messages({"text": "a"}),
    "a message with a local number": messages({"to": "0912345678"}),
    "a message with an unknown field": messages({**ROW, "fax": "1"}),
    "a message without text": messages({"to": "+886912345678"}, text=None),
    "a message with a blank text": messages({**ROW, "text": ""}),
    "a name too long": messages({**ROW, "name": "王" * 51}),
    "a name of two lines": messages({**ROW, "name": "a\nb"}),
    "an e-mail that is none": messages({**ROW, "email": "someone"}),
    "a name with a validity": messages({**ROW, "name": "王"}, validity=5),
    "an own time in a booking": messages(
        {**ROW, "send_at": "2026-02-01T00:00:00Z"}, schedule="gateway", send_at="2026-02-01T00:00:00Z"
    ),
    "an own time that is none": messages({**ROW, "send_at": "noon"}),
    "a seal of another content": compact(text="再見"),
    "a seal of another count": compact(seal={**SEAL, "count": 3}),
    "a seal with a field too few": compact(seal=without(SEAL, "refused")),
    "a seal of no pages": compact(seal={**SEAL, "pages": 0}),
    "a seal of more messages than pages hold": compact(seal={**SEAL, "count": 1001}),
    "a seal with a hash of another kind": compact(seal={**SEAL, "hash": "abc"}),
    "a page beyond its seal": compact(page=1),
    "a verdict without rows": compact(seal={**SEAL, "refused": without(REFUSED, "rows")}),
    "a verdict with a row 0": compact(
        seal={**SEAL, "refused": {**REFUSED, "rows": [{"row": 0, "reason": "a"}]}}
    ),
    "a verdict with a sentence": compact(
        seal={**SEAL, "refused": {**REFUSED, "rows": [{"row": 1, "reason": "0912345678 is no number"}]}}
    ),
    "a verdict that counts less than it lists": compact(seal={**SEAL, "refused": {**REFUSED, "count": 0}}),
}


@pytest.mark.parametrize("malformed", CHANGED.values(), ids=CHANGED.keys())
def test_malformed_bodies_are_refused(malformed: object) -> None:
    with pytest.raises(body.BadBody) as caught:
        body.parse(malformed)
    assert "0912345678" not in str(caught.value)


@pytest.mark.parametrize("field", sorted(without(unsealed(), "to")))
def test_each_missing_field_is_named(field: str) -> None:
    with pytest.raises(body.BadBody, match=f"{field} is missing"):
        body.parse(without(unsealed(), field))


def test_the_unchanged_bodies_of_that_table_are_good() -> None:
    for good in (compact(), unsealed(), messages(ROW), messages({**ROW, "name": "王", "email": "a@b.tw"})):
        body.parse(good)


def test_the_hash_is_of_canonical_json() -> None:
    page = compact()
    plain = {key: value for key, value in page.items() if key not in {"seal", "enqueued_at"}}
    written = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert body.parse(page).page_hash == hashlib.sha256(written.encode()).hexdigest()
    assert body.seal_hash(["aa", "bb"]) == hashlib.sha256(b"aa\nbb").hexdigest()


SAME = {"enqueued_at": "2026-01-02T00:00:00+00:00", "seal": None}
OTHER_PAGE = {"page": 1, "to": ["+886912345670"]}
OTHER_HEADER = {
    "account": "b",
    "lane": "otp",
    "text": "x",
    "subject": "x",
    "send_at": "2026-01-01T00:00:00Z",
    "validity": 9,
    "deadline": 9,
    "duplicates": True,
}


@pytest.mark.parametrize("field", [*SAME, *OTHER_PAGE, *OTHER_HEADER])
def test_hashes_change_with_what_they_cover(field: str) -> None:
    first = body.parse(unsealed())
    changed = (SAME | OTHER_PAGE | OTHER_HEADER)[field]
    second = body.parse(unsealed(**{field: changed}) if field != "seal" else compact())
    assert (first.page_hash == second.page_hash) is (field in SAME)
    assert (first.header_hash == second.header_hash) is (field not in OTHER_HEADER)


def test_the_order_of_keys_does_not_matter() -> None:
    page = compact()
    assert body.parse(page) == body.parse(dict(reversed(page.items())))


def test_nothing_read_shows_numbers_or_texts() -> None:
    page = body.parse(messages({**ROW, "name": "王小明"}))
    for shown in (repr(page), repr(page.messages), str(page.messages[0])):
        assert not any(secret in shown for secret in ("912345678", "您好", "王小明"))


def test_a_bad_body_survives_pickling() -> None:
    error = body.BadBody("text is empty")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  our own
    assert (str(again), again.reason) == (str(error), "text is empty")


sendable = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), min_size=1, max_size=40
).filter(str.strip)
numbers = st.integers(10**7, 10**8 - 1).map(lambda digits: f"+8869{digits}")
moments = st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1)).map(  # noqa: DTZ001  made aware here
    lambda naive: naive.replace(tzinfo=timezone(timedelta(hours=8)))
)
rows = st.fixed_dictionaries(
    {"to": numbers, "text": sendable},
    optional={"name": sendable, "send_at": moments.map(datetime.isoformat), "email": st.just("a@b.tw")},
)


@given(st.lists(rows, min_size=1, max_size=20))
def test_what_is_written_is_read_and_json_keeps_the_hash(written: list[dict[str, Any]]) -> None:
    sent = sealed(without(messages(*written), "seal"))
    received = json.loads(json.dumps(sent))
    page = body.parse(received)
    assert page.page_hash == body.page_hash(sent)
    assert [message.to for message in page.messages] == [row["to"] for row in written]
    assert [message.text for message in page.messages] == [row["text"] for row in written]
    for message, row in zip(page.messages, written, strict=True):
        assert message.name == row.get("name")
        assert message.send_at == (datetime.fromisoformat(row["send_at"]) if "send_at" in row else None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(compact())), json_values)
def test_any_value_in_any_field_is_read_or_refused(field: str, value: object) -> None:
    page = copy.deepcopy(compact())
    page[field] = value
    try:
        body.parse(page)
    except body.BadBody:
        return


def test_five_hundred_messages_are_read_in_milliseconds() -> None:
    page = messages(*({"to": f"+8869{index:08d}", "text": f"第 {index} 位您好"} for index in range(500)))
    best = 1.0
    for _ in range(5):
        started = time.perf_counter()
        body.parse(page)
        best = min(best, time.perf_counter() - started)
    assert best < 0.02  # about 0.001 here; this catches a change of order only
