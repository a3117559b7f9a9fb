"""The channel of kind `aun`: a login at an AUN gateway, held with the account's lease.

Rules
-----
* Gateways are tried in their order.  One whose health is not good, that cannot be connected to, or that is out of order
  before the login is up, is left for the next; what a gateway says of the login itself is final for this try.
* Each connection is closed before the next one is opened: never are two of ours in one slot.
* The login is the same whole one on every connection, with the lease that the runner hands over: a reconnect asks for
  no new token.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Final

from freshd.channels import aun_codes as codes
from freshd.channels.aun_address import gateways_of
from freshd.channels.aun_options import Options, device_of, json_schema, parse
from freshd.channels.aun_session import Beat, Login, Session
from freshd.channels.aun_socket import Gateway, RemoteGateway, Unreachable, trust_of
from freshd.channels.dialer import Ended, Facts, Why
from freshd.core.model import Lease
from freshd.core.settings import ChannelSettings

__all__ = ["AunDialer", "json_schema", "make", "parse"]

GATEWAYS: Final = "gateways"
"""The field of a lease that lists the gateways, parted by blanks, the first one first."""
AID: Final = "aid"
"""The field of a lease that says whose it is."""
NO_LEASE: Final = Ended(Why.WRONG, "no-account", "the channel names no account whose lease it could log in with")
NO_GATEWAY: Final = Ended(
    Why.LOST, "no-gateway", "the lease names no gateway that can be used, and none is configured",
    wait=codes.LATER_SECONDS,
)  # fmt: skip
NO_TRUST: Final = Ended(
    Why.LOST, "ca-file", "the authorities to trust cannot be read from ca_file", wait=codes.LATER_SECONDS
)
Reach = Callable[[str, ssl.SSLContext | None], Gateway]


def make(settings: ChannelSettings) -> AunDialer:
    """The dialer of a channel whose options were found valid."""
    options = Options.model_validate(dict(settings.options))
    if options.device_id is None:
        options = options.model_copy(update={"device_id": device_of(socket.gethostname(), settings.name)})
    return AunDialer(options)


class AunDialer:
    """`channels.dialer.Dialer` for AUN.  `beat`: how often to ping, `reach`: how to get at a gateway; for tests.

    follows_lease  whether the runner logs in anew when the account has a newer lease
    """

    def __init__(self, options: Options, beat: Beat | None = None, reach: Reach = RemoteGateway) -> None:
        self.follows_lease = options.reconnect_with_new_token
        self._options = options
        self._beat = beat or Beat(usual=options.heartbeat)
        self._reach = reach
        self._turn = asyncio.Lock()

    async def hold(self, lease: Lease | None, up: Callable[[Facts], None]) -> Ended:
        """Log in, call `up`, hold until the connection ends."""
        if lease is None:
            return NO_LEASE
        urls = gateways_of(self._options.gateway or lease.fields.get(GATEWAYS, ""))
        if not urls:
            return NO_GATEWAY
        try:
            trust = trust_of(self._options.ca_file) if any(url.startswith("wss:") for url in urls) else None
        except (OSError, ssl.SSLError):
            return NO_TRUST
        async with self._turn:
            return await self._try([self._reach(url, trust) for url in urls], lease, up)

    async def _try(self, gateways: Sequence[Gateway], lease: Lease, up: Callable[[Facts], None]) -> Ended:
        """The gateways one after the other; how the first one ended that is in order, or else the last one."""
        ended = NO_GATEWAY
        for gateway in gateways:
            login = Login(lease.token, self._options.declared, lease.fields.get(AID), gateway.host)
            ended, was_up = await self._visit(gateway, login, up)
            if was_up or not codes.is_the_gateways(ended):
                return ended
        if len(gateways) == 1:
            return ended
        reason = f"none of the {len(gateways)} gateways can be used; of the last one: {ended.reason}"
        return Ended(Why.LOST, ended.code, reason, wait=ended.wait)

    async def _visit(self, gateway: Gateway, login: Login, up: Callable[[Facts], None]) -> tuple[Ended, bool]:
        """How a login at one gateway ended, and whether it was up before."""
        deadline = self._options.connect_deadline
        try:
            await gateway.check()
            async with gateway.open(deadline) as socket:
                session = Session(socket, login, self._beat, deadline)
                return await session.hold(up), session.was_up
        except Unreachable as error:
            reason = f"the gateway {gateway.host} cannot be used: {error}"
            return codes.out_of_order(codes.GONE, reason), False
