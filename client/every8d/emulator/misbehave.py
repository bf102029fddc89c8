"""Playing a fault on the wire (see `faults` for the kinds)."""

import asyncio
import socket
import struct
from collections.abc import Callable

from aiohttp import web

from every8d.emulator import soap
from every8d.emulator.faults import Fault
from every8d.emulator.operations import Result

HTML = "<!DOCTYPE html><html><head><title>Service</title></head><body><h1>{}</h1></body></html>"
_LOOK_EVERY_S = 0.01
_DRIP_BYTES = 8


class Gone(Exception):
    """The connection was closed by a fault; there is nothing left to answer."""


async def play(
    fault: Fault,
    call: soap.Call,
    request: web.BaseRequest,
    execute: Callable[[], Result],
    failure: Callable[[int], Result],
) -> web.StreamResponse:
    """Answer `call` as the fault wants it; `execute` is called at most once. Raises Gone for a silence."""
    kind = fault.kind
    if kind == "code":
        return reply(call, failure(fault.code))
    if kind == "delay":
        return await _delay(fault, call, execute)
    if kind == "hang_up":
        await _client_gone(request, fault.delay_ms / 1000 or None)
        execute()
        raise _close(request)
    if kind in ("half_body", "drip", "truncated"):
        return await _broken_body(fault, call, request, execute)
    if fault.when == "after":
        execute()
    if kind == "stall":
        await _client_gone(request, None)
        raise _close(request)
    if kind == "drop":
        raise _close(request)
    if kind == "reset":
        raise _reset(request)
    return _wrong_answer(fault, call)


def reply(call: soap.Call, result: Result) -> web.Response:
    """The usual answer to a call."""
    return web.Response(
        body=soap.answer(call, result.text),
        headers={"Content-Type": soap.CONTENT_TYPES[call.version] + "; charset=utf-8"},
    )


def _wrong_answer(fault: Fault, call: soap.Call) -> web.Response:
    if fault.kind == "html":
        return web.Response(text=HTML.format("網站維護中"), content_type="text/html")
    if fault.kind == "http":
        body = None if fault.status in (204, 304) else HTML.format(fault.status)
        return web.Response(status=fault.status, text=body, content_type="text/html")
    if fault.kind == "empty":
        return web.Response(body=b"", headers={"Content-Type": soap.CONTENT_TYPES[call.version]})
    if fault.kind == "result":
        return reply(call, Result(fault.text))
    server = fault.kind == "server_fault"
    text = fault.text or (
        "Server was unable to process request." if server else "The request was not understood."
    )
    return web.Response(
        status=500,
        body=soap.fault(call.version, "Server" if server else "Client", text),
        headers={"Content-Type": soap.CONTENT_TYPES[call.version] + "; charset=utf-8"},
    )


async def _delay(fault: Fault, call: soap.Call, execute: Callable[[], Result]) -> web.Response:
    if fault.when == "after":
        result = execute()
        await asyncio.sleep(fault.delay_ms / 1000)
    else:
        await asyncio.sleep(fault.delay_ms / 1000)
        result = execute()
    return reply(call, result)


async def _broken_body(
    fault: Fault, call: soap.Call, request: web.BaseRequest, execute: Callable[[], Result]
) -> web.StreamResponse:
    result = execute()
    body = soap.answer(call, result.text)
    content_type = {"Content-Type": soap.CONTENT_TYPES[call.version] + "; charset=utf-8"}
    if fault.kind == "truncated":
        return web.Response(body=body[: len(body) // 2], headers=content_type)
    response = web.StreamResponse(headers={**content_type, "Content-Length": str(len(body))})
    await response.prepare(request)
    if fault.kind == "half_body":
        await response.write(body[: len(body) // 2])
        raise _close(request)
    for start in range(0, len(body), _DRIP_BYTES):
        await response.write(body[start : start + _DRIP_BYTES])
        await asyncio.sleep(fault.delay_ms / 1000)
    await response.write_eof()
    return response


async def _client_gone(request: web.BaseRequest, at_most_s: float | None) -> None:
    loop = asyncio.get_running_loop()
    until = None if at_most_s is None else loop.time() + at_most_s
    while request.transport is not None and not request.transport.is_closing():
        if until is not None and loop.time() >= until:
            return
        await asyncio.sleep(_LOOK_EVERY_S)


def _close(request: web.BaseRequest) -> Gone:
    if request.transport is not None:
        request.transport.close()
    return Gone()


def _reset(request: web.BaseRequest) -> Gone:
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if connection is not None:
            # Lingering for no time makes the kernel send RST instead of FIN.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return Gone()
