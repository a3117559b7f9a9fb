"""When to renew: never late, earlier only by jitter, never before the service's own reissue point."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from freshd.core import policy
from freshd.core.contract import Contract
from freshd.core.settings import Margins

UNTIL = st.floats(-1e6, 1e7)
LIFE = st.floats(1.0, 1e7)
DRAW = st.floats(0.0, 1.0, exclude_max=True)
MARGINS = st.builds(Margins, st.floats(0.01, 0.9), st.floats(1.0, 3600.0), st.floats(0.0, 0.1))
SLACK = 1e-6


@given(UNTIL, LIFE, MARGINS, DRAW)
def test_a_renewal_is_due_before_the_end_and_after_the_begin_of_a_life(
    until: float, valid_for: float, margins: Margins, draw: float
) -> None:
    at = policy.refresh_at(until, valid_for, margins, Contract(), draw)
    assert until - valid_for - SLACK <= at < until


@given(UNTIL, LIFE, MARGINS, DRAW)
def test_jitter_only_makes_earlier(until: float, valid_for: float, margins: Margins, draw: float) -> None:
    undrawn = policy.refresh_at(until, valid_for, margins, Contract(), 0.0)
    assert policy.refresh_at(until, valid_for, margins, Contract(), draw) <= undrawn


@given(UNTIL, LIFE, MARGINS, DRAW, st.floats(0.0, 1e7))
def test_nobody_asks_before_the_reissue_point(
    until: float, valid_for: float, margins: Margins, draw: float, reissue_left: float
) -> None:
    at = policy.refresh_at(until, valid_for, margins, Contract(reissue_left=reissue_left), draw)
    assert at >= until - reissue_left - SLACK
    assert at <= until


@given(UNTIL, LIFE, MARGINS, DRAW, st.floats(1.0, 1e7))
def test_a_grant_that_ends_before_its_lease_is_renewed_before_it_ends(
    until: float, valid_for: float, margins: Margins, draw: float, life: float
) -> None:
    ends = until - valid_for + life
    at = policy.refresh_at(until, valid_for, margins, Contract(), draw, ends)
    assert at <= max(ends - policy.lead(life, margins), until - valid_for) + SLACK
    assert at >= until - valid_for - SLACK


@given(UNTIL, LIFE, MARGINS, DRAW, st.floats(0.0, 1e9))
def test_an_end_that_the_lease_has_outlived_is_wrong_and_changes_nothing(
    until: float, valid_for: float, margins: Margins, draw: float, past: float
) -> None:
    """Else an account would renew without pause: a sliding end told only once, a boot under a wrong clock."""
    known = policy.refresh_at(until, valid_for, margins, Contract(), draw)
    assert policy.refresh_at(until, valid_for, margins, Contract(), draw, until - valid_for - past) == known


@given(UNTIL, LIFE, MARGINS)
def test_a_held_replay_comes_after_the_due_moment_and_before_the_end(
    until: float, valid_for: float, margins: Margins
) -> None:
    at = policy.replay_at(until, valid_for, margins)
    assume(valid_for > 1e-3)
    assert policy.refresh_at(until, valid_for, margins, Contract(), 0.0) - SLACK <= at < until


@given(LIFE, st.one_of(st.none(), st.floats(0.0, 1e7)))
def test_no_reader_is_promised_more_than_half_a_life_or_than_a_renewal_would_give(
    valid_for: float, reissue_left: float | None
) -> None:
    longest = policy.longest_ttl(valid_for, Contract(reissue_left=reissue_left))
    assert longest <= valid_for / 2
    assert reissue_left is None or longest <= reissue_left


@given(st.floats(-1e6, 1e7), st.floats(1.0, 1e7))
def test_announcements_come_in_shrinking_steps_each_in_its_time(left: float, whole: float) -> None:
    wait = policy.next_warning(left, whole)
    step = policy.warning_step(left, whole)
    if wait is None:
        assert all(before > whole / 2 or left <= before for before in policy.WARN_BEFORE_SECONDS)
        return
    assert wait > 0.0
    then = policy.warning_step(left - wait - SLACK, whole)
    assert then is not None
    assert step is None or then < step


@pytest.mark.parametrize(
    ("valid_for", "expected"), [(600.0, 200.0), (3600.0, 900.0), (86_400.0, 900.0), (0.0, 0.0), (-5.0, 0.0)]
)
def test_a_margin_is_a_share_of_the_life_and_capped(valid_for: float, expected: float) -> None:
    assert policy.lead(valid_for, Margins()) == expected
