"""The file of a backup: how it is written, and recognised.  Pure but for the key derivation, which takes a second.

    magic ‖ version (1) ‖ length (4) ‖ header, JSON ‖ tag (32) ‖ chunks

Rules
-----
* The header is in the clear and authenticated: its tag is bound into every chunk.  A copy says of itself which vault it
  is of, and from when, before anybody has its key; nothing of that is believed before the tag fits.
* Each file has a key of its own: from a passphrase by Argon2id (RFC 9106) with the salt and the costs in the header, or
  from a key file by HKDF with that salt.  Whoever has the key of one file can open no other.
* Chunks are sealed in the manner of STREAM (Hoang, Reyhanitabar, Rogaway, Vizár, 2015): number and end are part of the
  nonce, so that what was cut, put in another order, taken from another file or hung on is noticed.
* Costs and lengths of a file that is not proven yet are bounded before they are believed.
* Must not: know what is in a copy, or touch files.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from freshd.errors import StoreError, VaultForeign
from freshd.vault.codec import CodecError, from_bytes, to_bytes

MAGIC: Final = b"freshd backup\n"
VERSION: Final = 1
LENGTH_BYTES: Final = 4
TAG_BYTES: Final = 32
KEY_BYTES: Final = 32
SALT_BYTES: Final = 32
CHUNK_BYTES: Final = 64 * 1024
SEAL_BYTES: Final = 16
"""What sealing adds to a chunk."""
HEADER_MOST: Final = 64 * 1024
ARGON2ID: Final = "argon2id"
KEY_FILE: Final = "key-file"
LEAST_MEMORY_KIB: Final = 8
MOST_MEMORY_KIB: Final = 4 * 1024 * 1024
MOST_ITERATIONS: Final = 100
MOST_LANES: Final = 64
ANOTHER: Final = "take another copy; the vault is as it was"


@dataclass(frozen=True, slots=True)
class Derivation:
    """How the file's key comes about.  Costs count for a passphrase only."""

    way: str
    salt: bytes
    memory_kib: int = 256 * 1024
    iterations: int = 3
    lanes: int = 4

    @staticmethod
    def fresh(way: str) -> Derivation:
        """For a new file.  Memory and passes lie above the second choice of RFC 9106: some 0.5 s."""
        return Derivation(way, os.urandom(SALT_BYTES))


@dataclass(frozen=True, slots=True)
class Header:
    """What a copy says of itself in the clear.

    vault    the journal's id; commits: how far it had come; journal: the version of its tables
    at       wall-clock second at which it was made
    machine  mark of the machine it was made on; empty where that has no id
    accounts how many there are; without: those whose grant could not be had and was left out, as was asked for
    check    proves the key without telling it
    """

    vault: str
    commits: int
    journal: int
    at: float
    machine: str
    accounts: int
    without: tuple[str, ...]
    derivation: Derivation
    check: str


# -- keys --------------------------------------------------------------------------------------------------------------


def key_of(given: bytes, how: Derivation) -> bytes:
    """The file's key, of a passphrase or of the 32 bytes of a key file.  Raises VaultForeign or StoreError; blocks."""
    if how.way == KEY_FILE:
        return _derived(given, how.salt, "file")
    if how.way != ARGON2ID or not _is_bearable(how):
        raise VaultForeign("the copy's key is made in a way that this freshd does not know", "take a newer freshd")
    way = Argon2id(
        salt=how.salt, length=KEY_BYTES, iterations=how.iterations, lanes=how.lanes, memory_cost=how.memory_kib
    )
    try:
        return way.derive(given)
    except MemoryError:
        raise StoreError(
            f"the copy's key takes {how.memory_kib // 1024} MiB of memory to make, and there is not so much",
            "end other programs, or take a machine with more; freshd itself asks for 256 MiB",
        ) from None


def _is_bearable(how: Derivation) -> bool:
    least = max(LEAST_MEMORY_KIB * how.lanes, LEAST_MEMORY_KIB)
    return (
        1 <= how.iterations <= MOST_ITERATIONS
        and 1 <= how.lanes <= MOST_LANES
        and least <= how.memory_kib <= MOST_MEMORY_KIB
        and 8 <= len(how.salt) <= 1024
    )


