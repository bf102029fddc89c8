"""The gateway client against the emulator: every operation, both SOAP versions, every fault, many threads."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest

from every8d.contentxml import Recipient, build
from every8d.emulator.control import Control
from every8d.emulator.process import EmulatorProcess
from every8d.errors import (
    AccountFault,
    Busy,
    GatewayError,
    MessageFault,
    OutcomeUnknown,
    Rejected,
    SessionGone,
    Unreachable,
)
from every8d.gateway import Gateway
from every8d.times import TAIPEI

NUMBER = "+886912345678"


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorProcess]:
    with EmulatorProcess() as process:
        yield process


@pytest.fixture
def control(emulator: EmulatorProcess) -> Control:
    emulator.control.reset()
    return emulator.control


@pytest.fixture(params=["1.1", "1.2"])
def gateway(control: Control, request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with Gateway("demo", "demo", url=control.gateway_url, soap=request.param, deadline_s=10.0) as made:
        yield made


@pytest.fixture
def key(gateway: Gateway) -> str:
    return gateway.get_connection()


def send(gateway: Gateway, key: str, *mobiles: str, text: str = "Hello 您好") -> str:
    return gateway.send_sms(key, subject="token", content=text, mobiles=mobiles or [NUMBER]).batch_id


def test_send_sms(gateway: Gateway, key: str, control: Control) -> None:
    before = gateway.get_credit(key)
    reply = gateway.send_sms(key, subject="s", content="字" * 71, mobiles=[NUMBER, "0922333444"])
    assert (reply.sended, reply.unsend, reply.cost) == (2, 0, 4)
    assert reply.credit == before - 4 == gateway.get_credit(key)
    sent = control.sent(batch=reply.batch_id, text=True)
    assert {(one["number"], one["text"], one["subject"]) for one in sent} == {
        (NUMBER, "字" * 71, "s"),
        ("+886922333444", "字" * 71, "s"),
    }


@pytest.mark.parametrize(
    "text", ["a\r\nb\rc", "]]>&<>\"'", " padded ", "😀𠮷", "tab\tbed", "bell\x07", "&amp;"]
)
def test_a_text_arrives_as_it_is_priced(gateway: Gateway, key: str, control: Control, text: str) -> None:
    batch_id = send(gateway, key, text=text)
    clean = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x07", "")
    assert [one["text"] for one in control.sent(batch=batch_id, text=True)] == [clean]
    other = gateway.send_param_sms(key, subject="", content_xml=build([Recipient(NUMBER, text)]))
    assert [one["text"] for one in control.sent(batch=other.batch_id, text=True)] == [clean]


def test_send_message(gateway: Gateway, key: str, control: Control) -> None:
    reply = gateway.send_message(key, subject="", content="x", mobiles=[NUMBER], validity=30)
    assert reply.sended == 1
    assert control.summary().total == 1


def test_send_message_where_the_gateway_has_none(gateway: Gateway, key: str, control: Control) -> None:
    control.switch(send_message=False)
    with pytest.raises(Rejected) as caught:
        gateway.send_message(key, subject="", content="x", mobiles=[NUMBER], validity=30)
    assert caught.value.fault
    assert control.summary().total == 0


def test_send_param_sms(gateway: Gateway, key: str, control: Control) -> None:
    later = datetime.now(TAIPEI) + timedelta(hours=2)
    rows = [
        Recipient(NUMBER, "one", name='"Wang" & <Co>', email="w@example.com"),
        Recipient("+886922333444", "two", send_time=later),
    ]
    reply = gateway.send_param_sms(key, subject="s", content_xml=build(rows))
    assert reply.sended == 2
    stored = control.sent(batch=reply.batch_id, text=True, everything=True)
    assert [(one["number"], one["text"], one["name"], one["email"]) for one in stored] == [
        (NUMBER, "one", '"Wang" & <Co>', "w@example.com"),
        ("+886922333444", "two", "", ""),
    ]
    assert control.summary().booked == 1


def test_delivery_status_over_three_pages(gateway: Gateway, key: str, control: Control) -> None:
    mobiles = [f"+8869{n:08d}" for n in range(10_000_000, 10_002_500)]
    batch_id = send(gateway, key, *mobiles)
    pages = [gateway.get_delivery_status(key, batch_id, page) for page in (1, 2, 3)]
    assert [len(page.rows) for page in pages] == [1000, 1000, 500]
    assert {page.count for page in pages} == {2500}
    rows = [row for page in pages for row in page.rows]
    assert sorted(row.mobile for row in rows) == mobiles
    assert all(row.cost == 1 and row.sent_time is not None and row.status is not None for row in rows)


def test_delivery_and_a_reply(gateway: Gateway, key: str, control: Control) -> None:
    control.network(deliver_after_s=0, reply_permille=1000)
    batch_id = send(gateway, key)
    control.advance(3600)
    # The gateway's midnight may lie between, and with it the end of the key.
    row = gateway.get_delivery_status(gateway.get_connection(), batch_id).rows[0]
    assert (row.status, len(row.replies) >= 1) == (100, True)
    assert row.replies[0].time is not None
    assert row.replies[0].text


def test_a_booking_is_erased_and_its_points_come_back(gateway: Gateway, key: str) -> None:
    later = datetime.now(TAIPEI) + timedelta(hours=2)
    reply = gateway.send_sms(key, subject="", content="x", mobiles=[NUMBER], send_time=later)
    erased = gateway.erase_booking(key, reply.batch_id)
    assert erased is not None
    assert (erased.count, erased.points) == (1, Decimal(1))
    assert gateway.get_delivery_status(key, reply.batch_id).rows[0].status == 303
    with pytest.raises(MessageFault) as caught:
        gateway.erase_booking(key, reply.batch_id)
    assert caught.value.code == -4
    assert gateway.erase_booking(key, "220478cc-8506-49b2-93b7-2505f651c12e") is None


def test_a_closed_session_is_gone_for_every_operation(gateway: Gateway, key: str) -> None:
    batch_id = send(gateway, key)
    assert gateway.close_connection(key) is True
    content_xml = build([Recipient(NUMBER, "x")])
    for call in (
        partial(send, gateway, key),
        lambda: gateway.send_message(key, subject="", content="x", mobiles=[NUMBER], validity=1),
        lambda: gateway.send_param_sms(key, subject="", content_xml=content_xml),
        lambda: gateway.get_delivery_status(key, batch_id),
        partial(gateway.get_credit, key),
        lambda: gateway.erase_booking(key, batch_id),
    ):
        with pytest.raises(SessionGone) as caught:
            call()
        assert caught.value.code == -301


@pytest.mark.parametrize(
    ("user_id", "password", "code"), [("demo", "wrong", -101), ("nobody", "x", -100), ("", "", -300)]
)
def test_a_refused_login_is_asked_once(control: Control, user_id: str, password: str, code: int) -> None:
    with Gateway(user_id, password, url=control.gateway_url) as gateway:
        for _ in range(3):
            with pytest.raises(AccountFault) as caught:
                gateway.send(NUMBER, "x")
            assert caught.value.code == code
            assert not caught.value.locked
    assert control.stats()["refused_logins"] == 1


def test_a_locked_account(control: Control) -> None:
    control.lock()
    with Gateway("demo", "demo", url=control.gateway_url) as gateway, pytest.raises(AccountFault) as caught:
        gateway.credit()
    assert caught.value.locked


CODES = [
    (-24, MessageFault),
    (-41, MessageFault),
    (-97, Busy),
    (-99, Busy),
    (-290, MessageFault),
    (-301, SessionGone),
]


@pytest.mark.parametrize(("code", "cls"), [*CODES, (-306, MessageFault), (-999, AccountFault)])
def test_codes(gateway: Gateway, key: str, control: Control, code: int, cls: type[GatewayError]) -> None:
    control.fault("code", "sends", code=code)
    with pytest.raises(GatewayError) as caught:
        send(gateway, key)
    assert type(caught.value) is cls
    assert caught.value.code == code
    assert control.summary().total == 0


FAULTS = [
    ("drop", {}, OutcomeUnknown),
    ("reset", {}, OutcomeUnknown),
    ("stall", {}, OutcomeUnknown),
    ("hang_up", {}, OutcomeUnknown),
    ("half_body", {}, OutcomeUnknown),
    ("drip", {"delay_ms": 100.0}, OutcomeUnknown),
    ("html", {}, OutcomeUnknown),
    ("empty", {}, OutcomeUnknown),
    ("truncated", {}, OutcomeUnknown),
    ("result", {"text": "system busy"}, OutcomeUnknown),
    ("server_fault", {}, OutcomeUnknown),
    ("client_fault", {}, Rejected),
    *[("http", {"status": status}, OutcomeUnknown) for status in (400, 408, 500, 502, 503, 504)],
    *[("http", {"status": status}, Rejected) for status in (403, 404, 405, 407, 413, 415, 429)],
]


@pytest.mark.parametrize(("kind", "more", "cls"), FAULTS, ids=str)
def test_faults(
    gateway: Gateway, key: str, control: Control, kind: str, more: dict[str, float], cls: type[GatewayError]
) -> None:
    control.fault(kind, "sends", **more)
    with pytest.raises(GatewayError) as caught:
        gateway.send_sms(key, subject="", content="x", mobiles=[NUMBER], deadline_s=0.6)
    assert type(caught.value) is cls
    assert [fault["hits"] for fault in control.faults()] == [1]
    # The connection that failed harms nobody after it.
    assert send(gateway, key, text="y")


def test_an_emulator_that_is_gone() -> None:
    with EmulatorProcess() as process:
        url = process.control.gateway_url
        with Gateway("demo", "demo", url=url) as gateway:
            gateway.credit()
            process.stop()
            with pytest.raises(Unreachable):
                gateway.credit()


def test_three_lines(control: Control) -> None:
    with Gateway("demo", "demo", url=control.gateway_url) as gateway:
        reply = gateway.send(["0912-345-678", "0922333444"], "Hello")
        control.void_keys()
        assert gateway.status(reply.batch_id).count == 2
        assert gateway.credit() == reply.credit
    assert control.logins() == 2


def test_many_threads_share_one_gateway(gateway: Gateway, key: str, control: Control) -> None:
    def work(thread: int) -> set[str]:
        return {
            gateway.send_sms(
                key, subject="", content=f"t{thread} c{call}", mobiles=[f"+8869{thread:04d}{call:04d}"]
            ).batch_id
            for call in range(20)
        }

    with ThreadPoolExecutor(16) as pool:
        batches = [batch for done in pool.map(work, range(16)) for batch in done]
    assert len(set(batches)) == 320
    summary = control.summary()
    assert (summary.total, summary.distinct, summary.doubled_count) == (320, 320, 0)
    texts = {(one["number"], one["text"]) for one in control.sent(text=True)}
    assert texts == {(f"+8869{t:04d}{c:04d}", f"t{t} c{c}") for t in range(16) for c in range(20)}


def test_threads_without_a_session_log_in_once(control: Control) -> None:
    with Gateway("demo", "demo", url=control.gateway_url) as gateway, ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: gateway.send(f"09{n:08d}", "x"), range(10_000_000, 10_000_064)))
    assert control.logins() == 1
    assert control.summary().total == 64
