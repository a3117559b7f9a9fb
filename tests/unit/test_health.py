"""How an account stands in an operator's words: every phase has its reason and its remedy, and no secret."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable

import pytest

from freshd import health
from freshd.core.contract import Contract, Reuse
from freshd.core.lifecycle import vacant
from freshd.core.model import Moment, Standing
from freshd.core.outcome import Lost, NotSent, Remedy
from freshd.core.state import Phase, State
from freshd.tokens import Health
from tests.fakes.house import House, only
from tests.fakes.provider import ISSUE, FakeProvider, enrolled, plan_for, refusal, tokens
from tests.fakes.time import EPOCH, VirtualTime
from tests.fakes.vault import FULL, Disk

HOUR = 3600.0


def after(seconds: float, *script: object, valid_for: float = HOUR, **options: object) -> tuple[House, Health]:
    """The health of an enrolled account after so many seconds of its life."""
    time = VirtualTime()
    house = House(FakeProvider("mail", *script, **options), disk=only("mail", time, valid_for), time=time)  # type: ignore[arg-type]

    async def work() -> Health:
        await asyncio.sleep(seconds)
        return house.desk.health("mail")

    return house, house.live(work)


def test_a_healthy_account_says_until_when_and_what_comes_next() -> None:
    house, view = after(0.0)
    assert (view.phase, view.renewable, view.reason, view.remedy) == ("live", "yes", None, None)
    assert (view.account, view.kind, view.generation) == ("mail", "oauth2", 1)
    assert view.usable_until == EPOCH + HOUR
    assert view.next_refresh_at is not None
    assert EPOCH < view.next_refresh_at < EPOCH + HOUR
    assert view.next_refresh_at == pytest.approx(EPOCH + house.alarms.at["mail"] - 1000.0)
    assert view.fingerprint == enrolled("mail", house.time.now()).lease.fingerprint  # type: ignore[union-attr]
    assert view.more == {"rungs": ["refresh", "authorize"]}


def test_counts_and_the_last_outcome_are_those_of_this_process() -> None:
    _, view = after(HOUR, tokens(2))
    assert (view.refreshes, view.heals, view.last_outcome, view.generation) == (1, 0, "ok", 2)


def test_an_account_that_was_never_enrolled_says_how() -> None:
    house = House(FakeProvider("mail"))
    view = house.live(_look(house))
    assert (view.phase, view.renewable, view.reason) == ("vacant", "no", "never enrolled")
    assert (view.remedy, view.usable_until, view.next_refresh_at) == ("freshd enrol mail", None, None)


def _look(house: House) -> Callable[[], Awaitable[Health]]:
    async def look() -> Health:
        return house.desk.health("mail")

    return look


def test_an_account_that_needs_no_person_is_renewable_from_the_start() -> None:
    house = House(FakeProvider("mail", ladder=(ISSUE,)))
    view = house.live(_look(house))
    assert (view.renewable, view.reason) == ("yes", None)


def test_a_parked_account_says_its_code_and_its_remedy() -> None:
    _, view = after(HOUR, refusal("invalid_grant", Remedy.CLIMB))
    assert (view.phase, view.renewable, view.reason) == ("parked", "no", "invalid_grant")
    assert (view.remedy, view.next_refresh_at) == ("freshd enrol mail", None)


def test_a_doubtful_account_says_since_when_and_when_it_is_tried_again() -> None:
    _, view = after(HOUR - 100.0, Lost("gone"))
    assert (view.phase, view.renewable) == ("doubtful", "unknown")
    assert view.reason == "in doubt: gone"
    assert view.doubtful_since is not None
    assert view.next_refresh_at is not None
    assert view.doubtful_since < view.next_refresh_at < EPOCH + HOUR


def test_an_account_in_trouble_that_is_tried_again_by_itself_says_what_the_last_attempt_came_to() -> None:
    _, view = after(HOUR - 850.0, *[NotSent("no route")] * 50)
    assert (view.phase, view.renewable) == ("live", "yes")
    assert view.reason is not None
    assert "not-sent" in view.reason
    assert view.remedy is not None


def test_an_answer_that_is_not_durable_is_said_with_the_place_to_look_at() -> None:
    time = VirtualTime()
    house = House(FakeProvider("mail", tokens(2)), disk=only("mail", time, 1.0), time=time)
    house.vault.broken["commit"] = FULL

    async def work() -> Health:
        await house.until(Phase.UNSAVED)
        return house.desk.health("mail")

    view = house.live(work)
    assert (view.phase, view.renewable) == ("unsaved", "unknown")
    assert view.remedy is not None
    assert "freshd doctor" in view.remedy


@pytest.mark.parametrize(
    ("flag", "reason", "renewable"), [("paused", "paused", "yes"), ("retired", "not in the configuration", "no")]
)
def test_what_an_operator_stopped_has_no_next_refresh(flag: str, reason: str, renewable: str) -> None:
    house, _ = after(0.0)
    state = dataclasses.replace(house.state(), **{flag: True})  # type: ignore[arg-type]
    view = health.of("oauth2", plan_for(house.providers["mail"]), state, house.time)
    assert (view.reason, view.next_refresh_at, view.renewable) == (reason, None, renewable)
    assert view.usable_until is not None
    assert view.remedy


def test_a_lease_without_a_grant_behind_it_is_the_last() -> None:
    house, _ = after(0.0)
    state = house.state()
    bare = dataclasses.replace(state, standing=dataclasses.replace(state.standing, held=frozenset()))
    view = health.of("oauth2", plan_for(house.providers["mail"]), bare, house.time)
    assert (view.renewable, view.reason, view.remedy) == ("no", "nothing left to renew with", "freshd enrol mail")


def test_the_grants_own_end_is_told_as_a_date() -> None:
    _, view = after(0.0, contract=Contract(Reuse.STRICT, absolute_life=86_400.0))
    assert view.deadline == EPOCH + 86_400.0


def test_dates_are_wall_clock_seconds_of_now_even_after_the_clock_was_set() -> None:
    house, _ = after(0.0)
    house.time.step(-500.0)
    view = health.of("oauth2", plan_for(house.providers["mail"]), house.state(), house.time)
    assert view.usable_until == EPOCH + HOUR - 500.0


def test_while_the_vault_is_locked_nothing_is_claimed_to_be_known() -> None:
    view = health.while_locked(health.of("oauth2", plan_for(FakeProvider("mail")), vacant("mail"), _Clock()))
    assert (view.phase, view.renewable, view.reason) == ("locked", "unknown", "the vault is locked")
    assert view.remedy is not None
    assert "freshd doctor" in view.remedy


class _Clock:
    def now(self) -> Moment:
        return Moment(EPOCH, 1000.0, "boot")

    def boot(self) -> float:
        return 1000.0


def test_an_account_that_is_only_in_the_vault_says_how_to_end_or_to_keep_it() -> None:
    house = House(disk=Disk(records={"old": enrolled("old", VirtualTime().now())}))

    async def work() -> Health:
        return house.desk.health("old")

    view = house.live(work)
    assert (view.phase, view.renewable, view.retired, view.kind) == ("retired", "no", True, "oauth2")
    assert view.remedy == "freshd forget old, or configure it again"
    assert health.of_retired(Standing("bare")).kind == ""


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("flags", [{}, {"paused": True}, {"retired": True}])
def test_every_phase_can_be_told_and_what_is_not_renewable_has_a_remedy(phase: Phase, flags: dict[str, bool]) -> None:
    house, _ = after(0.0)
    state: State = dataclasses.replace(house.state(), phase=phase, **flags)  # type: ignore[arg-type]
    view = health.of("oauth2", plan_for(house.providers["mail"]), state, house.time)
    assert view.phase == phase.value
    assert view.renewable in ("yes", "no", "unknown")
    if flags:
        assert view.remedy
    assert (view.reason is None) == (view.remedy is None)


def test_I10_no_secret_is_in_a_health() -> None:
    for _, view in (after(0.0), after(HOUR, tokens(2)), after(HOUR, refusal("invalid_grant", Remedy.CLIMB))):
        text = repr(view)
        assert not any(secret in text for secret in ("rt-1", "rt-2", "at-1", "at-2"))
