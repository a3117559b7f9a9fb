"""Who is configured, and which keeper writes for whom.

Rules
-----
* Every account has one keeper, shared by its family: the only writer of all of them (I1).
* An account changes families once nothing of it is in the air and nobody writes about it, and takes its state along.
* An event for an account that nobody keeps is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from freshd.core import kin
from freshd.core.happenings import Happening
from freshd.core.model import Standing
from freshd.core.state import Plan, State
from freshd.keeper import Keeper
from freshd.ports import Provider


@dataclass(frozen=True, slots=True)
class Member:
    """One configured account, ready to be kept.  `has_met`: its kind was tried on a real service."""

    plan: Plan
    provider: Provider
    kind: str
    family: str
    paused: bool = False
    has_met: bool = True


class Roster:
    """One per daemon.  `make_keeper()`: for a family that has none yet."""

    def __init__(self, make_keeper: Callable[[], Keeper]) -> None:
        self.members: dict[str, Member] = {}
        self._make_keeper = make_keeper
        self._by_family: dict[str, Keeper] = {}
        self._by_account: dict[str, Keeper] = {}
        self._moving: set[str] = set()

    def keeper(self, account: str) -> Keeper:
        """The account's only writer.  KeyError where it is not configured."""
        return self._by_account[account]

    def state(self, account: str) -> State:
        """How an account stands.  KeyError where it is not configured."""
        return self._by_account[account].accounts[account]

    def keeps(self, account: str) -> bool:
        """Whether somebody writes for that account, be it only until it is forgotten."""
        return account in self._by_account

    def accounts(self) -> Sequence[str]:
        """All that are kept."""
        return list(self._by_account)

    def post(self, account: str, event: Happening) -> None:
        """Give an account an event."""
        keeper = self._by_account.get(account)
        if keeper is not None:
            keeper.post(account, event)

    def enlist(self, member: Member) -> None:
        """Take an account on, with the keeper of its family."""
        name = member.plan.account
        keeper = self._keeper_of(member.family)
        keeper.adopt(member.plan, member.provider)
        self._by_account[name] = keeper
        self.members[name] = member

    def replace(self, member: Member) -> Member:
        """Put down a changed account; what it was.  Its keeper is not told."""
        name = member.plan.account
        was, self.members[name] = self.members[name], member
        return was

    def begins_move(self, account: str) -> None:
        """A change of families is to be carried out: `move` will."""
        self._moving.add(account)

    def is_moving(self, account: str) -> bool:
        """Whether a change of families is under way; it ends with what is configured by then."""
        return account in self._moving

    async def move(self, account: str) -> bool:
        """Another family, another keeper: once it is idle.  False where the account was removed meanwhile.

        What was configured by then counts, so that reloads which follow each other need one move.
        """
        old = self._by_account[account]
        await old.idle(account)
        self._moving.discard(account)
        member = self.members.get(account)
        if member is None:
            return False
        new = self._keeper_of(member.family)
        if new is not old:
            new.receive(member.plan, member.provider, old.release(account))
            self._by_account[account] = new
        return True

    def drop(self, account: str) -> None:
        """Nobody keeps it any more."""
        del self.members[account], self._by_account[account]

    def _keeper_of(self, family: str) -> Keeper:
        if family not in self._by_family:
            self._by_family[family] = self._make_keeper()
        return self._by_family[family]


def in_order(members: Iterable[Member], known: Mapping[str, Standing]) -> Sequence[Member]:
    """Whose answer rests in escrow comes first, for none is newer; then those that others need, then the others."""

    def turn(member: Member) -> tuple[bool, bool, str]:
        name = member.plan.account
        standing = known.get(name)
        return (standing is None or not standing.escrowed, bool(kin.relatives(member.plan)), name)

    return sorted(members, key=turn)
