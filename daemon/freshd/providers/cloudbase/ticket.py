"""The ticket of a custom sign-in: made of the environment's private key, or had from somewhere else.  Pure.

Rules
-----
* Times are milliseconds, as whole numbers: that is what the service's own kit writes, whatever JWT says of seconds.
* A ticket is made for one sign-in, lives ten minutes, and is never kept, logged or shown.
* Everything that can be wrong with a key file is found before any request: its members, its environment, its key.
* Short RSA keys are signed with, for the service hands them out; so the signature is made here and not by a JOSE
  library, which refuses them.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from freshd.errors import NotPossible
from freshd.providers.form import claims_of

UID: Final = re.compile(r"[0-9A-Za-z_\-#@~=*(){}\[\]:.,<>+]{4,32}")
TICKET_MS: Final = 600_000
REFRESH_MS: Final = 3_600_000
EXPIRE_MS: Final = 7 * 86_400_000
SEPARATOR: Final = "/@@/"
TICKET: Final = re.compile(r"[0-9A-Za-z_.:-]{1,128}/@@/[0-9A-Za-z_-]{2,}\.[0-9A-Za-z_-]{2,}\.[0-9A-Za-z_-]{2,}")
LONGEST_CHARACTERS: Final = 16 * 1024
MEMBERS: Final = ("private_key_id", "private_key", "env_id")
CONSOLE: Final = "download a key file for this environment from its console"


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The environment's key."""

    key_id: str
    key: RSAPrivateKey = field(repr=False)


def key_file(text: str, env: str) -> KeyFile:
    """The key in a key file.  Raises NotPossible, without anything of it."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise NotPossible("key_file holds no JSON object", CONSOLE) from None
    if not isinstance(found, dict):
        raise NotPossible("key_file holds no JSON object", CONSOLE)
    lacking = [name for name in MEMBERS if not isinstance(found.get(name), str) or not found[name].strip()]
    if lacking:
        raise NotPossible(f"key_file lacks {', '.join(lacking)}", CONSOLE)
    if found["env_id"] != env:
        raise NotPossible("key_file belongs to another environment than env", CONSOLE)
    if SEPARATOR in found["private_key_id"] or not found["private_key_id"].isprintable():
        raise NotPossible("private_key_id in key_file is none", CONSOLE)
    try:
        key = load_pem_private_key(found["private_key"].encode(), None, unsafe_skip_rsa_key_validation=False)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise NotPossible("private_key in key_file is no private key in PEM form", CONSOLE) from None
    if not isinstance(key, RSAPrivateKey):
        raise NotPossible("private_key in key_file is no RSA key", CONSOLE)
    return KeyFile(found["private_key_id"], key)


def made(key: KeyFile, env: str, uid: str, now_ms: int) -> str:
    """A fresh ticket.  `now_ms`: milliseconds since 1970."""
    header = {"alg": "RS256", "typ": "JWT"}
    claims = {
        "alg": "RS256",
        "env": env,
        "iat": now_ms,
        "exp": now_ms + TICKET_MS,
        "uid": uid,
        "refresh": REFRESH_MS,
        "expire": now_ms + EXPIRE_MS,
    }
    signed = f"{_coded(header)}.{_coded(claims)}"
    signature = key.key.sign(signed.encode(), PKCS1v15(), hashes.SHA256())
    return f"{key.key_id}{SEPARATOR}{signed}.{_base64(signature)}"


def foreign(text: str, env: str, uid: str | None, now_ms: int) -> str:
    """A ticket that came from a command or an address, looked at before it is sent.  Raises NotPossible."""
    ticket = text.strip()
    if len(ticket) > LONGEST_CHARACTERS or TICKET.fullmatch(ticket) is None:
        wrong = "more than one line" if "\n" in ticket else "no ticket"
        raise NotPossible(
            f"what should bring a ticket brought {wrong}", "have it print one line: private_key_id/@@/jwt"
        )
    claims = claims_of(ticket.partition(SEPARATOR)[2])
    if claims.get("env") != env:
        raise NotPossible("the ticket is for another environment than env", "have it made for this environment")
    if uid is not None and claims.get("uid") != uid:
        raise NotPossible("the ticket is for another user than uid", "correct uid, or what makes the ticket")
    ends = claims.get("exp")
    if isinstance(ends, bool) or not isinstance(ends, int):
        raise NotPossible("the ticket states no end", "have it made with exp in milliseconds")
    if ends <= now_ms:
        raise NotPossible(
            "the ticket is over", "have a fresh one made for every sign-in, with exp in milliseconds; check both clocks"
        )
    return ticket


def _coded(part: Mapping[str, Any]) -> str:
    return _base64(json.dumps(part, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
