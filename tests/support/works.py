"""Pieces of work that pass the named points, for tests that kill a worker there."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from every8d.message import Message
from tests.support import bodies
from tests.support.killing import Site
from tests.support.web import SECRET, serving
from worker.ledger import accounts, operators, tables

TEXT = "您的包裹已到門市"
SWEEPS = ("sweep_due", "sweep_polls", "sweep_leases", "sweep_erasures")


@dataclass(frozen=True)
class Work:
    """Something to do that passes points, and what must have become of it in the end.

    `begin` gives the request's id once its producer knows that it is committed. `ends`: its messages by state, any of
    these. `sent`: messages that the emulator must have sent. `while_waiting` is called again and again until it ends.
    """

    begin: Callable[[Site, str], uuid.UUID]
    passes: tuple[str, ...]
    ends: tuple[dict[str, int], ...] = ({"delivered": 3},)
    sent: int = 3
    prepare: Callable[[Site], None] = lambda site: None
    while_waiting: Callable[[Site], None] = lambda site: None
    #: The first call is refused, so a chunk that is unknown after it was not sent.
    refused_first: bool = False
    #: The answer of its call is lost, wherever else a worker dies.
    unknown: bool = False
    #: There is evidence of whatever is unknown, so that in the end nothing is.
    proven: bool = False
    account: dict[str, str] = field(default_factory=dict)
    bells: tuple[str, ...] = SWEEPS


def numbers(count: int = 3) -> list[str]:
    return [one.replace("+886", "0") for one in bodies.numbers(count)]


def one(site: Site, lane: str, *, text: str = TEXT, **options: object) -> uuid.UUID:
    """Three people get one text."""
    return site.insist(
        lambda: site.producer.send(
            numbers(),
            text,
            lane=lane,
            confirm=True,
            idempotency_key="one",
            **options,  # type: ignore[arg-type]  # the caller's
        )
    ).request_id


def pages(site: Site, lane: str) -> uuid.UUID:
    """So many that they come in three pages, and their statuses in two."""
    return site.insist(
        lambda: site.producer.send_many(
            numbers(1100), text=TEXT, lane=lane, confirm=True, idempotency_key="pages"
        )
    ).request_id


def personal(site: Site, lane: str) -> uuid.UUID:
    rows = [Message(to, f"{place} 號您好") for place, to in enumerate(numbers())]
    return site.insist(
        lambda: site.producer.send_many(rows, lane=lane, confirm=True, idempotency_key="personal")
    ).request_id


def short_lived(site: Site, lane: str) -> uuid.UUID:
    return one(site, lane, validity=60)


def booking(site: Site, lane: str) -> uuid.UUID:
    """Booked at the gateway, and cancelled there."""
    at = datetime.now(UTC) + timedelta(hours=2)
    request = one(site, lane, schedule="gateway", send_at=at)
    site.until(lambda: site.counts(request) == {"booked": 3}, lambda: site.counts(request))
    site.insist(lambda: site.producer.cancel(request))
    return request


def unsealed(site: Site, lane: str) -> uuid.UUID:
    """A page whose seal does not come."""
    body = bodies.page(lane=lane, to=bodies.numbers(3))
    app = site.producer._publisher.app
    app.send_task("every8d.accept", kwargs={"body": body}, queue=f"every8d.{lane}")
    request = uuid.UUID(body["request"])
    site.until(lambda: site.counts(request) == {"waiting": 3}, site.kinds)
    site.until(lambda: "request_abandoned" in site.kinds(), site.kinds, "sweep_staged")
    return request


def garbage(site: Site, lane: str) -> uuid.UUID:
    """A body that nobody can read, and a message after it."""
    app = site.producer._publisher.app
    app.send_task("every8d.accept", kwargs={"body": {"v": 1}}, queue=f"every8d.{lane}")
    site.until(lambda: "dead_letter" in site.kinds(), site.kinds)
    return one(site, lane)


def asking_credit(site: Site, lane: str) -> uuid.UUID:
    def asked() -> bool:
        return any(row.credit_ms for row in site.rows(tables.account))

    site.until(asked, lambda: "no credit", "check_credit")
    return one(site, lane)


def closing(site: Site, lane: str) -> uuid.UUID:
    """The session is closed once nobody uses it, and opened again for the next message."""
    one(site, lane)
    begun = len(site.started)
    site.until(
        lambda: site.control.calls("closeConnection") > 0 or len(site.started) > begun,
        lambda: "not closed",
        "close_idle_session",
    )
    return personal(site, lane)


def settled_meanwhile(site: Site, lane: str) -> uuid.UUID:
    """An operator says that a chunk was sent while its answer is still on the way."""
    request = one(site, lane)
    site.until(lambda: bool(site.rows(tables.chunk)), lambda: "no chunk")
    site.leases_end()
    site.until(lambda: site.rows(tables.chunk)[0].state == "unknown", lambda: "not unknown", "sweep_leases")
    [chunk] = site.rows(tables.chunk)
    name = operators.token.encode(chunk.id)
    operators.settle_unknown(site.database, name, "accept", batch_id=None, by="ann", why="the console")
    return request


def compared(site: Site, lane: str, text: str = TEXT) -> uuid.UUID:
    """The answer is lost, and the account's credit is held against what it was before."""

    def account() -> Any:
        return next(iter(site.rows(tables.account)), None)

    site.until(lambda: account() is not None and account().baseline_ms, lambda: "no baseline", "reconcile")
    site.control.fault("drop", "sends", when="after")
    request = one(site, lane, text=text)

    def looked() -> bool:
        chunks = site.rows(tables.chunk)
        return any(row.state == "accepted" or row.evidence is not None for row in chunks)

    site.until(looked, lambda: site.counts(request), "reconcile", "sweep_leases")
    return request


