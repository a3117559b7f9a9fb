"""Files of the vault cut, torn or rotten: refused with a remedy, or opened with every undamaged record whole."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest

from freshd.core.model import Change, Secret, Standing
from freshd.errors import FreshdError, StoreError
from freshd.vault import JournalVault, KeyFile, wal
from tests.contract.vault_bed import REPLY, Bed, enrolled, exchange, grant, intent_on, lease

ACCOUNTS: Final = tuple(f"account-{number:02}" for number in range(12))
TWICE: Final = ACCOUNTS[:4]
OPEN: Final = ACCOUNTS[5]
"""Has an answer in escrow."""
LACKS: Final = "of a freshd that did not stop in good order"
FLIPS: Final = 200
SEED: Final = 20261121


def newest(account: str) -> str:
    return f"canary-{account}-{2 if account in TWICE else 1}"


class Sound:
    """A vault that was stopped in good order (`stopped`), and the same as a power cut would have left it (`cut`)."""

    def __init__(self, folder: Path) -> None:
        self.key, self.stopped, self.cut = folder / "key", folder / "state", folder / "cut"

    async def make(self) -> None:
        bed = Bed(self.stopped, "sealed", KeyFile(self.key))
        vault = await bed.open()
        for account in ACCOUNTS:
            await enrolled(bed, vault, account, f"canary-{account}-1")
        for account in TWICE:
            await exchange(vault, account, Change(account, grant(newest(account)), lease(account)))
        intent = await intent_on(vault, OPEN, "open")
        await vault.intend(intent, {})
        await vault.escrow(intent, REPLY)
        await vault.note({})  # so that the escrow is not the last transaction
        shutil.copytree(self.stopped, self.cut)
        await bed.aclose()


@pytest.fixture
async def sound(tmp_path: Path) -> Sound:
    made = Sound(tmp_path)
    await made.make()
    return made


async def tried(vault: JournalVault) -> tuple[Mapping[str, Standing], FreshdError | None]:
    try:
        standings = await vault.open()
        await vault.paces()
    except FreshdError as error:
        return {}, error
    return standings, None


async def opened(folder: Path, key: Path) -> Mapping[str, str] | FreshdError:
    """Account → "whole", "parked" or what is wrong with it; or why the vault is refused.

    What is refused is left as it is; only what is whole of a log may have moved into its journal.
    """
    bed = Bed(folder, "sealed", KeyFile(key))
    vault, journal = bed.vault(), (folder / "journal.db").read_bytes()
    standings, refusal = await tried(vault)
    if refusal is not None:
        await bed.aclose()
        assert refusal.remedy
        assert LACKS in refusal.cause or (folder / "journal.db").read_bytes() == journal
        return refusal
    told = {}
    for account in ACCOUNTS:
        standing = standings.get(account)
        await vault.history(account)
        if standing is None:
            told[account] = "absent"
        elif standing.broken is not None:
            told[account] = "parked"
        else:
            record = await vault.read(account)
            held = None if record.grant is None else record.grant.secrets["refresh_token"]
            is_whole = held == Secret(newest(account)) and standing.escrowed == (account == OPEN)
            told[account] = "whole" if is_whole else f"older: generation {record.generation}"
    await exchange(vault, "another", Change("another", grant("later"), lease("another")))
    await bed.aclose()
    return told


def flip(path: Path, dice: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    path.write_bytes(content)


@pytest.mark.parametrize("part", range(4))
async def test_I7_a_flipped_bit_parks_one_record_or_is_refused(sound: Sound, tmp_path: Path, part: int) -> None:
    dice, damaged = random.Random(SEED + part), tmp_path / "damaged"
    seen = {"whole": 0, "parked": 0, "refused": 0}
    for _ in range(FLIPS // 4):
        source = dice.choice((sound.stopped, sound.cut))
        shutil.copytree(source, damaged)
        flip(dice.choice([path for path in damaged.glob("journal.db*") if not path.name.endswith("-shm")]), dice)
        told = await opened(damaged, sound.key)
        if isinstance(told, FreshdError):
            seen["refused"] += 1
        else:
            assert set(told.values()) <= {"whole", "parked"}, told
            assert list(told.values()).count("parked") <= 1
            seen["parked" if "parked" in told.values() else "whole"] += 1
        shutil.rmtree(damaged)
    assert all(seen.values()), seen


async def test_I7_of_a_record_that_does_not_open_a_copy_is_kept(sound: Sound) -> None:
    with contextlib.closing(sqlite3.connect(sound.stopped / "journal.db")) as db, db:
        (blob,) = db.execute("SELECT grant_blob FROM records WHERE account = ?", (OPEN,)).fetchone()
        rotten = bytes([blob[0] ^ 1]) + blob[1:]
        db.execute("UPDATE records SET grant_blob = ? WHERE account = ?", (rotten, OPEN))
    told = await opened(sound.stopped, sound.key)
    assert isinstance(told, dict)
    assert told == {account: "parked" if account == OPEN else "whole" for account in ACCOUNTS}
    with contextlib.closing(sqlite3.connect(sound.stopped / "journal.db")) as db:
        [(kept,)] = db.execute("SELECT content FROM quarantine WHERE account = ?", (OPEN,)).fetchall()
        (still,) = db.execute("SELECT grant_blob FROM records WHERE account = ?", (OPEN,)).fetchone()
    assert json.loads(kept)["escrow"] is not None
    assert still == rotten


@pytest.mark.parametrize("column", ["rid", "grant_digest"])
async def test_I7_text_that_has_rotted_parks_one_record(sound: Sound, column: str) -> None:
    with contextlib.closing(sqlite3.connect(sound.stopped / "journal.db")) as db, db:
        db.execute(f"UPDATE records SET {column} = CAST(x'61ce62' AS TEXT) WHERE account = ?", (ACCOUNTS[7],))
    told = await opened(sound.stopped, sound.key)
    assert isinstance(told, dict)
    assert set(told.values()) <= {"whole", "parked"}
    assert [account for account, how in told.items() if how == "parked"] in ([], [ACCOUNTS[7]])


@pytest.mark.parametrize("odd", [0, 1, 513])
async def test_a_journal_cut_anywhere_is_refused(sound: Sound, tmp_path: Path, odd: int) -> None:
    size, damaged = (sound.stopped / "journal.db").stat().st_size, tmp_path / "damaged"
    for at in range(4096 if odd == 0 else 0, size, 4096):
        shutil.copytree(sound.stopped, damaged)
        os.truncate(damaged / "journal.db", at + odd)
        told = await opened(damaged, sound.key)
        assert isinstance(told, FreshdError), at + odd
        assert "journal.db" in told.cause
        shutil.rmtree(damaged)


@pytest.mark.parametrize("name", ["killed", "power cut"])
async def test_I5_a_log_cut_anywhere_is_refused_unless_the_power_was_cut(
    sound: Sound, tmp_path: Path, name: str
) -> None:
    """What the last process had come to stands in its lock file, which a cut of the power may take along.

    Then the records are those of an earlier moment, and none is broken.
    """
    damaged, size = tmp_path / "damaged", (sound.cut / "journal.db-wal").stat().st_size
    dice = random.Random(SEED)
    for at in (0, 1, 31, 32, 33, *(dice.randrange(size) for _ in range(12)), size - 1):
        shutil.copytree(sound.cut, damaged)
        os.truncate(damaged / "journal.db-wal", at)
        if name == "power cut":
            (damaged / "lock").unlink()
        told = await opened(damaged, sound.key)
        if name == "killed":
            assert isinstance(told, StoreError)
            assert LACKS in told.cause or "journal.db" in told.cause
        else:
            assert isinstance(told, dict), told
            assert "parked" not in told.values()
        shutil.rmtree(damaged)


async def test_what_a_killed_process_had_committed_is_asked_for_until_an_operator_goes_without(sound: Sound) -> None:
    (sound.cut / "journal.db-wal").unlink()
    for _ in range(2):  # it is not forgotten by being told once
        told = await opened(sound.cut, sound.key)
        assert isinstance(told, StoreError)
        assert "lacks the last" in told.cause
        assert f"rm {sound.cut}/lock" in told.remedy
    (sound.cut / "lock").unlink()
    assert isinstance(await opened(sound.cut, sound.key), dict)


async def test_I5_a_journal_whose_lock_file_was_taken_away_may_lack_something_and_is_held_back(sound: Sound) -> None:
    (sound.stopped / "lock").unlink()
    for _ in range(2):  # that is not forgotten by being told once either
        bed = Bed(sound.stopped, "sealed", KeyFile(sound.key))
        standings, refusal = await tried(bed.vault())
        await bed.aclose()
        assert refusal is None
        held = [standing for standing in standings.values() if standing.held]
        assert held
        assert all("lock file" in str(standing.held_back) for standing in held)


async def test_an_older_journal_may_take_the_place_of_one_that_was_stopped_in_good_order(sound: Sound) -> None:
    """Whether it may be believed is the anchor's question."""
    assert (sound.stopped / "lock").read_bytes() == b""


LOGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "its header": lambda log: b"\0" * 32 + log[32:],
    "its first frame": lambda log: log[:100] + b"\xff" + log[101:],
    "the middle": lambda log: log[: len(log) // 2] + b"\xff" * 64 + log[len(log) // 2 + 64 :],
    "a hole of zeros": lambda log: log[:8192] + b"\0" * 8192 + log[16384:],
}


@pytest.mark.parametrize("name", LOGS)
async def test_I5_a_log_with_damage_before_what_was_committed_is_refused(sound: Sound, name: str) -> None:
    log = sound.cut / "journal.db-wal"
    log.write_bytes(LOGS[name](log.read_bytes()))
    told = await opened(sound.cut, sound.key)
    assert isinstance(told, StoreError)
    assert "committed transactions lie behind it" in told.cause
    assert f"mv {sound.cut}/journal.db*" in told.remedy


async def test_a_sound_log_hides_nothing_wherever_the_power_was_cut(sound: Sound, tmp_path: Path) -> None:
    log, cut = (sound.cut / "journal.db-wal").read_bytes(), tmp_path / "log"
    assert wal.hides(sound.cut / "journal.db-wal") is None
    assert wal.hides(tmp_path / "absent") is None
    for at in range(0, len(log), 39989):
        cut.write_bytes(log[:at])
        assert wal.hides(cut) is None


