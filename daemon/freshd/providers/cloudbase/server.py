"""An environment's own tokens: client credentials, and an API key.  No session, no person.

One rung, `issue`.  Client credentials are asked for again before their token ends; nothing is spent by that.

An API key cannot be renewed: there is nothing to ask for and no call is made.  Its lease is made of the configured
secret, which is looked up again when the lease ends (`lease_life`), so a key that was replaced there reaches readers by
then, or at once with `freshd refresh`.  The service says nothing of a key's age.  Where the day it was made and its
days are configured, the account keeps a grant without any secret whose only use is its end: it is announced from a
month ahead.  What is not possible: to see that a key was revoked before somebody meets its refusal, and to make a new
one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

from freshd.core.contract import Contract, Reuse
from freshd.core.ladder import Rung
from freshd.core.model import EMPTY, Binding, Change, Grant, Intent, Lease, Moment, Record, Secret
from freshd.core.outcome import Answered, Judged, NotSent, Performed, Reply, Unreadable
from freshd.core.pace import Pace
from freshd.core.settings import SecretRef
from freshd.errors import FreshdError, NotPossible
from freshd.ports import Asked, Found
from freshd.providers.base import Base
from freshd.providers.cloudbase.case import ISSUE, REQUEST_ID
from freshd.providers.cloudbase.client import JSON, Client, basic, is_alive, new_id
from freshd.providers.cloudbase.examine import Examination
from freshd.providers.cloudbase.explain import explained, is_dead
from freshd.providers.cloudbase.options import Options
from freshd.providers.cloudbase.read import read
from freshd.providers.cloudbase.tc3 import Keys, Request, authorization
from freshd.providers.cloudbase.ways import Ways
from freshd.providers.deps import Deps
from freshd.providers.form import bearer
from freshd.providers.http import Call, host

KEY: Final = "api_key"
DAY_SECONDS: Final = 86_400.0
KEPT: Final = Reply(200, (), b"{}")
"""What stands in the place of a reply where no call is made."""


class Server(Base):
    """One account of an environment itself (`ports.Provider`)."""

    def __init__(self, name: str, options: Options, contract: Contract, deps: Deps) -> None:
        self._options = options
        self._deps = deps
        self._client = Client(options, deps)
        self._terms = options.terms(contract)
        self._examination = Examination(name, self._client, Ways(self._client))
        self._ready: Call | Reply | None = None
        rung = Rung(ISSUE, spends=_has_age(options), reuse=Reuse.REUSABLE, pace=options.pace(ISSUE))
        super().__init__(name, (rung,), self._terms.contract, self._terms.binding)

    def paces(self, rung: str) -> Sequence[tuple[str, Pace]]:
        return self._options.paces(self.account, rung)

    async def prepare(self, rung: str, record: Record) -> Mapping[str, Secret]:
        """The call; of an API key, the key itself, which is what readers get."""
        if self._options.method == "api-key":
            key = await self._secret("api_key")
            if bearer(key.reveal()) is None:
                raise NotPossible("api_key holds no key", "store the key alone: one line, without blanks")
            self._ready = KEPT
            return {KEY: key}
        request_id = new_id()
        self._ready = await self._asking(request_id, record)
        return {REQUEST_ID: Secret(request_id)}

    async def perform(self, rung: str, record: Record, intent: Intent) -> Performed:
        ready, self._ready = self._ready, None
        if ready is None or rung != ISSUE:
            return NotSent("nothing was prepared")
        return ready if isinstance(ready, Reply) else await self._deps.http.call(ready)

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        if self._options.method == "api-key":
            return of_key(record, intent, self._options, self.binding)
        return read(rung, record, intent, reply, self._terms)

    async def probe(self, lease: Lease) -> bool | None:
        """An introspection; whether the service knows keys there is not said, so only a yes is believed of a key."""
        known = self._examination.recalled(lease)
        if known is None:
            device = self._client.device(Record(self.account))
            known = is_alive(await self._deps.http.call(self._client.introspection(lease.token, device)))
        return None if known is False and self._options.method == "api-key" else known

    def is_dead(self, status: int | None, code: str | None) -> bool:
        return is_dead(status, code)

    async def ask(self, flow: str, redirect_uri: str | None, record: Record, *, consent: bool = False) -> Asked:
        raise NotPossible("this account needs no person", f"see freshd explain {self.account}")

    def adopt(self, given: Mapping[str, Secret], now: Moment, lineage: str) -> Change:
        raise NotPossible("this account's tokens come from the configured key alone", "there is nothing to import")

    async def examine(self, record: Record) -> Sequence[Found]:
        """What can be found without asking for a token."""
        if self._options.method == "api-key":
            return []
        return await self._examination.of(Record(self.account, record.generation, lease=record.lease), None)

    def explain(self, code: str) -> Found | None:
        return explained(self.account, code)

    async def revoke(self, record: Record) -> str:
        if self._options.method == "api-key":
            return "a key is ended in the environment's console, and nowhere else"
        return "the token ends by itself; to end it now, disable the cloud key in its console"

    async def _asking(self, request_id: str, record: Record) -> Call:
        options = self._options
        path, body = options.client_credentials_path, {"grant_type": "client_credentials", "client_id": options.client}
        secret_id, secret_key = await self._secret("secret_id"), await self._secret("secret_key")
        device = self._client.device(record)
        if options.client_credentials_auth == "basic":
            proof = {"Authorization": basic(secret_id.reveal(), secret_key.reveal())}
            return self._client.post(path, body, device, headers=proof, request_id=request_id)
        token = None if options.session_token is None else (await self._secret("session_token")).reveal()
        request = Request(
            host(options.base), path, JSON, json.dumps(body, separators=(",", ":")).encode(),
            urlencode({"client_id": options.client}),
        )  # fmt: skip
        keys = Keys(secret_id.reveal(), secret_key.reveal(), token)
        proof = {"Authorization": authorization(request, keys, self._deps.clock.now().wall)}
        return self._client.post(path, body, device, headers=proof, request_id=request_id)

    async def _secret(self, name: str) -> Secret:
        reference: Any = getattr(self._options, name)
        if not isinstance(reference, SecretRef):
            raise FreshdError(f"there is no {name}", f"write {name} = {{ file = … }}")
        return await self._deps.resolve(reference)


def of_key(record: Record, intent: Intent, options: Options, binding: Binding) -> Judged:
    """The lease that a configured key makes.  Pure and total."""
    key = intent.material.get(KEY)
    if key is None or bearer(key.reveal()) is None:
        return Unreadable("no key was looked up")
    generation = intent.generation if record.lease is None else record.lease.generation
    fields = MappingProxyType({"token_type": "Bearer", "login": options.method})
    lease = Lease(record.account, generation + 1, key, intent.sent, options.lease_life, fields)
    return Answered((Change(record.account, _aging(record, intent, options, binding), lease),))


def _aging(record: Record, intent: Intent, options: Options, binding: Binding) -> Grant | None:
    """A grant that only tells when the key ends; None where that is not configured."""
    if options.key_created is None or options.key_days is None:
        return None
    made = datetime.combine(date.fromisoformat(options.key_created), datetime.min.time(), UTC).timestamp()
    lineage = record.lineage or intent.lineage or intent.flight
    return Grant(
        lineage, binding, EMPTY, intent.sent, Moment(made, 0.0, ""), absolute_for=options.key_days * DAY_SECONDS
    )


def _has_age(options: Options) -> bool:
    return options.key_created is not None and options.key_days is not None
