"""Verification codes by telephone or mail, and the tokens that a right one earns. Pure: nothing is ever sent.

Rules: a code is tried so often as the constants allow. One address gets no second code before the interval is over.
"""

import dataclasses
import enum
import secrets

from freshd.sandbox.cloudbase.constants import CloudbaseConstants
from freshd.sandbox.cloudbase.drawer import Drawer, Once
from freshd.sandbox.cloudbase.refusal import Refusal
from freshd.sandbox.cloudbase.request import Answer, Request
from freshd.sandbox.cloudbase.user import User, Users
from freshd.sandbox.tokens import fresh


class Target(enum.StrEnum):
    """Whom a code may be sent to."""

    ANY = "ANY"
    USER = "USER"
    NOT_USER = "NOT_USER"
    CURRENT = "CUR_USER"


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Verification:
    """One code on its way to ``address``; ``sent_at`` and ``expires_at`` are wall seconds."""

    address: str
    code: str
    sent_at: float
    expires_at: float
    tries: int = 0
    is_over: bool = False


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Verified(Once):
    """A verification token: whoever has it, has read what was sent to ``address``."""

    address: str


class Verifications:
    """All codes and tokens."""

    def __init__(self, users: Users) -> None:
        """Send to anybody, known in ``users`` or not."""
        self._users = users
        self._sent: Drawer[Verification] = Drawer()
        self._verified: Drawer[Verified] = Drawer()

    def send(self, request: Request, constants: CloudbaseConstants, now: float, current: User | None) -> Answer:
        """Make a code; ``current`` is who asks, if somebody has signed in."""
        phone, email = request.text("phone_number"), request.text("email")
        address, user = phone or email, self._users.named(phone or email)
        target = request.text("target") or Target.ANY
        if bool(phone) == bool(email) or target not in tuple(Target):
            raise Refusal("invalid_argument")
        if target == Target.CURRENT and (current is None or current is not user):
            raise Refusal("unauthenticated")
        if target == Target.USER and user is None:
            raise Refusal(constants.CLOUDBASE_SIM_NO_USER_ERROR)
        if target == Target.NOT_USER and user is not None:
            raise Refusal("failed_precondition")
        text, life_s = fresh("vi"), constants.CLOUDBASE_SIM_CODE_TTL_S
        code = f"{secrets.randbelow(10**6):06d}"
        self._sent.put(text, Verification(address=address, code=code, sent_at=now, expires_at=now + life_s))
        return Answer(body={"verification_id": text, "expires_in": life_s, "is_user": user is not None})

    def is_too_soon(self, request: Request, constants: CloudbaseConstants, now: float) -> bool:
        """Whether the address got its last code less than an interval ago."""
        address = request.text("phone_number") or request.text("email")
        since = now - constants.CLOUDBASE_SIM_CODE_INTERVAL_S
        return any(one.address == address and one.sent_at > since for one in self._sent)

    def verify(self, request: Request, constants: CloudbaseConstants, now: float) -> Answer:
        """Judge a code; a right one earns a token."""
        sent, code = self._sent.find(request.text("verification_id")), request.text("verification_code")
        if sent is None or not code:
            raise Refusal("invalid_argument")
        if sent.tries >= constants.CLOUDBASE_SIM_CODE_TRIES:
            raise Refusal("aborted")
        if sent.is_over or now >= sent.expires_at:
            raise Refusal(constants.CLOUDBASE_SIM_WRONG_CODE_ERROR)
        if not secrets.compare_digest(sent.code.encode(), code.encode()):
            sent.tries += 1
            raise Refusal(constants.CLOUDBASE_SIM_WRONG_CODE_ERROR)
        sent.is_over = True
        text, life_s = fresh("vt"), constants.CLOUDBASE_SIM_VERIFICATION_TOKEN_TTL_S
        self._verified.put(text, Verified(address=sent.address, expires_at=now + life_s))
        return Answer(body={"verification_token": text, "expires_in": life_s})

    def verified(self, text: str) -> Verified | None:
        """Return what a verification token stands for."""
        return self._verified.find(text)

    def mailbox(self, address: str) -> list[str]:
        """Return the codes sent to an address, oldest first."""
        return [one.code for one in self._sent if one.address == address]
