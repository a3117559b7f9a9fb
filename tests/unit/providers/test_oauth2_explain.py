"""providers.oauth2.explain: what the standard's codes say of a grant."""

from __future__ import annotations

import pytest

from freshd.core.finding import CAUSES
from freshd.providers.oauth2.explain import CAUSES as EXPLAINED
from freshd.providers.oauth2.explain import explained


@pytest.mark.parametrize("code", EXPLAINED)
def test_each_has_a_cause_that_everybody_knows_and_a_remedy(code: str) -> None:
    found = explained("mail", code.upper())
    assert found is not None
    assert found.cause in CAUSES
    assert "{account}" not in found.remedy


@pytest.mark.parametrize("code", ["temporarily_unavailable", "slow_down", "server_error", "", "canary"])
def test_a_code_that_says_nothing_of_the_grant_explains_nothing(code: str) -> None:
    assert explained("mail", code) is None
