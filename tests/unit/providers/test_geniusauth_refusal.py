"""Every code of the service, on every rung: what it calls for, and that none of them costs a grant."""

from dataclasses import replace

import pytest

from freshd.core.model import Record
from freshd.core.outcome import Rejected, Remedy
from freshd.providers.geniusauth.refusal import CODES
from tests.unit.providers.geniusauth_parts import (
    APP,
    ENROLLED,
    RECORD,
    TERMS,
    WIKI,
    judge,
    jwt,
    no,
    provider,
    record,
    rejected,
)
from tests.unit.providers.parts import SENT, reply

BUG, WAIT, CONFIG, PERSON = Remedy.BUG, Remedy.WAIT, Remedy.CONFIG, Remedy.PERSON
TABLE: dict[int, tuple[int, Remedy, Remedy]] = {
    1: (400, BUG, BUG),
    2: (403, CONFIG, CONFIG),
    3: (404, CONFIG, CONFIG),
    4: (500, WAIT, PERSON),
    5: (500, WAIT, PERSON),
    6: (401, CONFIG, PERSON),
    7: (403, PERSON, PERSON),
    8: (500, WAIT, PERSON),
    9: (403, CONFIG, CONFIG),
    10: (403, BUG, BUG),
    11: (403, PERSON, PERSON),
    12: (409, PERSON, PERSON),
    13: (404, CONFIG, CONFIG),
    14: (404, CONFIG, CONFIG),
    15: (403, PERSON, PERSON),
    16: (409, PERSON, PERSON),
    17: (404, PERSON, PERSON),
    18: (400, PERSON, PERSON),
    19: (403, WAIT, WAIT),
    20: (403, PERSON, PERSON),
    21: (403, PERSON, PERSON),
    22: (403, PERSON, PERSON),
    23: (500, PERSON, PERSON),
    24: (403, PERSON, PERSON),
    25: (404, PERSON, PERSON),
    26: (403, PERSON, PERSON),
    27: (403, PERSON, PERSON),
    28: (404, PERSON, PERSON),
    29: (403, PERSON, PERSON),
    30: (403, PERSON, PERSON),
    31: (403, PERSON, PERSON),
    32: (404, PERSON, PERSON),
}
"""Code → HTTP status, remedy of a renewal, remedy of a login whose signature is known to be good."""


def test_the_table_holds_every_code() -> None:
    assert {str(code) for code in TABLE} == {*CODES, "5", "31"}


@pytest.mark.parametrize("code", TABLE)
@pytest.mark.parametrize("rung", ["refresh", "patch", "payload"])
def test_a_code_calls_for_the_same_on_every_call_with_a_refresh_token(code: int, rung: str) -> None:
    status, remedy, _ = TABLE[code]
    found = rejected(judge(no(code, status), rung, payload="p"))
    assert (found.code, found.remedy, found.known) == (str(code), remedy, True)
    assert (found.drop, found.dead) == (frozenset(), frozenset())


@pytest.mark.parametrize("code", TABLE)
def test_a_login_cannot_be_repeated_so_what_would_pass_calls_the_person_again(code: int) -> None:
    status, _, remedy = TABLE[code]
    found = rejected(judge(no(code, status), "login", of=Record("a"), signed="yes"))
    assert (found.code, found.remedy, found.known) == (str(code), remedy, True)
    assert found.again == ((1.0,) if code == 9 else ())


@pytest.mark.parametrize("code", [str, float])
def test_the_code_counts_however_it_is_written(code: type) -> None:
    assert rejected(judge(reply({"code": code(31)}, 403))).code == "31"


@pytest.mark.parametrize("status", [200, 401, 403, 404, 500, 503])
def test_the_status_is_secondary(status: int) -> None:
    assert rejected(judge(no(31, status))).code == "31"
    assert rejected(judge(no(3, status))).remedy is CONFIG


# -- 5 and 6 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "remedy"), [(500, WAIT), (502, WAIT), (401, CONFIG), (403, CONFIG)])
def test_5_goes_by_the_status_and_kills_nothing(status: int, remedy: Remedy) -> None:
    for terms in (TERMS, WIKI):
        found = rejected(judge(no(5, status), terms=terms))
        assert (found.remedy, found.dead, found.known) == (remedy, frozenset(), True)


def test_5_with_a_status_that_says_nothing_is_as_good_as_unknown() -> None:
    found = rejected(judge(no(5, 418)))
    assert (found.known, found.remedy, found.dead) == (False, PERSON, frozenset())


