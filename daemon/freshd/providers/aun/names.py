"""How agents are called.  Pure."""

from __future__ import annotations

import re
from typing import Final

NAME: Final = re.compile(r"(?!guest)[a-z0-9_][a-z0-9_-]{3,63}")
LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
ISSUER: Final = re.compile(rf"{LABEL}(?:\.{LABEL})+")
DEVICE: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
SLOT: Final = re.compile(r"[A-Za-z0-9._-][A-Za-z0-9._/: -]{0,127}")
ISSUER_LIMIT_CHARACTERS: Final = 253


def aid_problem(aid: str) -> str | None:
    """What is wrong with an agent's name, as the end of a sentence; None for a good one."""
    name, dot, issuer = aid.partition(".")
    if not dot or len(issuer) > ISSUER_LIMIT_CHARACTERS or not ISSUER.fullmatch(issuer):
        return "is not of the form NAME.ISSUER, with a domain as the issuer"
    if not NAME.fullmatch(name):
        return "has a name that is not 4 to 64 of a-z 0-9 _ -, or begins with - or guest"
    return None


def issuer_of(aid: str) -> str:
    """The issuer of an agent: all behind the first dot."""
    return aid.partition(".")[2]
