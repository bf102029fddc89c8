"""The emulator on a port: the gateway's address, its WSDL, and the control API beside it."""

import asyncio
import logging
import time

from aiohttp import web

from every8d.emulator import misbehave, soap
from every8d.emulator.callbacks import CallbackSender
from every8d.emulator.control import PATH
from every8d.emulator.control_api import ControlApi
from every8d.emulator.faults import Fault
from every8d.emulator.operations import Result, execute, failure
from every8d.emulator.state import Options, State
from every8d.emulator.wsdl import wsdl

log = logging.getLogger("every8d.emulator")

# The HTTP server would log pieces of requests that it cannot read, and those may hold numbers and texts.
_wire_log = logging.getLogger("every8d.emulator.wire")
_wire_log.disabled = True

#: For calls still running when the emulator stops; a stalled one would never end.
_SHUTDOWN_S = 0.2

_PATH_END = PATH.lower()
_LOOPBACK = frozenset({"127.0.0.1", "::1", None})  # None: a UNIX socket


class Emulator:
    """One emulated gateway. `control` is "loopback" (only this machine may steer it), "anywhere" or "off"."""

    def __init__(self, options: Options | None = None, *, control: str = "loopback") -> None:
        self.state = State(options or Options())
        self._control = control
        self._api = ControlApi(self)
        self._server: web.Server = web.Server(self._handle, access_log=None, logger=_wire_log)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=_SHUTDOWN_S)
        self._callbacks = CallbackSender(self.state)
        self._last_used: dict[asyncio.BaseTransport, float] = {}
        self._chores: asyncio.Task[None] | None = None
        self.host, self.port = "127.0.0.1", 0

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; `port` 0 takes a free one, which `port` then tells."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, backlog=1024).start()
        self.host, self.port = host, self._runner.addresses[0][1]
        self._callbacks.start()
        self._chores = asyncio.create_task(self._close_idle())

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._chores is not None:
            self._chores.cancel()
        await self._callbacks.stop()
        await self._runner.cleanup()

    async def away(self, seconds: float) -> None:
        """Refuse connections for a while, as a gateway that is down; then listen again on the same port."""
        for site in list(self._runner.sites):
            await site.stop()
        for connection in list(self._server.connections):
            connection.force_close()
        await asyncio.sleep(seconds)
        await web.TCPSite(self._runner, self.host, self.port, backlog=1024).start()

    def reset(self) -> None:
        """Forget everything: accounts, batches, faults, switches, statistics, the clock."""
        self.state = State(self.state.options)
        self._callbacks.serve(self.state)

    @property
    def callbacks(self) -> CallbackSender:
        """The sender of delivery reports."""
        return self._callbacks

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        received = time.time()
        path = request.path
        if path.lower().endswith(_PATH_END):
            return await self._gateway(request, received)
        if path.startswith("/control/") and self._control != "off":
            if self._control == "anywhere" or request.remote in _LOOPBACK:
                return await self._api.handle(request)
            return web.json_response({"error": "the control API answers this machine only"}, status=403)
        return web.Response(status=404, text="Not found. The gateway is at " + PATH)

    async def _gateway(self, request: web.BaseRequest, received: float) -> web.StreamResponse:
        if request.method == "GET":
            return self._describe(request)
        if request.method != "POST":
            return web.Response(status=405, headers={"Allow": "GET, POST"})
        stats = self.state.stats
        stats.enter()
        try:
            return await self._call(request, received)
        except misbehave.Gone:
            return web.Response()  # never written: the connection is closed
        except (ConnectionError, asyncio.IncompleteReadError):
            stats.count("?", "client gone")
            return web.Response()
        finally:
            stats.leave()
            if self.state.switches.idle_close_s and request.transport is not None:
                self._last_used[request.transport] = time.monotonic()

    async def _call(self, request: web.BaseRequest, received: float) -> web.StreamResponse:
        state = self.state
        headers = request.headers
        if headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if (request.content_length or 0) > soap.MAX_BODY:
            return self._too_large()
        body = await request.content.read()
        if len(body) > soap.MAX_BODY:
            return self._too_large()
        try:
            call = soap.read(
                headers.get("Content-Type", ""), headers.get("SOAPAction"), body, state.switches.send_message
            )
        except soap.NotUnderstood as problem:
            state.stats.count("?", problem.outcome)
            content_type = (
                {"Content-Type": problem.content_type + "; charset=utf-8"} if problem.content_type else None
            )
            return web.Response(status=problem.status, body=problem.body.encode(), headers=content_type)
        if state.latency_ms:
            await asyncio.sleep(state.latency_ms / 1000)
        fault = state.faults.take(call.operation)
        if fault is not None:
            return await self._misbehave(fault, call, request, received)
        result = self._execute(call, received)
        if result is None:
            return _server_fault(call)
        state.stats.count(call.operation, result.outcome)
        return misbehave.reply(call, result)

    def _execute(self, call: soap.Call, received: float) -> Result | None:
        try:
            return execute(self.state, call.operation, call.params, received)
        except Exception as error:  # noqa: BLE001 - a mistake of the emulator is a 500, as on the real server
            # The kind alone: an exception's text could hold a number.
            log.error("the emulator failed in %s: %s", call.operation, type(error).__name__)
            return None

    async def _misbehave(
        self, fault: Fault, call: soap.Call, request: web.BaseRequest, received: float
    ) -> web.StreamResponse:
        self.state.stats.count(call.operation, f"fault {fault.kind}")
        return await misbehave.play(
            fault,
            call,
            request,
            lambda: self._execute(call, received) or failure(self.state, call.operation, -99),
            lambda code: failure(self.state, call.operation, code),
        )

    def _too_large(self) -> web.Response:
        self.state.stats.count("?", "http 500")
        return web.Response(
            status=500,
            text=misbehave.HTML.format("Maximum request length exceeded."),
            content_type="text/html",
        )

    def _describe(self, request: web.BaseRequest) -> web.Response:
        if request.query_string.lower() != "wsdl":
            return web.Response(text=misbehave.HTML.format("SMS"), content_type="text/html")
        address = f"{request.scheme}://{request.host}{request.path}"
        text = wsdl(address, send_message=self.state.switches.send_message)
        return web.Response(text=text, content_type="text/xml")

    async def _close_idle(self) -> None:
        """Close connections that have been idle for too long, where the switch says so."""
        while True:
            await asyncio.sleep(0.02)
            limit = self.state.switches.idle_close_s
            if not limit:
                self._last_used.clear()
                continue
            now = time.monotonic()
            for transport, used in list(self._last_used.items()):
                if transport.is_closing() or now - used > limit:
                    transport.close()
                    del self._last_used[transport]


def _server_fault(call: soap.Call) -> web.Response:
    body = soap.fault(call.version, "Server", "Server was unable to process request.")
    return web.Response(status=500, body=body, headers={"Content-Type": soap.CONTENT_TYPES[call.version]})
