"""A producer that is a process of its own: `producer_program.py BROKER KEY COUNT [STOP]`, for tests that kill it.

It waits for a line on its standard input, sends COUNT messages under the idempotency key, and prints the request's id.
With STOP it prints "stopped" when it comes to that row, and goes no further.
"""

import signal
import sys
from collections.abc import Iterator

from every8d import Producer


def rows(count: int, stop: int) -> Iterator[str]:
    for place in range(count):
        if place == stop:
            print("stopped", flush=True)
            signal.pause()
        yield f"09{60_000_000 + place:08d}"


def main(broker: str, key: str, count: str, stop: str = "-1") -> None:
    producer = Producer(broker)
    print("up", flush=True)
    sys.stdin.readline()
    receipt = producer.send_many(
        rows(int(count), int(stop)), text=f"週年慶 {key}", idempotency_key=key, confirm=True
    )
    print(receipt.request_id, receipt.count, receipt.confirmed, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
