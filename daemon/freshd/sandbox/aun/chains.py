"""Refresh chains: what a login opens and each refresh carries on. Pure: ``now`` (wall seconds) is an argument.

Rules: a refresh token works once; success makes its successor in the same step. A chain ends after so many refreshes
or so long after its login, whichever comes first. Access tokens live to their own ends. Books, shelf and the count of
spent uses are those of the OAuth 2.0 ledger, so one judge reads all.
"""

import dataclasses

from freshd.sandbox.aun import bearer
from freshd.sandbox.aun.agents import Agent
from freshd.sandbox.aun.constants import AunConstants, LoginTokens, ReuseKills
from freshd.sandbox.aun.pki import Pki
from freshd.sandbox.grants import Ledger
from freshd.sandbox.tokens import AccessToken, Commit, Holder, Lineage, RefreshToken, fresh


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Chain(Lineage):
    """One login through all its refreshes; ``device`` is where it was first refreshed, if that was told."""

    refreshes: int = 0
    device: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """What an answer carries."""

    access: AccessToken
    refresh: RefreshToken | None
    commit: Commit


class Denied(Exception):
    """A refresh token is worth nothing; ``is_chain_end``: because its chain was used up."""

    def __init__(self, text: str, *, is_chain_end: bool = False) -> None:
        """``text`` is for the books."""
        super().__init__(text)
        self.is_chain_end = is_chain_end


