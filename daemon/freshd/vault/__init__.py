"""Where records survive: a sealed journal, a sealing key kept elsewhere, and the OS keyring as a resting place.

The folder's README lists the files; `JournalVault(Setup(...))` is what the composition root needs.
"""

from freshd.vault.custodians import KeyFile, SystemdCredential
from freshd.vault.keyring import OsKeyring
from freshd.vault.opening import Placement, Setup
from freshd.vault.vault import JournalVault

__all__ = ["JournalVault", "KeyFile", "OsKeyring", "Placement", "Setup", "SystemdCredential"]
