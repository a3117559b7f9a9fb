"""What a gateway answers to plain requests: health, chain, certificates, revocation.  Harmless, all of it.

Rules
-----
* Everything is a GET within seconds; nothing here can spend, and no secret is sent.
* What is asked about an agent's certificate is told as one of three: registered, not registered, not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from freshd.core.outcome import Performed, Reply
from freshd.providers.aun.certificate import Certificate, certificate_of
from freshd.providers.aun.transport import side_of
from freshd.providers.http import Call, Http, Route

SIDE_SECONDS: Final = 5.0
ANY: Final = {"Accept": "*/*"}
NOT_THERE: Final = 404


@dataclass(frozen=True, slots=True)
class Registered:
    """What is registered for an agent.  certificate: None where nothing is; why: why it is not known, else None."""

    certificate: Certificate | None = None
    why: str | None = None


class Side:
    """The plain requests of one account."""

    def __init__(self, http: Http, route: Route) -> None:
        self._http = http
        self._route = Route(route.ca_file, route.proxy, min(route.deadline, SIDE_SECONDS))

    def certificate_call(self, gateway: str, aid: str) -> Call:
        """The request for what is registered for an agent."""
        return self._call(gateway, f"/pki/cert/{aid}")

    async def registered(self, gateway: str, aid: str) -> Registered:
        """What is registered for an agent."""
        return registered_in(await self._http.call(self.certificate_call(gateway, aid)))

    async def chain(self, gateway: str) -> Performed:
        """The issuer's chain."""
        return await self._http.call(self._call(gateway, "/pki/chain"))

    async def list_of_revoked(self, gateway: str) -> Performed:
        """The issuer's revocation list."""
        return await self._http.call(self._call(gateway, "/pki/crl.json"))

    async def word_on(self, gateway: str, serial: int) -> Performed:
        """The issuer's word on one certificate."""
        return await self._http.call(self._call(gateway, f"/pki/ocsp/{serial:x}"))

    async def health(self, gateway: str) -> Performed:
        """The gateway's health."""
        return await self._http.call(self._call(gateway, "/health"))

    def _call(self, gateway: str, path: str) -> Call:
        return Call("GET", side_of(gateway) + path, ANY, route=self._route)


def registered_in(performed: Performed) -> Registered:
    """What an answer about an agent's certificate says.  Pure and total."""
    if not isinstance(performed, Reply):
        return Registered(why=performed.reason)
    if performed.status == NOT_THERE:
        return Registered()
    if performed.status != 200 or not performed.complete:
        return Registered(why=f"status {performed.status}")
    found = certificate_of(text_of(performed))
    return Registered(found, None if found is not None else "the answer is no certificate")


def text_of(reply: Reply) -> str:
    """A body as text."""
    return reply.body.decode("utf-8", "replace")
