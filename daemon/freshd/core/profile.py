"""What is known of a kind of server before it is met: its contract, when to renew, and defaults for an account.

Rules
-----
* A profile is data; it holds no secret and no behaviour.  Whatever it does not know keeps the most careful value.
* Precedence, weakest first: the field's default, the profile (and those it is based on), the account.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from freshd.core.contract import Contract

NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Margins:
    """How long before its end a lease or grant is renewed.

    fraction  share of the whole life, 0 < fraction < 1
    cap       seconds; no margin is longer, however long the life
    jitter    share of the margin by which dice may lengthen it: renewals only ever get earlier
    """

    fraction: float = 1 / 3
    cap: float = 900.0
    jitter: float = 0.1


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of server.

    kind        the kind of account it serves
    options     defaults for the account's own keys: endpoints, client authentication, scopes
    required_scope  the scope without which this kind of server issues no refresh token; "" if none
    source      where the facts stand
    checked     the day somebody read them, as YYYY-MM-DD
    confidence  "documented", "partly" (some values are the careful defaults) or "unknown"
    """

    name: str
    kind: str
    contract: Contract = field(default_factory=Contract)
    margins: Margins = field(default_factory=Margins)
    options: Mapping[str, object] = field(default_factory=lambda: NOTHING)
    required_scope: str = ""
    title: str = ""
    source: str = ""
    checked: str = ""
    confidence: str = "unknown"
