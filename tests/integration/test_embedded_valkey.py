import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from config.settings import SOCKET_PATH_MAX
from worker.system.guard import Guard
from worker.system.lock import Held
from worker.system.processes import free_port, listens
from worker.system.valkey import EmbeddedValkey, ValkeyFailed


@pytest.fixture
def guard() -> Iterator[Guard]:
    with Guard(grace_s=2) as made:
        yield made


def test_what_was_written_is_there_after_a_restart(guard: Guard, tmp_path: Path) -> None:
    first = EmbeddedValkey(tmp_path)
    first.start(guard)
    with first.client() as client:
        client.rpush("queue", "task")
    first.stop()
    second = EmbeddedValkey(tmp_path)
    second.start(guard)
    with second.client() as client:
        assert client.lrange("queue", 0, -1) == [b"task"]
    second.stop()


def test_it_keeps_tasks_and_never_evicts(guard: Guard, tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    server.start(guard)
    with server.client() as client:
        config = client.config_get()
    assert config["appendonly"] == "yes"
    assert config["appendfsync"] == "everysec"
    assert config["maxmemory-policy"] == "noeviction"
    assert config["port"] == "0"
    assert config["dir"] == str(tmp_path)
    assert server.socket.stat().st_mode & 0o077 == 0
    server.stop()


def test_a_port_is_opened_only_if_asked_for(guard: Guard, tmp_path: Path) -> None:
    port = free_port(0)
    server = EmbeddedValkey(tmp_path, port=port)
    server.start(guard)
    assert listens(port)
    server.stop()


def test_a_server_that_was_left_behind_is_ended_and_its_data_kept(guard: Guard, tmp_path: Path) -> None:
    # Started as any program would that then is killed: without a guard.
    orphan = EmbeddedValkey(tmp_path)
    process = subprocess.Popen(orphan.prepare(), stdout=subprocess.DEVNULL)
    orphan.wait_ready(process)
    with orphan.client() as client:
        client.set("key", "kept")
    orphan.release()
    server = EmbeddedValkey(tmp_path)
    server.start(guard)
    assert process.wait(10) is not None
    with server.client() as client:
        assert client.get("key") == b"kept"
        assert client.info("server")["process_id"] != process.pid
    server.stop()


def test_a_process_id_that_another_program_has_by_now_is_left_alone(guard: Guard, tmp_path: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], cwd=tmp_path)
    (tmp_path / "valkey.pid").write_text(str(bystander.pid))
    server = EmbeddedValkey(tmp_path)
    server.start(guard)
    server.stop()
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_a_directory_has_one_server(guard: Guard, tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    server.start(guard)
    with pytest.raises(Held) as held:
        EmbeddedValkey(tmp_path).prepare()
    assert held.value.pid == os.getpid()
    assert server.answers()
    server.stop()


@pytest.mark.parametrize("name", ["with blank", 'with"quote', "資料", "long" * (SOCKET_PATH_MAX // 4)])
def test_any_directory_will_do(guard: Guard, tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    server = EmbeddedValkey(directory)
    server.start(guard)
    with server.client() as client:
        client.set("key", "value")
    assert len(os.fsencode(server.socket)) <= SOCKET_PATH_MAX
    server.stop()
    assert any((directory / "appendonlydir").iterdir())


def test_a_server_that_cannot_start_tells_why(guard: Guard, tmp_path: Path) -> None:
    directory = tmp_path / "appendonlydir"
    directory.mkdir()
    (directory / "appendonly.aof.manifest").write_text("this is no manifest\n")
    server = EmbeddedValkey(tmp_path)
    with pytest.raises(ValkeyFailed, match=r"AOF|manifest"):
        server.start(guard)
    server.stop()


def test_the_guard_ends_a_server_that_nobody_stopped(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    with Guard(grace_s=2) as guard:
        server.start(guard)
    with pytest.raises(RedisError), server.client() as client:
        client.ping()
    server.release()
