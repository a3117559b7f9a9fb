"""What the configuration says, once it was found valid.  Frozen, complete, free of secrets.

Rules
-----
* Every default is filled in: nobody downstream asks what a missing key means.
* Secrets are `SecretRef`: where a secret lies, never what it is.  They are resolved for each exchange.
* `line` is for people.  It takes no part in comparing two configurations.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from freshd.core.access import Readers
from freshd.core.model import Binding
from freshd.core.problem import Problem
from freshd.core.profile import NOTHING, Margins, Profile

__all__ = [
    "AccountSettings",
    "ChannelKind",
    "ChannelSettings",
    "CustodianName",
    "EnvFileSettings",
    "Head",
    "KindSchema",
    "LogFormat",
    "LogLevel",
    "LogSettings",
    "Margins",
    "MqttOutletSettings",
    "Parsed",
    "Placement",
    "Problem",
    "Profile",
    "Readers",
    "SecretRef",
    "Settings",
    "SocketSettings",
    "VaultSettings",
    "Way",
]

Placement = Literal["keyring", "sealed", "auto"]
CustodianName = Literal["keyring", "systemd-credential", "key-file", "auto"]
LogFormat = Literal["auto", "journald", "json", "console"]
LogLevel = Literal["debug", "info", "notice", "warning", "error"]


class Way(enum.Enum):
    """How a secret is reached."""

    FILE = "file"
    CREDENTIAL = "credential"
    KEYRING = "keyring"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret of the configuration lies.

    where  FILE: (absolute path,) · CREDENTIAL: (name,) · KEYRING: (service, entry) · COMMAND: the argument vector
    """

    way: Way
    where: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SocketSettings:
    """The local socket.  `group`: the gid that owns it, None leaves it to the process."""

    path: Path
    mode: int = 0o600
    group: int | None = None


@dataclass(frozen=True, slots=True)
class VaultSettings:
    """Where grants rest and who keeps the sealing key.

    key_file    for the custodian "key-file"
    credential  name below $CREDENTIALS_DIRECTORY for the custodian "systemd-credential"
    backend     the one keyring back end to use, None: the platform's own
    anchor      a file in another directory that guards against rollback, None: the custodian keeps it if it can
    """

    placement: Placement = "auto"
    custodian: CustodianName = "auto"
    key_file: Path | None = None
    credential: str = "freshd-vault-key"
    backend: str | None = None
    anchor: Path | None = None


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Where log lines go and how much.  "auto": journald below systemd, console on a terminal, else json."""

    format: LogFormat = "auto"
    level: LogLevel = "info"


@dataclass(frozen=True, slots=True)
class Head:
    """The account that another one hangs on: its name, of what kind it must be, and the key that names it."""

    account: str
    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class EnvFileSettings:
    """A .env file that is kept in step for programs that cannot ask a socket.  Names of its lines, None: left alone.

    access_token, expires_at  written with every new lease
    refresh_token             looked at: what another program puts there is taken over once, and emptied
    """

    path: Path
    access_token: str | None = None
    expires_at: str | None = None
    refresh_token: str | None = None

    @property
    def names(self) -> frozenset[str]:
        """The lines that are freshd's."""
        return frozenset(filter(None, (self.access_token, self.expires_at, self.refresh_token)))


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """One account.

    options   what the kind's schema made of the kind's own keys, profile defaults included
    profile   the profile in force, with the account's own contract and margins already laid over it
    binding   what its grant belongs to; None for a kind without one
    grant     an explicit name for the grant, where two accounts share origin, client and subject on purpose
    family    accounts with the same family share secrets and have one writer; by default its own name
    head      the account of its family that it hangs on, None for one that stands by itself
    env_file  somebody's .env file that is kept in step with it
    line      where it begins in the file
    """

    name: str
    kind: str
    readers: Readers
    profile: Profile
    options: Mapping[str, object] = field(default_factory=lambda: NOTHING)
    binding: Binding | None = None
    grant: str | None = None
    family: str = ""
    head: Head | None = None
    paused: bool = False
    env_file: EnvFileSettings | None = None
    line: int = field(default=0, compare=False)

    @property
    def margins(self) -> Margins:
        """When to renew."""
        return self.profile.margins


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """One long-lived login that freshd itself holds.

    account  whose lease it logs in with; None where the kind can do without and `options` say how
    options  what the kind's own model made of its keys
    line     where it begins in the file
    """

    name: str
    kind: str
    account: str | None
    options: Mapping[str, object] = field(default_factory=lambda: NOTHING)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class MqttOutletSettings:
    """Where events and health go over MQTT.

    channel  the channel (of kind "mqtt") whose connection is used
    prefix   topics begin with it; no wildcard, no slash at either end
    ring     how many events wait for a connection; the oldest makes room, counted
    level    the least severe events sent
    qos      0 or 1
    """

    channel: str
    prefix: str
    ring: int = 1000
    level: LogLevel = "info"
    qos: int = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration, accounts sorted by name."""

    state_dir: Path
    socket: SocketSettings
    vault: VaultSettings
    log: LogSettings
    operators: Readers
    accounts: tuple[AccountSettings, ...] = ()
    channels: tuple[ChannelSettings, ...] = ()
    mqtt: MqttOutletSettings | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a kind made of an account's own keys.  With problems, the rest is not used."""

    options: Mapping[str, object] = field(default_factory=lambda: NOTHING)
    binding: Binding | None = None
    family: str | None = None
    problems: tuple[Problem, ...] = ()
    head: Head | None = None


class KindSchema(Protocol):
    """What a provider's file knows of its own keys.

    `raw` holds the account's keys less those common to all kinds, laid over the profile's options; at every key named
    in `secrets` stands a `SecretRef`.  Problems name keys relative to the account.  See `core.problem.explain`.
    """

    @property
    def secrets(self) -> frozenset[str]:
        """The keys whose values are references to secrets."""

    def parse(self, account: str, raw: Mapping[str, object]) -> Parsed:
        """Validate; never raises and never repeats a value."""

    def json_schema(self) -> Mapping[str, object]:
        """JSON Schema (an object with `properties`) of its own keys; what stands at secret keys is replaced."""


class ChannelKind(Protocol):
    """What the configuration needs of a kind of channel.

    needs_account  it logs in with an account's lease or not at all; a kind that can do without finds the account's
                   name among the keys it parses
    secrets        keys whose value may be a reference to a secret: there a table has become a `SecretRef`
    """

    @property
    def needs_account(self) -> bool:
        """Whether `account` must be named."""

    @property
    def secrets(self) -> frozenset[str]:
        """The keys that may hold references to secrets."""

    def parse(self, name: str, raw: Mapping[str, object]) -> tuple[Mapping[str, object], tuple[Problem, ...]]:
        """The options of a channel's own keys, and what is wrong with them; never raises, never repeats a value."""

    def json_schema(self) -> Mapping[str, object]:
        """JSON Schema (an object with `properties`) of its own keys."""
