"""Every code of the platform and what it calls for, on every rung it can come of."""

from dataclasses import replace
from typing import Any

import pytest

from freshd.core.model import Secret
from freshd.core.outcome import Judged, Rejected, Remedy, Unreadable
from freshd.providers.feishu.refusal import APP, NEWER, OLDER
from tests.unit.providers.feishu_parts import LOG_ID, OLD, PRESENTED, RECORD, app, intent, judge
from tests.unit.providers.parts import reply

WAIT, CLIMB, PERSON, CONFIG, BUG = Remedy.WAIT, Remedy.CLIMB, Remedy.PERSON, Remedy.CONFIG, Remedy.BUG
LOW = replace(RECORD, grant=replace(OLD, secrets={"refresh_token": Secret("ur-rt-0001")}))
OTHER = replace(RECORD, grant=replace(OLD, secrets={"refresh_token": Secret("another-token")}))
OPEN, UNKNOWN, AGAIN = "open", "unknown", "again"

# status, code, what it calls for on a refresh, what on a person's step.  CLIMB: and the secret presented is dead.
NEWER_TABLE = [
    (400, 20001, BUG, BUG),
    (400, 20002, CONFIG, CONFIG),
    (400, 20003, UNKNOWN, PERSON),
    (400, 20004, UNKNOWN, PERSON),
    (400, 20008, CLIMB, PERSON),
    (400, 20009, CONFIG, CONFIG),
    (400, 20010, CONFIG, CONFIG),
    (400, 20024, CONFIG, CONFIG),
    (400, 20026, CLIMB, UNKNOWN),
    (400, 20036, BUG, BUG),
    (400, 20037, CLIMB, UNKNOWN),
    (400, 20048, CONFIG, CONFIG),
    (400, 20049, UNKNOWN, BUG),
    (500, 20050, OPEN, OPEN),
    (400, 20063, BUG, BUG),
    (400, 20064, CLIMB, UNKNOWN),
    (400, 20065, UNKNOWN, PERSON),
    (400, 20066, CONFIG, CONFIG),
    (400, 20067, BUG, BUG),
    (400, 20068, CONFIG, CONFIG),
    (400, 20069, CONFIG, CONFIG),
    (400, 20070, BUG, BUG),
    (400, 20071, UNKNOWN, CONFIG),
    (503, 20072, WAIT, WAIT),
    (400, 20073, CLIMB, UNKNOWN),
    (400, 20074, CONFIG, UNKNOWN),
    (200, 20138, UNKNOWN, PERSON),
    (400, 21000, CONFIG, UNKNOWN),
    (400, 21001, CONFIG, UNKNOWN),
    (429, 99991400, WAIT, WAIT),
    (400, 99991400, WAIT, WAIT),
    (400, 99991543, CONFIG, CONFIG),
    (400, 99991662, CONFIG, CONFIG),
    (400, 99991673, CONFIG, CONFIG),
]
OLDER_TABLE = [
    (200, 20001, BUG),
    (200, 20002, CONFIG),
    (200, 20007, WAIT),
    (200, 20008, CLIMB),
    (200, 20009, CONFIG),
    (200, 20013, AGAIN),
    (200, 20014, AGAIN),
    (200, 20021, CONFIG),
    (200, 20022, CONFIG),
    (200, 20023, CONFIG),
    (200, 20024, CONFIG),
    (200, 20025, BUG),
    (200, 20026, CLIMB),
    (200, 20028, CONFIG),
    (200, 20029, CONFIG),
    (200, 20036, BUG),
    (200, 20037, CLIMB),
    (200, 20038, CLIMB),
    (200, 20042, CONFIG),
    (200, 20046, CONFIG),
    (500, 20050, OPEN),
    (429, 99991400, WAIT),
    (200, 99991543, CONFIG),
    (200, 99991662, CONFIG),
    (200, 99991663, AGAIN),
    (200, 99991664, AGAIN),
    (200, 99991673, CONFIG),
]
APP_TABLE = [
    (200, 10003, CONFIG),
    (200, 10014, CONFIG),
    (400, 10014, CONFIG),
    (400, 20001, CONFIG),
    (400, 20002, CONFIG),
    (400, 20009, CONFIG),
    (200, 20028, CONFIG),
    (400, 20036, CONFIG),
    (200, 20046, CONFIG),
    (400, 20048, CONFIG),
    (500, 20050, WAIT),
    (400, 20063, CONFIG),
    (400, 20067, CONFIG),
    (400, 20068, CONFIG),
    (400, 20069, CONFIG),
    (400, 20070, CONFIG),
    (503, 20072, WAIT),
    (429, 99991400, WAIT),
    (200, 99991543, CONFIG),
    (200, 99991662, CONFIG),
    (200, 99991673, CONFIG),
]


