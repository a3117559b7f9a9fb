"""Texts with places: names and nothing else stand between braces."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.channels.template import BadTemplate, NoSuchField, parsed, values_of
from freshd.core.model import Lease, Moment, Secret

LEASE = Lease(
    "mail", 1, Secret("t0k"), Moment(0.0, 0.0, "b"), 60.0, {"uid": "7", "token": "not-this", "host": "nor-this"},
    {"key": Secret("k3y")},
)  # fmt: skip
VALUES = values_of("mail", "line", "here", LEASE)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("{token}", "t0k"),
        ("u-{uid}/{fields[uid]}", "u-7/7"),
        ("{key}", "k3y"),
        ("{account}@{host}:{channel}", "mail@here:line"),
        ("{{{uid}}}", "{7}"),
        ("", ""),
    ],
)
def test_places_are_filled(text: str, filled: str) -> None:
    assert parsed(text).fill(VALUES) == filled


@pytest.mark.parametrize(
    "text", ["{", "}", "{}", "{token.text}", "{token[0]}", "{token!r}", "{token:>9}", "{fields[]}", "{ token }", "a{b"]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(BadTemplate):
        parsed(text)


def test_a_field_that_the_lease_lacks_is_told_with_those_it_has() -> None:
    with pytest.raises(NoSuchField) as met:
        parsed("{nope}").fill(VALUES)
    assert met.value.name == "nope"
    assert {"uid", "key", "token", "account"} <= met.value.known
    assert "t0k" not in str(met.value.known)


def test_without_a_lease_only_what_is_ours_is_there() -> None:
    assert set(values_of(None, "line", "here", None)) == {"channel", "host"}


@given(st.text(max_size=40))
def test_any_text_is_a_template_or_refused(text: str) -> None:
    with contextlib.suppress(BadTemplate):
        assert parsed(text).fill(dict.fromkeys(parsed(text).names, "")) is not None
