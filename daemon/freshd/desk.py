"""What the socket asks of the supervisor: `ports.Tokens`.  Readers' questions from memory, operators' verbs by name.

Rules
-----
* `lease` is a dictionary look-up (I9, I11).
* A demand is a signal; the keeper decides, the caller only waits, and its own deadline is all it can lose.
* Operators' verbs go through the account's keeper or, for a record nobody keeps, straight to the vault.  None waits for
  ever: a flight that does not land is told of, and goes on.
* What a person brought is exchanged once, however often it is handed in.
* Only what is in question can be confirmed: neither a secret that was declared dead (I5) nor a stranger's grant.
* Nothing here returns a secret but the lease's token (I8, I12): a person's code goes in, nothing of it comes out.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from freshd import health
from freshd.core import ladder, policy
from freshd.core.arrange import next_job
from freshd.core.model import Change, Grant, Intent, Secret, Standing
from freshd.core.state import Booted, Demanded, Enrolling, Forced, Phase, Refused, State
from freshd.errors import FreshdError, KeyringUnavailable, VaultLocked
from freshd.ports import Asked, Health, Line, Provider, Published, Shortfall
from freshd.supervisor import Supervisor

SESSION_SECONDS: Final = 900.0
MAX_SESSIONS: Final = 64
PENDING: Final = frozenset({"authorization_pending", "slow_down", "held"})
"""Outcomes after which the same enrolment is asked for again; a device flow also goes on where nothing was sent."""
STEP_WAIT_SECONDS: Final = 120.0
"""How long an operator's verb waits for a flight to land before it says that it goes on without them."""


class Refusal(FreshdError):
    """A verb that cannot be done as things stand."""

    exit_code = 65
    type = "not-possible"


@dataclass(frozen=True, slots=True)
class Session:
    """An enrolment under way: what the person's answer will be checked against."""

    account: str
    asked: Asked
    ends: float


