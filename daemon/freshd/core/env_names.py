"""Which lines of somebody's .env file hold what, told by their names alone.

Rules
-----
* A guess is made only where it is the only one; else the person is asked to name the key.
* Tokens of an app or a tenant are nobody's grant, whatever their names end with.
* Names only: no value is looked at here.  Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_PATTERNS: Final[Mapping[str, re.Pattern[str]]] = {
    "app_id": re.compile(r"(?:.*_)?(?:APP_?ID|CLIENT_?ID)"),
    "app_secret": re.compile(r"(?:.*_)?(?:APP|CLIENT)_?SECRET"),
    "refresh_token": re.compile(r"(?:.*_)?REFRESH_?TOKEN"),
    "refresh_token_expires_at": re.compile(r"(?:.*_)?REFRESH_?(?:TOKEN_?)?EXPIRE[SD]?(?:_?(?:AT|ON|TIME))?"),
    "access_token": re.compile(r"(?:.*_)?(?:ACCESS_?TOKEN|UAT|USER_?TOKEN)"),
    "expires_at": re.compile(r"(?:.*_)?(?:TOKEN_?)?EXPIRE[SD]?(?:_?(?:AT|ON|TIME))?"),
    "scope": re.compile(r"(?:.*_)?SCOPES?"),
}
_NOT_A_PERSONS: Final = re.compile(r"(?:.*_)?(?:TENANT|APP|BOT|CORP)_ACCESS_?TOKEN.*|(?:.*_)?(?:TENANT|BOT)_.*")
_OF_TOKENS: Final = frozenset({"refresh_token", "refresh_token_expires_at", "access_token", "expires_at"})


@dataclass(frozen=True, slots=True)
class Guess:
    """The names found for each thing; `sure` holds those of which there is exactly one."""

    found: Mapping[str, tuple[str, ...]]

    @property
    def sure(self) -> Mapping[str, str]:
        """Thing → name."""
        return {thing: names[0] for thing, names in self.found.items() if len(names) == 1}


def guess(names: Iterable[str], prefixes: Iterable[str] = ()) -> Guess:
    """What the names seem to be for.  Where some begin with one of the prefixes, only those count for that thing."""
    given = list(dict.fromkeys(names))
    first = tuple(prefixes)
    return Guess({thing: _preferred([name for name in given if _is(thing, name)], first) for thing in _PATTERNS})


def _preferred(names: list[str], prefixes: tuple[str, ...]) -> tuple[str, ...]:
    own = [name for name in names if name.upper().startswith(prefixes)] if prefixes else []
    return tuple(own or names)


def _is(thing: str, name: str) -> bool:
    upper = name.upper()
    if thing in _OF_TOKENS and _NOT_A_PERSONS.fullmatch(upper):
        return False
    if thing == "expires_at" and "REFRESH" in upper:
        return False
    return _PATTERNS[thing].fullmatch(upper) is not None
