"""Values to bytes and back, exactly."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.core.model import Binding, Change, Grant, Intent, Lease, Moment, Secret
from freshd.core.outcome import Reply
from freshd.core.pace import Row
from freshd.ports import Line
from freshd.vault.codec import CodecError, from_bytes, to_bytes

TEXT = st.text() | st.text(alphabet=st.characters(codec=None))  # lone surrogates too: headers may hold them
NUMBERS = st.floats(allow_nan=False)
SECRETS = st.dictionaries(TEXT, st.builds(Secret, TEXT), max_size=3).map(MappingProxyType)
MOMENTS = st.builds(Moment, NUMBERS, NUMBERS, TEXT)
BINDINGS = st.builds(Binding, TEXT, TEXT, TEXT, st.none() | TEXT)
GRANTS = st.builds(Grant, TEXT, BINDINGS, SECRETS, MOMENTS, MOMENTS, st.none() | NUMBERS, st.none() | NUMBERS)
LEASES = st.builds(
    Lease,
    TEXT,
    st.integers(),
    st.builds(Secret, TEXT),
    MOMENTS,
    NUMBERS,
    st.dictionaries(TEXT, TEXT, max_size=2),
    SECRETS,
)
VALUES = st.one_of(
    GRANTS,
    LEASES,
    st.builds(Intent, TEXT, TEXT, TEXT, st.none() | TEXT, st.integers(), MOMENTS, SECRETS, st.integers()),
    st.builds(Reply, st.integers(), st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple), st.binary(), st.booleans()),
    st.builds(Change, TEXT, st.none() | GRANTS, st.none() | LEASES, st.frozensets(TEXT, max_size=3), st.none() | TEXT),
    st.builds(Row, st.none() | MOMENTS, st.integers(), NUMBERS, st.none() | MOMENTS, st.integers(), NUMBERS),
    st.builds(Line, MOMENTS, TEXT, TEXT, st.integers(), TEXT),
)


@given(VALUES)
def test_every_value_comes_back_as_it_was(value: object) -> None:
    written = to_bytes(value)
    assert written.isascii()
    assert b"\n" not in written
    assert from_bytes(type(value), written) == value


def test_a_secret_that_is_no_unicode_can_be_compared() -> None:
    """JSON may spell out half of a surrogate pair, and an intent is compared with what was read back."""
    assert Secret("a\ud800") == Secret("a\ud800")
    assert Secret("a\ud800") != Secret("a\ud801")


def test_a_field_with_a_default_may_be_missing() -> None:
    assert from_bytes(Row, b"{}") == Row()


def test_a_field_that_is_gone_is_passed_over() -> None:
    assert from_bytes(Row, b'{"failures": 2, "colour": "red"}') == Row(failures=2)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b"{",
        b'{"wall": 1.0, "boot": 2.0}',
        b'{"wall": "1", "boot": 2.0, "boot_id": "x"}',
        b'{"wall": true, "boot": 2.0, "boot_id": "x"}',
        b'{"wall": 1.0, "boot": 2.0, "boot_id": null}',
        b"[" * 100_000,
    ],
)
def test_what_does_not_fit_is_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        from_bytes(Moment, data)


@pytest.mark.parametrize("body", ["=", "a", "é", 3])
def test_bytes_must_be_base64(body: object) -> None:
    plain = f'{{"status": 200, "headers": [], "body": {body!r}}}'.replace("'", '"').encode()
    with pytest.raises(CodecError):
        from_bytes(Reply, plain)


def test_an_error_shows_no_value() -> None:
    with pytest.raises(CodecError) as caught:
        from_bytes(Moment, b'{"wall": "canary", "boot": 2.0, "boot_id": "x"}')
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_has_no_codec_is_refused() -> None:
    with pytest.raises(CodecError):
        to_bytes(object())
