"""The gateway in memory: what users' tests stand on."""

import sys
from datetime import datetime, timedelta
from decimal import Decimal
from subprocess import run

import pytest

from every8d.contentxml import Recipient, build
from every8d.errors import (
    Busy,
    InvalidInput,
    InvalidNumber,
    InvalidText,
    MessageFault,
    OutcomeUnknown,
    PastTime,
    SessionGone,
    Unreachable,
)
from every8d.testing import FakeGateway, SentMessage
from every8d.times import TAIPEI

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=TAIPEI)


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway(points=10, clock=lambda: NOW)


def test_the_fixture_of_the_plugin(every8d_gateway: FakeGateway) -> None:
    reply = every8d_gateway.send("0912-345-678", "Hello")
    assert every8d_gateway.texts_to("0912345678") == ["Hello"]
    assert every8d_gateway.sent == [SentMessage("+886912345678", "Hello", batch_id=reply.batch_id)]
    assert every8d_gateway.credit() == Decimal("999.00")


def test_a_number_given_twice_gets_it_once(gateway: FakeGateway) -> None:
    reply = gateway.send(["0912345678", "+886 912345678", "0922333444"], "Hello")
    assert (reply.sended, reply.cost) == (2, 2)


def test_validity_and_time_reach_the_record(gateway: FakeGateway) -> None:
    at = NOW + timedelta(hours=1)
    gateway.send("0912345678", "Hello", subject="s", send_at=at.replace(tzinfo=None), validity=5)
    assert gateway.sent[0][:5] == ("+886912345678", "Hello", "s", at, 5)
    assert gateway.calls == {"getConnection": 1, "sendMessage": 1}


def test_personal_texts(gateway: FakeGateway) -> None:
    key = gateway.get_connection()
    rows = [
        Recipient("+886912345678", "a]]>b", "Wang"),
        Recipient("+886922333444", "c", email="c@example.com"),
    ]
    gateway.send_param_sms(key, subject="", content_xml=build(rows))
    assert [(m.to, m.text, m.name, m.email) for m in gateway.sent] == [
        ("+886912345678", "a]]>b", "Wang", ""),
        ("+886922333444", "c", "", "c@example.com"),
    ]


def test_without_credit_the_rest_stays_unsent(gateway: FakeGateway) -> None:
    reply = gateway.send([f"09123456{n:02d}" for n in range(12)], "Hello")
    assert (reply.sended, reply.unsend, reply.credit) == (10, 2, 0)
    assert [row.status for row in gateway.status(reply.batch_id).rows].count(301) == 2


def test_delivery_and_replies(gateway: FakeGateway) -> None:
    batch_id = gateway.send("0912345678", "Hello").batch_id
    assert gateway.status(batch_id).rows[0].status == 0
    gateway.deliver("0912345678", 103)
    gateway.reply("0912345678", "<no> & thanks")
    row = gateway.status(batch_id).rows[0]
    assert row.status == 103
    assert [(reply.time, reply.text) for reply in row.replies] == [(NOW, "<no> & thanks")]


def test_a_booking_is_cancelled_once_and_its_points_come_back(gateway: FakeGateway) -> None:
    batch_id = gateway.send("0912345678", "Hello", send_at=NOW + timedelta(hours=1)).batch_id
    assert gateway.credit() == 9
    erased = gateway.cancel(batch_id)
    assert erased is not None
    assert (erased.count, erased.points, gateway.credit()) == (1, 1, 10)
    assert gateway.status(batch_id).rows[0].status == 303
    with pytest.raises(MessageFault):
        gateway.cancel(batch_id)
    assert gateway.cancel("220478cc-8506-49b2-93b7-2505f651c12e") is None


def test_every_page_of_a_long_batch(gateway: FakeGateway) -> None:
    gateway.points = Decimal(5000)
    mobiles = [f"+8869{n:08d}" for n in range(10_000_000, 10_002_500)]
    reply = gateway.send_sms(gateway.get_connection(), subject="", content="x", mobiles=mobiles)
    page = gateway.status(reply.batch_id)
    assert page.count == 2500
    assert [row.mobile for row in page.rows] == mobiles
    assert gateway.calls["getDeliveryStatus"] == 3


