"""What an examination finds without spending anything, and what codes of the history mean."""

from collections.abc import Sequence
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest

from freshd.core.finding import CAUSES
from freshd.core.model import Moment, Record
from freshd.core.outcome import Lost, NotSent, Performed, Reply
from freshd.ports import Found
from freshd.providers.geniusauth.refusal import CODES
from tests.unit.providers.geniusauth_parts import ACCESS, LEASE, RECORD, REFRESH, no, ok, provider, record
from tests.unit.providers.parts import SENT, FakeHttp, reply

FINE = ok(jwt="x", ca="y")
EMPTY = Record("a")


async def examined(*answers: Performed, of: Record = RECORD, **keys: Any) -> Sequence[Found]:
    http = FakeHttp(*answers)
    found = await provider(http, **keys).examine(of)
    assert {call.url.partition("?")[0].rpartition("/")[2] for call in http.calls} <= {"server", "verify"}
    assert not any(word in str(found) for word in ("c4nary", "S3cret", REFRESH, ACCESS))
    assert all(one.remedy and one.cause in {*CAUSES, ""} for one in found if one.level == 2)
    return found


async def causes(*answers: Performed, of: Record = RECORD, **keys: Any) -> list[tuple[int, str]]:
    return [(one.level, one.cause) for one in await examined(*answers, of=of, **keys)]


async def test_where_all_is_well_it_says_so() -> None:
    assert await causes(FINE, ok(uid=8)) == [(0, ""), (0, "")]
    assert await causes(FINE, of=EMPTY) == [(0, "")]


@pytest.mark.parametrize(("code", "status", "cause"), [(3, 404, "wrong-app"), (6, 401, "app-refused")])
async def test_an_application_that_is_refused_is_the_cause(code: int, status: int, cause: str) -> None:
    assert await causes(no(code, status), of=EMPTY) == [(2, cause)]


async def test_a_clock_that_no_signing_mends_is_the_cause() -> None:
    assert await causes(no(9, 403), no(9, 403), of=EMPTY) == [(2, "clock")]


@pytest.mark.parametrize(("off", "level"), [(0, None), (9, None), (60, 1), (-60, 1)])
async def test_a_clock_that_is_off_is_told_though_calls_follow_the_services(off: float, level: int | None) -> None:
    answer = reply({"code": 0, "data": {}}, 200, {"Date": formatdate(SENT.wall + off, usegmt=True)})
    found = await causes(answer, of=EMPTY)
    assert found == [(0, ""), *([] if level is None else [(level, "clock")])]


BETWEEN: list[tuple[Performed, tuple[int, str]]] = [
    (reply(b"<html>c4nary", 200), (2, "gateway")),
    (reply({"c4nary": 1}, 200), (2, "gateway")),
    (reply(b"", 407), (2, "gateway")),
    (NotSent("TLS failed"), (2, "gateway")),
    (NotSent("the host name cannot be resolved"), (1, "")),
    (Lost("gone"), (1, "")),
    (no(8, 500), (1, "")),
]


@pytest.mark.parametrize(("answer", "found"), BETWEEN)
async def test_what_stands_in_between_is_told_from_the_service_itself(
    answer: Performed, found: tuple[int, str]
) -> None:
    assert await causes(answer, of=EMPTY) == [found]
    told = await causes(FINE, answer)
    assert told == [(0, ""), *([(1, "")] if found == (1, "") and isinstance(answer, Reply) else [])]


async def test_a_token_refused_before_its_end_was_ended() -> None:
    assert await causes(FINE, no(31, 403)) == [(0, ""), (2, "revoked")]
    over = replace(RECORD, lease=replace(LEASE, sent=Moment(SENT.wall - 900, SENT.boot - 900, "boot")))
    assert await causes(FINE, no(31, 403), of=over) == [(0, ""), (1, "")]
    assert await causes(FINE, no(8, 500)) == [(0, ""), (1, "")]


async def test_the_user_of_the_token_is_compared_with_the_one_that_enrolled() -> None:
    assert await causes(FINE, ok(uid=9)) == [(0, ""), (2, "")]
    assert await causes(FINE, ok(uid=9), of=record(subject=None, lease=LEASE)) == [(0, ""), (0, "")]
    assert await causes(FINE, ok(uid=8), subject="9") == [(0, ""), (2, "")]


# -- codes of the history ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("31", "revoked"),
        ("3", "wrong-app"),
        ("6", "app-refused"),
        ("9", "clock"),
        ("7", "user-gone"),
        ("26", "user-gone"),
        ("14", "wrong-app"),
        ("incompatible-server", "unknown"),
    ],
)
def test_a_code_about_the_grant_is_explained(code: str, cause: str) -> None:
    found = provider().explain(code)
    assert found is not None
    assert (found.level, found.cause) == (2, cause)
    assert code in found.text
    assert found.remedy
    assert "{" not in found.remedy


@pytest.mark.parametrize("code", ["1", "4", "8", "10", "19", "5", "77", "no-code", "ok", "c4nary"])
def test_a_code_that_says_nothing_of_it_is_not(code: str) -> None:
    assert provider().explain(code) is None


def test_every_explained_code_of_the_service_is_one_of_the_table() -> None:
    assert {code for code in CODES if provider().explain(code)} == {"2", "3", "6", "7", "9", "11", "13", "14", "26"}
