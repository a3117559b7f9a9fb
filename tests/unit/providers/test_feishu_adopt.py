"""What was obtained elsewhere comes in whole, or is refused by its name and never by its value."""

import pytest

from freshd.core.model import Change, Grant, Lease, Secret
from freshd.errors import NotPossible
from tests.unit.providers.feishu_parts import BINDING, app, provider
from tests.unit.providers.parts import SENT

NOW = SENT.wall


def adopted(**given: str) -> Change:
    return provider().adopt({name: Secret(value) for name, value in given.items()}, SENT, "line")


@pytest.mark.parametrize("name", ["refresh_token", "refresh_token_v1"])
def test_a_refresh_token_alone_is_a_grant(name: str) -> None:
    grant = Grant("line", BINDING, {name: Secret("ur-1")}, SENT, SENT, None, 31_536_000.0)
    assert adopted(**{name: "ur-1"}) == Change("a", grant=grant)


@pytest.mark.parametrize("moment", [f"{NOW + 1000}", f" {int((NOW + 1000) * 1000)}\n"])
def test_its_end_may_be_told_in_seconds_or_milliseconds(moment: str) -> None:
    grant = adopted(refresh_token="ur-1", refresh_token_expires_at=moment).grant
    assert grant is not None
    assert grant.valid_for == 1000


@pytest.mark.parametrize("moment", [f"{NOW - 1}", "0", "-5", f"{NOW + 367 * 86_400}", "1e30"])
def test_an_end_that_cannot_be_true_is_left_out_and_the_token_is_taken(moment: str) -> None:
    grant = adopted(refresh_token="ur-1", refresh_token_expires_at=moment).grant
    assert grant is not None
    assert grant.valid_for is None


def test_an_access_token_with_a_believable_end_is_a_lease() -> None:
    made = adopted(refresh_token="ur-1", access_token="u-1", expires_at=f"{NOW + 90}", scope="im:chat offline_access")
    fields = {"token_type": "Bearer", "scope": "im:chat offline_access"}
    assert made.lease == Lease("a", 1, Secret("u-1"), SENT, 90.0, fields)


@pytest.mark.parametrize("more", [{}, {"expires_at": "0"}, {"expires_at": f"{NOW}"}, {"expires_at": f"{NOW + 90_000}"}])
def test_an_access_token_whose_end_is_not_known_is_not_published(more: dict[str, str]) -> None:
    made = adopted(refresh_token="ur-1", access_token="u-1", **more)
    assert made.lease is None
    assert made.grant is not None


WRONG = [
    ({}, "refresh token"),
    ({"access_token": "u-c4nary"}, "refresh token"),
    ({"refresh_token": "ur-c4nary", "refresh_token_v1": "ur-c4nary"}, "two generations"),
    ({"refresh_token": '"ur-c4nary"'}, "refresh_token"),
    ({"refresh_token": "ur-c4nary # a comment"}, "refresh_token"),
    ({"refresh_token": "ur-c4nary\nX=1"}, "refresh_token"),
    ({"refresh_token": "ür-c4nary"}, "refresh_token"),
    ({"refresh_token": "  "}, "refresh_token"),
    ({"refresh_token_v1": "'ur-c4nary'"}, "refresh_token_v1"),
    ({"refresh_token": "ur-1", "refresh_token_expires_at": "c4nary"}, "refresh_token_expires_at"),
    ({"refresh_token": "ur-1", "refresh_token_expires_at": "nan"}, "refresh_token_expires_at"),
    ({"refresh_token": "ur-1", "access_token": "u-1", "expires_at": "c4nary"}, "expires_at"),
    ({"refresh_token": "ur-1", "access_token": "c4 nary", "expires_at": f"{NOW + 9}"}, "access_token"),
]


@pytest.mark.parametrize(("given", "word"), WRONG)
def test_what_is_wrong_is_told_by_its_name(given: dict[str, str], word: str) -> None:
    with pytest.raises(NotPossible) as error:
        adopted(**given)
    assert word in error.value.cause
    assert "c4" not in str(error.value.diagnostics())


def test_an_app_has_nothing_to_import() -> None:
    with pytest.raises(NotPossible):
        app().adopt({"refresh_token": Secret("ur-1")}, SENT, "line")
