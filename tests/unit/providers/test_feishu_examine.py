"""An examination names the cause it can see, asks no token endpoint for users, and shows nothing foreign."""

from collections.abc import Sequence
from dataclasses import replace
from email.utils import formatdate

import pytest

from freshd.core.model import Record, Secret
from freshd.core.outcome import Lost, NotSent, Performed, Reply
from freshd.errors import FreshdError
from freshd.ports import Found
from freshd.providers.feishu.client import Client
from freshd.providers.feishu.examine import Examination
from freshd.providers.feishu.options import Options
from tests.unit.providers.feishu_parts import LEASE, OLD, RECORD, SECRET, app, deps, provider
from tests.unit.providers.parts import SENT, Clock, FakeHttp, reply

FRESH = replace(RECORD, lease=replace(LEASE, sent=SENT))
ACCEPTED = {"code": 0, "msg": "ok", "tenant_access_token": "t-c4nary", "app_access_token": "a-c4nary", "expire": 7200}
USER = reply({"code": 0, "data": {"open_id": "ou_alice", "name": "c4nary"}})


def dated(body: object, offset: float = 0.0, status: int = 200) -> Reply:
    return reply(body, status, {"Date": formatdate(SENT.wall + offset, usegmt=True)})


async def examined(*answers: Performed, record: Record = FRESH, subject: str | None = None) -> Sequence[Found]:
    http = FakeHttp(*answers)
    found = await provider(http, subject=subject).examine(record)
    paths = [call.url.partition(".cn")[2] for call in http.calls]
    assert set(paths) <= {"/open-apis/auth/v3/tenant_access_token/internal", "/open-apis/authen/v1/user_info"}
    told = str(found)
    assert not any(word in told for word in ("c4nary", "S3cret", "u-AT-0001", "ur-RT-0001"))
    assert all(one.remedy for one in found if one.level == 2)
    return found


async def causes(*answers: Performed, record: Record = FRESH, subject: str | None = None) -> list[tuple[int, str]]:
    return [(one.level, one.cause) for one in await examined(*answers, record=record, subject=subject)]


async def test_where_all_is_well_it_says_so() -> None:
    assert await causes(dated(ACCEPTED), USER) == [(0, ""), (0, "")]
    assert await causes(dated(ACCEPTED), USER, subject="ou_alice") == [(0, ""), (0, "")]


@pytest.mark.parametrize("code", [10003, 10014, 20002, 99991543, "10014"])
async def test_a_pair_that_does_not_fit_is_the_cause(code: object) -> None:
    assert (await causes(dated({"code": code, "msg": "c4nary"}), USER))[0] == (2, "app-refused")


async def test_a_pair_refused_in_a_word_is_the_cause_too() -> None:
    assert (await causes(dated({"error": "invalid_client"}, 0, 401), USER))[0] == (2, "app-refused")


@pytest.mark.parametrize("code", [20046, 20048])
async def test_the_other_brand_is_the_cause(code: int) -> None:
    found = await examined(dated({"code": code}), USER)
    assert found[0].cause == "wrong-app"
    assert "brand" in found[0].remedy


@pytest.mark.parametrize("code", [99991400, 20072, 31337])
async def test_a_service_that_cannot_say_now_is_no_cause(code: int) -> None:
    assert (await causes(dated({"code": code}, 0, 400), USER))[0] == (1, "")


@pytest.mark.parametrize(("offset", "is_off"), [(0, False), (25, False), (-25, False), (32, True), (-3600, True)])
@pytest.mark.parametrize("body", [ACCEPTED, {"code": 10014}])
async def test_a_clock_that_is_off_is_told_whatever_else_is(offset: float, is_off: bool, body: object) -> None:
    found = await examined(dated(body, offset), USER)
    assert ("clock" in {one.cause for one in found}) == is_off
    if is_off:
        [clock] = [one for one in found if one.cause == "clock"]
        assert ("behind" if offset > 0 else "ahead of") in clock.text


BETWEEN: list[Performed] = [
    reply(b"<html>c4nary</html>"),
    reply(b"<html>c4nary</html>", 502),
    reply({"code": 0, "tenant_access_token": "t"}, 407),
    reply(b"", 403),
    NotSent("the certificate is not trusted"),
    NotSent("the proxy does not let the call through"),
]


@pytest.mark.parametrize("answer", BETWEEN)
async def test_what_answers_in_the_services_place_is_the_cause(answer: Performed) -> None:
    assert await causes(answer, reply(b"<html>", 502)) == [(2, "gateway")]


@pytest.mark.parametrize("answer", [NotSent("the host name cannot be resolved"), Lost("the connection was closed")])
async def test_a_service_out_of_reach_is_no_cause(answer: Performed) -> None:
    assert await causes(answer, answer) == [(1, "")]


@pytest.mark.parametrize("code", [20008, 20021, 20022, 20023, "20066"])
async def test_a_user_who_is_gone_is_the_cause(code: object) -> None:
    assert (await causes(dated(ACCEPTED), reply({"code": code})))[1] == (2, "user-gone")


@pytest.mark.parametrize("code", [99991663, 99991668, 99991677])
async def test_a_token_refused_before_its_end_was_ended_by_somebody(code: int) -> None:
    assert (await causes(dated(ACCEPTED), reply({"code": code}, 401)))[1] == (2, "revoked")


async def test_a_token_refused_after_its_end_tells_nothing() -> None:
    assert (await causes(dated(ACCEPTED), reply({"code": 99991677}, 401), record=RECORD))[1] == (1, "")


@pytest.mark.parametrize("code", [99991400, 99991679, 31337, None])
async def test_a_token_that_could_not_be_tried_tells_nothing(code: object) -> None:
    assert (await causes(dated(ACCEPTED), reply({"code": code}, 400)))[1] == (1, "")


async def test_a_token_of_another_user_is_told_and_the_users_are_not_named() -> None:
    found = await examined(dated(ACCEPTED), USER, subject="ou_bob")
    assert found[1].level == 2
    assert "ou_" not in str(found)
    bound = replace(FRESH, grant=replace(OLD, binding=replace(OLD.binding, subject="ou_bob")))
    assert (await examined(dated(ACCEPTED), USER, record=bound))[1].level == 2


async def test_without_a_token_in_hand_nobody_is_asked_for_its_user() -> None:
    assert await causes(dated(ACCEPTED), record=Record("a")) == [(0, "")]


@pytest.mark.parametrize("kind", ["tenant", "app"])
async def test_an_app_is_examined_by_asking_for_its_token(kind: str) -> None:
    http = FakeHttp(dated(ACCEPTED, -100))
    found = await app(http, token=kind).examine(Record("a"))
    assert [one.cause for one in found] == ["", "clock"]
    assert http.calls[0].url.endswith(f"/auth/v3/{kind}_access_token/internal")


async def test_a_secret_that_cannot_be_had_is_told() -> None:
    options = Options(app_id="cli_a1", app_secret=replace(SECRET, where=("/gone",)))
    with pytest.raises(FreshdError):
        await deps(FakeHttp()).resolve(options.app_secret)
    found = await Examination(Client(options, deps(FakeHttp())), Clock(), "a").app("tenant")
    assert [(one.level, one.text, one.remedy) for one in found] == [(2, "no such secret", "write one")]


def test_the_token_in_hand_is_the_one_that_is_tried() -> None:
    assert FRESH.lease is not None
    assert FRESH.lease.token == Secret("u-AT-0001")
