"""The ASGI application of `every8d web`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from every8d.callback import CallbackReport
from web.callbacks import Callbacks, not_found
from web.callbacksecrets import CallbackSecrets
from web.tally import Tally
from web.writer import NotStored, Writer
from worker.ledger import inbox
from worker.ledger.database import Database

_log = structlog.get_logger(__name__)


def make_app(database: Database, secrets: CallbackSecrets) -> Starlette:
    """The application on this ledger, which it closes at its end."""
    writer = Writer(partial(inbox.store, database))
    tally = Tally(lambda what, count: _log.warning("callbacks without 200", reason=what, count=count))

    async def put(alias: str, report: CallbackReport) -> None:
        try:
            row = inbox.arrived(alias, report)
        except Exception as error:  # noqa: BLE001 - the gateway shall repeat it, whatever is wrong with us
            raise NotStored(type(error).__name__) from None
        await writer.put(row)

    @asynccontextmanager
    async def life(_app: Starlette) -> AsyncIterator[None]:
        yield
        await writer.close()
        database.close()

    app = Starlette(
        routes=[Route("/callbacks/every8d/{secret}", Callbacks(secrets, put, tally.note))],
        exception_handlers={404: _nothing_here},
        lifespan=life,
    )
    # An address with a slash too many is no address; being sent on would say that there is one.
    app.router.redirect_slashes = False
    return app


async def _nothing_here(_request: Request, _error: Exception) -> Response:
    return not_found()
