"""What can be known of time that passed, over boots and wrong clocks."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from freshd.core.age import age, at_least, left
from freshd.core.model import Moment

WALL = st.floats(0.0, 4e9)
BOOT = st.floats(0.0, 1e8)
LIFE = st.floats(0.0, 1e7)


@given(WALL, BOOT, st.floats(0.0, 1e6), st.floats(-4e9, 4e9), WALL)
def test_within_one_boot_steps_of_the_wall_clock_change_nothing(
    wall: float, boot: float, passed: float, step: float, high_water: float
) -> None:
    since = Moment(wall, boot, "boot-0")
    now = Moment(wall + passed, boot + passed, "boot-0")
    stepped = dataclasses.replace(now, wall=now.wall + step)
    assert age(since, now, high_water) == age(since, stepped, high_water)
    assert at_least(since, now) == at_least(since, stepped) == now.boot - since.boot


@given(WALL, BOOT, st.floats(0.0, 1e6), st.floats(0.0, 1e5), st.floats(-4e9, 4e9))
def test_what_is_certain_never_exceeds_what_really_passed(
    wall: float, boot: float, passed: float, uptime: float, error: float
) -> None:
    """Paces and waits count on it (I6)."""
    since = Moment(wall, boot, "boot-0")
    now = Moment(wall + passed + uptime + error, uptime, "boot-1")
    assert at_least(since, now) <= passed + uptime


@given(WALL, BOOT, LIFE, st.floats(0.0, 1e6), st.floats(0.0, 1e5), st.floats(0.0, 4e9))
def test_a_step_back_never_lengthens_a_life_beyond_what_is_known_to_have_passed(
    wall: float, boot: float, valid_for: float, uptime: float, high: float, back: float
) -> None:
    """After another boot: at least the time since it, and at least what the journal saw go by."""
    since, high_water = Moment(wall, boot, "boot-0"), wall + high
    true = Moment(high_water + uptime, uptime, "boot-1")
    stepped = dataclasses.replace(true, wall=true.wall - back)
    assert left(since, valid_for, stepped, high_water) <= valid_for - max(uptime, high) + 1e-3
    assert left(since, valid_for, true, high_water) <= left(since, valid_for, stepped, high_water) + 1e-3


@given(WALL, BOOT, st.floats(0.0, 1e5), st.floats(0.0, 1e6))
def test_below_the_high_water_mark_nothing_is_proven(wall: float, boot: float, uptime: float, below: float) -> None:
    since, high_water = Moment(wall, boot, "boot-0"), wall + 2e6
    assert not age(since, Moment(high_water - below - 1.0, uptime, "boot-1"), high_water).proven
    assert age(since, Moment(high_water + below, uptime, "boot-1"), high_water).proven


@given(WALL, BOOT, BOOT, WALL, st.sampled_from(["boot-0", "boot-1"]))
def test_no_age_is_negative(wall: float, boot: float, now_boot: float, now_wall: float, boot_id: str) -> None:
    since, now = Moment(wall, boot, "boot-0"), Moment(now_wall, now_boot, boot_id)
    assert age(since, now).seconds >= 0.0
    assert at_least(since, now) >= 0.0
