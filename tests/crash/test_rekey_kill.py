"""SIGKILL of the real daemon at each step of a rotation and of both moves: the next start has everything, and goes on.

The vault holds grants, an open call, an answer in escrow, quarantine and a record that does not open; one account is
renewed before and after.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from freshd.custody import recall
from freshd.ports import Custodian
from freshd.vault import JournalVault, KeyFile, Placement, Setup, names
from freshd.vault.keyring import OsKeyring
from freshd.vault.names import Names
from tests.contract.rekey_bed import World, check, fill, spoil
from tests.contract.vault_bed import NOON
from tests.crash.scene import Gone, Process
from tests.crash.services import Sandbox
from tests.flow.bed import Bed, account, enrol, lease_of, until
from tests.host.keyring_bed import KeyringBed

EVERY = "FRESHD_EVERY_STEP" in os.environ
"""Set it to kill at every step; else at those between which most happens."""
ROTATION = ("key-chosen", "key-written", "key-named", "key-pass", "key-turned", "key-promoted", "key-settled")
HOME = ("home-called", "grant-home", "home-done", "key-written", "key-named", "key-turned")
OUT = ("key-written", "key-turned", "key-promoted", "sent-out")
SOME = {"key-pass", "grant-home", "sent-out"}
IN_KEYRING = ('placement = "keyring"', 'custodian = "keyring"')


def chosen(marks: Sequence[str]) -> list[str]:
    """The marks to be killed at in this run."""
    return [mark for mark in marks if EVERY or mark in SOME]


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    with Sandbox() as service:
        yield service


class Yard(Bed):
    """A bed whose vault was filled beforehand."""

    def fill(self) -> None:
        """What `rekey_bed.fill` knows, under a key file; the record of `z` does not open."""
        world = World(self.folder)
        world.folder.mkdir(exist_ok=True)
        asyncio.run(self._fill(world))
        spoil(world)

    async def _fill(self, world: World) -> None:
        vault = await world.open("sealed", KeyFile(self.key))
        await fill(world, vault)
        await vault.aclose()

    def victim(self, mark: str) -> Process:
        """A daemon that dies at the first passage of that mark."""
        words = ["--stamps", str(self.folder / "stamps"), "--die-at", mark]
        command = [sys.executable, "-m", "tests.crash.victim", str(self.config), *words]
        return self.start(command).wait_ready()

    def names(self) -> Names:
        """What the journal says of its keys."""
        with contextlib.closing(sqlite3.connect(self.state / "journal.db")) as db:
            return names.read(db)

    def looked_at(self, placement: Placement, custodian: Custodian) -> None:
        """Everything that was put in is there, beside no daemon."""
        asyncio.run(self._look(placement, custodian))

    async def _look(self, placement: Placement, custodian: Custodian) -> None:
        vault = JournalVault(Setup(self.state, placement, custodian, lambda: NOON, recall=recall))
        await vault.open()
        try:
            await check(vault)
        finally:
            await vault.aclose()


def die(process: Process, verb: str) -> None:
    """Ask for a verb; the process dies of it."""
    with pytest.raises(Gone):
        process.ask("POST", f"/v1/vault/{verb}", {})
    assert process.wait(20)


def goes_on(bed: Yard, service: Sandbox) -> Process:
    """The daemon is back and serves, renews, and ends what was begun."""
    process = bed.up()
    assert lease_of(process, "mail")
    process.operate("refresh", "mail")
    until("what was begun is done", lambda: not bed.names().is_open)
    process.operate("refresh", "mail")
    assert service.ask("GET", "/counters")["total"]["spent_uses"] == 0
    return process


@pytest.mark.timeout(120)
@pytest.mark.parametrize("mark", chosen(ROTATION))
def test_killed_at_a_step_of_a_rotation(tmp_path: Path, service: Sandbox, mark: str) -> None:
    with Yard(tmp_path) as bed:
        bed.fill()
        bed.write(*account("mail", service))
        process = bed.victim(mark)
        enrol(process, service, "mail")
        die(process, "rotate-key")
        goes_on(bed, service).stop()
        stands = bed.names()
        assert (len(stands.kept), stands.custodian) == (1, f"key-file {bed.key}")
        assert len(list(tmp_path.glob("key*"))) == 2  # the key, and the one that the broken record names
        bed.looked_at("sealed", KeyFile(bed.key))


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyringBed]:
    with KeyringBed() as bed:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bed.env["DBUS_SESSION_BUS_ADDRESS"])
        yield bed


def moves(bed: Yard, lines: Sequence[str], service: Sandbox) -> None:
    """The configuration says something else from now on."""
    bed.write(*account("mail", service), head=bed.head(lines))


@pytest.mark.part("keyring")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("mark", chosen(OUT))
def test_killed_at_a_step_on_the_way_into_the_keyring(
    tmp_path: Path, service: Sandbox, keyring: KeyringBed, mark: str
) -> None:
    with Yard(tmp_path, keyring.env) as bed:
        bed.fill()
        bed.write(*account("mail", service))
        process = bed.victim(mark)
        enrol(process, service, "mail")
        moves(bed, IN_KEYRING, service)
        die(process, "move")
        process = goes_on(bed, service)
        until("grants rest in the keyring", lambda: bed.names().shelf == "keyring secret-service" and not held(bed))
        process.stop()
        bed.looked_at("keyring", OsKeyring("secret-service"))


@pytest.mark.part("keyring")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("mark", chosen(HOME))
def test_killed_at_a_step_on_the_way_home(tmp_path: Path, service: Sandbox, keyring: KeyringBed, mark: str) -> None:
    with Yard(tmp_path, keyring.env) as bed:
        bed.fill()
        moves(bed, IN_KEYRING, service)
        first = bed.up()
        until("grants rest in the keyring", lambda: bed.names().shelf == "keyring secret-service" and not held(bed))
        first.stop()
        process = bed.victim(mark)
        enrol(process, service, "mail")
        sealed = ('placement = "sealed"', 'custodian = "key-file"', f'key_file = "{tmp_path / "another"}"')
        moves(bed, sealed, service)
        die(process, "move")
        process = goes_on(bed, service)
        until("the key is handed over", lambda: bed.names().custodian == f"key-file {tmp_path / 'another'}")
        until("nothing is under way", lambda: bed.events("vault.moved"))
        process.stop()
        bed.looked_at("sealed", KeyFile(tmp_path / "another"))


def held(bed: Yard) -> set[str]:
    """Accounts that open and whose grant the journal holds."""
    with contextlib.closing(sqlite3.connect(bed.state / "journal.db")) as db:
        found = db.execute("SELECT account FROM records WHERE grant_blob IS NOT NULL AND account <> 'z'").fetchall()
    return {one for (one,) in found}
