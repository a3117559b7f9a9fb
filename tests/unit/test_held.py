"""Two rungs that are due and both held back by their pace: they wait, and do not free each other for ever."""

from __future__ import annotations

import asyncio
import json

from freshd.core.ladder import Rung
from freshd.core.model import Change, Grant, Intent, Record, Secret
from freshd.core.outcome import Answered, Judged, Reply
from freshd.core.pace import Pace
from tests.fakes.house import House
from tests.fakes.provider import BOUND, FakeProvider, reply
from tests.fakes.time import VirtualTime
from tests.fakes.vault import Disk

LIGHT = Rung("light", frozenset({"key"}))
FILL = Rung("fill", frozenset({"key"}), stocks=frozenset({"spare"}))


class Slow(FakeProvider):
    """Every answer brings a key and nothing else: neither a lease nor what the stock lacks."""

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        key = Secret(str(json.loads(reply.body)["key"]))
        grant = Grant("one", BOUND, {"key": key}, intent.sent, intent.sent)
        return Answered((Change(self.account, grant),))


def test_I6_a_lease_and_a_stock_that_are_both_paced_wait_for_the_earlier_of_both() -> None:
    time = VirtualTime()
    now = time.now()
    provider = Slow("mail", ladder=(LIGHT, FILL), pace=Pace(interval=100.0))
    provider.script = [reply(key=f"k-{number}") for number in range(50)]
    grant = Grant("one", BOUND, {"key": Secret("k")}, now, now)
    house = House(provider, disk=Disk(records={"mail": Record("mail", 1, grant)}), time=time)

    async def work() -> None:
        await asyncio.sleep(1000.0)

    house.live(work)
    assert 5 <= len(provider.presented) <= 22
