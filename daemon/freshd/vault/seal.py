"""Sealing: what lies in the journal can be read and changed only with the sealing key.

Rules
-----
* AES-256-GCM-SIV (RFC 8452): a nonce drawn twice, as after a restored machine image, tells at most that two equal
  values are equal.  It needs a `cryptography` built on OpenSSL 3.2 or later, which its own wheels are; there is no
  second cipher to fall back to, because two formats are two ways to be wrong.
* A value is bound to its place: vault, table, column, record, generation.  Moved elsewhere it does not open.
* The key itself seals nothing.  One key per purpose is derived from it (HKDF-SHA256, salted with the vault's id).
* Every sealed value names its key by id, so that a wrong key and a damaged value are told apart.
* Must not: know what it seals, or show a plain value in an error.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
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


class BadSeal(ValueError):
    """The value was changed, moved, cut, or sealed under another key."""


class Seal:
    """Seals and opens values of one vault under one key."""

    def __init__(self, key: bytes, vault_id: str) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError("a sealing key has 32 bytes")
        self._vault = vault_id
        self._cipher = AESGCMSIV(self._derive(key, "seal"))
        self._mac = self._derive(key, "digest")
        self.key_id = self._derive(key, "id")[:KEY_ID_BYTES]
        self.check = self._derive(key, "check").hex()
        """Proves the key without telling it; kept in the clear beside the journal's id."""

    def _derive(self, key: bytes, purpose: str) -> bytes:
        info = f"freshd {purpose} 1".encode()
        return HKDF(hashes.SHA256(), KEY_BYTES, salt=self._vault.encode(), info=info).derive(key)

    def seal(self, plain: bytes, *place: str | int) -> bytes:
        """`plain`, not empty, sealed for that place."""
        nonce = os.urandom(NONCE_BYTES)
        return FORMAT + self.key_id + nonce + self._cipher.encrypt(nonce, plain, self._bound(place))

    def open(self, sealed: bytes, *place: str | int) -> bytes:
        """What was sealed for that place.  Raises BadSeal."""
        head = len(FORMAT) + KEY_ID_BYTES
        if len(sealed) < head + NONCE_BYTES + TAG_BYTES or sealed[: len(FORMAT)] != FORMAT:
            raise BadSeal("not a sealed value")
        if sealed[len(FORMAT) : head] != self.key_id:
            raise BadSeal("sealed under another key, or its head is damaged")
        nonce, rest = sealed[head : head + NONCE_BYTES], sealed[head + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, rest, self._bound(place))
        except InvalidTag:
            raise BadSeal("the value was changed, or belongs elsewhere") from None

    def digest(self, plain: bytes, *place: str | int) -> str:
        """A keyed fingerprint, in hex: tells nothing without the key, and proves the value with it."""
        return hmac.new(self._mac, self._bound(place) + plain, hashlib.sha256).hexdigest()

    def _bound(self, place: tuple[str | int, ...]) -> bytes:
        parts = [part.encode() for part in (self._vault, *map(str, place))]
        return b"".join(len(part).to_bytes(4, "big") + part for part in (*parts, b""))


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
