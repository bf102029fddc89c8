"""The address for callbacks, over real sockets: what each answer promises, and what a stranger can do to it."""

import logging
import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from every8d.callback import MOST_BYTES
from tests.support.waiting import wait_for
from tests.support.web import BATCH, OTHER_SECRET, PATH, SECRET, Web, locked, query, rows, serving
from web import wire
from web.serving import listen
from worker.ledger import migrate
from worker.ledger.database import Database

FORM = "application/x-www-form-urlencoded"
#: The promise is 3 s; a busy machine adds to it.
QUICKLY_S = 8.0


@pytest.fixture
def web(database_url: str) -> Iterator[Web]:
    with serving(database_url) as one:
        yield one


@pytest.fixture
def sqlite_web(migrated_sqlite: Path, tmp_path: Path) -> Iterator[tuple[Web, Database]]:
    """For what no database makes different."""
    copy = tmp_path / "ledger.db"
    copy.write_bytes(migrated_sqlite.read_bytes())
    database = Database(f"sqlite:///{copy}")
    with serving(f"sqlite:///{copy}") as one:
        yield one, database
    database.close()


def test_200_says_that_it_is_stored(web: Web, database: Database) -> None:
    assert web.report() == 200
    [one] = rows(database)
    assert (one.account, one.batch_id, one.number, one.status) == ("default", BATCH, "+886987654321", 100)
    assert abs(one.received_ms - time.time() * 1000) < 60_000


def test_a_report_that_is_repeated_is_200_again_and_one_row(web: Web, database: Database) -> None:
    assert [web.report(), web.report(), web.report(MR="2")] == [200, 200, 200]
    assert len(rows(database)) == 2


def test_the_secret_says_whose_it_is(web: Web, database: Database) -> None:
    assert web.report(secret=OTHER_SECRET, USERID="demo") == 200
    assert [one.account for one in rows(database)] == ["other"]


POSTS: dict[str, tuple[str, str, bytes]] = {
    "a form": ("", FORM, query().encode()),
    "a form in Big5": ("", FORM, query("cp950").encode()),
    "a form in Big5 that says so": ("", FORM + "; charset=big5", query("cp950").encode()),
    "a form of another kind's name": ("", "text/plain", query().encode()),
    "a form beside a query": ("?MR=7&x=y", FORM, query().encode()),
    "a query alone": ("?" + query(), FORM, b""),
}


@pytest.mark.parametrize(("tail", "kind", "body"), POSTS.values(), ids=POSTS)
def test_post(sqlite_web: tuple[Web, Database], tail: str, kind: str, body: bytes) -> None:
    web, database = sqlite_web
    path = f"{PATH}{SECRET}{tail}"
    assert web.ask(path, method="POST", body=body, content_type=kind) == 200
    [one] = rows(database)
    assert (one.batch_id, one.position, one.status) == (BATCH, 1, 100)
    assert "王小明" in one.fields


