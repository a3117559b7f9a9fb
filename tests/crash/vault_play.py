"""A process that takes a vault through what a daemon seldom does, and says when everything so far is durable.

    python -m tests.crash.vault_play FOLDER ROUNDS KEYFILE

Exchanges of several accounts, answers withheld, attempts displaced (quarantine), refusals, pauses, forgetting, notes,
and the sealing key rotated.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from freshd.core.model import Change, Intent, Standing
from freshd.vault import JournalVault, KeyFile, Setup
from tests.contract.vault_bed import REPLY, grant, intent_on, lease, line, row
from tests.crash.history import DONE
from tests.crash.vault_hammer import now

ACCOUNTS: Final = ("ann", "bob", "eve")


def say() -> None:
    """One write, on standard output."""
    os.write(1, DONE)


class Play:
    """The acts, each of which waits for what it asks for."""

    def __init__(self, vault: JournalVault) -> None:
        self._vault = vault
        self._flights = 0

    def _flight(self) -> str:
        self._flights += 1
        return f"flight-{self._flights}"

    async def exchange(self, account: str, *, withheld: str | None = None) -> Standing:
        """Points 3, 5 and 6."""
        intent = await intent_on(self._vault, account, self._flight())
        await self._vault.intend(intent, {f"{account}/refresh": row(self._flights)})
        say()
        await self._vault.escrow(intent, REPLY)
        say()
        number = intent.generation + 1
        token, shown = f"token-of-{account}-number-{number}", f"lease-of-{account}-number-{number}"
        change = Change(account, grant(token), lease(account, shown), withheld=withheld)
        told = await self._vault.commit(intent, account, [change], {}, line(generation=number))
        say()
        return told[account]

    async def displaced(self, account: str) -> None:
        """An answer nobody could read, and the next attempt over it: the first goes to quarantine."""
        lost = await self._attempt(account)
        await self._vault.escrow(lost, REPLY)
        await self._vault.doubt(lost, {}, line("lost"))
        say()
        refused = await self._attempt(account)
        await self._vault.close(refused, frozenset(), {}, line("refused"), {})
        say()

    async def _attempt(self, account: str) -> Intent:
        intent = await intent_on(self._vault, account, self._flight())
        await self._vault.intend(intent, {})
        say()
        return intent

    async def rotated(self) -> None:
        """The next sealing key in the place of the last, while an attempt is open."""
        lost = await self._attempt("bob")
        told = await self._vault.care.verbs["rotate-key"]({})
        if not told["done"]:
            raise RuntimeError(told)
        say()
        await self._vault.close(lost, frozenset(), {}, line("refused"), {})
        say()

    async def beside(self, account: str) -> None:
        """What is no exchange."""
        await self._vault.pause(account, paused=True)
        say()
        await self._vault.note({f"{account}/host": row(7)})
        say()
        await self._vault.pause(account, paused=False)
        say()


async def main(folder: Path, rounds: int, key: Path) -> None:
    vault = JournalVault(Setup(folder / "state", "sealed", KeyFile(key), now, anchor=folder / "elsewhere" / "anchor"))
    await vault.open()
    say()
    play = Play(vault)
    for number in range(rounds):
        for account in ACCOUNTS:
            await play.exchange(account)
        await play.exchange("ann", withheld="another person" if number % 2 else None)
        await play.displaced("bob")
        await play.beside("eve")
        await play.rotated()
        await vault.anchor()
        say()
    await vault.forget("eve")
    say()
    await vault.aclose()
    say()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
