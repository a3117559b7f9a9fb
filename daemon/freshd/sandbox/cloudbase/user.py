"""The people and devices that may sign in: how each is found, how it stands, how often a wrong password came. Pure.

Rules: a user has one label, the name under which everything of it is counted. Whoever signs in for the first time by a
way that needs no registration (a device, a ticket, a provider) becomes a user whose label follows from that way.
"""

import dataclasses
import enum
import hashlib

from freshd.sandbox.cloudbase.constants import CloudbaseConstants
from freshd.sandbox.cloudbase.refusal import Refusal
from freshd.sandbox.tokens import fingerprint


class Standing(enum.StrEnum):
    """How a user stands; all but the first are the error of each sign-in and refresh."""

    ACTIVE = "active"
    PENDING = "user_pending"
    BLOCKED = "user_blocked"
    REVIEWED = "under_review"


class Second(enum.StrEnum):
    """What a sign-in demands besides; the error with which it says so."""

    NOTHING = ""
    FACTOR = "two_factor_required"
    PHONE = "mfa_phone_required"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A user as registered. Empty: has none; a user without ``password`` cannot sign in with one.

    ``device_id`` is that of an anonymous user, ``uid`` of one with tickets, ``provider_id`` and ``provider_subject``
    of one who comes through a provider. ``username`` empty: the label.
    """

    label: str
    username: str = ""
    password: str = dataclasses.field(default="", repr=False)
    email: str = ""
    phone_number: str = ""
    device_id: str = ""
    uid: str = ""
    provider_id: str = ""
    provider_subject: str = ""
    standing: Standing = Standing.ACTIVE
    second: Second = Second.NOTHING
    groups: tuple[str, ...] = ()

    def keys(self) -> list[tuple[str, str]]:
        """Return all under which the user is found."""
        named = [("name", self.username or self.label), ("name", self.email), ("name", self.phone_number)]
        others = [("device", self.device_id), ("uid", self.uid)]
        identity = (self.provider_id, self.provider_subject) if self.provider_id else ("", "")
        return [key for key in (*named, *others, identity) if key[1]]


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class User:
    """One user. ``failures`` are wrong passwords since the last right one; ``locked_until`` is wall seconds."""

    sub: str
    profile: Profile
    failures: int = 0
    locked_until: float = 0.0

    @property
    def label(self) -> str:
        """The name in the books."""
        return self.profile.label

    def check_standing(self) -> None:
        """Raise Refusal unless the user may have tokens."""
        if self.profile.standing is not Standing.ACTIVE:
            raise Refusal(self.profile.standing)

    def check_lock(self, now: float) -> None:
        """Raise Refusal while passwords are not taken; when that time is over, counting begins anew."""
        if now < self.locked_until:
            raise Refusal("invalid_status", retry_s=round(self.locked_until - now, 3))
        if self.locked_until:
            self.failures, self.locked_until = 0, 0.0

    def fail(self, constants: CloudbaseConstants, now: float, *, has_captcha: bool) -> Refusal:
        """Count a wrong password and return how it is refused."""
        self.failures += 1
        left = constants.CLOUDBASE_SIM_LOCK_AFTER - self.failures
        if left <= 0:
            self.locked_until = now + constants.CLOUDBASE_SIM_LOCK_S
            return Refusal("invalid_status", retry_s=constants.CLOUDBASE_SIM_LOCK_S)
        if self.failures >= constants.CLOUDBASE_SIM_CAPTCHA_AFTER and not has_captcha:
            return Refusal("captcha_required")
        return Refusal(constants.CLOUDBASE_SIM_WRONG_PASSWORD_ERROR, details={"limit_remaining": left})


class Users:
    """All users."""

    def __init__(self) -> None:
        """Start empty."""
        self._found: dict[tuple[str, str], User] = {}
        self.by_sub: dict[str, User] = {}

    def register(self, profile: Profile) -> User:
        """Add a user, or change the one of the same label, whose ``sub`` and failures stay."""
        user = self.labelled(profile.label)
        if user is None:
            user = User(sub=_sub(profile.keys()[-1]), profile=profile)
            self.by_sub[user.sub] = user
        self._found = {key: one for key, one in self._found.items() if one is not user}
        user.profile = profile
        self._found |= dict.fromkeys([*profile.keys(), ("label", profile.label)], user)
        return user

    def labelled(self, label: str) -> User | None:
        """Return the user of a label."""
        return self._found.get(("label", label))

    def named(self, name: str) -> User | None:
        """Return whom a user name, an e-mail address or a telephone number means."""
        return self._found.get(("name", name))

    def coming_by(self, way: str, who: str) -> User | None:
        """Return who comes by ``way``: ``device``, ``uid`` or a provider's id."""
        return self._found.get((way, who))

    def label_of(self, way: str, who: str) -> str:
        """Return the label of who comes by ``way``, known or not."""
        user = self.coming_by(way, who)
        if user is not None:
            return user.label
        return {"device": f"anonymous-{fingerprint(who)}", "uid": who}.get(way, f"{way}:{who}")

    def welcome(self, way: str, who: str) -> User:
        """Return who comes by ``way``, as a new user the first time."""
        user = self.coming_by(way, who)
        if user is not None:
            return user
        label = self.label_of(way, who)
        if way == "device":
            return self.register(Profile(label=label, device_id=who))
        if way == "uid":
            return self.register(Profile(label=label, uid=who))
        return self.register(Profile(label=label, provider_id=way, provider_subject=who))


def _sub(key: tuple[str, str]) -> str:
    """Return a user id: the same for the same way and name."""
    digest = hashlib.sha256("\0".join(key).encode()).hexdigest()
    return f"19{int(digest[:16], 16) % 10**17:017d}"
