"""The beat schedule, and RedBeat's settings. Every job looks at the ledger's state, so a missed tick is harmless."""

from typing import Any

from config.settings import Settings

#: The hosts' clocks may differ by so much.
CLOCKS_APART_S = 60.0


def beat_config(settings: Settings) -> dict[str, Any]:
    """What beat needs beside the Celery configuration. Intervals in seconds."""

    def entry(task: str, seconds: float) -> dict[str, Any]:
        # A tick that waited longer than its interval says nothing that the next one does not say. But it expires by
        # the worker's clock, which may be ahead of beat's by more than an interval: none would ever be taken.
        options = {"queue": "every8d.status", "expires": max(seconds, CLOCKS_APART_S)}
        return {"task": f"every8d.{task}", "schedule": seconds, "options": options}

    return {
        "beat_scheduler": "redbeat.RedBeatScheduler",
        "redbeat_redis_url": settings.redis_url,
        "redbeat_redis_options": {"socket_timeout": 10},
        "redbeat_key_prefix": "every8d:beat:",
        # By default a killed beat leaves 25 minutes without one.
        "beat_max_loop_interval": 2,
        "redbeat_lock_timeout": 10,
        "beat_schedule": {
            "sweep-due": entry("sweep_due", 2),
            "sweep-polls": entry("sweep_polls", min(2.0, settings.look_interval_s * 2)),
            "sweep-leases": entry("sweep_leases", 10),
            "sweep-staged": entry("sweep_staged", 30),
            "sweep-erasures": entry("sweep_erasures", 10),
            "sweep-inbox": entry("sweep_inbox", 10),
            "sweep-funds": entry("sweep_funds", 10),
            "check-credit": entry("check_credit", settings.credit_interval_s),
            "reconcile": entry("reconcile", 60),
            "close-idle-session": entry("close_idle_session", 60),
        },
    }
