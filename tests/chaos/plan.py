"""What goes wrong in a run, and how often: chosen by its seed."""

from dataclasses import dataclass
from typing import Any

#: Of all gateway calls, so many fail.
FAILING = 0.2
#: Seconds of one gateway call, here.
CALL_DEADLINE_S = 5.0

#: How they fail, each as often as the others. By `when` the gateway executes the call first, or not at all.
FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("drop", {"when": "before"}),
    ("drop", {"when": "after"}),
    ("reset", {"when": "before"}),
    ("reset", {"when": "after"}),
    ("stall", {"when": "before"}),
    ("stall", {"when": "after"}),
    # Executed only after we have given up.
    ("hang_up", {}),
    ("half_body", {}),
    ("truncated", {}),
    # Eight bytes at a time: longer in all than a call may take.
    ("drip", {"delay_ms": 150}),
    ("html", {"when": "before"}),
    ("html", {"when": "after"}),
    ("http", {"status": 503, "when": "before"}),
    ("http", {"status": 502, "when": "after"}),
    ("http", {"status": 429}),
    ("empty", {"when": "before"}),
    ("empty", {"when": "after"}),
    ("result", {"text": "?", "when": "after"}),
    ("server_fault", {"when": "before"}),
    ("server_fault", {"when": "after"}),
    ("code", {"code": -99}),
    ("code", {"code": -301}),
)

#: Who is killed, and how often beside the others. Killing Valkey is its restart.
VICTIMS = {"otp": 2, "normal": 2, "bulk": 4, "status": 3, "beat": 1, "web": 2, "valkey": 2}
#: Seconds from one kill to the next, at least and at most.
KILL_S = (2.0, 6.0)
#: Of Valkey's restarts, so many lose everything that it held.
EMPTIED = 0.4

#: Of the account: what lets a short run see the end of its messages.
ACCOUNT = {
    "CALL_DEADLINE_S": CALL_DEADLINE_S,
    "CONNECT_TIMEOUT_S": 2,
    "CHUNK_SIZE": 50,
    "RETRY_CEILING_S": 4,
    "FIRST_POLL_S": 3,
    "POLL_CEILING_S": 10,
    "REPLY_WINDOW_H": 0,
    # Nobody else spends this credit, and nothing comes back: what callbacks cannot tell, the credit may.
    "EXCLUSIVE": "true",
    "REFUNDS": "false",
    "UNKNOWN_AFTER_S": 20,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. `settle_s`: how long to wait, at the end, for evidence about what is unknown."""

    seconds: float
    seed: int
    db: str
    settle_s: float


def shares(count: int, failing: float) -> list[float]:
    """The share of each of so many faults, of the calls that those before it have let pass.

    Together they befall `failing` of all calls, and each the same part of them.
    """
    each = failing / count
    return [each / (1 - each * place) for place in range(count)]
