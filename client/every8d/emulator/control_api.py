"""The control API: JSON under `/control/…`, for tests and benches. The gateway itself knows nothing of it."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from aiohttp import web

from every8d.emulator import report
from every8d.emulator.account import Account
from every8d.emulator.faults import Fault
from every8d.emulator.life import Habits
from every8d.emulator.numbers import read_number
from every8d.emulator.state import CallbackTarget

if TYPE_CHECKING:
    from every8d.emulator.server import Emulator

Body = dict[str, Any]


class ControlApi:
    """Each route is a method named after it: `POST /control/faults` is `post_faults`."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._background: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer one request; a wrong one gets 400 and a sentence."""
        name = request.path.removeprefix("/control/").strip("/").replace("/", "_")
        route = getattr(self, f"{request.method.lower()}_{name}", None)
        if route is None:
            return web.json_response({"error": f"no {request.method} {request.path}"}, status=404)
        try:
            given: Any = dict(parse_qsl(request.query_string))
            if request.method == "POST":
                given = json.loads(await request.content.read() or b"{}")
            if not isinstance(given, dict):
                raise TypeError("the body is a JSON object")
            answer = route(given)
        except (ValueError, TypeError, KeyError, InvalidOperation) as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)
        return web.json_response(answer)

    # --- what happened

    def get_ping(self, _: Body) -> Body:
        return {"ok": True, "port": self._emulator.port}

    def get_stats(self, _: Body) -> Body:
        return self._emulator.state.stats.report()

    def get_sent_summary(self, _: Body) -> Body:
        return report.summary(self._emulator.state)

    def get_statuses(self, _: Body) -> Body:
        return report.statuses(self._emulator.state)

    def get_sent(self, given: Body) -> Body:
        number = given.get("number")
        return report.sent(
            self._emulator.state,
            number=None if number is None else read_number(number) or -1,
            batch_id=given.get("batch"),
            subject=given.get("subject"),
            everything=given.get("everything") == "1",
            with_text=given.get("text") == "1",
            offset=int(given.get("offset", 0)),
            limit=int(given.get("limit", 1000)),
        )

    def get_arrivals(self, given: Body) -> Body:
        found = report.arrivals(
            self._emulator.state,
            since=float(given.get("since", 0)),
            most_messages=int(given.get("most_messages", 0)),
            subject=given.get("subject"),
        )
        return {"arrivals": found}

    def get_callbacks(self, _: Body) -> Body:
        sender = self._emulator.callbacks
        return {**sender.counts, "pending": sender.pending()}

    # --- what shall happen

    def post_reset(self, _: Body) -> Body:
        self._emulator.reset()
        return {"ok": True}

    def get_faults(self, _: Body) -> Body:
        return {"faults": self._emulator.state.faults.report()}

    def post_faults(self, given: Body) -> Body:
        self._emulator.state.faults.add(Fault(**given))
        return self.get_faults({})

    def delete_faults(self, _: Body) -> Body:
        self._emulator.state.faults.clear()
        return self.get_faults({})

    def post_seed(self, given: Body) -> Body:
        self._emulator.state.faults.seed(int(given["seed"]))
        return {"ok": True}

    def post_switches(self, given: Body) -> Body:
        for name, value in given.items():
            self._emulator.state.switches.set(name, value)
        return {"ok": True}

    def post_network(self, given: Body) -> Body:
        """`latency_ms`, `deliver_after_s`, `fail_permille`, `reply_permille`; what is not given stays."""
        state = self._emulator.state
        state.latency_ms = float(given.pop("latency_ms", state.latency_ms))
        habits = Habits(**{**state.habits._asdict(), **given})
        state.habits = Habits(float(habits[0]), int(habits[1]), int(habits[2]))
        return {"latency_ms": state.latency_ms, **state.habits._asdict()}

    def post_callback(self, given: Body) -> Body:
        """`url` (null: off), `method`, `charset`, `retry_s`, `retries`; for batches accepted from now on."""
        self._emulator.state.callback = CallbackTarget(**given) if given.get("url") else None
        return {"ok": True}

    def post_down(self, given: Body) -> Body:
        """Refuse connections, this API's too, for `seconds`; the answer to this request still arrives."""
        seconds = float(given["seconds"])
        task = asyncio.get_running_loop().create_task(self._go_away(seconds))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return {"ok": True}

    async def _go_away(self, seconds: float) -> None:
        await asyncio.sleep(0.05)
        await self._emulator.away(seconds)

    # --- the clock

    def get_clock(self, _: Body) -> Body:
        clock = self._emulator.state.clock
        return {"now": clock.now(), "offset_s": clock.offset_s}

    def post_clock(self, given: Body) -> Body:
        """`advance_s`, or `to`: seconds since the epoch, or ISO 8601 with an offset."""
        clock = self._emulator.state.clock
        if "advance_s" in given:
            clock.advance(float(given["advance_s"]))
        if "to" in given:
            clock.move_to(_moment(given["to"]))
        return self.get_clock({})

    # --- accounts

    def get_accounts(self, _: Body) -> Body:
        return {
            account.user_id: {
                "credit": f"{account.credit:.2f}",
                "abroad": account.abroad,
                "locked": account.locked,
                "bad_logins": account.bad_logins,
            }
            for account in self._emulator.state.accounts.values()
        }

    def post_accounts(self, given: Body) -> Body:
        """Open `user_id` with `password`, `credit`, `abroad`; one of that name is replaced."""
        credit = Decimal(str(given.get("credit", 0)))
        account = Account(
            str(given["user_id"]), str(given["password"]), credit, abroad=bool(given.get("abroad"))
        )
        self._emulator.state.add_account(account)
        return self.get_accounts({})

    def post_account(self, given: Body) -> Body:
        """Change `user_id`: `add_credit`, `set_credit`, `abroad`, `locked`, `password`, `void_keys`."""
        account = self._emulator.state.accounts[given["user_id"]]
        if "set_credit" in given:
            account.credit = Decimal(str(given["set_credit"]))
        account.credit += Decimal(str(given.get("add_credit", 0)))
        account.abroad = bool(given.get("abroad", account.abroad))
        account.password = str(given.get("password", account.password))
        if given.get("void_keys"):
            account.void_keys()
        if "locked" in given:
            account.lock() if given["locked"] else account.unlock()
        return self.get_accounts({})[account.user_id]  # type: ignore[no-any-return] # one account of the mapping


def _moment(given: Any) -> float:
    if isinstance(given, int | float):
        return float(given)
    at = datetime.fromisoformat(given)
    if at.tzinfo is None:
        raise ValueError("a time needs its offset, such as +08:00")
    return at.timestamp()
