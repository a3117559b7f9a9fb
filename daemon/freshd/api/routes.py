"""Which call a request makes, with checked arguments; pure.

The table below and openapi.json are tested against each other.
Unknown query parameters and body members are refused: a misspelt `min_ttl` that is ignored would be a token that
dies in use.  Whether the caller may ask is not judged here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from freshd.api.http import Request
from freshd.api.problem import NOT_FOUND, Problem, bad_request, wrong_method

DEFAULT_MIN_TTL_SECONDS: Final = 1.0
"""A caller that names no minimum gets any lease it can still use at once: a valid lease is served (I9)."""
DEFAULT_WAIT_SECONDS: Final = 10.0
MAX_WAIT_SECONDS: Final = 60.0
MAX_NAME_CHARS: Final = 256
MAX_PAGE: Final = 1000
VERBS: Final = frozenset(
    {"refresh", "pause", "resume", "forget", "revoke", "confirm", "import", "examine", "operate"}
    | {"enrol-begin", "enrol-finish"}
)
VAULT_VERBS: Final = frozenset({"rotate-key", "move", "verify", "backup", "backup-part", "backup-done"})
VERBS_OF: Final[Mapping[str, frozenset[str]]] = {"accounts": VERBS, "vault": VAULT_VERBS}
"""By the segment that says what a verb is done to."""


@dataclass(frozen=True, slots=True)
class ReadToken:
    """GET /v1/tokens/{account}"""

    account: str
    min_ttl: float
    wait: float


@dataclass(frozen=True, slots=True)
class Refuse:
    """POST /v1/tokens/{account}/refused"""

    account: str
    fingerprint: str
    status: int | None
    code: str | None


@dataclass(frozen=True, slots=True)
class Watch:
    """GET /v1/watch; `accounts` None means all the caller may see."""

    accounts: tuple[str, ...] | None
    last_id: str | None


@dataclass(frozen=True, slots=True)
class ListAccounts:
    """GET /v1/accounts, a page of at most `limit` names after `after`."""

    after: str
    limit: int


@dataclass(frozen=True, slots=True)
class ShowAccount:
    """GET /v1/accounts/{account}"""

    account: str


@dataclass(frozen=True, slots=True)
class ShowHistory:
    """GET /v1/accounts/{account}/history"""

    account: str


@dataclass(frozen=True, slots=True)
class Operate:
    """POST /v1/accounts/{account}/{verb}"""

    account: str
    verb: str
    args: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tend:
    """POST /v1/vault/{verb}"""

    verb: str
    args: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Plain:
    """GET of healthz, metrics or openapi.json"""

    name: str


Call = ReadToken | Refuse | Watch | ListAccounts | ShowAccount | ShowHistory | Operate | Tend | Plain


class _Refused(Exception):
    """Carries the detail of a bad request within this file."""


def plan(request: Request) -> Call | Problem:
    """The call a request makes, or why it makes none."""
    for method, pattern, make in ROUTES:
        names = _match(pattern, request.segments)
        if names is None:
            continue
        if method != request.method:
            return wrong_method(method)
        try:
            return make(request, *names)
        except _Refused as refusal:
            return bad_request(str(refusal))
    return NOT_FOUND


def _match(pattern: tuple[str, ...], segments: tuple[str, ...]) -> tuple[str, ...] | None:
    """The values of the pattern's {names}, None where it does not fit.  No path is two patterns' own."""
    if len(pattern) != len(segments):
        return None
    for wanted, segment in zip(pattern, segments, strict=True):
        if wanted[0] != "{" and wanted != segment:
            return None
        if wanted == "{verb}" and segment not in VERBS_OF[pattern[1]]:
            return None
        if not 0 < len(segment) <= MAX_NAME_CHARS:
            return None
    return tuple(s for wanted, s in zip(pattern, segments, strict=True) if wanted[0] == "{")


# ------------------------------------------------------------------------------------- one per route


def _read_token(request: Request, account: str) -> Call:
    query = _only(request.query, "min_ttl", "wait")
    min_ttl = _seconds(query, "min_ttl", DEFAULT_MIN_TTL_SECONDS, 366 * 86400.0)
    return ReadToken(account, min_ttl, _seconds(query, "wait", DEFAULT_WAIT_SECONDS, MAX_WAIT_SECONDS))


def _refuse(request: Request, account: str) -> Call:
    _only(request.query)
    members = _only(_members(request.body), "fingerprint", "status", "code")
    fingerprint, status, code = members.get("fingerprint"), members.get("status"), members.get("code")
    if not isinstance(fingerprint, str) or not 0 < len(fingerprint) <= MAX_NAME_CHARS:
        raise _Refused("fingerprint: the text that came with the lease.")
    if status is not None and (type(status) is not int or not 100 <= status <= 599):
        raise _Refused("status: the number of the HTTP status the service answered.")
    if code is not None and (not isinstance(code, str) or len(code) > MAX_NAME_CHARS):
        raise _Refused("code: the service's own error code, as text.")
    return Refuse(account, fingerprint, status, code)


def _watch(request: Request) -> Call:
    query = _only(request.query, "accounts")
    named = query.get("accounts")
    accounts = None if named is None else tuple(dict.fromkeys(named.split(",")))
    if accounts is not None and not all(accounts):
        raise _Refused("accounts: names separated by commas.")
    return Watch(accounts, request.headers.get("last-event-id"))


def _list(request: Request) -> Call:
    query = _only(request.query, "after", "limit")
    limit = query.get("limit", str(MAX_PAGE))
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit[:9]) <= MAX_PAGE:
        raise _Refused(f"limit: a number from 1 to {MAX_PAGE}.")
    return ListAccounts(query.get("after", ""), int(limit))


def _show(request: Request, account: str) -> Call:
    _only(request.query)
    return ShowAccount(account)


def _history(request: Request, account: str) -> Call:
    _only(request.query)
    return ShowHistory(account)


def _operate(request: Request, account: str, verb: str) -> Call:
    _only(request.query)
    return Operate(account, verb, _members(request.body) if request.body else {})


def _tend(request: Request, verb: str) -> Call:
    _only(request.query)
    return Tend(verb, _members(request.body) if request.body else {})


def _plain(request: Request) -> Call:
    _only(request.query)
    return Plain(request.segments[0])


Maker = Callable[..., Call]
ROUTES: Final[tuple[tuple[str, tuple[str, ...], Maker], ...]] = (
    ("GET", ("v1", "tokens", "{account}"), _read_token),
    ("POST", ("v1", "tokens", "{account}", "refused"), _refuse),
    ("GET", ("v1", "watch"), _watch),
    ("GET", ("v1", "accounts"), _list),
    ("GET", ("v1", "accounts", "{account}"), _show),
    ("GET", ("v1", "accounts", "{account}", "history"), _history),
    ("POST", ("v1", "accounts", "{account}", "{verb}"), _operate),
    ("POST", ("v1", "vault", "{verb}"), _tend),
    ("GET", ("healthz",), _plain),
    ("GET", ("metrics",), _plain),
    ("GET", ("openapi.json",), _plain),
)


# ------------------------------------------------------------------------------------------ arguments


def _only(given: Mapping[str, Any], *known: str) -> Mapping[str, Any]:
    if not given.keys() <= set(known):
        raise _Refused(f"There is a name that means nothing here. Known here: {', '.join(known) or 'none'}.")
    return given


def _seconds(query: Mapping[str, str], name: str, default: float, maximum: float) -> float:
    text = query.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= maximum:
        raise _Refused(f"{name}: seconds from 0 to {maximum:.0f}.")
    return value


def _members(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _Refused("The body is no JSON object.") from None
    if not isinstance(value, dict):
        raise _Refused("The body is no JSON object.")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("repeated")
    return found


def _no_constant(_name: str) -> float:
    raise ValueError("not a number")
