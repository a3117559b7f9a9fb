"""core.expiry: when something ends, as other programs write it down."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.core.expiry import Claims, claims_of, moment_of, written_like


def jwt(body: object) -> str:
    middle = base64.urlsafe_b64encode(json.dumps(body).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJub25lIn0.{middle}.c2ln"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1790000000", 1_790_000_000.0),
        (" 1790000000.5 ", 1_790_000_000.5),
        ("1790000000123", 1_790_000_000.123),
        ("2026-09-21T14:13:20Z", 1_790_000_000.0),
        ("2026-09-21 16:13:20+02:00", 1_790_000_000.0),
    ],
)
def test_a_moment_is_read_in_the_forms_that_programs_write(text: str, at: float) -> None:
    assert moment_of(text) == at


@pytest.mark.parametrize("text", [None, "", "7200", "soon", "2026-09-21T14:13:20", "-5", "9" * 17, "nan", "1e10"])
def test_what_names_no_moment_is_none(text: str | None) -> None:
    assert moment_of(text) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, "1790003600"),
        ("", "1790003600"),
        ("7200", "1790003600"),
        ("1790000000", "1790003600"),
        ("1790000000123", "1790003600000"),
        ("2026-09-21T14:13:20Z", "2026-09-21T15:13:20Z"),
        ("2026-09-21T14:13:20+00:00", "2026-09-21T15:13:20+00:00"),
    ],
)
def test_a_moment_is_written_in_the_form_that_stood_there(old: str | None, new: str) -> None:
    assert written_like(old, 1_790_003_600.0) == new


def test_a_token_that_is_a_jwt_tells_its_times() -> None:
    assert claims_of(jwt({"iat": 1_790_000_000, "exp": 1_790_007_200})) == Claims(1_790_000_000.0, 1_790_007_200.0)


@pytest.mark.parametrize(
    "token", [None, "", "u-abc", "a.b.c", jwt([1]), jwt({"exp": "soon", "iat": True}), jwt({"exp": 5})]
)
def test_any_other_tells_nothing(token: str | None) -> None:
    assert claims_of(token) == Claims()


@given(st.text())
def test_no_text_raises(text: str) -> None:
    moment_of(text)
    claims_of(f"a.{text}.c")
    written_like(text, 1_790_000_000.0)
