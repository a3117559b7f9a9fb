"""Why an account's grant does not renew, for `freshd doctor`: the daemon's examination, or what can be told without it.

Rules
-----
* The daemon examines, for it holds the record.  Where none answers, the journal's history and the provider's harmless
  calls about the app are examined here, and what cannot be told then is said.
* Nothing is spent, written or unlocked, here or there (I8).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from freshd.cli.daemon import Barred, Daemon, Told
from freshd.cli.finding import Finding, Level, fine, warning
from freshd.cli.output import plain
from freshd.core import autopsy
from freshd.core.autopsy import Body
from freshd.core.finding import BROKEN, LOOK, Found
from freshd.core.model import Record
from freshd.core.settings import AccountSettings, Settings
from freshd.errors import FreshdError, Unreachable

if TYPE_CHECKING:
    from freshd.ports import Provider
    from freshd.providers.deps import Deps
    from freshd.vault.glance import Past

ASK_SECONDS: Final = 30.0
PLACE: Final = "grant"
START: Final = "start it: systemctl start freshd, or freshd run; then examine the account again"


def examine(service: Daemon, settings: Settings | None, account: str) -> Iterator[Finding]:
    """The findings, the likeliest cause first."""
    try:
        told: Sequence[Mapping[str, Any]] = service.operate(account, "examine").get("findings", [])
    except (Told, Barred) as no:
        yield warning(PLACE, f"not examined: {no.cause}", no.remedy)
    except Unreachable:
        yield from _alone(settings, account)
    else:
        yield from (_shown(one) for one in told)


def shown(found: Sequence[Found]) -> Iterator[Finding]:
    """Findings of the core as the command line prints them."""
    return (Finding(Level(one.level), PLACE, plain(one.text), plain(one.remedy), one.cause) for one in found)


def _shown(told: Mapping[str, Any]) -> Finding:
    level = min(max(int(told.get("level", LOOK)), Level.FINE), Level.TROUBLE)
    text, remedy, cause = (plain(told.get(name, "")) for name in ("text", "remedy", "cause"))
    return Finding(Level(level), PLACE, text, remedy, cause)


# -- without the daemon ---------------------------------------------------------------------------------------------


def _alone(settings: Settings | None, account: str) -> Iterator[Finding]:
    yield warning(PLACE, "no daemon answers: what the grant holds and how old it is cannot be told", START)
    known = [one for one in settings.accounts if one.name == account] if settings is not None else []
    if settings is None or not known:
        return
    from freshd.vault.glance import past

    seen = past(settings.state_dir, account)
    if seen is None or not (seen.is_known or seen.lines):
        text = "the journal knows nothing of it: nobody has enrolled it"
        yield from shown([Found(BROKEN, text, f"freshd enrol {account}", "never-enrolled")])
        return
    yield fine("history", f"{len(seen.lines)} attempts kept, read from the journal")
    yield from shown(asyncio.run(_autopsy(settings, known[0], seen)))


async def _autopsy(settings: Settings, account: AccountSettings, seen: Past) -> Sequence[Found]:
    """As the daemon would, with neither record nor lease."""
    from freshd.clock import SystemClock
    from freshd.providers import registry

    clock = SystemClock()
    deps = _deps(settings)
    relatives = [one for one in settings.accounts if one.family == account.family and one.name != account.name]
    try:
        provider = registry.make(account, deps, relatives)
        asked = await harmless(provider, Record(account.name))
        body = Body(
            account.name, provider.ladder, provider.contract, None, seen.lines, seen.high_water, provider.explain,
            seen=asked,
        )  # fmt: skip
        return autopsy.examine(body, clock.now())
    finally:
        await deps.http.aclose()


def _deps(settings: Settings) -> Deps:
    from freshd.clock import SystemClock
    from freshd.custody import os_keyring
    from freshd.providers import registry
    from freshd.references import References

    return registry.shared(References(os_keyring(settings.vault)).resolve, SystemClock())


async def harmless(provider: Provider, record: Record) -> Sequence[Found]:
    """The provider's own examination, whatever becomes of it."""
    try:
        async with asyncio.timeout(ASK_SECONDS):
            return await provider.examine(record)
    except TimeoutError:
        return [Found(LOOK, f"the service was not heard to the end within {ASK_SECONDS:g} s", "try again later")]
    except FreshdError as error:
        return [Found(LOOK, error.cause, error.remedy)]
