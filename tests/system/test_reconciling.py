"""A whole system settles what its gateway left unsaid: nobody asks for it, and nothing goes out twice."""

import pytest
from sqlalchemy import select

from tests.support import bodies
from tests.support.system import running
from tests.support.waiting import wait_for
from worker.ledger.tables import account, chunk


@pytest.mark.slow
def test_the_credit_settles_what_was_sent_and_what_was_not() -> None:
    with running("postgres", exclusive="true", refunds="false", unknown_after_s="1") as system:

        def baseline() -> int | None:
            with system.database.read() as connection:
                found: int | None = connection.scalar(select(account.c.baseline_ms))
                return found

        wait_for(baseline, what="a baseline")
        before = system.control.summary().total
        numbers = bodies.numbers(4, 500)
        system.control.fault("drop", "sends", when="before")
        lost = system.producer.send(numbers[:1], "您的驗證碼", lane="otp", confirm=True).request_id
        wait_for(lambda: system.producer.status(str(lost)).messages["unknown"], what="the first one unknown")
        system.control.fault("drop", "sends", when="after")
        sent = system.producer.send(numbers[1:], "您的包裹已到", lane="otp", confirm=True).request_id
        for request, count in ((lost, 1), (sent, 3)):
            wait_for(
                lambda request=request, count=count: (
                    system.producer.status(str(request)).messages["sent"]  # type: ignore[misc]
                    == count
                ),
                within_s=60,
                what="settled",
            )
        with system.database.read() as connection:
            rows = connection.execute(
                select(chunk.c.state, chunk.c.settled_by)
                .where(chunk.c.settled_by.is_not(None))
                .order_by(chunk.c.id)
            ).all()
        assert [tuple(row) for row in rows] == [("not_sent", "credit"), ("accepted", "credit")]
        summary = system.control.summary()
        assert (summary.total - before, summary.doubled_count) == (4, 0)
