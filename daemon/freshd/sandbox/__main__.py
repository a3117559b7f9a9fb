"""``python -m freshd.sandbox``: the service as a process of its own, for harnesses that kill everything else.

Prints one JSON line with all addresses once it listens, and serves until SIGINT or SIGTERM.
"""

import argparse
import asyncio
import json
import signal
import sys

from freshd.sandbox.server import Settings, start
from freshd.sandbox.stands import STANDS


async def serve(settings: Settings) -> None:
    """Serve until a signal comes."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with await start(settings) as running:
        where = {"base_url": running.base_url, "control_url": running.control_url, "trade_url": running.trade.url}
        sys.stdout.write(json.dumps(where) + "\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m freshd.sandbox", description="local token services with faults")
    parser.add_argument("--port", type=int, default=0, help="port of the service (default: a free one)")
    parser.add_argument(
        "--control-port", type=int, default=0, help="port of the control interface (default: a free one)"
    )
    parser.add_argument("--seed", type=int, default=None, help="makes the drawing of faults repeatable")
    parser.add_argument(
        "--stand", action="append", default=[], metavar="MODULE:FUNCTION", help="mount a stand-in of your own, too"
    )
    given = parser.parse_args()
    stands = (*STANDS, *given.stand)
    asyncio.run(serve(Settings(port=given.port, control_port=given.control_port, seed=given.seed, stands=stands)))
