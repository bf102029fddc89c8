"""The main job by real processes: enqueued, sent, followed; counted by the emulator, not by us."""

from collections.abc import Iterator

import pytest

from every8d import Producer
from tests.support import bodies
from tests.support.system import System, running
from tests.support.waiting import wait_for
from worker.ledger import queries
from worker.system import processes

DATABASES = ["sqlite", "postgres"]


def mobiles(count: int, first: int) -> Iterator[str]:
    return (f"09{first + place:08d}" for place in range(count))


def assert_all_delivered_once(system: System, count: int, *, calls: int) -> None:
    request = system.producer.send_many(mobiles(count, 20_000_000), text="會員日全館八折", confirm=True)
    final = wait_for(
        lambda: (found := system.producer.status(request.request_id)).final and found,
        within_s=90,
        what="every message final",
    )
    assert final.messages["delivered"] == count
    assert final.cost == count
    summary = system.control.summary()
    assert (summary.total, summary.distinct, summary.doubled_count) == (count, count, 0)
    assert system.control.logins() == 1
    assert system.control.calls("sendSMS") == calls


@pytest.mark.parametrize("db", DATABASES)
def test_ten_thousand_recipients_are_sent_once_and_followed_to_the_end(db: str) -> None:
    with running(db, first_poll_s=1, warm=False) as system:
        assert_all_delivered_once(system, 10_000, calls=20)


@pytest.mark.parametrize("db", DATABASES)
def test_a_batch_of_2500_is_followed_over_three_pages(db: str) -> None:
    with running(db, first_poll_s=1, chunk_size=2500, warm=False) as system:
        # All of it is there before the first chunk is packed, so that chunks are full.
        assert_all_delivered_once(system, 2500 * 4, calls=4)
        # Three pages of each of the four batches.
        assert system.control.calls("getDeliveryStatus") >= 4 * 3


def test_a_gateway_that_is_down_costs_time_and_no_message() -> None:
    with running("sqlite", retry_ceiling_s=1, first_poll_s=1) as system:
        system.control.down(4)
        wait_for(lambda: not processes.listens(system.emulator.port))
        receipt = system.producer.send("0912000001", "您好", lane="normal", confirm=True)
        wait_for(lambda: system.producer.status(receipt.request_id).final, within_s=30)
        assert [one["executions"] for one in system.control.sent(number="+886912000001")] == [1]
        kinds = {event.kind for event in queries.events(system.database)}
        assert "gateway_unreachable" in kinds
        assert "chunk_unknown" not in kinds


def test_a_wrong_password_is_tried_once_by_all_workers_together_and_after_a_restart() -> None:
    with running("sqlite", password="wrong", warm=False) as system:
        receipts = [
            system.producer.send(number, "您好", lane=lane, confirm=True)
            for number, lane in zip(mobiles(9, 30_000_000), ["otp", "normal", "bulk"] * 3, strict=True)
        ]
        events = wait_for(lambda: queries.events(system.database, kind="account_blocked"), what="an event")
        assert [(event.account, event.severity) for event in events] == [("default", "alert")]
        assert "default" in events[0].text
        before = system.supervisor.pids()
        for name in ("otp", "normal", "bulk", "status"):
            system.kill(name)
        wait_for(lambda: _restarted(system, before))
        receipts.append(system.producer.send("0930000099", "您好", lane="otp", confirm=True))
        assert system.control.stats()["refused_logins"] == 1
        assert system.handed_over() == 0
        assert all(system.producer.status(one.request_id).messages["waiting"] == 1 for one in receipts)


def _restarted(system: System, before: dict[str, int]) -> bool:
    now = system.supervisor.pids()
    return all(name in now and now[name] != before[name] for name in ("otp", "normal", "bulk", "status"))


def test_what_anybody_publishes_is_sent_or_a_dead_letter_and_not_retried() -> None:
    with running("sqlite") as system:
        app = Producer(system.settings.broker_url)._publisher.app
        app.send_task(
            "every8d.accept", kwargs={"body": {"v": 1, "to": "+886912345678"}}, queue="every8d.normal"
        )
        app.send_task("every8d.accept", args=[["not", "a", "body"]], queue="every8d.bulk")
        app.send_task("every8d.accept", kwargs={"bdy": {"to": "+886912345678"}}, queue="every8d.normal")
        dead = wait_for(lambda: len(found := queries.dead_bodies(system.database)) == 3 and found)
        assert all(one.reason and "912345678" not in one.reason for one in dead)
        receipt = system.producer.send("0912000002", "您好", confirm=True)
        wait_for(lambda: system.control.sent(number="+886912000002"))
        assert receipt.confirmed
        # Celery's own queue: where a publisher that names none of ours puts it.
        foreign = bodies.sealed(bodies.page(to=["+886912000003"]))
        app.send_task("every8d.accept", kwargs={"body": foreign}, queue="celery")
        wait_for(lambda: system.control.sent(number="+886912000003"))
        assert len(queries.dead_bodies(system.database)) == 3
        assert "912345678" not in system.log.read_text()


def test_workers_killed_in_the_middle_lose_and_double_nothing() -> None:
    with running("sqlite", latency_ms=30, chunk_size=50, first_poll_s=1) as system:
        before = system.handed_over()
        receipt = system.producer.send_many(mobiles(3000, 40_000_000), text="週年慶", confirm=True)
        wait_for(lambda: system.handed_over() - before > 300)
        system.kill("bulk")
        wait_for(
            lambda: (
                sum(
                    count
                    for state, count in system.producer.status(receipt.request_id).messages.items()
                    if state in ("waiting",)
                )
                == 0
            ),
            within_s=60,
        )
        summary = system.control.summary()
        assert summary.doubled_count == 0
        found = system.producer.status(receipt.request_id).messages
        # What was under way when its worker died is not known, and is not sent again by itself.
        uncertain = found["submitting"] + found["unknown"]
        # Four of the dead worker, whose places are theirs for some seconds, and four of the new one.
        assert uncertain <= 50 * 8
        assert summary.accepted - before >= 3000 - uncertain
