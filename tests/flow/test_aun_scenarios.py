"""What must come of each way in which AUN is known to go wrong: expectations first, then what was seen.

An expectation holds what is written of the protocol, not what the code does.  Gaps are bounds for a busy machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pytest

from tests.flow import aun_alone, aun_plot, aun_sessions
from tests.flow.scenarios import Row, Rows

pytestmark = pytest.mark.timeout(300)
LOGIN: Final = ("login1 ok", "login2 granted")
REFUSED: Final = "refresh -32001"
LOST: Final = "(lost_after_commit)"
MOST_MISSES: Final = 20
"""Reads: three seconds of them where the machine is idle."""
SOON_SECONDS: Final = 12.0
"""A login at the gateway is there again: a second until the next try, and what a busy machine adds."""
LATER_SECONDS: Final = 45.0
ENROL: Final = "freshd enrol {name}"
MEND: Final = "mend it, in the configuration or at the service, then reload, or: freshd refresh {name}"
FREE: Final = "end the other login, or give this one a name of its own; then: freshd refresh {name}, or reload freshd"
CORRECT: Final = (
    "correct [channels.{name}] and reload; if the other side was mended: freshd refresh {name}, or reload freshd"
)

KEPT_OUT: Final = "see whether the other side knows the account's tokens; then: freshd refresh {name}"


@dataclass(frozen=True, slots=True)
class Expected:
    """calls: None where chance has a part in them; healed: the rung of the next good lease; reason: of a person's."""

    calls: tuple[str, ...] | None
    healed: str = "login"
    reason: str | None = None
    remedy: str = ""


def told(code: str, remedy: str, *calls: str) -> Expected:
    return Expected(calls, "", code, remedy)


