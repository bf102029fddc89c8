"""zeep's transport over urllib3: one POST, never repeated, never redirected, answered whole or an error."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import urllib3
from urllib3.exceptions import HTTPError
from zeep import Transport
from zeep.wsdl.utils import etree_to_string

from every8d import sockets
from every8d.errors import OutcomeUnknown, Rejected, Unreachable
from every8d.replies import MOST_TAGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: HTTP statuses that say: not executed. Anything else that is not a reply is unknown, 408 and 5xx above all.
REJECTED: Final = frozenset({403, 404, 405, 407, 413, 415, 429})
#: The largest answer that is read, in bytes: a status page of 1,000 rows with replies is far below.
RESPONSE_LIMIT: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What zeep wants to know of an HTTP response. It gets no headers: no answer of ours is multipart."""

    status_code: int
    content: bytes
    headers: dict[str, str] = field(default_factory=dict)
    encoding: str | None = None


class GatewayTransport(Transport):
    """Sends zeep's envelopes, within the limits of the call in `sockets.current`. Shared by threads.

    Raises Unreachable where nothing left, Rejected by the HTTP status, OutcomeUnknown for all else that
    brings no whole answer.
    """

    def __init__(self, pool: urllib3.PoolManager) -> None:
        # zeep's own __init__ would build a requests session; a contract from memory needs none.
        self.cache = None
        self._close_session = False
        self._pool = pool

    def post_xml(self, address: str, envelope: Any, headers: Mapping[str, str]) -> Answer:
        call = sockets.current.get()
        body: bytes = etree_to_string(envelope)  # type: ignore[no-untyped-call]  # zeep's
        try:
            answer = self._exchange(call, address, body, headers)
        # zeep is not told: an error must not carry urllib3's, which name the address with its credentials.
        except (HTTPError, OSError, http.client.HTTPException, UnicodeError, ValueError) as error:
            kind = OutcomeUnknown if call.sent else Unreachable
            failure = kind(call.operation, detail=_why(error, call))
        else:
            call.status = answer.status_code
            if answer.status_code in REJECTED:
                detail = f"HTTP {answer.status_code}"
                raise Rejected(
                    call.operation, status=answer.status_code, detail=detail, raw=_readable(answer.content)
                )
            return answer
        raise failure

    def _exchange(self, call: sockets.Call, address: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        left = max(call.deadline - time.monotonic(), 0.001)
        response = self._pool.request(
            "POST",
            address,
            body=body,
            headers=dict(headers) | {"User-Agent": "every8d"},
            retries=False,
            redirect=False,
            timeout=urllib3.Timeout(connect=min(left, call.connect_timeout_s), read=left),
            preload_content=False,
        )
        try:
            content = response.read(RESPONSE_LIMIT + 1)
            if len(content) > RESPONSE_LIMIT:
                raise ValueError("the answer is too large")
            if content.count(b"<") > MOST_TAGS:
                raise ValueError("the answer has too many tags")
        except BaseException:
            # Half an answer is on the wire: the connection is of no more use.
            response.close()
            raise
        response.release_conn()
        return Answer(response.status, content)

    def close(self) -> None:
        """Close the idle connections; those at work are closed when they are done."""
        self._pool.clear()


def _readable(content: bytes) -> str:
    return content[:4096].decode("utf-8", "replace")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that urllib3 wrapped: as causes, or as arguments."""
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [
                link
                for link in (one.__cause__, one.__context__, *one.args)
                if isinstance(link, BaseException)
            ]


def _why(error: BaseException, call: sockets.Call) -> str:
    """In our own words: the errors' may hold addresses with credentials."""
    chain = list(_chain(error))
    for link in chain:
        if isinstance(link, ssl.SSLCertVerificationError):
            return f"the server's certificate is not trusted: {link.verify_message}"
        if isinstance(link, socket.gaierror):
            return "the host name cannot be resolved"
        if isinstance(link, ConnectionRefusedError):
            return "connection refused"
    if any(isinstance(link, (TimeoutError, urllib3.exceptions.TimeoutError)) for link in chain):
        return "no whole answer in time" if call.sent else "connecting took too long"
    if any(isinstance(link, (ssl.SSLError, urllib3.exceptions.SSLError)) for link in chain):
        return "a TLS error"
    if call.sent:
        return f"the connection broke: {type(chain[-1]).__name__}"
    return f"no connection: {type(chain[-1]).__name__}"
