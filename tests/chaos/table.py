"""The result of a run, as a table for people and as an object for programs."""

from typing import Any

from tests.chaos.run import Result

_NAMES = {
    "callback": "by a callback",
    "credit": "by the credit",
    "setting": "by the setting of the otp lane",
}


def as_text(result: Result) -> str:
    """The table."""
    count, plan = result.count, result.plan
    lanes = ", ".join(f"{n:,} {lane}" for lane, n in sorted(count.committed.items()))
    share = 100 * result.failed_calls / max(1, result.calls)
    deaths = ", ".join(f"{name} {n}" for name, n in sorted(result.deaths.items()))
    rows = [
        ("committed", f"{count.committed.total():,}", f"messages: {lanes}"),
        ("executed", f"{count.executed:,}", "by the gateway's own record"),
        ("delivered", f"{count.delivered:,}", ""),
        ("lost", f"{len(count.lost):,}", ""),
        ("doubled", f"{len(count.doubled):,}", ""),
        ("unknown", f"{result.unknowns.total:,}", "calls of which at some time nobody knew"),
        *(
            (f"  settled {_NAMES.get(how, 'by ' + how)}", f"{n:,}", "")
            for how, n in sorted(result.unknowns.settled.items())
        ),
        (
            "  still held",
            f"{result.unknowns.held:,}",
            f"calls: {count.held:,} messages, {count.held_executed:,} of them executed",
        ),
        ("longest otp delay", f"{result.otp_quantile_s(1000):.1f} s", _otp(result)),
        ("gateway calls", f"{result.calls:,}", f"{share:.1f} % of them failed"),
        ("killed", f"{result.deaths.total():,}", f"{deaths}; valkey emptied {result.emptied} times"),
    ]
    heading = f"chaos: {plan.seconds / 60:g} min, {plan.db}, seed {plan.seed}"
    lines = [f"{name:34} {value:>9}  {more}".rstrip() for name, value, more in rows]
    verdict = "; ".join(result.wrong()) or "nothing lost, nothing sent twice"
    return "\n".join([heading, *lines, verdict])


def _otp(result: Result) -> str:
    p50, p99 = result.otp_quantile_s(500), result.otp_quantile_s(990)
    return f"of {len(result.otp_delays_s):,} that arrived; half within {p50:.2f} s, 99 % within {p99:.1f} s"


def as_json(result: Result) -> dict[str, Any]:
    """The same for programs; messages are counted, not named."""
    count = result.count
    return {
        "db": result.plan.db,
        "seed": result.plan.seed,
        "committed": dict(count.committed),
        "executed": count.executed,
        "delivered": count.delivered,
        "lost": len(count.lost),
        "doubled": len(count.doubled),
        "denied": len(count.denied),
        "strange": len(count.strange),
        "held": count.held,
        "held_executed": count.held_executed,
        "unknown": {"settled": dict(result.unknowns.settled), "held": result.unknowns.held},
        "otp_longest_s": result.otp_quantile_s(1000),
        "calls": result.calls,
        "failed_calls": result.failed_calls,
        "killed": dict(result.deaths),
        "emptied": result.emptied,
        "reports": dict(result.reports),
        "wrong": result.wrong(),
    }
