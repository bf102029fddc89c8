"""Serving the application until SIGTERM: uvicorn, with nothing of a request in any log."""

import socket

import uvicorn

from config import Settings
from web.app import make_app
from web.callbacksecrets import CallbackSecrets
from web.wire import LimitedProtocol
from worker.ledger.database import Database

#: Connections at once; beyond them the answer is 503. Well below the usual limit of open files.
MOST_CONNECTIONS = 500
#: Connections to the database: one commits, the others stand in for those that hang.
_POOL = 6
_BACKLOG = 1024
#: Seconds that an idle connection is kept for the gateway's next report.
_KEEP_ALIVE_S = 15


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named TCP, or asyncio would not switch Nagle's algorithm off: each answer would wait 40 ms for an acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def make_server(settings: Settings, secrets: CallbackSecrets) -> uvicorn.Server:
    """The server; `run(sockets=[listen(…)])` serves until SIGTERM or Ctrl-C, then ends what is under way."""
    app = make_app(Database(settings.database_url, pool_size=_POOL), secrets)
    config = uvicorn.Config(
        app,
        http=LimitedProtocol,
        ws="none",
        lifespan="on",
        # What it logs of requests would show the secret; of connections, whatever a stranger sends. Errors remain.
        access_log=False,
        log_config=None,
        log_level="error",
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)