def comes_to(judged: Judged, expected: object, code: int, presented: str | None) -> None:
    """Check a whole judgement against one cell of a table."""
    if expected == OPEN:
        assert isinstance(judged, Unreadable)
        assert not judged.gateway
        assert str(code) in judged.reason
        return
    assert isinstance(judged, Rejected), judged
    assert judged.code == str(code)
    assert judged.drop == frozenset()
    assert judged.known == (expected != UNKNOWN)
    remedies = {UNKNOWN: WAIT, AGAIN: Remedy.UNAVAILABLE}
    assert judged.remedy is remedies.get(str(expected), expected)
    assert judged.again == ((1.0,) if expected == AGAIN else ())
    dies = expected is CLIMB and presented is not None
    assert judged.dead == (frozenset({presented}) if dies else frozenset())


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize(("status", "code", "refresh", "_"), NEWER_TABLE)
def test_a_refresh_that_is_refused(status: int, code: int, refresh: object, _: object, as_text: bool) -> None:
    body = {"code": str(code) if as_text else code, "error_description": "for people"}
    comes_to(judge(reply(body, status)), refresh, code, "refresh_token")


@pytest.mark.parametrize("rung", ["authorize", "device"])
@pytest.mark.parametrize(("status", "code", "_", "exchange"), NEWER_TABLE)
def test_a_persons_step_that_is_refused(status: int, code: int, _: object, exchange: object, rung: str) -> None:
    comes_to(judge(reply({"code": code, "msg": "for people"}, status), rung), exchange, code, None)


@pytest.mark.parametrize(("status", "code", "expected"), OLDER_TABLE)
def test_a_refresh_of_the_older_generation_that_is_refused(status: int, code: int, expected: object) -> None:
    body = {"code": code, "msg": "for people", "data": {}}
    comes_to(judge(reply(body, status), "refresh-v1"), expected, code, "refresh_token_v1")


@pytest.mark.parametrize("keys", [{}, {"token": "app"}, {"form": "oauth"}])
@pytest.mark.parametrize(("status", "code", "expected"), APP_TABLE)
def test_an_apps_token_that_is_refused(status: int, code: int, expected: object, keys: dict[str, Any]) -> None:
    judged = app(**keys).read("issue", OTHER, intent("issue"), reply({"code": code, "msg": "no"}, status))
    comes_to(judged, expected, code, None)


def test_no_code_stands_in_a_table_and_not_here() -> None:
    assert NEWER.keys() == {str(row[1]) for row in NEWER_TABLE}
    assert OLDER.keys() == {str(row[1]) for row in OLDER_TABLE}
    assert APP.keys() == {str(row[1]) for row in APP_TABLE}


@pytest.mark.parametrize(("rung", "code"), [("refresh", 20026), ("refresh", 20064), ("refresh", 20073),
                                            ("refresh-v1", 20026), ("refresh-v1", 20038)])  # fmt: skip
