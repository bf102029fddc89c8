"""The command `every8d emulator`."""

import asyncio
import contextlib
import gc
import os
import signal
from decimal import Decimal, InvalidOperation

import click

from every8d.emulator.control import PATH
from every8d.emulator.life import Habits
from every8d.emulator.state import DEFAULT_CREDIT, CallbackTarget, Options

_PARENT_LOOK_S = 0.25


class _Points(click.ParamType):  # type: ignore[type-arg] # generic in newer releases only
    name = "points"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            points = Decimal(str(value))
        except InvalidOperation:
            points = Decimal("NaN")
        if not points.is_finite():
            self.fail("not a number of points（不是點數）", param, ctx)
        return points


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8021, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free port."
)
@click.option(
    "--latency-ms",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Added to every gateway call.",
)
@click.option(
    "--deliver-after-s",
    default=2.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds from sent to delivered.",
)
@click.option(
    "--fail-permille", default=0, show_default=True, type=click.IntRange(0, 1000), help="Of ordinary numbers."
)
@click.option(
    "--reply-permille",
    default=0,
    show_default=True,
    type=click.IntRange(0, 1000),
    help="Of ordinary numbers.",
)
@click.option(
    "--credit", default=DEFAULT_CREDIT, show_default=True, type=_Points(), help="Points of the account demo."
)
@click.option("--abroad/--no-abroad", default=False, show_default=True, help="Whether demo may send abroad.")
@click.option(
    "--callback-url",
    envvar="EMULATOR_CALLBACK_URL",
    help="Where delivery reports go; none are sent without it.",
)
@click.option(
    "--control-anywhere", is_flag=True, help="Let other machines use the control API; for closed networks."
)
@click.option("--no-control", is_flag=True, help="No control API at all.")
@click.option("--die-with-parent", is_flag=True, help="End when the process that started this one has ended.")
def emulator(
    host: str,
    port: int,
    latency_ms: float,
    deliver_after_s: float,
    fail_permille: int,
    reply_permille: int,
    credit: Decimal,
    abroad: bool,
    callback_url: str | None,
    control_anywhere: bool,
    no_control: bool,
    die_with_parent: bool,
) -> None:
    """An EVERY8D gateway on this machine, that sends nothing. 在本機模擬 EVERY8D 閘道，不會真的發送簡訊。

    Log in as demo with the password demo. 帳號 demo，密碼 demo。
    """
    options = Options(
        credit=credit,
        abroad=abroad,
        latency_ms=latency_ms,
        habits=Habits(deliver_after_s, fail_permille, reply_permille),
        callback=CallbackTarget(callback_url) if callback_url else None,
    )
    control = "off" if no_control else "anywhere" if control_anywhere else "loopback"
    try:
        asyncio.run(_serve(options, control, host, port, die_with_parent))
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error.name} is missing （缺少套件）: install every8d[emulator]"
        ) from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "no such address"
        raise click.ClickException(f"cannot listen on {host}:{port} （無法監聽）: {reason}") from None


async def _serve(options: Options, control: str, host: str, port: int, die_with_parent: bool) -> None:
    # Here, so that the command's help needs neither the HTTP server nor the XML library.
    from every8d.emulator.server import Emulator

    parent = os.getppid()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(
            NotImplementedError
        ):  # Windows has no handlers in its loop; Ctrl-C works there too
            loop.add_signal_handler(name, ended.set)
    server = Emulator(options, control=control)
    await server.start(host, port)
    gc.freeze()  # what is loaded now stays: no collection needs to look at it
    # Messages stay too, and make no circles: looking through a hundred thousand of them holds every call up.
    gc.set_threshold(10_000, 50, 10_000)
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"every8d emulator: http://{shown}:{server.port}{PATH}")
    try:
        while not ended.is_set() and not (die_with_parent and os.getppid() != parent):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), _PARENT_LOOK_S if die_with_parent else None)
    finally:
        await server.stop()
