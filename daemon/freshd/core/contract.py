"""What a service promises about a secret that was spent, and so what may be done in doubt (design 5).

A contract is data, from a profile or from the configuration.  Whatever is unknown takes the most careful value.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Reuse(enum.Enum):
    """What presenting a spent secret again does."""

    REUSABLE = "reusable"
    GRACE = "grace"
    STRICT = "strict"


class Kills(enum.IntEnum):
    """How far the punishment for reuse reaches.  MORE: other lineages or sessions of the subject die too."""

    TOKEN = 1
    LINEAGE = 2
    MORE = 3


class Omitted(enum.Enum):
    """What an answer without a refresh token means."""

    KEEP = "keep"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Contract:
    """The promises of one service to one client.  All durations in seconds.

    grace              how long after a spend the spent secret may be presented again (Reuse.GRACE)
    old_lease_life     how long the previous access token outlives a rotation; None: its own life; 0: not at all
    reissue_left       a refresh with more life left than this returns the same token; None: always a new one
    least_left         a lease with less left than this is renewed first where somebody asks for it; where that does not
                       succeed at once it is served as it is
    lease_life         assumed life of a lease whose answer states none
    idle_life          life of an unused grant where answers state none
    absolute_life      life of a lineage from its enrolment, whatever is refreshed
    """

    reuse: Reuse = Reuse.STRICT
    grace: float = 0.0
    kills: Kills = Kills.LINEAGE
    old_lease_life: float | None = None
    omitted: Omitted = Omitted.KEEP
    reissue_left: float | None = None
    least_left: float = 0.0
    lease_life: float = 3600.0
    idle_life: float | None = None
    absolute_life: float | None = None