ACCOUNTS: Final[Mapping[str, Expected]] = {
    "refresh-lost-before": Expected(("refresh lost_before_commit", *LOGIN)),
    "refresh-lost-after": Expected((f"refresh granted {LOST}", *LOGIN)),
    "refresh-slow": Expected(("refresh granted",), "refresh"),
    "refresh-slower-than-the-deadline": Expected(("refresh granted (in_flight)", *LOGIN)),
    **{name: Expected((REFUSED, *LOGIN)) for name in aun_plot.TEXTS},
    "relogin-required": Expected((REFUSED, *LOGIN)),
    "refresh-refused-as-error": Expected((REFUSED, *LOGIN)),
    "refresh-retryable": Expected(("refresh ok", "refresh granted"), "refresh"),
    "chain-used-up": Expected(("refresh -32005", *LOGIN)),
    "chain-used-up-as-result": Expected(("refresh -32005", *LOGIN)),
    "rate-limited-32029": Expected(("refresh -32029", "refresh granted"), "refresh"),
    "rate-limited-429": Expected(("refresh 429", "refresh granted"), "refresh"),
    "rate-limited-without-a-time": Expected(("refresh -32029", "refresh granted"), "refresh"),
    "trouble-5003": Expected(("refresh 5003", *LOGIN)),
    "internal-32603": Expected(("refresh -32603", *LOGIN)),
    "no-rotation": Expected(("refresh granted", "refresh granted"), "refresh"),
    "login-lost": Expected((REFUSED, "login1 ok", f"login2 granted {LOST}", *LOGIN)),
    "login-1-lost": Expected((REFUSED, "login1 ok", *LOGIN)),
    "login-nonce-stale": Expected((REFUSED, "login1 ok", "login2 -32002", *LOGIN)),
    "login-32001-once": Expected((REFUSED, "login1 ok", "login2 -32001", *LOGIN)),
    "login-32001": told("-32001", MEND, REFUSED, *("login1 ok", "login2 -32001") * 2),
    "login-32003": told("-32003", MEND, REFUSED, *("login1 ok", "login2 -32003") * 2),
    "login-success-false": told("no", MEND, REFUSED, *("login1 ok", "login2 ok") * 2),
    "login-without-refresh-token": Expected((REFUSED, *LOGIN * 2)),
    "login-token-only": Expected((REFUSED, *LOGIN * 2)),
    "wrong-root": told("chain-root", "freshd explain {name}", REFUSED, "login1 ok"),
    "new-cert": Expected((REFUSED, *LOGIN)),
    "new-cert-wrong-key": Expected((REFUSED, *LOGIN)),
    "new-cert-foreign": Expected((REFUSED, *LOGIN)),
    "active-cert-alone": Expected((REFUSED, *LOGIN)),
    "past-half-life": Expected(LOGIN),
    "past-half-life-and-no-new-cert": Expected((*LOGIN, "login1 ok", "renew granted")),
    "certificate-over-30-days": Expected(("login1 ok", "login2 -32002", "login1 ok", "renew granted", *LOGIN)),
    "certificate-over-120-days": told("-32002", ENROL, "login1 -32002"),
    "certificate-revoked": told("-32002", ENROL, REFUSED, *("login1 -32002",) * 3),
    "rekey": Expected(("login1 ok", "rekey granted", *LOGIN)),
    "rekey-lost-before": Expected(("login1 ok", "rekey lost_before_commit", REFUSED, *LOGIN)),
    "rekey-lost-after": Expected(
        ("login1 ok", f"rekey granted {LOST}", REFUSED, "login1 -32002", "login1 -32002", *LOGIN)
    ),
    "create": Expected(("create granted", *LOGIN)),
    "create-lost-before": Expected(("create lost_before_commit", "create granted", *LOGIN)),
    "create-lost-after": Expected((f"create granted {LOST}", *LOGIN)),
}  # fmt: skip
CERTIFICATES: Final = {
    "new-cert": "this certificate, good",
    "new-cert-wrong-key": "this certificate, good",
    "new-cert-foreign": "this certificate, good",
    "active-cert-alone": "this certificate, good",
    "past-half-life": "this certificate, good",
    "past-half-life-and-no-new-cert": "this certificate, good",
}
"""How the certificate in hand relates to the registered one in the end."""
REFRESHED: Final = ("refresh granted", "connect ok")
LOGGED_IN: Final = (REFUSED, *LOGIN, "connect ok")
SESSIONS: Final[Mapping[str, Expected]] = {
    "access-token-revoked": Expected(REFRESHED, "refresh"),
    "both-tokens-revoked": Expected(LOGGED_IN),
    "both-tokens-revoked-announced": Expected(LOGGED_IN),
    **{
        f"revoked-{how}": Expected(("connect 4001", *REFRESHED), "refresh")
        for how in ("answered-and-closed", "answered", "closed-without-answer")
    },
    "both-revoked-session-cut": Expected(("connect 4001", *LOGGED_IN)),
    "both-revoked-closed-without-answer": Expected(("connect 4001", *LOGGED_IN)),
    "revocation-ends-the-session": Expected(REFRESHED, "refresh"),
    "revocation-known-late": Expected(("connect ok", "connect 4001", *REFRESHED), "refresh"),
    "every-token-refused": Expected(None, "", "4001", KEPT_OUT),
    "cut-off": Expected(("connect ok",), "reconnect"),
    "slot-taken-over": told("4009", FREE, "connect ok"),
    "slot-taken-before": Expected(None, "reconnect"),
    "quota-of-slots": told("4015", FREE, "connect ok"),
    "session-kept-at-expiry": Expected(("refresh granted",) * 2, "refresh"),
    "session-ended-at-expiry": Expected(REFRESHED, "refresh"),
    "session-follows-the-lease": Expected(REFRESHED, "refresh"),
}  # fmt: skip
SETTLED_LATE: Final = frozenset({1001, 1011, 4008, 4012, 4013, 4014})
"""Closes that are the gateway's own affair: there the next login comes after a longer while."""
SLOW: Final = frozenset({"slot-taken-before"})


def closing(code: int, *, announced: bool) -> Expected:
    if code == aun_sessions.DEAD_TOKEN:
        return Expected(REFRESHED, "refresh")
    if code in aun_sessions.STOPS or (announced and code > aun_sessions.LAST_OF_PROTOCOL):
        mends = CORRECT if code in (4003, 4011) else FREE
        return told(str(code), mends)
    return Expected(("connect ok",), "reconnect")


