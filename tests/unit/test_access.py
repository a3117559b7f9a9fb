"""Deny is the default; every rule is one way in and none is a way round (I12)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.core.access import Identity, Policy, Readers, may_operate, may_read, may_see

ALICE = Identity(1000, 100, frozenset({200}), 77)
WEB = Identity(990, 990, frozenset(), 78, "web.service")


def of(readers: Readers, operators: Readers | None = None) -> Policy:
    return Policy({"calendar": readers}, operators or Readers(), 1)


@pytest.mark.parametrize(
    ("readers", "identity", "allowed"),
    [
        (Readers(), ALICE, False),
        (Readers(users=frozenset({1000})), ALICE, True),
        (Readers(users=frozenset({1001})), ALICE, False),
        (Readers(groups=frozenset({100})), ALICE, True),
        (Readers(groups=frozenset({200})), ALICE, True),
        (Readers(groups=frozenset({1000})), ALICE, False),
        (Readers(units=frozenset({"web.service"})), WEB, True),
        (Readers(units=frozenset({"web.service"})), ALICE, False),
        (Readers(units=frozenset({"web.service"})), Identity(990, 990, pid=78, unit="web.service/job"), False),
        (Readers(users=frozenset({1000})), Identity(0, 0, pid=1), False),
    ],
)
def test_one_matching_rule_is_enough_and_none_is_not(readers: Readers, identity: Identity, allowed: bool) -> None:
    assert may_read(of(readers), identity, "calendar") is allowed


def test_an_account_without_rules_and_an_unknown_one_are_nobodys() -> None:
    policy = Policy({"bare": Readers()}, generation=1)
    assert not may_read(policy, ALICE, "bare")
    assert not may_read(policy, ALICE, "missing")


@pytest.mark.parametrize("identity", [Identity(65534, 100, pid=5), Identity(1000, 100, pid=0), Identity(-1, 0, pid=5)])
def test_whoever_has_no_number_here_matches_nothing(identity: Identity) -> None:
    everybody = Readers(frozenset({identity.uid}), frozenset({identity.gid, 100}))
    assert not may_read(of(everybody), identity, "calendar")
    assert not may_operate(of(everybody, everybody), identity)


def test_operating_shows_health_and_gives_no_lease() -> None:
    policy = of(Readers(), Readers(frozenset({1000})))
    assert may_operate(policy, ALICE)
    assert may_see(policy, ALICE, "calendar")
    assert not may_read(policy, ALICE, "calendar")


def test_reading_is_no_operating() -> None:
    policy = of(Readers(frozenset({1000})))
    assert may_see(policy, ALICE, "calendar")
    assert not may_operate(policy, ALICE)


NUMBERS = st.frozensets(st.integers(0, 6), max_size=3)
UNITS = st.frozensets(st.sampled_from(["a.service", "b.service"]), max_size=2)


@given(
    readers=st.builds(Readers, NUMBERS, NUMBERS, UNITS),
    identity=st.builds(
        Identity, st.integers(0, 6), st.integers(0, 6), NUMBERS, st.integers(0, 3), st.none() | st.just("a.service")
    ),
)
def test_I12_whoever_may_read_is_named_by_the_rules(readers: Readers, identity: Identity) -> None:
    named = (
        identity.uid in readers.users
        or bool(readers.groups & {identity.gid, *identity.groups})
        or identity.unit in readers.units
    )
    assert may_read(of(readers), identity, "calendar") is (named and identity.pid > 0)
