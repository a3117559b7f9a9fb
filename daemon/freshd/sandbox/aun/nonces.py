"""The two kinds of nonces: a connection's challenge, and a login's, which is bound to its AID and request.

Rules: each works once. A login's is removed by any attempt that names it or its request, whatever comes of it. What is
gone stays known, up to a bound, so that its next use can be counted. Pure but for the randomness.
"""

import dataclasses
import secrets

from freshd.sandbox.aun.books import AunBooks, Use

_KEPT = 4096


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class LoginNonce:
    """What login1 gave out; ``certificate`` is the PEM that was presented for it."""

    request_id: str
    aid: str
    text: str
    certificate: str
    made_at: float


class LoginNonces:
    """All logins that were begun."""

    def __init__(self, books: AunBooks) -> None:
        """Count replays in ``books``."""
        self._books = books
        self._open: dict[str, LoginNonce] = {}
        self._used: dict[str, Use] = {}

    def issue(self, aid: str, certificate: str, now: float) -> LoginNonce:
        """Begin a login."""
        made = LoginNonce(
            request_id=f"req-{secrets.token_hex(8)}",
            aid=aid,
            text=secrets.token_hex(16),
            certificate=certificate,
            made_at=now,
        )
        self._open[made.request_id] = made
        _bound(self._open)
        return made

    def take(self, request_id: str, text: str, aid: str, label: str, now: float, ttl_s: float) -> LoginNonce | str:
        """Use a nonce up; return it, or why it is no good."""
        earlier = self._used.get(text)
        if earlier is not None:
            self._books.replay(earlier)
            return "nonce already used"
        found = self._open.pop(request_id, None)
        by_text = next((one for one in self._open.values() if one.text == text), None)
        for one in (found, by_text):
            if one is not None:
                self._open.pop(one.request_id, None)
                self._used[one.text] = Use(label=label)
        _bound(self._used)
        if found is None or by_text is not None or found.text != text or found.aid != aid:
            return "nonce unknown"
        return found if now < found.made_at + ttl_s else "nonce expired"

    def use(self, text: str) -> Use | None:
        """Return what is known of a nonce that was used."""
        return self._used.get(text)


class Challenges:
    """The nonces of connections."""

    def __init__(self, books: AunBooks) -> None:
        """Count replays in ``books``."""
        self._books = books
        self._used: dict[str, Use] = {}

    @staticmethod
    def issue() -> str:
        """Return a new one."""
        return secrets.token_hex(16)

    def is_free(self, text: str) -> bool:
        """Whether a connection's nonce was not used yet; a replay is counted."""
        earlier = self._used.get(text)
        if earlier is not None:
            self._books.replay(earlier)
        return earlier is None

    def use(self, text: str, label: str) -> Use:
        """Note that a session was opened with it."""
        made = self._used[text] = Use(label=label)
        _bound(self._used)
        return made


def _bound(kept: dict[str, Use] | dict[str, LoginNonce]) -> None:
    while len(kept) > _KEPT:
        del kept[next(iter(kept))]
