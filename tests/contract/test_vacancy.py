"""A vault that holds nothing gives way to a backup of another one; one that holds anything at all does not."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from freshd.core.model import Change
from freshd.errors import AlreadyRunning, FreshdError, StoreError, VaultForeign
from freshd.ports import Custodian
from freshd.vault import KeyFile, SystemdCredential, anchor, schema
from freshd.vault.founding import founded
from freshd.vault.glance import glance
from tests.contract.copy_bed import copied, held_by, restore, verdict_of
from tests.contract.drawer import Drawer
from tests.contract.vault_bed import Bed, enrolled, exchange, grant, intent_on, lease, row

NAME = "freshd-vault-key"
CUSTODIANS = ("key-file", "credential", "keyring")


def keeper(kind: str, folder: Path) -> Custodian:
    """A custodian that is ready to keep a key: the credential is there, as a unit's first start has made it."""
    folder.mkdir(parents=True)
    if kind == "keyring":
        return Drawer()
    if kind == "key-file":
        return KeyFile(folder / "key")
    (folder / NAME).write_bytes(b"c" * 32)
    return SystemdCredential(NAME, {"CREDENTIALS_DIRECTORY": str(folder)})


def bed_with(kind: str, folder: Path) -> Bed:
    custodian = keeper(kind, folder)
    return Bed(folder / "state", "keyring" if kind == "keyring" else "sealed", custodian, anchor=folder / "anchor")


@pytest.fixture
async def content(tmp_path: Path) -> bytes:
    """A backup of a vault of the machine that is gone."""
    bed = bed_with("key-file", tmp_path / "gone")
    vault = await bed.open()
    await enrolled(bed, vault, "a")
    made = await copied(vault)
    await bed.aclose()
    return made


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> Path:
    """Another machine from here on, and a folder on it."""
    (tmp_path / "machine-id").write_text("22" * 16)
    monkeypatch.setattr(anchor, "MACHINE_ID", tmp_path / "machine-id")
    assert content
    return tmp_path / "here"


def vault_in(bed: Bed) -> str:
    seen = glance(bed.folder)
    assert seen is not None
    return seen.vault


# -- gives way ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["first start", "init", "start without its key"])
@pytest.mark.parametrize("kind", CUSTODIANS)
async def test_an_empty_vault_gives_way_and_is_set_aside(machine: Path, content: bytes, kind: str, by: str) -> None:
    bed = bed_with(kind, machine)
    if by == "init":
        await founded(bed.vault()._opening.setup)
    elif by == "first start":
        await (await bed.open()).aclose()
    else:
        opening = bed.vault()._opening
        await opening.begin()
        await opening.end(None)
    empty, journal = vault_in(bed), (bed.folder / "journal.db").read_bytes()
    done = await restore(bed, content)
    assert done.empty == empty
    assert done.aside is not None
    assert done.aside.name.startswith("journal.db.replaced-20")
    assert done.aside.read_bytes() == journal
    vault = bed.vault()
    standings = await vault.open()
    assert standings["a"].held_back
    assert "restored from a backup of 20" in (vault.rolled_back or "")
    assert (await vault.read("a")).grant == grant("canary-refresh-1")
    assert (await verdict_of(vault)).faults == []
    await vault.accept({"a"})
    await vault.aclose()
    vault = bed.vault()
    assert not (await vault.open())["a"].held_back
    assert vault.rolled_back is None
    await bed.aclose()


@pytest.mark.parametrize("kind", CUSTODIANS)
async def test_the_key_of_the_empty_vault_stays_so_that_it_can_be_put_back(
    machine: Path, content: bytes, kind: str
) -> None:
    bed = bed_with(kind, machine)
    await founded(bed.vault()._opening.setup)
    empty = vault_in(bed)
    done = await restore(bed, content)
    assert done.made_key is (kind == "keyring")  # there each vault has an entry of its own, elsewhere all have one key
    assert done.aside is not None
    for name in ("journal.db", "anchor", "lock"):
        (bed.folder / name).unlink(missing_ok=True)
    done.aside.rename(bed.folder / "journal.db")
    await (await bed.open()).aclose()
    assert vault_in(bed) == empty


