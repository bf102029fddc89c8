"""Who enqueues during a run: campaigns, notices, and codes. Each waits until the ledger has what it enqueued."""

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

from every8d import Producer
from every8d.producererrors import BrokerUnreachable, NotConfirmed
from every8d.receipt import Receipt

#: Recipients of one campaign; the next is published when fewer than half of them wait.
CAMPAIGN = 1000
#: Single messages a second, of each kind.
CODES_PER_S, NOTICES_PER_S = 2.0, 1.0
#: A producer whose messages nobody confirms tries so long, always with the same key.
PATIENCE_S = 90.0
_FIRST = {"otp": 10_000_000, "normal": 20_000_000, "bulk": 30_000_000}


class Enqueuer:
    """All producers of a run. `enqueued` is the SHA-256 of the text by number, `began` when that was."""

    def __init__(self, broker_url: str, key: str, waiting: Callable[[], int]) -> None:
        """`waiting`: how many messages of the bulk lane wait. `key` makes the idempotency keys of the run."""
        self._producer = Producer(broker_url, confirm_timeout_s=5)
        self._key = key
        self._waiting = waiting
        self._numbers = {lane: itertools.count(first) for lane, first in _FIRST.items()}
        self._turns = itertools.count(1)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._patience_s = PATIENCE_S
        self._several = ThreadPoolExecutor(48)
        self._threads = [
            threading.Thread(target=one) for one in (self._campaigns, self._codes, self._notices)
        ]
        self.enqueued: dict[str, str] = {}
        #: Seconds since the epoch when the first try of each began.
        self.began: dict[str, float] = {}
        self.confirmed: set[str] = set()
        #: What a producer was told that cannot be right.
        self.errors: list[str] = []

    def start(self) -> None:
        """Begins to enqueue."""
        for one in self._threads:
            one.start()

    def stop(self) -> None:
        """Enqueues no more, and waits for what is on its way."""
        self._stopping.set()
        for one in self._threads:
            one.join()
        self._several.shutdown()

    def give_up(self) -> None:
        """Stops, and waits for no confirmation: the system is gone."""
        self._patience_s = 0.0
        self._stopping.set()

    def _campaigns(self) -> None:
        for turn in itertools.count():
            while not self._stopping.is_set() and self._waiting() > CAMPAIGN // 2:
                self._stopping.wait(0.5)
            if self._stopping.is_set():
                return
            # In turn: one text for all, a text for each, and one with a validity: the three ways to send.
            texts = [
                f"活動 {turn} 全館八折" if turn % 3 != 1 else f"會員 {turn}-{n} 您好" for n in range(CAMPAIGN)
            ]
            self._enqueue("bulk", texts, validity=60 if turn % 3 == 2 else None)

    def _codes(self) -> None:
        self._one_by_one("otp", CODES_PER_S, "您的驗證碼為 {}")

    def _notices(self) -> None:
        self._one_by_one("normal", NOTICES_PER_S, "訂單 {} 已出貨")

    def _one_by_one(self, lane: str, per_s: float, text: str) -> None:
        began = time.monotonic()
        for turn in itertools.count():
            if self._stopping.wait(max(0.0, began + turn / per_s - time.monotonic())):
                return
            self._several.submit(self._enqueue, lane, [text.format(turn)])

    def _enqueue(self, lane: str, texts: list[str], *, validity: int | None = None) -> None:
        with self._lock:
            rows = [(f"09{next(self._numbers[lane]):08d}", text) for text in texts]
            key = f"{self._key}-{next(self._turns)}"
            now = time.time()
            for number, text in rows:
                full = "+886" + number[1:]
                self.enqueued[full], self.began[full] = sha256(text.encode()).hexdigest(), now

        def publish() -> Receipt:
            return self._producer.send_many(
                rows, lane=lane, idempotency_key=key, confirm=True, validity=validity
            )

        if self._published(publish):
            with self._lock:
                self.confirmed |= {"+886" + number[1:] for number, _ in rows}

    def _published(self, publish: Callable[[], Receipt]) -> bool:
        began = time.monotonic()
        while True:
            try:
                publish()
                return True
            except (BrokerUnreachable, NotConfirmed):
                # Neither says that it was not committed; the same key makes it the same request.
                if time.monotonic() - began > self._patience_s:
                    return False
                time.sleep(0.2)
            except Exception as error:  # noqa: BLE001 - whatever it is, the run shall tell of it
                self.errors.append(f"{type(error).__name__}: {error}")
                return False
