"""A whole provider in one file: an invented service whose keys work once, for "Write your own provider".

The service: POST /lighthouse/light with {"key": …} answers {"light": …, "seconds": …, "next_key": …}, or {"no": code}.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, cast

from freshd.core.ladder import Rung
from freshd.core.model import Binding, Change, Grant, Intent, Lease, Record, Secret
from freshd.core.outcome import Answered, Judged, NotSent, Performed, Rejected, Remedy, Reply, Unreadable
from freshd.core.pace import Pace
from freshd.core.problem import Problem
from freshd.core.settings import AccountSettings, Parsed
from freshd.providers.base import Base
from freshd.providers.deps import Deps
from freshd.providers.form import Foreign, bearer, number, object_of, retry_after
from freshd.providers.http import Call, origin, url_problem
from freshd.providers.keys import Keys, Strict
from freshd.providers.registry import Kind

KEY: Final = "key"
LIGHT: Final = Rung("light", frozenset({KEY}), pace=Pace(interval=1.0))
REMEDIES: Final[Mapping[str, Remedy]] = MappingProxyType({"spent": Remedy.CLIMB, "fog": Remedy.WAIT})
"""What each of the service's codes calls for.  Any other keeps everything and tells a person."""


class Options(Strict):
    """The keys of an account."""

    url: str


class Schema(Keys[Options]):
    """What the model's types cannot say."""

    model = Options

    def problems(self, account: str, options: Options) -> Iterator[Problem]:
        wrong = url_problem(options.url)
        if wrong is not None:
            yield Problem(("url",), wrong, 'write url = "https://…"')

    def parsed(self, account: str, options: Options, values: Mapping[str, object]) -> Parsed:
        return Parsed(values, Binding("lighthouse", origin(options.url), account))


class Lighthouse(Base):
    """One account."""

    def __init__(self, account: AccountSettings, deps: Deps) -> None:
        self._options = Options(**cast("dict[str, Any]", account.options))
        binding = Binding("lighthouse", origin(self._options.url), account.name)
        super().__init__(account.name, (LIGHT,), account.profile.contract, binding)
        self._deps = deps

    async def perform(self, rung: str, record: Record, intent: Intent) -> Performed:
        """The one call that spends."""
        key = None if record.grant is None else record.grant.secrets.get(KEY)
        if key is None:
            return NotSent("there is no key")
        body = json.dumps({"key": key.reveal()}).encode()
        headers = {"Content-Type": "application/json"}
        return await self._deps.http.call(Call("POST", f"{self._options.url}/lighthouse/light", headers, body))

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        """Pure, and total for any bytes: a new key is kept before anything else is judged (I3)."""
        said = object_of(reply)
        if isinstance(said, Foreign):
            return Unreadable(said, gateway=reply.status >= 400, retry_after=retry_after(reply))
        next_key, light, seconds = bearer(said.get("next_key")), bearer(said.get("light")), number(said.get("seconds"))
        if next_key is None:
            return self._refused(said, reply)
        grant = self._grant(record, intent, Secret(next_key))
        if light is None or seconds is None or not 0 < seconds < 1e6:
            return Answered((Change(self.account, grant),), {"light": "unusable"})
        lease = Lease(self.account, intent.generation + 1, Secret(light), intent.sent, seconds)
        return Answered((Change(self.account, grant, lease),))

    def _refused(self, said: Mapping[str, Any], reply: Reply) -> Judged:
        code = said.get("no")
        if not isinstance(code, str):
            return Unreadable("neither an answer nor a refusal", gateway=reply.status >= 400)
        remedy = REMEDIES.get(code)
        if remedy is None:
            return Rejected("unknown code", Remedy.WAIT, known=False)
        return Rejected(code, remedy, retry_after(reply))

    def _grant(self, record: Record, intent: Intent, key: Secret) -> Grant:
        old = record.grant
        lineage = intent.flight if old is None else old.lineage
        enrolled = intent.sent if old is None else old.enrolled
        return Grant(lineage, self.binding, MappingProxyType({KEY: key}), intent.sent, enrolled)


def make(account: AccountSettings, deps: Deps, _relatives: Sequence[AccountSettings] = ()) -> Lighthouse:
    """The provider of a configured account."""
    return Lighthouse(account, deps)


KIND: Final = Kind("lighthouse:Schema", "lighthouse:make", package="")
"""The one line of registry: the entry point `freshd.kinds` of a package of one's own names it."""
