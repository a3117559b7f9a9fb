"""What a person allowed: authorisation codes (RFC 6749 section 4.1, RFC 7636) and device codes (RFC 8628). Pure."""

import base64
import dataclasses
import enum
import hashlib
import hmac
import secrets

from freshd.sandbox.tokens import Lineage, fingerprint, fresh

_USER_CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # RFC 8628 section 6.1: no vowels, nothing that looks like a digit
_SLOWER_BY_S = 5  # RFC 8628 section 3.5: each slow_down lengthens the interval by five seconds
_EARLY_POLL_S = 0.05  # two clocks measure the interval; no real service counts this closely


@dataclasses.dataclass(slots=True, kw_only=True)
class Request:
    """What a client asked a person for."""

    client_id: str
    scope: str = ""
    redirect_uri: str = ""
    challenge: str = ""
    challenge_method: str = "S256"
    nonce: str | None = None


@dataclasses.dataclass(slots=True, kw_only=True)
class Code:
    """One authorisation code; ``lineage`` is what it was exchanged for, so that a second use can end it."""

    request: Request
    subject: str
    label: str
    expires_at: float
    used: bool = False
    lineage: Lineage | None = None


class Decision(enum.StrEnum):
    """Where a device authorisation stands."""

    PENDING = "authorization_pending"
    DENIED = "access_denied"
    APPROVED = "approved"


@dataclasses.dataclass(slots=True, kw_only=True)
class Device:
    """One device authorisation."""

    request: Request
    user_code: str
    expires_at: float
    interval_s: float
    subject: str = ""
    label: str = ""
    decision: Decision = Decision.PENDING
    polled_at: float | None = None
    used: bool = False


class Consents:
    """All codes that are out."""

    def __init__(self) -> None:
        """Start empty."""
        self._codes: dict[str, Code] = {}
        self._devices: dict[str, Device] = {}

    def allow(self, request: Request, subject: str, label: str, expires_at: float) -> str:
        """A person said yes: return the code for the redirect."""
        text = fresh("ac")
        self._codes[fingerprint(text)] = Code(request=request, subject=subject, label=label, expires_at=expires_at)
        return text

    def code(self, text: str) -> Code | None:
        """Return the record of a code."""
        return self._codes.get(fingerprint(text))

    def ask(self, request: Request, expires_at: float, interval_s: float) -> tuple[str, Device]:
        """A device wants consent: return its secret code and the record with the code for the person."""
        letters = "".join(secrets.choice(_USER_CODE_LETTERS) for _ in range(8))
        device = Device(
            request=request, user_code=f"{letters[:4]}-{letters[4:]}", expires_at=expires_at, interval_s=interval_s
        )
        text = fresh("dc")
        self._devices[fingerprint(text)] = device
        return text, device

    def device(self, text: str) -> Device | None:
        """Return the record of a device code."""
        return self._devices.get(fingerprint(text))

    def decide(self, user_code: str, now: float, *, subject: str, label: str, allowed: bool = True) -> bool:
        """A person answered a user code (case and dash do not matter); return whether it was waiting."""
        wanted = _bare(user_code)
        for device in self._devices.values():
            waiting = device.decision is Decision.PENDING and now < device.expires_at
            if waiting and _bare(device.user_code) == wanted:
                device.subject, device.label = subject, label
                device.decision = Decision.APPROVED if allowed else Decision.DENIED
                return True
        return False


def redeem_error(code: Code | None, client_id: str, redirect_uri: str, verifier: str, now: float) -> str | None:
    """Return why a code cannot be exchanged, or None (RFC 6749 section 4.1.3, RFC 7636 section 4.6)."""
    if code is None or code.request.client_id != client_id:
        return "unknown code"
    if code.used:
        return "code already used"
    if now >= code.expires_at:
        return "code expired"
    if code.request.redirect_uri != redirect_uri:
        return "redirect_uri differs"
    digest = hashlib.sha256(verifier.encode()).digest()
    proof = base64.urlsafe_b64encode(digest).rstrip(b"=")
    return None if hmac.compare_digest(proof, code.request.challenge.encode()) else "code_verifier does not match"


def poll_error(device: Device | None, client_id: str, now: float) -> str | None:
    """Note one poll and return its RFC 8628 error, or None when the person has said yes."""
    if device is None or device.request.client_id != client_id or device.used:
        return "invalid_grant"
    if now >= device.expires_at:
        return "expired_token"
    last, device.polled_at = device.polled_at, now
    if device.decision is Decision.PENDING and last is not None and now - last < device.interval_s - _EARLY_POLL_S:
        device.interval_s += _SLOWER_BY_S
        return "slow_down"
    return None if device.decision is Decision.APPROVED else device.decision.value


def _bare(user_code: str) -> str:
    return "".join(letter for letter in user_code.upper() if letter.isalnum())
