"""The JSON Schema of freshd.toml, for editors: rendered from the same tables that validate it.

It knows less than `load`: names are not looked up, files not visited, accounts not compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from freshd.config.accounts import NAME
from freshd.config.tables import (
    AccountTable,
    ChannelTable,
    ContractTable,
    EnvFileTable,
    LogTable,
    MarginsTable,
    MqttOutletTable,
    OutletsTable,
    ProfileTable,
    ReadersTable,
    RootTable,
    SocketTable,
    Table,
    VaultTable,
)
from freshd.core.settings import ChannelKind, KindSchema

SHAPES: Final[Mapping[str, type[Table]]] = {
    "socket": SocketTable,
    "vault": VaultTable,
    "log": LogTable,
    "readers": ReadersTable,
    "margins": MarginsTable,
    "contract": ContractTable,
    "env_file": EnvFileTable,
    "mqtt_outlet": MqttOutletTable,
}
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
TEXT: Final = {"type": "string", "minLength": 1}
KEYRING: Final = {
    "type": "object",
    "properties": {"service": TEXT, "entry": TEXT},
    "required": ["service", "entry"],
    "additionalProperties": False,
}
SECRET: Final = {
    "description": "Where a secret lies; the secret itself never stands in the configuration.",
    "type": "object",
    "properties": {
        "file": {"type": "string", "pattern": "^/"},
        "credential": TEXT,
        "keyring": KEYRING,
        "command": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    },
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}


def json_schema(kinds: Mapping[str, KindSchema], channels: Mapping[str, ChannelKind] = NOTHING) -> dict[str, Any]:
    """The whole schema, draft 2020-12."""
    shapes: dict[str, Any] = {name: _shape(shape) for name, shape in SHAPES.items()}
    own = {name: _plain(dict(kinds[name].json_schema())) for name in sorted(kinds)}
    theirs = {name: _plain(dict(channels[name].json_schema())) for name in sorted(channels)}
    for schema in (*own.values(), *theirs.values()):
        shapes |= schema.pop("$defs", {})
    shapes.pop("SecretRef", None)
    shapes.pop("Way", None)
    shapes["secret"] = SECRET
    root = _shape(RootTable)
    root["properties"] |= {name: _to(name) for name in ("socket", "vault", "log")}
    root["properties"]["operators"] = _to("readers") | {"description": "Who may operate freshd."}
    root["properties"]["accounts"] = {
        "type": "object",
        "propertyNames": {"pattern": f"^{NAME.pattern}$"},
        "additionalProperties": {"oneOf": [_account(name, own[name], kinds[name].secrets) for name in own]},
    }
    root["properties"]["channels"] = {
        "type": "object",
        "propertyNames": {"pattern": f"^{NAME.pattern}$"},
        "additionalProperties": {"oneOf": [_channel(name, theirs[name], channels[name]) for name in theirs]},
    }
    root["properties"]["outlets"] = _shape(OutletsTable) | {"properties": {"mqtt": _to("mqtt_outlet")}}
    root["properties"]["profiles"] = {"type": "object", "additionalProperties": _profile(own)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "freshd.toml",
        **root,
        "$defs": dict(sorted(shapes.items())),
    }


def _account(kind: str, own: Mapping[str, Any], secrets: frozenset[str]) -> dict[str, Any]:
    schema = _shape(AccountTable)
    mine = {key: _to("secret") if key in secrets else value for key, value in own["properties"].items()}
    common = schema["properties"] | {
        "kind": {"const": kind, "description": AccountTable.model_fields["kind"].description},
        **{name: _to(name) for name in ("readers", "margins", "contract", "env_file")},
    }
    return schema | {"title": kind, "properties": common | mine, "required": ["kind"]}


def _channel(name: str, own: Mapping[str, Any], kind: ChannelKind) -> dict[str, Any]:
    schema = _shape(ChannelTable)
    common = schema["properties"] | {
        "kind": {"const": name, "description": schema["properties"]["kind"]["description"]}
    }
    required = ["kind", *(["account"] if kind.needs_account else []), *own.get("required", [])]
    mine = {key: _referred(value) for key, value in own["properties"].items()}
    return schema | {"title": name, "properties": common | mine, "required": required}


def _referred(value: dict[str, Any]) -> dict[str, Any]:
    """A key's schema with the common one in the place of a reference to a secret."""
    ours = [_to("secret") if one == _to("SecretRef") else one for one in value.get("anyOf", [])]
    return value | ({"anyOf": ours} if ours else {})


def _profile(own: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    schema = _shape(ProfileTable)
    keys = sorted({key for kind in own.values() for key in kind["properties"]})
    options = {"type": "object", "propertyNames": {"enum": keys}}
    schema["properties"] |= {"margins": _to("margins"), "contract": _to("contract"), "options": options}
    return schema


def _shape(shape: type[Table]) -> dict[str, Any]:
    """A table's own schema, its docstring as the description."""
    schema = _plain(shape.model_json_schema())
    return {key: value for key, value in schema.items() if key != "title"}


def _to(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def _plain(part: Any) -> Any:  # noqa: ANN401 - walks over any JSON
    """Without what TOML cannot say (null), and without the titles that repeat each key."""
    if isinstance(part, list):
        return [_plain(item) for item in part]
    if not isinstance(part, dict):
        return part
    kept = {key: _plain(value) for key, value in part.items() if not _is_noise(key, value)}
    choices = [choice for choice in kept.pop("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        return choices[0] | kept
    return kept | ({"anyOf": choices} if choices else {})


def _is_noise(key: str, value: object) -> bool:
    return (key == "title" and isinstance(value, str)) or (key == "default" and value is None)
