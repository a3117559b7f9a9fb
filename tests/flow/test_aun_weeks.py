"""What must come of AUN accounts in hours and weeks, and what the vendor's own client does in the same cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest

from tests.flow import aun_days, aun_reference
from tests.flow.aun_reference import Seen
from tests.flow.scenarios import Rows

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def days() -> Rows:
    return aun_days.lived()


QUIET: Final = {
    "chain-of-720": (1, 929, 0),
    "chain-of-30-days": (1, 32, 0),
    "chain-shorter-than-known": (1, 175, 1),
    "life-below-a-usual-lead": (0, 2 * 3600 / 600, 0),
    "life-of-a-minute": (0, 2 * 3600 / 30, 0),
    "expires-in-zero": (0, 3, 0),
    "expires-in-missing": (0, 3, 0),
    "expires-in-text": (0, 3, 0),
}
"""Logins, refreshes at most, and refusals, in all the time."""


@pytest.mark.parametrize("name", QUIET)
def test_I6_no_life_is_so_short_and_no_chain_so_long_that_calls_storm(days: Rows, name: str) -> None:
    row, (logins, refreshes, refused) = days[name], QUIET[name]
    assert row.calls.count("login2") == logins
    assert 0 < row.calls.count("refresh") <= refreshes
    assert row.told.count("refresh.rejected") == refused
    assert (row.gap, row.spent, row.parks) == (0.0, 0, ())


CLOCKS: Final = tuple(
    f"{whose}-clock-ten-minutes-{way}" for whose in ("our", "gateways") for way in ("ahead", "behind")
)


@pytest.mark.parametrize("name", [*CLOCKS, "rate-limited-5-minutes", "unknown-code"])
def test_what_heals_by_itself_leaves_no_gap(days: Rows, name: str) -> None:
    row = days[name]
    assert row.healed == "refresh"
    assert (row.gap, row.spent, row.parks) == (0.0, 0, ())


@pytest.mark.parametrize(
    ("flaw", "code"),
    [("expired", "auth-cert-dates"), ("early", "auth-cert-dates"), ("foreign", "chain-root"),
     ("revoked", "auth-cert-revoked"), ("other_name", "auth-cert-name")],
)  # fmt: skip
def test_nothing_is_signed_for_a_service_that_is_not_proven_and_it_is_looked_at_again(
    days: Rows, flaw: str, code: str
) -> None:
    row = days[f"auth-certificate-{flaw}"]
    assert row.parks == (code,)
    assert row.calls.count("login2 granted") == 1, "the one once it was mended"
    assert row.calls.count("login1 ok") <= 4 * 3600 / 900 + 2
    assert "account.recovered" in row.told


def test_whoever_waits_for_a_lease_gets_one_from_the_rung_below(days: Rows) -> None:
    """A reader waits, and the refresh is refused, its token not judged dead: the login is next."""
    row = days["refused-lease-and-an-unknown-text"]
    assert row.calls.count("refresh -32001") == 1
    assert (row.gap, row.parks, row.healed) == (0.0, (), "refresh")


def test_trouble_of_the_gateway_makes_no_storm_and_parks_nobody(days: Rows) -> None:
    row = days["trouble-for-3-hours"]
    assert len(row.calls) <= 60
    assert row.parks == ()
    assert row.healed == "refresh"


def test_a_certificate_that_ended_while_the_machine_was_off_is_renewed(days: Rows) -> None:
    row = days["certificate-over-30-days-at-boot"]
    assert (row.calls.count("renew granted"), row.calls.count("login2 granted")) == (1, 1)
    assert (row.parks, row.spent) == ((), 0)


def test_a_certificate_that_ended_too_long_ago_needs_a_person(days: Rows) -> None:
    row = days["certificate-over-120-days-at-boot"]
    assert (row.parks, row.remedy) == (("-32002",), f"freshd enrol {aun_days.ACCOUNT}")
    assert row.calls == ("refresh -32005", "login1 -32002")


# -- the vendor's client in the same cases --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference() -> Mapping[str, Seen]:
    return aun_reference.lived()


STORMS: Final = {
    "a life below the lead": ("auth.refresh_token", aun_reference.STORM),
    "the chain is used up, told as -32005": ("auth.refresh_token", aun_reference.STORM),
    "access token revoked; answered and closed": ("auth.refresh_token", aun_reference.ATTEMPTS - 1),
    "every token refused": ("auth.refresh_token", aun_reference.ATTEMPTS - 1),
    "both tokens revoked, session cut": ("auth.connect", aun_reference.ATTEMPTS),
    "access token revoked; closed without an answer": ("auth.connect", 5),
    "started anew with a revoked token": ("auth.connect", 1 + aun_reference.STARTS),
}


@pytest.mark.parametrize("case", STORMS)
def test_the_client_storms_or_ends_dead(reference: Mapping[str, Seen], case: str) -> None:
    """Freshd's side of each case is a row with its own expectation."""
    method, least = STORMS[case]
    assert reference[case].calls[method] >= least


def test_the_client_posts_the_spent_token_again_after_a_lost_answer(reference: Mapping[str, Seen]) -> None:
    assert reference["a refresh's answer is lost"].replays == 1
