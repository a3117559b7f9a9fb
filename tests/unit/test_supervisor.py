"""All accounts of one daemon on virtual time: a vault that opens late, reloads, jumps of the clocks, the end."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from freshd.core.contract import Contract, Reuse
from freshd.core.events import Event
from freshd.core.lifecycle import is_in_air
from freshd.core.model import Binding, Moment
from freshd.core.outcome import Remedy
from freshd.core.pace import Pace
from freshd.core.state import Phase
from freshd.errors import AlreadyRunning, FreshdError, KeyringUnavailable, StoreError, VaultForeign, VaultLocked
from freshd.ticks import TICK_SECONDS, _jumps
from freshd.tokens import Published, Shortfall
from tests.fakes.house import House, only, slowly
from tests.fakes.provider import ISSUE, PERSON, REFRESH, FakeProvider, enrolled, refusal, tokens
from tests.fakes.time import VirtualTime
from tests.fakes.vault import FULL, Disk

HOUR = 3600.0
NO_KEY = VaultLocked("the sealing key is not there", "unlock the keyring")
OLD = "the journal is older than its anchor"


def home(*script: object, valid_for: float = HOUR, **options: object) -> House:
    """One enrolled account."""
    time = VirtualTime()
    provider = FakeProvider("mail", *script, **options)  # type: ignore[arg-type]
    return House(provider, disk=only("mail", time, valid_for), time=time)


def again(house: House, *script: object, **options: object) -> House:
    """The next process on the same disk."""
    provider = FakeProvider("mail", *script, **options)  # type: ignore[arg-type]
    return House(provider, disk=house.vault.disk, time=house.time)


def events_of(house: House, name: str) -> list[Event]:
    return [event for event in house.events if event.name == name]


# -- a vault without its key ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [NO_KEY, KeyringUnavailable("the keyring hangs", "look at it")])
def test_a_vault_that_opens_late_goes_on_without_a_restart_and_nothing_was_spent(error: Exception) -> None:
    house = home(tokens(2))
    house.vault.broken["open"] = error

    async def work() -> None:
        assert house.supervisor.locked
        await asyncio.sleep(2 * HOUR)
        assert house.desk.health("mail").phase == "locked"
        short = await house.desk.demand("mail", 60.0, 5.0)
        assert isinstance(short, Shortfall)
        assert (short.kind, short.status) == ("vault-locked", 503)
        assert house.providers["mail"].log == []
        house.vault.broken.clear()
        lease = await house.desk.demand("mail", 60.0, 30.0)
        assert isinstance(lease, Published)
        assert not house.desk.locked()
        assert house.desk.health("mail").phase == "live"

    house.live(work)
    assert house.told.count("vault.locked") == 1
    assert house.told.count("vault.unlocked") == 1
    assert "account.parked" not in house.told


def test_a_ledger_that_cannot_be_read_leaves_the_vault_locked() -> None:
    house = home()
    house.vault.fail["paces"] = [NO_KEY, NO_KEY]

    async def work() -> None:
        assert house.supervisor.locked
        await house.supervisor.unlocked.wait()
        assert house.state().phase is Phase.LIVE

    house.live(work)


def test_a_vault_that_turns_out_to_be_another_ones_ends_the_daemon_with_its_reason() -> None:
    house = home()
    house.vault.fail["open"] = [NO_KEY, NO_KEY]

    async def work() -> None:
        house.vault.broken["open"] = VaultForeign("the key does not fit", "freshd doctor")
        error = await house.supervisor.failed
        assert (error.type, error.exit_code) == ("vault-foreign", 76)
        assert house.supervisor.locked

    house.live(work)
    [told] = events_of(house, "vault.unusable")
    assert told.fields["type"] == "vault-foreign"
    assert house.providers["mail"].log == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StoreError("no such folder", "make it"), [("no such folder", "make it")]),
        (AlreadyRunning("another freshd, pid 7, owns it", "use that one"), []),  # nothing ails the vault
    ],
)
def test_an_error_at_the_first_look_is_final_at_once(error: FreshdError, told: list[tuple[str, str]]) -> None:
    house = home()
    house.vault.broken["open"] = error

    async def never() -> None:
        raise AssertionError

    with pytest.raises(type(error)):
        house.live(never)
    assert [(one.fields["cause"], one.remedy) for one in events_of(house, "vault.unusable")] == told


def test_what_changes_while_locked_is_in_force_once_unlocked() -> None:
    house = home(tokens(2))
    house.vault.broken["open"] = NO_KEY

    async def work() -> None:
        house.providers["calendar"] = FakeProvider("calendar")
        house.vault.disk.records["calendar"] = enrolled("calendar", house.time.now())
        house.reload()
        await house.desk.operate("pause", "mail", {})
        house.vault.broken.clear()
        await house.supervisor.unlocked.wait()
        assert house.state("calendar").phase is Phase.LIVE
        assert house.state("mail").paused

    house.live(work)


def test_an_account_removed_while_locked_is_retired_once_unlocked() -> None:
    house = home()
    house.vault.broken["open"] = NO_KEY

    async def work() -> None:
        del house.providers["mail"]
        house.reload(removed=("mail",))
        house.vault.broken.clear()
        await house.supervisor.unlocked.wait()
        await asyncio.sleep(2 * HOUR)
        assert house.state().retired
        assert house.desk.lease("mail") is not None

    house.live(work)
    assert house.vault.disk.records["mail"].generation == 1


def test_I9_a_valid_lease_is_served_at_once_after_a_restart() -> None:
    house = home()
    first = house.live(lambda: _lease(house))
    house.time.reboot(down=120.0)
    second = again(house, slowly(tokens(2), HOUR))
    assert second.live(lambda: _lease(second)).fingerprint == first.fingerprint


async def _lease(house: House) -> Published:
    found = house.desk.lease("mail")
    assert found is not None
    assert house.providers["mail"].log == []
    return found


# -- reload -----------------------------------------------------------------------------------------------------------


def test_a_reload_touches_only_what_changed() -> None:
    house = home()
    house.providers["calendar"] = FakeProvider("calendar")
    house.vault.disk.records["calendar"] = enrolled("calendar", house.time.now())

    async def work() -> None:
        before, alarm = house.state("calendar"), house.alarms.at["calendar"]
        kept = house.supervisor.keeper("calendar").provider("calendar")
        house.providers = {
            "calendar": FakeProvider("calendar"), "mail": FakeProvider("mail"), "new": FakeProvider("new")
        }  # fmt: skip
        house.reload("mail")
        assert house.supervisor.keeper("mail").provider("mail") is house.providers["mail"]
        assert house.supervisor.keeper("calendar").provider("calendar") is kept
        assert (house.state("calendar"), house.alarms.at["calendar"]) == (before, alarm)
        assert house.state("new").phase is Phase.VACANT
        assert house.desk.accounts() == ["calendar", "mail", "new"]

    house.live(work)
    assert house.told == []


def test_a_changed_account_in_the_air_keeps_its_provider_until_it_lands() -> None:
    house = home(slowly(tokens(2)), valid_for=1.0)
    old, new = house.providers["mail"], FakeProvider("mail", tokens(3))

    async def work() -> None:
        await house.until(Phase.SPENDING)
        house.providers["mail"] = new
        house.reload("mail")
        assert is_in_air(house.state())
        await house.landed()
        await asyncio.sleep(HOUR)

    house.live(work)
    assert (len(old.presented), len(new.presented)) == (1, 1)
    assert house.state().refreshes == 2


def test_a_removed_account_in_the_air_lands_and_is_kept_until_somebody_forgets_it() -> None:
    house = home(slowly(tokens(2)), valid_for=1.0)

    async def work() -> None:
        await house.until(Phase.SPENDING)
        del house.providers["mail"]
        house.reload(removed=("mail",))
        await house.landed()
        await asyncio.sleep(3 * HOUR)
        assert house.vault.disk.records["mail"].generation == 2
        assert (house.desk.health("mail").retired, house.desk.health("mail").renewable) == (True, "no")
        await house.desk.operate("forget", "mail", {})
        assert not house.desk.knows("mail")
        assert house.desk.accounts() == []
        assert house.desk.lease("mail") is None

    house.live(work)
    assert house.told.count("account.retired") == 1
    assert house.vault.disk.records == {}


def test_I7_a_removed_account_that_comes_back_goes_on_with_its_grant() -> None:
    house = home(tokens(2))

    async def work() -> None:
        kept = house.providers.pop("mail")
        house.reload(removed=("mail",))
        await asyncio.sleep(2 * HOUR)
        assert kept.log == []
        house.providers["mail"] = kept
        house.reload()
        await asyncio.sleep(60.0)
        assert house.state().refreshes == 1

    house.live(work)


def test_I7_a_removed_account_that_comes_back_after_a_restart_goes_on_with_its_grant() -> None:
    house = home(tokens(2))
    house.vault.disk.records["other"] = enrolled("other", house.time.now())

    async def work() -> None:
        assert house.desk.health("other").phase == "retired"
        house.providers["other"] = FakeProvider("other", tokens(2))
        house.reload()
        assert house.state("other").phase is Phase.LIVE
        await asyncio.sleep(HOUR)
        assert house.state("other").refreshes == 1

    house.live(work)


def test_a_forgotten_account_that_is_configured_again_is_not_retired_any_more() -> None:
    house = home(ladder=(ISSUE,))
    issued = FakeProvider("mail", tokens(7), tokens(8), ladder=(ISSUE,))

    async def work() -> None:
        del house.providers["mail"]
        house.reload(removed=("mail",))
        await house.desk.operate("forget", "mail", {})
        house.providers["mail"] = issued
        house.reload()
        await asyncio.sleep(10.0)
        assert not house.state().retired
        assert house.desk.lease("mail") is not None

    house.live(work)


def test_a_pause_in_the_configuration_comes_and_goes_with_it() -> None:
    house = home(tokens(2))

    async def work() -> None:
        house.paused = {"mail"}
        house.reload()
        await asyncio.sleep(2 * HOUR)
        assert house.providers["mail"].log == []
        assert house.desk.lease("mail") is not None
        house.paused = set()
        house.reload()
        await asyncio.sleep(1.0)
        assert house.state().refreshes == 1

    house.live(work)
    assert [name for name in house.told if "pause" in name or "resume" in name] == ["account.paused", "account.resumed"]


def test_a_configuration_that_pauses_no_more_does_not_end_an_operators_pause() -> None:
    house = home(tokens(2))

    async def work() -> None:
        house.paused = {"mail"}
        house.reload()
        await house.desk.operate("pause", "mail", {})
        house.paused = set()
        house.reload()
        assert house.state().paused
        await house.desk.operate("resume", "mail", {})
        assert not house.state().paused

    house.live(work)


def test_a_grant_that_belongs_elsewhere_now_is_parked_and_goes_on_when_the_configuration_is_put_back() -> None:
    house = home(tokens(2))

    async def work() -> None:
        right = house.providers["mail"]
        house.providers["mail"] = FakeProvider("mail", tokens(9))
        house.providers["mail"].binding = Binding("oauth2", "https://another.example", "client")
        house.reload("mail")
        parked = house.state().parked
        assert parked is not None
        assert parked.code == "bound-elsewhere"
        await asyncio.sleep(2 * HOUR)
        assert house.providers["mail"].log == []
        house.providers["mail"] = right
        house.reload("mail")
        await asyncio.sleep(10.0)
        assert house.state().refreshes == 1

    house.live(work)


def test_I6_the_pace_outlives_the_process() -> None:
    house = home(tokens(2, 1.0), valid_for=1.0, pace=Pace(60.0))

    async def renewed(alive: House) -> float:
        await alive.until(Phase.SPENDING)
        await alive.landed()
        while not alive.state().refreshes:
            await alive.supervisor.keeper("mail").changed("mail")
        return alive.time.boot()

    house.live(lambda: renewed(house))
    charged = house.vault.disk.rows["mail/refresh"].last
    assert charged is not None
    second = again(house, tokens(3), pace=Pace(60.0))
    assert second.live(lambda: renewed(second)) - charged.boot >= 60.0


def test_I5_an_answer_left_in_escrow_is_finished_when_the_configuration_is_put_back() -> None:
    house = home(tokens(3))
    provider = house.providers["mail"]
    house.left_open(tokens(2))
    right, provider.binding = provider.binding, Binding("oauth2", "https://another.example", "client")

    async def work() -> None:
        await asyncio.sleep(10.0)
        assert house.state().phase is Phase.PARKED
        assert provider.log == []
        provider.binding = right
        house.reload("mail")
        await house.landed()
        assert house.state().standing.generation == 2
        await asyncio.sleep(HOUR)

    house.live(work)
    assert [secret for secret, _ in provider.presented] == ["rt-2"]
    assert "doubt.opened" not in house.told


# -- a journal that may be an old copy --------------------------------------------------------------------------------


def test_I5_of_a_journal_put_back_nothing_that_works_once_is_presented_and_leases_are_served() -> None:
    house = home(tokens(2), valid_for=HOUR)
    easy = FakeProvider("easy", tokens(2), contract=Contract(Reuse.REUSABLE))
    house.providers["easy"] = easy
    house.vault.disk.records["easy"] = enrolled("easy", house.time.now())
    house.vault.rolled_back = OLD

    async def work() -> None:
        assert house.desk.lease("mail") is not None
        assert house.desk.health("mail").reason == "journal-rolled-back"
        await asyncio.sleep(2 * HOUR)
        assert house.providers["mail"].log == []
        assert house.state("easy").refreshes == 1

    house.live(work)
    assert house.told.count("vault.rolled-back") == 1


# -- secrets that the service declared dead ---------------------------------------------------------------------------


def test_I5_a_secret_declared_dead_is_never_presented_again_not_even_after_a_restart() -> None:
    house = home(refusal("invalid_grant", Remedy.CLIMB), valid_for=HOUR)

    async def die() -> None:
        await asyncio.sleep(2 * HOUR)
        assert house.state().phase is Phase.PARKED

    house.live(die)
    assert house.vault.disk.records["mail"].grant is not None
    second = again(house, tokens(2))

    async def stay_dead() -> None:
        parked = second.state().parked
        assert parked is not None
        assert (parked.code, parked.remedy) == ("invalid_grant", Remedy.PERSON)
        assert second.state().standing.held == frozenset()
        for verb in ("refresh", "confirm"):
            with pytest.raises(Exception, match=r"not refreshed|nothing to confirm"):
                await second.desk.operate(verb, "mail", {})
        second.supervisor.reload(second.members(), frozenset({"mail"}), frozenset())
        await second.desk.demand("mail", 60.0, 60.0)
        await asyncio.sleep(48 * HOUR)

    second.live(stay_dead)
    assert second.providers["mail"].log == []


def test_a_new_grant_clears_the_mark_of_a_dead_one() -> None:
    house = home(refusal("invalid_grant", Remedy.CLIMB))
    house.live(lambda: asyncio.sleep(2 * HOUR))
    second = again(house, tokens(3))

    async def work() -> None:
        await second.desk.operate("import", "mail", {"secrets": {"refresh_token": "rt-new"}})
        await asyncio.sleep(HOUR)
        assert second.state().refreshes == 1

    second.live(work)
    assert second.providers["mail"].presented[0][0] == "rt-new"


# -- an operator's pause, a keyring that lags -------------------------------------------------------------------------


def test_an_operators_pause_outlives_the_process_and_so_does_its_end() -> None:
    house = home(tokens(2))
    house.live(lambda: house.desk.operate("pause", "mail", {}))
    second = again(house)

    async def stay_paused() -> None:
        assert second.desk.health("mail").paused
        await asyncio.sleep(2 * HOUR)
        assert second.providers["mail"].log == []
        await second.desk.operate("resume", "mail", {})

    second.live(stay_paused)
    third = again(second, tokens(2))
    third.live(lambda: asyncio.sleep(HOUR))
    assert third.state().refreshes == 1


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_pause_can_be_begun_and_ended_while_the_vault_is_locked(verb: str) -> None:
    house = home()
    house.vault.disk.paused = frozenset({"mail"} if verb == "resume" else ())
    house.vault.broken["open"] = NO_KEY

    async def work() -> None:
        await house.desk.operate(verb, "mail", {})
        house.vault.broken.clear()
        await house.supervisor.unlocked.wait()
        assert house.state().paused == (verb == "pause")

    house.live(work)
    assert ("mail" in house.vault.disk.paused) == (verb == "pause")


def test_to_forget_an_account_ends_its_pause() -> None:
    house = home()

    async def work() -> None:
        await house.desk.operate("pause", "mail", {})
        await house.desk.operate("forget", "mail", {})
        assert not house.state().paused

    house.live(work)
    assert house.vault.disk.paused == frozenset()


def test_a_keyring_that_lags_is_told_as_time_runs_out_and_the_account_rotates_only_when_life_requires_it() -> None:
    house = home(tokens(2))

    async def work() -> None:
        lease = house.desk.lease("mail")
        assert lease is not None
        usual = house.alarms.at["mail"]
        for _ in range(3):
            house.supervisor.settled("mail", False)
        await asyncio.sleep(usual + 60.0 - house.time.boot())
        assert house.providers["mail"].log == []
        await asyncio.sleep(lease.until - house.time.boot())
        assert house.state().refreshes == 1
        for _ in range(3):
            house.supervisor.settled("mail", True)

    house.live(work)
    told = [name for name in house.told if name.startswith("keyring")]
    assert told == [*["keyring.unsettled"] * 6, "keyring.bypassed", "keyring.settled"]


def test_a_keyring_that_catches_up_puts_the_usual_alarm_back() -> None:
    house = home()

    async def work() -> None:
        usual = house.alarms.at["mail"]
        house.supervisor.settled("mail", False)
        assert house.alarms.at["mail"] != usual
        house.supervisor.settled("mail", True)
        assert house.alarms.at["mail"] == usual

    house.live(work)


# -- clocks -----------------------------------------------------------------------------------------------------------


def test_a_suspend_is_noticed_and_what_came_due_in_it_is_done() -> None:
    house = home(tokens(2))

    async def work() -> None:
        await asyncio.sleep(25.0)
        house.time.suspend(2 * HOUR)
        await asyncio.sleep(TICK_SECONDS + 1.0)
        assert house.state().refreshes == 1

    house.live(work)
    [told] = events_of(house, "clock.resumed")
    assert told.fields["seconds"] == pytest.approx(2 * HOUR)
    assert "clock.stepped" not in house.told


@pytest.mark.parametrize("step", [86_400.0, -86_400.0])
def test_I6_a_step_of_the_wall_clock_starts_no_herd_and_ends_no_life(step: float) -> None:
    time = VirtualTime()
    names = [f"a{number:02}" for number in range(20)]
    disk = Disk(records={name: enrolled(name, time.now()) for name in names})
    house = House(*(FakeProvider(name, tokens(2)) for name in names), disk=disk, time=time)

    async def work() -> None:
        due = dict(house.alarms.at)
        await asyncio.sleep(25.0)
        house.time.step(step)
        await asyncio.sleep(30.0)
        assert house.alarms.at == due
        for name in names:
            assert isinstance(await house.desk.demand(name, 60.0, 0.0), Published)

    house.live(work)
    [told] = events_of(house, "clock.stepped")
    assert told.fields["seconds"] == pytest.approx(step)
    assert [provider.log for provider in house.providers.values()] == [[]] * 20


def test_slewing_is_no_step() -> None:
    was, now = Moment(1000.0, 50.0, "b"), Moment(1011.5, 60.0, "b")
    assert _jumps((was, 5.0), (now, 15.0)) == {}
    assert _jumps((was, 5.0), (dataclasses.replace(now, wall=1013.0), 15.0)) == {"clock.stepped": 3.0}
    assert _jumps((was, 5.0), (dataclasses.replace(now, wall=1110.0, boot=160.0), 15.0)) == {"clock.resumed": 100.0}


def test_one_account_that_raises_keeps_no_other_from_being_looked_at() -> None:
    time = VirtualTime()
    house = House(FakeProvider("bad"), FakeProvider("good", tokens(2)), disk=only("good", time), time=time)

    async def work() -> None:
        ring = house.supervisor.ring

        def raising(account: str) -> None:
            if account == "bad":
                raise RuntimeError("canary")
            ring(account)

        house.supervisor._ticks._ring = raising
        house.time.step(600.0)
        await asyncio.sleep(3 * TICK_SECONDS)
        house.time.suspend(2 * HOUR)
        await asyncio.sleep(3 * TICK_SECONDS)
        assert house.state("good").refreshes == 1

    house.live(work)
    assert {event.fields["kind"] for event in events_of(house, "bug")} == {"RuntimeError"}
    assert "canary" not in repr(house.events)


# -- the end ----------------------------------------------------------------------------------------------------------


def test_a_stop_waits_for_flights_and_launches_nothing_afterwards() -> None:
    house = home(slowly(tokens(2, 1.0), 20.0), tokens(3), valid_for=1.0)

    async def work() -> None:
        await house.until(Phase.SPENDING)
        await house.supervisor.stop()
        assert house.state().refreshes == 1
        assert house.vault.log[-1] == "aclose"
        await asyncio.sleep(2 * HOUR)

    house.live(work)
    assert len(house.providers["mail"].presented) == 1
    assert house.vault.disk.records["mail"].generation == 2


def test_a_stop_sends_nothing_of_a_flight_that_waits_for_its_turn() -> None:
    house = home(tokens(2), valid_for=1.0)

    async def work() -> None:
        async with house.supervisor.keeper("mail").quiet("mail"):
            await house.until(Phase.SPENDING)
            stopping = asyncio.ensure_future(house.supervisor.stop())
            await asyncio.sleep(5.0)
        await stopping

    house.live(work)
    assert house.providers["mail"].presented == []
    assert house.vault.disk.intents == {}


def test_a_stop_waits_no_longer_than_a_call_and_its_writing_may_take() -> None:
    house = home(tokens(2), valid_for=1.0)

    async def work() -> None:
        house.vault.broken["commit"] = FULL
        await house.until(Phase.UNSAVED)
        began = house.time.boot()
        await house.supervisor.stop()
        assert house.time.boot() - began <= 76.0

    house.live(work)
    assert house.vault.disk.intents["mail"][1] is not None


def test_I3_an_answer_that_was_not_durable_at_the_end_is_finished_at_the_next_start() -> None:
    house = home(tokens(2), valid_for=1.0)

    async def work() -> None:
        house.vault.broken["commit"] = FULL
        await house.until(Phase.UNSAVED)
        await house.supervisor.stop()

    house.live(work)
    second = again(house)
    second.live(lambda: second.landed())  # noqa: PLW0108 - there is no keeper before
    assert (second.state().refreshes, second.state().standing.generation) == (1, 2)
    assert second.providers["mail"].presented == []


def test_a_stop_while_locked_ends() -> None:
    house = home()
    house.vault.broken["open"] = NO_KEY
    house.live(lambda: house.supervisor.stop())  # noqa: PLW0108 - there is no supervisor before
    assert house.vault.log == ["aclose"]


def test_a_task_that_falls_over_is_told_by_the_kind_of_its_error_only() -> None:
    house = home()

    async def fall() -> None:
        raise RuntimeError("canary-text")

    async def work() -> None:
        house.supervisor.spawn(fall(), "fall")
        await asyncio.sleep(1.0)

    house.live(work)
    [told] = events_of(house, "bug")
    assert told.fields == {"kind": "RuntimeError", "task": "fall"}


def test_an_event_for_an_account_nobody_keeps_is_dropped() -> None:
    house = home()

    async def work() -> None:
        house.supervisor.ring("nobody")
        house.supervisor.settled("nobody", True)

    house.live(work)


def test_I11_a_service_that_hangs_delays_no_other_family() -> None:
    time = VirtualTime()
    slow = FakeProvider("slow", slowly(tokens(2), 50.0))
    quick = FakeProvider("quick", tokens(2))
    disk = Disk(records={name: enrolled(name, time.now()) for name in ("slow", "quick")})
    house = House(slow, quick, disk=disk, time=time)

    async def work() -> None:
        hanging = asyncio.create_task(house.desk.operate("refresh", "slow", {}))
        await asyncio.sleep(1.0)
        assert house.state("slow").phase is Phase.SPENDING
        before = time.now().boot
        await house.desk.operate("refresh", "quick", {})
        assert time.now().boot - before < 5.0
        await hanging

    house.live(work)


def test_each_family_has_one_keeper_and_each_account_an_own_family_by_default() -> None:
    house = home()
    house.providers["other"] = FakeProvider("other", ladder=(REFRESH, PERSON))

    async def work() -> None:
        members = [dataclasses.replace(house.member(name), family="shared") for name in ("mail", "other")]
        assert house.supervisor.keeper("mail") is not house.supervisor.keeper("other")
        house.supervisor.roster.enlist(
            dataclasses.replace(members[0], plan=dataclasses.replace(members[0].plan, account="x"))
        )
        house.supervisor.roster.enlist(
            dataclasses.replace(members[1], plan=dataclasses.replace(members[1].plan, account="y"))
        )
        assert house.supervisor.keeper("x") is house.supervisor.keeper("y")

    house.live(work)


def test_a_bug_in_one_tick_is_told_and_the_next_tick_comes() -> None:
    house = House(FakeProvider("mail"), disk=only("mail", time := VirtualTime()), time=time)
    ticks: list[float] = []

    def realign() -> None:
        ticks.append(house.time.boot())
        raise LookupError("a bug of the alarms")

    async def work() -> None:
        house.alarms.realign = realign  # type: ignore[method-assign]
        await asyncio.sleep(3 * TICK_SECONDS + 1.0)

    house.live(work)
    assert len(ticks) == 3
    assert house.told.count("bug") == 3