def test_a_lost_session_is_renewed_once(gateway: FakeGateway) -> None:
    gateway.credit()
    gateway.expire_session()
    gateway.send("0912345678", "Hello")
    assert gateway.calls["getConnection"] == 2
    gateway.outcomes(-301, -301, operation="sendSMS")
    with pytest.raises(SessionGone):
        gateway.send("0912345678", "Hello")
    assert len(gateway.sent) == 1


@pytest.mark.parametrize(
    ("outcome", "cls"),
    [
        (-99, Busy),
        (-306, MessageFault),
        (Unreachable, Unreachable),
        (OutcomeUnknown, OutcomeUnknown),
        ("<html>", OutcomeUnknown),
        ("", OutcomeUnknown),
    ],
)
@pytest.mark.parametrize("executed", [True, False])
def test_scripted_outcomes_come_once_and_are_not_repeated(
    gateway: FakeGateway, outcome: int | str | type[Unreachable], cls: type[Exception], executed: bool
) -> None:
    gateway.outcomes(outcome, executed=executed)
    with pytest.raises(cls):
        gateway.send("0912345678", "Hello")
    assert gateway.calls["sendSMS"] == 1
    assert len(gateway.sent) == executed
    gateway.send("0912345678", "Hello again")
    assert len(gateway.sent) == executed + 1


def test_a_refused_login_is_not_tried_again(gateway: FakeGateway) -> None:
    gateway.outcomes("-101,密碼錯誤", operation="getConnection")
    errors = []
    for _ in range(3):
        with pytest.raises(Exception, match="-101") as caught:
            gateway.send("0912345678", "Hello")
        errors.append(caught.value)
    assert gateway.calls == {"getConnection": 1}
    assert len(set(map(id, errors))) == 3


@pytest.mark.parametrize(
    ("arguments", "cls"),
    [
        ({"to": "02-2345-6789", "text": "x"}, InvalidNumber),
        ({"to": "+85291234567", "text": "x"}, InvalidNumber),
        ({"to": [], "text": "x"}, InvalidNumber),
        ({"to": "0912345678", "text": " "}, InvalidText),
        ({"to": "0912345678", "text": "\ud800"}, InvalidText),
        ({"to": "0912345678", "text": "x", "send_at": NOW}, PastTime),
        ({"to": "0912345678", "text": "x", "send_at": NOW - timedelta(days=1)}, PastTime),
        ({"to": "0912345678", "text": "x", "validity": 0}, InvalidInput),
        ({"to": [f"09{n:08d}" for n in range(10_000_000, 10_000_501)], "text": "x"}, InvalidInput),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(
    gateway: FakeGateway, arguments: dict[str, object], cls: type[Exception]
) -> None:
    with pytest.raises(cls) as caught:
        gateway.send(**arguments)  # type: ignore[arg-type]  # wrong on purpose
    assert type(caught.value) is cls
    assert "sendSMS" not in gateway.calls


def test_a_bad_number_is_named_by_its_place(gateway: FakeGateway) -> None:
    with pytest.raises(InvalidNumber, match=r"^row 2: "):
        gateway.send(["0912345678", "nonsense"], "x")
    with pytest.raises(InvalidNumber) as caught:
        gateway.send_sms(
            "k", subject="", content="x", mobiles=["+886912345678", "+886912345678,+886922333444"]
        )
    assert caught.value.row == 2


@pytest.mark.parametrize("bad", ["a\nb", "\x00", "\ud800"])
def test_what_xml_cannot_carry_never_leaves(bad: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        FakeGateway(bad, "p")
    assert bad not in str(caught.value)
    with pytest.raises(InvalidInput):
        FakeGateway("u", bad)
    with pytest.raises(InvalidInput):
        FakeGateway().get_credit(bad)
    with pytest.raises(InvalidInput):
        FakeGateway().erase_booking("key", bad)


def test_the_plugin_loads_nothing_heavy() -> None:
    code = "import every8d.testing.plugin, sys; print(*sys.modules)"
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "every8d.testing.plugin" in loaded
    assert not loaded & {"lxml", "zeep", "phonenumbers", "celery", "every8d.testing.fake"}
