"""A program with a guard, a Valkey and two children, for the tests that kill it. Argument: its directory."""

import sys
import threading
from pathlib import Path

from worker.system.guard import Guard
from worker.system.processes import ProcessSpec, valkey
from worker.system.supervisor import Supervisor
from worker.system.valkey import EmbeddedValkey

SLEEP = "import time; print('up', flush=True); time.sleep(600)"
#: Does not end for SIGTERM.
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP


def main(data_dir: Path) -> None:
    def told(name: str, line: str) -> None:
        print(name, line, flush=True)

    supervisor = Supervisor(Guard(grace_s=1), told)
    supervisor.start(
        [
            valkey(EmbeddedValkey(data_dir)),
            ProcessSpec("calm", (sys.executable, "-c", SLEEP)),
            ProcessSpec("stubborn", (sys.executable, "-c", STUBBORN)),
        ]
    )
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
