"""The EVERY8D SOAP gateway.

with Gateway(user_id, password) as gateway:
    gateway.send("0912345678", "Hello")
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from every8d import soap as contract
from every8d import sockets
from every8d.direct import Direct
from every8d.errors import GatewayError
from every8d.operations import now_in_taipei
from every8d.transport import GatewayTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

#: The vendor's address (specification, chapter 1).
DEFAULT_URL = "https://oms.every8d.com/API21/SOAP/SMS.asmx"


class Gateway(Direct):
    """One account at the gateway. Make one a process and share it between threads.

    `url` is http or https, with any path. `deadline_s` bounds a call in total: name resolution, connect, TLS,
    the request and the last byte of the answer; `connect_timeout_s` bounds what comes before the request.
    `pool_size` is the number of connections kept: the number of threads. No call uses a connection that was
    idle for more than `idle_s` seconds. `proxy` is an http:// address; the environment's are not used.
    `ca_file` replaces the authorities that certificates are checked against.
    """

    def __init__(
        self,
        user_id: str,
        password: str,
        *,
        url: str = DEFAULT_URL,
        soap: Literal["1.1", "1.2"] = "1.1",
        deadline_s: float = 30.0,
        connect_timeout_s: float = 5.0,
        pool_size: int = 32,
        idle_s: float = 15.0,
        proxy: str | None = None,
        ca_file: str | None = None,
        clock: Callable[[], datetime] = now_in_taipei,
    ) -> None:
        super().__init__(user_id, password, clock=clock)
        scheme, host = _scheme(url)
        if scheme not in ("http", "https"):
            raise ValueError("the gateway's url must begin with https:// or http://")
        if soap not in contract.BINDINGS:
            raise ValueError('soap must be "1.1" or "1.2"')
        if proxy is not None and _scheme(proxy)[0] != "http":
            raise ValueError("the proxy must be an http:// address")
        if deadline_s <= 0 or connect_timeout_s <= 0:
            raise ValueError("deadline_s and connect_timeout_s must be positive")
        self._host = host
        self._deadline_s = deadline_s
        self._connect_timeout_s = connect_timeout_s
        self._idle_s = idle_s
        tls = sockets.tls_context(ca_file) if scheme == "https" else None
        self._transport = GatewayTransport(sockets.manager(pool_size=pool_size, tls=tls, proxy=proxy))
        self._service = contract.service(self._transport, version=soap, url=url)

    def __repr__(self) -> str:
        return f"Gateway(host={self._host!r}, user_id='***', password='***')"

    def close(self) -> None:
        """Close the idle connections. A later call opens new ones."""
        self._transport.close()

    def _ask(self, operation: str, fields: Mapping[str, str], deadline_s: float | None) -> str:
        limit = self._deadline_s if deadline_s is None else min(deadline_s, self._deadline_s)
        call = sockets.Call(operation, time.monotonic() + limit, self._connect_timeout_s, self._idle_s)
        token = sockets.current.set(call)
        try:
            result = self._service[operation](**fields)
        except Exception as error:
            # zeep fails in many ways over a strange answer, and they all mean the same.
            if not call.sent and not isinstance(error, GatewayError):
                # Nothing left, so this is no failure of the gateway's but a mistake to be seen as it is.
                raise
            failure = contract.explain(error, operation, call.status)
        else:
            return "" if result is None else str(result)
        finally:
            sockets.current.reset(token)
        # Raised outside, so that zeep's own error, which quotes the whole answer, does not come along.
        raise failure


def _scheme(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.hostname or ""
