"""Values to bytes and back, exactly: what is sealed is this.

Rules
-----
* The types say it all: a codec is derived once per dataclass from its annotations.  A new field with a default can
  be read from old bytes; a field that is gone is passed over.
* A `Secret` travels as its plain value: these bytes go into `Seal.seal` or, for grants, into the OS keyring, and
  nowhere else.
* Anything that does not fit its annotation raises CodecError, which names types and fields, never values.
* Must not: evaluate, import or unpickle anything that bytes ask for.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from freshd.core.model import Secret

T = TypeVar("T")
_Read = Callable[[Any], Any]


class CodecError(ValueError):
    """Bytes that are no value of the type asked for."""


def to_bytes(value: object) -> bytes:
    """The value as one line of ASCII JSON."""
    return json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=True).encode("ascii")


def from_bytes(kind: type[T], data: bytes) -> T:
    """The value those bytes hold.  Raises CodecError."""
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError):
        raise CodecError("not JSON") from None
    read: _Read = _reader(typing.cast("Any", kind))
    return typing.cast("T", read(plain))


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, frozenset | set):  # `frozenset & keys()` is a set
        return sorted(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        return {name: _plain(getattr(value, name)) for name in _names(typing.cast("Any", type(value)))}
    raise CodecError(f"no codec for {type(value).__name__}")


@functools.cache
def _names(kind: Any) -> tuple[str, ...]:  # noqa: ANN401 - type[Any] is not hashable to mypy
    return tuple(item.name for item in fields(kind))


@functools.cache
def _reader(hint: Any) -> _Read:  # noqa: ANN401 - an annotation has no type of its own
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint):
        return _dataclass_reader(typing.cast("type[Any]", hint))
    if origin in (typing.Union, types.UnionType):
        return _optional_reader(args)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_reader(_reader(args[1]))
    if origin is frozenset:
        item = _reader(args[0])
        return lambda plain: frozenset(item(part) for part in _expect(list, plain))
    if origin is tuple:
        return _tuple_reader(args)
    return _scalar_reader(hint)


def _scalar_reader(hint: object) -> _Read:
    if hint is Secret:
        return lambda plain: Secret(_expect(str, plain))
    if hint is bytes:
        return _bytes
    if hint is float:
        return _float
    if hint is int:
        return _int
    if hint in (str, bool):
        return functools.partial(_expect, typing.cast("type[Any]", hint))
    raise CodecError(f"no codec for the annotation {hint!r}")


def _expect(kind: type[T], plain: object) -> T:
    if not isinstance(plain, kind):
        raise CodecError(f"{type(plain).__name__} where {kind.__name__} was expected")
    return plain


def _int(plain: object) -> int:
    if isinstance(plain, bool):
        raise CodecError("bool where int was expected")
    return _expect(int, plain)


def _float(plain: object) -> float:
    if isinstance(plain, bool) or not isinstance(plain, int | float):
        raise CodecError(f"{type(plain).__name__} where float was expected")
    return float(plain)


def _bytes(plain: object) -> bytes:
    try:
        return base64.b64decode(_expect(str, plain), validate=True)
    except (binascii.Error, ValueError):
        raise CodecError("not base64") from None


def _optional_reader(args: tuple[Any, ...]) -> _Read:
    others = [arg for arg in args if arg is not types.NoneType]
    if len(others) != 1:
        raise CodecError("only X | None can be read back")
    read = _reader(others[0])
    return lambda plain: None if plain is None else read(plain)


def _mapping_reader(item: _Read) -> _Read:
    def read(plain: object) -> Mapping[str, Any]:
        return MappingProxyType({key: item(value) for key, value in _expect(dict, plain).items()})

    return read


def _tuple_reader(args: tuple[Any, ...]) -> _Read:
    if len(args) == 2 and args[1] is Ellipsis:
        each = _reader(args[0])
        return lambda plain: tuple(each(part) for part in _expect(list, plain))
    readers = [_reader(arg) for arg in args]

    def read(plain: object) -> tuple[Any, ...]:
        parts = _expect(list, plain)
        if len(parts) != len(readers):
            raise CodecError(f"{len(parts)} parts where {len(readers)} were expected")
        return tuple(one(part) for one, part in zip(readers, parts, strict=True))

    return read


def _dataclass_reader(kind: type[Any]) -> _Read:
    hints = typing.get_type_hints(kind)
    readers = {item.name: _reader(hints[item.name]) for item in fields(kind) if item.init}
    required = {
        item.name for item in fields(kind) if item.init and item.default is MISSING and item.default_factory is MISSING
    }

    def read(plain: object) -> object:
        given = _expect(dict, plain)
        if missing := required - given.keys():
            raise CodecError(f"{kind.__name__} without {', '.join(sorted(missing))}")
        return kind(**{name: one(given[name]) for name, one in readers.items() if name in given})

    return read
