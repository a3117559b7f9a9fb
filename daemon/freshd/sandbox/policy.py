"""What the service promises about its tokens, per server, client and account label, switchable while it runs.

A policy is data. Overrides are partial and are laid over each other: server default, then client, then label.
"""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from freshd.sandbox.shape import checked


class Rotation(enum.StrEnum):
    """What a refresh does to the refresh token that was presented."""

    STRICT = "strict"
    GRACE = "grace"
    REUSABLE = "reusable"


class ReuseKills(enum.StrEnum):
    """What dies when a spent refresh token is presented (RFC 9700 section 4.14.2 asks for the lineage)."""

    TOKEN = "token"
    LINEAGE = "lineage"


class GraceReply(enum.StrEnum):
    """What a replay inside the grace period is answered with."""

    SAME = "same"
    NEW = "new"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One resolved policy; every time is in seconds.

    Grace ends ``grace_s`` after the first spend, or sooner when the successor has been presented.
    ``old_access_s`` is how long earlier access tokens live on after a rotation: ``None`` is their own full life.
    ``earliest_refresh_s``: a refresh sooner than this after the last one gets the same tokens again.
    ``reusable_returned``: whether a ``reusable`` answer repeats the refresh token or omits it.
    """

    rotation: Rotation = Rotation.STRICT
    grace_s: float = 30.0
    grace_reply: GraceReply = GraceReply.SAME
    reuse_kills: ReuseKills = ReuseKills.LINEAGE
    reusable_returned: bool = True
    access_s: float = 3600
    old_access_s: float | None = None
    refresh_idle_s: float | None = None
    refresh_absolute_s: float | None = None
    earliest_refresh_s: float = 0
    expires_in_present: bool = True
    refresh_expires_in_present: bool = False
    code_s: float = 60
    device_s: float = 600
    device_interval_s: float = 5


class Policies:
    """The book of overrides; ``of`` answers from a cache that every change empties."""

    def __init__(self, default: Policy | None = None) -> None:
        """Start with one policy for everybody; ``None`` takes the defaults of Policy."""
        self._default = default or Policy()
        self._clients: dict[str, dict[str, Any]] = {}
        self._labels: dict[str, dict[str, Any]] = {}
        self._resolved: dict[tuple[str, str], Policy] = {}

    def of(self, client_id: str, label: str) -> Policy:
        """Return the policy in force now for one account of one client."""
        policy = self._resolved.get((client_id, label))
        if policy is None:
            over = {**self._clients.get(client_id, {}), **self._labels.get(label, {})}
            policy = dataclasses.replace(self._default, **over)
            self._resolved[client_id, label] = policy
        return policy

    def change(self, over: Mapping[str, object], *, client_id: str | None = None, label: str | None = None) -> None:
        """Lay ``over`` on top of what one label, one client, or (neither given) the server already has.

        Raises ValueError (ShapeError is one) and changes nothing if a field is unknown, ill-typed or a negative time.
        """
        fields = checked(Policy, over, partial=True)
        negative = [name for name, value in fields.items() if isinstance(value, int | float) and value < 0]
        if negative:
            message = f"negative: {', '.join(negative)}"
            raise ValueError(message)
        if label is not None:
            self._labels.setdefault(label, {}).update(fields)
        elif client_id is not None:
            self._clients.setdefault(client_id, {}).update(fields)
        else:
            self._default = dataclasses.replace(self._default, **fields)
        self._resolved.clear()
