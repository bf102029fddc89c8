"""A nursery of worker processes: it has imported everything once, and forks a worker for each that is asked for.

Starting Python and importing Celery takes most of a worker's start. Commands come on standard input, one a line:
`start {"EVERY8D_KILL_AT": …}` forks a worker of all lanes with these changes to its environment and prints its
process id; `wait PID SECONDS` prints how it ended (a negative number is a signal), or `alive`. At the end of its input
it kills the workers that are left: they never outlive the test.
"""

import contextlib
import importlib
import json
import os
import signal
import sys
import time

import tasks  # noqa: F401 - what every worker imports
from every8d import gateway  # noqa: F401 - the same
from worker import points
from worker.celery import app
from worker.lanes import LANES, worker_arguments

#: worker_arguments() less `--quiet --app worker`, and its queues replaced by those of all lanes.
QUEUES = ",".join(queue for lane in LANES.values() for queue in lane.queues)


def work(environment: dict[str, str]) -> None:
    os.environ.update(environment)
    importlib.reload(points)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    log = os.open(environment["NURSERY_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    arguments = worker_arguments("otp", loglevel="INFO")[3:]
    arguments[arguments.index("--queues") + 1] = QUEUES
    app.worker_main(arguments)


def wait(pid: int, seconds: float) -> str:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return str(os.waitstatus_to_exitcode(status))
        time.sleep(0.01)
    return "alive"


def main() -> None:
    app.finalize()
    mine: set[int] = set()
    print("ready", flush=True)
    for line in sys.stdin:
        command, _, rest = line.strip().partition(" ")
        if command == "start":
            pid = os.fork()
            if pid == 0:
                try:
                    work(json.loads(rest))
                finally:
                    os._exit(0)
            mine.add(pid)
            print(pid, flush=True)
        else:
            pid_text, seconds = rest.split()
            ended = wait(int(pid_text), float(seconds))
            if ended != "alive":
                mine.discard(int(pid_text))
            print(ended, flush=True)
    for pid in mine:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
