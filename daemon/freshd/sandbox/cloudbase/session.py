"""Sessions: what a sign-in opens, what a refresh does to it, and what ends it. Pure: ``now`` (wall seconds) is told.

Rules: a refresh token works once; success makes its successor. A session ends at its absolute end, by revocation, or
when its user signs in once too often elsewhere: then the oldest goes, without a word. Books, shelf and the count of
spent uses are those of the OAuth 2.0 ledger, so one judge reads both.
"""

import dataclasses

from freshd.sandbox.cloudbase.constants import CloudbaseConstants, ConstantsBook, Method
from freshd.sandbox.cloudbase.drawer import Once
from freshd.sandbox.cloudbase.notary import CloudbaseNotary
from freshd.sandbox.cloudbase.refusal import Cause, Refusal
from freshd.sandbox.cloudbase.user import User
from freshd.sandbox.grants import Ledger
from freshd.sandbox.tokens import AccessToken, Commit, Holder, Lineage, RefreshToken, fresh

STRANGER = "/stranger"
"""The end of the label of a session that somebody else opened: it is not the account's own."""
_PUSHED_OUT = ("session_limit", "same_device")


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Session(Lineage):
    """One sign-in through all its refreshes; the lives (seconds) are those promised when it began."""

    user: User
    method: Method
    device_id: str
    access_s: float
    refresh_s: float
    ends_at: float
    refreshes: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """How a session begins. ``grant_type`` is the call's name in the books, ``presented`` the fingerprint of what was
    used up for it, ``once`` its record. ``claims_s``: shorter lives of access token and session that a ticket asks for.
    """

    user: User
    method: Method
    grant_type: str
    client_id: str
    device_id: str = ""
    presented: str | None = None
    once: Once | None = None
    claims_s: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """What an answer carries."""

    access: AccessToken
    refresh: RefreshToken | None
    commit: Commit
    groups: tuple[str, ...] = ()


