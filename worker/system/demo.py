"""The demo's story: what it sends through a fresh system, and how far each part of it is."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, select

from every8d.command.source import Source
from every8d.message import Message
from every8d.producer import Producer
from every8d.producererrors import NoAnswer
from every8d.receipt import Cancelled, Receipt, RequestStatus
from every8d.recipients import BadRow
from every8d.times import TAIPEI
from worker.ledger.tables import account as account_table
from worker.system.system import System

#: Everything has to be final within this.
LIMIT_S = 100.0
#: Between two looks at the requests.
LOOK_S = 0.3

CAMPAIGN_TEXT = "【示範】週年慶開跑！全館滿千送百，憑此簡訊入場即贈好禮，詳情請洽各門市。"
PERSONAL_TEXT = "{姓名} 您好，提醒您明日 {時間} 於{門市}的預約，如需更改請提前來電。"
CODE_TEXT = "您的驗證碼為 482913，五分鐘內有效，請勿告知他人。"
BOOKING_TEXT = "【示範】本則為預約簡訊，稍後將被取消。"

#: Of the emulator's range of ordinary numbers, and not in the files.
CODE_NUMBER = "0900946001"
BOOKING_NUMBERS = [f"09009461{n:02}" for n in range(20)]


class DemoFailed(Exception):
    """The demo did not end as it should; the text says what is not right."""


@dataclass(slots=True)
class Part:
    """One request of the demo, and what is known of it."""

    title: str
    receipt: Receipt
    status: RequestStatus | None = None

    @property
    def final(self) -> bool:
        return self.status is not None and self.status.final

    def settled(self) -> int:
        """Messages whose fate is known."""
        counts = self.status.messages if self.status else {}
        return sum(counts.get(word, 0) for word in FINAL_WORDS)


#: States of a message that change no more.
FINAL_WORDS = ("delivered", "undelivered", "refused", "cancelled", "expired", "duplicate")


@dataclass(slots=True)
class Story:
    """What has happened so far; the view draws it."""

    began: float
    parts: list[Part] = field(default_factory=list)
    code_ms: float | None = None
    cancelled: Cancelled | None = None
    credit: Decimal | None = None
    #: The gateway's own count at the end: messages sent, sent more than once, logins, calls.
    gateway: dict[str, int] = field(default_factory=dict)
    #: Sentences, as things happen.
    news: list[str] = field(default_factory=list)

    def part(self, title: str) -> Part | None:
        return next((part for part in self.parts if part.title == title), None)


def play(
    system: System,
    source: Path,
    text: str,
    personal: Path | None,
    changed: Callable[[Story], None],
) -> Story:
    """Sends everything, follows it to the end, and tells `changed` on the way. Raises DemoFailed."""
    story = Story(time.monotonic())
    producer = Producer(system.settings.broker_url)

    def add(title: str, receipt: Receipt) -> Part:
        part = Part(title, receipt)
        story.parts.append(part)
        story.news.append(f"{title}: {receipt.count:,} enqueued, {receipt.points:,} points expected")
        changed(story)
        return part

    later = datetime.now(TAIPEI) + timedelta(hours=2)
    booking = add("booking", producer.send(BOOKING_NUMBERS, BOOKING_TEXT, send_at=later, schedule="gateway"))
    campaign = add("campaign", _send_file(producer, source, text))
    if personal is not None:
        add("personal", _send_file(producer, personal, PERSONAL_TEXT))
    while not all(part.final for part in story.parts) or len(story.parts) < 3 or story.code_ms is None:
        _look(system, producer, story)
        changed(story)
        if story.part("code") is None and _under_way(campaign):
            add("code", _send_code(producer, system, story))
            if story.code_ms is not None:
                story.news.append(f"code: at the gateway {story.code_ms:.0f} ms after it was enqueued")
        if story.cancelled is None and _counts(booking).get("booked", 0) == len(BOOKING_NUMBERS):
            story.cancelled = producer.cancel(booking.receipt.request_id)
            back = story.cancelled.points_back
            story.news.append(f"booking: {story.cancelled.erased} erased at the gateway, {back} points back")
        _check(system, story)
        time.sleep(LOOK_S)
    _look(system, producer, story)
    story.gateway = _gateway_count(system)
    changed(story)
    if wrong := problems(story):
        raise DemoFailed("; ".join(wrong))
    return story


def problems(story: Story) -> list[str]:
    """What is not as it should be at the end: anything not final, unknown, or cancelled by nobody."""
    wrong = []
    for part in story.parts:
        counts = _counts(part)
        if not part.final:
            words = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
            wrong.append(f"{part.title} is not final ({words or 'no answer yet'})")
        elif part.settled() != part.receipt.count:
            wrong.append(f"{part.title} has {part.settled()} of {part.receipt.count} messages settled")
        elif counts.get("cancelled", 0) != (part.receipt.count if part.title == "booking" else 0):
            wrong.append(f"{part.title} has {counts.get('cancelled', 0)} messages cancelled")
    sent = sum(
        part.receipt.count - (part.receipt.duplicates or 0) for part in story.parts if part.title != "booking"
    )
    if story.gateway and (story.gateway["sent"], story.gateway["doubled"]) != (sent, 0):
        wrong.append(
            f"the gateway sent {story.gateway['sent']} instead of {sent}, {story.gateway['doubled']} doubled"
        )
    return wrong


def _send_file(producer: Producer, path: Path, text: str) -> Receipt:
    source = Source(str(path), columns={}, text=text)
    # Confirmed, for the ledger's count of duplicates; the first answer comes when a worker is up.
    return producer.send_many(_messages(source), text=source.shared, confirm=True)


def _messages(source: Source) -> Iterator[Message | Any]:
    for row in source.read():
        # A bad row goes along as it is: the producer refuses the request with its line.
        yield row if isinstance(row, BadRow) else row.message


def _send_code(producer: Producer, system: System, story: Story) -> Receipt:
    """One code while the campaign is under way, and how long it took to reach the gateway."""
    began = time.time()
    receipt = producer.send(CODE_NUMBER, CODE_TEXT, lane="otp", confirm=True)
    deadline = time.monotonic() + 10
    while story.code_ms is None and time.monotonic() < deadline:
        for number, received, *_ in _arrivals(system, began):
            if number.endswith(CODE_NUMBER[1:]):
                story.code_ms = (received - began) * 1000
    return receipt


def _arrivals(system: System, since: float) -> list[list[Any]]:
    """Calls of a single message that the emulator received since then."""
    found: list[list[Any]] = _control(system, f"arrivals?most_messages=1&since={since}")["arrivals"]
    return found


def _gateway_count(system: System) -> dict[str, int]:
    sent, stats = _control(system, "sent_summary"), _control(system, "stats")
    return {
        "sent": sent["total"],
        "doubled": sent["doubled_count"],
        "batches": sent["batches"],
        "logins": stats["logins"],
        "calls": stats["total_calls"],
    }


def _control(system: System, what: str) -> dict[str, Any]:
    """An answer of the emulator's control API."""
    base = (system.gateway_url or "").partition("/API")[0]
    with urllib.request.urlopen(f"{base}/control/{what}", timeout=5) as answer:  # noqa: S310  the emulator's own
        found: dict[str, Any] = json.load(answer)
    return found


def _look(system: System, producer: Producer, story: Story) -> None:
    for part in story.parts:
        if not part.final:
            try:
                part.status = producer.status(part.receipt.request_id)
            except NoAnswer:  # a worker that still starts
                continue
    engine = create_engine(system.settings.database_url)
    try:
        with engine.connect() as connection:
            story.credit = connection.execute(select(account_table.c.credit)).scalar()
    finally:
        engine.dispose()


def _check(system: System, story: Story) -> None:
    if dead := [name for name, deaths in system.supervisor.deaths().items() if deaths]:
        raise DemoFailed(f"{', '.join(dead)} died; the log is in {system.settings.data_dir}")
    if time.monotonic() - story.began > LIMIT_S:
        raise DemoFailed(
            f"not done within {LIMIT_S:.0f} s: {'; '.join(problems(story)) or 'no code was sent'}"
        )


def _counts(part: Part) -> dict[str, int]:
    return dict(part.status.messages) if part.status else {}


def _under_way(part: Part) -> bool:
    counts = _counts(part)
    return any(counts.get(word) for word in ("sent", *FINAL_WORDS))
