"""core.env_names: which line of a .env file holds what."""

from __future__ import annotations

import pytest

from freshd.core.env_names import guess

FEISHU = ("FEISHU", "LARK")


def test_the_usual_names_are_found() -> None:
    names = [
        "FEISHU_APP_ID", "FEISHU_APP_SECRET", "FEISHU_USER_ACCESS_TOKEN", "FEISHU_REFRESH_TOKEN",
        "FEISHU_TOKEN_EXPIRES_AT", "FEISHU_REFRESH_TOKEN_EXPIRES_AT", "FEISHU_SCOPE", "DEBUG",
    ]  # fmt: skip
    assert guess(names).sure == {
        "app_id": "FEISHU_APP_ID", "app_secret": "FEISHU_APP_SECRET", "access_token": "FEISHU_USER_ACCESS_TOKEN",
        "refresh_token": "FEISHU_REFRESH_TOKEN", "expires_at": "FEISHU_TOKEN_EXPIRES_AT",
        "refresh_token_expires_at": "FEISHU_REFRESH_TOKEN_EXPIRES_AT", "scope": "FEISHU_SCOPE",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["FEISHU_TENANT_ACCESS_TOKEN", "LARK_APP_ACCESS_TOKEN", "BOT_ACCESS_TOKEN"])
def test_a_token_of_an_app_is_nobodys(name: str) -> None:
    assert "access_token" not in guess([name]).sure


@pytest.mark.parametrize("name", ["REFRESH_TOKEN", "refresh_token", "LARK_USER_REFRESH_TOKEN", "feishuRefresh_Token"])
def test_case_and_prefix_do_not_matter(name: str) -> None:
    found = guess([name]).sure.get("refresh_token")
    assert found == (name if name != "feishuRefresh_Token" else None)


def test_where_two_fit_nothing_is_sure() -> None:
    found = guess(["A_REFRESH_TOKEN", "B_REFRESH_TOKEN"])
    assert "refresh_token" not in found.sure
    assert found.found["refresh_token"] == ("A_REFRESH_TOKEN", "B_REFRESH_TOKEN")


def test_of_several_services_the_one_asked_for_counts() -> None:
    assert guess(["GOOGLE_REFRESH_TOKEN", "LARK_REFRESH_TOKEN"], FEISHU).sure["refresh_token"] == "LARK_REFRESH_TOKEN"
    assert guess(["REFRESH_TOKEN"], FEISHU).sure["refresh_token"] == "REFRESH_TOKEN"


def test_an_expiry_of_the_refresh_token_is_not_the_access_tokens() -> None:
    assert guess(["REFRESH_TOKEN_EXPIRES_AT"]).sure == {"refresh_token_expires_at": "REFRESH_TOKEN_EXPIRES_AT"}
