"""What a seal promises."""

from __future__ import annotations

import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.vault.seal import BadSeal, Seal, new_key, parse_key

KEY = bytes(range(32))
SEAL = Seal(KEY, "vault-1")


@given(st.binary(min_size=1, max_size=300), st.lists(st.text() | st.integers(), max_size=4))
def test_what_is_sealed_opens_at_its_place(plain: bytes, place: list[str | int]) -> None:
    assert SEAL.open(SEAL.seal(plain, *place), *place) == plain


@pytest.mark.parametrize(
    "place", [("grant", "b", 3), ("lease", "a", 3), ("grant", "a", 4), ("grant", "a"), ("granta", 3)]
)
def test_it_opens_nowhere_else(place: tuple[str | int, ...]) -> None:
    with pytest.raises(BadSeal):
        SEAL.open(SEAL.seal(b"x", "grant", "a", 3), *place)


def test_parts_of_a_place_do_not_run_into_each_other() -> None:
    with pytest.raises(BadSeal):
        SEAL.open(SEAL.seal(b"x", "ab", "c"), "a", "bc")


def test_it_does_not_open_in_another_vault() -> None:
    with pytest.raises(BadSeal):
        Seal(KEY, "vault-2").open(SEAL.seal(b"x", "a"), "a")


def test_any_flipped_bit_is_noticed() -> None:
    sealed = SEAL.seal(b"some secret", "a")
    for index in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[index // 8] ^= 1 << index % 8
        with pytest.raises(BadSeal):
            SEAL.open(bytes(changed), "a")


def test_any_cut_is_noticed() -> None:
    sealed = SEAL.seal(b"some secret", "a")
    for length in range(len(sealed)):
        with pytest.raises(BadSeal):
            SEAL.open(sealed[:length], "a")


def test_equal_values_look_different() -> None:
    assert SEAL.seal(b"x", "a") != SEAL.seal(b"x", "a")


def test_another_key_has_another_id_and_another_check() -> None:
    other = Seal(os.urandom(32), "vault-1")
    assert other.key_id != SEAL.key_id
    assert other.check != SEAL.check
    with pytest.raises(BadSeal, match="another key"):
        other.open(SEAL.seal(b"x", "a"), "a")


def test_a_digest_depends_on_key_place_and_value() -> None:
    digests = {
        SEAL.digest(b"x", "a"),
        SEAL.digest(b"y", "a"),
        SEAL.digest(b"x", "b"),
        Seal(os.urandom(32), "vault-1").digest(b"x", "a"),
    }
    assert len(digests) == 4
    assert SEAL.digest(b"x", "a") == SEAL.digest(b"x", "a")


@pytest.mark.parametrize(
    "text",
    [KEY.hex(), KEY.hex().upper() + "\n", base64.b64encode(KEY).decode(), base64.urlsafe_b64encode(KEY).decode()],
)
def test_a_key_is_read_as_hex_or_base64(text: str) -> None:
    assert parse_key(text) == KEY


@pytest.mark.parametrize(
    "text", ["", "x", KEY.hex()[:-2], KEY.hex() + "00", "é" * 32, base64.b64encode(KEY[:-1]).decode()]
)
def test_anything_else_is_no_key(text: str) -> None:
    assert parse_key(text) is None


def test_new_keys_differ_and_parse() -> None:
    assert parse_key(new_key()) != parse_key(new_key()) is not None


def test_the_key_that_seals_is_never_let_go_of() -> None:
    seal = Seal(KEY, "vault-1")
    sealed = seal.seal(b"plain", "place")
    seal.drop(seal.key_id)
    assert seal.open(sealed, "place") == b"plain"
    assert seal.open(seal.seal(b"more", "place"), "place") == b"more"
