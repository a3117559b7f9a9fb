"""The sealing key: fetched from its custodian, made there once, proven before use.

Rules
-----
* A key is made for a new journal only: one under which nothing was ever sealed.  It is written, read back, and only
  then used; its check value in the journal says from then on which key is right.
* No key for a journal that has a check value: LOCKED, however the custodian explains it.  Never a second key.
* Another key than the journal's: VaultForeign.
* Must not: keep the key longer than it takes to make a `Seal`.
"""

from __future__ import annotations

from typing import Final

from freshd.errors import FreshdError, KeyringUnavailable, VaultForeign, VaultLocked
from freshd.ports import Custodian
from freshd.vault.calls import Calls
from freshd.vault.seal import Seal, new_key, parse_key

KEY_ENTRY: Final = "sealing-key"


def service_of(vault_id: str) -> str:
    """The service name under which a vault keeps its own entries, apart from every account's."""
    return f"freshd vault {vault_id}"


async def unlock(custodian: Custodian, calls: Calls, vault_id: str, check: str | None) -> Seal:
    """The seal of this vault.  `check` is the journal's check value, None while nothing was sealed.

    Raises VaultLocked, or VaultForeign where the key is another journal's.
    """
    text = await _fetch(custodian, calls, vault_id)
    if text is None and check is None:
        text = await _make(custodian, calls, vault_id)
    if text is None:
        raise VaultLocked(
            f"{custodian.name} does not hold the sealing key of vault {vault_id[:8]}",
            "unlock the keyring, or bring back the key: freshd doctor; freshd goes on by itself"
            if custodian.writable
            else "bring it back, then restart the unit, for only then is it looked for: systemctl restart freshd",
        )
    key = parse_key(text)
    if key is None:
        raise VaultForeign(
            f"what {custodian.name} holds as sealing key is no key: 32 bytes as hex or base64 are needed",
            "bring back the right key; the journal is untouched",
        )
    seal = Seal(key, vault_id)
    if check not in (None, seal.check):
        raise VaultForeign(
            f"the sealing key in {custodian.name} is not the one of vault {vault_id[:8]}",
            "bring back the right key, or give freshd another state directory; the journal is untouched",
        )
    return seal


async def _fetch(custodian: Custodian, calls: Calls, vault_id: str) -> str | None:
    service = service_of(vault_id)
    try:
        return await calls.run(service, lambda: custodian.get(service, KEY_ENTRY))
    except KeyringUnavailable as error:
        raise VaultLocked(f"the sealing key cannot be had: {error.cause}", error.remedy) from None


async def _make(custodian: Custodian, calls: Calls, vault_id: str) -> str:
    if not custodian.writable:
        raise VaultLocked(
            f"{custodian.name} holds no sealing key, and freshd cannot write one there",
            "make one, NAME being [vault] credential: head -c 32 /dev/urandom | systemd-creds encrypt --name=NAME - "
            "/etc/credstore.encrypted/NAME; add LoadCredentialEncrypted=NAME to the unit, and restart it",
        )
    service, key = service_of(vault_id), new_key()
    try:
        await calls.run(service, lambda: custodian.put(service, KEY_ENTRY, key))
    except KeyringUnavailable as error:
        raise VaultLocked(f"the sealing key cannot be stored: {error.cause}", error.remedy) from None
    except FreshdError as error:
        raise VaultLocked(error.cause, error.remedy) from None
    found = await _fetch(custodian, calls, vault_id)
    if found is None or parse_key(found) != parse_key(key):
        raise VaultLocked(f"{custodian.name} did not give back the sealing key written to it", "use another custodian")
    return found
