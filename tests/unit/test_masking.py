"""A task as a worker shows it: never with what a publisher put into it."""

from typing import Any

import pytest
from celery import Celery
from kombu.serialization import dumps

from worker.masking import MASKED, MaskedRequest

SECRET = "0912345678 的驗證碼"


class Delivered:
    """A message as kombu hands it to a worker."""

    def __init__(self, headers: dict[str, Any], properties: dict[str, Any], body: Any) -> None:
        self.headers, self.properties = headers, properties
        self.content_type, self.content_encoding, self.body = dumps(body, "json")
        self.delivery_info: dict[str, Any] = {"exchange": "", "routing_key": "every8d.bulk"}
        self.payload = body
        self.acknowledged = False


@pytest.fixture
def received() -> MaskedRequest:
    """An accept task of a foreign publisher, whose argsrepr is in clear."""
    app = Celery("test", set_as_current=False)

    @app.task(name="every8d.accept", shared=False)
    def accept(body: Any) -> None:
        """Never called."""

    made = app.amqp.as_task_v2(
        "an-id", accept.name, args=[SECRET], kwargs={"body": SECRET}, argsrepr=SECRET, kwargsrepr=SECRET
    )
    assert SECRET in str(made.headers)
    message = Delivered(made.headers, made.properties, made.body)
    return MaskedRequest(message, app=app, task=accept, hostname="normal@host", connection_errors=())


def test_everything_that_describes_it_is_masked(received: MaskedRequest) -> None:
    shown = [received.argsrepr, received.kwargsrepr, repr(received), str(received), received.humaninfo()]
    shown += [str(received.info()), str(received.info(safe=True))]
    assert not any(SECRET in one or "0912345678" in one for one in shown)
    assert (received.argsrepr, received.kwargsrepr, received.info()["args"]) == (MASKED, MASKED, MASKED)


def test_the_task_itself_still_gets_its_arguments(received: MaskedRequest) -> None:
    assert (received.args, received.kwargs) == ([SECRET], {"body": SECRET})
    assert (received.name, received.id) == ("every8d.accept", "an-id")


def test_the_worker_uses_it_for_every_task() -> None:
    from config import Settings
    from worker.celery import make_app

    app = make_app(Settings(broker_url="redis://127.0.0.1:1/0"))
    app.loader.import_default_modules()
    ours = [task for name, task in app.tasks.items() if name.startswith("every8d.")]
    assert len(ours) >= 10
    assert {task.Request for task in ours} == {MaskedRequest}
