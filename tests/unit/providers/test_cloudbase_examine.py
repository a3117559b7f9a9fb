"""Why an account does not renew: codes, the record, one harmless call; and sessions begun elsewhere."""

import json
from dataclasses import replace
from typing import Any

import pytest

from freshd.core.finding import CAUSES
from freshd.core.model import Moment, Record, Secret
from freshd.core.outcome import Lost
from freshd.errors import NotPossible
from freshd.providers.cloudbase.flow import Flow
from freshd.providers.cloudbase.times import told
from freshd.providers.cloudbase.verdict import TABLE
from tests.unit.providers.cloudbase_parts import (
    DEVICE,
    EARLIER,
    ENV,
    LEASE,
    RECORD,
    WAYS,
    Vaultless,
    at,
    key_file,
    made,
    with_secrets,
)
from tests.unit.providers.parts import SENT, Clock, FakeHttp, reply

LIVE = reply({"token_type": "Bearer", "client_id": ENV, "sub": "1900000000000000001"})
FRESH = replace(RECORD, lease=replace(LEASE, sent=at(SENT, -60.0)))


async def causes(record: Record, *answers: Any, **keys: Any) -> list[tuple[int, str]]:
    found = await made("custom", FakeHttp(*answers), **keys).examine(record)
    return [(one.level, one.cause) for one in found]


async def test_a_token_that_works_is_told_and_asked_for_once() -> None:
    http = FakeHttp(LIVE)
    provider = made(http=http)
    assert [one.level for one in await provider.examine(FRESH)] == [0]
    assert FRESH.lease is not None
    assert await provider.probe(FRESH.lease) is True
    assert len(http.calls) == 1
    assert http.calls[0].method == "GET"


async def test_a_token_that_is_dead_before_its_end_was_ended_by_somebody() -> None:
    assert await causes(FRESH, reply({})) == [(2, "revoked")]
    assert await causes(replace(RECORD, lease=replace(LEASE, valid_for=60.0)), reply({})) == []
    assert await causes(FRESH, Lost("silence")) == [(1, "")]


async def test_a_token_of_another_user_and_a_wrong_clock_are_told() -> None:
    assert await causes(FRESH, reply({"sub": "other", "client_id": ENV})) == [(2, "")]
    assert (2, "clock") in await causes(FRESH, reply({"sub": "1900000000000000001"}, 200,
                                                     {"Date": "Fri, 01 Jan 2027 00:00:00 GMT"}))  # fmt: skip


async def test_a_bad_key_file_is_found_without_a_sign_in() -> None:
    http = FakeHttp(LIVE)
    provider = made(http=http, hidden=Vaultless(key=key_file(env_id="other")))
    found = await provider.examine(replace(RECORD, lease=None))
    assert [(one.level, one.cause) for one in found] == [(2, "app-refused")]
    assert http.calls == []


async def test_the_record_says_what_waits_for_a_person() -> None:
    record = with_secrets(
        replace(RECORD, lease=None), pushed_out="1", captcha=Flow("signin").secret.reveal(), refused_password="s:d",
        unconfirmed="1", sessionless="1", sign_ins=json.dumps([told(EARLIER)]),
    )  # fmt: skip
    found = await made().examine(record)
    assert [one.level for one in found] == [2, 2, 2, 1, 1, 0]
    assert "somebody else signs in with this account" in found[0].text
    assert "freshd enrol a" in found[1].remedy


async def test_keys_of_a_server_are_examined_without_asking_for_a_token() -> None:
    http = FakeHttp(reply({}))
    assert await made("api-key", http).examine(RECORD) == []
    assert await made("client-credentials", http).examine(replace(RECORD, lease=None)) == []
    assert http.calls == []
    assert await made("api-key", FakeHttp(reply({}))).probe(LEASE) is None


@pytest.mark.parametrize("code", [*sorted(TABLE), "session-pushed-out", "captcha-passed", "code-checked"])
def test_every_explanation_names_what_to_do(code: str) -> None:
    found = made().explain(code)
    if found is not None:
        assert found.remedy
        assert "{" not in found.remedy
        assert found.cause in {*CAUSES, ""}


def test_codes_for_a_refresh_token_that_is_no_longer_good_are_one_word() -> None:
    for code in ("invalid_grant", "unauthenticated", "REFRESH_TOKEN_EXPIRED", "INVALID_REFRESH_TOKEN",
                 "REFRESH_TOKEN_EXHAUSTED", "session-pushed-out"):  # fmt: skip
        found = made().explain(code)
        assert found is not None
        assert found.cause == "used-twice"


def test_a_code_that_says_nothing_of_the_session_explains_nothing() -> None:
    for code in ("resource_exhausted", "aborted", "internal", "invalid_request", "31337", "ok"):
        assert made().explain(code) is None


# -- import ---------------------------------------------------------------------------------------------------------


def adopted(given: dict[str, str], now: Moment = SENT, method: str = "import", **keys: Any) -> Any:  # noqa: ANN401
    return made(method, **keys).adopt({name: Secret(value) for name, value in given.items()}, now, "new")


def test_a_session_begun_elsewhere_is_taken_over_with_its_device_and_its_end() -> None:
    change = adopted({"refresh_token": " m.FAKE-r7\n", "device_id": DEVICE, "sub": "19"}, refresh_life=1000.0)
    assert change.lease is None
    assert {name: one.reveal() for name, one in change.grant.secrets.items()} == {
        "refresh_token": "m.FAKE-r7", "device_id": DEVICE, "api_version": "v1",
    }  # fmt: skip
    assert (change.grant.lineage, change.grant.binding.subject) == ("new", "19")
    assert (change.grant.valid_for, change.grant.absolute_for) == (1000.0, 1000.0)
    assert adopted({"refresh_token": "m.FAKE-r7"}, method="custom").grant.absolute_for is None


def test_an_access_token_with_a_believable_end_is_published_at_once() -> None:
    ends = str(int(SENT.wall + 600) * 1000)
    given = {"refresh_token": "m.FAKE-r7", "access_token": "eyJ.fake.A7", "expires_at": ends, "scope": "user"}
    lease = adopted(given).lease
    assert (lease.token, lease.valid_for) == (Secret("eyJ.fake.A7"), 600.0)
    assert lease.fields == {"token_type": "Bearer", "login": "import", "scope": "user"}
    assert adopted({**given, "expires_at": "7"}).lease is None


WRONG = [
    {}, {"access_token": "x"}, {"refresh_token": "two words"}, {"refresh_token": '"m.FAKE"'}, {"refresh_token": ""},
    {"refresh_token": "m.FAKE", "api_version": "v2"}, {"refresh_token": "m.FAKE", "device_id": "s3cret"},
    {"refresh_token": "m.FAKE", "expires_at": "s3cret", "access_token": "x"},
    {"refresh_token": "m.FAKE", "sub": "s3cret" * 99},
]  # fmt: skip


@pytest.mark.parametrize("given", WRONG)
def test_what_cannot_be_taken_over_is_refused_by_name(given: dict[str, str]) -> None:
    with pytest.raises(NotPossible) as caught:
        adopted(given)
    assert "s3cret" not in caught.value.cause + caught.value.remedy


def test_another_users_session_is_refused() -> None:
    with pytest.raises(NotPossible, match="another user"):
        adopted({"refresh_token": "m.FAKE", "sub": "20"}, subject="19")


def test_the_parts_fit_each_other() -> None:
    assert set(WAYS) >= {"custom", "import"}
    assert Clock().now() == SENT
