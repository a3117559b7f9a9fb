"""Identity providers upstream: what they say about somebody, and the provider token that it is exchanged for. Pure.

Rules: a provider's code works once. Its access and id tokens are those of the sandbox's OAuth 2.0 service, so that an
account there can feed one here; whoever runs without it gives no ``vouch``.
"""

import dataclasses
from collections.abc import Callable

from freshd.sandbox.cloudbase.constants import CloudbaseConstants
from freshd.sandbox.cloudbase.drawer import Drawer, Once
from freshd.sandbox.cloudbase.refusal import Refusal
from freshd.sandbox.cloudbase.request import Answer, Request
from freshd.sandbox.tokens import fresh

Vouch = Callable[[str, float], str | None]
"""Return whom an upstream token speaks for at a moment (wall seconds), None if it is no good."""
_KINDS = ("provider_code", "provider_access_token", "provider_id_token")


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class UpstreamCode:
    """A code of a provider for one of its users."""

    provider_id: str
    subject: str
    used: bool = False


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class ProviderToken(Once):
    """Proof that ``subject`` of ``provider_id`` was here."""

    provider_id: str
    subject: str


class Providers:
    """All providers. ``known`` maps each id to whether it is switched on."""

    def __init__(self) -> None:
        """Start with one, ``upstream``."""
        self.known = {"upstream": True}
        self.vouches: dict[str, Vouch] = {}
        self._codes: Drawer[UpstreamCode] = Drawer()
        self._tokens: Drawer[ProviderToken] = Drawer()

    def code(self, provider_id: str, subject: str) -> str:
        """Return a code as a browser would bring it from the provider."""
        text = fresh("pc")
        self._codes.put(text, UpstreamCode(provider_id=provider_id, subject=subject))
        return text

    def grant(self, request: Request, constants: CloudbaseConstants, now: float) -> Answer:
        """Exchange what a provider gave for a provider token."""
        provider_id = request.text("provider_id")
        given = [(kind, request.text(kind)) for kind in _KINDS if request.text(kind)]
        if not provider_id or len(given) != 1:
            raise Refusal("invalid_argument")
        if not self.known.get(provider_id, False):
            raise Refusal("provider_not_enabled" if provider_id in self.known else "not_found")
        subject = self._subject(provider_id, *given[0], now)
        text, life_s = fresh("pt"), constants.CLOUDBASE_SIM_PROVIDER_TOKEN_TTL_S
        self._tokens.put(text, ProviderToken(provider_id=provider_id, subject=subject, expires_at=now + life_s))
        profile = {"sub": subject, "name": subject}
        return Answer(body={"provider_token": text, "expires_in": life_s, "provider_profile": profile})

    def token(self, text: str) -> ProviderToken | None:
        """Return what a provider token stands for."""
        return self._tokens.find(text)

    def _subject(self, provider_id: str, kind: str, text: str, now: float) -> str:
        if kind != "provider_code":
            vouch = self.vouches.get(kind)
            subject = vouch(text, now) if vouch is not None else None
            if subject is None:
                raise Refusal("provider_error")
            return subject
        code = self._codes.find(text)
        if code is None or code.used or code.provider_id != provider_id:
            raise Refusal("provider_error")
        code.used = True
        return code.subject
