"""The three sending operations: what they take, refuse and charge (specification 1.2, 2.1–2.3)."""

import re
import uuid
from array import array
from decimal import Decimal

from lxml import etree

from every8d.emulator import codes, life, pricing
from every8d.emulator.account import Account
from every8d.emulator.batch import Batch
from every8d.emulator.clock import read_send_time
from every8d.emulator.numbers import is_abroad, read_number
from every8d.emulator.state import State

DEFAULT_VALIDITY_MINUTES = 1440
NAME_WIDTH = 50
MOBILE_WIDTH = 20

#: Stands for a malformed number that is taken all the same (switch bad_number); no telephone has it.
MALFORMED = 0
MALFORMED_STATUS = 8  # magic outcome: status -8

Params = dict[str, str | None]

_DECLARATION = re.compile(r"^<\?xml[^>]*\?>")


class Refused(Exception):
    """The whole call is refused: nothing of it was executed. Carries the reply, `code,text`."""

    def __init__(self, code: int, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.reply = codes.plain(code) + detail


def send_text(state: State, account: Account, params: Params, received: float) -> str:
    """sendSMS and sendMessage: one text to many numbers."""
    content = _text(params.get("content"))
    mobiles = params.get("mobile") or ""
    if not mobiles.strip():
        raise Refused(-27)
    listed = [mobile for mobile in mobiles.split(",") if mobile.strip()]
    if not listed:
        raise Refused(-41)
    now = state.clock.now()
    due = _due(params.get("sendTime"), now)
    numbers = _numbers(listed, state)
    batch = Batch(
        batch_id=str(uuid.uuid4()),
        user_id=account.user_id,
        subject=params.get("subject") or "",
        received=received,
        accepted=now,
        due=due,
        validity_s=60 * _validity(params.get("retryTime")),
        numbers=numbers,
        cost=pricing.domestic_points(content),
        text=content,
    )
    if any(map(is_abroad, numbers)):
        abroad = pricing.abroad_points(content)
        batch.costs = array("L", (abroad if is_abroad(number) else batch.cost for number in numbers))
    return _accept(state, account, batch)


def send_personal(state: State, account: Account, params: Params, received: float) -> str:
    """sendParamSMS: a text, and perhaps a name, an e-mail address and a time, for each recipient."""
    users = _users(params.get("contentXML"))
    now = state.clock.now()
    due = _due(params.get("sendTime"), now)
    texts: list[str] = []
    mobiles: list[str] = []
    for user in users:
        texts.append(_text(user.text))
        mobile = user.get("MOBILE") or ""
        if not mobile.strip():
            raise Refused(-27)
        if len(mobile) > MOBILE_WIDTH:
            raise Refused(-306, _named(mobile, state))
        mobiles.append(mobile)
    numbers = _numbers(mobiles, state)
    batch = Batch(
        batch_id=str(uuid.uuid4()),
        user_id=account.user_id,
        subject=params.get("subject") or "",
        received=received,
        accepted=now,
        due=due,
        validity_s=60 * DEFAULT_VALIDITY_MINUTES,
        numbers=numbers,
        cost=0,
    )
    batch.texts = texts
    batch.costs = array("L", _personal_costs(texts, mobiles, numbers, state))
    batch.names = _column(users, "NAME", NAME_WIDTH)
    batch.emails = _column(users, "EMAIL", None)
    times = [user.get("SENDTIME") for user in users]
    if any(times):
        batch.dues = array("d", (_due(time, now) if time else due for time in times))
    return _accept(state, account, batch)


_XML = etree.XMLParser(
    resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
)


def _users(content_xml: str | None) -> "list[etree._Element]":
    if not content_xml or not content_xml.strip():
        raise Refused(-24)
    try:
        # In a string of the envelope a declared encoding means nothing; the bytes here are UTF-8.
        root = etree.fromstring(_DECLARATION.sub("", content_xml.strip()).encode(), _XML)
    except (etree.XMLSyntaxError, UnicodeEncodeError) as error:
        raise Refused(-99) from error
    if root.tag != "REPS" or root.getroottree().docinfo.doctype:
        raise Refused(-99)
    users = [child for child in root if child.tag == "USER"]
    if not users:
        raise Refused(-41)
    return users


def _column(users: "list[etree._Element]", attribute: str, width: int | None) -> list[str] | None:
    values = [(user.get(attribute) or "")[:width] for user in users]
    return values if any(values) else None


def _personal_costs(texts: list[str], mobiles: list[str], numbers: "array[int]", state: State) -> list[int]:
    domestic: dict[str, int] = {}
    triple = state.switches.local_param_number == "triple"
    costs = []
    for text, mobile, number in zip(texts, mobiles, numbers, strict=True):
        if is_abroad(number):
            costs.append(pricing.abroad_points(text))
            continue
        points = domestic.get(text)
        if points is None:
            points = domestic[text] = pricing.domestic_points(text)
        # "Convert it to +886…, so that points are not miscounted" (specification 2.3): 09… counts as foreign.
        costs.append(points * pricing.ABROAD_FACTOR if triple and mobile.lstrip()[:1] != "+" else points)
    return costs


def _text(content: str | None) -> str:
    text = (content or "").replace("\r\n", "\n")
    if not text.strip():
        raise Refused(-24)
    return text


def _due(send_time: str | None, now: float) -> float:
    wanted = (send_time or "").strip()
    if not wanted:
        return now
    moment = read_send_time(wanted)
    if moment is None:
        raise Refused(-28)
    return max(moment, now)  # a time that has passed: sent at once


def _validity(retry_time: str | None) -> int:
    wanted = (retry_time or "").strip()
    if wanted.isascii() and wanted.isdigit() and 0 < int(wanted) < 1_000_000:
        return int(wanted)
    return DEFAULT_VALIDITY_MINUTES


def _numbers(mobiles: list[str], state: State) -> "array[int]":
    numbers = array("Q")
    for mobile in mobiles:
        number = read_number(mobile)
        if number is None:
            if state.switches.bad_number == "refuse":
                raise Refused(-306, _named(mobile, state))
            number = MALFORMED
        elif life.magic_of(number) == life.REFUSED:
            raise Refused(-306, _named(mobile, state))
        numbers.append(number)
    return numbers


def _named(mobile: str, state: State) -> str:
    return f": {mobile.strip()}" if state.switches.name_bad_number else ""


def _accept(state: State, account: Account, batch: Batch) -> str:
    """Charge what the credit covers, keep the rest back, and answer the five fields."""
    for position, number in enumerate(batch.numbers):
        if number == MALFORMED:
            batch.magic[position] = MALFORMED_STATUS
            continue
        magic = life.magic_of(number)
        if magic is not None:
            batch.magic[position] = magic
            if magic in (life.FORBIDDEN, life.LEFT_UNSENT):
                batch.kept[position] = life.ABROAD_OFF if magic == life.FORBIDDEN else life.NO_CREDIT
        elif not account.abroad and is_abroad(number):
            batch.kept[position] = life.ABROAD_OFF
    cost = _charge(account, batch, state.switches.unsent)
    unsent = sum(1 for status in batch.kept.values() if status == life.NO_CREDIT)
    state.keep(batch)
    digits = state.switches.cost_digits
    return f"{account.credit:.2f},{len(batch) - len(batch.kept)},{cost:.{digits}f},{unsent},{batch.batch_id}"


def _charge(account: Account, batch: Batch, unsent: str) -> int:
    """Points taken. Messages that the credit does not cover become 301: the last ones, or the first."""
    positions = range(len(batch))
    whole = sum(map(batch.cost_of, positions)) if batch.costs or batch.kept else batch.cost * len(batch)
    if whole <= account.credit:
        account.credit -= whole
        return whole
    left = account.credit
    for position in positions if unsent == "last" else reversed(positions):
        cost = batch.cost_of(position)
        if position in batch.kept:
            continue
        if cost <= left:
            left -= cost
        else:
            batch.kept[position] = life.NO_CREDIT
    taken = account.credit - left
    account.credit = Decimal(left)
    return int(taken)
