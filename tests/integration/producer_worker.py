"""A worker for the producer's tests: answers as the ledger would, or as a request's subject asks."""

import os
import time

import redis
from celery import Celery
from celery.signals import worker_ready

from every8d import body as bodies

URL = os.environ["PRODUCER_TEST_URL"]
client = redis.Redis.from_url(URL, decode_responses=True)
app = Celery("producer_worker", broker=URL, backend=URL)
# As the real worker: results only where the producer's message asks for one.
app.conf.update(
    worker_prefetch_multiplier=1, task_acks_late=True, task_ignore_result=True, result_expires=3600
)


@worker_ready.connect
def ready(**_: object) -> None:
    client.set("worker ready", 1)


@app.task(name="every8d.accept")
def accept(body: dict[str, object]) -> dict[str, object] | None:
    page = bodies.parse(body)
    request = str(page.request)
    calls = client.incr(f"calls:{request}:{page.page}")
    if page.subject == "slow first page" and page.page == 0:
        time.sleep(0.3)
    client.rpush("order", f"{request}:{page.page}")
    if page.subject == "first answer is lost" and calls == 1:
        time.sleep(1.5)  # longer than the producer waits
    if page.subject == "fails once" and calls == 1:
        raise RuntimeError("the database is away")
    answer: dict[str, object] = {
        "request": request,
        "pages": 1,
        "accepted": len(page.messages),
        "duplicates": 0,
        "reason": None,
    }
    if page.subject == "dead":
        return answer | {"outcome": "dead", "reason": "subject is not liked"}
    first = client.hsetnx(f"header:{request}", "hash", page.header_hash)
    if not first and client.hget(f"header:{request}", "hash") != page.header_hash:
        return answer | {"outcome": "conflict"}
    if page.page is not None:
        client.hset(f"pages:{request}", str(page.page), page.page_hash or "")
        answer["duplicates"] = len(page.messages) - len({message.to for message in page.messages})
    if page.seal is None:
        return answer | {"outcome": "staged"}
    if page.seal.refused:
        return answer | {"outcome": "refused"}
    stored = client.hgetall(f"pages:{request}")
    hashes = [stored.get(str(number), "") for number in range(page.seal.pages)]
    whole = bodies.seal_hash(hashes) == page.seal.hash
    return answer | {"outcome": "ready" if whole else "staged"}


@app.task(name="every8d.status")
def status(request: str) -> dict[str, object]:
    if not client.exists(f"header:{request}"):
        return {"request": request, "state": "unknown_request"}
    return {
        "request": request,
        "account": "default",
        "lane": "otp",
        "state": "done",
        "count": 2,
        "messages": {"delivered": 2},
        "cost": "2.00",
        "final": True,
    }


@app.task(name="every8d.cancel")
def cancel(request: str) -> dict[str, object]:
    if not client.exists(f"header:{request}"):
        raise RuntimeError("the ledger is broken")
    return {"request": request, "stopped": 1, "erased": 1, "points_back": "1.00", "too_late": 0, "pending": 0}
