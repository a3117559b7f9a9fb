"""A code of the history is told as a cause and a remedy, or as nothing."""

import pytest

from freshd.core.finding import CAUSES
from freshd.providers.feishu.refusal import APP, NEWER, OLDER
from tests.unit.providers.feishu_parts import app, provider

TOLD = [
    *((code, "used-twice") for code in ("20026", "20038", "20064", "20073", "invalid_grant")),
    ("20037", "expired"),
    ("20074", "refresh-switched-off"),
    *((code, "user-gone") for code in ("20008", "20066", "20021", "20022", "20023")),
    *(
        (code, "app-refused")
        for code in ("20002", "10003", "10014", "99991543", "20009", "20069", "99991662", "20010", "invalid_client")
    ),
    *((code, "wrong-app") for code in ("20024", "20048", "20046")),
    ("21000", ""),
]
SILENT = ["20001", "20050", "20063", "20068", "20070", "20072", "99991400", "31337", "lost", ""]


@pytest.mark.parametrize(("code", "cause"), TOLD)
def test_a_code_that_speaks_of_the_grant_has_its_cause_and_a_command(code: str, cause: str) -> None:
    found = provider().explain(code)
    assert found is not None
    assert (found.level, found.cause) == (2, cause)
    assert code in found.text
    assert found.remedy
    assert "{" not in found.remedy


@pytest.mark.parametrize("code", SILENT)
def test_a_code_that_says_nothing_of_the_grant_explains_nothing(code: str) -> None:
    assert provider().explain(code) is None


@pytest.mark.parametrize("code", ["20002", "20009", "20010", "20066", "20074", "21000", "20024"])
def test_where_the_grant_is_kept_the_remedy_spends_no_enrolment(code: str) -> None:
    found = provider().explain(code)
    assert found is not None
    assert "freshd refresh a" in found.remedy


def test_every_code_can_be_asked_for() -> None:
    for code in (*NEWER, *OLDER, *APP):
        for made in (provider(), app()):
            found = made.explain(code)
            assert found is None or found.cause in {*CAUSES, ""}
