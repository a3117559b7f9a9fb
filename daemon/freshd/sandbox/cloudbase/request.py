"""One request to CloudBase as it came, read but not judged, and the answer that is made of it. Pure.

Rules: reading never refuses: a body that is no JSON object is noted, and refused by the service in its own words.
"""

import base64
import binascii
import dataclasses
import json
from collections.abc import Mapping

from freshd.sandbox.tokens import Commit

_JSON = "application/json"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What arrived. ``params``: the body's members; names of ``headers`` are lower case.

    ``malformed``: the body is no JSON object. ``is_json``: it was called one.
    """

    method: str
    path: str
    query: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    params: Mapping[str, object] = dataclasses.field(default_factory=dict, repr=False)
    malformed: bool = False
    is_json: bool = True

    def text(self, name: str) -> str:
        """Return a text member of the body, empty where it is absent or something else."""
        value = self.params.get(name)
        return value if isinstance(value, str) else ""

    @property
    def bearer(self) -> str:
        """The token of a Bearer header; empty where there is none."""
        scheme, text = self._authorization
        return text if scheme == "bearer" else ""

    @property
    def basic(self) -> tuple[str, str] | None:
        """Id and secret of a Basic header; None where there is none that can be read."""
        scheme, text = self._authorization
        if scheme != "basic":
            return None
        try:
            name, colon, secret = base64.b64decode(text, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return (name, secret) if colon else None

    @property
    def client_id(self) -> str:
        """The client that a request names, unproven: in the body, in the query, in a Basic header."""
        return self.text("client_id") or self.query.get("client_id", "") or (self.basic or ("", ""))[0]

    @property
    def device_id(self) -> str:
        """The device."""
        return self.headers.get("x-device-id", "")

    @property
    def _authorization(self) -> tuple[str, str]:
        scheme, _, text = self.headers.get("authorization", "").partition(" ")
        return scheme.lower(), text.strip()


@dataclasses.dataclass(slots=True, kw_only=True)
class Answer:
    """What the service says. ``outcome`` is its word in the books; ``successor`` is text without which the answer does
    not carry its new secret.
    """

    status: int = 200
    body: dict[str, object] = dataclasses.field(default_factory=dict)
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    outcome: str = "granted"
    commit: Commit | None = None
    successor: str | None = None


def arrived(
    method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | Mapping[str, object]
) -> Request:
    """Return the request that these bytes are; a mapping stands for the JSON object of its members."""
    named = {name.lower(): value for name, value in headers.items()}
    kind = named.get("content-type", "").partition(";")[0].strip().lower()
    params: object = body if isinstance(body, Mapping) else None
    if isinstance(body, bytes) and body:
        try:
            params = json.loads(body)
        except (ValueError, RecursionError):
            params = None
    elif not body:
        params = {}
    malformed = not isinstance(params, Mapping)
    return Request(
        method=method,
        path=path,
        query=dict(query),
        headers=named,
        params={} if malformed or not isinstance(params, Mapping) else dict(params),
        malformed=malformed,
        is_json=isinstance(body, Mapping) or not body or kind == _JSON,
    )
