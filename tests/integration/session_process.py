"""A worker process of 32 threads that all want the session key at once. Run by test_session.py.

Reads one line of settings as JSON, says "ready", waits for a line with an old key (or none), and prints as JSON what
each thread got: the key's hash, or the error's name.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

from celery import Celery

from config import Settings
from every8d.errors import Every8dError
from worker.engine import make_engine

THREADS = 32


def main() -> None:
    engine = make_engine(Settings(**json.loads(sys.stdin.readline())), Celery("test"))
    print("ready", flush=True)
    old = sys.stdin.readline().strip()

    def want(_: int) -> str:
        try:
            if old:
                engine.sessions.gone("default", old)
            return sha256(engine.sessions.key("default").encode()).hexdigest()
        except Every8dError as error:
            return type(error).__name__

    with ThreadPoolExecutor(THREADS) as threads:
        print(json.dumps(list(threads.map(want, range(THREADS)))), flush=True)
    engine.close()


if __name__ == "__main__":
    main()
