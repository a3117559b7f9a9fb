"""Faults of the disk and of files under a real daemon that renews: each has an alert, a remedy and an end."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.crash.scene import Process, Told
from tests.crash.services import Sandbox
from tests.flow.bed import Bed, account, lease_of, until
from tests.flow.fault_plot import FAULTS, lived
from tests.flow.fault_stage import Row
from tests.host.keyring_bed import KeyringBed

QUIET: Final = frozenset(
    {
        "disk full between intent and escrow",
        "each fdatasync takes 0.5 s",
        "lock file deleted",
        "ballast deleted",
    }
)
"""Faults that freshd overcomes without anybody's help or notice."""
IN_FLIGHT: Final = ("escrow", "commit", "under way", "ballast gone")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Row]:
    return lived(tmp_path_factory.mktemp("faults"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system, and attach to the daemon")
@pytest.mark.part("strace")
@pytest.mark.timeout(300)
class TestRows:
    def test_nothing_is_lost_and_nothing_spent_is_presented(self, rows: Mapping[str, Row]) -> None:
        assert {row.name: (row.lost, row.spent) for row in rows.values()} == dict.fromkeys(FAULTS, (0, 0))

    def test_I9_the_lease_is_served_while_the_fault_lasts(self, rows: Mapping[str, Row]) -> None:
        assert [row.name for row in rows.values() if not row.served] == []

    def test_I2_nothing_is_asked_for_while_its_answer_could_not_be_kept(self, rows: Mapping[str, Row]) -> None:
        assert [row.name for row in rows.values() if row.asked] == []

    @pytest.mark.parametrize("name", FAULTS)
    def test_an_alert_says_what_is_wrong_and_where_and_ends(self, rows: Mapping[str, Row], name: str) -> None:
        row = rows[name]
        if name in QUIET:
            assert row.alerts == ()
            return
        assert row.alerts == (("save.failed",) if name.endswith(IN_FLIGHT) else ("refresh.unable",))
        assert "/stage/disk/state" in row.cause
        assert row.remedy
        assert row.cleared


# -- what a kill has left, damaged ---------------------------------------------------------------------------------


@pytest.fixture
def killed(tmp_path: Path, service: Sandbox, request: pytest.FixtureRequest) -> Iterator[Bed]:
    """A daemon with two accounts that was killed; its log holds nearly everything."""
    with Bed(tmp_path) as bed:
        bed.write(*account("mail", service), *account("post", service))
        daemon = bed.up()
        for name in ("mail", "post"):
            daemon.operate("import", name, secrets={"refresh_token": service.mint(f"{request.node.name}-{name}")})
            until(f"the lease of {name}", partial(has_lease, daemon, name))
        daemon.kill()
        yield bed


def has_lease(daemon: Process, name: str) -> bool:
    return daemon.view(name)["usable_until"] is not None


def rot(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["rotten", "gone"])
def test_I5_a_log_that_lacks_what_was_committed_is_refused_and_the_right_one_heals(killed: Bed, how: str) -> None:
    log, kept = killed.state / "journal.db-wal", killed.folder / "kept"
    shutil.copy(log, kept)
    rot(log) if how == "rotten" else log.unlink()
    said = killed.run("run")
    assert said.code == os.EX_IOERR
    assert "journal.db-wal" in said.err
    assert "sound copy" in said.err
    if how == "rotten":
        shutil.copy(kept, log)  # the remedy: a sound copy
        assert lease_of(killed.up(), "post")
    else:
        (killed.state / "lock").unlink()  # the remedy of last resort
        killed.up()
        assert not killed.events("vault.unusable")


def test_I7_one_rotten_record_parks_its_account_and_no_other(killed: Bed) -> None:
    with contextlib.closing(sqlite3.connect(killed.state / "journal.db")) as db, db:
        db.execute("UPDATE records SET about = zeroblob(90) WHERE account = 'mail'")
    daemon = killed.up()
    until("the other one goes on", lambda: daemon.view("post")["phase"] == "live")
    assert lease_of(daemon, "post")
    parked = until("account.parked", lambda: killed.events("account.parked", "mail"))[0]
    assert "freshd enrol mail" in parked["remedy"]
    daemon.operate("refresh", "post")


# -- the keyring and the journal grow apart ------------------------------------------------------------------------


class Apart:
    """A daemon whose grants rest in gnome-keyring, and copies of both sides from an earlier day."""

    def __init__(self, bed: Bed, keyring: KeyringBed, service: Sandbox, label: str) -> None:
        self.bed, self.keyring, self.service, self.label = bed, keyring, service, label
        self.old = bed.folder / "old"
        bed.write(*account("mail", service), head=bed.head(['placement = "keyring"']))

    def aged(self) -> None:
        """One refresh, both sides copied at rest, two more refreshes, stopped."""
        daemon = self.bed.up()
        daemon.operate("import", secrets={"refresh_token": self.service.mint(self.label)})
        self._rest(daemon)
        shutil.copytree(self.bed.state, self.old / "state")
        shutil.copytree(self.keyring.files, self.old / "keyrings")
        for _ in range(2):
            daemon.operate("refresh")
        self._rest(daemon)
        assert daemon.stop() == 0

    @staticmethod
    def _rest(daemon: Process) -> None:
        until("a lease, and the grant at rest", lambda: daemon.view()["usable_until"] and daemon.view()["settled"])

    def put_back_journal(self) -> None:
        self.bed.state.rename(self.old / "newest")
        shutil.copytree(self.old / "state", self.bed.state)

    def put_right_journal(self) -> None:
        """The remedy."""
        shutil.rmtree(self.bed.state)
        (self.old / "newest").rename(self.bed.state)

    def put_back_keyring(self) -> None:
        self.keyring.kill()
        shutil.move(self.keyring.files, self.old / "newest")
        shutil.copytree(self.old / "keyrings", self.keyring.files)
        self.keyring.restart()

    def put_right_keyring(self) -> None:
        """The remedy."""
        self.keyring.kill()
        shutil.rmtree(self.keyring.files)
        shutil.move(self.old / "newest", self.keyring.files)
        self.keyring.restart()


@pytest.fixture
def apart(tmp_path: Path, service: Sandbox, request: pytest.FixtureRequest) -> Iterator[Apart]:
    with KeyringBed(activation=False) as keyring, Bed(tmp_path, keyring.env) as bed:
        made = Apart(bed, keyring, service, request.node.name)
        made.aged()
        yield made


@pytest.mark.part("keyring")
def test_I5_a_keyring_older_than_the_journal_is_never_believed(apart: Apart, service: Sandbox) -> None:
    apart.put_back_keyring()
    daemon = apart.bed.up()
    calls = len(service.told_of(apart.label)["calls"])
    lease = lease_of(daemon, "mail")
    with daemon.begin("refresh"):
        [told] = until("refresh.unable", lambda: apart.bed.events("refresh.unable"))
    assert (told["type"], "shows no valid entry for mail" in told["cause"]) == ("keyring-unavailable", True)
    assert "bring its entries back" in told["remedy"]
    assert lease_of(daemon, "mail") == lease
    assert len(service.told_of(apart.label)["calls"]) == calls

    apart.put_right_keyring()
    until("it goes on by itself", lambda: daemon.view()["last_outcome"] == "ok")
    assert_renews(apart, daemon, service)


@pytest.mark.part("keyring")
def test_I5_a_journal_older_than_the_keyring_spends_nothing_until_the_right_one_is_back(
    apart: Apart, service: Sandbox
) -> None:
    apart.put_back_journal()
    daemon = apart.bed.up()
    calls = len(service.told_of(apart.label)["calls"])
    [told] = until("vault.rolled-back", lambda: apart.bed.events("vault.rolled-back"))
    assert "it is an old copy" in told["cause"]
    with pytest.raises(Told):
        daemon.operate("refresh")
    assert lease_of(daemon, "mail")
    assert len(service.told_of(apart.label)["calls"]) == calls
    assert daemon.stop() == 0

    apart.put_right_journal()
    assert_renews(apart, apart.bed.up(), service)


def assert_renews(apart: Apart, daemon: Process, service: Sandbox) -> None:
    generation = daemon.view()["generation"]
    assert daemon.operate("refresh")["generation"] == generation + 1
    page = service.page(apart.label)
    assert (page.spent_uses, page.doubtful_replays) == (0, 0)
