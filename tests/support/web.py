"""`every8d web` for a test: the real server on a real socket, in a thread of the test's own process."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote_plus

from pydantic import SecretStr
from sqlalchemy import Row, select

from config import Account, Settings
from tests.support.waiting import wait_for
from web.callbacksecrets import CallbackSecrets
from web.serving import listen, make_server
from worker.ledger.database import Database
from worker.ledger.tables import inbox

SECRET = "a-secret-of-the-default-account"
OTHER_SECRET = "a-secret-of-another-account-too"
PATH = "/callbacks/every8d/"
BATCH = "220478cc-8506-49b2-93b7-2505f651c12e"
#: As the gateway sends a report, in the order and with the names of the field notes.
REPORT = {
    "BatchID": BATCH,
    "RM": "+886987654321",
    "RT": "20180101120002",
    "STATUS": "100",
    "SM": "Hello, 世界",
    "CustID": "CUSTOMER",
    "UserNo": "USER",
    "ST": "20180101120001",
    "MR": "1",
    "SUBJECT": "",
    "NAME": "王小明",
    "USERID": "demo",
    "SOURCE": "",
    "CHARGE": "1",
}


def query(charset: str = "utf-8", **changes: str) -> str:
    """The query of a report, with other values or further parameters."""
    return "&".join(
        f"{name}={quote_plus(value, encoding=charset)}" for name, value in {**REPORT, **changes}.items()
    )


class Web:
    """A server that runs."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}{PATH}{SECRET}"

    def ask(self, path: str, *, method: str = "GET", body: bytes | None = None, **headers: str) -> int:
        """The status of one request, over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def report(self, secret: str = SECRET, **changes: str) -> int:
        """The status of the answer to a report by GET."""
        return self.ask(f"{PATH}{secret}?{query(**changes)}")

    def connect(self) -> socket.socket:
        """A plain connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


@contextmanager
def serving(database_url: str, **accounts: Account) -> Iterator[Web]:
    """Serves on a free port of the loopback address."""
    accounts = accounts or {
        "default": Account(
            user_id="demo", password=SecretStr("demo"), callback_secret=SecretStr(SECRET), callbacks=True
        ),
        "other": Account(
            user_id="other", password=SecretStr("demo"), callback_secret=SecretStr(OTHER_SECRET)
        ),
    }
    settings = Settings(database_url=database_url, accounts=accounts)
    listening = listen("127.0.0.1", 0)
    server = make_server(settings, CallbackSecrets(settings.accounts))
    port = listening.getsockname()[1]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started, what="the server")
        yield Web(port)
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@contextmanager
def locked(database: Database) -> Iterator[None]:
    """Meanwhile nobody can store a report: others wait for the end of our transaction."""
    # Another pool, as another process has: a lock of the process's own would hold up the reader too.
    other = Database(database.url.render_as_string(hide_password=False), pool_size=1)
    with other.engine.begin() as connection:  # which on SQLite takes the file's one writer's lock
        if other.is_postgres:
            connection.exec_driver_sql("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
        yield
    other.close()


def rows(database: Database) -> list[Row[Any]]:
    """The inbox, in the order of its ids."""
    with database.read() as connection:
        return list(connection.execute(select(inbox).order_by(inbox.c.id)))
