"""The shapes of the tables of freshd.toml, as far as they are common to all kinds of accounts.

Strict: a number in quotes is a string and no number.  Forbidding: an unknown key is an error.  Each table is
validated by itself, so that one mistake hides no other.  Descriptions go into the JSON Schema.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, WithJsonSchema

from freshd.config.report import Report
from freshd.core.problem import TYPES, Problem, explain
from freshd.core.settings import CustodianName, LogFormat, LogLevel, Placement

HIGHEST_ID = 2**32 - 2
"""The id after it, -1 as unsigned, means "no change" to the kernel."""


MODES = (0o600, 0o660)
"""The owner must be able to use the socket, others never: they are let in by a group."""


def _mode(value: object) -> int:
    if isinstance(value, bool) or value not in MODES:
        raise ValueError("not a mode for the socket; write 0o600, or 0o660 for a socket with a group")
    return int(str(value))


def _name_or_id(value: object) -> str | int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(  # noqa: TRY004 - pydantic collects ValueError only
            "must be a name or a number; write a name in quotes or a numeric id"
        )
    if isinstance(value, int) and not 0 <= value <= HIGHEST_ID:
        raise ValueError(f"is no id; write a number from 0 to {HIGHEST_ID}")
    return value


NameOrId = Annotated[
    str | int,
    PlainValidator(_name_or_id),
    WithJsonSchema({"type": ["string", "integer"], "minimum": 0, "maximum": HIGHEST_ID}),
]
Mode = Annotated[int, PlainValidator(_mode), WithJsonSchema({"enum": sorted(MODES)})]
Seconds = Annotated[float, Field(gt=0)]
Text = Annotated[str, Field(min_length=1)]


class Table(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class RootTable(Table):
    """The file itself; its tables are validated one by one."""

    state_dir: Text | None = Field(None, description="Folder of the journal; absolute, or below ~/.")
    socket: Any = Field(None)
    vault: Any = Field(None)
    log: Any = Field(None)
    operators: Any = Field(None)
    accounts: Any = Field(None)
    profiles: Any = Field(None)
    channels: Any = Field(None)
    outlets: Any = Field(None)


class SocketTable(Table):
    """The local socket that readers and operators talk to."""

    path: Text | None = Field(None, description="Path of the socket; its folder is made if only that is missing.")
    mode: Mode | None = Field(None, description="Permission bits, in octal.")
    group: NameOrId | None = Field(None, description="Group that owns the socket, by name or id.")


class VaultTable(Table):
    """Where grants rest, and who keeps the sealing key."""

    placement: Placement = Field("auto", description="Where grants rest.")
    custodian: CustodianName = Field("auto", description="Who keeps the sealing key.")
    key_file: Text | None = Field(None, description="File of the sealing key, for custodian key-file.")
    credential: Text = Field("freshd-vault-key", description="Name of the systemd credential with the sealing key.")
    backend: Text | None = Field(None, description="The one keyring back end to use.")
    anchor: Text | None = Field(None, description="File in another folder that guards against rollback.")


class LogTable(Table):
    """Log lines."""

    format: LogFormat = Field("auto", description="How lines are written.")
    level: LogLevel = Field("info", description="The least severe lines that are written.")


class ReadersTable(Table):
    """Who may; nobody is named by default."""

    users: list[NameOrId] = Field([], description="Users, by name or id.")
    groups: list[NameOrId] = Field([], description="Groups, by name or id.")
    units: list[Text] = Field([], description="System units, by their path below system.slice.")


class MarginsTable(Table):
    """How long before its end a lease is renewed."""

    fraction: float | None = Field(None, gt=0, lt=1, description="Share of the lease's whole life.")
    cap: Seconds | None = Field(None, description="Seconds; no margin is longer.")
    jitter: float | None = Field(None, ge=0, le=1, description="Share of the margin by which renewal may come earlier.")


class ContractTable(Table):
    """What the service promises about a spent secret."""

    reuse: Literal["strict", "grace", "reusable"] | None = Field(None, description="What a spent secret still does.")
    grace: float | None = Field(None, ge=0, description="Seconds for which a spent secret still works.")
    kills: Literal["token", "lineage", "more"] | None = Field(None, description="What dies when one is reused.")
    old_lease_life: float | None = Field(
        None, ge=0, description="Seconds the old access token outlives a rotation; absent: its own life."
    )
    omitted: Literal["keep", "dead"] | None = Field(None, description="What an answer without a refresh token means.")
    reissue_left: Seconds | None = Field(
        None, description="With more seconds left than this, the same token is returned."
    )
    least_left: Seconds | None = Field(
        None, description="With fewer seconds left than this, a lease is renewed first when somebody asks for it."
    )
    lease_life: Seconds | None = Field(None, description="Seconds a lease lives where the answer does not say.")
    idle_life: Seconds | None = Field(None, description="Seconds an unused grant lives.")
    absolute_life: Seconds | None = Field(None, description="Seconds a grant lives from its enrolment.")


class ProfileTable(Table):
    """What is known of a kind of server."""

    based_on: Text | None = Field(None, description="The profile that this one changes.")
    kind: Text | None = Field(None, description="The kind of account it serves; by default that of its base.")
    required_scope: str | None = Field(None, description="The scope without which no refresh token is issued.")
    title: str | None = Field(None, description="Name for people.")
    source: str | None = Field(None, description="Where the facts stand.")
    checked: str | None = Field(
        None, pattern=r"^\d{4}-\d\d-\d\d$", description='The day they were read, in quotes: "YYYY-MM-DD".'
    )
    confidence: Literal["documented", "partly", "unknown"] | None = Field(None, description="How much of it is known.")
    contract: Any = Field(None)
    margins: Any = Field(None)
    options: Any = Field(None)


EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$", max_length=128)]


class EnvFileTable(Table):
    """A .env file that freshd keeps in step, for programs that cannot ask its socket."""

    path: Text | None = Field(None, description="The file; it must be there, with the lines named below.")
    access_token: EnvName | None = Field(None, description="Name of the line that takes every new access token.")
    expires_at: EnvName | None = Field(None, description="Name of the line that takes its end.")
    refresh_token: EnvName | None = Field(
        None,
        description="Name of the line that is watched: what another program writes there is taken over and emptied.",
    )


class AccountTable(Table):
    """The keys that every account has, whatever its kind."""

    kind: Text | None = Field(None, description="What sort of service it is.")
    profile: Text | None = Field(None, description="What is known of the server: a packaged profile or one of yours.")
    readers: Any = Field(None)
    contract: Any = Field(None)
    margins: Any = Field(None)
    grant: Text | None = Field(
        None, description="Names the grant, where accounts share origin, client and subject on purpose."
    )
    env_file: Any = Field(None)
    paused: bool = Field(default=False, description="Serve what is there, renew nothing.")
    allow_short_lived: bool = Field(default=False, description="Accept lives too short to outlast a restart of freshd.")


class ChannelTable(Table):
    """The keys that every channel has, whatever its kind."""

    kind: Text | None = Field(None, description="What sort of login it is.")
    account: Text | None = Field(None, description="The account whose lease it logs in with.")


class OutletsTable(Table):
    """Where events go, besides log and socket."""

    mqtt: Any = Field(None)


def _prefix(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError('must be a string; put it in quotes: "…"')  # noqa: TRY004 - pydantic collects ValueError only
    if not value or value.startswith(("/", "$")) or value.endswith("/") or any(one in value for one in "+#\0"):
        raise ValueError("no prefix for topics; write one without + # $ and without a slash at its ends")
    return value


Prefix = Annotated[
    str, PlainValidator(_prefix), WithJsonSchema({"type": "string", "pattern": r"^[^/$+#\x00]([^+#\x00]*[^/+#\x00])?$"})
]


class MqttOutletTable(Table):
    """Events and the health of accounts, over a channel of kind mqtt."""

    channel: Text | None = Field(None, description="The channel of kind mqtt whose connection is used.")
    prefix: Prefix = Field("freshd", description="What topics begin with.")
    ring: int = Field(1000, ge=1, le=100_000, description="Events that wait for a connection.")
    level: LogLevel = Field("info", description="The least severe events that are sent.")
    qos: Literal[0, 1] = Field(1, description="0: sent once and forgotten; 1: sent until the broker says it has it.")


T = TypeVar("T", bound=Table)


def read(report: Report, shape: type[T], raw: object, *at: str | int) -> T:
    """One table; an absent one has all defaults.  Keys with problems are reported and take their defaults.

    Every key has a default, so that one mistake hides no other: what must be there is asked for by the caller.
    """
    try:
        return shape.model_validate({} if raw is None else raw)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
    report.add(explain(found, shape.model_fields), *at)
    wrong = {problem["loc"][0] for problem in found if problem["loc"]}
    good = {key: value for key, value in raw.items() if key not in wrong} if isinstance(raw, dict) else {}
    return shape.model_validate(good)


def tables(report: Report, raw: object, *at: str | int) -> dict[str, dict[str, object]]:
    """A table of tables, such as [accounts.NAME]; what is none is reported and left out."""
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        report.add([Problem(at, *TYPES["dict_type"])])
        return {}
    good = {name: table for name, table in raw.items() if isinstance(table, dict)}
    report.add(Problem((*at, name), *TYPES["dict_type"]) for name in raw.keys() - good.keys())
    return good
