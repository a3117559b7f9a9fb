"""What a channel of kind `aun` may say in the configuration, and what it declares at the gateway.

`Options` is both the schema and the result: frozen, strict, and closed to unknown keys.  Rules between keys are checked
afterwards, so that everything wrong is told at once.  No problem repeats a value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from freshd import __version__
from freshd.channels.aun_address import url_problem
from freshd.core.problem import Problem, explain
from freshd.core.profile import NOTHING

Text = Annotated[str, Field(min_length=1)]
Table = Mapping[Text, Any]
LONGEST_DEVICE_ID: Final = 128
DEVICE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
SLOT_ID: Final = re.compile(r"[A-Za-z0-9._-][A-Za-z0-9._/: -]{0,127}")
DEVICE_TYPE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
SLOT_ENDS: Final = re.compile(r"[/: ]")
"""What comes before the first of these is the part of a slot that logins compete for."""
LARGEST_TABLE_BYTES: Final = 8192
FRESHD: Final = "freshd"
SDK_LANG: Final = FRESHD
"""What we call our client; whether a gateway takes names other than its own libraries' is not known."""
SDK_VERSION: Final = __version__
CAPABILITIES: Final[Mapping[str, Any]] = MappingProxyType({"e2ee": False, "group_e2ee": False})
"""What a login can do that reads no messages."""


class Options(BaseModel):
    """One channel's own keys.

    device_id                  by which the gateway tells devices of an AID apart; default: freshd-HOST-CHANNEL
    device_type                what the device is
    slot_id                    one long login per AID, device and slot; what follows a "/", ":" or blank does not count
    delivery_mode              every login of an AID must declare the same
    routing                    for the mode queue
    affinity_ttl_ms            for the routing sender_affinity
    capabilities               declared on every login, instead of the default
    extra_info                 shown to a login that this one throws out
    heartbeat                  seconds between two pings, unless the gateway says otherwise
    gateway                    used instead of those that come with the lease
    connect_deadline           seconds to connect, and again for challenge and login; a gateway waits no more than 30
    reconnect_with_new_token   log in anew when the account has a new lease; else the login stays as long as it may
    ca_file                    trust only the authorities in it
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)

    device_id: Text | None = None
    device_type: Text = "sdk"
    slot_id: Text = FRESHD
    delivery_mode: Literal["fanout", "queue"] = "fanout"
    routing: Literal["round_robin", "sender_affinity"] | None = None
    affinity_ttl_ms: Annotated[int, Field(ge=0, le=86_400_000)] = 0
    capabilities: Table = Field(default_factory=lambda: dict(CAPABILITIES))
    extra_info: Table = Field(default_factory=dict)
    heartbeat: Annotated[float, Field(ge=10, le=600, allow_inf_nan=False)] = 30.0
    gateway: Text | None = None
    connect_deadline: Annotated[float, Field(gt=0, le=30, allow_inf_nan=False)] = 20.0
    reconnect_with_new_token: bool = False
    ca_file: Text | None = None

    @property
    def declared(self) -> Mapping[str, Any]:
        """What every login says beside nonce, token and protocol."""
        told: dict[str, Any] = {
            "device": {"id": self.device_id or FRESHD, "type": self.device_type},
            "client": {"slot_id": self.slot_id, "sdk_lang": SDK_LANG, "sdk_version": SDK_VERSION},
            "delivery_mode": self.delivery,
            "capabilities": dict(self.capabilities),
        }
        return {**told, "extra_info": dict(self.extra_info)} if self.extra_info else told

    @property
    def delivery(self) -> Mapping[str, str | int]:
        """How messages for the AID are to be spread over its logins."""
        routing = "" if self.delivery_mode == "fanout" else self.routing or "round_robin"
        return {"mode": self.delivery_mode, "routing": routing, "affinity_ttl_ms": self.affinity_ttl_ms}

    @property
    def place(self) -> tuple[str, str]:
        """What one long login of an AID holds alone: its device, and the part of its slot that counts."""
        return self.device_id or FRESHD, SLOT_ENDS.split(self.slot_id)[0]


KEYS: Final = tuple(Options.model_fields)


def parse(_channel: str, raw: Mapping[str, object]) -> tuple[Mapping[str, object], tuple[Problem, ...]]:
    """The channel's own keys as options, and what is wrong with them; with problems, the options are not used."""
    try:
        options = Options.model_validate(dict(raw))
    except ValidationError as error:
        return NOTHING, explain(error.errors(include_input=False, include_url=False), KEYS)
    problems = tuple(_problems(options))
    if problems:
        return NOTHING, problems
    return MappingProxyType({key: getattr(options, key) for key in KEYS}), ()


def json_schema() -> Mapping[str, Any]:
    """The keys as JSON Schema."""
    return Options.model_json_schema()


def device_of(host: str, channel: str) -> str:
    """The device that a channel on a machine is unless it says otherwise."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", f"{FRESHD}-{host}-{channel}")[:LONGEST_DEVICE_ID]


def _problems(options: Options) -> Iterator[Problem]:
    if options.device_id is not None and DEVICE_ID.fullmatch(options.device_id) is None:
        yield Problem(("device_id",), "is no device id", "write 1 to 128 letters, digits, dots, dashes and underscores")
    if DEVICE_TYPE.fullmatch(options.device_type) is None:
        yield Problem(("device_type",), "is no device type", 'write a word such as device_type = "sdk"')
    if SLOT_ID.fullmatch(options.slot_id) is None:
        write = "write 1 to 128 letters, digits, dots, dashes and underscores; after the first also slash, colon, blank"
        yield Problem(("slot_id",), "is no slot id", write)
    yield from _delivery_problems(options)
    for key in ("capabilities", "extra_info"):
        wrong = _table_problem(getattr(options, key))
        if wrong is not None:
            yield Problem((key,), wrong, "write a short table of texts, numbers, booleans and lists of them")
    wrong = None if options.gateway is None else url_problem(options.gateway)
    if wrong is not None:
        yield Problem(("gateway",), wrong, 'write gateway = "wss://HOST/PATH"')
    if options.ca_file is not None and not options.ca_file.startswith("/"):
        yield Problem(("ca_file",), "is not an absolute path", 'write ca_file = "/PATH/TO/ca.pem"')


def _delivery_problems(options: Options) -> Iterator[Problem]:
    if options.routing is not None and options.delivery_mode == "fanout":
        yield Problem(("routing",), "means nothing without the mode queue", 'write delivery_mode = "queue"')
    elif options.affinity_ttl_ms and options.routing != "sender_affinity":
        write = 'write delivery_mode = "queue" and routing = "sender_affinity", or remove it'
        yield Problem(("affinity_ttl_ms",), "means nothing without affinity", write)


def _table_problem(table: Mapping[str, Any]) -> str | None:
    """Why a table cannot be sent as JSON."""
    try:
        text = json.dumps(dict(table), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return "holds what cannot be sent (a date, or no finite number)"
    return "is too long" if len(text) > LARGEST_TABLE_BYTES else None
