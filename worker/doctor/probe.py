"""One HTTP question without following, retrying or proxies."""

import http.client
from dataclasses import dataclass
from urllib.parse import urlsplit

#: As much of an answer is read.
_BODY = 65_536
_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and the beginning of what came with it."""

    status: int
    body: bytes


def get(base: str, path: str) -> Answer | None:
    """What `base`, an http or https address, answers for a path below it; None where nobody answers."""
    parts = urlsplit(base)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_WITHIN_S)
    try:
        connection.request("GET", parts.path.rstrip("/") + path)
        response = connection.getresponse()
        return Answer(response.status, response.read(_BODY))
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def place(host: str, port: int) -> str:
    """An http address."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def told(base: str) -> str:
    """The address as it may be shown: without a user and a password."""
    parts = urlsplit(base)
    return place(parts.hostname or "?", parts.port or (443 if parts.scheme == "https" else 80)).replace(
        "http", parts.scheme or "http", 1
    )
