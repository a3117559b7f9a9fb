"""Keys for custom sign-in, and the tickets signed with them. Pure but for the making of a key.

Rules: a ticket is ``key id/@@/JWT``; the JWT's times are milliseconds and it names the environment and the user. Making
a key lets the ones before it work on for the overlap that held then. Which check failed decides the error only as far
as ``BAD_TICKET_KEY_ERROR`` tells the key's faults from all others.
"""

import base64
import binascii
import dataclasses
import json
import re
import uuid
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from freshd.sandbox.cloudbase.constants import CloudbaseConstants
from freshd.sandbox.cloudbase.refusal import Refusal

SEPARATOR = "/@@/"
UID = re.compile(r"[a-zA-Z0-9_\-#@~=*(){}\[\]:.,<>+]{4,32}")
_MS = 1000


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class TicketKey:
    """One key; ``ends_at`` (wall seconds) None: the newest."""

    id: str
    public: rsa.RSAPublicKey
    ends_at: float | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A ticket that passed; ``refresh_s`` and ``left_s`` are the lives that it asks for, where it does."""

    uid: str
    refresh_s: float | None
    left_s: float | None


class TicketKeys:
    """All keys of the environment ``env``."""

    def __init__(self, env: str) -> None:
        """Start without any: no ticket is good."""
        self._env = env
        self._keys: dict[str, TicketKey] = {}

    def make(self, now: float, overlap_s: float, *, bits: int = 2048, pkcs8: bool = False) -> dict[str, str]:
        """Make a key, let the others end after ``overlap_s``, and return the new one's file."""
        for old in self._keys.values():
            old.ends_at = now + overlap_s if old.ends_at is None else old.ends_at
        private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        key = TicketKey(id=str(uuid.uuid4()), public=private.public_key())
        self._keys[key.id] = key
        kind = serialization.PrivateFormat.PKCS8 if pkcs8 else serialization.PrivateFormat.TraditionalOpenSSL
        pem = private.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())
        return {"private_key_id": key.id, "private_key": pem.decode(), "env_id": self._env}

    def list(self) -> list[dict[str, object]]:
        """Return ids and ends."""
        return [{"private_key_id": key.id, "ends_at": key.ends_at} for key in self._keys.values()]

    def check(self, text: str, constants: CloudbaseConstants, now: float) -> Ticket:
        """Return what a ticket says if it is good; raises Refusal."""
        key_id, separator, compact = text.partition(SEPARATOR)
        parts = _parts(compact)
        if not separator or parts is None:
            raise Refusal(constants.CLOUDBASE_SIM_BAD_TICKET_ERROR)
        key = self._keys.get(key_id)
        is_over = key is not None and key.ends_at is not None and now >= key.ends_at
        if key is None or is_over or not _is_signed(key, compact, parts[2]):
            raise Refusal(constants.CLOUDBASE_SIM_BAD_TICKET_KEY_ERROR)
        header, claims, _ = parts
        named = (header.get("alg"), header.get("typ"), claims.get("alg"), claims.get("env"))
        uid = claims.get("uid")
        if named != ("RS256", "JWT", "RS256", self._env) or not _is_timely(claims, constants, now):
            raise Refusal(constants.CLOUDBASE_SIM_BAD_TICKET_ERROR)
        if not isinstance(uid, str) or UID.fullmatch(uid) is None:
            raise Refusal(constants.CLOUDBASE_SIM_BAD_TICKET_ERROR)
        refresh, expire = _whole(claims, "refresh"), _whole(claims, "expire")
        return Ticket(
            uid=uid,
            refresh_s=None if refresh is None else refresh / _MS,
            left_s=None if expire is None else expire / _MS - now,
        )


def claimed_uid(text: str) -> str:
    """Return the user id that a ticket claims, unproven; empty where it cannot be read."""
    parts = _parts(text.partition(SEPARATOR)[2])
    uid = parts[1].get("uid") if parts is not None else None
    return uid if isinstance(uid, str) else ""


def _parts(compact: str) -> tuple[dict[str, Any], dict[str, Any], bytes] | None:
    pieces = compact.split(".")
    if len(pieces) != 3:
        return None
    try:
        header, claims = (json.loads(_decoded(piece)) for piece in pieces[:2])
        signature = _decoded(pieces[2])
    except (ValueError, RecursionError, binascii.Error):
        return None
    return (header, claims, signature) if isinstance(header, dict) and isinstance(claims, dict) else None


def _decoded(piece: str) -> bytes:
    return base64.b64decode(piece + "=" * (-len(piece) % 4), altchars=b"-_", validate=True)


def _is_signed(key: TicketKey, compact: str, signature: bytes) -> bool:
    signed = compact.rpartition(".")[0].encode()
    try:
        key.public.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _is_timely(claims: dict[str, Any], constants: CloudbaseConstants, now: float) -> bool:
    """Whether ``iat`` and ``exp`` are milliseconds, in order, not too far apart, and now lies between them."""
    issued, expires = _whole(claims, "iat"), _whole(claims, "exp")
    if issued is None or expires is None:
        return False
    is_begun = issued <= (now + constants.CLOUDBASE_SIM_TICKET_SKEW_S) * _MS
    is_short = 0 < expires - issued <= constants.CLOUDBASE_SIM_TICKET_LIFE_S * _MS
    return is_begun and is_short and now * _MS < expires


def _whole(claims: dict[str, Any], name: str) -> int | None:
    value = claims.get(name)
    return value if type(value) is int else None
