"""The real `every8d` against a whole system: what it tells, what the gateway then has, and its exit codes."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from celery import Celery
from redis import Redis
from sqlalchemy import func, select

from every8d.times import TAIPEI
from tests.support.console import TEXT, Console, e164
from tests.support.system import System, running
from tests.support.waiting import wait_for
from worker.ledger import queries, tables

NOBODY = "00000000-0000-4000-8000-000000000000"
WHO = ("--by", "小林", "--why", "asked the person")


def later(**length: float) -> str:
    return (datetime.now(TAIPEI) + timedelta(**length)).strftime("%Y-%m-%d %H:%M:%S")


@pytest.fixture(scope="module")
def console() -> Iterator[Console]:
    with running(
        "sqlite",
        settings={"log_level": "INFO", "look_interval_s": "0.2"},
        first_poll_s=0.3,
        poll_ceiling_s=1,
        reply_window_h=1,
        retry_ceiling_s=0.2,
        warm=False,
    ) as system:
        yield Console(system)


def test_one_text_is_sent_and_followed_to_the_end(console: Console) -> None:
    number = console.number()
    exit_code, out, err = console.run("send", number, "--text", TEXT, "--wait")
    assert exit_code == 0, out + err
    assert "Accepted: 1 messages, 1 points." in out
    assert re.search(r"delivered\W+1\b", out)
    assert "done" in out
    assert number not in out + err
    assert console.texts(number) == [TEXT]


def test_what_is_repeated_with_its_key_is_sent_once(console: Console) -> None:
    number = console.number()
    sends = ["send", number, "--text", TEXT, "--lane", "otp", "--key", "code-1"]
    first, second = console.ask(*sends), console.ask(*sends)
    assert first["request"] == second["request"]
    assert first["confirmed"] is second["confirmed"] is True
    console.until("delivered", first["request"])
    assert console.texts(number) == [TEXT]
    other = console.ask("send", number, "--text", "其他", "--lane", "otp", "--key", "code-1", code=1)
    assert other["error"]["kind"] == "idempotency_conflict"


def test_a_text_that_is_not_delivered_is_told_by_the_exit_code(console: Console) -> None:
    answer = console.ask("send", "0900910100", "--text", TEXT, "--wait", code=1)
    assert (answer["messages"]["undelivered"], answer["final"]) == (1, True)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "big5", "utf-16"])
def test_a_file_is_sent_with_a_template_as_excel_writes_it(
    console: Console, tmp_path: Path, encoding: str
) -> None:
    first, second = console.number(), console.number()
    path = tmp_path / "名單.csv"
    # Excel drops the zero at the front; the second byte of 功 in Big5 is a backslash.
    rows = ["手機,姓名,代碼", f"{first[1:]},許功蓋,A1", f"{second},王小明,B2", f"{first},許功蓋,A1"]
    path.write_bytes("\r\n".join(rows).encode(encoding))
    answer = console.ask("send", "--csv", str(path), "--text", "{姓名}您好，代碼 {代碼}", "--wait")
    assert (answer["lane"], answer["duplicates"]) == ("bulk", 1)
    assert {state: n for state, n in answer["messages"].items() if n} == {"delivered": 2, "duplicate": 1}
    assert console.texts(first) == ["許功蓋您好，代碼 A1"]
    assert console.texts(second) == ["王小明您好，代碼 B2"]


def test_a_file_from_a_pipe(console: Console) -> None:
    numbers = [console.number() for _ in range(2)]
    answer = console.ask("send", "--csv", "-", "--text", TEXT, stdin="\n".join(["to", *numbers]).encode())
    assert answer["count"] == 2
    console.until("delivered", answer["request"])
    bad = f"to\n{console.number()}\n02-2345-6789".encode()
    refused = console.ask("send", "--csv", "-", "--text", TEXT, stdin=bad, code=2)
    assert refused["invalid"]["rows"] == [{"line": 3, "reason": "landline"}]
    assert console.texts(console.numbers[-1]) == []


def test_a_dry_run_publishes_nothing(console: Console, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("to,text\n" + f"{console.number()},a\n{console.number()},{'字' * 71}\n")
    before = requests(console.system)
    exit_code, out, _ = console.run(
        "send", "--csv", str(path), "--dry-run", EVERY8D_BROKER_URL="redis://127.0.0.1:1"
    )
    assert exit_code == 0
    assert "Dry run: nothing was sent." in out
    assert console.ask("send", "--csv", str(path), "--dry-run")["points"] == "3"
    assert requests(console.system) == before


def requests(system: System) -> int:
    with system.database.read() as connection:
        return int(connection.scalar(select(func.count()).select_from(tables.request)) or 0)


def test_bad_rows_stop_a_file_and_can_be_left_out(console: Console, tmp_path: Path) -> None:
    good = console.number()
    path = tmp_path / "list.csv"
    path.write_text(f"to,text\n{good},{TEXT}\n02-2345-6789,a\n9.12E+08,b\n{console.number()},\n")
    lines = [
        {"line": 3, "reason": "landline"},
        {"line": 4, "reason": "scientific"},
        {"line": 5, "reason": "no_text"},
    ]
    before = requests(console.system)
    assert console.ask("send", "--csv", str(path), code=2)["invalid"]["rows"] == lines
    exit_code, out, err = console.run("--lang", "zh", "send", "--csv", str(path))
    assert exit_code == 2
    assert "4 列中有 3 列無法發送，未發送任何簡訊。" in err
    assert "23456789" not in (out + err).replace("-", "")
    assert requests(console.system) == before
    answer = console.ask("send", "--csv", str(path), "--skip-invalid")
    assert (answer["count"], answer["invalid"]["rows"]) == (1, lines)
    console.until("delivered", answer["request"])
    assert console.texts(good) == [TEXT]


def test_status_of_a_request_and_of_none(console: Console) -> None:
    request = console.sent()
    answer = console.ask("status", request)
    assert (answer["state"], answer["messages"]["delivered"], answer["cost"]) == ("done", 1, "1.00")
    exit_code, out, _ = console.run("status", request, "--watch")
    assert (exit_code, request in out) == (0, True)
    assert console.ask("status", NOBODY, code=1)["error"]["kind"] == "no_such_request"
    assert console.ask("status", "no-id", code=2)["error"]["kind"] == "invalid_input"


def test_messages_are_shown_without_numbers_unless_asked_for(console: Console) -> None:
    number = console.number()
    request = console.sent(number)
    exit_code, out, _ = console.run("messages", request)
    assert (exit_code, "delivered" in out, number[-6:] in out, number[-3:] in out) == (0, True, False, True)
    (row,) = console.ask("messages", request, "--show-numbers")["messages"]
    assert (row["state"], row["status"], row["number"]) == ("delivered", 100, e164(number))
    assert console.ask("messages", NOBODY, code=1)["error"]["kind"] == "not_found"


def test_a_text_that_waits_for_its_time_is_cancelled_in_the_ledger(console: Console) -> None:
    numbers = [console.number() for _ in range(3)]
    request = console.ask("send", *numbers, "--text", TEXT, "--at", later(minutes=5))["request"]
    console.until("waiting", request)
    answer = console.ask("cancel", request)
    assert (answer["stopped"], answer["erased"], answer["too_late"], answer["pending"]) == (3, 0, 0, 0)
    after = console.system.producer.status(request)
    assert (after.state, after.messages["cancelled"], after.final) == ("cancelled", 3, True)
    assert [console.texts(number) for number in numbers] == [[], [], []]


def test_a_booking_is_erased_at_the_gateway(console: Console) -> None:
    numbers = [console.number() for _ in range(3)]
    request = console.ask("send", *numbers, "--text", TEXT, "--at", later(hours=2), "--book")["request"]
    console.until("booked", request)
    exit_code, out, err = console.run("cancel", request)
    assert (exit_code, "erased at the gateway 3, points back 3.00" in out) == (0, True), out + err
    again = console.ask("cancel", request)
    assert (again["erased"], again["points_back"]) == (3, "3.00")
    console.until("cancelled", request)
    kept = console.system.control.sent(number=e164(numbers[0]), everything=True)
    assert [one["status"] for one in kept] == [303]
    soon = console.ask("send", numbers[0], "--text", TEXT, "--at", later(minutes=5), "--book", code=2)
    assert soon["error"]["message"]


def test_what_was_sent_cannot_be_cancelled(console: Console) -> None:
    answer = console.ask("cancel", console.sent(), code=1)
    assert (answer["stopped"], answer["erased"], answer["too_late"]) == (0, 0, 1)
    assert console.ask("cancel", NOBODY, code=1)["error"]["kind"] == "no_such_request"


def test_replies_are_shown_with_their_texts(console: Console) -> None:
    # The second is delivered after two seconds, so that the batch is looked at again when the first has replied.
    request = console.sent("0900991100", "0900920200")
    (reply,) = console.ask("replies", "--request", request)["replies"]
    assert (reply["text"], reply["request"], reply["account"]) == ("回覆簡訊", request, "default")
    assert "900991100" not in reply["number"]
    exit_code, out, _ = console.run("replies", "--since", "1h", "--show-numbers")
    assert (exit_code, "回覆簡訊" in out, "+886900991100" in out) == (0, True, True)


def test_credit_as_last_heard_and_as_the_gateway_says_now(console: Console) -> None:
    console.system.control.add_credit(5)
    (now,) = console.ask("credit", "--now")["accounts"]
    assert (now["account"], Decimal(now["credit"])) == ("default", Decimal(console.system.control.credit()))
    exit_code, out, _ = console.run("credit", "--account", "default")
    assert (exit_code, f"{Decimal(now['credit']):,}" in out) == (0, True)
    assert console.ask("credit", "--account", "nobody", code=1)["error"]["kind"] == "no_account"


def test_an_accounts_session_is_closed_and_made_anew(console: Console) -> None:
    console.sent()
    logins = console.system.control.logins()
    (account,) = console.ask("accounts")["accounts"]
    assert (account["alias"], account["breaker"], account["session"]["present"]) == (
        "default",
        "closed",
        True,
    )
    assert console.ask("accounts", "close", "default")["closed"] is True
    assert console.system.control.calls("closeConnection", "ok") == 1
    exit_code, out, _ = console.run("accounts", "close", "default")
    assert (exit_code, "default has no session." in out) == (0, True)
    exit_code, out, _ = console.run("accounts")
    assert (exit_code, "none" in out) == (0, True)
    assert console.ask("accounts", "close", "nobody", code=1)["error"]["kind"] == "not_found"
    console.sent()
    assert console.system.control.logins() == logins + 1


def lost(console: Console, when: str) -> tuple[str, str, str]:
    """A send whose answer is lost: its number, request and chunk."""
    number = console.number()
    console.system.control.fault("drop", "sends", when=when)
    request = console.sent(number, until="unknown")
    found = queries.unknown_chunks(console.system.database)
    (chunk,) = [one.chunk for one in found if request in one.requests]
    return number, request, chunk


def test_an_unknown_chunk_that_was_not_sent_is_sent_again(console: Console) -> None:
    number, request, chunk = lost(console, "before")
    (shown,) = console.ask("unknown")["chunks"]
    assert (shown["chunk"], shown["requests"], shown["messages"]) == (chunk, [request], 1)
    exit_code, out, err = console.run("unknown")
    assert (exit_code, chunk in out, request in out) == (0, True, True), out + err
    assert console.ask("unknown", "resend", chunk, code=2)["error"]["kind"] == "usage"
    assert console.ask("unknown", "resend", chunk, *WHO)["messages"] == 1
    console.until("delivered", request)
    assert console.texts(number) == [TEXT]
    assert console.ask("unknown", "resend", chunk, *WHO, code=1)["error"]["kind"] == "wrong_state"
    assert console.ask("unknown", "resend", "e8d0000", *WHO, code=1)["error"]["kind"] == "not_found"


def test_an_unknown_chunk_that_was_sent_is_followed_by_its_batch_id(console: Console) -> None:
    number, request, chunk = lost(console, "after")
    assert console.ask("status", request, "--watch", code=3)["messages"]["unknown"] == 1
    (sent,) = console.system.control.sent(number=e164(number))
    assert (
        console.ask("unknown", "accept", chunk, "--batch-id", "7", *WHO, code=2)["error"]["kind"] == "usage"
    )
    console.ask("unknown", "accept", chunk, "--batch-id", sent["batch"], *WHO)
    console.until("delivered", request)
    assert console.texts(number) == [TEXT]


@pytest.mark.parametrize(("decision", "state"), [("accept", "sent"), ("refuse", "refused")])
def test_an_unknown_chunk_is_settled_without_more(console: Console, decision: str, state: str) -> None:
    _, request, chunk = lost(console, "after")
    console.ask("unknown", decision, chunk, *WHO)
    status = console.system.producer.status(request)
    assert (status.messages[state], status.final) == (1, True)
    exit_code, out, _ = console.run("events", "--kind", "chunk_settled", "--since", "1h")
    assert exit_code == 0
    assert f"小林 settled chunk {chunk}: {decision}. asked the person" in out
    assert queries.unknown_chunks(console.system.database) == []


def test_a_malformed_body_is_shown_as_dead(console: Console) -> None:
    app = Celery(broker=console.system.settings.broker_url, set_as_current=False)
    body = {"v": 1, "to": e164(console.number())}
    app.send_task("every8d.accept", kwargs={"body": body}, queue="every8d.bulk")
    wait_for(lambda: [one for one in queries.dead_bodies(console.system.database) if one.request is None])
    newest = console.ask("dead", "--since", "1h")["bodies"][0]
    assert (newest["request"], newest["messages"]) == (None, None)
    exit_code, out, _ = console.run("dead")
    assert (exit_code, newest["reason"] in out, console.numbers[-1][1:] in out) == (0, True, False)
    assert console.ask("events", "--kind", "dead_letter")["events"]


def test_migrating_makes_a_ledger_and_does_no_harm_to_one(console: Console, tmp_path: Path) -> None:
    assert console.ask("migrate")["migrated"] is True
    new = {"EVERY8D_DATABASE_URL": f"sqlite:///{tmp_path / 'new' / 'ledger.db'}"}
    assert console.ask("events", code=4, **new)["error"]["kind"] == "ledger_missing"
    assert console.ask("migrate", **new)["migrated"] is True
    assert console.ask("events", **new)["events"] == []


def test_what_cannot_be_reached_or_read_is_told(console: Console) -> None:
    nowhere = {"EVERY8D_BROKER_URL": "redis://:geheim@127.0.0.1:1"}
    number = console.number()
    exit_code, out, err = console.run("send", number, "--text", TEXT, "--key", "again", **nowhere)
    assert (exit_code, "--key again" in err) == (4, True)
    assert "geheim" not in out + err
    assert console.ask("status", NOBODY, code=4, **nowhere)["error"]
    wrong = console.ask("credit", code=2, EVERY8D_ACCOUNTS__DEFAULT__CHUNK_SIZE="0")
    assert [one["setting"] for one in wrong["problems"]] == ["EVERY8D_ACCOUNTS__DEFAULT__CHUNK_SIZE"]
    assert console.ask("sned", code=2)["error"]["kind"] == "usage"


def test_no_log_line_holds_a_number_a_text_or_the_session_key(console: Console) -> None:
    console.sent(lane="otp")
    with Redis.from_url(console.system.settings.redis_url, decode_responses=True) as redis:
        session_key = str(redis.get("every8d:session:default"))
    assert len(session_key) == 32
    log = console.system.log.read_text()
    assert "outcome=accepted" in log
    assert "every8d" in log
    for secret in [TEXT, session_key, "小明", *(number[1:] for number in console.numbers)]:
        assert secret not in log
