"""Connections that keep a call's deadline, know how long they stood idle, and whether a request has begun.

urllib3 bounds each read, not the answer: a body that drips outlives any read timeout. Here each read and
write gets what is left of the call, and so do name resolution, connect, TLS and a proxy's CONNECT. Nothing is
sent on a connection that stood idle: a server that closes it at that moment leaves an outcome nobody knows.
"""

from __future__ import annotations

import contextlib
import ipaddress
import math
import socket
import ssl
import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: How long a peer that vanished goes unnoticed, for connections in the pool: 10 s, then 3 probes of 5 s.
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))


@dataclass(slots=True)
class Call:
    """One call on its way: its deadlines (by the monotonic clock), and whether bytes of it may have left."""

    operation: str
    deadline: float
    connect_timeout_s: float
    idle_s: float
    sent: bool = False
    #: The HTTP status of the answer, once there is one.
    status: int | None = None
    connect_by: float = field(init=False)

    def __post_init__(self) -> None:
        self.connect_by = min(self.deadline, time.monotonic() + self.connect_timeout_s)


#: The call that this thread is making. urllib3 offers no way to hand it down to a connection.
current: ContextVar[Call] = ContextVar("every8d_call")
#: Called by a request's thread before its first byte leaves; if it raises OSError, none does. For whoever keeps
#: account of what may be out.
before_departure: ContextVar[Callable[[], None] | None] = ContextVar("every8d_departure", default=None)


class _Timed:
    """A socket whose every read and write ends at `deadline`."""

    deadline: float = math.inf
    touched: float = 0.0

    def _begin(self) -> None:
        now = time.monotonic()
        if now >= self.deadline:
            raise TimeoutError("the deadline has passed")
        self.touched = now
        self.settimeout(None if self.deadline == math.inf else self.deadline - now)  # type: ignore[attr-defined]  # of the socket that this is mixed into

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self._begin()
        count: int = super().recv_into(*args, **kwargs)  # type: ignore[misc]  # the same
        self.touched = time.monotonic()
        return count

    def send(self, *args: Any, **kwargs: Any) -> int:
        self._begin()
        return super().send(*args, **kwargs)  # type: ignore[misc,no-any-return]  # the same

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self._begin()
        super().sendall(*args, **kwargs)  # type: ignore[misc]  # the same


class TimedSocket(_Timed, socket.socket):
    """A plain socket with a deadline."""


class TimedSSLSocket(_Timed, ssl.SSLSocket):
    """A TLS socket with a deadline; `ssl.SSLContext.sslsocket_class` makes them."""


class _Bounded:
    """What both kinds of connection add to urllib3's."""

    sock: Any
    _opening = False
    _parts: list[bytes] | None = None

    @property
    def is_connected(self) -> bool:
        """Asked by the pool before each use: a connection idle for too long is closed and opened anew."""
        connected: bool = super().is_connected  # type: ignore[misc]  # of the connection that this is mixed into
        return connected and time.monotonic() - self.sock.touched <= current.get().idle_s

    def _new_conn(self) -> TimedSocket:
        by = current.get().connect_by
        opened = _open(self._dns_host, self.port, by, self.socket_options or ())  # type: ignore[attr-defined]  # the same
        opened.deadline = by
        return opened

    def connect(self) -> None:
        self._opening = True
        try:
            super().connect()  # type: ignore[misc]  # the same
        finally:
            self._opening = False

    def request(self, *args: Any, **kwargs: Any) -> None:
        # Header and body in one write: half the system calls, and one packet for most requests.
        parts: list[bytes] = []
        self._parts = parts
        try:
            super().request(*args, **kwargs)  # type: ignore[misc]  # the same
        finally:
            self._parts = None
        self._depart(b"".join(parts))

    def send(self, data: Any) -> None:
        if self._opening:
            super().send(data)  # type: ignore[misc]  # the same; a proxy's CONNECT is no request of ours
        elif self._parts is not None:
            self._parts.append(data)
        else:
            self._depart(data)

    def _depart(self, data: bytes) -> None:
        # A connect that fails is not a request that left, nor is one that came too late.
        if self.sock is None:
            self.connect()
        call = current.get()
        if time.monotonic() >= call.deadline:
            raise TimeoutError("the deadline has passed")
        self.sock.deadline = call.deadline
        tell = before_departure.get()
        if tell is not None:
            tell()
        call.sent = True
        super().send(data)  # type: ignore[misc]  # the same


class _PlainConnection(_Bounded, HTTPConnection):
    pass


class _TLSConnection(_Bounded, HTTPSConnection):
    pass


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TLSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


def manager(*, pool_size: int, tls: ssl.SSLContext | None, proxy: str | None) -> urllib3.PoolManager:
    """A pool of such connections for any number of threads. `proxy` is an http:// address, never guessed."""
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    options += [
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in _KEEPALIVE
        if hasattr(socket, name)
    ]
    settings: dict[str, Any] = {
        "num_pools": 4,
        "maxsize": pool_size,
        "socket_options": options,
        "ssl_context": tls,
    }
    if proxy is None:
        made = urllib3.PoolManager(**settings)
    else:
        # urllib3 ignores the credentials of an address.
        login = urllib3.util.parse_url(proxy).auth
        headers = urllib3.make_headers(proxy_basic_auth=unquote(login)) if login else None
        made = urllib3.ProxyManager(proxy, proxy_headers=headers, **settings)
    made.pool_classes_by_scheme = {"http": _PlainPool, "https": _TLSPool}
    return made


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Verifies certificates against `ca_file`, else against the system's and certifi's together."""
    context = ssl.create_default_context(cafile=ca_file)
    if ca_file is None:
        import certifi

        context.load_verify_locations(certifi.where())
    context.sslsocket_class = TimedSSLSocket
    return context


def _open(host: str, port: int, by: float, options: Sequence[tuple[int, int, int | bytes]]) -> TimedSocket:
    addresses = _resolve(host.strip("[]"), port, by)
    failure: OSError = OSError("the host name has no address")
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        # A dead address gets its share of the time, not all of it.
        share = (by - time.monotonic()) / (len(addresses) - index)
        if share <= 0:
            raise TimeoutError("connecting took too long")
        opened = TimedSocket(family, kind, protocol)
        try:
            for option in options:
                opened.setsockopt(*option)
            opened.settimeout(share)
            opened.connect(address)
        except OSError as error:
            opened.close()
            failure = error
        else:
            # TLS takes its time-out from here, and keeps it as a total.
            opened.settimeout(max(by - time.monotonic(), 0.001))
            opened.touched = time.monotonic()
            return opened
    raise failure


def _resolve(host: str, port: int, by: float) -> list[Any]:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    found: list[Any] = []
    failed: list[Exception] = []

    def ask() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits, whatever it is
            failed.append(error)

    # The resolver knows no time-out, so it is left behind when the time is over.
    thread = threading.Thread(target=ask, name="every8d-resolve", daemon=True)
    thread.start()
    thread.join(max(by - time.monotonic(), 0))
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError("resolving the host name took too long")
    return found
