"""What must come of each way in which Feishu is known to go wrong: expectations first, then what was seen.

An expectation holds what the service's pages and reports say, not what the code does.  Gaps are bounds for a busy
machine; a working daemon leaves none, for in every one of these the token in hand goes on for a while.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from tests.flow import feishu_days, feishu_plot
from tests.flow.scenarios import Rows

pytestmark = pytest.mark.timeout(300)
REFRESH = "refresh_token"
DROPPED = f"{REFRESH} granted (lost_after_commit)"
MOST_MISSES = 20
"""Reads: three seconds of them where the machine is idle."""
ADVISED = "mend it, in the configuration or at the service, then reload, or: freshd refresh {name}"
ENROL = "freshd enrol {name}"


@dataclass(frozen=True, slots=True)
class Expected:
    """healed: the rung of the next good lease; calls: what the service is asked in all; reason: None if nobody is
    needed; live: refresh tokens of the newest grant that work in the end.
    """

    calls: tuple[str, ...]
    healed: str = "refresh"
    reason: str | None = None
    remedy: str = ENROL
    live: int = 1


def once_more(first: str) -> Expected:
    """Asked again with the same secret, and well."""
    return Expected((first, f"{REFRESH} granted"))


def spent(first: str, code: str = "20064") -> Expected:
    """Presented once more, refused as used, and then a person's."""
    return Expected((first, f"{REFRESH} {code}"), "authorize", code)


def refused(code: str, healed: str = "refresh", remedy: str = ADVISED) -> Expected:
    """Asked once, and not again before somebody has done something."""
    return Expected((f"{REFRESH} {code}",), healed, code, remedy)


FINE = Expected((f"{REFRESH} granted",))
EXPECTED: Mapping[str, Expected] = {
    # before the service has changed anything
    "busy-20072": once_more(f"{REFRESH} 20072"),
    "fault-20050": once_more(f"{REFRESH} 20050"),
    "refused-connection": FINE,
    "rate-limited": once_more(f"{REFRESH} 99991400"),
    "rate-limited-400": once_more(f"{REFRESH} 99991400"),
    "page-502": once_more(f"{REFRESH} bad_gateway"),
    "200-with-a-code": once_more(f"{REFRESH} 20072"),
    # after it: the successor is lost, and nobody can ask for it again
    "dropped-old-token-one-minute": Expected((DROPPED,), "authorize", "answer-lost"),
    "dropped-old-token-to-its-end": spent(DROPPED),
    "dropped-reuse-ends-all": spent(DROPPED),
    "dropped-20073": spent(DROPPED, "20073"),
    "fault-20050-after": spent(f"{REFRESH} granted"),
    "page-502-after": spent(f"{REFRESH} granted"),
    "slower-than-the-deadline": spent(f"{REFRESH} granted (in_flight)"),
    # odd answers
    "code-as-text": FINE,
    "no-refresh-token": Expected((f"{REFRESH} granted",), "authorize", "nothing left to renew with"),
    "fewer-scopes": FINE,
    "empty-access-token": once_more(f"{REFRESH} granted"),
    "clock-of-the-service-ahead": FINE,
    "clock-of-the-service-behind": FINE,
    # what a person must do
    "switched-off-20074": refused("20074"),
    "user-removed": refused("20008", "authorize", ENROL),
    "user-frozen": refused("20066"),
    "secret-changed": refused("20002"),
    "a-year-over": refused("20037", "device", ENROL),
    "policy-21000": refused("21000", ""),
    # somebody else
    "used-elsewhere-20064": Expected((f"{REFRESH} granted", f"{REFRESH} 20064"), "authorize", "20064"),
    "used-elsewhere-20073": Expected((f"{REFRESH} granted", f"{REFRESH} 20073"), "authorize", "20073"),
    "used-elsewhere-spared": Expected((f"{REFRESH} granted", f"{REFRESH} 20064"), "authorize", "20064"),
    # ways in
    "v1-oidc-renewed": Expected((f"{REFRESH} granted",), "refresh-v1"),
    "v1-oidc-migrated": Expected(("authorization_code granted",)),
    "enrolled-by-code": Expected(("authorization_code granted",)),
    "enrolled-by-device": Expected(("device_code granted",)),
}  # fmt: skip

