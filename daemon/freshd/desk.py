"""What the socket asks of the supervisor: `tokens.Tokens`.  Readers' questions; operators' verbs are handed on.

Rules
-----
* `lease` is a dictionary look-up (I9, I11).
* A demand is a signal; the keeper decides, the caller only waits, and its own deadline is all it can lose.
* What time alone may change is answered "ask again"; what needs a person is a conflict, and told at once.
* Nothing here returns a secret but the lease's token (I8, I12).
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from freshd import health
from freshd.core import policy
from freshd.core.happenings import Accepted, Demanded, Refused
from freshd.core.lifecycle import is_in_air
from freshd.core.state import Phase
from freshd.enrolment import Enrolment
from freshd.errors import NotPossible, VaultLocked
from freshd.examination import Examination
from freshd.operations import Operations
from freshd.operators import Operators
from freshd.supervisor import Supervisor
from freshd.tokens import Health, Published, Shortfall
from freshd.turn import Verb

VaultVerb = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
FRESHEN_SECONDS: Final = 2.0
"""How long a reader waits at most for a newer lease while one in hand would still do."""
NONE: Final[Mapping[str, Any]] = MappingProxyType({})


class Desk:
    """One per daemon."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._leases = supervisor.leases
        operators, enrolment = Operators(supervisor), Enrolment(supervisor)
        operations = Operations(supervisor, enrolment, operators.verbs["refresh"])
        nouns = (operators, enrolment, Examination(supervisor), operations)
        self._verbs: dict[str, Verb] = {name: verb for noun in nouns for name, verb in noun.verbs.items()}
        self.channels: Callable[[str], Mapping[str, Any]] = lambda _account: NONE
        """What is shown of the logins that freshd holds with an account's lease, by name."""
        self.vault_verbs: Mapping[str, VaultVerb] = NONE
        """What operators may do with the vault as a whole, by name."""
        self.on_operated: Callable[[str, str], None] = lambda _verb, _account: None
        """Called with verb and account once an operator's verb is done."""

    # -- readers ----------------------------------------------------------------------------------------------------

    def lease(self, account: str) -> Published | None:
        """The newest lease; None where there never was one."""
        return self._leases.get(account)

    def knows(self, account: str) -> bool:
        """Whether the account is configured."""
        return account in self._supervisor.members

    def locked(self) -> bool:
        """Whether the vault has no sealing key yet."""
        return self._supervisor.locked

    def accounts(self) -> Sequence[str]:
        """Every account in the configuration or the vault, sorted."""
        return sorted({*self._supervisor.members, *self._supervisor.known})

    def health(self, account: str) -> Health:
        """How one account stands.  KeyError where unknown."""
        if account in self._supervisor.members:
            member = self._supervisor.members[account]
            keeper = self._supervisor.keeper(account)
            view = health.of(member.kind, keeper.plan(account), self._supervisor.state(account), self._supervisor.clock)
            view = view if member.has_met else health.of_unmet(view)
            view = health.with_channels(view, self.channels(account))
            return health.while_locked(view) if self._supervisor.locked else view
        return health.of_retired(self._supervisor.known[account])

    async def demand(self, account: str, min_ttl: float, wait: float) -> Published | Shortfall:
        """A lease with at least `min_ttl` seconds left, waiting at most `wait` seconds."""
        supervisor = self._supervisor
        too_long = self._too_long(account, min_ttl)
        if too_long is not None:
            return too_long
        held = await self._freshened(account, min_ttl, wait)
        if held is not None:
            return held
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                if supervisor.locked:
                    await supervisor.unlocked.wait()
                while True:
                    supervisor.post(account, Demanded(min_ttl))
                    found = self._good(account, min_ttl)
                    if found is not None:
                        return found
                    if self._is_hopeless(account) or self._too_long(account, min_ttl) is not None:
                        break
                    await supervisor.keeper(account).changed(account)
        return self._good(account, min_ttl) or self._too_long(account, min_ttl) or self._shortfall(account)

    async def _freshened(self, account: str, min_ttl: float, wait: float) -> Published | None:
        """What is good enough, after a try to have it renewed where it ends soon; None where nothing is in hand.

        A lease that is still valid is served whatever comes of that, and at once where the last try failed (I9).
        """
        held = self._good(account, min_ttl)
        if held is None or self._good(account, held.least_left) is not None:
            return held
        self._supervisor.post(account, Demanded(held.least_left))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(wait, FRESHEN_SECONDS)):
                while self._good(account, held.least_left) is None and self._is_coming(account):
                    await self.changed(account)
        return self._good(account, min_ttl)

    def _is_coming(self, account: str) -> bool:
        """Whether a renewal is under way that has not failed yet."""
        state = self._supervisor.state(account)
        return is_in_air(state) and not state.failures

    def refused(self, account: str, fingerprint: str, status: int | None, code: str | None, by: str = "") -> str:
        """A consumer's refusal: "newer-lease", "healing", "ignored", "stale" or "unknown".  `by`: as in `Refused`."""
        held = self._leases.get(account)
        if held is None or not fingerprint:
            return "unknown"
        if not hmac.compare_digest(held.fingerprint.encode(), fingerprint.encode("utf-8", "surrogatepass")):
            return "newer-lease"
        dead = self._supervisor.keeper(account).provider(account).is_dead(status, code)
        self._supervisor.post(account, Refused(fingerprint, dead, by))
        return "healing" if dead else "ignored"

    # -- channels ----------------------------------------------------------------------------------------------------

    def accepted(self, account: str, fingerprint: str, by: str) -> None:
        """A login that freshd holds was had with this lease, and has lasted."""
        self._supervisor.post(account, Accepted(fingerprint, by))

    def is_suspect(self, account: str, fingerprint: str) -> bool:
        """Whether this is the lease in hand, a service refused it, and nothing has spoken for it since."""
        state = self._supervisor.state(account)
        held = None if state.lease is None else state.lease.fingerprint
        return fingerprint == state.suspect == held

    async def changed(self, account: str) -> None:
        """Return at the next change of how the account stands."""
        await self._supervisor.keeper(account).changed(account)

    def _good(self, account: str, min_ttl: float) -> Published | None:
        held = self._leases.get(account)
        if held is None or held.until - self._supervisor.clock.boot() < min_ttl:
            return None
        return held

    def _too_long(self, account: str, min_ttl: float) -> Shortfall | None:
        held = self._leases.get(account)
        if held is None:
            return None
        plan = self._supervisor.keeper(account).plan(account)
        longest = policy.longest_ttl(held.lease.valid_for, plan.contract)
        if min_ttl <= longest:
            return None
        detail = f"tokens of this account live {held.lease.valid_for:g} s; at most {longest:g} s can be promised"
        return Shortfall("min-ttl-too-long", detail, f"ask with min_ttl={longest:g} or less", 422, maximum=longest)

    def _is_hopeless(self, account: str) -> bool:
        return health.is_hopeless(self._supervisor.keeper(account).plan(account), self._supervisor.state(account))

    def _shortfall(self, account: str) -> Shortfall:
        if self._supervisor.locked:
            remedy = "unlock the keyring, or provide the vault's key: freshd doctor"
            return Shortfall("vault-locked", "the vault's sealing key is not there yet", remedy, 503, 2.0)
        view, state = self.health(account), self._supervisor.state(account)
        remedy = view.remedy or f"freshd explain {account}"
        if self._is_hopeless(account):
            return Shortfall("account-" + _obstacle(view), view.reason or view.phase, remedy, 409)
        if state.phase is Phase.PARKED and state.parked is not None and state.parked.until is not None:
            wait = max(1.0, state.parked.until - self._supervisor.clock.boot())
            return Shortfall("account-parked", state.parked.code, remedy, 503, wait)
        why = f": {view.reason}" if view.reason else ""
        return Shortfall("not-yet", f"no such lease yet; the account is {view.phase}{why}", remedy, 504, 1.0)

    # -- operators --------------------------------------------------------------------------------------------------

    async def operate(self, verb: str, account: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do one verb.  Raises FreshdError with the remedy."""
        act = self._verbs.get(verb)
        if act is None:
            raise NotPossible(f"there is no verb {verb!r}", "verbs: " + ", ".join(sorted(self._verbs)))
        if self._supervisor.locked and verb not in ("pause", "resume"):
            raise VaultLocked("the vault is locked", "unlock the keyring, or provide the vault's key: freshd doctor")
        if account not in self._supervisor.members and verb not in ("forget", "history"):
            raise NotPossible(f"the account {account!r} is not configured", "freshd status names the accounts")
        if verb not in ("forget", "history", "revoke") and self._supervisor.state(account).retired:
            raise NotPossible(f"the account {account!r} is no longer configured", f"freshd forget {account}")
        done = await act(account, args)
        self.on_operated(verb, account)
        return done

    async def tend(self, verb: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do one of the vault's verbs.  Raises FreshdError with the remedy."""
        act = self.vault_verbs.get(verb)
        if act is None:
            raise NotPossible(f"the vault knows no verb {verb!r}", "verbs: " + ", ".join(sorted(self.vault_verbs)))
        if self._supervisor.locked:
            raise VaultLocked("the vault is locked", "unlock the keyring, or provide the vault's key: freshd doctor")
        return await act(args)


def _obstacle(view: Health) -> str:
    """What stands in the way, as part of a problem's type: the same that `reason` explains."""
    if view.phase == "parked":
        return view.phase
    if view.retired or view.paused:
        return "retired" if view.retired else "paused"
    return "exhausted" if view.phase == "live" else view.phase
