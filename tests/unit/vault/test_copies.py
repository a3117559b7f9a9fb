"""The file of a backup: whatever is done to it is noticed."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freshd.errors import FreshdError, StoreError, VaultForeign
from freshd.vault import copies
from freshd.vault.copies import ARGON2ID, CHUNK_BYTES, KEY_FILE, SEAL_BYTES, Derivation, Header, key_of, looked_at

HOW = Derivation(KEY_FILE, b"s" * 32)
KEY = key_of(b"k" * 32, HOW)
CHEAP = Derivation(ARGON2ID, b"s" * 32, memory_kib=64, iterations=1, lanes=1)
SIZES = (0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7)


def header(key: bytes = KEY, how: Derivation = HOW) -> Header:
    return Header("v" * 32, 7, 2, 1.8e9, "m1-x", 3, ("left-out",), how, copies.check_of(key))


@functools.cache
def written(size: int, key: bytes = KEY) -> bytes:
    plain = bytes(number % 251 for number in range(size))
    return b"".join(copies.written(header(key), key, plain))


def body(content: bytes) -> int:
    """Where the chunks begin."""
    return looked_at(content)._body


def must_be_refused(content: bytes) -> None:
    with pytest.raises(FreshdError) as caught:
        looked_at(content).opened(KEY)
    assert caught.value.remedy


@pytest.mark.parametrize("size", SIZES)
def test_what_was_written_is_read(size: int) -> None:
    copy = looked_at(written(size))
    assert copy.opened(KEY) == bytes(number % 251 for number in range(size))
    assert copy.header == header()


@settings(max_examples=200, deadline=None)
@given(size=st.sampled_from(SIZES), at=st.integers(min_value=0), bit=st.integers(0, 7))
def test_any_bit_that_is_flipped_is_noticed(size: int, at: int, bit: int) -> None:
    content = bytearray(written(size))
    content[at % len(content)] ^= 1 << bit
    must_be_refused(bytes(content))


@pytest.mark.parametrize("bit", range(8))
def test_every_bit_of_the_head_counts(bit: int) -> None:
    content = written(1)
    for at in range(body(content)):
        changed = bytearray(content)
        changed[at] ^= 1 << bit
        must_be_refused(bytes(changed))


@settings(max_examples=100, deadline=None)
@given(size=st.sampled_from(SIZES), length=st.integers(min_value=0))
def test_any_cut_is_noticed(size: int, length: int) -> None:
    must_be_refused(written(size)[: length % len(written(size))])


@settings(max_examples=50, deadline=None)
@given(size=st.sampled_from(SIZES), more=st.binary(min_size=1, max_size=2 * CHUNK_BYTES))
def test_what_is_hung_on_is_noticed(size: int, more: bytes) -> None:
    must_be_refused(written(size) + more)


@settings(max_examples=50, deadline=None)
@given(order=st.permutations(range(4)), drop=st.integers(0, 3))
def test_chunks_in_another_order_or_fewer_of_them_are_noticed(order: list[int], drop: int) -> None:
    content = written(SIZES[-1])
    start, size = body(content), CHUNK_BYTES + SEAL_BYTES
    chunks = [content[start + number * size : start + (number + 1) * size] for number in range(4)]
    if order != sorted(order):
        must_be_refused(content[:start] + b"".join(chunks[number] for number in order))
    must_be_refused(content[:start] + b"".join(chunk for number, chunk in enumerate(chunks) if number != drop))


@settings(max_examples=20, deadline=None)
@given(taken=st.integers(0, 3))
def test_a_chunk_of_another_file_under_the_same_key_is_noticed(taken: int) -> None:
    """The header is bound into every chunk."""
    content = written(SIZES[-1])
    plain = bytes(number % 251 for number in range(SIZES[-1]))
    other = b"".join(copies.written(replace(header(), at=1.9e9), KEY, plain))
    assert len(other) == len(content)
    at, size = body(content) + taken * (CHUNK_BYTES + SEAL_BYTES), CHUNK_BYTES + SEAL_BYTES
    must_be_refused(content[:at] + other[at : at + size] + content[at + size :])


def test_another_passphrase_is_told_apart_from_damage() -> None:
    key = key_of(b"one", CHEAP)
    content = b"".join(copies.written(header(key, CHEAP), key, b"plain"))
    with pytest.raises(VaultForeign, match="passphrase"):
        looked_at(content).opened(key_of(b"two", CHEAP))
    with pytest.raises(StoreError, match="damaged"):
        looked_at(content[:-1]).opened(key)


def test_each_file_has_a_key_of_its_own() -> None:
    fresh = [Derivation.fresh(KEY_FILE) for _ in range(2)]
    assert len({key_of(b"k" * 32, how) for how in fresh}) == 2


@pytest.mark.parametrize(
    "how",
    [
        replace(CHEAP, way="rot13"),
        replace(CHEAP, memory_kib=2**40),
        replace(CHEAP, iterations=10**9),
        replace(CHEAP, lanes=2**20),
        replace(CHEAP, lanes=65, memory_kib=8 * 65),
        replace(CHEAP, memory_kib=0),
        replace(CHEAP, iterations=0),
        replace(CHEAP, lanes=-1),
        replace(CHEAP, salt=b""),
    ],
)
def test_costs_that_nobody_can_bear_are_refused_before_they_are_paid(how: Derivation) -> None:
    with pytest.raises(VaultForeign):
        key_of(b"one", how)


def test_a_newer_format_is_refused_by_name() -> None:
    content = bytearray(written(1))
    content[len(copies.MAGIC)] = 9
    with pytest.raises(VaultForeign, match="format 9"):
        looked_at(bytes(content))


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + b"x" * 200, b"\0" * 400])
def test_what_is_no_backup_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(VaultForeign, match="no backup"):
        looked_at(content)


def test_nothing_of_what_is_sealed_shows() -> None:
    assert b"canary" not in b"".join(copies.written(header(), KEY, b"canary" * 1000))
    assert "canary" not in repr(looked_at(written(1)))
