"""Keeps .env files in step with their accounts, and takes back what other programs write into them.

Rules
-----
* Never on the critical path: an event only wakes it, files are touched from threads with a deadline, one per file, and
  an account's engine neither knows nor waits (I11).
* It goes by how things are, not by what happened: the lease in hand against what the file holds, every 10 s, by a look
  at the file's stamp.  So nothing is missed over a restart or a reload.
* A refresh token is never written.  One that appears is taken over once, stored and read back, and only then emptied.
* One that the account ever held is spent, and presenting it could end the lineage (I5): it is emptied, never taken
  over.  So is one that says itself that it is over, or older than what is held.
* A file is judged when it has stood still for a look: half a line is no token.
* One alert per cause, one word when it is over; whatever cannot be done now is tried again at the next look.
* No event holds a value.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

from freshd.core.dotenv import BadEnv, DotEnv
from freshd.core.events import Event
from freshd.core.expiry import claims_of, moment_of
from freshd.core.model import Secret
from freshd.core.settings import EnvFileSettings
from freshd.errors import FreshdError, KeyringUnavailable, NotPossible, VaultLocked
from freshd.outlets import envfile
from freshd.outlets.apart import Apart
from freshd.outlets.envfile import Seen, Stamp
from freshd.outlets.survey import survey, value, values
from freshd.ports import Clock
from freshd.tokens import Published

LOOK_SECONDS: Final = 10.0
STILL_SECONDS: Final = 1.0
"""How long a file must have stood still before what is in it counts."""
QUIET_SECONDS: Final = 86_400.0
LAST_SECONDS: Final = 2.0
"""What the end of the daemon gives a file."""
SLACK_SECONDS: Final = 60.0
"""By how much a token's own claims may differ from our clock."""
FAILURES_MOST: Final = 2
"""Looks in a row that may fail before it is an alert: an editor takes a file away for an instant."""


@dataclass(frozen=True, slots=True)
class Links:
    """What it needs of the daemon.

    lease     the newest lease of an account
    held_since  wall-clock second at which the secret in hand was obtained
    knew      whether the account ever held a secret (`Vault.knew`)
    adopt     the operators' verb `import`: returns once what was given is stored and read back
    spawn     starts a task that the daemon ends
    """

    clock: Clock
    tell: Callable[[Event], None]
    lease: Callable[[str], Published | None]
    held_since: Callable[[str], float | None]
    knew: Callable[[str, Secret], Awaitable[bool]]
    adopt: Callable[[str, Mapping[str, str]], Awaitable[object]]
    spawn: Callable[[Coroutine[Any, Any, None], str], object]


@dataclass(slots=True)
class _File:
    """One account's file.

    stamp    of the file as it was last found in order; None: it must be read
    moving   of a file that is not known yet to stand still, and since when by the boot clock
    written  fingerprint of the lease that it holds
    refused  the token that could not be taken over, so that it is told once
    told_stale  that spent tokens come back was told
    foreign_at  boot-time second at which a token was found last
    again    something happened while it was busy: one more look
    """

    account: str
    settings: EnvFileSettings
    stamp: Stamp | None = None
    moving: tuple[Stamp, float] | None = None
    written: str | None = None
    refused: Secret | None = None
    told_stale: bool = False
    foreign_at: float | None = None
    failures: int = 0
    troubled: bool = False
    busy: bool = False
    again: bool = False


