"""freshd sandbox: stand-ins of services on the loopback interface, with faults on demand."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import click

from freshd.cli.options import as_json, examples
from freshd.cli.output import dump, say

if TYPE_CHECKING:
    from freshd.sandbox.server import Settings

port = click.IntRange(0, 65535)


@click.command(epilog=examples("freshd sandbox", "freshd sandbox --port 8080 --control-port 8081 --json"))
@click.option("--port", type=port, default=0, help="Port of the service.  [default: a free one]")
@click.option("--control-port", type=port, default=0, help="Port for faults and counters.  [default: a free one]")
@click.option("--seed", type=int, help="Makes the drawing of faults repeatable.")
@click.option("--approve", is_flag=True, help="Agree to every authorization at once, without showing the page.")
@click.option("--stand", "own", multiple=True, metavar="MODULE:FUNCTION", help="Mount a stand-in of your own, too.")
@as_json
def sandbox(port: int, control_port: int, seed: int | None, approve: bool, own: tuple[str, ...], json: bool) -> None:
    """Serve stand-ins of services on 127.0.0.1, strict and with faults on demand, until Ctrl-C.

    Prints where the service is, where it is controlled, and where Futu's trading connection is, once all answer.
    """
    import asyncio

    from freshd.sandbox.server import Settings
    from freshd.sandbox.stands import STANDS

    settings = Settings(
        port=port, control_port=control_port, seed=seed, approves_at_once=approve, stands=(*STANDS, *own)
    )
    asyncio.run(_serve(settings, json))


async def _serve(settings: Settings, json: bool) -> None:
    import asyncio

    from freshd.sandbox.server import start

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with await start(settings) as running:
        if json:
            where = {"base_url": running.base_url, "control_url": running.control_url}
            dump({**where, "trade_url": running.trade.url})
        else:
            say(f"service  {running.base_url}\ncontrol  {running.control_url}\ntrade    {running.trade.url}")
        await stop.wait()
