"""`every8d doctor` and what listens for people and for the gateway: Flower, callbacks; and the spool."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.support.doctor import DeploymentMaker, kinds
from tests.support.waiting import wait_for
from tests.support.web import SECRET, serving
from worker import token
from worker.doctor import flower
from worker.ledger.settle import Whose
from worker.spool import Kept, Spool
from worker.system.processes import free_port, listens
from worker.system.valkey import EmbeddedValkey

COUNTING = {"callbacks": True, "callback_secret": SecretStr(SECRET)}


def test_callbacks_with_and_without_somebody_who_listens(
    deployment: DeploymentMaker, migrated_sqlite: Path
) -> None:
    url = f"sqlite:///{migrated_sqlite}"
    silent = {"web_port": free_port(0)}
    assert kinds(deployment(url, settings=silent), "callbacks") == ["ok callbacks_unused"]
    assert kinds(deployment(url, account=COUNTING, settings=silent), "callbacks") == ["problem web_silent"]
    assert kinds(deployment(url, account={"callbacks": True}, settings=silent), "callbacks") == [
        "problem secret_none",
        "problem web_silent",
    ]
    with serving(url) as web:
        heard = deployment(url, account=COUNTING, settings={"web_port": web.port})
        assert kinds(heard, "callbacks") == ["ok web_listening"]
        elsewhere = deployment(url, account=COUNTING, web_url=f"http://user:pw@127.0.0.1:{web.port}")
        assert kinds(elsewhere, "callbacks") == ["ok web_listening"]
    with something_else() as port:
        other = deployment(url, account=COUNTING, web_url=f"http://127.0.0.1:{port}")
        assert kinds(other, "callbacks") == ["problem web_other"]


@contextmanager
def something_else() -> Iterator[int]:
    """A server that is not ours, and knows no GET."""
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(10)


@contextmanager
def running_flower(valkey: EmbeddedValkey, log: Path, **environment: str) -> Iterator[int]:
    """Flower on every address of this host."""
    port = free_port(0)
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-b", valkey.broker_url),
                *("flower", f"--port={port}", "--address=0.0.0.0"),
            ],
            env={**os.environ, **environment},
            cwd=log.parent,
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(lambda: process.poll() is not None or listens(port), within_s=40, what="Flower")
        assert process.poll() is None, log.read_text()
        yield port
    finally:
        process.kill()
        process.wait()


def test_flower_without_a_password_and_with_one(
    deployment: DeploymentMaker, valkey: EmbeddedValkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWER_PORT", str(free_port(0)))
    assert kinds(deployment(), "flower") == ["ok flower_none"]
    with running_flower(valkey, tmp_path / "open.log") as port:
        monkeypatch.setenv("FLOWER_PORT", str(port))
        # The address of this host on its network, where it has one.
        expected = "problem flower_open" if flower._addresses() else "warning flower_local"
        assert kinds(deployment(), "flower") == [expected]
        elsewhere = deployment(flower_url=f"http://127.0.0.1:{port}")
        assert kinds(elsewhere, "flower") == ["problem flower_open"]
    with running_flower(valkey, tmp_path / "shut.log", FLOWER_BASIC_AUTH="operator:a-password") as port:
        monkeypatch.setenv("FLOWER_PORT", str(port))
        assert kinds(deployment(), "flower") == ["ok flower_guarded"]


def test_an_answer_that_the_ledger_has_not(deployment: DeploymentMaker) -> None:
    one = deployment()
    assert kinds(one, "spool") == ["ok spool_empty"]
    assert Spool(one.settings.spool_dir).put(
        Kept(Whose(token.new_id(1_767_225_600_000), "default", "otp"), why="no")
    )
    assert kinds(one, "spool") == ["problem spool_waits"]


def test_another_server_on_flowers_port_is_no_flower(
    deployment: DeploymentMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with something_else() as port:
        monkeypatch.setenv("FLOWER_PORT", str(port))
        assert kinds(deployment(), "flower") == ["ok flower_none"]