class Mirror:
    """All files of one daemon; an `Outlet`."""

    def __init__(self, links: Links, apart: Apart | None = None) -> None:
        self._links = links
        self._apart = apart or Apart()
        self._files: dict[str, _File] = {}
        self._wake = asyncio.Event()

    def configure(self, files: Mapping[str, EnvFileSettings]) -> None:
        """The files of a new configuration; those that did not change are left alone."""
        for account, file in list(self._files.items()):
            if files.get(account) != file.settings:
                del self._files[account]
                self._released(file)
        for account, settings in files.items():
            self._files.setdefault(account, _File(account, settings))
        self._wake.set()

    def tell(self, event: Event) -> None:
        """Look again where the account has another lease than its file."""
        file = self._files.get(event.account or "")
        if file is not None and not event.name.startswith("envfile.") and self._is_behind(file):
            self._wake.set()

    async def run(self) -> None:
        """Look, for as long as the daemon runs."""
        while True:
            self._wake.clear()
            for file in self._files.values():
                file.again = file.busy
                if not file.busy:
                    file.busy = True
                    self._links.spawn(self._look(file), f"envfile:{file.account}")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()

    async def aclose(self) -> None:
        """The last leases, as far as their files take them at once; nothing is taken over any more."""
        late = [self._write(file) for file in self._files.values() if self._is_behind(file)]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                await asyncio.gather(*late, return_exceptions=True)

    def _is_behind(self, file: _File) -> bool:
        lease = self._links.lease(file.account)
        return file.settings.access_token is not None and lease is not None and lease.fingerprint != file.written

    # -- one look ------------------------------------------------------------------------------------------------------

    async def _look(self, file: _File) -> None:
        try:
            if await self._take_back(file):
                await self._write(file)
            self._well(file)
        except (VaultLocked, KeyringUnavailable):
            file.stamp = None  # the vault has its own alert; the file waits
        except (FreshdError, BadEnv) as error:
            self._failed(file, error)
        finally:
            file.busy = False
        if file.again:
            self._wake.set()
        elif file.moving is not None or 0 < file.failures < FAILURES_MOST:
            asyncio.get_running_loop().call_later(STILL_SECONDS, self._wake.set)

    async def _take_back(self, file: _File) -> bool:
        """Deal with what others wrote.  Whether the lease may be written now."""
        seen = await self._apart.run(str(file.settings.path), lambda: survey(file.settings, file.stamp))
        if seen is None:
            self._quiet(file)
            return True
        name = file.settings.refresh_token
        token = None if name is None else seen.env.get(name)
        if not token:
            file.stamp, file.moving, file.written = seen.stamp, None, None
            return True
        now = self._links.clock.boot()
        if file.moving is None or file.moving[0] != seen.stamp:
            file.moving = seen.stamp, now
        if now - file.moving[1] < STILL_SECONDS:
            return False
        file.moving, file.foreign_at = None, now
        await self._judge(file, seen, Secret(token))
        return True

    async def _judge(self, file: _File, seen: Seen, token: Secret) -> None:
        why = await self._why_not(file.account, token)
        if why is None:
            try:
                await self._links.adopt(file.account, self._given(file, seen.env, token))
            except NotPossible as no:
                self._not_adopted(file, token, no)
                return
            self._say("envfile.adopted", file, {"line": file.settings.refresh_token})
        elif not file.told_stale:
            file.told_stale = True
            self._say("envfile.stale", file, {"line": file.settings.refresh_token, "why": why})
        file.refused = None
        await self._empty(file, token)

    async def _why_not(self, account: str, token: Secret) -> str | None:
        """Why a token is not taken over; None where it is worth it."""
        if await self._links.knew(account, token):
            return "freshd had it before"
        claims, now = claims_of(token.reveal()), self._links.clock.now().wall
        if claims.expires_at is not None and claims.expires_at < now - SLACK_SECONDS:
            return "it says that it is over"
        since = self._links.held_since(account)
        if claims.issued_at is not None and since is not None and claims.issued_at < since - SLACK_SECONDS:
            return "it says that it is older than the one in use"
        return None

    def _given(self, file: _File, env: DotEnv, token: Secret) -> dict[str, str]:
        """The token, and the access token beside it where that is somebody else's too and says how long it lives."""
        given = {"refresh_token": token.reveal()}
        access, ends_at = value(env, file.settings.access_token), moment_of(value(env, file.settings.expires_at))
        lease = self._links.lease(file.account)
        is_ours = lease is not None and access == lease.lease.token.reveal()
        if access and not is_ours and ends_at is not None and ends_at > self._links.clock.now().wall:
            given |= {"access_token": access, "expires_at": f"{ends_at:.0f}"}
        return given

    def _not_adopted(self, file: _File, token: Secret, no: NotPossible) -> None:
        """Kept where it is, and tried again: it may be the only good one."""
        file.stamp = None
        if token != file.refused:
            file.refused = token
            self._say("envfile.not-adopted", file, {"line": file.settings.refresh_token, "cause": no.cause}, no.remedy)

    async def _empty(self, file: _File, token: Secret) -> None:
        """Take that token out, and no newer one."""
        name = file.settings.refresh_token or ""

        def edit(env: DotEnv) -> DotEnv:
            return env.changed({name: ""}) if env.get(name) == token.reveal() else env

        await self._change(file, edit)
        file.written = None

    async def _write(self, file: _File) -> None:
        """The lease in hand, unless the file holds it."""
        lease = self._links.lease(file.account)
        if lease is None or not self._is_behind(file):
            return
        await self._change(file, lambda env: env.changed(values(file.settings, env, lease)))
        file.written = lease.fingerprint

    async def _change(self, file: _File, edit: Callable[[DotEnv], DotEnv]) -> None:
        path = file.settings.path
        seen = await self._apart.run(str(path), lambda: envfile.change(path, edit))
        name = file.settings.refresh_token
        file.stamp = None if name is not None and seen.env.get(name) else seen.stamp

    # -- what is told --------------------------------------------------------------------------------------------------

    def _failed(self, file: _File, error: Exception) -> None:
        file.stamp = None
        file.failures += 1
        if file.failures < FAILURES_MOST or file.troubled:
            return
        file.troubled = True
        cause, remedy = (error.cause, error.remedy) if isinstance(error, FreshdError) else (str(error), "")
        self._say("envfile.unusable", file, {"cause": cause}, remedy)

    def _well(self, file: _File) -> None:
        file.failures = 0
        if file.troubled:
            file.troubled = False
            self._say("envfile.usable", file, {})

    def _quiet(self, file: _File) -> None:
        if file.foreign_at is not None and self._links.clock.boot() - file.foreign_at > QUIET_SECONDS:
            file.foreign_at, file.told_stale = None, False
            self._say("envfile.quiet", file, {})

    def _released(self, file: _File) -> None:
        if file.troubled or file.foreign_at is not None:
            self._say("envfile.released", file, {})

    def _say(self, name: str, file: _File, fields: Mapping[str, str | None], remedy: str = "") -> None:
        self._links.tell(Event(name, file.account, {"path": str(file.settings.path), **fields}, remedy))
