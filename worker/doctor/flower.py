"""Flower shows the workers to whoever reaches it, and stops them: it needs a password."""

import os
import socket
from collections.abc import Iterable

from worker.doctor import probe
from worker.doctor.deployment import Deployment
from worker.doctor.finding import Finding, ok, problem, warning

CHECK = "flower"

#: Where Flower listens unless FLOWER_PORT says otherwise.
PORT = 5555
_OK = 200
#: For a password, or by sending to where one logs in.
_ASKS = (401, 403, 302)


def judge(here: bool | None, elsewhere: list[str]) -> Finding:
    """`here`: whether a Flower on this host lets anybody in; None where there is none. `elsewhere`: addresses at
    which others reach it as well and are let in.
    """
    if elsewhere:
        return problem(CHECK, "flower_open", address=elsewhere[0])
    if here is None:
        return ok(CHECK, "flower_none")
    return warning(CHECK, "flower_local") if here else ok(CHECK, "flower_guarded")


def look(deployment: Deployment) -> Iterable[Finding]:
    """Asks for its first page, on this host or at the address that was given."""
    if deployment.flower_url:
        base = deployment.flower_url
        lets_in = _lets_in(base)
        return [judge(lets_in, [probe.told(base)] if lets_in else [])]
    port = _port()
    here = _lets_in(probe.place("127.0.0.1", port))
    bases = [probe.place(address, port) for address in _addresses()]
    return [judge(here, [base for base in bases if _lets_in(base)])]


def _lets_in(base: str) -> bool | None:
    answer = probe.get(base, "/")
    if answer is None:
        return None
    if answer.status == _OK and b"flower" in answer.body.lower():
        return True
    # Whatever else has this port is not our business.
    return False if answer.status in _ASKS else None


def _port() -> int:
    given = os.environ.get("FLOWER_PORT", "")
    return int(given) if given.isdecimal() else PORT


def _addresses() -> list[str]:
    """This host's address on its network, where it has one. Connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))
            address = str(asked.getsockname()[0])
        except OSError:
            return []
    return [] if address.startswith("127.") else [address]
