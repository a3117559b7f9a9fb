"""Custodians without an OS keyring: a key file, and a systemd credential.  Both keep the sealing key only.

Rules
-----
* A key that others can read is refused, not used with a warning.
* A key file is made once and never written over: the key in it may be the only way into a journal.  What takes its
  place in a rotation was a file beside it before, read back and proven, and is renamed onto it.
* The key file itself is never deleted here: a person may have put it there, and another vault may use it.
* Must not: keep grants.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from freshd.errors import ConfigError, StoreError, VaultLocked
from freshd.ports import Custodian
from freshd.vault.keys import KEY_ENTRY, NEXT_ENTRY
from freshd.vault.seal import KEY_BYTES
from freshd.vault.statedir import look_at, must_be_plain, sync_folder, words_of

CREDENTIALS: Final = "/etc/credstore.encrypted"
_KEY_NAME: Final = re.compile("[0-9a-f]{16}")
MOST_BYTES: Final = 4096
"""A credential larger than this is no key."""


class KeyFile:
    """32 bytes as hex or base64 in a file of mode 0600.  For development, and where the disk itself is protected.

    A key under an entry of its own is a file beside it: PATH.ID.
    """

    writable = True

    def __init__(self, path: Path) -> None:
        self.name = f"key-file {path}"
        self.path = path

    def get(self, service: str, entry: str) -> str | None:
        """The file's text; None where there is no file.  Raises VaultLocked where it is not ours alone."""
        path = self._place(entry)
        if path is None:
            return None
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            cause = f"the key file {path} cannot be read: {words_of(error)}"
            raise VaultLocked(cause, look_at(path)) from None
        with os.fdopen(descriptor, "rb") as file:
            try:
                must_be_plain(path, os.fstat(descriptor))
            except StoreError as error:
                raise VaultLocked(f"the key file {error.cause}", error.remedy) from None
            return file.read(MOST_BYTES).decode("ascii", "replace")

    def _place(self, entry: str) -> Path | None:
        """The file of an entry, None for what is no key."""
        if entry == KEY_ENTRY:
            return self.path
        name = entry.removeprefix(f"{KEY_ENTRY}-")
        is_key = name != entry and _KEY_NAME.fullmatch(name) is not None
        return self.path.with_name(f"{self.path.name}.{name}") if is_key else None

    def put(self, service: str, entry: str, value: str) -> None:
        """Make the file, durably.  Raises VaultLocked where it exists."""
        path = self._place(entry)
        if path is None:
            raise ConfigError(f"{self.name} keeps no grants", 'set [vault] placement = "sealed"')
        try:
            self._make(path, f"{value}\n".encode("ascii"))
        except OSError as error:
            raise VaultLocked(f"the key file {path} cannot be made: {words_of(error)}", look_at(path.parent)) from None

    def _make(self, path: Path, content: bytes) -> None:
        """Under another name first: half a key, after a crash, would lock the vault for good."""
        new = self.path.with_name(f"{self.path.name}.new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.link(new, path)  # unlike a rename it never replaces
            sync_folder(self.path.parent)
        finally:
            new.unlink(missing_ok=True)

    def drop(self, service: str, entry: str) -> None:
        """Delete the file of a key under an entry of its own.  The key file itself stays: see the rules."""
        path = self._place(entry)
        if path is not None and path != self.path:
            try:
                path.unlink(missing_ok=True)
                sync_folder(path.parent)
            except OSError as error:
                raise VaultLocked(
                    f"the key file {path} cannot be deleted: {words_of(error)}", look_at(path.parent)
                ) from None

    def promote(self, service: str, entry: str) -> None:
        """Put the key under an entry of its own in the place of the usual one: a rename, whole or not at all."""
        path = self._place(entry)
        if path is None:
            raise ConfigError(f"{self.name} keeps no such key", "freshd doctor")
        try:
            path.replace(self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            raise VaultLocked(
                f"{path} cannot take the place of {self.path}: {words_of(error)}", look_at(path.parent)
            ) from None


class SystemdCredential:
    """`$CREDENTIALS_DIRECTORY/NAME`: 32 raw bytes, or hex or base64 of them.  Read only.

    The key that is to follow is NAME-next.
    """

    writable = False

    def __init__(self, name: str, environ: Mapping[str, str]) -> None:
        self.name = f"systemd credential {name}"
        folder = environ.get("CREDENTIALS_DIRECTORY")
        self._folder = None if folder is None else Path(folder)
        self.credential = name
        if "/" in name or name in ("", ".", ".."):
            raise ConfigError(f"{name!r} is no name of a systemd credential", "write the name alone, no path")

    def get(self, service: str, entry: str) -> str | None:
        """The credential's text; None where systemd handed none over."""
        file = {KEY_ENTRY: self.credential, NEXT_ENTRY: f"{self.credential}-next"}.get(entry)
        if file is None or self._folder is None:
            return None
        try:
            content = (self._folder / file).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise VaultLocked(f"{self.name} cannot be read: {error.strerror}", "systemd-creds list") from None
        return content.hex() if len(content) == KEY_BYTES else content[:MOST_BYTES].decode("ascii", "replace")

    def put(self, service: str, entry: str, value: str) -> None:
        """Always raises: a running unit cannot write its credentials."""
        raise ConfigError(f"{self.name} cannot be written", 'set [vault] placement = "sealed"')

    def drop(self, service: str, entry: str) -> None:
        """Nothing: credentials are taken away in the unit."""


def makings(target: Custodian, *, follows: bool) -> list[str]:
    """The commands by which a person gives a key to the unit."""
    if not isinstance(target, SystemdCredential):
        return []
    name = f"{target.credential}-next" if follows else target.credential
    sealed = f"systemd-creds encrypt --with-key=host --name={name} - {CREDENTIALS}/{name}"
    return [
        f"head -c 32 /dev/urandom | {sealed}",
        f"LoadCredentialEncrypted={name} in the unit (systemctl edit freshd)",
        "systemctl restart freshd",
        "then the same verb again",
    ]


def remedies(target: Custodian) -> list[str]:
    """The commands by which a person puts the key that follows in the place of the first; none for other custodians."""
    if not isinstance(target, SystemdCredential):
        return []
    first, follows = target.credential, f"{target.credential}-next"
    folder = CREDENTIALS
    sealed_anew = f"systemd-creds encrypt --with-key=host --name={first} - {folder}/{first}.new"
    return [
        f"systemd-creds decrypt --name={follows} {folder}/{follows} - | {sealed_anew}",
        f"mv {folder}/{first}.new {folder}/{first}",
        "systemctl restart freshd",
        f"then, once freshd is up: sync; rm {folder}/{follows}",
    ]
