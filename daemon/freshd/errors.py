"""Errors that reach a person: each says what is wrong, where, and the command or edit that remedies it.

A leaf: imports nothing of freshd.  An error never carries a response body or a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """What a person reads: `cause` in plain words with its place, `remedy` as a command or an edit."""

    cause: str
    remedy: str


class FreshdError(Exception):
    """Base of every error that freshd raises on purpose.

    exit_code  what the command line ends with (sysexits.h where one fits)
    type       stable name, used as the last part of a problem document's `type`
    """

    exit_code: ClassVar[int] = 1
    type: ClassVar[str] = "error"

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy

    def diagnostics(self) -> Diagnostics:
        """Cause and remedy, free of secrets."""
        return Diagnostics(self.cause, self.remedy)


class ConfigError(FreshdError):
    """The configuration cannot be used.  `problems`: every one found, each with line, key and what to write."""

    exit_code = 78
    type = "config"

    def __init__(self, cause: str, remedy: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(cause, remedy)
        self.problems = problems


class NotPossible(FreshdError):
    """A verb that cannot be done as things stand."""

    exit_code = 65
    type = "not-possible"


class NeedsConsent(FreshdError):
    """A step that costs something (an SMS is sent) and to which the person has not agreed yet; `cause` says what."""

    exit_code = 65
    type = "needs-consent"


class LeaseRefused(FreshdError):
    """The service refused the lease that was used for a call of an operator's."""

    exit_code = 65
    type = "lease-refused"


class WireDown(FreshdError):
    """A message connection ended, or did not acknowledge in time.  What was to be sent is still to be sent."""

    exit_code = 69
    type = "wire-down"


class PublishRefused(FreshdError):
    """The broker does not let this login publish there."""

    exit_code = 77
    type = "publish-refused"


class StoreError(FreshdError):
    """A durable write or read did not succeed (full disk, I/O error, read-only).  Nothing was acknowledged."""

    exit_code = 74
    type = "store"


class VaultLocked(FreshdError):
    """The sealing key is not there yet.  Not a damaged vault: unlocking resumes."""

    exit_code = 75
    type = "vault-locked"


class KeyringUnavailable(FreshdError):
    """The OS keyring did not answer in time, is locked, or lost an entry.  Never means that a secret is absent."""

    exit_code = 75
    type = "keyring-unavailable"


class VaultForeign(FreshdError):
    """The journal is of a newer version, of another machine, or its key does not fit.  Nothing was changed."""

    exit_code = 76
    type = "vault-foreign"


class Stale(FreshdError):
    """The record changed since it was read: a stale writer loses (generation check)."""

    type = "stale"


class AlreadyRunning(FreshdError):
    """Another freshd owns this state directory; `cause` names its pid."""

    exit_code = 73
    type = "already-running"


class Unreachable(FreshdError):
    """No daemon answers on the socket."""

    exit_code = 69
    type = "unreachable"
