"""Operators' verbs: refresh, pause, resume, forget, revoke, confirm, import, history.

Rules
-----
* A verb goes through the account's keeper or, for a record nobody keeps, straight to the vault.
* None waits for ever, and none cancels a flight (`turn`).
* Only what is in question can be confirmed: neither a secret that was declared dead (I5) nor a stranger's grant.
* An import is stored and read back, and nothing of it is spent; `history` changes nothing (I8).
* What was held once and is held no more is not taken again: it was used, and using it again can end the lineage (I5).
  Nor is what is held and may be spent: bringing it again proves nothing.
* No answer holds a secret.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from freshd import health
from freshd.core import ladder
from freshd.core.contract import Reuse
from freshd.core.happenings import Booted, Forced
from freshd.core.model import Change, Intent, Secret, Standing
from freshd.core.state import Phase, State
from freshd.core.ways import next_job, reuse_of
from freshd.errors import KeyringUnavailable, NotPossible
from freshd.ports import Line
from freshd.supervisor import Supervisor
from freshd.turn import STEP_WAIT_SECONDS, Verb, decided, free, is_moved, landed, must_not_displace, quiet


class Operators:
    """What operators may do to an account.  `verbs`: by name; the account was checked by whoever calls."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self.verbs: Mapping[str, Verb] = {
            "refresh": self._refresh, "pause": self._pause, "resume": self._resume, "forget": self._forget,
            "revoke": self._revoke, "confirm": self._confirm, "import": self._import, "history": self._history,
        }  # fmt: skip

    async def _refresh(self, account: str, _args: Mapping[str, Any]) -> Mapping[str, Any]:
        supervisor = self._supervisor
        before = await landed(supervisor, account)
        ends = supervisor.clock.boot() + STEP_WAIT_SECONDS
        supervisor.post(account, Forced())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STEP_WAIT_SECONDS):
                after = supervisor.state(account)
                while (after.refreshes == before.refreshes or after.want) and (
                    after.phase in (Phase.SPENDING, Phase.UNSAVED) or (after.want and self._comes_by(account, ends))
                ):
                    await supervisor.keeper(account).changed(account)  # each time anew: it may change its family
                    after = supervisor.state(account)
        after = supervisor.state(account)
        if after.refreshes == before.refreshes or after.lease == before.lease:
            raise self._not_refreshed(account, after)
        return {"account": account, "generation": after.standing.generation}

    def _comes_by(self, account: str, ends: float) -> bool:
        """Whether the next attempt comes before that boot-time second."""
        plan, state = self._supervisor.keeper(account).plan(account), self._supervisor.state(account)
        if health.is_hopeless(plan, state):
            return False
        job = next_job(plan, state, self._supervisor.clock.now())
        return job is not None and job.at <= ends

    def _not_refreshed(self, account: str, after: State) -> NotPossible:
        supervisor = self._supervisor
        kind, plan = supervisor.members[account].kind, supervisor.keeper(account).plan(account)
        view = health.of(kind, plan, after, supervisor.clock)
        why = view.reason or after.last_outcome or after.phase.value
        at = view.next_refresh_at
        due = "" if at is None else f"; next try in {max(0.0, at - supervisor.clock.now().wall):.0f} s"
        return NotPossible(f"not refreshed: {why}{due}", view.remedy or f"freshd explain {account}")

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
            async with quiet(self._supervisor, account):
                await self._erase(account)
        await decided(self._supervisor)
        return {"account": account, "forgotten": True}

    async def _revoke(self, account: str, _args: Mapping[str, Any]) -> Mapping[str, Any]:
        supervisor = self._supervisor
        async with quiet(supervisor, account):
            record = await supervisor.vault.read(account)
            done = await supervisor.keeper(account).provider(account).revoke(record)
            await self._erase(account)
        await decided(supervisor)
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
        was_moved = is_moved(self._supervisor, account)
        was_held = bool(self._supervisor.state(account).standing.held_back)
        if was_moved or was_held:
            await self._finish_escrow(account)
        async with quiet(self._supervisor, account) as state:
            standing = state.standing
            if was_held:
                await self._trust(account, standing)
            elif was_moved or is_moved(self._supervisor, account):
                standing = await self._rebind(account, standing)
            elif not self._supervisor.vault.rolled_back:
                raise NotPossible("there is nothing to confirm", f"freshd explain {account}")
            if self._supervisor.vault.rolled_back:
                await self._supervisor.vault.accept(free(self._supervisor))
        return {"account": account, "generation": standing.generation}

    async def _finish_escrow(self, account: str) -> None:
        """An answer in escrow is newer than the grant, which is spent: it is finished first (I5)."""
        supervisor = self._supervisor
        state = supervisor.state(account)
        standing = replace(state.standing, paused=state.paused)  # an operator may have ended a pause meanwhile
        if standing.escrowed:
            meant = replace(standing, held_back=None, binding=supervisor.keeper(account).provider(account).binding)
            supervisor.post(account, Booted(meant, supervisor.vault.high_water))
            await landed(supervisor, account)

    async def _rebind(self, account: str, standing: Standing) -> Standing:
        """The change of the configuration was meant: the grant belongs to what is configured now."""
        if standing.broken or standing.withheld or standing.dead:
            raise NotPossible("the grant cannot be used, wherever it belongs", f"freshd enrol {account}")
        record = await self._supervisor.vault.read(account)
        if record.grant is None:
            raise NotPossible("the account holds no grant", f"freshd enrol {account}")
        bound = replace(record.grant, binding=self._supervisor.keeper(account).provider(account).binding)
        return await self._write(account, Change(account, grant=bound), "confirm", record.generation + 1)

    async def _trust(self, account: str, standing: Standing) -> None:
        """The journal may be an old copy: the grant goes on, but as one that may be spent (design 6).

        What an answer in its escrow brought is as old as the rest.  A doubt that stands already goes on as it is: what
        was presented again once is not presented once more for this.
        """
        supervisor = self._supervisor
        standing = await self._newest(account, standing)
        rung = ladder.top(supervisor.keeper(account).plan(account).ladder, standing.held)
        if rung is None:
            raise NotPossible("the account holds nothing to renew with", f"freshd enrol {account}")
        now, intent = supervisor.clock.now(), standing.intent
        if intent is None or (intent.rung, intent.lineage, intent.candidate) != (rung.name, standing.lineage, None):
            intent = Intent(secrets.token_hex(8), account, rung.name, standing.lineage, standing.generation, now)
            await supervisor.vault.intend(intent, {})
        await supervisor.vault.doubt(intent, {}, Line(now, "confirm", "rolled-back", standing.generation))
        paused = supervisor.state(account).paused  # an operator may have ended a pause meanwhile
        meant = replace(standing, held_back=None, intent=intent, paused=paused)
        supervisor.post(account, Booted(meant, supervisor.vault.high_water))

    async def _newest(self, account: str, standing: Standing) -> Standing:
        """How the account stands once a later grant that the OS keyring holds was taken up."""
        record = await self._supervisor.vault.read(account)
        if record.generation == standing.generation or record.grant is None:
            return standing
        grant = record.grant
        return replace(
            standing, generation=record.generation, lineage=grant.lineage, held=frozenset(grant.secrets), intent=None,
            obtained=grant.obtained, valid_for=grant.valid_for,
        )  # fmt: skip

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

    async def _import(self, account: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Found a lineage on secrets obtained elsewhere: stored and read back, nothing of them spent."""
        supervisor = self._supervisor
        keeper = supervisor.keeper(account)
        given = args.get("secrets")
        if not isinstance(given, dict) or not given or not all(isinstance(one, str) and one for one in given.values()):
            raise NotPossible("nothing to import", 'send {"secrets": {"refresh_token": "…"}}')
        secrets_given = {str(key): Secret(value) for key, value in given.items()}
        change = keeper.provider(account).adopt(secrets_given, supervisor.clock.now(), secrets.token_hex(16))
        async with quiet(self._supervisor, account) as state:
            must_not_displace(supervisor, account, then="import")
            await self._must_not_be_spent(account, change, state)
            kept = await self._write(account, change, "import", state.standing.generation + 1)
        await decided(self._supervisor)
        return {"account": account, "generation": kept.generation}

    async def _must_not_be_spent(self, account: str, change: Change, state: State) -> None:
        """A secret that was held and then replaced was used: presenting it might end the lineage (I5)."""
        keeper, vault = self._supervisor.keeper(account), self._supervisor.vault
        contract, ladder_ = keeper.plan(account).contract, keeper.plan(account).ladder
        names = {
            name for rung in ladder_ if (rung.reuse or contract.reuse) is not Reuse.REUSABLE for name in rung.needs
        }
        given = {} if change.grant is None else change.grant.secrets
        held: Mapping[str, Secret] = {}
        with contextlib.suppress(KeyringUnavailable):
            grant = (await vault.read(account)).grant
            held = {} if grant is None else grant.secrets
        in_question = self._in_question(account, state)
        for name in sorted(names & given.keys()):
            if held.get(name) == given[name] and name in in_question:
                raise NotPossible(f"freshd holds this {name}, and it may be spent", f"freshd explain {account}")
            with contextlib.suppress(KeyringUnavailable):
                if given[name] not in held.values() and await vault.knew(account, given[name]):
                    raise NotPossible(f"freshd had this {name} before, and used it", f"freshd enrol {account}")

    def _in_question(self, account: str, state: State) -> frozenset[str]:
        """Names of what is held and may be spent: declared dead, presented without an answer, or of an old journal."""
        plan, standing = self._supervisor.keeper(account).plan(account), state.standing
        doubtful = [] if state.doubt is None else [one.rung for one in state.doubt.stack]
        needs = (
            rung.needs
            for rung in plan.ladder
            if rung.name in doubtful and reuse_of(plan, rung.name) is not Reuse.REUSABLE
        )
        old = standing.held if standing.held_back else frozenset[str]()
        return frozenset(standing.dead).union(old, *needs)

    async def _write(self, account: str, change: Change, why: str, generation: int) -> Standing:
        supervisor = self._supervisor
        line = Line(supervisor.clock.now(), why, "ok", generation)
        kept = await supervisor.vault.commit(None, account, [change], {}, line)
        supervisor.post(account, Booted(kept[account], supervisor.vault.high_water))
        return kept[account]
