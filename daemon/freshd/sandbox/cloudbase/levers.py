"""What may be done to CloudBase from behind: sign users in without ceremony, let strangers in, make keys, visit pages.

For simulations; the control port is a thin layer over it.
"""

from collections.abc import Callable

from freshd.sandbox.cloudbase.constants import Method
from freshd.sandbox.cloudbase.environment import Environment
from freshd.sandbox.cloudbase.session import STRANGER, SignIn
from freshd.sandbox.cloudbase.user import Profile, User

DAY_S = 86400


class Levers:
    """The levers of ``environment``; ``now`` is the service's clock, in wall seconds."""

    def __init__(self, environment: Environment, now: Callable[[], float]) -> None:
        """Work on ``environment``."""
        self.environment = environment
        self.now = now

    def user(self, label: str) -> User:
        """Return the user of a label; raises ValueError."""
        user = self.environment.users.labelled(label)
        if user is None:
            raise ValueError("label: no such user")
        return user

    def mint(self, label: str, *, device_id: str = "", client_id: str = "") -> dict[str, object]:
        """Sign the user of ``label`` in, as a new one if need be; return what a client would have kept."""
        now, users = self.now(), self.environment.users
        user = users.labelled(label) or users.register(Profile(label=label))
        wish = SignIn(
            user=user,
            method=Method.PASSWORD,
            grant_type="mint",
            client_id=client_id or self.environment.clients.env,
            device_id=device_id,
        )
        session, refresh = self.environment.sessions.open(wish, now)
        access = self.environment.sessions.new_access(session, now)
        return {
            "label": label,
            "lineage": session.id,
            "sub": user.sub,
            "scope": session.holder.scope,
            "access_token": access.text,
            "expires_at": access.expires_at,
            "refresh_token": refresh.text if refresh is not None else None,
            "refresh_expires_at": session.ends_at,
            "fingerprint": refresh.fingerprint if refresh is not None else None,
        }

    def stranger(self, label: str, device_id: str = "") -> list[str]:
        """Let another device sign in as the user; return the sessions that this ended. Raises ValueError.

        The stranger's session is entered under a label of its own, so that the account's page stays the account's.
        """
        now, user = self.now(), self.user(label)
        before = self.environment.sessions.living(user, now)
        wish = SignIn(
            user=user,
            method=Method.PASSWORD,
            grant_type="stranger",
            client_id=self.environment.clients.env,
            device_id=device_id,
        )
        self.environment.sessions.open(wish, now, label=label + STRANGER)
        return [one.id for one in before if one.killed_by is not None]

    def make_key(self, *, bits: int = 2048, pkcs8: bool = False) -> dict[str, str]:
        """Make a key for tickets and return its file; raises ValueError for a size that is not supported."""
        overlap_s = self.environment.constants.of("").CLOUDBASE_SIM_KEY_OVERLAP_S
        return self.environment.keys.make(self.now(), overlap_s, bits=bits, pkcs8=pkcs8)

    def visit(self, challenge: str, *, allowed: bool = True) -> str | None:
        """Answer a captcha's page in the person's place; return where the browser goes, None if that check is over."""
        constants = self.environment.constants.of("")
        return self.environment.captchas.decide(challenge, constants, self.now(), allowed=allowed)
