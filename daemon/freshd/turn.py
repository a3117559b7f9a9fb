"""An operator's turn at one account: after what is in the air, and never for ever.

Rules
-----
* A flight is waited for, never cancelled; one that does not land in time is told of, and goes on.
* Whoever writes holds the family's lock, so that the record it read is the one it changes (I1): of the family that the
  account belongs to by then.
* A journal taken for an old copy goes on with the first account that is decided; each other one stays held back until
  somebody decides about it, over restarts too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

from freshd.core.state import State
from freshd.errors import FreshdError, NotPossible
from freshd.keeper import Keeper
from freshd.supervisor import Supervisor

STEP_WAIT_SECONDS: Final = 120.0
"""How long an operator's verb waits for a flight to land before it says that it goes on without them."""
Verb = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Account and arguments in, answer out.  Raises FreshdError with the remedy."""


async def landed(supervisor: Supervisor, account: str) -> State:
    """The account's state once nothing of it is in the air.  Raises NotPossible where that takes too long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STEP_WAIT_SECONDS):
            while True:
                keeper = supervisor.keeper(account)
                with _moved_away(supervisor, account, keeper):
                    return await keeper.landed(account)
    raise under_way(account)


@contextlib.asynccontextmanager
async def quiet(supervisor: Supervisor, account: str) -> AsyncIterator[State]:
    """The family's lock, as `Keeper.quiet`.  Raises NotPossible where it is not to be had."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(STEP_WAIT_SECONDS):
                state = await _entered(supervisor, account, stack)
        except TimeoutError:
            raise under_way(account) from None
        yield state


async def _entered(supervisor: Supervisor, account: str, stack: contextlib.AsyncExitStack) -> State:
    while True:
        keeper = supervisor.keeper(account)
        with _moved_away(supervisor, account, keeper):
            return await stack.enter_async_context(keeper.quiet(account))


@contextlib.contextmanager
def _moved_away(supervisor: Supervisor, account: str, keeper: Keeper) -> Iterator[None]:
    """Whoever waited at a keeper which has given the account away meanwhile goes to the one that has it now."""
    try:
        yield
    except KeyError:
        if supervisor.keeper(account) is keeper:
            raise


def free(supervisor: Supervisor) -> frozenset[str]:
    """Configured accounts that nothing holds back, or nothing any more."""
    return frozenset(name for name in supervisor.members if not supervisor.state(name).standing.held_back)


def is_moved(supervisor: Supervisor, account: str) -> bool:
    """Whether the grant belongs elsewhere than to what is configured now."""
    bound = supervisor.state(account).standing.binding
    return bound is not None and not bound.fits(supervisor.keeper(account).provider(account).binding)


def must_not_displace(supervisor: Supervisor, account: str, *, then: str) -> None:
    """What a person brings would take the place of an answer that waits in escrow: that one comes first (I3)."""
    standing = supervisor.state(account).standing
    is_usable = not (standing.broken or standing.withheld or standing.dead)
    if standing.escrowed and is_usable and (standing.held_back or is_moved(supervisor, account)):
        raise NotPossible("an answer of the service waits to be finished", f"freshd confirm {account}; then {then}")


async def decided(supervisor: Supervisor) -> None:
    """A verb may have been about an account that was held back; `confirm` does it where this cannot."""
    if supervisor.vault.rolled_back:
        with contextlib.suppress(FreshdError):
            await supervisor.vault.accept(free(supervisor))


def under_way(account: str) -> NotPossible:
    """What a verb says that waited long enough."""
    return NotPossible("a call of this account is still under way", f"freshd status {account}, and try again")