ALONE: Final[Mapping[str, Expected]] = {
    "gateway-1-down": Expected(REFRESHED, "refresh"),
    "all-gateways-down": Expected(REFRESHED, "refresh"),
    "gateway-list-changed": Expected(REFRESHED, "refresh"),
    "health-503": Expected(("connect ok",), "reconnect"),
    "frame-before-the-challenge": Expected(None, "refresh"),
    "never-a-challenge": Expected(None, "refresh"),
    "challenge-without-a-nonce": Expected(("connect ok",), "reconnect"),
    "stray-frames": Expected(LOGGED_IN),
    "unknown-fields": Expected(LOGGED_IN),
    "restart-with-a-revoked-token": Expected(("connect 4001", *REFRESHED), "refresh"),
    "restart-with-both-revoked": Expected(("connect 4001", *LOGGED_IN)),
    "auth-key-rolled-over": Expected(LOGGED_IN),
    "auth-key-rolled-over-and-the-old-one-retired": Expected(("connect 4001", *REFRESHED), "refresh"),
    "auth-key-of-another-curve": Expected(LOGGED_IN),
}  # fmt: skip
"""What happens to a whole gateway."""
SETTLING: Final = 4
"""Logins with a lease that is young, and was not seen to work since the start, before its refusal is believed."""
CLOSES: Final = {
    f"close-{code}-{'announced' if announced else 'plain'}": closing(code, announced=announced)
    for code in aun_sessions.CODES
    for announced in (False, True)
}
HELD: Final = {**SESSIONS, **CLOSES}
CHAPTERS: Final[Mapping[str, Mapping[str, Expected]]] = {"accounts": ACCOUNTS, "sessions": HELD, "alone": ALONE}
SEEN: Final = {name: expected for chapter in CHAPTERS.values() for name, expected in chapter.items()}


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """All scenes of accounts, lived through once."""
    return aun_plot.lived(tmp_path_factory.mktemp("aun"))


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """All scenes of logins that are held."""
    return aun_sessions.lived(tmp_path_factory.mktemp("aun"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """All scenes of a whole gateway."""
    return aun_alone.lived(tmp_path_factory.mktemp("aun"))


@pytest.fixture
def row(request: pytest.FixtureRequest, name: str) -> Row:
    """What was seen of the scene of that name."""
    rows: Rows = request.getfixturevalue(next(chapter for chapter, names in CHAPTERS.items() if name in names))
    return rows[name]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_scene_is_expected_to_come_to_something(request: pytest.FixtureRequest, chapter: str) -> None:
    assert request.getfixturevalue(chapter).keys() == CHAPTERS[chapter].keys()


@pytest.mark.parametrize("name", SEEN)
def test_the_service_is_asked_no_more_than_that_and_that_rung_heals(row: Row, name: str) -> None:
    expected, calls = SEEN[name], row.calls
    if name.startswith("restart-"):
        assert calls.count("connect 4001") <= SETTLING
        calls = tuple(call for call, before in zip(calls, ("", *calls), strict=False) if call != before)
    assert expected.calls is None or calls == expected.calls
    assert row.healed == expected.healed


@pytest.mark.parametrize("name", SEEN)
def test_a_person_is_asked_only_where_nobody_else_can_help_and_told_what_to_do(row: Row, name: str) -> None:
    expected = SEEN[name]
    assert (row.reason or "").partition(":")[0] == (expected.reason or "")
    assert row.remedy == (None if expected.reason is None else expected.remedy.format(name=name))


@pytest.mark.parametrize("name", SEEN)
def test_I5_nothing_spent_is_presented(row: Row, name: str) -> None:
    assert row.spent == 0, name


@pytest.mark.parametrize("name", SEEN)
def test_I9_readers_notice_nothing(row: Row, name: str) -> None:
    assert row.missed <= MOST_MISSES, name


@pytest.mark.parametrize("name", CERTIFICATES)
def test_the_certificate_that_the_issuer_has_is_the_one_in_hand(accounts: Rows, name: str) -> None:
    assert accounts[name].detail == CERTIFICATES[name]


@pytest.mark.parametrize("name", [name for name, expected in HELD.items() if expected.healed])
def test_a_login_is_back_soon_but_for_what_is_the_gateways_own_affair(sessions: Rows, name: str) -> None:
    gap = sessions[name].gaps["channel"]
    is_later = name in SLOW or any(name.startswith(f"close-{code}-") for code in SETTLED_LATE)
    assert gap <= (LATER_SECONDS if is_later else SOON_SECONDS)
    assert not is_later or gap > SOON_SECONDS


def test_where_every_token_is_refused_the_calls_are_few_and_somebody_is_told(sessions: Rows) -> None:
    row = sessions["every-token-refused"]
    assert "channel.kept-out" in row.told
    assert [call for call in row.calls if not call.startswith("connect")] == ["refresh granted", *LOGIN]
    assert row.calls.count("connect 4001") <= 12


def test_a_session_outlives_the_token_it_was_opened_with(sessions: Rows) -> None:
    assert sessions["session-kept-at-expiry"].gaps["channel"] == 0.0
