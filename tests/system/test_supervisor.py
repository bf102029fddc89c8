import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.leftovers import living, wait_for
from worker.system.guard import Guard, GuardGone
from worker.system.lock import FileLock, Held
from worker.system.processes import ProcessSpec, free_port, listens
from worker.system.supervisor import NotReady, Supervisor, restart_delay_s

SLEEP = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP
#: Ends for SIGTERM, and writes when.
NOTES_ITS_END = (
    "import pathlib, signal, sys, time\n"
    "def end(*_):\n"
    "    pathlib.Path(sys.argv[1]).write_text(str(time.monotonic()))\n"
    "    sys.exit()\n"
    "signal.signal(signal.SIGTERM, end)\n" + SLEEP.replace("; ", "\n")
)


def python(name: str, code: str, *arguments: str, **more: object) -> ProcessSpec:
    return ProcessSpec(name, (sys.executable, "-c", code, *arguments), **more)  # type: ignore[arg-type]  # a test's shorthand


class Kept:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.guard = Guard(grace_s=1)
        self.supervisor = Supervisor(self.guard, lambda name, line: self.lines.append((name, line)))

    def said(self, name: str, what: str) -> int:
        return sum(one == name and what in line for one, line in list(self.lines))


@pytest.fixture
def kept() -> Iterator[Kept]:
    made = Kept()
    yield made
    made.supervisor.stop(0)
    made.guard.close()


def test_delays_grow_to_a_limit() -> None:
    delays = [restart_delay_s(deaths) for deaths in range(1, 9)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert restart_delay_s(10_000) == 30


def test_a_child_that_dies_is_started_again(kept: Kept) -> None:
    kept.supervisor.start([python("calm", SLEEP), python("other", SLEEP)])
    wait_for(lambda: kept.said("calm", "up") and kept.said("other", "up"), 10, "both are up")
    before = kept.supervisor.pids()
    os.kill(before["calm"], 9)
    wait_for(lambda: kept.said("calm", "up") == 2, 10, "up again")
    after = kept.supervisor.pids()
    assert after["calm"] != before["calm"]
    assert after["other"] == before["other"]
    assert kept.supervisor.deaths() == {"calm": 1, "other": 0}
    assert kept.said("calm", "ended with -9; starting it again in 0.5 s") == 1


def test_a_child_that_cannot_live_is_tried_later_and_later(kept: Kept) -> None:
    kept.supervisor.start([python("broken", "print('no'); raise SystemExit(3)")])
    wait_for(lambda: kept.said("broken", "ended with 3") == 2, 10, "died twice")
    assert [line for _, line in kept.lines if "again in" in line] == [
        "ended with 3; starting it again in 0.5 s",
        "ended with 3; starting it again in 1 s",
    ]


def test_who_is_killed_on_purpose_comes_back_as_soon_each_time(kept: Kept) -> None:
    kept.supervisor.healthy_s = 0.0
    kept.supervisor.start([python("broken", "raise SystemExit(3)")])
    wait_for(lambda: kept.said("broken", "ended with 3") == 2, 10, "died twice")
    assert kept.said("broken", "again in 0.5 s") == 2


def test_a_stop_does_not_wait_for_a_delay(kept: Kept) -> None:
    kept.supervisor.start([python("broken", "raise SystemExit(3)")])
    wait_for(lambda: kept.said("broken", "again in 2 s"), 15, "a long delay")
    began = time.monotonic()
    kept.supervisor.stop()
    assert time.monotonic() - began < 1


def test_stages_end_in_the_opposite_order(kept: Kept, tmp_path: Path) -> None:
    server, worker = tmp_path / "server", tmp_path / "worker"
    kept.supervisor.start(
        [
            python("worker", NOTES_ITS_END, str(worker), stage=1),
            python("server", NOTES_ITS_END, str(server), stage=0),
        ]
    )
    wait_for(lambda: kept.said("worker", "up") and kept.said("server", "up"), 10, "both are up")
    kept.supervisor.stop()
    assert float(worker.read_text()) < float(server.read_text())
    assert kept.supervisor.pids() == {}


def test_what_does_not_end_is_killed_after_the_grace(kept: Kept) -> None:
    kept.supervisor.start([python("stubborn", STUBBORN)])
    wait_for(lambda: kept.said("stubborn", "up"), 10, "up")
    began = time.monotonic()
    kept.supervisor.stop(0.5)
    assert 0.5 <= time.monotonic() - began < 5
    assert kept.supervisor.pids() == {}


def test_a_hurry_ends_the_grace(kept: Kept) -> None:
    kept.supervisor.start([python("stubborn", STUBBORN)])
    wait_for(lambda: kept.said("stubborn", "up"), 10, "up")
    hurry = threading.Event()
    stopping = threading.Thread(target=kept.supervisor.stop, args=(60,), kwargs={"hurry": hurry.is_set})
    stopping.start()
    stopping.join(0.3)
    assert stopping.is_alive()
    hurry.set()
    stopping.join(5)
    assert not stopping.is_alive()


def test_the_next_stage_waits_until_a_server_can_be_used(kept: Kept) -> None:
    port = free_port(0)
    serve = f"import socket, time; time.sleep(0.3); s = socket.create_server(('127.0.0.1', {port})); {SLEEP}"
    kept.supervisor.start(
        [
            python("server", serve, stage=0, ready=lambda: listens(port)),
            python("client", f"import socket; socket.create_connection(('127.0.0.1', {port})); {SLEEP}"),
        ]
    )
    wait_for(lambda: kept.said("client", "up"), 10, "connected")
    assert kept.supervisor.deaths()["client"] == 0


def test_a_server_that_does_not_come_up_is_told(kept: Kept) -> None:
    with pytest.raises(NotReady, match="server did not come up"):
        kept.supervisor.start([python("server", "raise SystemExit(1)", ready=lambda: False)])


def test_a_killed_guard_starts_no_children(kept: Kept) -> None:
    os.kill(kept.guard._process.pid, 9)
    wait_for(lambda: not kept.guard.alive, 5, "the guard is dead")
    with pytest.raises(GuardGone):
        kept.guard.spawn([sys.executable, "-c", SLEEP])


def test_children_run_at_the_priority_asked_for(kept: Kept) -> None:
    kept.supervisor.start([python("low", f"import os; {SLEEP}", nice=5)])
    assert os.getpriority(os.PRIO_PROCESS, kept.supervisor.pids()["low"]) == os.nice(0) + 5


def test_nothing_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    program = Path(__file__).with_name("kept_program.py")
    process = subprocess.Popen(
        [sys.executable, str(program), str(tmp_path)],
        env={**os.environ, "EVERY8D_DATA_DIR": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        with process.stdout as lines:
            up = set()
            while up != {"calm", "stubborn"}:
                line = lines.readline()
                assert line, "the program ended"
                if line.endswith(" up\n"):
                    up.add(line.split()[0])
        # The program, its guard and the group's first member, Valkey, two children.
        assert len(living(tmp_path)) == 6
    finally:
        process.kill()
        process.wait()
    wait_for(lambda: not living(tmp_path), 10, f"all of it gone, but there is {living(tmp_path)}")


def test_a_lock_has_one_holder_and_names_it(tmp_path: Path) -> None:
    with FileLock(tmp_path / "up.lock"), pytest.raises(Held) as held:
        FileLock(tmp_path / "up.lock")
    assert held.value.pid == os.getpid()
    FileLock(tmp_path / "up.lock").release()
