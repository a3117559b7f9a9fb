"""What a program gets: a token that knows how long it lives and does not show itself."""

import time
from collections.abc import Mapping


class Token:
    """One lease.  Immutable by custom; its repr shows the fingerprint only.

    value        the token itself
    expires_at   wall-clock second at which its life ends
    fingerprint  its public name: give it back with `refused`
    fields       everything that came with it, as text or numbers: token_type, scope …
    """

    __slots__ = ("_until", "account", "expires_at", "fields", "fingerprint", "generation", "value")

    def __init__(self, members: Mapping[str, object]) -> None:
        self.fields = dict(members)
        self.account = str(self.fields.pop("account"))
        self.value = str(self.fields.pop("access_token"))
        self.expires_at = int(str(self.fields.pop("expires_at")))
        self.generation = int(str(self.fields.pop("generation")))
        self.fingerprint = str(self.fields.pop("fingerprint"))
        self._until = time.clock_gettime(time.CLOCK_BOOTTIME) + float(str(self.fields.pop("expires_in")))

    @property
    def expires_in(self) -> float:
        """Seconds of life left, whatever the wall clock does; zero or less when over."""
        return self._until - time.clock_gettime(time.CLOCK_BOOTTIME)

    def __repr__(self) -> str:
        return f"Token({self.account!r}, generation={self.generation}, fingerprint={self.fingerprint!r})"
