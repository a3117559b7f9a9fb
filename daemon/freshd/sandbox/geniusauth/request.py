"""One request as it came, read but not judged, and the answer that is made of it. Pure.

Rules: reading never refuses: a body that is no JSON object leaves ``fields`` None. Fields travel in the body with POST
and PATCH, in the query with GET and DELETE, where the first of several values counts and a body is not looked at.
"""

import dataclasses
import json
import urllib.parse
from collections.abc import Mapping

from freshd.sandbox.geniusauth.constants import GeniusConstants
from freshd.sandbox.tokens import Commit

Fields = Mapping[str, object]
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_TRUTHS = {"true": True, "false": False}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What arrived. Names of ``headers`` are lower case; ``query`` is the raw text after the question mark."""

    method: str
    path: str
    query: str = dataclasses.field(default="", repr=False)
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: bytes = dataclasses.field(default=b"", repr=False)

    @property
    def kind(self) -> str:
        """The media type of the body."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def takes_body(self) -> bool:
        """Whether fields travel in the body."""
        return self.method in ("POST", "PATCH")


@dataclasses.dataclass(slots=True, kw_only=True)
class Answer:
    """What the service says. ``outcome`` is its word in the books; ``successor`` is text without which the answer does
    not carry its new secret.
    """

    data: object = None
    status: int = 200
    body: dict[str, object] = dataclasses.field(default_factory=dict)
    outcome: str = "answered"
    commit: Commit | None = None
    successor: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The fields of a request. ``is_text``: everything came as text, so numbers and truth values are read out of it."""

    fields: Fields = dataclasses.field(repr=False)
    is_text: bool

    def text(self, name: str) -> str | None:
        """Return a text field, empty where absent, None where it is something else."""
        value = self._value(name, absent="")
        return value if isinstance(value, str) else None

    def number(self, name: str) -> int | None:
        """Return a whole number, 0 where absent, None where it is something else."""
        value = self._value(name, absent=0)
        if self.is_text and isinstance(value, str):
            return _whole(value)
        return value if type(value) is int else None

    def truth(self, name: str) -> bool | None:
        """Return a truth value, False where absent, None where it is something else."""
        value = self._value(name, absent=False)
        if self.is_text and isinstance(value, str):
            return _TRUTHS.get(value)
        return value if isinstance(value, bool) else None

    def _value(self, name: str, *, absent: object) -> object:
        """Return a field; null is as good as absent."""
        value = self.fields.get(name)
        return absent if value is None else value


def given(asked: Asked, constants: GeniusConstants, *, header_decides: bool) -> Given | None:
    """Return the fields of a request, None where they cannot be read in this dialect.

    ``header_decides``: a body counts as JSON only where its header says so.
    """
    in_body = asked.takes_body
    if asked.method == "DELETE" and (constants.is_wiki or constants.GENIUS_SIM_DELETE_IN_BODY) and asked.body:
        in_body = True
    if not in_body:
        return Given(fields=_texts(asked.query), is_text=True)
    if constants.is_wiki and asked.kind == _FORM:
        return Given(fields=_texts(asked.body.decode("utf-8", "replace")), is_text=True)
    if constants.is_wiki and not constants.GENIUS_SIM_WIKI_TAKES_JSON:
        return None
    if asked.kind != _JSON and (header_decides or constants.GENIUS_SIM_HEADER_DECIDES):
        return None
    fields = _object(asked.body)
    return None if fields is None else Given(fields=fields, is_text=False)


def claimed(asked: Asked) -> Fields:
    """Return the fields a request has wherever they stand: for finding out whom it is about, not for judging it."""
    body = _texts(asked.body.decode("utf-8", "replace")) if asked.kind == _FORM else _object(asked.body) or {}
    return {**_texts(asked.query), **body}


def _object(body: bytes) -> Fields | None:
    try:
        found = json.loads(body.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _no_number(_: str) -> object:
    raise ValueError


def _texts(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in urllib.parse.parse_qsl(text, keep_blank_values=True, errors="replace"):
        fields.setdefault(name, value)
    return fields


def _whole(text: str) -> int | None:
    is_whole = text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 20
    return int(text) if is_whole else None
