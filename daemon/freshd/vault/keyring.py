"""The OS keyring, through the `keyring` library, with one back end that the configuration names.

Rules
-----
* The back end is loaded by its name from the table here.  Whatever `keyring` would choose by priority, chains, null,
  fail, and every file of keyrings.alt or cryptfile are refused, by name and with the reason.
* Every failure is KeyringUnavailable with the name of the exception: texts of back ends may hold anything.
* A daemon asks nobody for a password: a locked collection is reported as locked, no prompt is raised.
* `get` may return None for a locked or failing keyring; callers never take it for absence.
* Must not: be called on the event loop (`calls`), or decide what is kept (`settle`, `keys`).
"""

from __future__ import annotations

import importlib
import sys
import threading
from dataclasses import dataclass
from typing import Final, Protocol

from freshd.errors import ConfigError, KeyringUnavailable
from freshd.vault.calls import REMEDY


class Library(Protocol):
    """What is asked of a back end.  Blocks; called from several threads."""

    def get_password(self, service: str, username: str, /) -> str | None:
        """The value, None where there is none."""

    def set_password(self, service: str, username: str, password: str, /) -> None:
        """Write."""

    def delete_password(self, service: str, username: str, /) -> None:
        """Delete.  Raises PasswordDeleteError where there is none."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One back end of the library.

    longest  characters an entry may have, None without a limit worth naming
    held     what is used in its place: the same back end over connections that are kept
    shares   two entries of one service name get into each other's way: each is given a name of its own
    """

    path: str
    longest: int | None = None
    held: str | None = None
    shares: bool = False


BACKENDS: Final = {
    "secret-service": Backend(
        "keyring.backends.SecretService.Keyring", held="freshd.vault.secret_service.SecretService"
    ),
    "kwallet": Backend("keyring.backends.kwallet.DBusKeyring"),
    "macos": Backend("keyring.backends.macOS.Keyring"),
    # CRED_MAX_CREDENTIAL_BLOB_SIZE is 2560 bytes, and the library writes UTF-16: 1280 characters with its mark.
    # Where two entries share a service name, the library moves the one about when it writes the other.
    "windows": Backend("keyring.backends.Windows.WinVaultKeyring", longest=1200, shares=True),
}
COMFORTABLE_ACCOUNTS: Final = 250
"""Accounts whose grants an OS keyring holds well: two entries each, and gnome-keyring writes its whole file for every
change.  Seen (tests/host/results/keyring_pace.md): a write among 500 entries takes six to seven times as long as among
10, among 1,000 fourteen to eighteen times; every program that uses the keyring waits meanwhile."""
LOOKS: Final = 3
VANISHED: Final = "ItemNotFoundException"
"""An entry that was found and could not be read: the keyring had replaced it in between (seen with gnome-keyring under
load).  Looking again finds its successor."""
REFUSED: Final = {
    "chainer": "it reads from one back end and writes to another",
    "fail": "it keeps nothing",
    "null": "it drops what is written to it",
    "keyrings.alt": "it keeps secrets in files that other programs of the user read as easily as freshd",
    "plaintext": "it keeps secrets in the clear",
    "cryptfile": "it asks for a password on a terminal, which a daemon has not",
    "alt": "it keeps secrets in files that other programs of the user read as easily as freshd",
}


NOBODY_THERE: Final = frozenset({"SecretServiceNotAvailableException", "FileNotFoundError", "ConnectionRefusedError"})
START_ONE: Final = (
    "start a keyring daemon (gnome-keyring, KeePassXC …) in the session that freshd runs in; freshd goes on by itself. "
    'On a machine without one: [vault] placement = "sealed", custodian = "systemd-credential", and a restart'
)
_LOCKED: Final = ("is locked", "unlock it; freshd goes on by itself")
TELLING: Final = {
    "KeyringLocked": _LOCKED,
    "LockedException": _LOCKED,
    "NoCollection": (
        "has no default collection: nobody has made one, or its file is gone",
        "bring the keyring's files back, or make a default keyring in its manager; freshd goes on by itself",
    ),
    "TimeoutError": ("does not answer", REMEDY),
}
"""What exceptions of a back end say to people, by name."""


def named(backend: str) -> Backend:
    """The back end of that name, short or as the library's dotted path.  Raises ConfigError."""
    for short, known in BACKENDS.items():
        if backend in (short, known.path):
            return known
    choice = f'write one of {", ".join(BACKENDS)}, or placement = "sealed" with a credential or key file'
    lowered = backend.lower()
    for word, reason in REFUSED.items():
        if word in lowered:
            raise ConfigError(f"the keyring back end {backend!r} is refused: {reason}", choice)
    raise ConfigError(f"the keyring back end {backend!r} is not one that freshd knows", choice)


class OsKeyring:
    """Implements `ports.Custodian`, and keeps grants as well (`settle.Shelf`)."""

    writable = True

    def __init__(self, backend: str) -> None:
        self._backend = named(backend)
        self.name = f"keyring {backend}"
        self.longest = self._backend.longest
        self._loaded: Library | None = None
        self._loading = threading.Lock()

    def get(self, service: str, entry: str) -> str | None:
        """The value, or None: absent or unknown."""
        for left in reversed(range(LOOKS)):
            try:
                return self._library().get_password(self._named(service, entry), entry)
            except Exception as error:  # noqa: BLE001 - see the rules
                if not left or type(error).__name__ != VANISHED:
                    raise _unavailable(self.name, error) from None
        return None

    def put(self, service: str, entry: str, value: str) -> None:
        """Write; proves nothing."""
        try:
            self._library().set_password(self._named(service, entry), entry, value)
        except Exception as error:  # noqa: BLE001
            raise _unavailable(self.name, error) from None

    def drop(self, service: str, entry: str) -> None:
        """Delete; absent is fine."""
        from keyring.errors import PasswordDeleteError  # noqa: PLC0415 - 40 ms that only a keyring needs

        try:
            self._library().delete_password(self._named(service, entry), entry)
        except PasswordDeleteError:
            return
        except Exception as error:  # noqa: BLE001
            raise _unavailable(self.name, error) from None

    def _named(self, service: str, entry: str) -> str:
        return f"{service} {entry}" if self._backend.shares else service

    def _library(self) -> Library:
        with self._loading:
            if self._loaded is None:
                module, _, name = (self._backend.held or self._backend.path).rpartition(".")
                self._loaded = getattr(importlib.import_module(module), name)()
            return self._loaded


def _unavailable(name: str, error: Exception) -> KeyringUnavailable:
    if isinstance(error, KeyringUnavailable):
        return error
    if type(error).__name__ in NOBODY_THERE:
        return KeyringUnavailable(f"{name} is not there: no session bus, or nobody on it who keeps secrets", START_ONE)
    what, remedy = TELLING.get(type(error).__name__, (f"cannot be used now ({type(error).__name__})", REMEDY))
    return KeyringUnavailable(f"{name} {what}", remedy)


def open_keyring(backend: str | None) -> OsKeyring:
    """The keyring of that name, or the platform's own where none is named.  Loads and asks nothing yet."""
    if backend is not None:
        return OsKeyring(backend)
    own = {"linux": "secret-service", "darwin": "macos", "win32": "windows"}.get(sys.platform)
    if own is None:
        raise ConfigError(f"freshd knows no keyring of {sys.platform}", "name it: [vault] backend, or placement sealed")
    return OsKeyring(own)
