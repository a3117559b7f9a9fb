"""SIGKILL while a process writes to the vault: what was acknowledged is there, and what is there is whole."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from freshd.core.model import Record, Standing
from freshd.vault import JournalVault, Placement, Setup
from tests.contract.vault_bed import REPLY, grant, lease
from tests.crash.vault_hammer import ACCOUNTS, custodian, now

KILLS = 12
"""Per placement and run; scripts/crash does more."""


class Victim:
    """One life of the hammer.  `heard`: of each account, the last thing acknowledged, as kind and flight or number."""

    def __init__(self, folder: Path, placement: Placement, *die: str) -> None:
        command = [sys.executable, "-m", "tests.crash.vault_hammer", str(folder), placement, *die]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.heard: dict[str, tuple[str, str]] = {}
        self.lines = 0

    def live(self, lines: int | None) -> None:
        """Let it work until it has said so much, or until it dies by itself; then it is dead."""
        assert self._process.stdout is not None
        with self._process as process:
            watchdog = threading.Timer(40, process.kill)
            watchdog.start()
            for text in self._said():
                self._note(text)
                if self.lines == lines:
                    process.kill()
            watchdog.cancel()
        assert self._process.returncode == -signal.SIGKILL

    def _said(self) -> Iterator[str]:
        assert self._process.stdout is not None
        yield from self._process.stdout

    def _note(self, text: str) -> None:
        self.lines += 1
        kind, *rest = text.split()
        if rest:
            self.heard[rest[0]] = kind, rest[1]


class Book:
    """What must be in the vault, by everything acknowledged in all lives."""

    def __init__(self, folder: Path, placement: Placement) -> None:
        self._setup = Setup(folder / "state", placement, custodian(folder, placement), now)
        self._generations = dict.fromkeys(ACCOUNTS, 0)

    async def check(self, victim: Victim) -> None:
        vault = JournalVault(self._setup)
        standings = await vault.open()
        for account in ACCOUNTS:
            standing = standings.get(account, Standing(account))
            assert standing.broken is None
            assert await vault.read(account) == whole(account, standing.generation)
            left = await vault.escrowed(account)
            assert left is None or left[1] == REPLY
            self._compare(standing, left[0].flight if left else None, *victim.heard.get(account, ("", "")))
            self._generations[account] = standing.generation
        await vault.aclose()

    def _compare(self, standing: Standing, escrowed: str | None, kind: str, word: str) -> None:
        flight = standing.intent.flight if standing.intent else None
        before, after = self._generations[standing.account], standing.generation
        if kind == "commit":
            assert after == int(word)
        elif kind == "escrow" and flight is None:
            assert after > before  # its commit was durable, and nobody was told any more
        elif kind == "escrow":
            assert flight == escrowed == word
        elif kind == "intent":
            assert flight == word
        else:
            assert after == before


def whole(account: str, number: int) -> Record:
    """The record as the hammer writes it."""
    if not number:
        return Record(account)
    token, of_reader = f"token-{account}-{number}", f"lease-{account}-{number}"
    return Record(account, number, grant(token), lease(account, of_reader, number))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("placement", ["sealed", "keyring"])
async def test_killed_at_any_instant_nothing_acknowledged_is_lost(tmp_path: Path, placement: Placement) -> None:
    dice = random.Random(7)
    book = Book(tmp_path, placement)
    for _ in range(KILLS):
        victim = Victim(tmp_path, placement)
        victim.live(dice.randint(1, 400))
        await book.check(victim)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("placement", ["sealed", "keyring"])
@pytest.mark.parametrize("point", ["intent-durable", "escrow-durable", "commit-durable"])
async def test_killed_before_anybody_is_told_what_was_durable_stays(
    tmp_path: Path, placement: Placement, point: str
) -> None:
    book = Book(tmp_path, placement)
    for number in (1, 30):
        victim = Victim(tmp_path, placement, point, str(number))
        victim.live(None)
        await book.check(victim)
