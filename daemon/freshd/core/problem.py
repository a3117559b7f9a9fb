"""What is wrong with a piece of configuration, in words that never repeat what was written there.

A problem names a key by its path and says what to write instead.  The value itself may be a secret that somebody
pasted into the wrong place, so it is never shown: the line number is enough to find it.

`explain` turns the list of errors that pydantic gives (`errors(include_input=False, include_url=False)`) into problems.
It knows the error types by name and falls back to a sentence without any content.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong.  `key`: path from the table at hand; `wrong`: what is wrong; `write`: what to write instead."""

    key: Path
    wrong: str
    write: str

    def under(self, *prefix: str | int) -> Problem:
        """The same problem seen from a table further up."""
        return Problem((*prefix, *self.key), self.wrong, self.write)


def spell(key: Path) -> str:
    """A path as it is written in TOML, with indexes in brackets."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        shown = part if BARE.fullmatch(part) else '"' + part.encode("unicode_escape").decode() + '"'
        text += f".{shown}" if text else shown
    return text or "(file)"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    found = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return found[0] if found else None


def listed(words: Iterable[str]) -> str:
    """Known words for a sentence."""
    return ", ".join(sorted(words)) or "none"


def unknown_key(key: Path, known: Iterable[str]) -> Problem:
    """A key that means nothing here."""
    names = sorted(known)
    meant = nearest(str(key[-1]), names)
    if meant is not None:
        return Problem(key, "unknown key", f"did you mean {meant}? write {meant} = …, or remove the line")
    if len(names) > MANY:
        return Problem(key, "unknown key", "remove it; the keys stand in the table of config/README.md")
    return Problem(key, "unknown key", f"remove it; known here: {listed(names)}")


BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
MANY: Final = 12
"""More names than this help nobody in one line."""
MISSING: Final = "missing"

TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "string_type": ("must be a string", 'put it in quotes: "…"'),
    "int_type": ("must be a whole number", "write digits without quotes"),
    "float_type": ("must be a number", "write a number without quotes"),
    "bool_type": ("must be true or false", "write true or false, without quotes"),
    "list_type": ("must be a list", "put it in brackets: [ … ]"),
    "tuple_type": ("must be a list", "put it in brackets: [ … ]"),
    "dict_type": ("must be a table", "write { KEY = VALUE } or a [table] of its own"),
    "model_type": ("must be a table", "write { KEY = VALUE } or a [table] of its own"),
    "model_attributes_type": ("must be a table", "write { KEY = VALUE } or a [table] of its own"),
    "finite_number": ("must be a finite number", "write a number other than inf and nan"),
    "string_too_short": ("is empty or too short", "write at least one character"),
    "too_short": ("has too few items", "write at least one item"),
    "dataclass_type": ("must be a reference to a secret", 'write { file = "/PATH" }'),
    "dataclass_exact_type": ("must be a reference to a secret", 'write { file = "/PATH" }'),
}

Ctx = Mapping[str, Any]
BOUNDS: Final[Mapping[str, Callable[[Ctx], str]]] = {
    "greater_than": lambda ctx: f"greater than {ctx['gt']}",
    "greater_than_equal": lambda ctx: f"at least {ctx['ge']}",
    "less_than": lambda ctx: f"less than {ctx['lt']}",
    "less_than_equal": lambda ctx: f"at most {ctx['le']}",
    "string_too_long": lambda ctx: f"at most {ctx['max_length']} characters",
    "too_long": lambda ctx: f"at most {ctx['max_length']} items",
}


def explain(errors: Sequence[Mapping[str, Any]], known: Iterable[str] = ()) -> tuple[Problem, ...]:
    """Problems from pydantic's errors.  `known`: the keys that the validated table has, for suggestions.

    A ValueError raised by a validator of ours speaks for itself: "what is wrong; what to write".  Its text must hold
    no input.
    """
    names = tuple(known)
    return tuple(_explain(error, names) for error in errors)


def _explain(error: Mapping[str, Any], known: tuple[str, ...]) -> Problem:
    key: Path = tuple(error["loc"])
    kind, ctx = str(error["type"]), error.get("ctx", {})
    if kind == "missing":
        return Problem(key, MISSING, f"add {key[-1]} = …")
    if kind == "extra_forbidden":
        return unknown_key(key, known if len(key) == 1 else ())
    if kind in TYPES:
        return Problem(key, *TYPES[kind])
    if kind in BOUNDS:
        bound = BOUNDS[kind](ctx)
        return Problem(key, "out of range", f"write {bound}")
    if kind in {"literal_error", "enum"}:
        return Problem(key, "not one of the known words", f"write {ctx['expected']}")
    if kind == "value_error":
        wrong, _, write = str(ctx.get("error", "")).partition("; ")
        return Problem(key, wrong or "not valid", write or "see the table of keys in config/README.md")
    return Problem(key, "not valid", "see the table of keys in config/README.md")
