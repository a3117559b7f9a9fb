"""Looking for why an agent's account does not work, by calls that spend nothing and count as no attempt (I8).

Rules
-----
* Lists, health, the challenge, the issuer's chain and what is registered: each may be asked by anybody, without a key.
* The challenge tells the gateway's clock; a clock that is off makes certificates look over or not begun.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from freshd.core.finding import BROKEN, FINE, LOOK
from freshd.core.model import Record
from freshd.core.outcome import NotSent, Reply
from freshd.errors import FreshdError
from freshd.ports import Clock, Found
from freshd.providers.aun.case import CANDIDATE_KEY, PRIVATE_KEY, held
from freshd.providers.aun.frames import Greeting
from freshd.providers.aun.gateways import MOST_TRIED, Gateways
from freshd.providers.aun.issued import not_ours
from freshd.providers.aun.life import own_certificate
from freshd.providers.aun.login import Fault, Login
from freshd.providers.aun.options import Options
from freshd.providers.aun.refusal import FAULTS
from freshd.providers.aun.side import Registered, Side
from freshd.providers.aun.transport import Transport
from freshd.providers.aun.unknowns import RENEWABLE_SECONDS
from freshd.providers.http import host

CLOCK_SECONDS: Final = 30.0


class Examination:
    """The calls of one examination."""

    def __init__(self, account: str, options: Options, clock: Clock, side: Side) -> None:
        self._account = account
        self._options = options
        self._clock = clock
        self._side = side

    async def look(
        self, record: Record, gateways: Gateways, transport: Transport, login: Login
    ) -> Sequence[Found]:  # fmt: skip
        """All that can be found out without spending."""
        found = [*self._of_certificate(record)]
        urls = await gateways.find()
        if isinstance(urls, NotSent):
            return [*found, Found(BROKEN, urls.reason, "check aid, discovery and the network", "gateway")]
        for url in urls[:MOST_TRIED]:
            found += await self._of_gateway(url, transport)
        found.append(await self._of_chain(urls[0], login))
        return [*found, self._of_registration(record, await self._side.registered(urls[0], self._options.aid))]

    def _of_certificate(self, record: Record) -> Iterator[Found]:
        own, wall = own_certificate(record), self._clock.now().wall
        if own is None:
            yield Found(BROKEN, "there is no certificate", f"freshd enrol {self._account}", "never-enrolled")
        elif wall > own.ends + RENEWABLE_SECONDS:
            yield Found(BROKEN, "the certificate is over for good", f"freshd enrol {self._account}", "expired")
        elif wall > own.ends:
            yield Found(BROKEN, "the certificate is over", f"freshd operate {self._account} renew", "expired")
        elif wall > own.half:
            yield Found(LOOK, "the certificate is past half of its life and is being renewed")
        else:
            yield Found(FINE, f"the certificate is good for {(own.ends - wall) / 86_400:.0f} days")

    async def _of_gateway(self, url: str, transport: Transport) -> Sequence[Found]:
        place = host(url)
        health = await self._side.health(url)
        if not isinstance(health, Reply) or health.status != 200:
            why = f"status {health.status}" if isinstance(health, Reply) else health.reason
            return [Found(LOOK, f"gateway {place} is not healthy: {why}", "the next one of the list is used")]
        greeting = await transport.greet(url)
        if isinstance(greeting, NotSent):
            return [Found(LOOK, f"gateway {place} does not answer as one: {greeting.reason}")]
        return [Found(FINE, f"gateway {place} is healthy"), *self._off(greeting)]

    def _off(self, greeting: Greeting) -> Iterator[Found]:
        off = 0.0 if greeting.server_time is None else self._clock.now().wall - greeting.server_time
        if abs(off) > CLOCK_SECONDS:
            way = "ahead of" if off > 0 else "behind"
            wrong = f"this clock is {abs(off):.0f} s {way} the gateway's"
            yield Found(BROKEN, wrong, "set it: timedatectl set-ntp true", "clock")

    async def _of_chain(self, url: str, login: Login) -> Found:
        try:
            issuers = await login.issuers(url)
        except FreshdError as error:
            return Found(BROKEN, error.cause, error.remedy)
        if isinstance(issuers, Fault):
            return Found(BROKEN, FAULTS.get(issuers.word, issuers.word), "check roots, and this machine's clock")
        if isinstance(issuers, NotSent):
            return Found(LOOK, issuers.reason, "try again later")
        return Found(FINE, "the issuer's chain ends at a trusted root")

    def _of_registration(self, record: Record, said: Registered) -> Found:
        secrets, aid = {} if record.grant is None else record.grant.secrets, self._options.aid
        if said.why is not None:
            return Found(LOOK, f"what is registered for the agent cannot be told: {said.why}", "try again later")
        if said.certificate is None:
            return Found(BROKEN, "the agent is not registered", f"freshd enrol {self._account}", "never-enrolled")
        if not_ours(said.certificate, aid, held(secrets, PRIVATE_KEY)) is None:
            return Found(FINE, "the registered key is the one in hand")
        if not_ours(said.certificate, aid, held(secrets, CANDIDATE_KEY)) is None:
            return Found(LOOK, "the new key is registered, and is taken over", f"freshd operate {self._account} rekey")
        wrong = "another key is registered for the agent than the one in hand"
        return Found(BROKEN, wrong, "find out who changed it, and import that key", "revoked")
