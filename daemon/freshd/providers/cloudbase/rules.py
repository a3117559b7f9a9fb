"""Rules between the keys of an account of kind `cloudbase`: what each method needs, and what it has no use for.

No problem repeats a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final
from urllib.parse import urlsplit

from freshd.core.problem import MISSING, Problem
from freshd.providers.cloudbase.service import CLIENT_CREDENTIAL, PLACE, TOKEN
from freshd.providers.cloudbase.ticket import UID
from freshd.providers.http import is_loopback, url_problem
from freshd.providers.oauth2.options import is_plain_proxy

SIGNING_IN: Final = frozenset({"custom", "password", "anonymous", "provider"})
"""Methods by which freshd signs in itself."""
ISSUING: Final = frozenset({"client-credentials", "api-key"})
"""Methods without a session: tokens of the server's own."""
OWN: Final[Mapping[str, frozenset[str]]] = {
    "custom": frozenset({"uid", "key_file", "ticket", "ticket_url", "ticket_url_token"}),
    "password": frozenset({"username", "password"}),
    "anonymous": frozenset(),
    "provider": frozenset({"provider_id", "provider_access_token", "provider_id_token"}),
    "client-credentials": frozenset(
        {"secret_id", "secret_key", "session_token", "client_credentials_path", "client_credentials_auth"}
    ),
    "api-key": frozenset({"api_key", "key_created", "key_days", "lease_life"}),
    "import": frozenset(),
    "sms": frozenset({"phone_number"}),
    "email": frozenset({"email"}),
    "wechat": frozenset(),
    "qr": frozenset(),
}
"""Keys that belong to one method."""
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "password": ("username", "password"),
    "provider": ("provider_id",),
    "client-credentials": ("secret_id", "secret_key"),
    "api-key": ("api_key",),
    "sms": ("phone_number",),
    "email": ("email",),
}
ONE_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "custom": ("key_file", "ticket", "ticket_url"),
    "provider": ("provider_access_token", "provider_id_token"),
}
REFS: Final = frozenset({"key_file", "ticket", "password", "provider_access_token", "provider_id_token", "secret_id",
                         "secret_key", "api_key"})  # fmt: skip
DEVICE: Final = re.compile(r"[0-9A-Za-z_-]{16,48}")
PHONE: Final = re.compile(r"\+[0-9]{1,3} [0-9]{4,14}")
USERNAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.:+ @-]{1,47}")
SHORTEST_SIGNIN_SECONDS: Final = 600.0


def problems_of(options: Any, written: frozenset[str]) -> Iterator[Problem]:  # noqa: ANN401 - `options` imports this
    """Everything that is wrong between the keys.  `written`: those that stand there."""
    yield from _foreign(options.method, written)
    yield from _lacking(options)
    yield from _malformed(options)
    yield from _key_age(options)
    yield from _addresses(options)
    if options.signin_interval < SHORTEST_SIGNIN_SECONDS and not _leads_here(options.base_url):
        write = "write signin_interval = 600 or more; less is for a server on this machine"
        yield Problem(("signin_interval",), "is so short that sign-ins would fight somebody else's", write)


def _foreign(method: str, written: frozenset[str]) -> Iterator[Problem]:
    others = frozenset[str]().union(*OWN.values()) - OWN[method]
    for key in sorted(written & others):
        of = ", ".join(name for name, keys in OWN.items() if key in keys)
        yield Problem((key,), f"has no meaning with this method; it belongs to {of}", "remove it, or change method")


def _lacking(options: Any) -> Iterator[Problem]:  # noqa: ANN401
    for key in NEEDED.get(options.method, ()):
        if getattr(options, key) is None:
            yield Problem((key,), MISSING, f"add {key} = {_example(key)}")
    choice = ONE_OF.get(options.method, ())
    given = [key for key in choice if getattr(options, key) is not None]
    if choice and len(given) != 1:
        wrong = MISSING if not given else f"excludes {', '.join(given[1:])}"
        yield Problem((given[0] if given else choice[0],), wrong, f"write one of {', '.join(choice)}")
    if options.method == "custom" and options.key_file is not None and options.uid is None:
        yield Problem(("uid",), MISSING, 'add uid = "…": the user that signs in')
    if options.ticket_url_token is not None and options.ticket_url is None:
        yield Problem(("ticket_url_token",), "has no meaning without ticket_url", "remove it")


def _malformed(options: Any) -> Iterator[Problem]:  # noqa: ANN401
    for key, pattern, write in (
        ("env", PLACE, "write the environment's id: letters, digits and dashes"),
        ("region", PLACE, 'write region = "ap-shanghai", or another one'),
        ("device_id", DEVICE, "write 16 to 48 letters and digits, or remove it"),
        ("uid", UID, "write 4 to 32 of letters, digits and _-#@~=*(){}[]:.,<>+"),
        ("phone_number", PHONE, 'write phone_number = "+86 13800000000", with the blank'),
    ):
        value = getattr(options, key)
        if value is not None and pattern.fullmatch(value) is None:
            yield Problem((key,), "is malformed", write)
    name = options.username
    if name is not None and not (USERNAME.fullmatch(name) or PHONE.fullmatch(name)):
        yield Problem(("username",), "is no user name, e-mail address or phone number", "write it as it signs in")
    if options.email is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+", options.email):
        yield Problem(("email",), "is no e-mail address", 'write email = "NAME@HOST"')
    if options.client_id is not None and not (options.client_id.isascii() and options.client_id.isprintable()):
        yield Problem(("client_id",), "is malformed", "write it as the console has it, or remove it")
    if options.client_credentials_path not in (CLIENT_CREDENTIAL, TOKEN):
        yield Problem(
            ("client_credentials_path",), "is not one of the two", f'write "{CLIENT_CREDENTIAL}" or "{TOKEN}"'
        )


def _key_age(options: Any) -> Iterator[Problem]:  # noqa: ANN401
    if (options.key_created is None) != (options.key_days is None):
        key = "key_days" if options.key_days is None else "key_created"
        yield Problem((key,), MISSING, "write both, key_created and key_days, or neither")
    if options.key_created is not None:
        try:
            date.fromisoformat(options.key_created)
        except ValueError:
            yield Problem(("key_created",), "is no day", 'write key_created = "YYYY-MM-DD"')


def _addresses(options: Any) -> Iterator[Problem]:  # noqa: ANN401
    for key in ("base_url", "ticket_url", "captcha_redirect_uri", "proxy"):
        url = getattr(options, key)
        wrong = None if url is None else url_problem(url)
        if url is not None and wrong is None and key == "base_url" and urlsplit(url).query:
            wrong = "holds a query"
        if wrong is not None and not (key == "proxy" and is_plain_proxy(url)):
            yield Problem((key,), wrong, f'write {key} = "https://HOST"')
    if options.ca_file is not None and not options.ca_file.startswith("/"):
        yield Problem(("ca_file",), "is not an absolute path", 'write ca_file = "/PATH/TO/ca.pem"')


def _leads_here(url: str | None) -> bool:
    return url is not None and is_loopback(urlsplit(url).hostname or "")


def _example(key: str) -> str:
    return '{ file = "/PATH" }' if key in REFS else '"…"'
