"""Where the tokens lie: creation, look-up by text, and the bounds that keep months of rotation from filling memory.

It knows no rules about who may use what; ``grants`` does. Everything is found by fingerprint.
"""

import collections

from freshd.sandbox.tokens import AccessToken, Holder, Lineage, RefreshToken, fingerprint, fresh


class Shelf:
    """All tokens of one service. ``keep`` bounds the spent and the living access tokens of each lineage."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._refresh: dict[str, RefreshToken] = {}
        self._access: dict[str, AccessToken] = {}
        self._issued: dict[str, collections.deque[AccessToken]] = {}

    def refresh_token(self, name: str) -> RefreshToken | None:
        """Return a refresh token by its fingerprint, spent ones and those of dead lineages included."""
        return self._refresh.get(name)

    def access_token(self, text: str) -> AccessToken | None:
        """Return an access token by its text, or None if it is unknown or long expired."""
        return self._access.get(fingerprint(text))

    def issued_to(self, label: str) -> collections.deque[AccessToken]:
        """Return the access tokens of ``label`` that belong to no lineage, oldest first."""
        return self._issued.setdefault(label, collections.deque())

    def new_refresh(self, lineage: Lineage, now: float, *, text: str | None = None) -> RefreshToken:
        """Make a refresh token, the lineage's head from now on; ``text`` None takes one in the sandbox's own form."""
        token = RefreshToken(text=text or fresh("rt"), lineage=lineage, issued_at=now)
        self._refresh[token.fingerprint] = token
        lineage.head = token
        return token

    def new_access(
        self, holder: Holder, lineage: Lineage | None, now: float, life_s: float, *, text: str | None = None
    ) -> AccessToken:
        """Make an access token and drop those of its chain that have expired; ``text`` as in ``new_refresh``."""
        text = text or fresh("at")
        access = AccessToken(text=text, holder=holder, lineage=lineage, issued_at=now, expires_at=now + life_s)
        chain = lineage.access if lineage is not None else self.issued_to(holder.label)
        while chain and (chain[0].expires_at <= now or len(chain) >= self._keep):
            self._access.pop(chain.popleft().fingerprint, None)
        chain.append(access)
        self._access[access.fingerprint] = access
        return access

    def spend(self, secret: RefreshToken, now: float) -> None:
        """Mark ``secret`` as spent; the oldest spent token beyond the bound is forgotten, hence unknown."""
        if secret.spent_at is None:
            secret.spent_at = now
            secret.lineage.spent.append(secret)
            if len(secret.lineage.spent) > self._keep:
                self._refresh.pop(secret.lineage.spent.popleft().fingerprint, None)

    def forget(self, lineage: Lineage) -> None:
        """Drop a lineage's tokens."""
        for token in (*lineage.spent, *((lineage.head,) if lineage.head else ())):
            self._refresh.pop(token.fingerprint, None)
        for access in lineage.access:
            self._access.pop(access.fingerprint, None)
