"""Keyrings of other systems, as the `keyring` library drives them, in memory and with a fault at any step.

Rules
-----
* Each behaves as the library's back end does on that system, step by step: `Keychain` deletes before it adds;
  `CredentialVault` takes 2560 bytes of UTF-16, and moves an entry aside when another of its service name is written.
* A step is what the system does at once.  `Fault` says what goes wrong at the step of that number; after DIES nothing
  works until `revive`, as when the process was killed there.
* They are loaded in place of the library: `OsKeyring` itself is what is tested.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from freshd.vault.keyring import OsKeyring

BLOB_BYTES = 2560


class Trouble(Exception):
    """The system says no."""


class Kind(enum.Enum):
    """What goes wrong."""

    DIES = "the process is killed before the step"
    REFUSED = "the step is refused once"
    UNHEARD = "the step is done, and told to have failed, once"


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong at which step, counted from 0."""

    at: int
    kind: Kind


class Steps:
    """Counts steps, and makes one of them go wrong."""

    def __init__(self) -> None:
        self.count = 0
        self.fault: Fault | None = None
        self.is_dead = False

    def before(self) -> None:
        number, self.count = self.count, self.count + 1
        if self.fault is not None and number == self.fault.at:
            self.is_dead = self.is_dead or self.fault.kind is Kind.DIES
            if self.fault.kind is Kind.REFUSED:
                raise Trouble
        self.look()

    def after(self) -> None:
        if self.fault is not None and (self.count - 1, self.fault.kind) == (self.fault.at, Kind.UNHEARD):
            raise Trouble

    def look(self) -> None:
        """A step that changes nothing."""
        if self.is_dead:
            raise Trouble

    def revive(self) -> None:
        """Another process begins; nothing goes wrong any more."""
        self.is_dead, self.fault = False, None


class Keychain:
    """macOS: a new value is the deletion of the old one, then an addition."""

    def __init__(self) -> None:
        self.steps = Steps()
        self.items: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        self.steps.look()
        return self.items.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if (service, username) in self.items:
            self._delete(service, username)
        self.steps.before()
        self.items[service, username] = password
        self.steps.after()

    def delete_password(self, service: str, username: str) -> None:
        from keyring.errors import PasswordDeleteError

        self.steps.look()
        if (service, username) not in self.items:
            raise PasswordDeleteError
        self._delete(service, username)

    def _delete(self, service: str, username: str) -> None:
        self.steps.before()
        del self.items[service, username]
        self.steps.after()


class CredentialVault:
    """Windows: one value for each target.  `moved`: entries that were put aside for another of their service name."""

    def __init__(self) -> None:
        self.steps = Steps()
        self.targets: dict[str, tuple[str, str]] = {}
        self.moved = 0

    def get_password(self, service: str, username: str) -> str | None:
        self.steps.look()
        for target in (service, f"{username}@{service}"):
            found = self.targets.get(target)
            if found is not None and found[0] == username:
                return found[1]
        return None

    def set_password(self, service: str, username: str, password: str) -> None:
        self.steps.look()
        there = self.targets.get(service)
        if there is not None:
            self.moved += there[0] != username
            self._write(f"{there[0]}@{service}", *there)
        self._write(service, username, password)

    def delete_password(self, service: str, username: str) -> None:
        from keyring.errors import PasswordDeleteError

        self.steps.look()
        found = [
            target
            for target in (service, f"{username}@{service}")
            if target in self.targets and self.targets[target][0] == username
        ]
        if not found:
            raise PasswordDeleteError
        for target in found:
            self.steps.before()
            del self.targets[target]
            self.steps.after()

    def _write(self, target: str, username: str, password: str) -> None:
        self.steps.before()
        if len(password.encode("utf-16")) > BLOB_BYTES:
            raise Trouble
        self.targets[target] = (username, password)
        self.steps.after()


def on(system: Keychain | CredentialVault) -> OsKeyring:
    """The OS keyring of that system."""
    keyring = OsKeyring("macos" if isinstance(system, Keychain) else "windows")
    keyring._loaded = system
    return keyring