def test_at_a_login_not_authorised_means_the_login_only_where_the_signature_is_known_to_be_good() -> None:
    assert rejected(judge(no(6, 401), "login", of=Record("a"))).remedy is CONFIG
    assert rejected(judge(no(6, 401), "login", of=Record("a"), signed="yes")).remedy is PERSON
    assert rejected(judge(no(5, 401), "login", of=Record("a"), terms=WIKI)).remedy is PERSON


# -- 9 and 429 ------------------------------------------------------------------------------------------------------


def test_a_wrong_time_is_signed_anew_once_and_then_a_matter_of_the_clock() -> None:
    found = rejected(judge(no(9, 403)))
    assert (found.again, found.remedy) == ((1.0,), CONFIG)
    assert "clock" in found.detail


@pytest.mark.parametrize("body", [{"code": 6}, {}, {"message": "slow"}])
def test_too_many_requests_means_wait_whoever_says_so(body: dict[str, object]) -> None:
    found = rejected(judge(reply(body, 429, {"Retry-After": "7"})))
    assert (found.remedy, found.retry_after) == (WAIT, 7.0)


# -- 31 -------------------------------------------------------------------------------------------------------------

HOST = "geniusauth v.ncuos.com"


@pytest.mark.parametrize("rung", ["refresh", "patch"])
def test_a_token_whose_end_lies_ahead_is_asked_for_again_three_times_before_it_is_given_up(rung: str) -> None:
    found = rejected(judge(no(31, 403), rung))
    assert (found.again, found.host) == ((5.0, 30.0, 120.0), HOST)
    assert (found.remedy, found.dead) == (PERSON, frozenset())


@pytest.mark.parametrize(("past", "is_over"), [(-1, False), (0, False), (59, False), (60, False), (61, True)])
def test_a_token_past_its_end_is_believed_dead_with_a_minute_to_spare(past: float, is_over: bool) -> None:
    found = rejected(judge(no(31, 403), of=record(jwt(ends=SENT.wall - past))))
    assert bool(found.again) is not is_over
    assert (found.host is None) is is_over
    assert (found.remedy, found.drop) == (PERSON, frozenset())


@pytest.mark.parametrize(("absolute", "is_over"), [(None, False), (99 * 86_400.0, False), (86_400.0, True)])
def test_a_token_that_tells_no_end_goes_by_the_age_of_its_login(absolute: float | None, is_over: bool) -> None:
    held = record("opaque")
    assert held.grant is not None
    aged = replace(held, grant=replace(held.grant, absolute_for=absolute, enrolled=ENROLLED))
    assert bool(rejected(judge(no(31, 403), of=aged)).again) is not is_over


def test_an_operators_change_is_not_repeated_by_itself_and_parks_nobody() -> None:
    found = rejected(judge(no(31, 403), "payload", payload="p"))
    assert (found.again, found.host, found.dead) == ((), None, frozenset())


# -- codes that nobody knows ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "remedy"), [(400, PERSON), (418, PERSON), (500, WAIT), (200, WAIT), (302, WAIT)])
def test_an_unknown_code_keeps_everything_and_is_told(status: int, remedy: Remedy) -> None:
    found = rejected(judge(no(77, status)))
    assert (found.code, found.known, found.remedy) == ("77", False, remedy)
    assert (found.drop, found.dead) == (frozenset(), frozenset())
    assert str(status) in found.detail


@pytest.mark.parametrize("code", [True, [], {}, "word c4nary!", "x" * 60])
def test_a_code_that_is_none_is_not_shown(code: object) -> None:
    judged = judge(reply({"code": code, "data": {"a": "c4nary"}}, 403))
    assert isinstance(judged, Rejected)
    assert "c4nary" not in repr(judged)
    assert not judged.known


def test_no_refusal_shows_a_secret_of_ours() -> None:
    token = RECORD.grant.secrets["refresh_token"].reveal() if RECORD.grant is not None else ""
    judged = judge(reply({"code": token, "data": {token: 1, APP: 2}}, 403))
    assert isinstance(judged, Rejected)
    assert token not in repr(judged)


# -- what readers meet ------------------------------------------------------------------------------------------------

MET: list[tuple[int | None, str | None, bool]] = [
    (403, "31", True),
    (None, "31", True),
    (401, None, True),
    (401, "", True),
    (403, None, False),
    (403, "6", False),
    (401, "6", False),
    (401, "5", False),
    (403, "9", False),
    (500, "8", False),
    (None, None, False),
]


@pytest.mark.parametrize(("status", "code", "is_dead"), MET)
def test_only_a_word_about_the_token_itself_means_that_it_is_dead(
    status: int | None, code: str | None, is_dead: bool
) -> None:
    assert provider().is_dead(status, code) is is_dead
