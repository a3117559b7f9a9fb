"""What must come of each way in which Futu is known, or feared, to go wrong: expectations first, then what was seen.

An expectation holds what is written of the login layer, not what the code does.  "hk" has the misfortune, "us" is the
broker beside it, which must notice nothing.  Whatever sleeps here does so on virtual time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from tests.flow import futu_nights, futu_plot
from tests.flow.scenarios import Rows

pytestmark = pytest.mark.timeout(300)
LEASE = "broker-auth"
RESTOCK = ("hk broker_auth granted", "hk repull granted", "hk repull granted")
ENROL = "freshd enrol {name}"
MOST_MISSES = 25
"""A refused lease is replaced by one exchange; a reader tries at every fourth read."""
HELD_BACK = frozenset({"20029-for-ever", "other-uid", "two-machines"})
"""Where "hk" may be without a lease: it has none until a person or a date comes."""


@dataclass(frozen=True, slots=True)
class Expected:
    """calls: None where the family's usual ones lie between; healed: empty where a person or a date must come."""

    calls: tuple[str, ...] | None
    healed: str = ""
    reason: str | None = None
    remedy: str | None = None


def person(code: str, remedy: str = ENROL) -> Expected:
    """The login is tried once, and never again by itself."""
    return Expected((f"authority {code}",), "", code, remedy)


EXPECTED: Mapping[str, Expected] = {
    "code-expired": Expected(("hk broker_auth 990003", "hk repull granted", "hk broker_auth granted"), LEASE),
    "20029-once": Expected(
        ("hk broker_auth granted", "hk repull 20029", "hk repull granted", "hk broker_auth granted"), LEASE
    ),
    "20029-for-ever": Expected(
        ("hk broker_auth granted", "hk repull 20029", "hk repull 20029"), "", "20029", "freshd explain {name}-hk"
    ),
    "no-web-signature": Expected(None, LEASE),
    "code-empty": Expected(RESTOCK, "repull"),
    "time-zero": Expected(RESTOCK, "repull"),
    "other-broker": Expected(RESTOCK, "repull"),
    "other-uid": Expected(
        ("hk broker_auth granted", "hk repull granted"), "", "wrong-identity", "freshd refresh {name}"
    ),
    "repull-lost": Expected(("hk broker_auth granted", "hk repull granted (lost)", "hk repull granted"), "repull"),
    "exchange-lost": Expected(
        ("hk broker_auth granted (lost)", "hk repull granted", "hk broker_auth granted"), LEASE
    ),
    "login-lost": Expected(("authority granted (lost)", "authority granted"), "refresh"),
    "login-20": person("20"),
    "login-33": person("33"),
    "login-2": person("2"),
    "login-11": person("11", "mend it, in the configuration or at the service, then reload, or: freshd refresh {name}"),
    "two-machines": Expected(None, "", "20", ENROL),
    "signature-refused": Expected(("hk broker_auth granted",), LEASE),
    "trading-connection": Expected(None, LEASE),
    "code-handed-out": Expected(("us broker_auth granted", "us repull granted"), "repull"),
}  # fmt: skip


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """All scenes, lived through once."""
    return futu_plot.lived(tmp_path_factory.mktemp("futu"))


def test_every_scene_is_expected_to_come_to_something(rows: Rows) -> None:
    assert rows.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_the_service_is_asked_no_more_than_that_and_that_rung_heals(rows: Rows, name: str) -> None:
    row, expected = rows[name], EXPECTED[name]
    own = tuple(call for call in row.calls if not call.startswith("us ") or name == "code-handed-out")
    assert expected.calls is None or own == expected.calls
    assert row.healed == expected.healed


@pytest.mark.parametrize("name", EXPECTED)
def test_a_person_is_asked_only_where_nobody_else_can_help_and_told_what_to_do(rows: Rows, name: str) -> None:
    row, expected = rows[name], EXPECTED[name]
    assert row.reason == expected.reason
    assert row.remedy == (None if expected.remedy is None else expected.remedy.format(name=name))


@pytest.mark.parametrize("name", EXPECTED)
def test_I5_nothing_spent_is_presented_and_no_text_message_is_sent(rows: Rows, name: str) -> None:
    assert rows[name].spent == 0
    assert rows[name].sms == 0


@pytest.mark.parametrize("name", EXPECTED)
def test_I9_readers_notice_nothing_where_the_lease_still_works(rows: Rows, name: str) -> None:
    row = rows[name]
    if name not in HELD_BACK:
        assert row.missed <= MOST_MISSES
    assert name == "two-machines" or row.misses.get("us", 0) <= MOST_MISSES