BY_A_PERSON = frozenset({"v1-oidc-migrated", "enrolled-by-code", "enrolled-by-device"})
"""A person takes longer than a lease lives here, so that renewals may lie between."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """All scenes, lived through once."""
    return feishu_plot.lived(tmp_path_factory.mktemp("feishu"))


def test_every_scene_is_expected_to_come_to_something(rows: Rows) -> None:
    assert rows.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_the_service_is_asked_no_more_than_that_and_that_rung_heals(rows: Rows, name: str) -> None:
    row, expected = rows[name], EXPECTED[name]
    assert row.calls[-1:] == expected.calls if name in BY_A_PERSON else row.calls == expected.calls
    assert row.healed == expected.healed


@pytest.mark.parametrize("name", EXPECTED)
def test_a_person_is_asked_only_where_nobody_else_can_help_and_told_what_to_do(rows: Rows, name: str) -> None:
    row, expected = rows[name], EXPECTED[name]
    assert row.reason == expected.reason
    assert row.remedy == (None if expected.reason is None else expected.remedy.format(name=name))


@pytest.mark.parametrize("name", EXPECTED)
def test_I9_readers_are_served_until_it_is_healed_or_told(rows: Rows, name: str) -> None:
    assert rows[name].missed <= MOST_MISSES


@pytest.mark.parametrize("name", EXPECTED)
def test_I5_no_spent_token_is_presented_and_one_lives_in_the_end(rows: Rows, name: str) -> None:
    assert rows[name].spent == 0
    assert rows[name].live == EXPECTED[name].live


def test_what_is_wrong_at_the_app_is_said_in_words(rows: Rows) -> None:
    assert "switched off" in rows["switched-off-20074"].detail
    assert "challenge at passport.feishu.cn" in rows["policy-21000"].detail
    assert "left or is frozen" in rows["user-frozen"].detail


def test_an_answer_that_lacks_something_is_told_and_used(rows: Rows) -> None:
    assert rows["fewer-scopes"].told == ("refresh.succeeded", "answer.odd")
    assert rows["no-refresh-token"].told[-1] == "grant.gone"
    assert rows["empty-access-token"].told == ("refresh.without-token", "refresh.succeeded")


@pytest.fixture(scope="module")
def days() -> Rows:
    """What takes hours and days, on virtual time."""
    return feishu_days.lived()


HEALED_IN_TIME = {
    "unknown-code": "refresh", "tenant-token": "issue", "app-token": "issue", "oauth-token": "issue",
    "nobody-reads-for-a-week": "refresh", "clock-ten-minutes-ahead": "refresh", "clock-ten-minutes-behind": "refresh",
}  # fmt: skip


@pytest.mark.parametrize("name", HEALED_IN_TIME)
def test_what_heals_by_itself_leaves_no_gap(days: Rows, name: str) -> None:
    row = days[name]
    assert row.healed == HEALED_IN_TIME[name]
    assert (row.gap, row.spent) == (0.0, 0)
    assert "account.parked" not in row.told


def test_an_unknown_code_is_told_and_the_same_token_presented_once_more(days: Rows) -> None:
    assert days["unknown-code"].calls[:2] == ("refresh_token feishu_code", "refresh_token granted")
    assert days["unknown-code"].told.count("code.unknown") == 1


@pytest.mark.parametrize("name", ["tenant-token", "app-token", "oauth-token"])
def test_an_apps_token_is_never_asked_for_while_the_same_would_come_again(days: Rows, name: str) -> None:
    assert {call.split()[1] for call in days[name].calls} == {"granted"}


def test_the_end_of_the_year_is_told_before_it_comes(days: Rows) -> None:
    row = days["the-year-ends"]
    assert row.calls[-1] == "refresh_token 20037"
    assert (row.reason, row.remedy, row.gap) == ("20037", "freshd enrol user", 0.0)
    assert row.told.index("grant.ending") < row.told.index("account.parked")
