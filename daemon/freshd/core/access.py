"""Who may read an account's leases, and who may operate the daemon: deny unless a rule says otherwise (I12).

Rules
-----
* An identity comes from the kernel, never from what a caller says (api.peer).
* Users, groups and units are alternatives: one match is enough.  Empty rules match nobody.
* The rules bind uid 0 like everybody else; nothing here contains root, it only keeps honest programs honest.
* Operating implies seeing every account's health, never reading a lease.
* An account without rules and an unknown account look alike: nobody may read either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

OVERFLOW_UID: Final = 65534
"""What the kernel shows for a uid that has no number here (another user namespace); Debian's `nobody` too."""


@dataclass(frozen=True, slots=True)
class Readers:
    """Numbers of users and groups, and names of system units, any of which suffices."""

    users: frozenset[int] = frozenset()
    groups: frozenset[int] = frozenset()
    units: frozenset[str] = frozenset()


NOBODY: Final = Readers()


@dataclass(frozen=True, slots=True)
class Policy:
    """All rules in force.  A reload makes a new one with a higher generation.

    names_units  whether any rule is about a unit, so that it is worth asking which one a caller is
    """

    accounts: Mapping[str, Readers] = field(default_factory=lambda: MappingProxyType({}))
    operators: Readers = NOBODY
    generation: int = 0
    names_units: bool = field(init=False)

    def __post_init__(self) -> None:
        rules = (self.operators, *self.accounts.values())
        object.__setattr__(self, "names_units", any(readers.units for readers in rules))


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller as the kernel knows it.

    gid     its primary group; `groups` holds the supplementary ones
    unit    the system unit its process runs in, None where that is not proven (user units never are)
    """

    uid: int
    gid: int
    groups: frozenset[int] = frozenset()
    pid: int = 0
    unit: str | None = None


def is_identified(identity: Identity) -> bool:
    """Whether the kernel's answer names anybody: not the overflow uid, not a process of a foreign namespace."""
    return identity.uid not in (OVERFLOW_UID, -1, 0xFFFFFFFF) and identity.pid > 0


def matches(readers: Readers, identity: Identity) -> bool:
    """Whether one of the rules names the caller."""
    if not is_identified(identity):
        return False
    return (
        identity.uid in readers.users
        or identity.gid in readers.groups
        or not readers.groups.isdisjoint(identity.groups)
        or (identity.unit is not None and identity.unit in readers.units)
    )


def may_read(policy: Policy, identity: Identity, account: str) -> bool:
    """Whether the caller may have the account's leases, refuse them, and see its health."""
    return matches(policy.accounts.get(account, NOBODY), identity)


def may_operate(policy: Policy, identity: Identity) -> bool:
    """Whether the caller may use the operators' verbs and see every account's health."""
    return matches(policy.operators, identity)


def may_see(policy: Policy, identity: Identity, account: str) -> bool:
    """Whether the caller may see the account's health and history."""
    return may_operate(policy, identity) or may_read(policy, identity, account)