def test_a_form_in_pieces(sqlite_web: tuple[Web, Database]) -> None:
    web, database = sqlite_web
    body = query().encode()
    with web.connect() as connection:
        connection.sendall(
            f"POST {PATH}{SECRET} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        for piece in (body[:30], body[30:]):
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert len(rows(database)) == 1


def form_of(size: int) -> bytes:
    return b"STATUS=0&SM=" + b"a" * (size - 12)


REFUSED: dict[str, tuple[str, str, bytes | None, dict[str, str], int]] = {
    "a wrong secret": ("GET", f"{PATH}{SECRET}x?{query()}", None, {}, 404),
    "a wrong secret, whatever is done with it": ("DELETE", f"{PATH}wrong", None, {}, 404),
    "a wrong secret with a form of any size": ("POST", f"{PATH}wrong", b"a" * 300_000, {}, 404),
    "no secret": ("GET", f"{PATH}?{query()}", None, {}, 404),
    "a slash after the secret": ("GET", f"{PATH}{SECRET}/?{query()}", None, {}, 404),
    "a part after the secret": ("GET", f"{PATH}{SECRET}/x?{query()}", None, {}, 404),
    "a secret with escapes of nothing": ("GET", f"{PATH}%ff%00{SECRET}?{query()}", None, {}, 404),
    "another gateway": ("GET", f"/callbacks/other/{SECRET}?{query()}", None, {}, 404),
    "the root": ("GET", "/", None, {}, 404),
    "another method": ("PUT", f"{PATH}{SECRET}", query().encode(), {}, 405),
    "a question for the head": ("HEAD", f"{PATH}{SECRET}?{query()}", None, {}, 405),
    "no report": ("GET", f"{PATH}{SECRET}", None, {}, 400),
    "an empty form": ("POST", f"{PATH}{SECRET}", b"", {}, 400),
    "JSON": ("POST", f"{PATH}{SECRET}", b'{"STATUS": 0}', {}, 400),
    "too many parameters": ("GET", f"{PATH}{SECRET}?STATUS=0" + "&a=1" * 101, None, {}, 400),
    "too large a form": ("POST", f"{PATH}{SECRET}", form_of(MOST_BYTES + 1), {}, 413),
    "too large an announcement": ("POST", f"{PATH}{SECRET}", b"", {"Content-Length": "9" * 15}, 413),
    "a header beyond all headers": ("GET", f"{PATH}{SECRET}?{query()}", None, {"X": "a" * 400_000}, 431),
}


@pytest.mark.parametrize(("method", "path", "body", "headers", "status"), REFUSED.values(), ids=REFUSED)
def test_everything_else_is_refused_and_nothing_of_it_stored(
    sqlite_web: tuple[Web, Database],
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
    status: int,
) -> None:
    web, database = sqlite_web
    assert web.ask(path, method=method, body=body, **headers) == status
    assert rows(database) == []
    assert web.report() == 200  # it goes on


def test_the_longest_callback_that_is_allowed(sqlite_web: tuple[Web, Database]) -> None:
    web, database = sqlite_web
    assert web.ask(f"{PATH}{SECRET}", method="POST", body=form_of(MOST_BYTES)) == 200
    address = f"{PATH}{SECRET}?"
    assert web.ask(address + form_of(60_000).decode()) == 200
    assert len(rows(database)) == 2


def test_the_404_of_a_wrong_secret_is_that_of_no_address(sqlite_web: tuple[Web, Database]) -> None:
    def answer(path: str) -> bytes:
        with sqlite_web[0].connect() as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            found = b""
            while more := connection.recv(1000):
                found += more
        lines = found.split(b"\r\n")
        return b"\r\n".join(line for line in lines if not line.startswith(b"date:"))

    wrong = answer(f"{PATH}a-secret-of-nobody-at-all?{query()}")
    assert wrong == answer("/nothing/here")
    assert wrong.startswith(b"HTTP/1.1 404 ")
    assert b"server:" not in wrong


def read_until_closed(connection: socket.socket) -> bytes:
    found = b""
    try:
        while more := connection.recv(65_536):
            found += more
    except ConnectionResetError:
        pass
    return found


def flood(connection: socket.socket, piece: bytes, most: int) -> int:
    """Sends the piece again and again until the other side has closed; how many bytes that took."""
    for sent in range(0, most, len(piece)):
        try:
            connection.sendall(piece)
        except OSError:
            return sent
    return most


def test_a_head_without_an_end_is_cut_off(sqlite_web: tuple[Web, Database]) -> None:
    for start in (f"GET {PATH}{SECRET}?", f"GET {PATH}{SECRET}? HTTP/1.1\r\nX: ", "GET / HTTP/1.1\r\n"):
        with sqlite_web[0].connect() as connection:
            connection.sendall(start.encode())
            piece = b"x: y\r\n" * 10_000 if start.endswith("\n") else b"a" * 60_000
            # What the sockets' buffers take, and no more.
            assert flood(connection, piece, 50_000_000) < 20_000_000


def test_whoever_takes_too_long_is_cut_off(
    sqlite_web: tuple[Web, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "REQUEST_S", 0.3)
    monkeypatch.setattr("web.callbacks.BODY_WITHIN_S", 0.1)
    web, database = sqlite_web
    for words, answer in {
        "": b"",
        "GET /callb": b"",
        f"GET {PATH}{SECRET}?STATUS=0 HTTP/1.1\r\nHost: x\r\nX": b"",
        f"POST {PATH}{SECRET} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nSTATUS=0": b"HTTP/1.1 408 ",
    }.items():
        with web.connect() as connection:
            connection.sendall(words.encode())
            assert read_until_closed(connection).startswith(answer), words
    assert rows(database) == []


def test_whoever_goes_away_leaves_nothing_behind(sqlite_web: tuple[Web, Database]) -> None:
    web, database = sqlite_web
    for _ in range(20):
        with web.connect() as connection:
            connection.sendall(
                f"POST {PATH}{SECRET} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nSTATUS=0".encode()
            )
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert web.report() == 200
    assert len(rows(database)) == 1


def test_more_connections_than_are_allowed_are_503_until_some_end(
    sqlite_web: tuple[Web, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.serving.MOST_CONNECTIONS", 4)
    with serving(sqlite_web[1].url.render_as_string()) as web:
        idle = [web.connect() for _ in range(3)]
        wait_for(lambda: web.report() == 503)
        for connection in idle:
            connection.close()
        wait_for(lambda: web.report() == 200)


def test_several_reports_over_one_connection(sqlite_web: tuple[Web, Database]) -> None:
    web, database = sqlite_web
    asked = b"".join(
        f"GET {PATH}{SECRET}?{query(MR=str(number))} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        for number in range(1, 31)
    )
    with web.connect() as connection:
        connection.sendall(asked)
        found = b""
        while found.count(b"HTTP/1.1 200 ") < 30:
            more = connection.recv(65_536)
            assert more, found
            found += more
    assert len(rows(database)) == 30


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=600), st.booleans())
def test_whatever_is_sent_the_server_goes_on_and_logs_nothing_of_it(
    sqlite_web: tuple[Web, Database], caplog: pytest.LogCaptureFixture, data: bytes, in_query: bool
) -> None:
    web, _ = sqlite_web
    head = f"GET {PATH}{SECRET}?STATUS=0&SM=%1b[31m".encode() if in_query else b""
    with web.connect() as connection:
        connection.sendall(head + data + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        read_until_closed(connection)
    assert web.report() == 200
    shown = caplog.text
    assert SECRET not in shown
    assert "\x1b" not in shown
    assert "Traceback" not in shown


def test_no_log_shows_anything_of_a_request(
    sqlite_web: tuple[Web, Database], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    web, _ = sqlite_web
    with caplog.at_level(logging.DEBUG):
        assert web.report(SM="a text of somebody", STATUS="999") == 200
        assert web.report(secret="a-wrong-secret-that-came", SM="a text of somebody") == 404
        assert web.ask(f"{PATH}{SECRET}?x=a+text+of+somebody") == 400
        with web.connect() as connection:
            connection.sendall(f"GET {PATH}{SECRET}?\xff\x00 nonsense\r\n\r\n".encode("latin-1"))
            read_until_closed(connection)
    told = capfd.readouterr()
    shown = caplog.text + told.out + told.err
    assert "wrong secret" in shown
    for secret in (SECRET, "a-wrong-secret-that-came", "somebody", "0987654321", BATCH, "987654321"):
        assert secret not in shown


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_answers_do_not_wait_for_acknowledgements(host: str, family: socket.AddressFamily) -> None:
    with listen(host, 0) as listening:
        # asyncio switches Nagle's algorithm off for sockets that say that they are TCP, and for no others.
        assert (listening.family, listening.proto) == (family, socket.IPPROTO_TCP)


def test_a_locked_ledger_is_503_soon_and_200_once_it_is_free(web: Web, database: Database) -> None:
    with locked(database):
        began = time.monotonic()
        assert web.report() == 503
        assert time.monotonic() - began < QUICKLY_S
    wait_for(lambda: web.report() == 200)
    assert len(rows(database)) == 1


def test_a_ledger_without_tables_is_503(tmp_path: Path) -> None:
    with serving(f"sqlite:///{tmp_path}/empty.db") as web:
        assert web.report() == 503


def test_a_database_that_nobody_answers_for_is_503_soon() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens: refused
        with serving(f"postgresql://x:y@127.0.0.1:{taken.getsockname()[1]}/x") as web:
            began = time.monotonic()
            assert web.report() == 503
            assert time.monotonic() - began < QUICKLY_S
        taken.listen(1)  # the system connects, and nobody ever speaks: hangs
        with serving(f"postgresql://x:y@127.0.0.1:{taken.getsockname()[1]}/x") as web:
            began = time.monotonic()
            assert web.report() == 503
            assert time.monotonic() - began < QUICKLY_S


def test_a_database_that_stands_still_is_503_soon_and_200_once_it_goes_on(postgres_url: str) -> None:
    migrate.upgrade(postgres_url)
    database = Database(postgres_url)
    with serving(postgres_url) as web:
        assert web.report() == 200
        with database.read() as connection:
            ours = connection.exec_driver_sql(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).scalars()
            stopped = [psutil.Process(pid) for pid in ours]
        assert stopped
        for process in stopped:
            os.kill(process.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            assert web.report(MR="2") == 503
            assert time.monotonic() - began < QUICKLY_S
            # The connection is dead for all that anybody knows: another one stores.
            wait_for(lambda: web.report(MR="2") == 200)
        finally:
            for process in stopped:
                os.kill(process.pid, signal.SIGCONT)
        wait_for(lambda: web.report(MR="2") == 200)
        assert sorted(one.position for one in rows(database)) == [1, 2]
    database.close()
