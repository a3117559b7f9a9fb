"""Texts of a login with places for what a lease holds: `{token}`, `{NAME}`, `{fields[NAME]}`; `{{` and `}}` are braces.

Nothing but names stands between the braces: no attribute, no index, no format.  A text is read when the configuration
is; which fields a lease has is known only when there is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from freshd.core.model import Lease

TOKEN: Final = "token"
OURS: Final = frozenset({"account", "channel", "host"})
"""What is known without a lease: the account's and the channel's name, and the name of this machine."""
PIECE: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
NAME: Final = re.compile(r"fields\[([A-Za-z0-9_.-]+)\]|([A-Za-z0-9_-]+)")


class BadTemplate(ValueError):
    """A text whose braces hold no name.  Says what is wrong, not what stands there."""


class NoSuchField(LookupError):
    """The lease has no field of that name.  `known`: the names that could stand there."""

    def __init__(self, name: str, known: frozenset[str]) -> None:
        super().__init__(name)
        self.name, self.known = name, known


@dataclass(frozen=True, slots=True)
class Template:
    """One text.  `parts`: (text, None) or ("", name of a place)."""

    parts: tuple[tuple[str, str | None], ...]

    @property
    def names(self) -> frozenset[str]:
        """The places in it."""
        return frozenset(name for _, name in self.parts if name is not None)

    @property
    def needs_lease(self) -> bool:
        """Whether any place is filled from a lease."""
        return bool(self.names - OURS)

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with every place filled.  Raises NoSuchField."""
        missing = sorted(self.names - values.keys())
        if missing:
            raise NoSuchField(missing[0], frozenset(values))
        return "".join(text if name is None else values[name] for text, name in self.parts)


def parsed(text: str) -> Template:
    """The template that a text is.  Raises BadTemplate."""
    parts = list[tuple[str, str | None]]()
    for piece in PIECE.finditer(text):
        if piece[0] in ("{{", "}}"):
            parts.append((piece[0][0], None))
        elif piece[0] in ("{", "}"):
            raise BadTemplate("has a brace without its fellow; write {{ or }} for a brace")
        elif piece[1] is None:
            parts.append((piece[0], None))
        else:
            parts.append(("", _place(piece[1])))
    return Template(tuple(parts))


def _place(inside: str) -> str:
    found = NAME.fullmatch(inside)
    if found is None:
        raise BadTemplate("has braces without a name; write {token}, {NAME} or {fields[NAME]}")
    return found[1] or found[2]


def values_of(account: str | None, channel: str, host: str, lease: Lease | None) -> Mapping[str, str]:
    """What places are filled with; a field of the lease never hides one of the names that always mean the same."""
    ours = {"channel": channel, "host": host} | ({} if account is None else {"account": account})
    if lease is None:
        return ours
    more = {name: secret.reveal() for name, secret in lease.more_secrets.items()}
    return {**lease.fields, **more, **ours, TOKEN: lease.token.reveal()}
