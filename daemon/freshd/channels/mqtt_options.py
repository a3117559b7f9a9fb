"""What a channel of kind `mqtt` may say in the configuration, and what it comes to.

Frozen, strict, closed to unknown keys.  No problem repeats a value.  A password is made of the lease, or lies where a
secret may lie; in the file itself it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from freshd.channels.template import OURS, BadTemplate, Template, parsed
from freshd.core.problem import Problem, explain
from freshd.core.settings import SecretRef

Text = Annotated[str, Field(min_length=1, max_length=65_535)]
Seconds = Annotated[float, Field(gt=0, le=60)]
LIBRARY: Final = "aiomqtt"
INSTALL: Final = "pip install 'freshd[mqtt]'"
PORT: Final = 1883
TLS_PORT: Final = 8883
SECRETS: Final = frozenset({"password"})


class Options(BaseModel):
    """One channel's own keys.

    host, port   the broker; port by default 1883, with TLS 8883
    ca_file      PEM file of the authorities to trust, in the place of the system's
    cert_file    PEM file of the client's certificate, key_file of its key where that is not in the same file
    client_id, username, password  templates over the lease; a password may also be a reference to a secret
    keepalive    seconds of silence after which either side asks
    deadline     seconds for connecting and logging in, and for the acknowledgement of a message
    clean_start  begin without what the broker remembers of this client id
    relogin      log in again whenever the lease is renewed, for brokers that end a login with its token
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    host: Text
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    tls: bool = False
    ca_file: Text | None = None
    cert_file: Text | None = None
    key_file: Text | None = None
    version: Literal["5", "3.1.1"] = "5"
    client_id: Text = "freshd-{host}-{channel}"
    username: Text | None = None
    password: Text | SecretRef | None = None
    keepalive: Annotated[int, Field(ge=5, le=65_535)] = 30
    deadline: Seconds = 10.0
    clean_start: bool = True
    relogin: bool = False

    @property
    def at(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port or (TLS_PORT if self.tls else PORT)

    def templates(self, account: str | None) -> Mapping[str, Template]:
        """The texts of the login, defaults filled in.  Raises BadTemplate."""
        texts: dict[str, str] = {"client_id": self.client_id}
        if self.username is not None or account is not None:
            texts["username"] = self.username or "{account}"
        if isinstance(self.password, str) or (self.password is None and account is not None):
            texts["password"] = self.password if isinstance(self.password, str) else "{token}"
        return {key: parsed(text) for key, text in texts.items()}


KEYS: Final = tuple(Options.model_fields)


def parse(_channel: str, raw: Mapping[str, object]) -> tuple[Mapping[str, object], tuple[Problem, ...]]:
    """The channel's options and what is wrong with them.  `raw["account"]`: the account it logs in with, if any."""
    account = raw.get("account")
    own = {key: value for key, value in raw.items() if key != "account"}
    try:
        options = Options.model_validate(own)
    except ValidationError as error:
        return {}, explain(error.errors(include_input=False, include_url=False), KEYS)
    problems = (*_library(), *_tls_problems(options), *_login_problems(options, None if account is None else "-"))
    return MappingProxyType({name: getattr(options, name) for name in KEYS}), problems


def json_schema() -> Mapping[str, Any]:
    """The same as JSON Schema."""
    return Options.model_json_schema()


def _library() -> Iterator[Problem]:
    if find_spec(LIBRARY) is None:
        yield Problem(("kind",), f"needs the library {LIBRARY}, which is not installed", f"run: {INSTALL}")


def _tls_problems(options: Options) -> Iterator[Problem]:
    if not options.tls:
        for key in ("ca_file", "cert_file", "key_file"):
            if getattr(options, key) is not None:
                yield Problem((key,), "means something with tls = true only", "write tls = true, or remove it")
    elif options.key_file is not None and options.cert_file is None:
        yield Problem(("key_file",), "is the key of no certificate", 'add cert_file = "/PATH"')


def _login_problems(options: Options, account: str | None) -> Iterator[Problem]:
    made = dict[str, Template]()
    for key in ("client_id", "username", "password"):
        text = getattr(options, key)
        try:
            made |= {key: parsed(text)} if isinstance(text, str) else {}
        except BadTemplate as error:
            wrong, _, write = str(error).partition("; ")
            yield Problem((key,), wrong, write)
    for key, template in made.items():
        if account is None and template.names - (OURS - {"account"}):
            wrong = "names something of a lease, and the channel has no account"
            yield Problem((key,), wrong, "add account = …, or write a text without it")
    password = made.get("password")
    if password is not None and not password.needs_lease:
        wrong = "a secret must not stand in the configuration"
        yield Problem(("password",), wrong, 'write "{token}", or a reference: { file = "/PATH" }')
    if options.password is not None and options.username is None and account is None:
        wrong = "is missing: a password goes with a user name"
        yield Problem(("username",), wrong, "add username = …")
