"""Backups of a running daemon, and what becomes of them elsewhere, at a strict service and through the command line."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from freshd.vault.copies import key_of, looked_at
from tests.crash.services import Sandbox
from tests.flow.bed import Bed, account, lease_of, until

NAMES = ("mail", "work")


def key_file(folder: Path) -> Path:
    path = folder / "backup.key"
    path.touch(0o600)
    path.write_bytes(b"k" * 32)
    return path


def uses(service: Sandbox, label: str) -> tuple[int, int]:
    page = service.page(label)
    return page.spent_uses, page.doubtful_replays


def calls(service: Sandbox, label: str) -> int:
    return len(service.told_of(label)["calls"])


def backed_up(bed: Bed, service: Sandbox, labels: dict[str, str]) -> None:
    """A daemon that was backed up while it ran, and that has rotated since."""
    bed.write(*(line for name in NAMES for line in account(name, service)))
    process = bed.up()
    for name, label in labels.items():
        process.operate("import", account=name, secrets={"refresh_token": service.mint(label)})
        until("a first lease", lambda name=name: process.view(name)["usable_until"])  # type: ignore[misc]
    key = key_file(bed.folder)
    assert bed.run("vault", "verify").code == 0
    made = bed.run("vault", "backup", str(bed.folder / "copy"), "--key-file", str(key), "--json")
    assert made.code == 0
    assert json.loads(made.out)["accounts"] == len(NAMES)
    status = json.loads(bed.run("vault", "status", "--json").out)
    assert status["backup"]["commits"] == json.loads(made.out)["commits"]
    assert status["held"] == []
    for name in NAMES:
        process.operate("refresh", account=name)
    process.stop()


@pytest.mark.timeout(120)
def test_I5_a_restored_vault_presents_nothing_that_works_once_before_somebody_decides(
    tmp_path: Path, service: Sandbox
) -> None:
    labels = {name: f"restored-{name}" for name in NAMES}
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    with Bed(tmp_path / "here") as here, Bed(tmp_path / "there") as there:
        backed_up(here, service, labels)
        before = {name: calls(service, label) for name, label in labels.items()}
        there.write(*(line for name in NAMES for line in account(name, service)))
        there.up().stop()  # as where freshd was just installed: its first start has made a vault, with nothing in it
        empty = json.loads(there.run("vault", "status", "--json").out)
        assert empty["commits"] > 0
        words = ["vault", "restore", str(here.folder / "copy"), "--key-file", str(key_file(there.folder)), "--json"]
        done = there.run(*words)
        assert done.code == 0, done.text
        told = json.loads(done.out)
        assert (told["held"], told["empty"]) == (list(NAMES), empty["vault"])
        assert Path(told["aside"]).name.startswith("journal.db.replaced-20")
        again = there.run(*words)
        assert again.code == 65
        assert "--replace" in again.err
        process = there.up()
        assert "restored from a backup of 20" in there.events("vault.rolled-back")[-1]["cause"]
        assert lease_of(process, "mail")
        assert process.view("mail")["reason"] == "journal-rolled-back"
        assert {name: calls(service, label) for name, label in labels.items()} == before
        process.operate("import", account="mail", secrets={"refresh_token": service.mint("restored-anew")})
        assert process.operate("refresh", account="mail")["generation"] > 2
        process.stop()
        process = there.up()
        assert process.view("work")["reason"] == "journal-rolled-back"
        assert process.view("mail")["reason"] is None
        assert json.loads(there.run("vault", "status", "--json").out)["held"] == ["work"]
        assert {uses(service, label) for label in labels.values()} == {(0, 0)}
        process.operate("confirm", account="work")
        assert process.view("work")["phase"] == "doubtful"
        assert {uses(service, label) for label in labels.values()} == {(0, 0)}


@pytest.mark.timeout(120)
def test_two_that_back_up_one_daemon_into_one_file_leave_a_whole_one(tmp_path: Path, service: Sandbox) -> None:
    """The one that is overtaken says so, and spoils nothing."""
    with Bed(tmp_path) as bed:
        bed.write(*account("mail", service))
        process = bed.up()
        process.operate("import", account="mail", secrets={"refresh_token": service.mint("mail-twice")})
        words = ("vault", "backup", str(tmp_path / "copy"), "--key-file", str(key_file(tmp_path)), "--force")
        with ThreadPoolExecutor(2) as people:
            ended = [done for _ in range(2) for done in people.map(lambda _: bed.run(*words), range(2))]
        assert {done.code for done in ended} <= {0, 65}
        assert all("another one took its place" in done.err for done in ended if done.code)
        assert 0 in {done.code for done in ended}
        copy = looked_at((tmp_path / "copy").read_bytes())
        copy.opened(key_of(b"k" * 32, copy.header.derivation))
        assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".new")] == []
        process.stop()
