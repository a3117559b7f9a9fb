"""What people allowed apps at Feishu: grants, their rotation, their ends. Pure: ``now`` (wall seconds) is an argument.

Rules: a refresh token works once; success makes its successor and shortens the life of earlier access tokens. A grant
ends ``FEISHU_SIM_REAUTH_AFTER_S`` after the authorization, its refresh token earlier if it lies unused. Why a token is
worth nothing is told apart (``Denied``); which number says so is for each endpoint to choose. Books, shelf and the
count of spent uses are those of the OAuth 2.0 ledger, so one judge reads both.
"""

import collections
import dataclasses
import enum
import secrets

from freshd.sandbox.feishu.apps import App, Apps, Standing
from freshd.sandbox.feishu.constants import ConstantsBook, FeishuConstants
from freshd.sandbox.feishu.denied import STANDINGS, Denied, Why, check_scope
from freshd.sandbox.grants import Ledger
from freshd.sandbox.tokens import AccessToken, Commit, Holder, Lineage, RefreshToken, fresh

OFFLINE = "offline_access"
_KEPT_PER_PERSON = 64  # grants of one person with one app that a new authorization may still revoke


class Generation(enum.StrEnum):
    """Which endpoints a grant's tokens are good for."""

    V1 = "v1"
    V2 = "v2"


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Grant(Lineage):
    """One authorization through all its rotations; ``started_at`` is when the person agreed."""

    generation: Generation = Generation.V2
    refreshes: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """What an answer carries; ``commit`` None where it only repeats what was there."""

    access: AccessToken
    refresh: RefreshToken | None
    commit: Commit | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lives:
    """How long what is issued now shall live, in seconds."""

    access_s: float
    refresh_s: float