def not_to_be_compared(site: Site, lane: str) -> uuid.UUID:
    """The same, with a text whose price nobody can foretell."""
    return compared(site, lane, text="長" * 400)


def hearing(site: Site) -> None:
    """The gateway's callbacks are heard."""
    web = site.servers.enter_context(serving(site.environment["EVERY8D_DATABASE_URL"]))
    site.control.callback_to(web.url, retry_s=0.3)


def hearing_but_no_answer(site: Site) -> None:
    hearing(site)
    no_answer("sends")(site)


def answers(code: int, operation: str = "sends", count: int = 1) -> Callable[[Site], None]:
    return lambda site: site.control.fault("code", operation, code=code, count=count)


def no_answer(operation: str) -> Callable[[Site], None]:
    return lambda site: site.control.fault("drop", operation, when="after")


def wrong_before(site: Site) -> None:
    """Another password was refused before: the next login that is accepted closes the breaker."""
    accounts.ensure_accounts(site.database, ["default"])
    accounts.login_refused(site.database, "default", -100, "of another password", locked=False)


def unwanted(site: Site) -> None:
    site.control.fault("http", "sends", status=403, count=None)


def unblock(site: Site) -> None:
    """An operator, who has seen to it."""
    [account] = site.rows(tables.account)
    if account.breaker != "closed" or account.paused:
        site.control.clear_faults()
        operators.unblock_account(site.database, "default", by="ann", why="it was right")


def no_send_message(site: Site) -> None:
    site.control.fault("client_fault", "sendMessage", count=None)


#: Delivery statuses come by callback alone.
HEARD = {"callbacks": "true", "callback_secret": SECRET, "first_poll_s": "3600"}
EXCLUSIVE = {"exclusive": "true", "refunds": "false", "unknown_after_s": "0", "call_deadline_s": "5"}
COMPARING = (*SWEEPS, "reconcile")
SENDING = ("call.sendSMS", "settle.accepted")

WORKS: dict[str, Work] = {
    "one text": Work(
        one,
        (
            *(
                "account.ensure",
                "accept.whole",
                "session.begin_login",
                "call.getConnection",
                "session.end_login",
            ),
            *("send.claim", "call.sendSMS", "settle.accepted", "settle.note"),
            *("poll.claim", "call.getDeliveryStatus", "poll.last_page"),
        ),
    ),
    "pages": Work(pages, ("accept.page", "poll.page"), ({"delivered": 1100},), 1100),
    "personal texts": Work(personal, ("call.sendParamSMS",)),
    "a text with a validity": Work(short_lived, ("call.sendMessage",)),
    "a gateway without sendMessage": Work(
        short_lived, ("account.operation_off",), prepare=no_send_message, refused_first=True
    ),
    "a busy gateway": Work(
        one,
        ("settle.not_sent", "lane.failed", "lane.went_well"),
        # The task that accepts and the lane's keeper share the answers, and one of them must get all of its three.
        prepare=answers(-99, count=7),
        refused_first=True,
    ),
    "a refused text": Work(one, ("settle.refused",), prepare=answers(-306), refused_first=True),
    "a lost answer": Work(
        one, ("settle.unknown",), ({"unknown": 3},), prepare=no_answer("sends"), unknown=True
    ),
    "an answer after a decision": Work(
        settled_meanwhile,
        ("settle.late_answer",),
        ({"sent": 3}, {"delivered": 3}),
        prepare=lambda site: site.control.fault("delay", "sendSMS", delay_ms=3000, when="after"),
    ),
    "a poll that fails": Work(one, ("poll.postpone",), prepare=no_answer("getDeliveryStatus")),
    "a refused login": Work(
        one, ("session.refused",), prepare=answers(-101, "getConnection"), while_waiting=unblock
    ),
    "a right password again": Work(one, ("session.accepted",), prepare=wrong_before),
    "another system's login": Work(one, ("session.contended",), prepare=answers(-301), refused_first=True),
    "an unwanted account": Work(
        one, ("account.pause",), prepare=unwanted, while_waiting=unblock, refused_first=True
    ),
    "a booking cancelled": Work(
        booking, ("cancel.stop", "cancel.claim", "call.eraseBooking", "cancel.erased"), ({"cancelled": 3},), 0
    ),
    "a booking that cannot be erased now": Work(
        booking, ("cancel.ended",), ({"cancelled": 3},), 0, prepare=answers(-8, "eraseBooking")
    ),
    "an unsealed request": Work(unsealed, ("accept.abandon",), ({"waiting": 3},), 0),
    "an unreadable body": Work(garbage, ("accept.dead_letter",)),
    "the credit": Work(asking_credit, ("call.getCredit",)),
    "callbacks": Work(one, ("callback.match", *SENDING), prepare=hearing, proven=True, account=HEARD),
    "a lost answer that a callback proves": Work(
        one, ("callback.match",), prepare=hearing_but_no_answer, unknown=True, proven=True, account=HEARD
    ),
    "a lost answer that the credit proves": Work(
        compared,
        ("gate.open",),
        ({"sent": 3},),
        unknown=True,
        proven=True,
        account=EXCLUSIVE,
        bells=COMPARING,
    ),
    "a lost answer that the credit does not prove": Work(
        not_to_be_compared,
        ("reconcile.mark",),
        ({"unknown": 3},),
        unknown=True,
        account=EXCLUSIVE,
        bells=COMPARING,
    ),
    "a booking of an exclusive account": Work(
        booking, ("cancel.begin",), ({"cancelled": 3},), 0, account=EXCLUSIVE
    ),
    "an idle session": Work(closing, ("call.closeConnection",), sent=6, account={"close_idle_min": "0.0005"}),
}
