"""`/callbacks/every8d/<secret>`: the gateway's delivery reports and replies, by GET or POST (specification 3.1).

The answer is a promise. 200: it is committed in the inbox. 503: it is not, send it again. 404: no such address, or a
wrong secret, without telling which. 400 and 413: what came is no report. 405 and 408 as ever. Nothing of the path,
the query or the body is ever logged.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from every8d.callback import MOST_BYTES, CallbackReport, NotAReport, parse
from web.writer import NotStored

#: Seconds for the form of a POST to arrive.
BODY_WITHIN_S = 5.0

#: Stores a report of an account. Raises NotStored.
Put = Callable[[str, CallbackReport], Awaitable[None]]


class Secrets(Protocol):
    """Tells whose a secret is."""

    def account_of(self, secret: str) -> str | None:
        """The account's alias, or None."""


class Callbacks:
    """The ASGI application behind the address. `note` hears, in a few words, of each callback that is not stored."""

    def __init__(self, secrets: Secrets, put: Put, note: Callable[[str], None]) -> None:
        self._secrets = secrets
        self._put = put
        self._note = note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        response = await self._answer(scope, receive)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        alias = self._secrets.account_of(scope["path_params"]["secret"])
        if alias is None:
            self._note("wrong secret")
            return not_found()
        if scope["method"] not in ("GET", "POST"):
            return _no(405, "Method Not Allowed", allow="GET, POST")
        headers = Headers(scope=scope)
        try:
            parts = [scope["query_string"]]
            if scope["method"] == "POST":
                # The form first: an address may have a query of its own.
                parts.insert(0, await _body(headers, Request(scope, receive)))
            report = parse(*parts, content_type=headers.get("content-type", ""))
        except _TooLarge:
            self._note("too large")
            return _no(413, "Content Too Large")
        except TimeoutError:
            self._note("incomplete")
            return _no(408, "Request Timeout")
        except ClientDisconnect:
            self._note("incomplete")
            return _no(400, "Bad Request")
        except NotAReport as error:
            self._note(f"no report: {error}")
            return _no(400, "Bad Request")
        try:
            await self._put(alias, report)
        except NotStored as error:
            self._note(f"not stored: {error}")
            return _no(503, "Not stored; send it again")
        return PlainTextResponse("OK")


class _TooLarge(Exception):
    """More than a callback can be."""


async def _body(headers: Headers, request: Request) -> bytes:
    announced = headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced[:12]) > MOST_BYTES:
        raise _TooLarge
    body = bytearray()
    async with asyncio.timeout(BODY_WITHIN_S):
        async for piece in request.stream():
            body += piece
            if len(body) > MOST_BYTES:
                raise _TooLarge
    return bytes(body)


def not_found() -> Response:
    """What every address answers where nothing is."""
    return _no(404, "Not Found")


def _no(status: int, words: str, **headers: str) -> Response:
    # Closed: what is left of the request is not worth reading.
    return PlainTextResponse(words, status, headers={"connection": "close", **headers})