def test_a_success_that_brings_no_signature_makes_one_more_login_and_no_repull(rows: Rows) -> None:
    calls = rows["no-web-signature"].calls
    assert calls.count("authority granted") == 2
    second = [index for index, call in enumerate(calls) if call == "authority granted"][1]
    assert not [call for call in calls[: second + 1] if "repull" in call]


def test_the_trading_connection_is_up_again_without_a_restart(rows: Rows) -> None:
    assert rows["trading-connection"].healed == LEASE
    assert futu_plot.DIARIES["trading-connection"] == [
        "logged in", "line lost", "refused 990005", "reported: healing", "heard of another lease", "logged in",
    ]  # fmt: skip


def test_a_consumer_that_exchanges_codes_itself_gets_one_after_the_other(rows: Rows) -> None:
    assert rows["code-handed-out"].reason is None
    assert futu_plot.DIARIES["code-handed-out"] == ["login 0", "healing"] * futu_plot.CODES_SPENT


def test_a_second_machine_shows_as_a_check_and_is_not_fought_over(rows: Rows) -> None:
    assert rows["two-machines"].calls[-1] == "authority 20"
    assert "device" in rows["two-machines"].detail


# -- minutes and hours, on virtual time -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nights() -> Rows:
    return futu_nights.lived()


HEALED_IN_TIME = {
    "web-signature-refused": "refresh", "login-15-once": "refresh", "our-clock-ten-minutes-ahead": LEASE,
    "our-clock-ten-minutes-behind": LEASE, "their-clock-ten-minutes-ahead": LEASE,
    "their-clock-ten-minutes-behind": LEASE,
}  # fmt: skip


@pytest.mark.parametrize("name", HEALED_IN_TIME)
def test_what_heals_by_itself_leaves_no_gap(nights: Rows, name: str) -> None:
    row = nights[name]
    assert row.healed == HEALED_IN_TIME[name]
    assert (row.gap, row.parks, row.spent, row.sms) == (0.0, (), 0, 0)


def test_a_refused_web_signature_is_told_and_costs_one_login(nights: Rows) -> None:
    row = nights["web-signature-refused"]
    assert row.calls.count("authority") == 1
    assert "code.unknown" in row.told


def test_20029_for_ever_is_asked_about_four_times_an_hour_and_the_other_broker_goes_on(nights: Rows) -> None:
    row = nights["20029-for-ever-6-h"]
    assert row.parks == ("us 20029",)
    assert row.gaps["hk"] == 0.0
    assert "authority" not in row.calls
    healthy = row.calls.count("broker_auth")
    assert row.calls.count("repull") - healthy <= 2 + 6 * 4


@pytest.mark.parametrize(("name", "logins"), [("login-15-twice", 2), ("login-20-at-night", 1)])
def test_a_login_that_needs_a_person_is_not_repeated_while_the_brokers_live_on(
    nights: Rows, name: str, logins: int
) -> None:
    row = nights[name]
    assert row.calls.count("authority") == logins
    assert row.gap == 0.0
    assert (row.spent, row.sms, row.remedy) == (0, 0, "freshd enrol main")


def test_15_names_the_causes_to_look_for_in_order(nights: Rows) -> None:
    detail = nights["login-15-twice"].detail
    assert detail.index("another program") < detail.index("quick a row") < detail.index("device id spoilt")


def test_two_machines_never_make_more_logins_than_the_day_allows(nights: Rows) -> None:
    row = nights["two-machines-a-day"]
    assert row.calls.count("authority") <= 24
    assert (row.spent, row.sms) == (0, 0)
    assert "code.unknown" in row.told


def test_a_consumer_of_codes_gets_a_new_one_each_half_hour_all_day() -> None:
    us = f"broker_id = {futu_nights.BROKERS['us']}\n"
    world = futu_nights.World(text=futu_nights.CONFIGURATION.replace(us, f'{us}hand_out = "code"\n'))
    taken: set[str] = set()

    async def work() -> None:
        await world.daemon.operate("import", "main", secrets=world.record)
        for _ in range(48):
            lease = await world.daemon.token("us", 0.0, 60.0)
            assert lease is not None
            taken.add(lease)
            held = world.daemon.desk.lease("us")
            world.daemon.desk.refused("us", "" if held is None else held.fingerprint, None, "spent")
            await asyncio.sleep(1800.0)

    world.daemon.live(work)
    assert len(taken) == 48
