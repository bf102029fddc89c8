"""A worker process of 32 threads that all send at once, again and again. Run by test_storms.py.

For each line of settings (JSON) it makes an engine, says "ready", and lets its threads look at the normal lane until
the next line, and each of them three times at least; then it says "stopped" and reads on.
"""

import json
import logging
import sys
import threading

import structlog
from celery import Celery

from config import Settings
from config.celery import celery_config
from worker.dispatch import dispatch
from worker.engine import Engine, make_engine

THREADS, LOOKS = 32, 3
#: Between two looks of a thread.
LOOK_S = 0.2


def main() -> None:
    # What is printed here is read by the test.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for line in sys.stdin:
        settings = Settings(**json.loads(line))
        app = Celery("storm", set_as_current=False)
        app.conf.update(celery_config(settings))
        engine, ending = make_engine(settings, app), threading.Event()
        threads = [threading.Thread(target=_send, args=(engine, ending)) for _ in range(THREADS)]
        for one in threads:
            one.start()
        print("ready", flush=True)
        sys.stdin.readline()
        ending.set()
        for one in threads:
            one.join()
        engine.close()
        print("stopped", flush=True)


def _send(engine: Engine, ending: threading.Event) -> None:
    looks = 0
    while looks < LOOKS or not ending.is_set():
        dispatch(engine, "default", "normal")
        looks += 1
        ending.wait(LOOK_S)


if __name__ == "__main__":
    main()