async def test_an_empty_vault_of_an_older_version_or_beside_a_strange_anchor_gives_way(
    machine: Path, content: bytes
) -> None:
    bed = bed_with("key-file", machine)
    (machine / "anchor").write_text('{"vault": "another", "commits": 9, "machine": ""}')
    await (await bed.open()).aclose()
    with sqlite3.connect(bed.folder / "journal.db") as db:
        assert db.execute("SELECT 1 FROM meta WHERE name = 'held-back-by'").fetchone()
        db.execute("DROP TABLE known")
        db.execute("PRAGMA user_version = 1")
    db.close()
    assert (await restore(bed, content)).empty is not None


async def test_what_a_kill_has_left_in_the_log_of_an_empty_vault_is_set_aside_with_it(
    machine: Path, content: bytes
) -> None:
    bed = bed_with("key-file", machine)
    vault = await bed.open()
    kept = {name: (bed.folder / name).read_bytes() for name in ("journal.db", "journal.db-wal", "lock")}
    empty = vault_in(bed)
    await vault.aclose()
    for name, held in kept.items():
        (bed.folder / name).write_bytes(held)
        (bed.folder / name).chmod(0o600)
    done = await restore(bed, content)
    assert done.aside is not None
    assert done.empty == empty
    with sqlite3.connect(done.aside) as db:
        assert db.execute("SELECT value FROM meta WHERE name = 'vault'").fetchone() == (empty,)
    db.close()
    await (await bed.open()).aclose()
    assert vault_in(bed) != empty


# -- does not ----------------------------------------------------------------------------------------------------------


async def refused(bed: Bed, content: bytes, *, replace: bool = False) -> FreshdError:
    before = held_by(bed.folder.parent)
    with pytest.raises(FreshdError) as caught:
        await restore(bed, content, replace=replace)
    assert held_by(bed.folder.parent) == before
    assert caught.value.remedy
    return caught.value


@dataclass(frozen=True)
class Row:
    """A row that somebody's data leaves."""

    name: str
    statement: str


ROWS = [
    Row("a record", "INSERT INTO records VALUES ('a', 'r', 1, x'00', 0, NULL, NULL, 0, NULL)"),
    Row("an attempt", "INSERT INTO intents VALUES ('a', 'f', x'00', NULL)"),
    Row("an attempt that ended", "INSERT INTO ended VALUES ('a', 'f')"),
    Row("a pace", "INSERT INTO pace VALUES ('a/refresh', '{}')"),
    Row("history", "INSERT INTO history VALUES ('a', 1, '{}')"),
    Row("quarantine", "INSERT INTO quarantine VALUES (1, 'a', 'why', 0.0, '{}')"),
    Row("entries to be erased", "INSERT INTO erasing VALUES ('a', 'r')"),
    Row("a fingerprint", "INSERT INTO known VALUES ('a', 'f', 1, 1)"),
    Row("a pause", "INSERT INTO meta VALUES ('paused:a', 'yes')"),
    Row("a hold", "INSERT INTO meta VALUES ('held:a', '')"),
    Row("a row of a kind unknown here", "INSERT INTO meta VALUES ('of-a-later-freshd', 'x')"),
    Row("a table unknown here", 'CREATE TABLE "of ""theirs" (one); INSERT INTO "of ""theirs" VALUES (1)'),
    Row("a table that is gone", "DROP TABLE quarantine"),
]


@pytest.mark.parametrize("kind", ROWS, ids=lambda one: one.name)
async def test_anything_that_is_somebodys_keeps_the_refusal(machine: Path, content: bytes, kind: Row) -> None:
    bed = bed_with("key-file", machine)
    await founded(bed.vault()._opening.setup)
    db = sqlite3.connect(bed.folder / "journal.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = DELETE")
    db.executescript(kind.statement)
    db.close()
    for replace in (False, True):
        error = await refused(bed, content, replace=replace)
        assert isinstance(error, VaultForeign)
        assert "backup of another vault" in error.cause


