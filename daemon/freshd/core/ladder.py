"""Ways to renew, cheapest first.  Healing is climbing down (design 1).

A rung is data; what it does lives in its provider under the same name.  Whether a rung can be tried depends only on
the names of the secrets in hand and on whether it needs a person.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from freshd.core.contract import Reuse
from freshd.core.pace import Pace


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to renew.

    needs         names of grant secrets it presents; all must be in hand.  "ACCOUNT/NAME" is one of a relative's
    spends        it may use up part of the grant: takes all eight points of the exchange
    person        only a person can take it (freshd enrol)
    budgeted      attempts are limited or cost something (a password, an SMS)
    ends_session  success ends somebody's other session
    unless        names of secrets that only a step of a person brings further: not taken unattended while one is held
    stocks        names of the secrets it yields instead of a lease; they are kept in stock
    on_demand     taken when somebody needs a lease, not by the lease's own end; a grant that ages is still renewed
    asks          the relative that takes this step for us; nothing is sent for this account
    is_final      in doubt what it presents counts as spent and is never presented again
    is_consumed   the lease it yields works once: that it is refused afterwards is its ordinary end, not a misfortune
    reuse         what presenting its secrets again does; None: as the contract says
    """

    name: str
    needs: frozenset[str] = frozenset()
    spends: bool = True
    person: bool = False
    budgeted: bool = False
    ends_session: bool = False
    unless: frozenset[str] = frozenset()
    stocks: frozenset[str] = frozenset()
    on_demand: bool = False
    asks: str | None = None
    is_final: bool = False
    is_consumed: bool = False
    reuse: Reuse | None = None
    pace: Pace = field(default_factory=Pace)

    @property
    def is_free(self) -> bool:
        """Whether trying it in doubt harms nobody (design 5): what it presents is not used up by it."""
        uses_up = self.spends and self.reuse is not Reuse.REUSABLE
        return not (uses_up or self.person or self.budgeted or self.ends_session)


Ladder = tuple[Rung, ...]


def can_try(rung: Rung, held: Iterable[str]) -> bool:
    """Whether freshd can take this rung by itself with the secrets it holds."""
    names = frozenset(held)
    return not rung.person and rung.needs <= names and not rung.unless & names


def top(ladder: Ladder, held: Iterable[str]) -> Rung | None:
    """The cheapest rung that can be tried unattended."""
    names = frozenset(held)
    return next((rung for rung in ladder if can_try(rung, names)), None)


def below(ladder: Ladder, name: str, held: Iterable[str]) -> Rung | None:
    """The next unattended rung under the one named; None where only a person can help."""
    names = frozenset(held)
    index = next((i for i, rung in enumerate(ladder) if rung.name == name), len(ladder))
    return next((rung for rung in ladder[index + 1 :] if can_try(rung, names)), None)


def find(ladder: Ladder, name: str) -> Rung | None:
    """The rung of that name."""
    return next((rung for rung in ladder if rung.name == name), None)


def for_person(ladder: Ladder) -> Rung | None:
    """The rung a person is asked to take: the first that needs one."""
    return next((rung for rung in ladder if rung.person), None)
