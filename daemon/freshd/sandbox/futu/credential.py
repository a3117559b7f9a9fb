"""A secret that Futu's service has given out (ticket, signature or code), and the bounded pile of those of one kind.

Rules: a lifetime is fixed when the secret is issued. Spent, void and expired secrets stay known, up to the bound, so
that their use can be told from that of an invented one.
"""

import base64
import collections
import dataclasses
import enum
import secrets

from freshd.sandbox.tokens import Commit, fingerprint


class Standing(enum.Enum):
    """What a secret is worth."""

    LIVE = "live"
    SPENT = "spent"
    VOID = "void"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Credential:
    """One secret; ``born`` is the commit that issued it, ``answers`` replaced it, ``heirs`` are what they brought."""

    text: str = dataclasses.field(repr=False)
    issued_at: float
    expires_at: float
    fingerprint: str = dataclasses.field(init=False)
    born: Commit | None = None
    spent_at: float | None = None
    is_void: bool = False
    was_presented: bool = False
    answers: list[Commit] = dataclasses.field(default_factory=list)
    heirs: list["Credential"] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.fingerprint = fingerprint(self.text)

    def standing(self, now: float) -> Standing:
        """Return what it is worth at ``now``; spent goes before void, void before expired."""
        if self.spent_at is not None:
            return Standing.SPENT
        if self.is_void:
            return Standing.VOID
        return Standing.EXPIRED if now >= self.expires_at else Standing.LIVE

    def present(self) -> None:
        """Note that somebody showed it, which proves that the answer that carried it was read."""
        self.was_presented = True
        if self.born is not None:
            self.born.escrowed = True

    def replace(self, commit: Commit, heir: "Credential") -> None:
        """Note that ``commit`` brought ``heir`` in its place."""
        self.answers.append(commit)
        self.heirs.append(heir)

    @property
    def has_known_heir(self) -> bool:
        """Whether its holder provably has what replaced it, or what replaced that, and so on."""
        secret: Credential | None = self
        while secret is not None:
            if any(commit.doubt is None for commit in secret.answers) or any(one.was_presented for one in secret.heirs):
                return True
            secret = secret.heirs[-1] if secret.heirs else None
        return False


class Pile:
    """The secrets of one kind and owner, newest last; ``keep`` bounds them."""

    def __init__(self, keep: int) -> None:
        self._pile: collections.deque[Credential] = collections.deque(maxlen=keep)

    @property
    def newest(self) -> Credential | None:
        """The one issued last."""
        return self._pile[-1] if self._pile else None

    def issue(self, text: str, now: float, life_s: float) -> Credential:
        """Add a secret that lives so long."""
        made = Credential(text=text, issued_at=now, expires_at=now + life_s)
        self._pile.append(made)
        return made

    def find(self, text: str) -> Credential | None:
        """Return the secret of this text."""
        return next((one for one in reversed(self._pile) if one.text == text), None)

    def unspent(self) -> list[Credential]:
        """Return those that are neither spent nor void, oldest first."""
        return [one for one in self._pile if one.spent_at is None and not one.is_void]

    def void(self) -> int:
        """Make all that is unspent worthless; return how many were not."""
        changed = self.unspent()
        for one in changed:
            one.is_void = True
        return len(changed)

    def expire(self, now: float) -> int:
        """End the life of all that is unspent and alive; return how many were."""
        living = [one for one in self.unspent() if now < one.expires_at]
        for one in living:
            one.expires_at = now
        return len(living)


def standing(secret: Credential | None, now: float) -> Standing:
    """Return what a secret that was looked up is worth."""
    return Standing.UNKNOWN if secret is None else secret.standing(now)


def opaque(size: int = 32) -> str:
    """Return ``size`` random bytes in base64, as signatures and keys are written."""
    return base64.b64encode(secrets.token_bytes(size)).decode()