async def test_the_tables_looked_at_are_all_there_are(tmp_path: Path) -> None:
    """Each table of the schema has its row above: a new one needs one."""
    schema.make_file(tmp_path / "journal.db")
    schema.prepare(tmp_path / "journal.db")
    with sqlite3.connect(tmp_path / "journal.db") as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    db.close()
    filled = {one.statement.split()[2] for one in ROWS if one.statement.startswith("INSERT")}
    assert filled | {"tide"} == tables


@pytest.mark.parametrize("kind", ["enrolled", "enrolled in a keyring", "an open attempt", "paused"])
async def test_a_vault_that_was_used_is_left_alone(machine: Path, content: bytes, kind: str) -> None:
    bed = bed_with("keyring" if "keyring" in kind else "key-file", machine)
    vault = await bed.open()
    if kind.startswith("enrolled"):
        await enrolled(bed, vault, "theirs")
    elif kind == "paused":
        await vault.pause("theirs", paused=True)
    else:
        await vault.intend(await intent_on(vault, "theirs", "open"), {"theirs/refresh": row()})
    await vault.aclose()
    assert isinstance(await refused(bed, content), VaultForeign)
    assert isinstance(await refused(bed, content, replace=True), VaultForeign)


async def test_what_stands_in_the_log_alone_counts(machine: Path, content: bytes) -> None:
    bed = bed_with("key-file", machine)
    vault = await bed.open()
    await exchange(vault, "theirs", Change("theirs", grant("in-the-log"), lease("theirs")))
    kept = {name: (bed.folder / name).read_bytes() for name in ("journal.db", "journal.db-wal", "lock")}
    await vault.aclose()
    for name, held in kept.items():
        (bed.folder / name).write_bytes(held)
        (bed.folder / name).chmod(0o600)
    assert isinstance(await refused(bed, content), VaultForeign)
    (bed.folder / "journal.db-wal").unlink()  # now nobody can tell what the last commits held
    assert isinstance(await refused(bed, content, replace=True), FreshdError)


async def test_an_empty_vault_whose_last_commits_are_missing_is_left_alone(machine: Path, content: bytes) -> None:
    bed = bed_with("key-file", machine)
    await founded(bed.vault()._opening.setup)
    (bed.folder / "lock").write_text(f"{1:>10}\n{10**6:>20}\n")
    assert isinstance(await refused(bed, content), VaultForeign)


async def test_a_damaged_journal_is_not_taken_for_an_empty_one(machine: Path, content: bytes) -> None:
    bed = bed_with("key-file", machine)
    await founded(bed.vault()._opening.setup)
    path = bed.folder / "journal.db"
    db = sqlite3.connect(path)
    ((root,),) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'records'")
    ((page,),) = db.execute("PRAGMA page_size")
    db.close()
    whole = bytearray(path.read_bytes())
    whole[(root - 1) * page : root * page] = bytes(page)
    path.write_bytes(whole)
    assert isinstance(await refused(bed, content), VaultForeign)
    path.write_bytes(b"rot" * 5000)
    assert isinstance(await refused(bed, content), StoreError)


async def test_an_empty_vault_of_a_running_daemon_is_left_alone(machine: Path, content: bytes) -> None:
    bed = bed_with("key-file", machine)
    vault = await bed.open()
    with pytest.raises(AlreadyRunning):
        await restore(bed, content)
    await vault.aclose()


async def test_where_no_key_can_be_had_the_empty_vault_stays(machine: Path, content: bytes) -> None:
    bed = bed_with("credential", machine)
    await founded(bed.vault()._opening.setup)
    (machine / NAME).unlink()
    assert "systemd-creds encrypt" in (await refused(bed, content)).remedy
