"""What is wrong with the state directory, the key or the keyring: named with its remedy, and left as it is."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.services import Sandbox
from tests.flow.bed import Bed, Line, account, digest, enrol, lease_of, until
from tests.host.keyring_bed import KeyringBed

# -- the state directory and the key ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, service: Sandbox) -> Path:
    """A folder with a vault in which one account has a grant and a lease for an hour."""
    with Bed(tmp_path_factory.mktemp("sound")) as bed:
        bed.write(*account("mail", service))
        daemon = bed.up()
        enrol(daemon, service, "mail")
        (bed.folder / "lease").write_text(lease_of(daemon, "mail"))
        assert daemon.stop() == 0
        bed.key.rename(bed.folder / "the key")  # the journal remembers where it was
        return bed.folder


@pytest.fixture
def vault(sound: Path, bed: Bed, service: Sandbox) -> Bed:
    """A copy of that vault, where a daemon may be started."""
    shutil.copytree(sound / "state", bed.state)
    shutil.copy(sound / "the key", bed.key)
    shutil.copy(sound / "lease", bed.folder)
    bed.write(*account("mail", service))
    return bed


def change_journal(bed: Bed, *statements: str) -> None:
    connection = sqlite3.connect(bed.state / "journal.db", isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def make_foreign(bed: Bed, *statements: str) -> None:
    journal = bed.state / "journal.db"
    journal.unlink()
    change_journal(bed, "CREATE TABLE letters (text)", *statements)
    journal.chmod(0o600)


def damage(bed: Bed) -> None:
    journal = bed.state / "journal.db"
    content = journal.read_bytes()
    journal.write_bytes(content[: len(content) // 2])


SPOILS: dict[str, tuple[Callable[[Bed], object], int, str, str]] = {
    "open to others": (lambda bed: bed.state.chmod(0o777), 74, "others may write to the state", "chmod 700 {state}"),
    "a letter": (
        lambda bed: (bed.state / "journal.db").write_text("Dear Sir,\n" * 99), 74, "it does not begin like one", "mv "
    ),
    "another program's": (make_foreign, 76, "the database of another program", "a state directory of its own"),
    "another program's, marked": (
        lambda bed: make_foreign(bed, "PRAGMA application_id = 7"), 76, "the database of another program", "of its own"
    ),
    "newer": (
        lambda bed: change_journal(bed, "PRAGMA user_version = 99"),
        76, "has version 99; this freshd knows versions up to", "start the newer freshd that wrote it",
    ),
    "damaged": (damage, 74, "journal.db is damaged (", "keep it: mv"),
    "readable": (lambda bed: (bed.state / "journal.db").chmod(0o644), 74, "open to other users", "chmod 600 {state}"),
    "a wrong key": (lambda bed: bed.key.write_text("11" * 32), 76, "is not the one of vault", "bring back the right"),
    "half a key": (
        lambda bed: bed.key.write_text(bed.key.read_text()[:30]), 76, "is no key: 32 bytes", "bring back the right key"
    ),
    "no key in the file": (lambda bed: bed.key.write_text(""), 76, "is no key: 32 bytes", "bring back the right key"),
    "a key for all": (
        lambda bed: bed.key.chmod(0o644), 78, "freshd.toml:7: vault.key_file: other users may use", "chmod 600"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILS)
def test_what_is_wrong_with_the_vault_is_told_and_left_as_it_is(vault: Bed, name: str) -> None:
    spoil, code, cause, remedy = SPOILS[name]
    spoil(vault)
    before = digest(vault.folder)
    said = vault.run("run")
    assert said.code == code
    assert cause in said.err
    assert remedy.format(state=vault.state) in said.err
    events = [json.loads(line) for line in said.err.splitlines() if line.startswith("{")]
    told = [event for event in events if event["event"] == "vault.unusable"]
    assert len(told) == (code != 78)  # what ails the configuration is known before there is a log
    assert all(cause in event["cause"] and remedy.format(state=vault.state) in event["remedy"] for event in told)
    assert digest(vault.folder) == before
    assert not vault.socket.exists()


def test_a_state_directory_that_cannot_be_written_is_told(vault: Bed) -> None:
    def kept() -> dict[str, str]:
        return {name: told for name, told in digest(vault.state).items() if not name.startswith("journal.db-")}

    before = kept()
    said = vault.run("run", starved=True)
    assert said.code == 74
    assert f"{vault.state}/journal.db cannot be opened (SQLITE_IOERR" in said.err
    assert f"make room there, and let freshd's user write; look at: df -h {vault.state}" in said.err
    assert kept() == before


def test_once_the_right_key_is_back_the_lease_is_served_as_before(vault: Bed) -> None:
    key = vault.key.read_text()
    vault.key.write_text("22" * 32)
    assert vault.run("run").code == 76
    vault.key.write_text(key)
    assert lease_of(vault.up(), "mail") == (vault.folder / "lease").read_text()


def test_without_its_key_file_it_is_locked_and_goes_on_once_it_is_back(vault: Bed) -> None:
    key = vault.key.read_text()
    vault.key.unlink()
    daemon = vault.up()
    [locked] = vault.events("vault.locked")
    assert f"key-file {vault.key} does not hold the sealing key" in locked["cause"]
    assert "bring back the key" in locked["remedy"]
    assert not vault.key.exists()
    assert_told_locked(vault)
    vault.key.touch(0o600)
    vault.key.write_text(key)
    until("vault.unlocked", lambda: vault.events("vault.unlocked"))
    assert lease_of(daemon, "mail") == (vault.folder / "lease").read_text()


# -- the keyring -----------------------------------------------------------------------------------------------------


def test_without_a_session_bus_it_is_locked_and_says_what_to_do(bed: Bed, service: Sandbox) -> None:
    bed.write(*account("mail", service), head=bed.head(['placement = "keyring"']))
    daemon = bed.up()
    [locked] = bed.events("vault.locked")
    assert_nobody_there(locked)
    assert_told_locked(bed)
    assert daemon.stop() == 0


@pytest.mark.part("keyring")
def test_once_there_is_a_session_bus_it_goes_on_by_itself(tmp_path: Path, service: Sandbox) -> None:
    keyring = KeyringBed()
    address = f"unix:path={keyring.env['XDG_RUNTIME_DIR']}/bus"
    try:
        with Bed(tmp_path, {**keyring.env, "DBUS_SESSION_BUS_ADDRESS": address}) as bed:
            bed.write(*account("mail", service), head=bed.head(['placement = "keyring"']))
            daemon = bed.up()
            assert_nobody_there(bed.events("vault.locked")[0])
            keyring.start()
            until("vault.unlocked", lambda: bed.events("vault.unlocked"))
            enrol(daemon, service, "mail")
            assert bed.token("mail").code == 0
            until("the grant at rest", lambda: daemon.view("mail")["settled"])
    finally:
        keyring.stop()


def assert_nobody_there(locked: Line) -> None:
    assert "keyring secret-service is not there: no session bus, or nobody on it who keeps secrets" in locked["cause"]
    assert "start a keyring daemon" in locked["remedy"]
    assert 'placement = "sealed"' in locked["remedy"]


def assert_told_locked(bed: Bed) -> None:
    """Every way to look at it says that the vault is locked, and how to go on."""
    status, token, doctor = bed.run("status"), bed.token("mail", "--wait", "0"), bed.run("doctor")
    assert (status.code, "phase=locked" in status.out, "LOCKED" in status.err) == (0, True, True)
    assert (token.code, token.out) == (75, "")
    assert "remedy: Unlock the keyring or provide the credential; the daemon goes on by itself." in token.err
    assert doctor.code == 2
    assert "BAD   custody: " in doctor.out
