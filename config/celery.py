"""The Celery configuration. Each setting that differs from Celery's default says what breaks without it."""

from typing import Any

from config.settings import Settings

#: Of all countdowns in the project the longest; due times beyond it live in the ledger.
LONGEST_COUNTDOWN_S = 60
#: Redis gives a task to a second worker after this. It must exceed the longest task plus the longest countdown,
#: or Redis runs a waiting task once for each expired period.
VISIBILITY_TIMEOUT_S = 900
#: A stopping worker waits at least so long for its tasks before it hands them back, and longer than a gateway call
#: may take: a call that is cut off is a chunk of which nobody knows whether it was sent.
SOFT_SHUTDOWN_S = 40
SHUTDOWN_MARGIN_S = 10

QUEUES = ("every8d.otp", "every8d.normal", "every8d.bulk", "every8d.status")


def celery_config(settings: Settings) -> dict[str, Any]:
    """Celery's configuration for these settings: one flat dictionary for `app.conf.update`."""
    redis_options: dict[str, Any] = {
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        # A half-open connection would otherwise leave a worker that is alive and hears nothing.
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "health_check_interval": 25,
    }
    # A UNIX socket has no keepalive, and redis-py refuses the option.
    over_network = not settings.broker_url.startswith("redis+socket")
    if over_network:
        redis_options["socket_keepalive"] = True
    broker_options = redis_options | {
        # Kombu's ten connections are fewer than the pool's threads, which acknowledge at the same time; an
        # acknowledgement that fails is a task that runs again.
        "max_connections": 300,
        # Without these a killed worker's tasks come back after ten times the visibility timeout's scan.
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "unacked_restore_limit": 1000,
    }
    longest_call_s = max(account.call_deadline_s for account in settings.accounts.values())
    redis_broker = settings.broker_url.startswith(("redis", "rediss", "sentinel"))
    return {
        "broker_url": settings.broker_url,
        "broker_transport_options": broker_options if redis_broker else {},
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "result_backend": settings.broker_url if redis_broker else settings.redis_url,
        "result_backend_transport_options": redis_options if redis_broker else {},
        "result_backend_max_retries": 3,
        "redis_max_connections": 300,
        "redis_socket_timeout": 30,
        "redis_socket_connect_timeout": 5,
        "redis_socket_keepalive": over_network,
        "redis_backend_health_check_interval": 25,
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        # Ids and counts only, and only where a producer waits for them (accept, status, cancel).
        "result_expires": 3600,
        "task_ignore_result": True,
        # A pickled task is code from whoever reaches Redis.
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_default_queue": "every8d.normal",
        "task_create_missing_queues": True,
        # A task is gone from the queue only when it has run: a killed worker's doorbell rings again, which is
        # harmless, because the ledger decides what may be sent.
        "task_acks_late": True,
        "task_acks_on_failure": True,
        "task_acks_on_timeout": True,
        "task_retry_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        # What is no task of ours is kept as a dead letter: Celery's own would log its body, or end the worker over it.
        "worker_consumer": "worker.consumer:Consumer",
        "worker_eta_task_limit": 1000,
        # A send under way must end and be settled, whatever happens to the broker's connection.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_soft_shutdown_timeout": max(SOFT_SHUTDOWN_S, longest_call_s + SHUTDOWN_MARGIN_S),
        "worker_enable_soft_shutdown_on_idle": True,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_send_task_events": False,
        "task_publish_retry_policy": {
            "max_retries": 3,
            "interval_start": 0.1,
            "interval_step": 0.2,
            "interval_max": 1,
        },
        # Taiwan has no daylight saving, the servers may; UTC everywhere but in what people read.
        "enable_utc": True,
        "timezone": "UTC",
    }