class Desk:
    """One per daemon."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._leases = supervisor.leases
        self._sessions: dict[str, Session] = {}
        self._finishing: set[str] = set()
        self._verbs: dict[str, Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]] = {
            "refresh": self._refresh, "pause": self._pause, "resume": self._resume, "forget": self._forget,
            "revoke": self._revoke, "confirm": self._confirm, "history": self._history,
            "enrol-begin": self._enrol_begin, "enrol-finish": self._enrol_finish,
            "import": self._import,
        }  # fmt: skip

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
            return health.while_locked(view) if self._supervisor.locked else view
        return health.of_retired(self._supervisor.known[account])

    async def demand(self, account: str, min_ttl: float, wait: float) -> Published | Shortfall:
        """A lease with at least `min_ttl` seconds left, waiting at most `wait` seconds."""
        supervisor = self._supervisor
        too_long = self._too_long(account, min_ttl)
        if too_long is not None:
            return too_long
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

    def refused(self, account: str, fingerprint: str, status: int | None, code: str | None) -> str:
        """A consumer's refusal: "newer-lease", "healing", "ignored", "stale" or "unknown"."""
        held = self._leases.get(account)
        if held is None or not fingerprint:
            return "unknown"
        if not hmac.compare_digest(held.fingerprint.encode(), fingerprint.encode("utf-8", "surrogatepass")):
            return "newer-lease"
        dead = self._supervisor.keeper(account).provider(account).is_dead(status, code)
        self._supervisor.post(account, Refused(fingerprint, dead))
        return "healing" if dead else "ignored"

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
        state = self._supervisor.state(account)
        plan = self._supervisor.keeper(account).plan(account)
        nobody = state.phase is Phase.VACANT and ladder.top(plan.ladder, state.standing.held) is None
        return nobody or state.paused or state.retired or (state.phase is Phase.PARKED and _has_no_date(state))

    def _shortfall(self, account: str) -> Shortfall:
        if self._supervisor.locked:
            remedy = "unlock the keyring, or provide the vault's key: freshd doctor"
            return Shortfall("vault-locked", "the vault's sealing key is not there yet", remedy, 503, 2.0)
        view = self.health(account)
        remedy = view.remedy or f"freshd explain {account}"
        why = f": {view.reason}" if view.reason else ""
        if self._is_hopeless(account):
            return Shortfall("account-" + _obstacle(view), view.reason or view.phase, remedy, 503, 60.0)
        return Shortfall("not-yet", f"no such lease yet; the account is {view.phase}{why}", remedy, 504, 1.0)

    # -- operators --------------------------------------------------------------------------------------------------

    async def operate(self, verb: str, account: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do one verb.  Raises FreshdError with the remedy."""
        act = self._verbs.get(verb)
        if act is None:
            raise Refusal(f"there is no verb {verb!r}", "verbs: " + ", ".join(sorted(self._verbs)))
        if self._supervisor.locked and verb not in ("pause", "resume"):
            raise VaultLocked("the vault is locked", "unlock the keyring, or provide the vault's key: freshd doctor")
        if account not in self._supervisor.members and verb not in ("forget", "history"):
            raise Refusal(f"the account {account!r} is not configured", "freshd status names the accounts")
        if verb not in ("forget", "history", "revoke") and self._supervisor.state(account).retired:
            raise Refusal(f"the account {account!r} is no longer configured", f"freshd forget {account}")
        return await act(account, args)

    async def _landed(self, account: str) -> State:
        """The account's state once nothing of it is in the air.  Raises Refusal where that takes too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STEP_WAIT_SECONDS):
                return await self._supervisor.keeper(account).landed(account)
        raise _under_way(account)

    @contextlib.asynccontextmanager
    async def _quiet(self, account: str) -> AsyncIterator[State]:
        """The family's lock, as `Keeper.quiet`.  Raises Refusal where it is not to be had."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(STEP_WAIT_SECONDS):
                    state = await stack.enter_async_context(self._supervisor.keeper(account).quiet(account))
            except TimeoutError:
                raise _under_way(account) from None
            yield state

    async def _refresh(self, account: str, _args: Mapping[str, Any]) -> Mapping[str, Any]:
        keeper = self._supervisor.keeper(account)
        before = await self._landed(account)
        ends = self._supervisor.clock.boot() + STEP_WAIT_SECONDS
        self._supervisor.post(account, Forced())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STEP_WAIT_SECONDS):
                after = keeper.accounts[account]
                while after.refreshes == before.refreshes and (
                    after.phase in (Phase.SPENDING, Phase.UNSAVED) or (after.want and self._comes_by(account, ends))
                ):
                    await keeper.changed(account)
                    after = keeper.accounts[account]
        after = keeper.accounts[account]
        if after.refreshes == before.refreshes or after.lease == before.lease:
            raise self._not_refreshed(account, after)
        return {"account": account, "generation": after.standing.generation}

    def _comes_by(self, account: str, ends: float) -> bool:
        """Whether the next attempt comes before that boot-time second."""
        if self._is_hopeless(account):
            return False
        plan = self._supervisor.keeper(account).plan(account)
        job = next_job(plan, self._supervisor.state(account), self._supervisor.clock.now())
        return job is not None and job.at <= ends

    def _not_refreshed(self, account: str, after: State) -> Refusal:
        view = self.health(account)
        why = view.reason or after.last_outcome or after.phase.value
        at = view.next_refresh_at
        due = "" if at is None else f"; next try in {max(0.0, at - self._supervisor.clock.now().wall):.0f} s"
        return Refusal(f"not refreshed: {why}{due}", view.remedy or f"freshd explain {account}")

    async def _pause(self, account: str, _args: Mapping[str, Any]) -> Mapping[str, Any]:
        await self._supervisor.pause(account, paused=True)
        return {"account": account, "paused": True}

    async def _resume(self, account: str, _args: Mapping[str, Any]) -> Mapping[str, Any]:
        await self._supervisor.pause(account, paused=False)
        return {"account": account, "paused": False}

    async def _forget(self, account: str, _args: Mapping[str, Any]) -> Mapping[str, Any]:
        if account not in self._supervisor.members:
            await self._erase(account)
        else:
            async with self._quiet(account):
                await self._erase(account)
        await self._decided()
        return {"account": account, "forgotten": True}

    async def _revoke(self, account: str, _args: Mapping[str, Any]) -> Mapping[str, Any]:
        keeper = self._supervisor.keeper(account)
        async with self._quiet(account):
            record = await self._supervisor.vault.read(account)
            done = await keeper.provider(account).revoke(record)
            await self._erase(account)
        await self._decided()
        return {"account": account, "revoked": done}

    async def _erase(self, account: str) -> None:
        """Erase the record.  Where the journal let go and the keyring has still to follow, it is gone all the same."""
        try:
            await self._supervisor.vault.forget(account)
        except KeyringUnavailable:
            self._supervisor.erased(account)
            raise
        self._supervisor.erased(account)

    async def _confirm(self, account: str, _args: Mapping[str, Any]) -> Mapping[str, Any]:
        keeper = self._supervisor.keeper(account)
        async with self._quiet(account) as state:
            standing = state.standing
            binding = keeper.provider(account).binding
            if standing.held_back:
                await self._trust(account, standing)
            elif standing.binding is not None and not standing.binding.fits(binding):
                standing = await self._rebind(account, standing)
            elif not self._supervisor.vault.rolled_back:
                raise Refusal("there is nothing to confirm", f"freshd explain {account}")
            if self._is_decided():
                await self._supervisor.vault.accept()
        return {"account": account, "generation": standing.generation}

    async def _rebind(self, account: str, standing: Standing) -> Standing:
        """The change of the configuration was meant: the grant belongs to what is configured now."""
        if standing.broken or standing.withheld or standing.dead:
            raise Refusal("the grant cannot be used, wherever it belongs", f"freshd enrol {account}")
        record = await self._supervisor.vault.read(account)
        if record.grant is None:
            raise Refusal("the account holds no grant", f"freshd enrol {account}")
        bound = replace(record.grant, binding=self._supervisor.keeper(account).provider(account).binding)
        return await self._write(account, bound, "confirm", record.generation + 1)

    def _is_decided(self) -> bool:
        """Whether the journal is taken for an old copy still, and nobody is held back by that any more."""
        supervisor = self._supervisor
        if not supervisor.vault.rolled_back:
            return False
        return not any(supervisor.state(name).standing.held_back for name in supervisor.members)

    async def _decided(self) -> None:
        """A verb may have been about the last account that was held back; `confirm` does it where this cannot."""
        if self._is_decided():
            with contextlib.suppress(FreshdError):
                await self._supervisor.vault.accept()

    async def _trust(self, account: str, standing: Standing) -> None:
        """The journal may be an old copy: the grant goes on, but as one that may be spent (design 6).

        An answer in escrow is the newest there is: it is finished, for the secret it replaced is spent.
        """
        supervisor = self._supervisor
        if standing.escrowed:
            supervisor.post(account, Booted(replace(standing, held_back=None), supervisor.vault.high_water))
            return
        rung = ladder.top(supervisor.keeper(account).plan(account).ladder, standing.held)
        if rung is None:
            raise Refusal("the account holds nothing to renew with", f"freshd enrol {account}")
        now = supervisor.clock.now()
        intent = Intent(secrets.token_hex(8), account, rung.name, standing.lineage, standing.generation, now)
        await supervisor.vault.intend(intent, {})
        await supervisor.vault.doubt(intent, {}, Line(now, "confirm", "rolled-back", standing.generation))
        supervisor.post(account, Booted(replace(standing, held_back=None, intent=intent), supervisor.vault.high_water))

    async def _history(self, account: str, _args: Mapping[str, Any]) -> Mapping[str, Any]:
        lines = await self._supervisor.vault.history(account)
        return {
            "account": account,
            "lines": [
                {
                    "at": line.at.wall,
                    "rung": line.rung,
                    "outcome": line.outcome,
                    "generation": line.generation,
                    "detail": line.detail,
                }
                for line in lines
            ],
        }

    # -- enrolment --------------------------------------------------------------------------------------------------

    async def _enrol_begin(self, account: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        provider: Provider = self._supervisor.keeper(account).provider(account)
        redirect = args.get("redirect_uri")
        asked = await provider.ask(str(args.get("flow", "code")), None if redirect is None else str(redirect))
        now = self._supervisor.clock.boot()
        self._sessions = {key: kept for key, kept in self._sessions.items() if kept.ends > now}
        if len(self._sessions) >= MAX_SESSIONS:
            raise Refusal("too many enrolments are under way", "finish one, or wait until they expire")
        session = secrets.token_urlsafe(24)
        self._sessions[session] = Session(account, asked, now + min(asked.expires_in, SESSION_SECONDS))
        return {
            "session": session, "url": asked.url, "user_code": asked.user_code, "interval": asked.interval,
            "expires_in": min(asked.expires_in, SESSION_SECONDS),
        }  # fmt: skip

    async def _enrol_finish(self, account: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        key = str(args.get("session", ""))
        if key in self._finishing:
            return {"done": False, "account": account, "pending": "held"}
        self._finishing.add(key)
        try:
            return await self._finish(account, key, args)
        finally:
            self._finishing.discard(key)

    async def _finish(self, account: str, key: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        session = self._sessions.get(key)
        if session is None or session.account != account or session.ends < self._supervisor.clock.boot():
            raise Refusal("this enrolment is unknown or over", f"begin again: freshd enrol {account}")
        given = {key: Secret(str(args[key])) for key in ("code", "state", "iss", "error") if args.get(key) is not None}
        _check_state(session, given, account)
        before = await self._landed(account)
        event = Enrolling(session.asked.rung, secrets.token_hex(16), {**session.asked.material, **given})
        self._supervisor.post(account, event)
        after = await self._landed(account)
        if after.refreshes == before.refreshes:
            return self._enrol_undone(account, key, after)
        del self._sessions[key]
        await self._decided()
        return {"done": True, "account": account, "generation": after.standing.generation}

    def _enrol_undone(self, account: str, key: str, after: State) -> Mapping[str, Any]:
        outcome = after.last_outcome or "failed"
        session = self._sessions[key]
        if outcome in PENDING or (session.asked.rung == "device" and outcome == "unsent"):
            return {"done": False, "account": account, "pending": outcome}
        self._sessions.pop(key, None)
        raise Refusal(f"the service did not accept the enrolment: {outcome}", f"begin again: freshd enrol {account}")

    async def _import(self, account: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Found a lineage on secrets obtained elsewhere: stored and read back, nothing of them spent."""
        supervisor = self._supervisor
        keeper = supervisor.keeper(account)
        given = args.get("secrets")
        if not isinstance(given, dict) or not given or not all(isinstance(one, str) and one for one in given.values()):
            raise Refusal("nothing to import", 'send {"secrets": {"refresh_token": "…"}}')
        secrets_given = {str(key): Secret(value) for key, value in given.items()}
        if ladder.top(keeper.plan(account).ladder, secrets_given) is None:
            wanted = sorted({name for rung in keeper.plan(account).ladder for name in rung.needs})
            raise Refusal("these secrets renew nothing here", "this account renews with: " + ", ".join(wanted))
        async with self._quiet(account) as state:
            now = supervisor.clock.now()
            grant = Grant(secrets.token_hex(16), keeper.provider(account).binding, secrets_given, now, now)
            kept = await self._write(account, grant, "import", state.standing.generation + 1)
        await self._decided()
        return {"account": account, "generation": kept.generation}

    async def _write(self, account: str, grant: Grant, why: str, generation: int) -> Standing:
        supervisor = self._supervisor
        line = Line(supervisor.clock.now(), why, "ok", generation)
        kept = await supervisor.vault.commit(None, account, [Change(account, grant=grant)], {}, line)
        supervisor.post(account, Booted(kept[account], supervisor.vault.high_water))
        return kept[account]


def _check_state(session: Session, given: Mapping[str, Secret], account: str) -> None:
    expected = session.asked.material.get("expected_state")
    if expected is not None and given.get("state") != expected:
        raise Refusal("the answer belongs to another enrolment (state differs)", f"begin again: freshd enrol {account}")


def _under_way(account: str) -> Refusal:
    return Refusal("a call of this account is still under way", f"freshd status {account}, and try again")


def _obstacle(view: Health) -> str:
    """What stands in the way, as part of a problem's type: the same that `reason` explains."""
    if view.phase == "parked":
        return view.phase
    return "retired" if view.retired else "paused" if view.paused else view.phase


def _has_no_date(state: State) -> bool:
    return state.parked is None or state.parked.until is None
