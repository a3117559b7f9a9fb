"""How an agent comes to a certificate: registered, adopted, or with another key.  Steps that ask nothing of a person.

Rules
-----
* What is registered is looked at first; that is free and harmless.
* A key is durable before it is registered (`Asked.keeps`), so that a lost answer costs nothing: the next enrolment
  finds the certificate that belongs to it.
* Registered under a key that is not in hand: a conflict, and nothing is sent.
* A new key is made only where there is none yet; one whose registration was begun is compared, or used again.
"""

from __future__ import annotations

from collections.abc import Mapping

from freshd.core.model import EMPTY, Record, Secret
from freshd.core.outcome import NotSent
from freshd.errors import NotPossible
from freshd.ports import Asked, Clock
from freshd.providers.aun.case import (
    ADOPT,
    CANDIDATE_KEY,
    CANDIDATE_SINCE,
    CERTIFICATE,
    CREATE,
    PRIVATE_KEY,
    REKEY,
    RENEW,
    SETTLE,
    held,
)
from freshd.providers.aun.gateways import Gateways
from freshd.providers.aun.issued import not_ours
from freshd.providers.aun.options import Options
from freshd.providers.aun.side import Registered, Side
from freshd.providers.aun.signing import new_key
from freshd.providers.aun.unknowns import RENEWABLE_SECONDS


class Steps:
    """The steps of one account."""

    def __init__(self, name: str, options: Options, gateways: Gateways, side: Side, clock: Clock) -> None:
        self._name = name
        self._options = options
        self._gateways = gateways
        self._side = side
        self._clock = clock

    async def ask(self, record: Record) -> Asked:
        """The step that brings the account to a certificate.  Raises NotPossible."""
        secrets = {} if record.grant is None else record.grant.secrets
        one = (await self.registered()).certificate
        if one is None:
            fresh = {} if PRIVATE_KEY in secrets else {PRIVATE_KEY: Secret(new_key())}
            return _at_once(CREATE, fresh)
        for name in (CANDIDATE_KEY, PRIVATE_KEY):
            if not_ours(one, self._options.aid, held(secrets, name)) is None:
                if name == PRIVATE_KEY and self._clock.now().wall - one.ends > RENEWABLE_SECONDS:
                    raise NotPossible(
                        "the registered certificate is over for so long that the issuer does not renew it any more",
                        "ask the issuer's operators, or take another aid",
                    )
                return _at_once(ADOPT)
        raise NotPossible(
            "the agent is registered with a key that freshd does not have",
            f"hand that key over: freshd enrol {self._name} --import < record.json; or take another aid",
        )

    async def rekey(self, record: Record) -> Asked:
        """A change of the key; or, where one was begun, a look at what came of it.  Raises NotPossible."""
        secrets = {} if record.grant is None else record.grant.secrets
        self._must_be_enrolled(secrets)
        if CANDIDATE_KEY in secrets:
            one = (await self.registered()).certificate
            is_settled = not_ours(one, self._options.aid, held(secrets, CANDIDATE_KEY)) is None
            return _at_once(SETTLE if is_settled else REKEY, {} if is_settled else self._since())
        return _at_once(REKEY, {CANDIDATE_KEY: Secret(new_key()), **self._since()})

    def renew(self, record: Record) -> Asked:
        """A new certificate for the same key.  Raises NotPossible."""
        self._must_be_enrolled({} if record.grant is None else record.grant.secrets)
        return _at_once(RENEW)

    async def registered(self) -> Registered:
        """What is registered for the agent.  Raises NotPossible where that cannot be told."""
        urls = await self._gateways.find()
        said = Registered(why=urls.reason) if isinstance(urls, NotSent) else Registered(why="no gateway was asked")
        for url in () if isinstance(urls, NotSent) else urls:
            said = await self._side.registered(url, self._options.aid)
            if said.why is None:
                return said
        raise NotPossible(f"what is registered for the agent cannot be told: {said.why}", "try again later")

    def _since(self) -> Mapping[str, Secret]:
        return {CANDIDATE_SINCE: Secret(f"{self._clock.now().wall:.0f}")}

    def _must_be_enrolled(self, secrets: Mapping[str, Secret]) -> None:
        if not {PRIVATE_KEY, CERTIFICATE} <= secrets.keys():
            raise NotPossible("the account has no key or no certificate yet", f"freshd enrol {self._name}")


def _at_once(rung: str, keeps: Mapping[str, Secret] = EMPTY) -> Asked:
    return Asked("", EMPTY, interval=1.0, expires_in=300.0, rung=rung, keeps=keeps)