class Chains:
    """All chains."""

    def __init__(self, ledger: Ledger, pki: Pki) -> None:
        """Keep them in ``ledger``; ``pki`` signs access tokens."""
        self.ledger = ledger
        self._pki = pki

    def of(self, label: str) -> list[Chain]:
        """Return the chains of a label, oldest first."""
        page = self.ledger.books.accounts.get(label)
        return [one for one in page.lineages if isinstance(one, Chain)] if page is not None else []

    def find(self, text: str) -> tuple[RefreshToken, Chain] | None:
        """Return a refresh token and its chain, spent ones and those of dead chains included."""
        token = self.ledger.find(text)
        return (token, token.lineage) if token is not None and isinstance(token.lineage, Chain) else None

    def open(self, agent: Agent, constants: AunConstants, now: float) -> tuple[AccessToken, RefreshToken]:
        """Open a chain without any ceremony."""
        lineages = self.ledger.books.account(agent.label).lineages
        if len(lineages) == lineages.maxlen:
            self.ledger.shelf.forget(lineages.popleft())
        holder = Holder(client_id=agent.aid, label=agent.label, subject=agent.aid)
        chain = Chain(id=fresh("ch")[:14], holder=holder, started_at=now, used_at=now)
        lineages.append(chain)
        refresh = self._new_refresh(chain, now, now + constants.AUN_SIM_REFRESH_TTL_S)
        return self._new_access(chain, constants, now), refresh

    def log_in(self, agent: Agent, constants: AunConstants, now: float, *, spent: str) -> Issue:
        """Open a chain in return for a login."""
        access, refresh = self.open(agent, constants, now)
        shown: RefreshToken | None = refresh
        if constants.AUN_SIM_LOGIN_TOKENS is not LoginTokens.BOTH:
            self.ledger.shelf.spend(refresh, now)  # nobody gets to see it
            refresh.lineage.head, shown = None, None
        commit = self.ledger.commit("auth.aid_login2", access, now, spent=spent, successor=shown)
        commit.successor = commit.successor or access.fingerprint
        return Issue(access=access, refresh=shown, commit=commit)

    def refresh(self, text: str, constants: AunConstants, now: float, *, device: str = "") -> Issue:
        """Judge one presentation and carry it out; raises Denied."""
        found = self.find(text)
        if found is None:
            raise Denied("unknown")
        token, chain = found
        if token.spent_at is not None:
            self.ledger.count_replay(token)
            self._forgive(token, chain, constants, now)
        else:
            token.present()
        self._check(token, chain, constants, now, device)
        return self._rotate(token, chain, constants, now)

    def end(self, label: str, why: str, now: float) -> int:
        """End all living chains of a label; return how many there were."""
        living = [one for one in self.of(label) if one.killed_by is None]
        for one in living:
            self.ledger.kill(one, why, now)
        return len(living)

    def age(self, label: str, seconds: float, refreshes: int = 0) -> int:
        """Make the living chains of a label older, with their refresh tokens; return how many there are."""
        living = [one for one in self.of(label) if one.killed_by is None]
        for chain in living:
            chain.started_at -= seconds
            chain.refreshes += refreshes
            if chain.head is not None and chain.head.expires_at is not None:
                chain.head.expires_at -= seconds
        return len(living)

    def _forgive(self, token: RefreshToken, chain: Chain, constants: AunConstants, now: float) -> None:
        """Let a replay inside the grace pass; else raise, and end what reuse ends."""
        used = not token.successors or any(one.presented for one in token.successors)
        grace_s = constants.AUN_SIM_REFRESH_GRACE_S
        if token.spent_at is not None and grace_s > 0 and now - token.spent_at <= grace_s and not used:
            self.ledger.books.count(chain.holder.label, "in_grace")
            return
        kills = constants.AUN_SIM_REUSE_KILLS
        if kills is not ReuseKills.TOKEN:
            self.ledger.kill(chain, "reuse", now)
        if kills is ReuseKills.CHAIN_AND_ACCESS:
            for access in chain.access:
                access.revoked = True
        raise Denied("spent")

    def _check(self, token: RefreshToken, chain: Chain, constants: AunConstants, now: float, device: str) -> None:
        if chain.killed_by is not None:
            raise Denied(f"chain ended: {chain.killed_by}")
        used_up = chain.refreshes >= constants.AUN_SIM_CHAIN_REFRESHES
        if used_up or now >= chain.started_at + constants.AUN_SIM_CHAIN_TTL_S:
            raise Denied("refresh chain used up", is_chain_end=True)
        if token.expires_at is not None and now >= token.expires_at:
            raise Denied("expired")
        if constants.AUN_SIM_REFRESH_BOUND_TO_DEVICE and chain.device and device != chain.device:
            raise Denied("other device")
        chain.device = chain.device or device

    def _rotate(self, token: RefreshToken, chain: Chain, constants: AunConstants, now: float) -> Issue:
        """Spend ``token``: the one irreversible step."""
        access = self._new_access(chain, constants, now)
        chain.used_at, label = now, chain.holder.label
        chain.refreshes += 1
        self.ledger.books.count(label, "refreshes")
        if not constants.AUN_SIM_ROTATES:
            commit = self.ledger.commit("auth.refresh_token", access, now, spent=token.fingerprint, successor=None)
            return Issue(access=access, refresh=token, commit=commit)
        slides = constants.AUN_SIM_REFRESH_LIFE_SLIDES or token.expires_at is None
        successor = self._new_refresh(chain, now, now + constants.AUN_SIM_REFRESH_TTL_S if slides else token.expires_at)
        commit = self.ledger.commit("auth.refresh_token", access, now, spent=token.fingerprint, successor=successor)
        token.answers.append(commit)
        token.successors.append(successor)
        self.ledger.shelf.spend(token, now)
        return Issue(access=access, refresh=successor, commit=commit)

    def _new_access(self, chain: Chain, constants: AunConstants, now: float) -> AccessToken:
        ends_at = bearer.end_of(self._pki, now, constants.AUN_SIM_ACCESS_TTL_S)
        text = bearer.mint(self._pki, chain.holder.client_id, now, ends_at, constants)
        return self.ledger.shelf.new_access(chain.holder, chain, now, ends_at - now, text=text)

    def _new_refresh(self, chain: Chain, now: float, expires_at: float | None) -> RefreshToken:
        token = self.ledger.shelf.new_refresh(chain, now)
        token.expires_at = expires_at
        return token
