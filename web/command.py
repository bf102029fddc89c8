"""`every8d web`: receives the gateway's callbacks."""

import os

import click

from every8d.command.exits import BAD_INPUT, EPILOG, NOT_REACHED
from every8d.command.invocation import Invocation, common, pass_invocation
from web.callbacksecrets import BadSecret, CallbackSecrets
from web.serving import listen, make_server
from worker import log
from worker.commands import opening  # noqa: F401 - adds this distribution's words
from worker.commands.loading import load_settings


@click.command(epilog=EPILOG)
@common
@click.option("--host", help="Address to listen on; by default the settings' web_host.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="By default the settings' web_port; 0 takes a free one."
)
@pass_invocation
def web(invocation: Invocation, /, host: str | None, port: int | None) -> None:
    """Receive the gateway's callbacks at /callbacks/every8d/SECRET, until SIGTERM.

    SECRET is an account's callback_secret. Put a proxy with TLS before it.
    """
    settings = load_settings()
    log.configure(settings.log_format, settings.log_level)
    log.bind_process("web")
    try:
        secrets = CallbackSecrets(settings.accounts)
    except BadSecret as error:
        raise invocation.problem(
            BAD_INPUT, error.reason, advice="secret_advice", values={"alias": error.alias}
        ) from None
    if not secrets:
        invocation.fail(BAD_INPUT, "secret_missing", advice="secret_advice")
    where = (settings.web_host if host is None else host, settings.web_port if port is None else port)
    try:
        listening = listen(*where)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else "no such address"
        raise invocation.problem(
            NOT_REACHED,
            "cannot_listen",
            values={"address": f"{where[0]}:{where[1]}", "reason": reason},
        ) from None
    address, real_port = listening.getsockname()[:2]
    invocation.answer(command="web", address=address, port=real_port)
    invocation.show(invocation.say("web_listens", address=address, port=real_port))
    make_server(settings, secrets).run(sockets=[listening])