def test_all_codes_for_a_spent_token_are_handled_alike(rung: str, code: int) -> None:
    judged = judge(reply({"code": code}, 400), rung)
    assert judged == Rejected(str(code), CLIMB, dead=frozenset({PRESENTED[rung]}))


@pytest.mark.parametrize("code", [99999, -1, 10**30, 0.5, True, [], {}, "moon", "  ", "0x4e"])
@pytest.mark.parametrize("rung", ["refresh", "refresh-v1", "authorize", "device"])
def test_an_unknown_code_keeps_everything_and_names_fields_only(code: object, rung: str) -> None:
    judged = judge(reply({"code": code, "msg": "S3cret", "hint": "S3cret"}, 400, {"X-Tt-Logid": LOG_ID}), rung)
    if code == "  ":
        assert isinstance(judged, Unreadable)
        return
    assert isinstance(judged, Rejected)
    assert (judged.remedy, judged.known, judged.dead, judged.drop) == (WAIT, False, frozenset(), frozenset())
    assert judged.detail == f"unknown code; status 400, fields: code, hint, msg; log id {LOG_ID}"


def test_a_server_that_fails_with_an_unknown_code_is_not_the_services_own_word() -> None:
    judged = judge(reply({"code": 12345, "msg": "x"}, 502))
    assert judged == Unreadable("an error page in JSON (status 502)", gateway=True)


WORDS = [
    ("refresh", "invalid_grant", CLIMB),
    ("refresh-v1", "invalid_grant", CLIMB),
    ("authorize", "invalid_grant", PERSON),
    ("refresh", "invalid_client", CONFIG),
    ("refresh", "temporarily_unavailable", WAIT),
    ("device", "access_denied", PERSON),
    ("device", "expired_token", PERSON),
]


@pytest.mark.parametrize(("rung", "word", "remedy"), WORDS)
def test_a_word_speaks_where_there_is_no_number(rung: str, word: str, remedy: Remedy) -> None:
    judged = judge(reply({"error": word, "error_description": "for people"}, 400), rung)
    dead = {PRESENTED[rung]} if remedy is CLIMB else set()
    assert judged == Rejected(word, remedy, dead=frozenset(dead))


def test_a_word_for_a_fault_of_the_server_settles_nothing() -> None:
    assert isinstance(judge(reply({"error": "server_error"}, 500)), Unreadable)


def test_beside_an_unknown_number_only_a_harmless_word_speaks() -> None:
    spent = judge(reply({"code": 29999, "error": "invalid_grant"}, 400))
    assert isinstance(spent, Rejected)
    assert (spent.code, spent.known, spent.dead) == ("29999", False, frozenset())
    assert judge(reply({"code": 29999, "error": "invalid_client"}, 400)) == Rejected(
        "invalid_client", CONFIG, dead=frozenset()
    )


def test_a_known_number_outranks_its_word() -> None:
    judged = judge(reply({"code": 20074, "error": "invalid_grant"}, 400))
    assert isinstance(judged, Rejected)
    assert (judged.remedy, judged.dead) == (CONFIG, frozenset())


@pytest.mark.parametrize("more", [{}, {"code": 20999}, {"code": "20999"}])
def test_a_device_waits_for_its_person(more: dict[str, Any]) -> None:
    pending = judge(reply({**more, "error": "authorization_pending"}, 400), "device", interval="5")
    assert pending == Rejected("authorization_pending", WAIT, 5.0, dead=frozenset())
    slower = judge(reply({**more, "error": "slow_down"}, 400), "device", interval="5")
    assert slower == Rejected("slow_down", WAIT, 10.0, dead=frozenset())


