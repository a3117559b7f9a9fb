"""The vault on a booted systemd: its first key, its credential, a full disk; and the power goes in the middle of
each.

The tests share one machine, `mail` on it, and stand in the order of a story. The instants are drawn from a seed.
With FRESHD_RECORD set, what was seen is written to results/booted_vault.md.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Final

import pytest

from tests.host.booted_bed import Machine, until
from tests.host.booted_scene import back_up
from tests.host.booted_witness import KEY, SECRET, STATE, STORE, Book, Witness, as_new, instants

pytestmark = [pytest.mark.part("nspawn"), pytest.mark.timeout(2400)]

SEED: Final = 5
DISK_MIB: Final = 6


def on_disk(machine: Machine) -> str:
    """What a cut left of the making of a key."""
    names = {"the machine's secret": SECRET, "a key half made": f"{KEY}.new", "the key": KEY,
             "the journal": f"{STATE}/journal.db"}  # fmt: skip
    return " + ".join(name for name, path in names.items() if machine.disk(path).exists()) or "nothing"


# -- the first key ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("awaited", "cuts"), [(STORE, 5), (f"{STATE}/journal.db", 2)])
def test_a_cut_while_the_first_key_is_made_leaves_one_key_and_a_vault(
    witness: Witness, book: Book, awaited: str, cuts: int
) -> None:
    machine, left = witness.machine, []
    for instant in instants(SEED, cuts, 0, 0.08):
        machine.shut_down()
        as_new(machine)
        machine.boot(waits=False)
        until("it has begun", machine.disk(awaited).exists, pause=0.001)
        time.sleep(instant)
        witness.cut()
        left.append(on_disk(machine))
        machine.boot()
        until("the vault is open", lambda: witness.ask("accounts/mail").get("phase"))
        assert machine.run("ls", STORE).stdout.split() == ["freshd-vault-key"]
    witness.enrol()
    witness.goes_on()
    witness.whole()
    book.add(
        "first key", f"cut as {Path(awaited).name} was there", witness, f"left by the cuts: {'; '.join(left)}. One key"
    )


def test_the_first_boot_ever_has_its_id_for_good_before_the_key_is_made(witness: Witness, book: Book) -> None:
    machine = witness.machine
    machine.shut_down()
    as_new(machine)
    machine.disk("etc").mkdir(exist_ok=True)
    machine.disk("etc/machine-id").unlink(missing_ok=True)
    machine.disk("etc/machine-id").write_text("uninitialized\n")
    machine.boot(waits=False)
    until("the key is made", machine.disk(KEY).exists, pause=0.001)
    witness.cut()
    ident = machine.disk("etc/machine-id").read_text().strip()
    machine.boot()
    until("the vault is open", lambda: witness.ask("accounts/mail").get("phase"))
    witness.enrol()
    witness.goes_on()
    assert len(ident) == 32
    book.add("first key", "first boot of all: no machine id yet; cut as the key was there", witness, "opens")


# -- the credential ---------------------------------------------------------------------------------------------------

SEAL: Final = f"systemd-creds encrypt --quiet --with-key=host --name=freshd-vault-key - {KEY}"
WRONG: Final = {
    "sealed to another machine": (
        f"mv {SECRET} {SECRET}.mine && rm {KEY} && head -c 32 /dev/urandom | {SEAL}; mv {SECRET}.mine {SECRET}",
        "cannot be decrypted on this machine", "bring back /etc/credstore.encrypted/freshd-vault-key",
    ),
    "31 bytes": (f"rm {KEY} && head -c 31 /dev/urandom | {SEAL}", "is no key: 32 bytes", "bring back the right key"),
    "another key": (f"rm {KEY} && head -c 32 /dev/urandom | {SEAL}", "is not the one of vault", "bring back the right"),
    "missing": (f"rm {KEY}", f"{KEY} is gone", "bring it back from a backup"),
}  # fmt: skip
TOLD: Final = {
    "sealed to another machine": set[str](), "31 bytes": {"vault.unusable"}, "another key": {"vault.unusable"},
    "missing": {"vault.locked"},
}  # fmt: skip


@pytest.mark.parametrize("what", list(WRONG))
def test_with_a_wrong_credential_nothing_is_changed_and_the_right_one_goes_on(
    witness: Witness, book: Book, what: str
) -> None:
    machine = witness.machine
    spoil, cause, remedy = WRONG[what]
    machine.run("systemctl", "stop", "freshd.socket", "freshd.service")
    machine.run("cp", "-a", KEY, "/srv/right-key")
    before = rows(machine)
    machine.run("sh", "-c", spoil)
    since = machine.now()
    try:
        machine.run("systemctl", "start", "freshd.socket", "freshd.service", check=False)
        until("it is said", lambda: cause in said(machine, f"--since=@{since}"))
        witness.cut()
        machine.boot()
        until("it is said after a boot", lambda: cause in said(machine, "--boot"))
        told = said(machine, "--boot")
        events = machine.journal("--boot", "--unit=freshd", "EVENT=vault.locked", "EVENT=vault.unusable")
        machine.run("systemctl", "stop", "freshd.socket", "freshd.service")
        after = rows(machine)
    finally:
        machine.run("mv", "/srv/right-key", KEY)
    back_up(machine)
    assert remedy in told
    assert {event["EVENT"] for event in events} == TOLD[what]
    assert all(event["REMEDY"] for event in events)
    assert after == before
    witness.goes_on()
    line = next(line for line in told.splitlines() if cause in line)
    by = f"EVENT={min(TOLD[what])} too" if events else "no event: systemd does not start freshd with it"
    book.add("credential", what, witness, f"{line} ({by}); the remedy names what to bring back; with it: goes on")


def said(machine: Machine, *boot: str) -> str:
    units = ("--unit=freshd", "--unit=freshd-key")
    machine.run("journalctl", "--sync")
    return machine.run("journalctl", "--quiet", "--output=cat", *units, *boot).stdout


def rows(machine: Machine) -> str:
    """Everything that the journal holds, by a process that only reads."""
    dump = (
        "import sqlite3; db = sqlite3.connect('file:/var/lib/freshd/journal.db?mode=ro', uri=True)\n"
        "print(*db.iterdump(), sep=chr(10))"
    )
    return machine.run("runuser", "-u", "freshd", "--", "/opt/freshd/bin/python3", "-c", dump).stdout


# -- a full disk ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [4096, 1024])
def test_a_disk_that_fills_and_a_boot_while_it_is_full_lose_nothing(
    witness: Witness, book: Book, tmp_path: Path, block: int
) -> None:
    machine, image = witness.machine, tmp_path / "disk"
    machine.shut_down()
    subprocess.run(
        [
            "mke2fs",
            "-q",
            "-t",
            "ext4",
            "-b",
            str(block),
            "-m",
            "0",
            "-d",
            str(machine.disk(STATE)),
            str(image),
            f"{DISK_MIB}M",
        ],
        check=True,
    )
    machine.disks = {STATE: image}
    machine.boot()
    witness.goes_on()
    fill_up(machine)
    heard = until("it says so", lambda: events(machine))
    full = machine.run("df", "--output=pcent", STATE).stdout.split()[-1]
    witness.cut()
    machine.boot()
    fill_up(machine)
    until("it says so after a cut", lambda: events(machine))
    machine.reboot()
    fill_up(machine)
    until("it says so after a boot", lambda: events(machine))
    machine.run("systemctl", "stop", "filler.service")
    refreshes = witness.counted("refreshes")
    machine.run("rm", f"{STATE}/filler")
    witness.goes_on()
    assert witness.counted("refreshes") > refreshes
    witness.whole()
    machine.shut_down()
    machine.disks = {}
    bring_home(machine, image)
    machine.boot()
    witness.goes_on()
    book.add(
        "full disk", f"{DISK_MIB} MiB, filled to {full} under it; cut, booted, rebooted, then room", witness, heard
    )


def fill_up(machine: Machine) -> None:
    """Another program takes whatever room there is or will be."""
    fill = f"while true; do head -c 8M /dev/zero >>{STATE}/filler; sleep 0.2; done 2>/dev/null"
    machine.run("systemd-run", "--quiet", "--unit=filler", "sh", "-c", fill)


def events(machine: Machine) -> str:
    """What this boot's freshd said of it, with the remedy."""
    found = machine.journal("--boot", "--unit=freshd", "EVENT=refresh.unable", "EVENT=save.failed")
    named = {event["EVENT"]: event.get("REMEDY", "") for event in found}
    return "; ".join(f"{name}: {remedy}" for name, remedy in sorted(named.items()))


def bring_home(machine: Machine, image: Path) -> None:
    """The state directory as it is on the small disk, on the machine's own again."""
    home = machine.disk(STATE)
    machine.remove(STATE)
    home.mkdir(mode=0o700)
    commands = f"rdump / {home}"
    subprocess.run(["debugfs", "-R", commands, str(image)], check=True, capture_output=True)
    (home / "lost+found").rmdir()
