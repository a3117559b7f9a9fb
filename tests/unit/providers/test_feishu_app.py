"""What an app's answer comes to: a lease or none, and never the end of anything."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.core.model import Lease, Record, Secret
from freshd.core.outcome import Answered, Judged, Rejected, Remedy, Reply, Unreadable
from tests.unit.providers.feishu_parts import LEASE, app, intent
from tests.unit.providers.judged import change, lease
from tests.unit.providers.parts import SENT, reply
from tests.unit.providers.test_feishu_read import HEADERS, JSON, STATUSES, Headers

TENANT: dict[str, Any] = {"code": 0, "msg": "ok", "tenant_access_token": "t-TT-0001", "expire": 7200}
APP: dict[str, Any] = {**TENANT, "app_access_token": "t-AA-0001"}
OAUTH: dict[str, Any] = {"code": 0, "access_token": "jwt", "expires_in": 7200, "token_type": "Bearer"}
FORMS = st.sampled_from([{}, {"token": "app"}, {"form": "oauth"}])


def judge(answer: Reply, keys: dict[str, Any] | None = None, record: Record | None = None) -> Judged:
    return app(**(keys or {})).read("issue", record or Record("a"), intent("issue"), answer)


@pytest.mark.parametrize(
    ("keys", "body", "token"),
    [({}, TENANT, "t-TT-0001"), ({}, APP, "t-TT-0001"), ({"token": "app"}, APP, "t-AA-0001"),
     ({"form": "oauth"}, OAUTH, "jwt"), ({}, {**TENANT, "code": "0", "expire": "7200"}, "t-TT-0001")],
)  # fmt: skip
def test_the_token_wanted_is_taken(keys: dict[str, Any], body: dict[str, Any], token: str) -> None:
    judged = judge(reply(body), keys)
    assert lease(judged) == Lease("a", 4, Secret(token), SENT, 7200.0, {"token_type": "Bearer"})
    assert change(judged).grant is None


def test_the_same_token_again_counts_by_what_is_left_of_it() -> None:
    judged = judge(reply({**TENANT, "expire": 1830}), record=Record("a", 0, None, LEASE))
    assert (lease(judged).valid_for, lease(judged).generation) == (1830.0, 4)


@pytest.mark.parametrize(("expire", "life"), [(0, 300.0), (-5, 300.0), ("x", 300.0), (None, 7200.0), (1e300, 7200.0)])
def test_an_absurd_life_shortens_the_lease(expire: object, life: float) -> None:
    judged = judge(reply({**TENANT, "expire": expire}))
    assert lease(judged).valid_for == life
    assert isinstance(judged, Answered)
    assert judged.notes == ({} if expire is None else {"expire": "unbelievable"})


@pytest.mark.parametrize(
    "body", [b"<html>", {}, {"code": 0}, {**TENANT, "tenant_access_token": ""}, {**TENANT, "tenant_access_token": 5}]
)
def test_a_success_without_the_token_is_none(body: object) -> None:
    assert isinstance(judge(reply(body)), Unreadable)


@pytest.mark.parametrize("more", [{"code": 10014}, {"code": "31337"}, {"code": True}])
def test_a_token_in_a_refusal_is_not_published(more: dict[str, Any]) -> None:
    assert isinstance(judge(reply({**TENANT, **more})), Rejected)


def test_a_wrong_secret_is_told_by_word_too() -> None:
    judged = judge(reply({"error": "invalid_client", "error_description": "x"}, 401), {"form": "oauth"})
    assert judged == Rejected("invalid_client", Remedy.CONFIG, dead=frozenset())


@given(
    st.binary(max_size=200) | JSON.map(lambda body: json.dumps(body).encode()), STATUSES, HEADERS, FORMS, st.booleans()
)
def test_no_answer_makes_it_raise_or_gives_up(
    body: bytes, status: int, headers: Headers, keys: dict[str, Any], complete: bool
) -> None:
    judged = judge(Reply(status, headers, body, complete), keys)
    if isinstance(judged, Rejected):
        assert judged.remedy in (Remedy.WAIT, Remedy.CONFIG)


CODES = st.integers(10_000, 10_100) | st.integers(20_000, 21_100) | st.integers(99_991_000, 99_992_000)


@given(CODES, STATUSES, FORMS)
def test_every_refusal_is_retryable_or_the_configurations(code: int, status: int, keys: dict[str, Any]) -> None:
    judged = judge(reply({"code": code, "msg": "x"}, status), keys)
    if isinstance(judged, Rejected):
        assert judged.remedy in (Remedy.WAIT, Remedy.CONFIG)
        assert not judged.dead