WAITS: list[tuple[dict[str, str], float | None]] = [
    ({}, None),
    ({"x-ogw-ratelimit-reset": "1.5"}, 1.5),
    ({"X-Ogw-Ratelimit-Reset": "2", "Retry-After": "7"}, 7.0),
    ({"x-ogw-ratelimit-reset": "20.25", "Retry-After": "7"}, 20.25),
    ({"Retry-After": "0.5"}, 0.5),
    ({"Retry-After": "Fri, 15 Jan 2027 08:00:09 GMT", "Date": "Fri, 15 Jan 2027 08:00:00 GMT"}, 9.0),
    ({"x-ogw-ratelimit-reset": "soon", "Retry-After": "-3"}, None),
    ({"x-ogw-ratelimit-reset": "inf", "Retry-After": "nan"}, None),
    ({"x-ogw-ratelimit-reset": "9e9"}, 86_400.0),
]


@pytest.mark.parametrize(("headers", "seconds"), WAITS)
@pytest.mark.parametrize(("status", "code"), [(429, 99991400), (400, 99991400), (503, 20072)])
def test_the_longer_of_two_waits_is_kept(
    headers: dict[str, str], seconds: float | None, status: int, code: int
) -> None:
    judged = judge(reply({"code": code, "msg": "slower"}, status, headers))
    assert isinstance(judged, Rejected)
    assert (judged.remedy, judged.retry_after) == (WAIT, seconds)


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", {"code": 20064}])
def test_too_many_requests_means_wait_whoever_says_it(body: object) -> None:
    judged = judge(reply(body, 429, {"Retry-After": "3"}))
    assert isinstance(judged, Rejected)
    assert (judged.remedy, judged.retry_after) == (WAIT, 3.0)


CHALLENGES = [
    ("https://accounts.feishu.cn/challenge?t=S3cret", "challenge at accounts.feishu.cn"),
    (" `https://accounts.feishu.cn/c` ", "challenge at accounts.feishu.cn"),
    ("http://accounts.feishu.cn/c", ""),
    ("https://ur-rt-0001.example.org/", ""),
    ("https://" + "a" * 40 + ".cn/", ""),
    ("https://u:p@[x", ""),
    ("https://xn--\u0430.cn/", ""),
    (17, ""),
]


@pytest.mark.parametrize(("url", "told"), CHALLENGES)
@pytest.mark.parametrize("wrapped", [False, True])
def test_of_a_challenge_only_its_host_is_told(url: object, told: str, wrapped: bool) -> None:
    inner = {"challenge_url": url, "cli_hint": "S3cret"}
    judged = judge(
        reply({"code": 21000, **({"data": inner} if wrapped else inner)}, 400), record=OTHER if told else LOW
    )
    assert isinstance(judged, Rejected)
    assert judged.remedy is CONFIG
    assert judged.detail.partition("; ")[2] == told
    assert "S3cret" not in repr(judged)


IDS = [
    (LOG_ID, True),
    ("021689930123456fdbddc0300fff1190a2bc5de0000000", True),
    ("ur-RT-0001", False),
    ("S3cretS3cretS3cretS3cret", False),
    ("20260418221530" + "x" * 60, False),
    ("2026-04-18 22:15", False),
    ("<b>", False),
]


@pytest.mark.parametrize(("given", "is_shown"), IDS)
def test_only_what_looks_like_a_request_id_is_shown(given: str, is_shown: bool) -> None:
    judged = judge(reply({"code": 20002}, 400, {"X-Tt-Logid": given}))
    assert isinstance(judged, Rejected)
    assert (given in judged.detail) == is_shown


def test_a_request_id_that_holds_a_secret_is_none() -> None:
    hidden = "20260418221530" + "abcdef"
    judged = judge(reply({"code": 20002}, 400, {"X-Tt-Logid": hidden}), code_verifier="abcdef")
    assert hidden not in repr(judged)


@pytest.mark.parametrize("name", ["code", "error"])
@pytest.mark.parametrize("value", ["ur-RT-0001", "x ur-RT-0001", "<b>", "\x1b[31m", "y" * 60, "ünknown"])
def test_no_text_of_a_reply_is_shown(name: str, value: str) -> None:
    assert value not in repr(judge(reply({name: value, value: 1, "msg": value}, 400)))
