"""One request to a Feishu endpoint as it came, read but not judged, and the answer that is made of it. Pure.

Rules: reading never refuses: what is wrong with a body is noted and refused by the endpoint in its own words. All
members must be text, each given once.
"""

import dataclasses
import json
import urllib.parse
from collections.abc import Mapping

from freshd.sandbox.tokens import Commit

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What arrived. ``params``: the body's members, none where ``malformed``; names of ``headers`` are lower case."""

    method: str
    path: str
    query: Mapping[str, str] = dataclasses.field(default_factory=dict)
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    params: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    malformed: bool = False
    is_form: bool = False

    @property
    def authorization(self) -> str | None:
        """The Authorization header."""
        return self.headers.get("authorization")

    @property
    def bearer(self) -> str:
        """The token of a Bearer header; empty where there is none."""
        scheme, _, text = (self.authorization or "").partition(" ")
        return text.strip() if scheme.lower() == "bearer" else ""


@dataclasses.dataclass(slots=True, kw_only=True)
class Answer:
    """What the service says. ``outcome`` is its word in the books; ``successor`` is text without which the answer does
    not carry its new secret; ``also`` are further commits whose fate is that of the same bytes; ``is_empty``: no byte
    of body.
    """

    status: int = 200
    body: dict[str, object] = dataclasses.field(default_factory=dict)
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    outcome: str = "granted"
    commit: Commit | None = None
    also: tuple[Commit, ...] = ()
    successor: str | None = None
    is_empty: bool = False


def arrived(
    method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | Mapping[str, object]
) -> Request:
    """Return the request that these bytes are; a mapping stands for the JSON object of its members."""
    named = {name.lower(): value for name, value in headers.items()}
    kind = named.get("content-type", "").partition(";")[0].strip().lower()
    is_form = kind == _FORM and isinstance(body, bytes)
    params: dict[str, str] | None = None
    if isinstance(body, Mapping):
        params = _texts(list(body.items()))
    elif not body:
        params = None if method == "POST" else {}
    elif is_form:
        params = _form(body)
    elif kind == _JSON:
        params = _object(body)
    return Request(
        method=method,
        path=path,
        query=dict(query),
        headers=named,
        params=params or {},
        malformed=params is None,
        is_form=is_form,
    )


def _form(body: bytes) -> dict[str, str] | None:
    try:
        return _texts(list(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True, errors="strict")))
    except ValueError:
        return None


def _object(body: bytes) -> dict[str, str] | None:
    try:
        pairs = json.loads(body, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None
    return _texts(list(pairs)) if isinstance(pairs, _Pairs) else None


class _Pairs(list[tuple[str, object]]):
    """The members of a JSON object, repeated ones too."""


def _texts(pairs: list[tuple[str, object]]) -> dict[str, str] | None:
    """Return the members, or None unless all are text and named once."""
    members = {name: value for name, value in pairs if isinstance(value, str)}
    return members if len(members) == len(pairs) else None
