"""Custodians without an OS keyring: a key file, and a systemd credential.  Both keep the sealing key only.

Rules
-----
* A key that others can read is refused, not used with a warning.
* A key file is made once and never written over: the key in it may be the only way into a journal.
* Must not: keep grants.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from freshd.errors import ConfigError, VaultLocked
from freshd.vault.keys import KEY_ENTRY
from freshd.vault.seal import KEY_BYTES
from freshd.vault.statedir import look_at, sync_folder, words_of

MOST_BYTES: Final = 4096
"""A credential larger than this is no key."""


class KeyFile:
    """32 bytes as hex or base64 in a file of mode 0600.  For development, and where the disk itself is protected."""

    writable = True

    def __init__(self, path: Path) -> None:
        self.name = f"key-file {path}"
        self._path = path

    def get(self, service: str, entry: str) -> str | None:
        """The file's text; None where there is no file.  Raises VaultLocked where it is not ours alone."""
        if entry != KEY_ENTRY:
            return None
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        except OSError as error:
            cause = f"the key file {self._path} cannot be read: {words_of(error)}"
            raise VaultLocked(cause, look_at(self._path)) from None
        with os.fdopen(descriptor, "rb") as file:
            self._must_be_ours(os.fstat(descriptor))
            return file.read(MOST_BYTES).decode("ascii", "replace")

    def _must_be_ours(self, status: os.stat_result) -> None:
        if status.st_uid != os.geteuid():
            raise VaultLocked(
                f"the key file {self._path} belongs to user id {status.st_uid}, not to {os.geteuid()}",
                f"chown {os.geteuid()} {self._path}",
            )
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise VaultLocked(f"the key file {self._path} is open to other users", f"chmod 600 {self._path}")

    def put(self, service: str, entry: str, value: str) -> None:
        """Make the file, durably.  Raises VaultLocked where it exists."""
        if entry != KEY_ENTRY:
            raise ConfigError(f"{self.name} keeps no grants", 'set [vault] placement = "sealed"')
        try:
            self._make(f"{value}\n".encode("ascii"))
        except OSError as error:
            raise VaultLocked(
                f"the key file {self._path} cannot be made: {words_of(error)}", look_at(self._path.parent)
            ) from None

    def _make(self, content: bytes) -> None:
        """Under another name first: half a key, after a crash, would lock the vault for good."""
        new = self._path.with_name(f"{self._path.name}.new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.link(new, self._path)  # unlike a rename it never replaces
            sync_folder(self._path.parent)
        finally:
            new.unlink(missing_ok=True)

    def drop(self, service: str, entry: str) -> None:
        """Nothing: a key file is deleted by a person."""


class SystemdCredential:
    """`$CREDENTIALS_DIRECTORY/NAME`: 32 raw bytes, or hex or base64 of them.  Read only."""

    writable = False

    def __init__(self, name: str, environ: Mapping[str, str]) -> None:
        self.name = f"systemd credential {name}"
        folder = environ.get("CREDENTIALS_DIRECTORY")
        self._path = None if folder is None else Path(folder) / name
        if "/" in name or name in ("", ".", ".."):
            raise ConfigError(f"{name!r} is no name of a systemd credential", "write the name alone, no path")

    def get(self, service: str, entry: str) -> str | None:
        """The credential's text; None where systemd handed none over."""
        if entry != KEY_ENTRY or self._path is None:
            return None
        try:
            content = self._path.read_bytes()
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