class Sessions:
    """All sessions of all users."""

    def __init__(self, ledger: Ledger, constants: ConstantsBook, notary: CloudbaseNotary) -> None:
        """Keep the books in ``ledger``, which may serve others too."""
        self.ledger = ledger
        self._constants = constants
        self._notary = notary
        self._of: dict[str, list[Session]] = {}

    def find(self, text: str) -> tuple[RefreshToken, Session] | None:
        """Return a refresh token and its session, spent ones and those of dead sessions included."""
        token = self.ledger.find(text) if text else None
        return (token, token.lineage) if token is not None and isinstance(token.lineage, Session) else None

    def living(self, user: User, now: float) -> list[Session]:
        """Return the user's sessions that still count, oldest first."""
        return [one for one in self._of.get(user.sub, []) if one.killed_by is None and now < _end(one)]

    def open(self, wish: SignIn, now: float, *, label: str | None = None) -> tuple[Session, RefreshToken | None]:
        """Open a session without any ceremony, and end those that it pushes out."""
        label = label or wish.user.label
        constants = self._constants.of(wish.user.label)
        access_s, refresh_s = constants.CLOUDBASE_SIM_ACCESS_TTL_S, constants.CLOUDBASE_SIM_REFRESH_TTL_S
        if wish.claims_s is not None:
            access_s, refresh_s = min(access_s, wish.claims_s[0]), min(refresh_s, wish.claims_s[1])
        self._make_room(wish, constants, now)
        session = Session(
            id=fresh("cb")[:14],
            holder=Holder(client_id=wish.client_id, label=label, subject=wish.user.sub, scope=_scope(wish.method)),
            started_at=now,
            used_at=now,
            user=wish.user,
            method=wish.method,
            device_id=wish.device_id,
            access_s=access_s,
            refresh_s=refresh_s,
            ends_at=now + refresh_s,
        )
        lineages = self.ledger.books.account(label).lineages
        if len(lineages) == lineages.maxlen:
            self.ledger.shelf.forget(lineages.popleft())
        lineages.append(session)
        self._of[wish.user.sub] = [*self.living(wish.user, now), session]
        if wish.method in constants.CLOUDBASE_SIM_NO_REFRESH_TOKEN_FOR:
            return session, None
        return session, self._new_refresh(session, session.ends_at, now)

    def sign_in(self, wish: SignIn, now: float, *, subject: str | None = None, label: str | None = None) -> Issue:
        """Open a session with its first answer; ``subject`` is whom that answer speaks for instead."""
        session, refresh = self.open(wish, now, label=label)
        access = self.new_access(session, now, subject)
        commit = self.ledger.commit(wish.grant_type, access, now, spent=wish.presented, successor=refresh)
        if wish.once is not None:
            wish.once.answer = commit
        return Issue(access=access, refresh=refresh, commit=commit, groups=wish.user.profile.groups)

    def refresh(self, text: str, client_id: str, device_id: str, now: float, *, subject: str | None = None) -> Issue:
        """Judge one presentation and carry it out; raises Refusal."""
        found = self.find(text)
        if found is None:
            raise Refusal(self._constants.of("").CLOUDBASE_SIM_DEAD_REFRESH_ERROR, cause=Cause.UNKNOWN)
        token, session = found
        constants = self._constants.of(session.user.label)
        if token.spent_at is not None:
            self.ledger.count_replay(token)
        else:
            token.present()
        session.user.check_standing()
        is_other_device = constants.CLOUDBASE_SIM_DEVICE_CHECKED_ON_REFRESH and device_id != session.device_id
        if client_id != session.holder.client_id or is_other_device:
            raise _dead(constants, Cause.UNKNOWN)
        if session.killed_by is not None:
            raise _dead(constants, Cause.PUSHED_OUT if session.killed_by in _PUSHED_OUT else Cause.UNKNOWN)
        if token.spent_at is not None:
            self._forgive(token, session, constants, now)
        if token.expires_at is not None and now >= token.expires_at:
            raise _dead(constants, Cause.EXPIRED)
        return self._rotate(token, session, constants, now, subject)

    def end(self, session: Session, reason: str, now: float, *, access_lives: bool = False) -> None:
        """End a session; ``access_lives``: its access tokens live on to their own ends."""
        if access_lives:
            alive = [access for access in session.access if access.is_alive(now)]
            for access in alive:
                access.lineage = None
                self.ledger.shelf.issued_to(session.holder.label).append(access)
            session.access.clear()
        self.ledger.kill(session, reason, now)

    def session_of(self, access: AccessToken) -> Session | None:
        """Return the session that an access token belongs to, None where it has outlived it."""
        return access.lineage if isinstance(access.lineage, Session) else None

    def age(self, label: str, seconds: float) -> int:
        """Make the living sessions of a label older, with all their tokens; return how many there are."""
        page = self.ledger.books.accounts.get(label)
        lineages = page.lineages if page is not None else ()
        living = [one for one in lineages if isinstance(one, Session) and one.killed_by is None]
        for session in living:
            session.started_at -= seconds
            session.ends_at -= seconds
            if session.head is not None and session.head.expires_at is not None:
                session.head.expires_at -= seconds
            for access in session.access:
                access.issued_at -= seconds
                access.expires_at -= seconds
        return len(living)

    def count_again(self, label: str, answer: Commit) -> None:
        """Count one more presentation of what ``answer`` used up, as the ledger does for refresh tokens."""
        if answer.doubt is None:
            self.ledger.books.count(label, "spent_uses")
            return
        self.ledger.books.count(label, "doubtful_replays")
        self.ledger.books.sort(label, "reasons", answer.doubt)

    def _make_room(self, wish: SignIn, constants: CloudbaseConstants, now: float) -> None:
        others = self.living(wish.user, now)
        lives = constants.CLOUDBASE_SIM_PUSHED_OUT_ACCESS_LIVES
        if constants.CLOUDBASE_SIM_SAME_DEVICE_REPLACES and wish.device_id:
            for one in [one for one in others if one.device_id == wish.device_id]:
                self.end(one, "same_device", now, access_lives=lives)
                others.remove(one)
        while len(others) >= constants.CLOUDBASE_SIM_SESSION_LIMIT:
            self.end(others.pop(0), "session_limit", now, access_lives=lives)

    def _forgive(self, token: RefreshToken, session: Session, constants: CloudbaseConstants, now: float) -> None:
        """Let a replay inside the grace pass; else raise, and end the session where reuse does."""
        used = any(successor.presented for successor in token.successors) or not token.successors
        grace_s = constants.CLOUDBASE_SIM_REFRESH_GRACE_S
        if grace_s > 0 and token.spent_at is not None and now - token.spent_at <= grace_s and not used:
            self.ledger.books.count(session.holder.label, "in_grace")
            return
        if constants.CLOUDBASE_SIM_REUSE_ENDS_SESSION:
            self.end(session, "reuse", now)
        raise _dead(constants, Cause.UNKNOWN)

    def _rotate(
        self, token: RefreshToken, session: Session, constants: CloudbaseConstants, now: float, subject: str | None
    ) -> Issue:
        """Spend ``token``: the one irreversible step."""
        grace_s = constants.CLOUDBASE_SIM_OLD_ACCESS_GRACE_S
        for old in session.access:
            old.expires_at = old.expires_at if grace_s is None else min(old.expires_at, now + grace_s)
        access = self.new_access(session, now, subject)
        session.used_at = now
        session.refreshes += 1
        self.ledger.books.count(session.holder.label, "refreshes")
        groups = session.user.profile.groups
        if not constants.CLOUDBASE_SIM_ROTATES:
            commit = self.ledger.commit("refresh_token", access, now, spent=token.fingerprint, successor=None)
            return Issue(access=access, refresh=token, commit=commit, groups=groups)
        if not token.successors:
            ends_at = now + session.refresh_s if constants.CLOUDBASE_SIM_REFRESH_LIFE_RENEWS else session.ends_at
            token.successors.append(self._new_refresh(session, ends_at, now))
        successor = token.successors[-1]
        commit = self.ledger.commit("refresh_token", access, now, spent=token.fingerprint, successor=successor)
        token.answers.append(commit)
        self.ledger.shelf.spend(token, now)
        return Issue(access=access, refresh=successor, commit=commit, groups=groups)

    def _new_refresh(self, session: Session, expires_at: float, now: float) -> RefreshToken:
        token = self.ledger.shelf.new_refresh(session, now, text=fresh("m").replace("-", ".", 1))
        token.expires_at = expires_at
        return token

    def new_access(self, session: Session, now: float, subject: str | None = None) -> AccessToken:
        """Make an access token of a session; ``subject`` is whom it speaks for instead."""
        holder = dataclasses.replace(session.holder, subject=subject or session.holder.subject)
        text = self._notary.access_token(holder, session.method, now, session.access_s)
        return self.ledger.shelf.new_access(holder, session, now, session.access_s, text=text)


def _end(session: Session) -> float:
    """When a session can no longer be refreshed, or what it gave is over."""
    if session.head is not None and session.head.expires_at is not None:
        return session.head.expires_at
    return max([session.used_at, *(access.expires_at for access in session.access)])


def _dead(constants: CloudbaseConstants, cause: Cause) -> Refusal:
    return Refusal(constants.CLOUDBASE_SIM_DEAD_REFRESH_ERROR, cause=cause)


def _scope(method: Method) -> str:
    return "anonymous" if method is Method.ANONYMOUS else "user sso"
