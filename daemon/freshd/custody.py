"""Who keeps the sealing key, and where grants rest: what the configuration says, and what this machine has."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from freshd.core.settings import Settings, VaultSettings
from freshd.errors import ConfigError
from freshd.ports import Custodian
from freshd.vault import KeyFile, Placement, SystemdCredential
from freshd.vault.keyring import OsKeyring

BACKEND_OF: Final = {"linux": "secret-service", "darwin": "macos", "win32": "windows"}


def custody(settings: Settings) -> tuple[Placement, Custodian]:
    """Where grants rest and who keeps the sealing key; "auto" takes the first that is there.

    Order: a systemd credential given to this unit, a configured key file, the OS keyring.
    """
    vault = settings.vault
    directory = os.environ.get("CREDENTIALS_DIRECTORY", "")
    custodian: Custodian
    if vault.custodian == "systemd-credential" or (
        vault.custodian == "auto"
        and vault.placement != "keyring"
        and directory
        and (Path(directory) / vault.credential).exists()
    ):
        custodian = SystemdCredential(vault.credential, os.environ)
    elif vault.custodian == "key-file" or (vault.custodian == "auto" and vault.key_file is not None):
        custodian = KeyFile(_key_file(vault))
    else:
        return ("sealed" if vault.placement == "sealed" else "keyring"), os_keyring(vault)
    if vault.placement == "keyring":
        raise ConfigError(
            f'[vault] placement = "keyring" needs the OS keyring, but the custodian is {custodian.name}',
            'write placement = "sealed", or custodian = "keyring"',
        )
    return "sealed", custodian


def recall(name: str) -> Custodian | None:
    """The custodian that called itself so; None for one of a machine or a freshd that this is not."""
    kind, _, rest = name.partition(" ")
    try:
        if kind == "key-file":
            return KeyFile(Path(rest))
        if kind == "keyring":
            return OsKeyring(rest)
        return SystemdCredential(rest.removeprefix("credential "), os.environ) if kind == "systemd" else None
    except ConfigError:
        return None


def os_keyring(vault: VaultSettings) -> Custodian:
    """The OS keyring by one named back end, never by the library's priorities.  Loads the library on first use."""
    return OsKeyring(vault.backend or BACKEND_OF.get(sys.platform, "secret-service"))


def _key_file(vault: VaultSettings) -> Path:
    if vault.key_file is None:
        raise ConfigError('[vault] custodian = "key-file" names no file', 'write key_file = "/path/of/a/file"')
    return vault.key_file
