"""The plug is pulled in the middle of flights, again and again: nothing spent is presented, what is lost is known.

Every await of the vault and of the service is a place to die: flights are slow, and the cut falls somewhere in one.
Time is virtual.
"""

from __future__ import annotations

import asyncio

import pytest

from freshd.core.contract import Reuse
from tests.fakes.time import run
from tests.flow.month import Month

CUTS = 60
LIVES = (600.0,) * 9


class Cuts(Month):
    """Nine accounts whose flights take a while, and a machine that dies in them."""

    def __init__(self, seed: int) -> None:
        super().__init__(1.0, seed, LIVES, slow=20.0)
        self.died_in_flight = 0

    async def live(self) -> None:
        await self.start()
        self.enrol_all()
        for account in self.accounts.values():
            token = self.service.ledger.mint(self._holder(account), self.time.true)
            await self.desk.operate("import", account.name, {"secrets": {"refresh_token": token.text}})
        for number in range(CUTS):
            await asyncio.sleep(self.dice.uniform(10.0, 300.0))
            while not self.supervisor.in_air():  # noqa: ASYNC110 - a world is looked at, it does not tell
                await asyncio.sleep(0.5)
            await asyncio.sleep(self.dice.uniform(0.0, 12.0))
            self.died_in_flight += len(self.supervisor.in_air())
            if number % 3:
                await self.kill()
            else:
                await self.reboot(down=60.0, wall_error=0.0, power_cut=True)
        await asyncio.sleep(7200.0)
        await self.stop(power_cut=False)

    async def kill(self) -> None:
        """The process dies, the machine does not."""
        await self.stop(power_cut=True)
        await self.start()


@pytest.mark.parametrize("seed", range(4))
def test_I5_power_cuts_lose_answers_but_never_present_a_spent_secret_unknowingly(seed: int) -> None:
    world = Cuts(seed)
    run(world.time, world.live())
    totals = world.service.ledger.books.totals
    assert world.died_in_flight >= CUTS
    assert totals.spent_uses == 0
    assert not world.service.too_fast
    assert not world.events["bug"]
    for account in world.accounts.values():
        state = world.supervisor.state(account.name)
        if state.parked is not None:
            assert account.lost_after_commit, f"{account.name} parked although no answer was lost: {state.parked}"
            assert account.reuse is Reuse.STRICT or state.parked.code == "invalid_grant"
        if account.reuse is Reuse.REUSABLE:
            assert state.parked is None
