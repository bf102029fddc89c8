"""The Celery application: `celery -A worker worker`, `celery -A worker beat`. It loads the tasks by name."""

from typing import Any

from celery import Celery
from celery.signals import (
    beat_init,
    setup_logging,
    worker_process_init,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)

import config
from config.beat import beat_config
from config.celery import celery_config
from worker import brokerloss, log, runtime
from worker.masking import MaskedRequest


def make_app(settings: config.Settings) -> Celery:
    """The application for these settings."""
    brokerloss.make_expected()
    app = Celery("every8d", include=["tasks"], set_as_current=True)
    app.conf.update(celery_config(settings) | beat_config(settings))
    # Arguments that a foreign producer published in clear are never shown: not in events, not in Flower, not in logs.
    app.Task.Request = MaskedRequest
    return app


def _load() -> config.Settings:
    try:
        return config.load()
    except config.SettingsError as error:
        # A table of what is wrong, rather than Celery's page of where Python was when it noticed.
        raise SystemExit(str(error)) from None


app = make_app(_load())
runtime.bind(app)


@setup_logging.connect
def _logging(**_: Any) -> None:
    settings = config.load()
    log.configure(settings.log_format, settings.log_level)


@worker_ready.connect
def _ready(sender: Any = None, **_: Any) -> None:
    queues = list(sender.app.amqp.queues.consume_from) if sender is not None else []
    if sender is not None:
        _stop_before_soft_shutdown(sender.controller)
    runtime.start(queues)


def _stop_before_soft_shutdown(controller: Any) -> None:
    """On SIGQUIT Celery waits for the soft shutdown first and says `worker_shutting_down` afterwards.

    Without this the keepers would make new gateway calls all that time, and end in the middle of one.
    """
    wait = controller.wait_for_soft_shutdown

    def stop_and_wait() -> None:
        runtime.stop()
        wait()

    controller.wait_for_soft_shutdown = stop_and_wait


@worker_process_init.connect
def _forked(**_: Any) -> None:
    # Connections made before a fork belong to the parent.
    runtime.forget()


@worker_shutting_down.connect
def _stopping(**_: Any) -> None:
    runtime.stop()


@worker_shutdown.connect
def _stopped(**_: Any) -> None:
    runtime.finish()


@beat_init.connect
def _beat(**_: Any) -> None:
    log.bind_process("beat")
