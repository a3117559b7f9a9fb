"""Turning JSON objects into frozen dataclasses, with every mistake named at once.

It knows the few field types the sandbox uses (bool, int, float, str, enums of text, tuples of text, JSON objects,
optional ones) and must not grow into a validation library: settings of the daemon are validated elsewhere.
"""

import dataclasses
import enum
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

T = typing.TypeVar("T")


class ShapeError(ValueError):
    """The JSON does not fit the dataclass; the text lists each wrong field and what it should have been."""


def shaped(kind: type[T], fields: Mapping[str, object]) -> T:
    """Build ``kind`` from ``fields``; absent fields take the dataclass's defaults.

    Raises ShapeError for unknown, missing and ill-typed fields, all of them in one message.
    """
    return kind(**checked(kind, fields, partial=False))


def checked(kind: type[Any], fields: Mapping[str, object], *, partial: bool) -> dict[str, Any]:
    """Return ``fields`` converted to the types ``kind`` declares; ``partial`` allows required ones to be absent.

    Raises ShapeError like ``shaped``.
    """
    hints = _hints(kind)
    wrong = [f"{name}: unknown; known are {', '.join(sorted(hints))}" for name in fields if name not in hints]
    if not partial:
        wrong += [f"{name}: required" for name in _required(kind) if name not in fields]
    converted: dict[str, Any] = {}
    for name, value in fields.items():
        if name in hints:
            try:
                converted[name] = _fit(value, hints[name])
            except (TypeError, ValueError):
                wrong.append(f"{name}: expected {_spoken(hints[name])}")
    if wrong:
        raise ShapeError("; ".join(wrong))
    return converted


def _hints(kind: type[Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in _fields(kind) if field.init}


def _required(kind: type[Any]) -> list[str]:
    absent = dataclasses.MISSING
    return [f.name for f in _fields(kind) if f.init and f.default is absent and f.default_factory is absent]


def _fields(kind: type[Any]) -> tuple["dataclasses.Field[Any]", ...]:
    if not dataclasses.is_dataclass(kind):
        message = f"{kind.__name__} is no dataclass"
        raise TypeError(message)
    return dataclasses.fields(kind)


def _fit(value: object, hint: Any) -> object:  # noqa: ANN401 - a type hint has no narrower type
    """Convert one JSON value or raise TypeError/ValueError."""
    if isinstance(hint, types.UnionType):
        if value is None and type(None) in hint.__args__:
            return None
        return _fit(value, next(part for part in hint.__args__ if part is not type(None)))
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise TypeError
        return tuple(_fit(item, hint.__args__[0]) for item in value)
    if typing.get_origin(hint) is dict:
        if not isinstance(value, dict):
            raise TypeError
        return value
    if isinstance(hint, type) and issubclass(hint, enum.StrEnum):
        return hint(str(value))
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    if type(value) is hint and hint is not float:
        return value
    raise TypeError


def _spoken(hint: Any) -> str:  # noqa: ANN401 - a type hint has no narrower type
    if isinstance(hint, types.UnionType):
        return " or ".join("null" if part is type(None) else _spoken(part) for part in hint.__args__)
    if typing.get_origin(hint) is tuple:
        return f"a list of {_spoken(hint.__args__[0])}"
    if typing.get_origin(hint) is dict:
        return "a JSON object"
    if issubclass(hint, enum.StrEnum):
        return "one of " + ", ".join(member.value for member in hint)
    return {bool: "true or false", int: "a whole number", float: "a finite number", str: "text"}[hint]
