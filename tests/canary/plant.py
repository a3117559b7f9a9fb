"""Has the sandbox's services of this process draw marked secrets.  Nothing of the sandbox knows of it.

What is left without a mark: names (lineages, sessions), a captcha in the address that a person opens, salts, and codes
that a person types in.  A signed token carries the mark in a claim of its own, which tests of the sandbox itself switch
off: they know all claims.
"""

from __future__ import annotations

import base64
import importlib
import secrets
import sys
from collections.abc import Mapping
from types import ModuleType, SimpleNamespace
from typing import Any, Final

from tests.canary.mark import Kind, mark

PACKAGE: Final = "freshd.sandbox."
NAMES: Final = frozenset({"ch", "gr", "ln", "cb", "cc"})
LENT: Final = frozenset({"at", "u", "t", "a", "s", "ws", "mw"})
LEAST_BYTES: Final = 16
TEXT_BYTES: Final = 32
_off: Final[set[str]] = set()


def plant() -> None:
    """From now on, in all of them.  A second time changes nothing."""
    tokens = importlib.import_module(f"{PACKAGE}tokens")
    if tokens.fresh is fresh:
        return
    importlib.import_module(f"{PACKAGE}server")
    places = importlib.import_module(f"{PACKAGE}stands").STANDS
    for place in places:
        importlib.import_module(place.partition(":")[0])
    credential = importlib.import_module(f"{PACKAGE}futu.credential")
    _replace("fresh", tokens.fresh, fresh_of_futu, f"{PACKAGE}futu.")
    _replace("fresh", tokens.fresh, fresh)
    _replace("opaque", credential.opaque, opaque)
    _mark_genius(importlib.import_module(f"{PACKAGE}geniusauth.jwt"))
    _mark_aun(importlib.import_module(f"{PACKAGE}aun.bearer"))
    _mark_cloudbase(importlib.import_module(f"{PACKAGE}cloudbase.notary"))


def mark_claims(*, on: bool) -> None:
    """Whether signed tokens are made with the claim."""
    _off.discard("claims") if on else _off.add("claims")


def _marked(claims: Mapping[str, object], kind: Kind) -> Mapping[str, object]:
    return claims if _off else {**claims, "mark": mark(kind)}


def fresh(kind: str) -> str:
    """As `freshd.sandbox.tokens.fresh`: of the same length, for whatever reads it."""
    rest = secrets.token_urlsafe(TEXT_BYTES)
    if kind in NAMES:
        return f"{kind}-{rest}"
    text = mark(Kind.LENT if kind in LENT else Kind.HELD)
    return f"{kind}-{text}{rest[len(text) :]}"


def fresh_of_futu(kind: str) -> str:
    """A broker's code is a lease where the account is configured so."""
    return fresh(kind).replace(mark(Kind.HELD), mark(Kind.LENT)) if kind == "ac" else fresh(kind)


def opaque(size: int = TEXT_BYTES) -> str:
    """As `freshd.sandbox.futu.credential.opaque`."""
    text = mark(Kind.LENT).encode() if size >= LEAST_BYTES else b""
    return base64.b64encode(text + secrets.token_bytes(size - len(text))).decode()


def _replace(name: str, old: object, new: object, package: str = PACKAGE) -> None:
    for module in list(sys.modules.values()):
        if module.__name__.startswith(package) and getattr(module, name, None) is old:
            setattr(module, name, new)


def _mark_genius(module: ModuleType) -> None:
    plain = module.Signer.token

    def token(signer: Any, claims: Mapping[str, object]) -> str:  # noqa: ANN401 - the sandbox's own
        kind = Kind.LENT if claims.get("type") == "Access" else Kind.HELD
        return str(plain(signer, _marked(claims, kind)))

    module.Signer.token = token


def _mark_aun(module: ModuleType) -> None:
    plain = module._packed
    module._packed = lambda claims: plain(_marked(claims, Kind.LENT) if "aid" in claims else claims)  # type: ignore[attr-defined]


def _mark_cloudbase(module: ModuleType) -> None:
    plain = module.jwt

    def encode(header: object, claims: Mapping[str, object], key: object) -> str:
        return str(plain.encode(header, _marked(claims, Kind.LENT), key))

    module.jwt = SimpleNamespace(encode=encode)  # type: ignore[attr-defined]
