"""Callbacks through the real processes: the web stores, the status process matches, an unknown chunk settles itself."""

import os

from tests.support import inbox
from tests.support.console import TEXT, Console
from tests.support.system import running
from tests.support.waiting import wait_for
from worker.system import processes

SECRET = "a-secret-that-the-emulator-knows"
MESSAGES = 30


def test_a_send_whose_answer_was_lost_is_settled_by_callbacks() -> None:
    port = processes.free_port(0)
    with running(
        "sqlite",
        settings={"look_interval_s": "0.2", "web_port": str(port)},
        callbacks="true",
        callback_secret=SECRET,
        reply_window_h=72,
        warm=False,
    ) as system:
        system.supervisor.start([processes.web(dict(os.environ))])
        url = f"http://127.0.0.1:{port}{processes.CALLBACKS_PATH}{SECRET}"
        system.control.callback_to(url, retry_s=0.2, retries=50)
        system.control.switch(callback_copies=2)
        system.control.fault("drop", "sendSMS", when="after", count=1)
        console = Console(system)
        numbers = [console.number() for _ in range(MESSAGES)]
        request = system.producer.send(numbers, TEXT, confirm=True).request_id
        wait_for(
            lambda: system.producer.status(request).messages["delivered"] == MESSAGES,
            within_s=60,
            what="a status process that has started, and its matching",
        )
        # Nothing was polled, and nothing was sent again.
        assert system.control.calls("getDeliveryStatus") == 0
        assert (system.control.summary().total, system.control.summary().doubled_count) == (MESSAGES, 0)
        assert console.ask("unknown")["chunks"] == []
        settled = console.ask("events", "--kind", "chunk_settled")["events"]
        assert len(settled) == 1
        wait_for(lambda: system.control.callbacks()["pending"] == 0, what="the last callbacks")
        wait_for(lambda: console.ask("callbacks")["waiting"] == 0, what="the last matching")
        assert console.ask("callbacks")["unmatched"] == 0
        assert [row.state for row in inbox.rows(system.database)] == ["matched"] * MESSAGES
