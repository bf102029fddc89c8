"""A PostgreSQL that ends with this process: its server is a daemon, which nothing else would end after a SIGKILL.

Run by a guard (worker.system.guard), whose SIGTERM comes however the run ends. Prints the server's address.
"""

import signal
import sys

from tests.support import postgres


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with postgres.started() as url:
        print(url, flush=True)
        while True:
            signal.pause()


if __name__ == "__main__":
    main()
