"""Sealing: what lies in the journal can be read and changed only with the sealing key.

Rules
-----
* AES-256-GCM-SIV (RFC 8452): a nonce drawn twice, as after a restored machine image, tells at most that two equal
  values are equal.  It needs a `cryptography` built on OpenSSL 3.2 or later, which its own wheels are; there is no
  second cipher to fall back to, because two formats are two ways to be wrong.
* A value is bound to its place: vault, table, column, record, generation.  Moved elsewhere it does not open.
* The key itself seals nothing.  One key per purpose is derived from it (HKDF-SHA256, salted with the vault's id).
* Every sealed value names its key by id, so that a wrong key and a damaged value are told apart.
* Several keys of one vault may be held while one takes another's place: each opens what names it, one of them seals.
* What was digested cannot be digested anew, for the plain value is gone: the digest key of the first sealing key stays
  for good.  From the first rotation on it lies in the journal, sealed as every value is.
* The loop turns from key to key while the journal's threads seal and open: what is held is replaced, never changed.
* Must not: know what it seals, or show a plain value in an error.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 8
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
FORMAT: Final = b"\x01"
"""First byte of every sealed value: this layout, format ‖ key id ‖ nonce ‖ ciphertext and tag."""

DIGEST_PLACE: Final = ("digest-key",)


class BadSeal(ValueError):
    """The value was changed, moved, cut, or sealed under another key."""


class Key:
    """One sealing key of one vault, made ready: purposes are derived from it, itself it is let go.

    id     stands in every value that it sealed
    check  proves the key without telling it; kept in the clear beside the journal's id
    """

    __slots__ = ("check", "cipher", "id", "mac")

    def __init__(self, key: bytes, vault_id: str) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError("a sealing key has 32 bytes")
        self.cipher = AESGCMSIV(_derived(key, vault_id, "seal"))
        self.mac = _derived(key, vault_id, "digest")
        self.id = _derived(key, vault_id, "id")[:KEY_ID_BYTES]
        self.check = _derived(key, vault_id, "check").hex()

    @property
    def name(self) -> str:
        """The id in hex, as it is written down."""
        return self.id.hex()


@dataclass(frozen=True, slots=True)
class _Held:
    """The keys in use.  `mac`: under which everything is digested."""

    current: Key
    keys: Mapping[bytes, Key]
    mac: bytes = field(repr=False)


class Seal:
    """Seals values of one vault under one key, and opens those of every key it holds."""

    def __init__(self, key: bytes, vault_id: str) -> None:
        self._vault = vault_id
        first = Key(key, vault_id)
        self._held = _Held(first, {first.id: first}, first.mac)

    # -- keys ----------------------------------------------------------------------------------------------

    @property
    def key_id(self) -> bytes:
        """The id of the key that seals."""
        return self._held.current.id

    @property
    def check(self) -> str:
        """What proves the key that seals."""
        return self._held.current.check

    @property
    def checks(self) -> frozenset[str]:
        """What proves each key that is held."""
        return frozenset(key.check for key in self._held.keys.values())

    @property
    def others(self) -> frozenset[bytes]:
        """The ids of the keys that only open."""
        return frozenset(self._held.keys.keys() - {self.key_id})

    def take(self, key: bytes) -> Key:
        """Open with this key too."""
        taken, held = Key(key, self._vault), self._held
        self._held = replace(held, keys={**held.keys, taken.id: taken})
        return taken

    def turn(self, key_id: bytes) -> None:
        """Seal with this key, which is held, from now on."""
        self._held = replace(self._held, current=self._held.keys[key_id])

    def drop(self, key_id: bytes) -> None:
        """Let go of a key that only opens."""
        held = self._held
        if key_id != held.current.id:
            self._held = replace(held, keys={other: key for other, key in held.keys.items() if other != key_id})

    def frozen(self) -> Seal:
        """A seal of its own that holds what this one holds now, whatever is let go of later."""
        other = object.__new__(Seal)
        other._vault, other._held = self._vault, self._held
        return other

    def learn(self, other: Seal) -> None:
        """Open with the keys of that seal too."""
        held = self._held
        self._held = replace(held, keys={**held.keys, **other._held.keys})

    def beside(self, key: bytes) -> Seal:
        """A seal of its own that opens what this one opens, digests as it does, and seals with that key."""
        other = Seal(key, self._vault)
        held = self._held
        other._held = replace(held, current=other._held.current, keys={**held.keys, **other._held.keys})
        return other

    def digests(self, under: bytes) -> bytes:
        """The digest key, sealed under the key of that id."""
        return self._sealed(self._held.keys[under], self._held.mac, DIGEST_PLACE)

    def digest_with(self, sealed: bytes) -> None:
        """Digest with the key that `digests` gave.  Raises BadSeal."""
        self._held = replace(self._held, mac=self.open(sealed, *DIGEST_PLACE))

    # -- values --------------------------------------------------------------------------------------------

    def seal(self, plain: bytes, *place: str | int) -> bytes:
        """`plain`, not empty, sealed for that place."""
        return self._sealed(self._held.current, plain, place)

    def _sealed(self, key: Key, plain: bytes, place: tuple[str | int, ...]) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return FORMAT + key.id + nonce + key.cipher.encrypt(nonce, plain, self._bound(place))

    def open(self, sealed: bytes, *place: str | int) -> bytes:
        """What was sealed for that place.  Raises BadSeal."""
        head = len(FORMAT) + KEY_ID_BYTES
        if len(sealed) < head + NONCE_BYTES + TAG_BYTES or sealed[: len(FORMAT)] != FORMAT:
            raise BadSeal("not a sealed value")
        key = self._held.keys.get(sealed[len(FORMAT) : head])
        if key is None:
            raise BadSeal("sealed under another key, or its head is damaged")
        nonce, rest = sealed[head : head + NONCE_BYTES], sealed[head + NONCE_BYTES :]
        try:
            return key.cipher.decrypt(nonce, rest, self._bound(place))
        except InvalidTag:
            raise BadSeal("the value was changed, or belongs elsewhere") from None

    def digest(self, plain: bytes, *place: str | int) -> str:
        """A keyed fingerprint, in hex: tells nothing without the key, and proves the value with it."""
        return hmac.new(self._held.mac, self._bound(place) + plain, hashlib.sha256).hexdigest()

    def _bound(self, place: tuple[str | int, ...]) -> bytes:
        parts = [part.encode() for part in (self._vault, *map(str, place))]
        return b"".join(len(part).to_bytes(4, "big") + part for part in (*parts, b""))


def head_of(key_id: bytes) -> bytes:
    """How every value begins that was sealed with the key of that id."""
    return FORMAT + key_id


def _derived(key: bytes, vault_id: str, purpose: str) -> bytes:
    info = f"freshd {purpose} 1".encode()
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=vault_id.encode(), info=info).derive(key)


def parse_key(text: str) -> bytes | None:
    """A sealing key as hex or base64, blanks around it allowed; None where it is neither."""
    stripped = "".join(text.split())
    for decode in (bytes.fromhex, _from_base64):
        try:
            key = decode(stripped)
        except (ValueError, binascii.Error):
            continue
        if len(key) == KEY_BYTES:
            return key
    return None


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)


def new_key() -> str:
    """A fresh sealing key, as hex."""
    return os.urandom(KEY_BYTES).hex()
