"""References to secrets: the tables { file = … }, { credential = … }, { keyring = … }, { command = … }.

A secret itself never stands in the configuration, and is refused without being repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from freshd.core.problem import Problem, unknown_key
from freshd.core.settings import SecretRef, Way

FORMS = (
    '{ file = "/PATH" }, { credential = "NAME" }, '
    '{ keyring = { service = "…", entry = "…" } } or { command = ["/PATH", "…"] }'
)
WAYS = frozenset(way.value for way in Way)


def references(raw: Mapping[str, object], secrets: Iterable[str]) -> tuple[dict[str, object], tuple[Problem, ...]]:
    """`raw` with every secret key's value turned into a `SecretRef`; keys with a problem are left out."""
    kept, problems = dict(raw), list[Problem]()
    for key in sorted(kept.keys() & set(secrets)):
        made = reference(kept[key])
        if isinstance(made, SecretRef):
            kept[key] = made
        else:
            del kept[key]
            problems.append(made.under(key))
    return kept, tuple(problems)


def reference(value: object) -> SecretRef | Problem:
    """One reference, or what is wrong with it (keys relative to the value)."""
    if isinstance(value, SecretRef):
        return value
    if isinstance(value, str):
        wrong = "a secret must not stand in the configuration"
        return Problem(
            (), wrong, f"move it out and write a reference: {FORMS}; change the secret if others could read it"
        )
    if not isinstance(value, dict):
        return Problem((), "must be a reference to a secret", f"write {FORMS}")
    if "env" in value:
        wrong = "the environment is no place for a secret: children inherit it and the system shows it"
        return Problem(("env",), wrong, f"write {FORMS}")
    unknown = sorted(value.keys() - WAYS)
    if unknown:
        return unknown_key((unknown[0],), WAYS)
    if len(value) != 1:
        return Problem((), "must name exactly one place", f"write {FORMS}")
    [(way, where)] = value.items()
    return _MAKERS[way](where)


def _file(where: object) -> SecretRef | Problem:
    if isinstance(where, str) and PurePosixPath(where).is_absolute() and "\0" not in where:
        return SecretRef(Way.FILE, (where,))
    return Problem(("file",), "must be the absolute path of a file", 'write { file = "/PATH" }')


def _credential(where: object) -> SecretRef | Problem:
    if isinstance(where, str) and where not in {"", ".", ".."} and where.isprintable() and "/" not in where:
        return SecretRef(Way.CREDENTIAL, (where,))
    return Problem(("credential",), "must be the name of a systemd credential", 'write { credential = "NAME" }')


def _keyring(where: object) -> SecretRef | Problem:
    write = 'write { keyring = { service = "…", entry = "…" } }'
    if not isinstance(where, dict) or where.keys() != {"service", "entry"}:
        return Problem(("keyring",), "must be a table with service and entry", write)
    names = (where["service"], where["entry"])
    if not all(isinstance(name, str) and name and name.isprintable() for name in names):
        return Problem(("keyring",), "service and entry must be non-empty strings", write)
    return SecretRef(Way.KEYRING, names)


def _command(where: object) -> SecretRef | Problem:
    write = 'write { command = ["/PATH", "ARGUMENT"] }: no shell reads it'
    if not isinstance(where, list) or not where or not all(isinstance(word, str) for word in where):
        return Problem(("command",), "must be a list of strings: the program and its arguments", write)
    if not PurePosixPath(where[0]).is_absolute() or any("\0" in word for word in where):
        return Problem(("command", 0), "must be the absolute path of a program", write)
    return SecretRef(Way.COMMAND, tuple(where))


_MAKERS = {"file": _file, "credential": _credential, "keyring": _keyring, "command": _command}
