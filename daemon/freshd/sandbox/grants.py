"""The ledger: what a refresh does, what reuse kills, and what is counted. Pure: no I/O, no clock of its own.

Rules: ``now`` (wall seconds) is an argument everywhere. A change is final the moment the method returns; how the
answer fared is told afterwards (``settle``) and never undoes anything. One thread or task at a time.
"""

import dataclasses
import itertools
from collections.abc import Iterable

from freshd.sandbox.counters import Books, Call
from freshd.sandbox.policy import GraceReply, Policies, Policy, ReuseKills, Rotation
from freshd.sandbox.shelf import Shelf
from freshd.sandbox.tokens import AccessToken, Commit, Delivery, Holder, Lineage, RefreshToken, fingerprint, fresh

_HISTORY = 1024  # how many calls, commits and spent tokens a label keeps: more than a harness looks back


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The service said yes; ``refresh`` is None where the answer carries none, ``commit`` where nothing changed."""

    access: AccessToken
    refresh: RefreshToken | None
    commit: Commit | None
    policy: Policy


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """The service said no, in the words of RFC 6749 section 5.2."""

    error: str
    description: str


Result = Granted | Refused


class Ledger:
    """All accounts of one service. ``policies`` may be changed while the ledger is in use."""

    def __init__(self, policies: Policies | None = None, *, history: int = _HISTORY) -> None:
        self.policies = policies or Policies()
        self.books = Books(history)
        self.shelf = Shelf(history)
        self._serials = itertools.count(1)

    def arrive(
        self, grant_type: str, label: str, now: float, *, presented: str | None = None, received_ns: int | None = None
    ) -> Call:
        """Note one call of the token endpoint before anything is judged; the caller fills in ``outcome`` later."""
        call = Call(at=now, received_ns=received_ns, grant_type=grant_type, presented=presented)
        self.books.account(label).calls.append(call)
        self.books.sort(label, "calls", grant_type)
        return call

    def find(self, text: str) -> RefreshToken | None:
        """Return the record of a refresh token, spent ones and those of dead lineages included."""
        return self.shelf.refresh_token(fingerprint(text))

    def mint(self, holder: Holder, now: float, *, text: str | None = None) -> RefreshToken:
        """Open a lineage without any ceremony and return its first refresh token (``text`` None: one in our form)."""
        lineages = self.books.account(holder.label).lineages
        if len(lineages) == lineages.maxlen:
            self.shelf.forget(lineages.popleft())
        lineage = Lineage(id=fresh("ln")[:14], holder=holder, started_at=now, used_at=now)
        lineages.append(lineage)
        return self.shelf.new_refresh(lineage, now, text=text)

    def enrol(
        self, grant_type: str, holder: Holder, now: float, *, spent: str | None = None, renewable: bool = True
    ) -> Granted:
        """Open a lineage with its first answer (RFC 6749 section 4.1.4, RFC 8628 section 3.5).

        ``spent`` is the fingerprint of the code that was exchanged; ``renewable`` False leaves the refresh token out.
        """
        first = self.mint(holder, now)
        policy = self.policies.of(holder.client_id, holder.label)
        access = self.shelf.new_access(holder, first.lineage, now, policy.access_s)
        refresh = first if renewable else None
        commit = self.commit(grant_type, access, now, spent=spent, successor=refresh)
        return Granted(access=access, refresh=refresh, commit=commit, policy=policy)

    def issue(self, client_id: str, now: float, *, scope: str = "") -> Granted:
        """Grant client credentials (RFC 6749 section 4.4): no refresh token; the client's id is the label."""
        policy = self.policies.of(client_id, client_id)
        holder = Holder(client_id=client_id, label=client_id, subject=client_id, scope=scope)
        access = self.shelf.new_access(holder, None, now, policy.access_s)
        commit = self.commit("client_credentials", access, now, spent=None, successor=None)
        return Granted(access=access, refresh=None, commit=commit, policy=policy)

    def refresh(self, token: str, now: float, *, client_id: str | None = None, scope: str | None = None) -> Result:
        """Judge one presentation of a refresh token and carry it out (RFC 6749 section 6).

        ``client_id`` None skips the check of ownership. Counting and killing happen here, the answer is not written.
        """
        secret = self.find(token)
        if secret is None:
            return self._refuse(None, "invalid_grant", "unknown refresh token")
        holder = secret.lineage.holder
        if client_id is not None and client_id != holder.client_id:
            return self._refuse(holder.label, "invalid_grant", "issued to another client")
        policy = self.policies.of(holder.client_id, holder.label)
        if secret.spent_at is not None:
            self.count_replay(secret)
        else:
            secret.present()
        refusal = _standing(secret, policy, now)
        if refusal:
            return self._refuse(holder.label, "invalid_grant", refusal)
        if scope is not None and not set(scope.split()) <= set(holder.scope.split()):
            return self._refuse(holder.label, "invalid_scope", "wider than what was granted")
        if secret.spent_at is not None:
            return self._replay(secret, secret.spent_at, policy, now)
        return self._repeat(secret, policy, now) or self._rotate(secret, policy, now)

    def would_take(self, secret: RefreshToken, now: float) -> bool:
        """Whether a refresh with ``secret`` would be granted now; asks without spending or counting anything."""
        holder = secret.lineage.holder
        policy = self.policies.of(holder.client_id, holder.label)
        return secret.spent_at is None and _standing(secret, policy, now) is None

    def settle(self, commit: Commit, delivery: Delivery) -> None:
        """Record how the answer of ``commit`` fared."""
        commit.delivery = delivery

    def deliver(self, commit: Commit) -> None:
        """Record that the answer of ``commit`` reached its client whole: the word of a simulation without sockets."""
        self.settle(commit, Delivery(complete=True, carried=True))

    def lose(self, commit: Commit, reason: str) -> None:
        """Record that the answer of ``commit`` never arrived: the word of a simulation without sockets."""
        self.settle(commit, Delivery(reason=reason))

    def escrowed(self, fingerprints: Iterable[str]) -> int:
        """Believe that the client has durably kept the answers with these successors; return how many exist."""
        marked = 0
        for name in fingerprints:
            token = self.shelf.refresh_token(name)
            if token is not None and token.born is not None:
                token.born.escrowed = True
                self.books.count(token.lineage.holder.label, "escrow_marks")
                marked += 1
        return marked

    def accepts(self, access_token: str, now: float) -> AccessToken | None:
        """Return the access token's record if a resource would take it at ``now``; its use vouches for its answer."""
        access = self.shelf.access_token(access_token)
        if access is None or not access.is_alive(now):
            return None
        if access.born is not None:
            access.born.escrowed = True
        return access

    def kill(self, lineage: Lineage, reason: str, now: float) -> None:
        """End a lineage with all its tokens; a second time changes nothing."""
        if lineage.killed_by is None:
            lineage.killed_by, lineage.killed_at = reason, now
            self.books.count(lineage.holder.label, "lineages_killed")
            self.books.sort(lineage.holder.label, "killed_by", reason)

    def revoke_access(self, label: str, name: str | None = None) -> int:
        """Make access tokens of ``label`` refused from now on: all, or the one with fingerprint ``name``.

        Returns how many changed.
        """
        chains = [lineage.access for lineage in self.books.account(label).lineages]
        every = itertools.chain(*chains, self.shelf.issued_to(label))
        chosen = [access for access in every if not access.revoked and name in (None, access.fingerprint)]
        for access in chosen:
            access.revoked = True
        return len(chosen)

    def _replay(self, secret: RefreshToken, spent_at: float, policy: Policy, now: float) -> Result:
        used = any(successor.presented for successor in secret.successors)
        if policy.rotation is Rotation.GRACE and now - spent_at <= policy.grace_s and not used:
            self.books.count(secret.lineage.holder.label, "in_grace")
            same = policy.grace_reply is GraceReply.SAME and secret.successors
            return self._rotate(secret, policy, now, again=secret.successors[-1] if same else None)
        if policy.reuse_kills is ReuseKills.LINEAGE:
            self.kill(secret.lineage, "reuse", now)
        return self._refuse(secret.lineage.holder.label, "invalid_grant", "refresh token already used")

    def _repeat(self, secret: RefreshToken, policy: Policy, now: float) -> Granted | None:
        """Answer a refresh that came too early with what is already there, or None if it is time."""
        last = secret.lineage.access[-1] if secret.lineage.access else None
        if last is None or not last.is_alive(now) or now - last.issued_at >= policy.earliest_refresh_s:
            return None
        self.books.count(secret.lineage.holder.label, "refreshes", "early")
        return Granted(access=last, refresh=secret, commit=None, policy=policy)

    def _rotate(
        self, secret: RefreshToken, policy: Policy, now: float, *, again: RefreshToken | None = None
    ) -> Granted:
        """Spend ``secret``: the one irreversible step. ``again`` is the successor to hand out once more in grace."""
        lineage = secret.lineage
        if policy.old_access_s is not None:
            for old in lineage.access:
                old.expires_at = min(old.expires_at, now + policy.old_access_s)
        access = self.shelf.new_access(lineage.holder, lineage, now, policy.access_s)
        lineage.used_at = now
        self.books.count(lineage.holder.label, "refreshes")
        if policy.rotation is Rotation.REUSABLE:
            commit = self.commit("refresh_token", access, now, spent=secret.fingerprint, successor=None)
            returned = secret if policy.reusable_returned else None
            return Granted(access=access, refresh=returned, commit=commit, policy=policy)
        successor = again or self.shelf.new_refresh(lineage, now)
        commit = self.commit("refresh_token", access, now, spent=secret.fingerprint, successor=successor)
        secret.answers.append(commit)
        if successor not in secret.successors:
            secret.successors.append(successor)
        self.shelf.spend(secret, now)
        return Granted(access=access, refresh=successor, commit=commit, policy=policy)

    def commit(
        self, grant_type: str, access: AccessToken, now: float, *, spent: str | None, successor: RefreshToken | None
    ) -> Commit:
        """Enter one irreversible change in the books; ``spent`` is the fingerprint of what it used up."""
        commit = Commit(
            serial=next(self._serials),
            grant_type=grant_type,
            label=access.holder.label,
            lineage=access.lineage.id if access.lineage else None,
            committed_at=now,
            spent=spent,
            successor=successor.fingerprint if successor else None,
            access=access.fingerprint,
        )
        access.born = commit
        if successor is not None:
            successor.born = commit
        self.books.account(commit.label).commits.append(commit)
        self.books.count(commit.label, "commits")
        return commit

    def count_replay(self, secret: RefreshToken) -> None:
        """Count one presentation of a spent token, as a spent use or as a doubtful replay (``counters``)."""
        label = secret.lineage.holder.label
        if secret.has_known_successor:
            self.books.count(label, "spent_uses")
            return
        self.books.count(label, "doubtful_replays")
        self.books.sort(label, "reasons", (secret.answers[-1].doubt if secret.answers else None) or "unconfirmed")

    def _refuse(self, label: str | None, error: str, description: str) -> Refused:
        self.books.count(label, "refused")
        self.books.sort(label, "errors", error)
        return Refused(error, description)


def _standing(secret: RefreshToken, policy: Policy, now: float) -> str | None:
    """Return why this refresh token is worth nothing any more, or None."""
    lineage = secret.lineage
    if lineage.killed_by is not None:
        return f"lineage ended: {lineage.killed_by}"
    if policy.refresh_absolute_s is not None and now >= lineage.started_at + policy.refresh_absolute_s:
        return "refresh token expired: absolute life"
    if policy.refresh_idle_s is not None and now >= max(secret.issued_at, lineage.used_at) + policy.refresh_idle_s:
        return "refresh token expired: idle"
    return None
