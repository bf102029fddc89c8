"""Faults that a test asks for: which call they befall, how often, and of what kind.

| kind | what the client sees | executed? |
|---|---|---|
| delay | the answer, `delay_ms` late | `when`: before the delay or after it |
| drop | the connection closes without an answer | `when` |
| reset | the connection is reset without an answer | `when` |
| hang_up | nothing; executed only after the client has closed (or after `delay_ms`, if given) | yes, late |
| stall | nothing at all, until the client closes | `when` |
| half_body | the header and half of the body, then the connection closes | yes |
| drip | the body a few bytes at a time, `delay_ms` between them | yes |
| html | 200 with an HTML page | `when` |
| http | any status `status`, with an HTML page | `when` |
| empty | 200 with an empty body | `when` |
| truncated | 200, a whole HTTP answer, half of the XML | yes |
| result | a well-formed answer whose result is `text` | `when` |
| code | the error code `code`, in the form of that operation | no |
| client_fault, server_fault | 500 with a SOAP Fault | `when` |

`when` is "before" (the gateway did nothing) or "after" (it executed the call first); the default is "before".
"""

import random
from dataclasses import asdict, dataclass
from typing import Any, get_args, get_type_hints

KINDS = frozenset(
    [
        "delay",
        "drop",
        "reset",
        "hang_up",
        "stall",
        "half_body",
        "drip",
        "html",
        "http",
        "empty",
        "truncated",
        "result",
        "code",
        "client_fault",
        "server_fault",
    ]
)
ANY_OPERATION = "*"
OPERATIONS = (
    "getConnection",
    "closeConnection",
    "sendSMS",
    "sendMessage",
    "sendParamSMS",
    "eraseBooking",
    "getDeliveryStatus",
    "getCredit",
)
#: "sends" in a fault means these.
SENDS = frozenset({"sendSMS", "sendMessage", "sendParamSMS"})


@dataclass(slots=True)
class Fault:
    """One fault of `POST /control/faults`. `count` None means until it is cleared."""

    kind: str
    operation: str = ANY_OPERATION  # a name of OPERATIONS, "sends", or "*"
    count: int | None = 1
    skip: int = 0  # so many matching calls pass first
    share: float = 1.0  # of the matching calls, chosen at random by the book's seed
    when: str = "before"
    delay_ms: float = 0.0
    status: int = 503
    code: int = -99
    text: str = ""
    hits: int = 0

    def __post_init__(self) -> None:
        hints = get_type_hints(Fault)
        for name, value in asdict(self).items():
            wanted = get_args(hints[name]) or (hints[name],)
            if float in wanted:
                wanted = (*wanted, int)
            if not isinstance(value, wanted) or isinstance(value, bool):
                raise ValueError(f"{name} of a fault has the wrong type")
        if self.kind not in KINDS:
            raise ValueError(f"no fault of kind {self.kind!r}; there are {', '.join(sorted(KINDS))}")
        if self.operation not in {*OPERATIONS, ANY_OPERATION, "sends"}:
            raise ValueError(f"no operation {self.operation!r}")
        if self.when not in {"before", "after"}:
            raise ValueError("when is 'before' or 'after'")
        if not 100 <= self.status <= 599 or self.status == 100:
            raise ValueError("status is an HTTP status")

    def befalls(self, operation: str) -> bool:
        """Whether a call of this operation is one that the fault is meant for."""
        return self.operation in {ANY_OPERATION, operation} or (
            self.operation == "sends" and operation in SENDS
        )


class FaultBook:
    """The faults still to come, oldest first; a call gets at most one."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._random = random.Random(8)  # noqa: S311 - chooses which calls fail, repeatably

    def add(self, fault: Fault) -> None:
        """Put a fault behind those already there."""
        self._faults.append(fault)

    def seed(self, seed: int) -> None:
        """Choose anew which calls a `share` hits, the same for the same seed."""
        self._random.seed(seed)

    def clear(self) -> None:
        """Forget all of them."""
        self._faults.clear()

    def take(self, operation: str) -> Fault | None:
        """The fault that befalls this call, if any; it is counted."""
        for fault in self._faults:
            if not fault.befalls(operation):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.count is not None and fault.count <= 0:
                continue
            if fault.share < 1 and self._random.random() >= fault.share:
                continue
            if fault.count is not None:
                fault.count -= 1
            fault.hits += 1
            return fault
        return None

    def report(self) -> list[dict[str, Any]]:
        """Every fault with what is left of it; `hits` is how often it struck."""
        return [asdict(fault) for fault in self._faults]
