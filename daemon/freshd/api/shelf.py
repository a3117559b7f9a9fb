"""Leases ready to be sent: everything but the seconds left is rendered once per lease.

The body ends with `expires_in`, padded with blanks to a fixed width, which JSON allows: so its length never changes.
"""

from __future__ import annotations

import json
from typing import Final

from freshd.api.http import render
from freshd.tokens import Published

NEVER_SHOWN: Final = frozenset({"refresh_token", "expires_in"})
"""A refresh token, should a provider ever put one into a lease; and the life the service stated, which has aged."""
_WIDTH: Final = 10
_FINAL: Final = b"%10d}"
_LONGEST: Final = 10**_WIDTH - 1
_LAST_SECOND: Final = 253_402_300_799
"""The end of the year 9999: a service's absurd lifetime must not become an unreadable number."""


class Shelf:
    """Rendered leases by account; a newer lease replaces the older one."""

    def __init__(self) -> None:
        self._rendered: dict[str, tuple[Published, bytes]] = {}

    def answer(self, account: str, published: Published, left: float) -> bytes:
        """The whole answer that hands out the lease with `left` seconds of life."""
        kept = self._rendered.get(account)
        if kept is None or kept[0] is not published:
            kept = self._rendered[account] = (published, _render(account, published))
        return kept[1] + _FINAL % min(left, _LONGEST)

    def forget_others(self, accounts: frozenset[str]) -> None:
        """Keep the named accounts' leases only."""
        for account in self._rendered.keys() - accounts:
            del self._rendered[account]


def _render(account: str, published: Published) -> bytes:
    lease = published.lease
    members: dict[str, object] = {
        **lease.fields,
        **{name: secret.reveal() for name, secret in lease.more_secrets.items()},
        "account": account,
        "access_token": lease.token.reveal(),
        "expires_at": int(min(published.expires_at, _LAST_SECOND)),
        "generation": lease.generation,
        "fingerprint": published.fingerprint,
    }
    members = {name: value for name, value in members.items() if name not in NEVER_SHOWN}
    body = json.dumps(members, separators=(",", ":"))[:-1] + ',"expires_in":' + " " * (_WIDTH + 1)
    return render(200, body.encode())[: -(_WIDTH + 1)]