def check_of(key: bytes) -> str:
    """What proves a file's key."""
    return _derived(key, b"", "check").hex()[:32]


def _derived(key: bytes, salt: bytes, purpose: str) -> bytes:
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=salt, info=f"freshd backup {purpose} 1".encode()).derive(key)


# -- writing -----------------------------------------------------------------------------------------------------------


def written(header: Header, key: bytes, plain: bytes) -> Iterator[bytes]:
    """The file in pieces."""
    told = to_bytes(header)
    head = MAGIC + bytes([VERSION]) + len(told).to_bytes(LENGTH_BYTES, "big") + told
    tag = _tag(key, head)
    yield head + tag
    cipher = AESGCMSIV(_derived(key, b"", "chunk"))
    last = max(0, (len(plain) - 1) // CHUNK_BYTES)
    view = memoryview(plain)
    for number in range(last + 1):
        chunk = view[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES]
        yield cipher.encrypt(_nonce(number, is_last=number == last), chunk, tag)


def _tag(key: bytes, head: bytes) -> bytes:
    return hmac.new(_derived(key, b"", "header"), head, hashlib.sha256).digest()


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


# -- reading -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that looks like a copy.  `header` is a claim until `opened` has proven it."""

    header: Header
    _content: bytes = field(repr=False)
    _body: int

    def opened(self, key: bytes) -> bytes:
        """What was written.  Raises VaultForeign for another key, StoreError for a damaged or cut file."""
        if not hmac.compare_digest(check_of(key), self.header.check):
            raise VaultForeign(
                "the passphrase or key file is not the one of this copy", "give the one with which it was made"
            )
        head, tag = self._content[: self._body - TAG_BYTES], self._content[self._body - TAG_BYTES : self._body]
        if not hmac.compare_digest(_tag(key, head), tag):
            raise _damaged("its header was changed")
        return b"".join(self._chunks(AESGCMSIV(_derived(key, b"", "chunk")), tag))

    def _chunks(self, cipher: AESGCMSIV, tag: bytes) -> Iterator[bytes]:
        size = CHUNK_BYTES + SEAL_BYTES
        last = max(0, (len(self._content) - self._body - 1) // size)
        view = memoryview(self._content)
        for number in range(last + 1):
            at = self._body + number * size
            is_last = number == last
            try:
                yield cipher.decrypt(_nonce(number, is_last=is_last), view[at : at + size], tag)
            except (InvalidTag, ValueError):
                what = "it was cut, or its end was changed" if is_last else f"it was changed near byte {at}"
                raise _damaged(what) from None


def looked_at(content: bytes) -> Copy:
    """The copy in a file's bytes.  Raises VaultForeign or StoreError, which say what is wrong with it."""
    if not content.startswith(MAGIC):
        if content and MAGIC.startswith(content[: len(MAGIC)]):
            raise _damaged("it was cut in its first line")
        raise VaultForeign("this is no backup of freshd's, or its first line was changed", "name the right file")
    start = len(MAGIC) + 1 + LENGTH_BYTES
    if len(content) < start:
        raise _damaged("it was cut in its header")
    version, length = content[len(MAGIC)], int.from_bytes(content[len(MAGIC) + 1 : start], "big")
    if version != VERSION:
        raise VaultForeign(
            f"the copy has format {version}; this freshd knows format {VERSION}", "take the freshd that wrote it"
        )
    if length > HEADER_MOST or len(content) < start + length + TAG_BYTES + SEAL_BYTES:
        raise _damaged("it was cut, or its header was changed")
    try:
        header = from_bytes(Header, content[start : start + length])
    except CodecError:
        raise _damaged("its header was changed") from None
    return Copy(header, content, start + length + TAG_BYTES)


def _damaged(how: str) -> StoreError:
    return StoreError(f"the copy is damaged: {how}", ANOTHER)