class FeishuLedger:
    """All grants of all apps."""

    def __init__(self, ledger: Ledger, apps: Apps, constants: ConstantsBook) -> None:
        """Keep the books in ``ledger``, which may serve others too."""
        self.ledger = ledger
        self.apps = apps
        self.constants = constants
        self._of: dict[tuple[str, str], collections.deque[Grant]] = {}
        self._allowed: dict[tuple[str, str], dict[str, None]] = {}

    def find(self, text: str) -> tuple[RefreshToken, Grant] | None:
        """Return a refresh token and its grant, spent ones and those of dead grants included."""
        token = self.ledger.find(text)
        return (token, token.lineage) if token is not None and isinstance(token.lineage, Grant) else None

    def grants(self, label: str) -> list[Grant]:
        """Return the grants of a label, oldest first."""
        page = self.ledger.books.accounts.get(label)
        return [one for one in page.lineages if isinstance(one, Grant)] if page is not None else []

    def allow(self, app_id: str, open_id: str, scope: str) -> str:
        """A person agrees to ``scope``: return all that this app has been granted so far, in order."""
        allowed = self._allowed.setdefault((app_id, open_id), {})
        asked = dict.fromkeys(scope.split())
        allowed.update({word: None for word in asked if word != OFFLINE})
        return " ".join([*allowed, *([OFFLINE] if OFFLINE in asked else [])])

    def has_granted(self, app_id: str, open_id: str, scope: str) -> bool:
        """Whether the person ever allowed this app ``scope``, one word."""
        return scope in self._allowed.get((app_id, open_id), {})

    def open(self, holder: Holder, now: float, generation: Generation, lives: Lives) -> tuple[Grant, RefreshToken]:
        """Open a grant without any ceremony."""
        lineages = self.ledger.books.account(holder.label).lineages
        if len(lineages) == lineages.maxlen:
            self.ledger.shelf.forget(lineages.popleft())
        grant = Grant(id=fresh("gr")[:14], holder=holder, started_at=now, used_at=now, generation=generation)
        lineages.append(grant)
        key = holder.client_id, holder.subject
        self._of.setdefault(key, collections.deque(maxlen=_KEPT_PER_PERSON)).append(grant)
        return grant, self._new_refresh(grant, now, now + lives.refresh_s)

    def enrol(self, grant_type: str, holder: Holder, now: float, *, scope: str, spent: str, lives: Lives) -> Issue:
        """Exchange a code: a new grant of ``holder``, whose access token (and answer) covers ``scope`` only."""
        if self.constants.of(holder.client_id, holder.label).FEISHU_SIM_REAUTH_REVOKES_OLD_PAIR:
            for old in self._of.get((holder.client_id, holder.subject), ()):
                self.ledger.kill(old, "reauthorized", now)
        grant, refresh = self.open(holder, now, Generation.V2, lives)
        access = self.new_access(dataclasses.replace(holder, scope=scope), grant, now, lives.access_s)
        if OFFLINE not in scope.split():
            self.ledger.shelf.spend(refresh, now)  # nobody gets to see it
            grant.head, successor = None, None
        else:
            successor = refresh
        commit = self.ledger.commit(grant_type, access, now, spent=spent, successor=successor)
        return Issue(access=access, refresh=successor, commit=commit)

    def refresh(
        self, text: str, app: App, now: float, *, generation: Generation, lives: Lives, scope: str | None = None
    ) -> Issue:
        """Judge one presentation and carry it out; raises Denied. ``scope`` narrows this one answer."""
        found = self.find(text)
        if found is None:
            raise Denied(Why.UNKNOWN)
        token, grant = found
        if token.spent_at is not None:
            self.ledger.count_replay(token)
        else:
            token.present()
        self._admit(grant, app, generation)
        narrowed = self._narrowed(grant, scope)
        constants = self._constants(grant)
        if token.spent_at is not None:
            self._forgive(token, grant, constants, now)
        self._check_ends(token, grant, constants, now)
        return self._rotate(token, grant, now, lives, narrowed)

    def waste(self, text: str, now: float) -> None:
        """Use a living refresh token up although nothing is given for it."""
        found = self.find(text)
        if found is not None and found[0].spent_at is None:
            self.ledger.shelf.spend(found[0], now)

    def age(self, label: str, seconds: float) -> int:
        """Make the living grants of a label older, with all their tokens; return how many there are."""
        living = [one for one in self.grants(label) if one.killed_by is None]
        for grant in living:
            grant.started_at -= seconds
            for token in [grant.head] if grant.head is not None else []:
                token.issued_at -= seconds
                token.expires_at = None if token.expires_at is None else token.expires_at - seconds
            for access in grant.access:
                access.issued_at -= seconds
                access.expires_at -= seconds
        return len(living)

    def count_live(self, grant: Grant, now: float) -> int:
        """Return how many refresh tokens of a grant are unspent and would still be taken for what they are."""
        tokens = {id(token): token for token in (grant.head, *grant.spent) if token is not None}
        return sum(token.spent_at is None and self._is_alive(token, grant, now) for token in tokens.values())

    def _is_alive(self, token: RefreshToken, grant: Grant, now: float) -> bool:
        try:
            self._check_ends(token, grant, self._constants(grant), now)
        except Denied:
            return False
        return True

    def new_access(self, holder: Holder, grant: Grant | None, now: float, life_s: float) -> AccessToken:
        """Make a user's access token."""
        return self.ledger.shelf.new_access(holder, grant, now, life_s, text=self._text("u", holder, grant))

    def _admit(self, grant: Grant, app: App, generation: Generation) -> None:
        """Check all that has nothing to do with the token's own fate."""
        if grant.generation is not generation:
            raise Denied(Why.OTHER_GENERATION)
        if grant.holder.client_id != app.app_id:
            raise Denied(Why.OTHER_APP)
        if not app.installed:
            raise Denied(Why.NOT_INSTALLED)
        if not app.refreshing:
            raise Denied(Why.REFRESHING_OFF)
        standing = self.apps.standing(grant.holder.subject)
        if standing is not Standing.ACTIVE:
            raise Denied(STANDINGS[standing])

    def _narrowed(self, grant: Grant, scope: str | None) -> str:
        if scope is None:
            return grant.holder.scope
        check_scope(scope, grant.holder.scope)
        return scope

    def _forgive(self, token: RefreshToken, grant: Grant, constants: FeishuConstants, now: float) -> None:
        """Let a replay inside the grace pass; else raise, and end the grant where reuse does."""
        used = any(successor.presented for successor in token.successors) or not token.successors
        grace_s = constants.FEISHU_SIM_OLD_REFRESH_GRACE_S
        in_time = token.spent_at is not None and now - token.spent_at <= grace_s
        if grace_s > 0 and in_time and not used and grant.killed_by is None:
            self.ledger.books.count(grant.holder.label, "in_grace")
            return
        if constants.FEISHU_SIM_REUSE_REVOKES_FAMILY:
            self.ledger.kill(grant, "reuse", now)
        raise Denied(Why.SPENT)

    def _check_ends(self, token: RefreshToken, grant: Grant, constants: FeishuConstants, now: float) -> None:
        if grant.killed_by is not None:
            raise Denied(Why.REVOKED)
        if now >= grant.started_at + constants.FEISHU_SIM_REAUTH_AFTER_S:
            raise Denied(Why.AUTHORIZATION_OVER)
        if token.expires_at is not None and now >= token.expires_at:
            raise Denied(Why.EXPIRED)

    def _rotate(self, token: RefreshToken, grant: Grant, now: float, lives: Lives, scope: str) -> Issue:
        """Spend ``token``: the one irreversible step."""
        earlier, grace_s = list(grant.access), self._constants(grant).FEISHU_SIM_OLD_ACCESS_GRACE_S
        access = self.new_access(dataclasses.replace(grant.holder, scope=scope), grant, now, lives.access_s)
        for old in earlier:
            old.expires_at = old.expires_at if grace_s is None else min(old.expires_at, now + grace_s)
        grant.used_at = now
        grant.refreshes += 1
        self.ledger.books.count(grant.holder.label, "refreshes")
        successor = self._successor(token, grant, now, lives, scope)
        commit = self.ledger.commit("refresh_token", access, now, spent=token.fingerprint, successor=successor)
        token.answers.append(commit)
        self.ledger.shelf.spend(token, now)
        return Issue(access=access, refresh=successor, commit=commit)

    def _successor(
        self, token: RefreshToken, grant: Grant, now: float, lives: Lives, scope: str
    ) -> RefreshToken | None:
        """Return what replaces ``token``: nothing without the offline scope, in grace the same once more."""
        if OFFLINE not in scope.split():
            grant.head = None
            return None
        if not token.successors:
            renews = self._constants(grant).FEISHU_SIM_REFRESH_LIFE_RENEWS or token.expires_at is None
            ends_at = now + lives.refresh_s if renews else token.expires_at
            token.successors.append(self._new_refresh(grant, now, ends_at))
        return token.successors[-1]

    def _new_refresh(self, grant: Grant, now: float, expires_at: float | None) -> RefreshToken:
        token = self.ledger.shelf.new_refresh(grant, now, text=self._text("ur", grant.holder, grant))
        token.expires_at = expires_at
        return token

    def _constants(self, grant: Grant) -> FeishuConstants:
        return self.constants.of(grant.holder.client_id, grant.holder.label)

    def _text(self, kind: str, holder: Holder, grant: Grant | None) -> str:
        is_old = grant is not None and grant.generation is Generation.V1
        length = 0 if is_old else self.constants.of(holder.client_id, holder.label).FEISHU_SIM_TOKEN_CHARS
        return padded(kind, length)


def padded(kind: str, length: int) -> str:
    """Return a new opaque token with the visible prefix ``kind``, at least ``length`` characters long."""
    text = fresh(kind)
    return text + secrets.token_urlsafe(max(0, length - len(text)))[: max(0, length - len(text))]