async def test_leftovers_of_a_transaction_that_failed_hide_nothing(sound: Sound, tmp_path: Path) -> None:
    """Frames that were written and not taken for durable lie behind what overwrote the first of them."""
    frame = 24 + 4096
    log = (sound.cut / "journal.db-wal").read_bytes()
    torn = tmp_path / "log"
    frames = [log[at : at + frame] for at in range(32, len(log), frame)]
    torn.write_bytes(log[:32] + b"".join([*frames[:40], frames[60], frames[80], frames[70]]))
    assert wal.hides(torn) is None


SPOILT: Final[dict[str, Callable[[Path], object]]] = {
    "a -shm of garbage": lambda folder: (folder / "journal.db-shm").write_bytes(os.urandom(32768)),
    "an empty -shm": lambda folder: (folder / "journal.db-shm").write_bytes(b""),
    "no -shm": lambda folder: (folder / "journal.db-shm").unlink(),
    "garbage behind the log": lambda folder: _append(folder / "journal.db-wal", os.urandom(9000)),
    "no ballast": lambda folder: (folder / "ballast").unlink(),
    "no lock file": lambda folder: (folder / "lock").unlink(),
    "a lock file of garbage": lambda folder: (folder / "lock").write_bytes(os.urandom(64)),
    "an empty lock file": lambda folder: (folder / "lock").write_bytes(b""),
}


@pytest.mark.parametrize("name", SPOILT)
async def test_what_can_be_made_again_costs_nothing(sound: Sound, name: str) -> None:
    SPOILT[name](sound.cut)
    assert await opened(sound.cut, sound.key) == dict.fromkeys(ACCOUNTS, "whole")


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal"])
async def test_a_file_of_length_zero_is_no_new_vault(sound: Sound, name: str) -> None:
    (sound.cut / name).write_bytes(b"")
    told = await opened(sound.cut, sound.key)
    assert isinstance(told, StoreError)
    assert "journal.db" in told.cause


def _append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


async def test_a_table_that_is_not_as_it_was_made_is_damage(sound: Sound) -> None:
    with contextlib.closing(sqlite3.connect(sound.stopped / "journal.db")) as db, db:
        db.execute("ALTER TABLE pace RENAME TO face")
    told = await opened(sound.stopped, sound.key)
    assert isinstance(told, StoreError)
    assert "the table pace is not as it should be" in told.cause


@pytest.mark.parametrize("change", ["high_water = 'soon'", "commits = x'00'"])
async def test_counters_that_are_none_are_damage(sound: Sound, change: str) -> None:
    with contextlib.closing(sqlite3.connect(sound.stopped / "journal.db")) as db, db:
        db.execute(f"UPDATE tide SET {change}")
    told = await opened(sound.stopped, sound.key)
    assert isinstance(told, StoreError)
    assert "count of commits" in told.cause
