import pytest

from config.celery import QUEUES
from worker.lanes import LANES, beat_arguments, worker_arguments


def option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


@pytest.mark.parametrize(
    ("lane", "queues", "concurrency"),
    [
        ("otp", "every8d.otp", "16"),
        ("normal", "every8d.normal,celery", "16"),
        ("bulk", "every8d.bulk", "16"),
        ("status", "every8d.status", "8"),
    ],
)
def test_a_lane_drains_its_own_queues_with_threads(lane: str, queues: str, concurrency: str) -> None:
    arguments = worker_arguments(lane)
    assert arguments[:4] == ["--quiet", "--app", "worker", "worker"]
    assert option(arguments, "--queues") == queues
    assert option(arguments, "--concurrency") == concurrency
    assert option(arguments, "--pool") == "threads"
    assert option(arguments, "--hostname") == f"{lane}@%h"
    assert {"--without-gossip", "--without-mingle"} <= set(arguments)


def test_every_queue_has_one_worker_and_a_bare_send_task_has_one_too() -> None:
    drained = [queue for lane in LANES.values() for queue in lane.queues]
    assert sorted(drained) == sorted([*QUEUES, "celery"])


def test_a_campaign_runs_below_a_code() -> None:
    assert LANES["otp"].nice == LANES["normal"].nice == 0
    assert LANES["bulk"].nice > 0
    assert LANES["status"].nice > 0


def test_what_is_asked_for_wins_over_the_defaults() -> None:
    arguments = worker_arguments(
        "bulk", concurrency=3, loglevel="DEBUG", extra=["--max-tasks-per-child", "1"]
    )
    assert option(arguments, "--concurrency") == "3"
    assert option(arguments, "--loglevel") == "DEBUG"
    assert arguments[-2:] == ["--max-tasks-per-child", "1"]


@pytest.mark.parametrize(
    ("lane", "prefetch"), [("otp", "1"), ("normal", "4"), ("bulk", "1"), ("status", "1")]
)
def test_only_the_lane_that_accepts_together_has_more_in_hand_than_threads(lane: str, prefetch: str) -> None:
    assert option(worker_arguments(lane), "--prefetch-multiplier") == prefetch


def test_no_such_lane() -> None:
    with pytest.raises(KeyError):
        worker_arguments("fast")


def test_beat_is_of_the_same_app() -> None:
    assert beat_arguments(loglevel="ERROR") == ["--quiet", "--app", "worker", "beat", "--loglevel", "ERROR"]
