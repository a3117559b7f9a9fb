"""A .env file as text: read some of its values, change some, keep every other byte.

Rules
-----
* What is not asked for is never touched: order, comments, quotes, line ends, a byte-order mark, bytes of no UTF-8.
* A line is NAME=VALUE, perhaps with `export` before it and blanks around "=".  VALUE is bare, in '…' or in "…"; what is
  in quotes may run over lines.  A bare value ends at " #" or with its line.
* Of a name that stands twice the last one counts, as for everybody who reads such files; all of them are changed, for
  none may go on holding what was taken out.
* A name that is not there cannot be changed, and a value that another program would read otherwise than we do is
  neither read nor changed: both raise `BadEnv`, never pass in silence.
* No error holds a value.  Pure: files are `outlets.envfile`'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MARK: Final = "\ufeff"
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LINE: Final = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")
_SINGLE: Final = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
_DOUBLE: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_BARE: Final = re.compile(r"(?:(?![ \t]+#)[^\r\n])*")
_REST: Final = re.compile(r"[ \t]*(?:#[^\r\n]*)?(?=\r?\n|\Z)")
_END: Final = re.compile(r"[^\n]*(?:\n|\Z)")
_SAFE: Final = re.compile(r"[A-Za-z0-9_./+=:@%,~-]*")
"""What every reader of such files takes as it stands."""
_EXPANDS: Final = re.compile(r"[$`]")
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}


class BadEnv(ValueError):
    """What was asked for cannot be done with this file.  The text says why and where, without a value."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One assignment.

    line   where it begins, from 1
    start, end  where its value lies in the text, its quotes included
    quote  the quotes around it, "" for none
    value  what it means; None where programs would not agree on that
    """

    name: str
    line: int
    start: int
    end: int
    quote: str
    value: str | None


class DotEnv:
    """The text of one file.  Immutable: `changed` makes another."""

    def __init__(self, data: bytes) -> None:
        if b"\0" in data:
            raise BadEnv("is no text: it holds zero bytes")
        self._text = data.decode("utf-8", "surrogateescape")
        self.entries = tuple(_entries(self._text))

    def __bytes__(self) -> bytes:
        return self._text.encode("utf-8", "surrogateescape")

    def names(self) -> tuple[str, ...]:
        """Every name, in the order of the file."""
        return tuple(dict.fromkeys(entry.name for entry in self.entries))

    def lines(self, name: str) -> tuple[int, ...]:
        """Where the name stands; nothing where it does not."""
        return tuple(entry.line for entry in self.entries if entry.name == name)

    def get(self, name: str) -> str | None:
        """The value in force; None where the name is not there.  Raises BadEnv."""
        found = [entry for entry in self.entries if entry.name == name]
        if not found:
            return None
        if found[-1].value is None:
            raise BadEnv(f"line {found[-1].line}: programs do not agree on what {name} means there")
        return found[-1].value

    def mentions(self, value: str) -> tuple[int, ...]:
        """Lines, comments among them, that hold this text."""
        lines = self._text.split("\n")
        return tuple(number for number, line in enumerate(lines, 1) if value in line)

    def changed(self, values: Mapping[str, str]) -> DotEnv:
        """Another text with these values.  Raises BadEnv where a name is not there or a value fits into no line."""
        missing = [name for name in values if not self.lines(name)]
        if missing:
            raise BadEnv(f"has no line {missing[0]}=")
        text = self._text
        for entry in reversed(self.entries):
            if entry.name in values:
                rest = text[entry.end :]
                text = text[: entry.start] + _written(entry, values[entry.name], rest) + rest
        made = DotEnv(text.encode("utf-8", "surrogateescape"))
        if any(made.get(name) != value for name, value in values.items()):
            raise BadEnv("would not read as it was written")
        return made


def _entries(text: str) -> list[Entry]:
    """Assignments, in order; lines that are none are passed over."""
    found, at, line = list[Entry](), len(MARK) if text.startswith(MARK) else 0, 1
    while at < len(text):
        head = _LINE.match(text, at)
        end = at
        if head is not None:
            entry = _entry(text, head["name"], line, head.end())
            found.append(entry)
            end = entry.end
        end = _end_of_line(text, end)
        line += text.count("\n", at, end)
        at = end
    return found


def _end_of_line(text: str, at: int) -> int:
    found = _END.match(text, at)
    return len(text) if found is None else found.end()


def _entry(text: str, name: str, line: int, at: int) -> Entry:
    for quote, pattern in (("'", _SINGLE), ('"', _DOUBLE)):
        if text.startswith(quote, at):
            quoted = pattern.match(text, at)
            if quoted is not None and _REST.match(text, quoted.end()):
                return Entry(name, line, at, quoted.end(), quote, _meant(quote, quoted[1]))
            return Entry(name, line, at, _bare_end(text, at), quote, None)
    end = _bare_end(text, at)
    bare = text[at:end]
    if bare.startswith("#"):  # NAME= # a remark: the value is the nothing right behind "="
        at = len(text[:at].rstrip(" \t"))
        return Entry(name, line, at, at, "", "")
    return Entry(name, line, at, end, "", _meant("", bare))


def _bare_end(text: str, at: int) -> int:
    found = _BARE.match(text, at)
    end = at if found is None else found.end()
    return at + len(text[at:end].rstrip(" \t"))


def _meant(quote: str, raw: str) -> str | None:
    """What a value means, None where readers differ: what is put together of other variables, odd escapes."""
    if quote == "'":
        return raw if "\\" not in raw else None
    if _EXPANDS.search(raw):
        return None
    if quote == '"':
        return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), raw, flags=re.DOTALL)
    return raw if not {*raw} & {"\\", "'", '"'} else None


def _written(entry: Entry, value: str, rest: str) -> str:
    """A value in the quotes that stood there, if it can.  A remark (`rest`) behind nothing is not one to everybody."""
    if not value.isprintable():
        raise BadEnv(f"cannot take the new value of {entry.name}: it is more than one line of text")
    if not value and not entry.quote and rest.lstrip(" \t").startswith("#"):
        return '""'
    if _SAFE.fullmatch(value):
        return f"{entry.quote}{value}{entry.quote}"
    if "'" not in value and "\\" not in value:
        return f"'{value}'"
    if _EXPANDS.search(value):
        raise BadEnv(f"cannot take the new value of {entry.name}: no quotes fit all readers")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
