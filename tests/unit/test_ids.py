"""Ids of requests."""

from __future__ import annotations

import threading
import time
import uuid

from every8d import ids


def test_uuid7_has_version_variant_and_time() -> None:
    before = time.time_ns() // 1_000_000
    made = ids.uuid7()
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    # Counting may run ahead of the clock by a borrowed millisecond.
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000 + 1


def test_uuid7_grows_also_within_a_millisecond() -> None:
    made = [ids.uuid7() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_uuid7_is_unique_among_threads() -> None:
    made: list[uuid.UUID] = []
    threads = [
        threading.Thread(target=lambda: made.extend(ids.uuid7() for _ in range(5000))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 20_000


def test_a_clock_set_back_does_not_go_back(monkeypatch) -> None:
    first = ids.uuid7()
    monkeypatch.setattr(ids.time, "time_ns", lambda: 0)
    assert ids.uuid7() > first


def test_a_key_names_a_request_for_ever() -> None:
    # A literal: another value would make new requests of keys that are in use.
    assert str(ids.request_id("default", "order-1")) == "4696c138-58ea-5128-931b-c816e0d87dde"


def test_keys_and_accounts_are_kept_apart() -> None:
    pairs = [("a", "1"), ("a", "2"), ("b", "1"), ("a1", ""), ("a", "1\n")]
    assert len({ids.request_id(*pair) for pair in pairs}) == len(pairs)
    assert ids.request_id("a", "1") == ids.request_id("a", "1")
    assert ids.request_id("a") != ids.request_id("a")
