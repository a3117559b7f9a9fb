"""A .env file of somebody who has no freshd, for `freshd doctor --env`: what is there, how old it is, what is wrong.

Rules
-----
* Feishu and Lark, whose programs keep their tokens so.  The same examination as for an account, by the same provider;
  no daemon, no journal, no configuration is needed.
* The file is read and never written; nothing in it is shown but the names of lines and moments.
* The refresh token is sent nowhere.  Who presents it spends it, and whoever spends it must store what comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freshd.cli.finding import Finding, Level, fine, warning
from freshd.cli.grant import PLACE, harmless, shown
from freshd.cli.output import moments, plain
from freshd.clock import SystemClock
from freshd.core import autopsy
from freshd.core.autopsy import Body
from freshd.core.contract import Contract
from freshd.core.dotenv import BadEnv, DotEnv
from freshd.core.env_names import guess
from freshd.core.expiry import claims_of, moment_of
from freshd.core.finding import Found
from freshd.core.model import Grant, Lease, Moment, Record, Secret, Standing
from freshd.core.profile import Profile
from freshd.core.settings import AccountSettings, Readers, SecretRef, Way
from freshd.errors import FreshdError
from freshd.ports import Provider
from freshd.providers import registry
from freshd.providers.deps import Deps
from freshd.providers.profiles import packaged

KIND: Final = "feishu"
NAME: Final = "env"
PREFIXES: Final = ("FEISHU", "LARK")
LATER: Final = "freshd import-env ACCOUNT --file FILE; from then on freshd renews it in time"
ASK_AGAIN: Final = "let a person agree again, in the program or with: freshd enrol ACCOUNT"
ASKED: Final = ("app_id", "app_secret", "refresh_token", "access_token")


@dataclass(frozen=True, slots=True)
class Held:
    """What the file holds, by what it is for: names of lines, and values."""

    names: Mapping[str, str]
    values: Mapping[str, str]
    brand: str

    def moment(self, thing: str, token: str) -> float | None:
        """When a token ends, by the line beside it or by its own claims."""
        return moment_of(self.values.get(thing)) or claims_of(self.values.get(token)).expires_at


def examine(path: Path, wishes: Mapping[str, str | None]) -> Iterator[Finding]:
    """The findings.  Raises FreshdError where the file cannot be read."""
    from freshd.outlets import envfile

    seen = envfile.read(path)
    yield fine("file", f"{path}: {len(seen.env.names())} lines with a value of their own")
    if not seen.is_private:
        yield warning("file", "other users may read it", f"chmod 600 {path}")
    held, odd = _held(seen.env, wishes)
    yield from odd
    now = SystemClock().now()
    yield from _inventory(held, now.wall)
    if {"app_id", "app_secret"} <= held.values.keys():
        yield from shown(asyncio.run(_autopsy(held, wishes.get("open_url"), now)))
    else:
        text = "without the app's id and secret no service can be asked"
        yield warning(PLACE, text, "name their lines: --app-id-key NAME --app-secret-key NAME")


# -- what is there --------------------------------------------------------------------------------------------------


def _held(env: DotEnv, wishes: Mapping[str, str | None]) -> tuple[Held, Sequence[Finding]]:
    odd = list[Finding]()
    filled = [name for name in env.names() if _value(env, name) != ""]
    found = guess(filled, PREFIXES)
    names = dict(found.sure)
    for thing in ASKED:
        wished = wishes.get(f"{thing}_key")
        if wished is not None:
            names[thing] = wished
        elif thing not in names and len(found.found[thing]) > 1:
            several = ", ".join(found.found[thing])
            option = f"--{thing.replace('_', '-')}-key NAME"
            odd.append(warning("file", f"which of {several} is the {thing} cannot be told", f"name it: {option}"))
    values = dict[str, str]()
    for thing, name in names.items():
        value = _value(env, name)
        if value is None:
            text = f"{plain(name)} is not there, or programs do not agree on what it means"
            odd.append(warning("file", text, "write that line as NAME=VALUE"))
        elif value:
            values[thing] = value
    is_lark = any(name.upper().startswith("LARK") for name in names.values())
    return Held(names, values, wishes.get("brand") or ("lark" if is_lark else "feishu")), odd


def _value(env: DotEnv, name: str) -> str | None:
    """None where the line is not there or cannot be read; the empty string where it is empty."""
    try:
        return env.get(name)
    except BadEnv:
        return None


def _inventory(held: Held, now: float) -> Iterator[Finding]:
    yield fine("app", f"{held.names['app_id']} ({held.brand})") if "app_id" in held.values else _lacking("app's id")
    if "app_secret" not in held.values:
        yield _lacking("app's secret")
    yield _age("access token", held, ("access_token", "expires_at"), now)
    yield _age("refresh token", held, ("refresh_token", "refresh_token_expires_at"), now)
    if "refresh_token" in held.values:
        yield fine("refresh token", "whether it still works nobody can tell without spending it")
    scope = held.values.get("scope")
    if scope is not None and "offline_access" not in scope.replace(",", " ").split():
        text = f"{held.names['scope']} lacks offline_access: no refresh token is given without it"
        yield Finding(Level.TROUBLE, "scope", text, f"add offline_access, then {ASK_AGAIN}", "no-refresh-token")


def _lacking(what: str) -> Finding:
    return warning("app", f"no line holds the {what}", "name the line: see freshd doctor --help")


def _age(what: str, held: Held, things: tuple[str, str], now: float) -> Finding:
    token, ends = things
    if token not in held.values:
        if token == "access_token":
            return warning(what, "there is none", "every start of the program spends a refresh token: keep both")
        text = "there is none: nothing can be renewed without a person"
        return Finding(Level.TROUBLE, what, text, f"ask for offline_access too; {ASK_AGAIN}", "no-refresh-token")
    at = held.moment(ends, token)
    if at is None:
        return fine(what, f"{held.names[token]}; nothing tells when it ends")
    if at > now:
        return fine(what, f"{held.names[token]}; ends {moments(at, now)}")
    if token == "access_token":
        return warning(what, f"{held.names[token]}; ended {moments(at, now)}", LATER)
    return Finding(Level.TROUBLE, what, f"{held.names[token]}; ended {moments(at, now)}", ASK_AGAIN, "expired")


# -- what is wrong --------------------------------------------------------------------------------------------------


async def _autopsy(held: Held, open_url: str | None, now: Moment) -> Sequence[Found]:
    deps = _deps(held)
    try:
        provider = registry.make(_account(held, open_url), deps)
        record = _record(provider, held, now)
        asked = await harmless(provider, record)
        alive = None if record.lease is None else await provider.probe(record.lease)
    finally:
        await deps.http.aclose()
    body = Body(
        NAME, provider.ladder, provider.contract, _standing(record), (), 0.0, provider.explain, alive, seen=asked
    )
    found = autopsy.examine(body, now)
    return [Found(one.level, one.text, _without_account(one.remedy), one.cause) for one in found]


def _without_account(remedy: str) -> str:
    return remedy.replace(f"freshd enrol {NAME}", ASK_AGAIN).replace(f" of {NAME},", " of this user,")


def _account(held: Held, open_url: str | None) -> AccountSettings:
    """As a configuration would say it; the secret itself is handed over by `_deps`."""
    raw: dict[str, object] = {
        "app_id": held.values["app_id"], "app_secret": SecretRef(Way.FILE, ("/.env",)), "brand": held.brand,
    }  # fmt: skip
    if open_url is not None:
        raw |= {"open_url": open_url, "accounts_url": open_url}
    parsed = registry.Schemas()[KIND].parse(NAME, raw)
    if parsed.problems:
        problem = parsed.problems[0]
        raise FreshdError(f"{'.'.join(map(str, problem.key))}: {problem.wrong}", problem.write)
    lives = packaged()[KIND]["contract"]
    contract = Contract(**{name: lives[name] for name in ("idle_life", "absolute_life", "old_lease_life")})
    return AccountSettings(NAME, KIND, Readers(), Profile(KIND, KIND, contract), parsed.options, parsed.binding)


def _deps(held: Held) -> Deps:
    async def resolve(_ref: SecretRef) -> Secret:
        return Secret(held.values["app_secret"])

    return registry.shared(resolve, SystemClock())


def _record(provider: Provider, held: Held, now: Moment) -> Record:
    """The tokens as a record.  An access token of unknown end counts as one that may be over."""
    refresh, access = held.values.get("refresh_token"), held.values.get("access_token")
    grant = None
    if refresh is not None:
        grant = Grant(NAME, provider.binding, {"refresh_token": Secret(refresh)}, now, now)
    if access is None:
        return Record(NAME, 1, grant)
    ends = held.moment("expires_at", "access_token")
    left = 0.0 if ends is None else max(0.0, ends - now.wall)
    return Record(NAME, 1, grant, Lease(NAME, 1, Secret(access), now, left))


def _standing(record: Record) -> Standing | None:
    """Without the ages, which nobody knows; None without a grant, of which enough was said."""
    if record.grant is None:
        return None
    held = frozenset(record.grant.secrets)
    return Standing(NAME, 1, record.grant.lineage, record.grant.binding, held, record.lease)
