"""The ids of chunks and their tokens in subjects."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import token

LARGEST = (1 << 63) - 1


@given(st.integers(0, LARGEST))
def test_a_token_names_its_chunk(chunk_id: int) -> None:
    letters = token.encode(chunk_id)
    assert len(letters) == 13
    assert token.decode(letters) == chunk_id


@given(st.integers(0, LARGEST), st.text(max_size=60))
def test_a_subject_that_comes_back_names_its_chunk_whatever_its_title_is(chunk_id: int, title: str) -> None:
    assert token.find(token.subject(chunk_id, title)) == chunk_id
    assert token.find(f"FW: {token.subject(chunk_id, title)} (1)") == chunk_id


def test_a_title_that_quotes_another_chunk_names_its_own() -> None:
    assert token.find(token.subject(7, token.subject(8, "再寄一次"))) == 7


def test_a_subject_is_the_title_and_the_token() -> None:
    assert token.subject(5, "促銷") == "促銷 [e8d:0000000000005]"
    assert token.subject(5, "") == "[e8d:0000000000005]"


NO_TOKENS = ["", "促銷", "[e8d:]", "[e8d:000000000005]", "[e8d:000000000000I]", "[e8d:ZZZZZZZZZZZZZ]"]
NO_IDS = ["", "0" * 12, "0" * 14, "000000000000I", "000000000000o", "8000000000000", "Z" * 13]


@pytest.mark.parametrize("words", NO_TOKENS)
def test_what_is_no_token_names_nothing(words: str) -> None:
    assert token.find(words) is None


@pytest.mark.parametrize("letters", NO_IDS)
def test_letters_that_are_no_id_of_the_ledger_are_refused(letters: str) -> None:
    with pytest.raises(ValueError, match="token"):
        token.decode(letters)


def test_ids_are_in_the_order_of_time_differ_and_fit_the_ledger() -> None:
    year_2039 = 2_190_000_000_000
    ids = [token.new_id(ms) for ms in range(1_767_225_600_000, 1_767_225_600_050) for _ in range(20)]
    assert all(one >> 22 <= other >> 22 for one, other in itertools.pairwise(ids))
    assert len(set(ids)) == len(ids)
    assert max(ids) < token.new_id(year_2039) <= LARGEST
