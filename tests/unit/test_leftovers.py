"""What is still under way when something else ends: a stop, a probe's patience, an account's record."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from freshd.core.contract import Contract, Reuse
from freshd.core.happenings import Happening, Probed
from freshd.core.lifecycle import vacant
from freshd.core.model import Intent, Lease, Standing
from freshd.core.state import Phase, State
from freshd.errors import NotPossible
from freshd.keeper import PROBE_DEADLINE_SECONDS
from freshd.supervisor import Supervisor, _works_once
from freshd.turn import must_not_displace
from tests.fakes.house import House, only
from tests.fakes.provider import FakeProvider, plan_for, tokens
from tests.fakes.time import VirtualTime
from tests.fakes.vault import FULL

HOUR = 3600.0


def home(*script: Any, valid_for: float = HOUR) -> House:
    """One enrolled account."""
    time = VirtualTime()
    return House(FakeProvider("mail", *script), disk=only("mail", time, valid_for), time=time)


def slow(call: Callable[..., Awaitable[Any]], begun: list[str]) -> Callable[..., Awaitable[Any]]:
    """A call of the vault that takes twenty seconds."""

    async def answer(*given: Any, **more: Any) -> Any:  # noqa: ANN401 - whatever the call returns
        begun.append(call.__name__)
        await asyncio.sleep(20.0)
        return await call(*given, **more)

    return answer


def test_I3_a_stop_waits_for_an_answer_that_is_being_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    house, begun = home(), list[str]()
    record = house.vault.disk.records["mail"]
    intent = Intent("f", "mail", "refresh", record.lineage, 1, house.time.now())
    house.vault.disk.intents["mail"] = (intent, tokens(2))
    monkeypatch.setattr(house.vault, "commit", slow(house.vault.commit, begun))

    async def work() -> None:
        await asyncio.sleep(1.0)
        assert begun
        await house.supervisor.stop()

    house.live(work)
    assert house.vault.disk.records["mail"].generation == 2
    assert house.vault.disk.intents == {}


def test_whoever_still_writes_at_the_end_is_ended_before_the_vault_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    house, tries = home(tokens(2), valid_for=1.0), list[str]()
    house.vault.broken["commit"] = FULL

    async def work() -> None:
        await house.until(Phase.UNSAVED)
        monkeypatch.setattr(house.vault, "aclose", slow(house.vault.aclose, tries))
        commit = house.vault.commit

        async def tried(*given: Any) -> Any:  # noqa: ANN401
            tries.append("commit")
            return await commit(*given)

        monkeypatch.setattr(house.vault, "commit", tried)
        await house.supervisor.stop()

    house.live(work)
    assert "commit" in tries
    assert tries[-1] == "aclose"


def test_a_probe_that_hangs_is_given_up_and_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    house = home()

    async def hang(_lease: Lease) -> None:
        await asyncio.get_running_loop().create_future()

    async def work() -> None:
        monkeypatch.setattr(house.providers["mail"], "probe", hang)
        keeper, told = house.supervisor.keeper("mail"), list[Happening]()
        monkeypatch.setattr(keeper, "post", lambda _account, event: told.append(event))
        lease = house.supervisor.leases["mail"].lease
        async with asyncio.timeout(2 * PROBE_DEADLINE_SECONDS):
            await keeper._probe("mail", lease, 7)
        assert told == [Probed(lease.fingerprint, None, 7)]

    house.live(work)


def test_a_pause_that_ended_with_the_record_outlives_no_pause_of_the_configuration() -> None:
    house = home()

    async def work() -> None:
        await house.desk.operate("pause", "mail", {})
        await house.desk.operate("forget", "mail", {})
        house.paused = {"mail"}
        house.reload()
        house.paused = set()
        house.reload()
        assert not house.state().paused

    house.live(work)


@pytest.mark.parametrize(("reuse", "is_held"), [(Reuse.STRICT, True), (Reuse.REUSABLE, False)])
def test_I5_an_answer_in_the_escrow_of_an_old_journal_is_held_though_the_record_holds_nothing(
    reuse: Reuse, *, is_held: bool
) -> None:
    plan = plan_for(FakeProvider("mail", contract=Contract(reuse=reuse)))
    assert _works_once(plan, Standing("mail", escrowed=True)) is is_held
    assert not _works_once(plan, Standing("mail"))


class Standings:
    """What `must_not_displace` asks of a supervisor."""

    def __init__(self, standing: Standing) -> None:
        self._state = dataclasses.replace(vacant("mail"), standing=standing)

    def state(self, _account: str) -> State:
        return self._state


def test_I3_an_answer_that_waits_in_escrow_comes_first_unless_what_it_renewed_is_dead() -> None:
    waits = Standing("mail", 1, escrowed=True, held_back="it is an old copy")
    with pytest.raises(NotPossible, match="waits to be finished"):
        must_not_displace(cast("Supervisor", Standings(waits)), "mail", then="freshd enrol mail")
    dead = dataclasses.replace(waits, dead={"refresh_token": "invalid_grant"})
    must_not_displace(cast("Supervisor", Standings(dead)), "mail", then="freshd enrol mail")
