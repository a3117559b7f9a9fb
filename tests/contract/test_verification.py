"""An examination finds whatever is not whole, names whose it is, and changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from freshd.core.model import Change
from freshd.core.outcome import Reply
from freshd.errors import NotPossible
from freshd.vault import KeyFile, anchor, statedir
from tests.contract.copy_bed import held_by, verdict_at_rest, verdict_of
from tests.contract.drawer import Drawer
from tests.contract.vault_bed import CANARIES, REPLY, Bed, enrolled, exchange, grant, intent_on, lease, row


@pytest.fixture(params=["sealed", "keyring"])
async def bed(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bed]:
    custodian = KeyFile(tmp_path / "key") if request.param == "sealed" else Drawer()
    bed = Bed(tmp_path / "state", request.param, custodian, anchor=tmp_path / "anchor")
    yield bed
    await bed.aclose()


@pytest.fixture
async def sealed(tmp_path: Path) -> AsyncIterator[Bed]:
    bed = Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"), anchor=tmp_path / "anchor")
    yield bed
    await bed.aclose()


async def full(bed: Bed) -> None:
    """Two records, an attempt with its answer, and something in quarantine of each kind."""
    vault = await bed.open()
    for name in ("a", "b"):
        await enrolled(bed, vault, name)
    for flight in ("first", "second"):
        intent = await intent_on(vault, "b", flight)
        await vault.intend(intent, {"b/refresh": row()})
        await vault.escrow(intent, Reply(500, (), b"canary-reply") if flight == "first" else REPLY)
    withheld = Change("a", grant("canary-stranger", "line-9"), withheld="another subject")
    await exchange(vault, "a", withheld)
    await vault.aclose()


async def test_a_whole_vault_is_whole_and_nothing_is_changed(bed: Bed) -> None:
    await full(bed)
    before = held_by(bed.folder.parent)
    verdict = await verdict_at_rest(bed)
    assert verdict.faults == []
    assert held_by(bed.folder.parent) == before
    in_keyring = 2 if bed.placement == "keyring" else 0
    assert (verdict.records, verdict.entries, verdict.values) == (2, in_keyring, 6 - in_keyring + 2 + 3)
    vault = await bed.open()
    assert (await verdict_of(vault)).faults == []


DAMAGE: list[tuple[str, str, str | None]] = [
    ("UPDATE records SET about = substr(about, 1, 40) || x'00' WHERE account = 'b'", "record", "b"),
    ("UPDATE records SET lease_blob = x'0102' WHERE account = 'b'", "record", "b"),
    ("UPDATE records SET grant_blob = (SELECT grant_blob FROM records WHERE account = 'a') WHERE account = 'b'",
     "record", "b"),
    ("UPDATE records SET grant_digest = 'ab' WHERE account = 'a'", "record", "a"),
    ("UPDATE records SET about = 'text' WHERE account = 'a'", "record", "a"),
    ("UPDATE intents SET escrow = x'01' WHERE account = 'b'", "attempt", "b"),
    ("UPDATE intents SET flight = 'another' WHERE account = 'b'", "attempt", "b"),
    ("UPDATE quarantine SET content = '{}' WHERE account = 'a'", "quarantine", "a"),
    ("""UPDATE quarantine SET content = '{"intent":{"base64":"AQID"},"intent_flight":"x"}' WHERE account = 'b'""",
     "quarantine", "b"),
    ("UPDATE history SET line = '{' WHERE account = 'a'", "history", "a"),
    ("UPDATE pace SET line = '{' WHERE name = 'b/refresh'", "pace", None),
    ("UPDATE meta SET value = 'ff' WHERE name = 'check'", "journal", None),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "place", "account"), DAMAGE)
async def test_each_damage_is_found_named_and_hides_no_other(
    sealed: Bed, damage: str, place: str, account: str | None
) -> None:
    await full(sealed)
    vault = await sealed.open()
    db = sqlite3.connect(sealed.folder / "journal.db")
    assert db.execute(damage).rowcount
    db.commit()
    db.close()
    faults = (await verdict_of(vault)).faults
    assert [(fault.place, fault.account) for fault in faults] == [(place, account)]
    assert faults[0].remedy
    assert not any(canary in repr(faults).encode() for canary in CANARIES)


async def test_a_page_that_has_rotted_is_found(sealed: Bed) -> None:
    await full(sealed)
    path = sealed.folder / "journal.db"
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 2 + 64] = b"\xff" * 64
    path.write_bytes(content)
    faults = (await verdict_at_rest(sealed)).faults
    assert any(fault.place == "journal" and "restore FILE --replace" in fault.remedy for fault in faults)


async def test_an_entry_of_the_keyring_that_is_gone_or_old_is_found(tmp_path: Path) -> None:
    drawer = Drawer()
    bed = Bed(tmp_path / "state", "keyring", drawer)
    await full(bed)
    entry = next(name for name in drawer.entries if name[1] == "b")
    drawer.entries[entry] = drawer.entries[entry][:-8] + "AAAAAAA="
    [fault] = (await verdict_at_rest(bed)).faults
    assert (fault.place, fault.account) == ("keyring", "b")
    drawer.locked = True
    vault = bed.vault()
    drawer.locked = False
    await vault.open()
    drawer.locked = True
    faults = (await verdict_of(vault)).faults
    assert {fault.place for fault in faults} == {"keyring", "key", "anchor"}
    assert all("unlock" in fault.remedy or "open it" in fault.remedy for fault in faults)
    drawer.locked = False
    await bed.aclose()


TAMPER: list[tuple[str, Callable[[Bed], object], str]] = [
    ("state", lambda bed: bed.folder.chmod(0o755), "chmod 700"),
    ("state", lambda bed: (bed.folder / "journal.db").chmod(0o644), "chmod 600"),
    ("ballast", lambda bed: (bed.folder / "ballast").unlink(), "df -h"),
    ("ballast", lambda bed: (bed.folder / "ballast").write_bytes(b"small"), "rm "),
    ("key", lambda bed: (bed.folder.parent / "key").unlink(), "rotate-key"),
    ("anchor", lambda bed: (bed.folder.parent / "anchor").write_text("rot"), "confirm"),
]


@pytest.mark.parametrize(("place", "tamper", "remedy"), TAMPER)
async def test_what_the_journal_rests_on_is_looked_at(
    sealed: Bed, place: str, tamper: Callable[[Bed], object], remedy: str
) -> None:
    await full(sealed)
    vault = await sealed.open()
    tamper(sealed)
    faults = (await verdict_of(vault)).faults
    assert {fault.place for fault in faults} == {place}
    assert remedy in faults[0].remedy


async def test_a_network_file_system_is_found(sealed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await full(sealed)
    (tmp_path / "mounts").write_text("1 1 0:1 / / rw - nfs4 server:/ rw\n")
    monkeypatch.setattr(statedir, "MOUNTS", tmp_path / "mounts")
    [fault] = (await verdict_at_rest(sealed)).faults
    assert "nfs4" in fault.what


async def test_another_machine_is_found_where_nobody_started_yet(
    sealed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "machine-id").write_text("11" * 16)
    monkeypatch.setattr(anchor, "MACHINE_ID", tmp_path / "machine-id")
    await full(sealed)
    (tmp_path / "machine-id").write_text("22" * 16)
    [fault] = (await verdict_at_rest(sealed)).faults
    assert (fault.place, fault.what) == ("anchor", "it was written on another machine")


async def test_where_there_is_no_vault_that_is_said(sealed: Bed) -> None:
    with pytest.raises(NotPossible, match="no journal"):
        await verdict_at_rest(sealed)
    assert not sealed.folder.exists()


async def test_a_log_that_a_kill_has_left_is_read_and_left(sealed: Bed) -> None:
    await full(sealed)
    vault = await sealed.open()
    await exchange(vault, "c", Change("c", grant("in-the-log"), lease("c")))
    kept = {name: (sealed.folder / name).read_bytes() for name in ("journal.db", "journal.db-wal")}
    commits = vault._writer.commits
    await vault.aclose()
    for name, held in kept.items():
        (sealed.folder / name).write_bytes(held)
        (sealed.folder / name).chmod(0o600)
    (sealed.folder / "lock").write_text(f"{1:>10}\n{commits:>20}\n")
    before = held_by(sealed.folder)
    verdict = await verdict_at_rest(sealed)
    assert (verdict.records, verdict.faults) == (3, [])
    assert held_by(sealed.folder) == before
    (sealed.folder / "journal.db-wal").unlink()
    assert any("had come to" in fault.what for fault in (await verdict_at_rest(sealed)).faults)
