"""Another program's worker on the same Redis: it takes from `celery`, and its visibility timeout is short."""

import os

from celery import Celery

app = Celery("doctor_stranger", broker=os.environ["STRANGER_BROKER"])
app.conf.update(broker_transport_options={"visibility_timeout": 60}, task_default_queue="celery")


@app.task(name="stranger.tidy")
def tidy() -> None:
    """Does nothing, some time."""
