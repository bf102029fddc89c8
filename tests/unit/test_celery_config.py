"""The Celery configuration: each known trap has its setting, and no setting is one that Celery does not know."""

import importlib
from typing import Any

import pytest
from celery import Celery
from celery.app.defaults import NAMESPACES, flatten
from pydantic import SecretStr

from config import Account, Settings
from config.beat import beat_config
from config.celery import LONGEST_COUNTDOWN_S, QUEUES, VISIBILITY_TIMEOUT_S, celery_config
from tasks import queue
from worker.lanes import LANES, worker_arguments
from worker.sender import LEASE_MARGIN_S

#: Documented, and read by the Redis backend and transport, but not in Celery's own list.
ELSEWHERE = {"visibility_timeout", "redis_backend_health_check_interval"}
BROKERS = ["redis://r", "rediss://r", "redis+socket:///s", "sentinel://s", "amqp://r"]


def settings(broker_url: str = "redis://r", **account: Any) -> Settings:
    shop = Account(user_id="u", password=SecretStr("p"), **account)
    return Settings(broker_url=broker_url, redis_url="redis://other", accounts={"shop": shop})


def config(broker_url: str = "redis://r", **account: Any) -> dict[str, Any]:
    return celery_config(settings(broker_url, **account))


@pytest.fixture(scope="module")
def app() -> Celery:
    one = Celery("test", set_as_current=False)
    one.conf.update(config() | beat_config(settings()))
    importlib.import_module("tasks")
    one.finalize()
    return one


def ours(app: Celery) -> dict[str, Any]:
    return {name: task for name, task in app.tasks.items() if name.startswith("every8d.")}


@pytest.mark.parametrize("broker_url", BROKERS)
def test_celery_knows_every_setting(broker_url: str) -> None:
    known = {name for name, _ in flatten(NAMESPACES)} | ELSEWHERE
    assert set(config(broker_url)) <= known
    beat = beat_config(settings(broker_url))
    assert {name for name in beat if not name.startswith("redbeat_")} <= known


def test_nothing_runs_twice_because_redis_lost_patience() -> None:
    """A task that waits or runs for longer than the visibility timeout runs again, once for each period."""
    found = config()
    for options in (found["broker_transport_options"], found["result_backend_transport_options"]):
        assert options["visibility_timeout"] == VISIBILITY_TIMEOUT_S
    # One try of a slice is a call within its lease; a slice makes three at most.
    longest_task_s = settings().slice_s + 3 * (30 + LEASE_MARGIN_S)
    assert longest_task_s + LONGEST_COUNTDOWN_S + found["worker_soft_shutdown_timeout"] < VISIBILITY_TIMEOUT_S


def test_no_task_waits_for_longer_than_the_longest_countdown(app: Celery) -> None:
    assert queue.AWAY_S <= LONGEST_COUNTDOWN_S
    for name, task in ours(app).items():
        # Celery's own wait after a lost worker.
        assert task.default_retry_delay + LONGEST_COUNTDOWN_S < VISIBILITY_TIMEOUT_S, name


def test_a_killed_workers_tasks_come_back_soon() -> None:
    options = config()["broker_transport_options"]
    assert options["unacked_restore_interval"] * options["unacked_restore_throttle"] <= 10


def test_a_task_is_acknowledged_when_it_has_run(app: Celery) -> None:
    found = config()
    assert found["task_acks_late"]
    assert found["task_retry_on_worker_lost"]
    assert found["task_acks_on_failure"]
    assert found["task_acks_on_timeout"]
    assert found["worker_prefetch_multiplier"] == 1
    for name, task in ours(app).items():
        assert task.acks_late, name


def test_a_send_under_way_is_not_cut_off() -> None:
    assert config()["worker_cancel_long_running_tasks_on_connection_loss"] is False
    assert config()["worker_enable_soft_shutdown_on_idle"] is True
    for deadline_s in (5, 30, 300):
        assert config(call_deadline_s=deadline_s)["worker_soft_shutdown_timeout"] > deadline_s + 5


def test_only_json_is_read_and_written() -> None:
    found = config()
    assert (found["accept_content"], found["task_serializer"], found["result_serializer"]) == (
        ["json"],
        "json",
        "json",
    )
    assert "result_accept_content" not in found


def test_results_are_kept_for_those_that_are_waited_for_and_for_an_hour(app: Celery) -> None:
    assert config()["result_expires"] == 3600
    waited_for = {name for name, task in ours(app).items() if not task.ignore_result}
    assert waited_for == {"every8d.accept", "every8d.status", "every8d.cancel"}


def test_connections_are_enough_for_every_thread() -> None:
    threads = max(lane.concurrency for lane in LANES.values())
    found = config()
    for pool in (found["broker_transport_options"]["max_connections"], found["redis_max_connections"]):
        assert pool >= threads * 4
    assert settings().database_pool_size >= threads


def test_a_dead_connection_is_noticed_and_the_broker_is_waited_for() -> None:
    found = config()
    for options in (found["broker_transport_options"], found["result_backend_transport_options"]):
        assert 0 < options["health_check_interval"] <= options["socket_timeout"] <= 30
        assert options["socket_connect_timeout"] <= 10
        assert options["socket_keepalive"] is True
    assert found["broker_connection_retry_on_startup"] is True
    assert found["broker_connection_max_retries"] is None


def test_a_unix_socket_has_no_keepalive_and_rabbitmq_no_redis_options() -> None:
    socket = config("redis+socket:///s")
    assert "socket_keepalive" not in socket["broker_transport_options"]
    assert socket["redis_socket_keepalive"] is False
    rabbit = config("amqp://r")
    assert (rabbit["broker_transport_options"], rabbit["result_backend"]) == ({}, "redis://other")


def test_times_are_utc() -> None:
    assert (config()["enable_utc"], config()["timezone"]) == (True, "UTC")


def test_every_queue_is_drained_by_one_lane_and_every_task_goes_to_one_of_them(app: Celery) -> None:
    drained = [name for lane in LANES.values() for name in lane.queues]
    assert len(set(drained)) == len(drained)
    assert set(QUEUES) <= set(drained)
    assert config()["task_default_queue"] in drained
    for name in ours(app):
        assert app.amqp.router.route({}, name)["queue"].name in drained, name
    for lane in LANES:
        assert worker_arguments(lane)[5] == ",".join(LANES[lane].queues)


def test_beat_asks_for_tasks_that_there_are_on_a_queue_that_is_drained(app: Celery) -> None:
    found = beat_config(settings())
    for name, entry in found["beat_schedule"].items():
        assert entry["task"] in app.tasks, name
        assert entry["options"]["queue"] in QUEUES
        # A tick that nobody took is not worth keeping: the next one says the same.
        assert entry["schedule"] <= entry["options"]["expires"] <= VISIBILITY_TIMEOUT_S
        # It expires by the clock of the worker's host, which is not that of beat's.
        assert entry["options"]["expires"] >= 60
        assert "args" not in entry


def test_a_killed_beat_is_replaced_within_seconds() -> None:
    found = beat_config(settings())
    assert found["beat_max_loop_interval"] * 5 <= found["redbeat_lock_timeout"] <= 10
    assert found["redbeat_redis_url"] == "redis://other"
