"""Tokens obtained elsewhere: what they come to, and what is refused by its name alone."""

import pytest

from freshd.core.model import Binding, Change, Secret
from freshd.errors import NotPossible
from tests.unit.providers.geniusauth_parts import ACCESS, APP, DAY, LIFE, REFRESH, WITH_PAYLOAD, jwt, provider
from tests.unit.providers.parts import SENT


def adopted(subject: str | None = None, **given: str) -> Change:
    sealed = {name: Secret(value) for name, value in given.items()}
    return provider(subject=subject).adopt(sealed, SENT, "line")


def test_a_refresh_token_founds_a_lineage_with_its_own_end_and_user() -> None:
    made = adopted(refresh_token=f" {jwt(ends=SENT.wall + 3 * DAY, payload='tenant-a')}\n")
    assert made.lease is None
    assert made.grant is not None
    assert made.grant.binding == Binding("geniusauth", "https://v.ncuos.com", APP, "8")
    assert (made.grant.lineage, made.grant.enrolled, made.grant.obtained) == ("line", SENT, SENT)
    assert (made.grant.absolute_for, made.grant.valid_for) == (3 * DAY, None)
    assert made.grant.secrets["payload"] == Secret("tenant-a")


@pytest.mark.parametrize("token", ["opaque", jwt(exp=None), jwt(ends=SENT.wall - 1), jwt(ends=SENT.wall + 99 * DAY)])
def test_an_end_that_is_not_told_or_not_believable_is_the_contracts(token: str) -> None:
    made = adopted(refresh_token=token)
    assert made.grant is not None
    assert made.grant.absolute_for == LIFE


def test_an_access_token_that_comes_along_is_handed_out() -> None:
    made = adopted(refresh_token=WITH_PAYLOAD, access_token=jwt("Access", ends=SENT.wall + 200, payload="tenant-a"))
    assert made.lease is not None
    assert made.lease.valid_for == 200
    assert made.lease.fields == {"token_type": "Bearer", "uid": "8", "payload": "tenant-a"}


@pytest.mark.parametrize("token", ["opaque", jwt("Access", ends=SENT.wall - 1), jwt("Access", exp=None)])
def test_one_whose_end_is_not_known_is_not(token: str) -> None:
    assert adopted(refresh_token=REFRESH, access_token=token).lease is None


WRONG = [
    {},
    {"access_token": ACCESS},
    {"refresh_token": "two words"},
    {"refresh_token": f'"{REFRESH}"'},
    {"refresh_token": ""},
    {"refresh_token": ACCESS},
    {"refresh_token": jwt(appCode="c4nary")},
    {"refresh_token": REFRESH, "access_token": REFRESH},
    {"refresh_token": REFRESH, "access_token": jwt("Access", uid=9)},
    {"refresh_token": REFRESH, "access_token": jwt("Access", appCode="c4nary")},
]


@pytest.mark.parametrize("given", WRONG)
def test_what_cannot_be_used_is_refused_without_a_value(given: dict[str, str]) -> None:
    with pytest.raises(NotPossible) as caught:
        adopted(**given)
    told = f"{caught.value.cause} {caught.value.remedy}"
    assert not any(value in told for value in (*given.values(), "c4nary") if value)


def test_a_token_of_another_user_than_the_configured_one_is_refused() -> None:
    with pytest.raises(NotPossible):
        adopted("9", refresh_token=REFRESH)
    assert adopted("8", refresh_token=REFRESH).grant is not None
