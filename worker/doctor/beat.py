"""One beat at work: it holds RedBeat's lock, and its entries become due and are sent."""

from collections.abc import Iterable

from config import Settings
from config.beat import CLOCKS_APART_S, beat_config
from worker.doctor.deployment import Deployment
from worker.doctor.finding import Finding, ok, problem

CHECK = "beat"


def judge(*, held: bool, late_s: float | None) -> Finding:
    """`late_s`: how long ago the next entry was due; None where there is no entry."""
    if not held:
        return problem(CHECK, "beat_gone")
    if late_s is None or late_s > CLOCKS_APART_S:
        return problem(CHECK, "beat_stuck", seconds="?" if late_s is None else round(late_s))
    return ok(CHECK, "beat_alive")


def look(deployment: Deployment) -> Iterable[Finding]:
    """Reads beat's lock and schedule. Its entries are by beat's clock, which Redis' stands in for."""
    prefix = _prefix(deployment.settings)
    redis = deployment.redis
    seconds, _ = redis.time()
    first = redis.zrange(f"{prefix}:schedule", 0, 0, withscores=True)
    late_s = max(0.0, float(seconds) - float(first[0][1])) if first else None
    return [judge(held=bool(redis.exists(f"{prefix}:lock")), late_s=late_s)]


def _prefix(settings: Settings) -> str:
    return str(beat_config(settings)["redbeat_key_prefix"])
