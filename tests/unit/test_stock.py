"""An account whose stock has nothing to do with its leases, such as a certificate that is kept up beside the tokens."""

from __future__ import annotations

import asyncio
import json
from types import MappingProxyType

from freshd.core.contract import Reuse
from freshd.core.ladder import Rung
from freshd.core.model import Change, Grant, Intent, Lease, Record, Secret
from freshd.core.outcome import Answered, Judged, Rejected, Remedy, Reply
from freshd.tokens import Published
from tests.fakes.house import House
from tests.fakes.provider import BOUND, PERSON, FakeProvider, reply
from tests.fakes.time import VirtualTime
from tests.fakes.vault import Disk

REFRESH = Rung("refresh", frozenset({"token"}))
LOGIN = Rung("login", frozenset({"key"}), reuse=Reuse.REUSABLE)
SETTLE = Rung("settle", frozenset({"candidate"}), stocks=frozenset({"current"}), reuse=Reuse.REUSABLE)


class Agent(FakeProvider):
    """Logs in with the registered key only; `settle` finds out which of two that is."""

    def __init__(self, registered: str) -> None:
        super().__init__("mail", ladder=(REFRESH, LOGIN, SETTLE, PERSON))
        self.registered = registered
        self.sent: list[str] = []

    async def perform(self, rung: str, record: Record, intent: Intent) -> Reply:
        self.sent.append(rung)
        assert record.grant is not None
        held = {name: one.reveal() for name, one in record.grant.secrets.items()}
        if rung == "login" and held["key"] != self.registered:
            return reply(400, error="key", remedy="climb")
        if rung == "refresh":
            return reply(400, error="odd", remedy="climb")
        more = {"current": "1"} if rung == "settle" else {}
        return Reply(200, (), json.dumps({**held, "key": self.registered, **more}).encode())

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        said = json.loads(reply.body)
        if "error" in said:
            return Rejected(said["error"], Remedy.CLIMB, dead=frozenset({"token"} if rung == "refresh" else ()))
        secrets = MappingProxyType({name: Secret(value) for name, value in said.items()})
        grant = Grant("one", BOUND, secrets, intent.sent, intent.sent)
        lease = Lease(self.account, intent.generation + 1, Secret("at"), intent.sent, 3600.0)
        return Answered((Change(self.account, grant, lease if rung == "login" else None),))


def house(registered: str, **held: str) -> House:
    time = VirtualTime()
    now = time.now()
    secrets = {name: Secret(value) for name, value in held.items()}
    record = Record("mail", 1, Grant("one", BOUND, secrets, now, now))
    return House(Agent(registered), disk=Disk(records={"mail": record}), time=time)


def sent(home: House) -> list[str]:
    provider = home.providers["mail"]
    assert isinstance(provider, Agent)
    return provider.sent


async def read(home: House) -> None:
    assert isinstance(await home.desk.demand("mail", 1.0, 60.0), Published)


def test_while_somebody_waits_a_refused_rung_leads_down_and_is_not_taken_again_for_the_stock() -> None:
    home = house("new", key="old", candidate="new", current="1")
    home.live(lambda: read(home))
    assert sent(home) == ["login", "settle", "login"]


def test_a_refused_refresh_leads_to_the_login_though_somebody_waits() -> None:
    home = house("old", token="t", key="old", current="1")
    home.live(lambda: read(home))
    assert sent(home) == ["refresh", "login"]


def test_what_is_missing_in_such_a_stock_is_brought_beside_the_leases() -> None:
    home = house("new", key="new", candidate="new")

    async def work() -> None:
        await read(home)
        await asyncio.sleep(5.0)
        assert "current" in home.state().standing.held

    home.live(work)
    assert sorted(sent(home)) == ["login", "settle"]
