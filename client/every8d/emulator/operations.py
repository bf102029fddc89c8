"""The eight operations of the gateway: parameters in, the text of the result out."""

import re
from typing import NamedTuple

from every8d.emulator import codes, statuspage
from every8d.emulator.account import Account
from every8d.emulator.sending import Params, Refused, send_personal, send_text
from every8d.emulator.state import State

#: Parameters by operation, in the order of the WSDL.
PARAMETERS: dict[str, tuple[str, ...]] = {
    "getConnection": ("userID", "password"),
    "closeConnection": ("sessionKey",),
    "sendSMS": ("sessionKey", "subject", "content", "mobile", "sendTime"),
    "sendMessage": ("sessionKey", "subject", "content", "mobile", "sendTime", "retryTime"),
    "sendParamSMS": ("sessionKey", "subject", "contentXML", "sendTime"),
    "eraseBooking": ("sessionKey", "batchID"),
    "getDeliveryStatus": ("sessionKey", "batchID", "pageNo"),
    "getCredit": ("sessionKey",),
}

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Result(NamedTuple):
    """The string that the operation returns; `outcome` is `ok` or a code, for the statistics."""

    text: str | bytes  # bytes: UTF-8, already escaped for XML
    outcome: str = "ok"


def execute(state: State, operation: str, params: Params, received: float) -> Result:
    """Run one operation. `received` is when the call arrived, by the machine's clock."""
    if operation == "getConnection":
        return _log_in(state, params)
    account = state.account_of(params.get("sessionKey"))
    if operation == "closeConnection":
        closed = account is not None and account.close(params.get("sessionKey") or "", state.clock.now())
        return Result("1") if closed else Result("-1", "-1")
    if account is None:
        return Result("-301" if state.switches.bare_301 else codes.plain(-301), "-301")
    try:
        return _execute(state, account, operation, params, received)
    except Refused as refusal:
        return Result(refusal.reply, str(refusal.code))


def failure(state: State, operation: str, code: int) -> Result:
    """The reply of this operation for an error code: XML where the operation answers in XML."""
    if code == -301:
        return Result("-301" if state.switches.bare_301 else codes.plain(code), str(code))
    if operation == "getConnection":
        return Result(codes.connection(code), str(code))
    if operation == "getDeliveryStatus":
        return Result(codes.status_error(code), str(code))
    if operation == "closeConnection" and code == -1:
        return Result("-1", "-1")
    return Result(codes.plain(code), str(code))


def _execute(state: State, account: Account, operation: str, params: Params, received: float) -> Result:
    if operation in ("sendSMS", "sendMessage"):
        return Result(send_text(state, account, params, received))
    if operation == "sendParamSMS":
        return Result(send_personal(state, account, params, received))
    if operation == "getCredit":
        return Result(f"{account.credit:.2f}")
    if operation == "eraseBooking":
        return _erase(state, account, params.get("batchID") or "")
    return _delivery_status(state, account, params)


def _log_in(state: State, params: Params) -> Result:
    user_id, password = params.get("userID") or "", params.get("password") or ""
    if not user_id or not password:
        return failure(state, "getConnection", -300)
    account = state.accounts.get(user_id)
    if account is None:
        return failure(state, "getConnection", -100)
    code, key = account.log_in(password, state.clock.now(), state.switches.second_login)
    if code:
        return failure(state, "getConnection", code)
    state.remember_key(key, account)
    return Result(codes.connection(0, key))


def _erase(state: State, account: Account, batch_id: str) -> Result:
    if not _GUID.fullmatch(batch_id):
        return failure(state, "eraseBooking", -3)
    batch = state.batch_of(account, batch_id)
    if batch is None:
        return Result("", "no data")
    count, points = batch.erase(state.clock.now())
    if not count:
        return failure(state, "eraseBooking", -4)
    if not state.switches.refund_erased:
        points = 0
    account.credit += points
    return Result(f"{count},{points}.00")


def _delivery_status(state: State, account: Account, params: Params) -> Result:
    batch = state.batch_of(account, params.get("batchID") or "")
    if batch is None:
        return Result(statuspage.no_such_batch(), "no data")
    wanted = (params.get("pageNo") or "").strip()
    number = int(wanted) if wanted.isascii() and wanted.isdigit() and 0 < len(wanted) < 8 else 1
    shuffle = state.next_shuffle()
    rows = statuspage.page(batch, max(number, 1), state.clock.now(), state.habits, state.switches, shuffle)
    return Result(rows)
