"""Poison in the queues: whatever anybody has put there, the workers live, show nothing of it, and go on sending."""

import json
import uuid
from base64 import b64encode
from typing import Any

import pytest

from tests.support.system import System, running
from tests.support.waiting import wait_for
from worker.engine import make_redis
from worker.ledger.queries import dead_bodies

TEXT = "只給您看的內容"
NUMBER = "912345678"
#: What a log must not show of all that: colours, and a line that nobody wrote.
MARK = "\x1b[31mHOSTILE\n2026-01-01 FAKE"
QUEUES = ("every8d.otp", "every8d.status")


def envelope(body: bytes | str, *, task: Any = "every8d.accept", **more: Any) -> str:
    """A task as kombu puts it into a list of Redis; `more` replaces parts of the envelope."""
    name = str(uuid.uuid4())
    content = body.encode() if isinstance(body, str) else body
    headers = {"lang": "py", "task": task, "id": name, "root_id": name, "argsrepr": f"{TEXT} +886{NUMBER}"}
    properties = {
        "correlation_id": name,
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": QUEUES[0]},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": name,
    }
    whole = {
        "body": b64encode(content).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": properties,
    }
    return json.dumps(whole | more)


def call(*args: Any, **kwargs: Any) -> str:
    return json.dumps([args, kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])


SECRET = {"to": f"+886{NUMBER}", "text": TEXT, "mark": MARK}
POISON = {
    "no body of ours": envelope(call(SECRET)),
    "two arguments": envelope(call(SECRET, SECRET)),
    "an unknown argument": envelope(call(text=TEXT, mark=MARK)),
    "no arguments": envelope(call()),
    "lists in lists": envelope("[" * 100_000 + "]" * 100_000),
    "a body of lists in lists": envelope(f"[[{'[' * 500}{']' * 500}], {{}}, {{}}]"),
    "no JSON": envelope(f"{{{TEXT} {MARK}"),
    "JSON that is no call": envelope(json.dumps(SECRET)),
    "a number that is no call": envelope("1"),
    "no UTF-8": envelope(b'["\xff\xfe"]'),
    "pickle": envelope(
        b"cos\nsystem\n(S'touch /tmp/e8d-poisoned'\ntR.", **{"content-type": "application/x-python-serialize"}
    ),
    "yaml": envelope("!!python/object/apply:os.system ['true']", **{"content-type": "application/x-yaml"}),
    "no such content": envelope(call(SECRET), **{"content-type": MARK}),
    "no such encoding": envelope(call(SECRET), **{"content-encoding": MARK}),
    "compressed by nothing": envelope(
        call(SECRET), headers={"task": "every8d.accept", "id": "1", "compression": "x"}
    ),
    "no such task": envelope(call(SECRET), task="every8d.acept"),
    "a task of a strange name": envelope(call(SECRET), task=MARK),
    "a task without a name": envelope(call(SECRET), task=None),
    "nothing": envelope("null"),
    "a task of a name that is a list": envelope(call(SECRET), task=["every8d.accept"]),
    "no headers": envelope(call(SECRET), headers={}),
    "an old protocol": envelope(
        json.dumps({"task": "every8d.accept", "id": "1", "args": [SECRET], "kwargs": {}}), headers={}
    ),
    "a lane that there is not": envelope(call("default", MARK), task="every8d.dispatch"),
    "an account that there is not": envelope(call(MARK, "otp"), task="every8d.dispatch"),
    "a request that is none": envelope(call(MARK), task="every8d.status"),
    "a megabyte": envelope(call({"text": "x" * 1_000_000})),
}


TASKS_OF_OURS = {"a lane that there is not", "an account that there is not", "a request that is none"}


@pytest.fixture(scope="module")
def system() -> Any:
    with running("sqlite", warm=False) as one:
        yield one


@pytest.mark.timeout(240)
def test_poison_kills_no_worker_and_is_not_shown(system: System) -> None:
    redis = make_redis(system.settings)
    for queue in QUEUES:
        for message in POISON.values():
            redis.lpush(queue, message)
    for lane in ("otp", "normal", "bulk"):
        system.producer.send("0911000000", f"still there, {lane}", lane=lane, confirm=True)
    wait_for(lambda: system.control.summary().total == 3, within_s=60)
    wait_for(
        lambda: not any(redis.llen(queue) for queue in QUEUES), within_s=30, what="the queues are drained"
    )
    assert not any(system.supervisor.deaths().values())
    # What is no task is kept, and told; what is a task of ours, but of nothing that there is, does nothing.
    kept = len(QUEUES) * (len(POISON) - len(TASKS_OF_OURS))
    wait_for(lambda: len(dead_bodies(system.database, limit=1000)) == kept, what="dead letters")
    written = system.log.read_text()
    for secret in (TEXT, NUMBER, "\x1b[31mH", "\n2026-01-01 FAKE"):
        assert secret not in written
