"""The vault on a booted systemd: its first key, its credential, a full disk, another key, another machine; and the
power goes in the middle of each.

The tests share one machine, `mail` on it, and stand in the order of a story. The instants are drawn from a seed.
With FRESHD_RECORD set, what was seen is written to results/booted_vault.md.
"""

from __future__ import annotations

import json
import random
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.host.booted_bed import Machine, Service, install_block, until
from tests.host.booted_scene import CONFIG, SOCKET, back_up
from tests.host.booted_witness import CROWD, Book, Witness

pytestmark = [pytest.mark.part("nspawn"), pytest.mark.timeout(2400)]

SEED: Final = 5
STORE: Final = "/etc/credstore.encrypted"
KEY: Final = f"{STORE}/freshd-vault-key"
SECRET: Final = "/var/lib/systemd/credential.secret"
STATE: Final = "/var/lib/freshd"
ANCHOR: Final = "/var/lib/freshd-anchor"
PAGE: Final = "systemd/README.md"
TOKEN_SECONDS: Final = 4
DISK_MIB: Final = 6
PASSPHRASE: Final = "four words that nobody guesses"


@pytest.fixture(scope="module")
def witness(installed: Machine, service: Service) -> Iterator[Witness]:
    """Sees to it that `mail` is renewed all the while, and that readers ask in each boot."""
    service.ask("PATCH", "/policy", {"label": "mail", "access_s": TOKEN_SECONDS})
    installed.write("/etc/systemd/system/crowd.service", CROWD.format(issuer=service.issuer))
    installed.run("systemctl", "daemon-reload")
    installed.run("systemctl", "enable", "--now", "crowd.service")
    witness = Witness(installed, service)
    witness.enrol()
    yield witness
    installed.run("systemctl", "disable", "--now", "crowd.service")
    service.ask("PATCH", "/policy", {"label": "mail", "access_s": 3600})


@pytest.fixture(scope="module")
def book(witness: Witness) -> Iterator[Book]:
    book = Book()
    yield book
    book.write(witness.machine)


def as_new(machine: Machine) -> None:
    """Off, and with neither vault nor key nor secret of the machine on its disk."""
    for path in (STATE, ANCHOR, STORE, SECRET):
        machine.remove(path)


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
    machine, rng, left = witness.machine, random.Random(SEED), []
    for _ in range(cuts):
        machine.shut_down()
        as_new(machine)
        machine.boot(waits=False)
        until("it has begun", machine.disk(awaited).exists, pause=0.001)
        time.sleep(rng.uniform(0, 0.05))
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


@pytest.mark.parametrize("what", list(WRONG))
def test_with_a_wrong_credential_nothing_is_changed_and_the_right_one_goes_on(
    witness: Witness, book: Book, what: str
) -> None:
    machine = witness.machine
    spoil, cause, remedy = WRONG[what]
    machine.run("systemctl", "stop", "freshd.socket", "freshd.service")
    machine.run("cp", "-a", KEY, "/root/right-key")
    before = rows(machine)
    machine.run("sh", "-c", spoil)
    since = machine.now()
    machine.run("systemctl", "start", "freshd.socket", "freshd.service", check=False)
    until("it is said", lambda: cause in said(machine, f"--since=@{since}"))
    witness.cut()
    machine.boot()
    until("it is said after a boot", lambda: cause in said(machine, "--boot"))
    told = said(machine, "--boot")
    assert remedy in told
    events = machine.journal("--boot", "EVENT=vault.locked")
    assert bool(events) == (what == "missing")
    assert all(event["REMEDY"] for event in events)
    machine.run("systemctl", "stop", "freshd.socket", "freshd.service")
    assert rows(machine) == before
    machine.run("mv", "/root/right-key", KEY)
    back_up(machine)
    witness.goes_on()
    line = next(line for line in told.splitlines() if cause in line)
    by = "EVENT=vault.locked too" if events else "no event"
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


def test_a_disk_that_fills_and_a_boot_while_it_is_full_lose_nothing(
    witness: Witness, book: Book, tmp_path: Path
) -> None:
    machine, image = witness.machine, tmp_path / "disk"
    machine.shut_down()
    subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", "-m", "0", "-d", str(machine.disk(STATE)), str(image), f"{DISK_MIB}M"],
        check=True,
    )
    machine.disks = {STATE: image}
    machine.boot()
    witness.goes_on()
    fill = f"until test -s /root/enough; do head -c 8M /dev/zero >>{STATE}/filler; sleep 0.2; done 2>/dev/null"
    machine.run("systemd-run", "--quiet", "--unit=filler", "sh", "-c", fill)
    since = machine.now()
    heard = until("it says so", lambda: events(machine, since))
    full = machine.run("df", "--output=pcent", STATE).stdout.split()[-1]
    witness.cut()
    machine.boot()
    until("it says so after a cut", lambda: events(machine, "", "--boot"))
    machine.reboot()
    until("it says so after a boot", lambda: events(machine, "", "--boot"))
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


def events(machine: Machine, since: str, *boot: str) -> str:
    after = [f"--since=@{since}"] if since else []
    found = machine.journal(*boot, *after, "EVENT=refresh.unable", "EVENT=save.failed")
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


# -- another key ------------------------------------------------------------------------------------------------------


def test_another_key_is_put_in_place_by_the_commands_told_with_a_cut_after_each(witness: Witness, book: Book) -> None:
    machine = witness.machine
    first = witness.vault()["keys"]["id"]
    make, restart, verb = install_block("next-key", PAGE).splitlines()
    for step in (make, restart):
        follow(witness, step)
    told = machine.run(*shlex.split(verb), "--json").stdout
    witness.cut()
    machine.boot()
    witness.goes_on()
    for step in left_of(json.loads(told)["commands"]):
        follow(witness, step)
    stands = witness.vault()["keys"]
    assert stands["id"] != first
    assert (stands["next"], stands["kept"]) == (None, [])
    assert machine.run("ls", STORE).stdout.split() == ["freshd-vault-key"]
    witness.whole()
    book.add("another key", "README's lines and those that the verb told, a cut after each", witness, "; ".join(
        left_of(json.loads(told)["commands"])))  # fmt: skip


def test_a_rotation_that_is_cut_anywhere_goes_on_and_ends(witness: Witness, book: Book) -> None:
    machine, rng, seen = witness.machine, random.Random(SEED), []
    make, restart, verb = install_block("next-key", PAGE).splitlines()
    for _ in range(4):
        before = witness.vault()["keys"]["id"]
        machine.script(f"{make}\n{restart}")
        witness.goes_on()
        ask = ("curl", "--silent", "--request", "POST", "--unix-socket", SOCKET, "http://freshd/v1/vault/rotate-key")
        asked = subprocess.Popen(machine.inside(*ask), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0, 0.1))
        witness.cut()
        asked.wait(60)
        machine.boot()
        witness.goes_on()
        until("nothing is under way", lambda: witness.vault()["keys"]["next"] is None)
        is_new = witness.vault()["keys"]["id"] != before
        ended_now = machine.journal("--boot", "EVENT=vault.key-rotated")
        seen.append("in its middle" if ended_now else "after it" if is_new else "before it")
        again = machine.run(*shlex.split(verb), check=False)
        for step in left_of(remedies(again.stdout + again.stderr)):
            machine.script(step)
        witness.goes_on()
        witness.whole()
        assert witness.vault()["keys"]["id"] != before
    book.add("another key", "cut while the vault is being sealed anew", witness, f"cuts: {', '.join(seen)}; each ended")


def follow(witness: Witness, step: str) -> None:
    """A line as it stands, then a cut, then a boot: freshd serves and renews."""
    witness.machine.script(step)
    witness.cut()
    witness.machine.boot()
    witness.goes_on()


def left_of(commands: list[str]) -> list[str]:
    """The commands among what was told: words before a colon say when."""
    return [one.rpartition(": ")[2] for one in commands]


def remedies(text: str) -> list[str]:
    """The same from what the verb prints."""
    lines = [line.split(maxsplit=1)[1] for line in text.splitlines() if line.startswith("then ")]
    return lines or text.partition("remedy: ")[2].strip().split("; ")


def test_the_key_moves_to_a_file_and_back_with_a_cut_in_each_move(witness: Witness, book: Book) -> None:
    machine = witness.machine
    machine.run("cp", CONFIG, f"{CONFIG}.aside")
    credential, file = 'custodian = "systemd-credential"', f'custodian = "key-file"\nkey_file = "{ANCHOR}/key"'
    for was, is_now in ((credential, file), (file, credential)):
        text = machine.run("cat", CONFIG).stdout
        machine.write(CONFIG, text.replace(was, is_now))
        asked = subprocess.Popen(machine.inside("freshd", "vault", "move"), stdout=subprocess.PIPE, text=True)
        until("it is under way", lambda was=asked: machine.journal("EVENT=vault.moving") or was.poll() is not None)  # type: ignore[misc]
        witness.cut()
        asked.communicate(timeout=60)
        machine.boot()
        witness.goes_on()
        wanted = is_now.split('"')[1]
        until("it has moved", lambda name=wanted: name.split("-")[0] in witness.vault()["custodian"])  # type: ignore[misc]
        witness.whole()
    machine.run("mv", f"{CONFIG}.aside", CONFIG)
    machine.run("rm", f"{ANCHOR}/key")
    book.add("another custodian", "to a key file and back, cut in each move", witness, "went on after the boot, whole")


# -- another machine --------------------------------------------------------------------------------------------------


def test_a_backup_comes_to_another_machine_and_waits_there_for_a_word(witness: Witness, book: Book) -> None:
    machine, service, rng = witness.machine, witness.service, random.Random(SEED)
    service.ask("PATCH", "/policy", {"label": "mail", "access_s": 3600})
    witness.goes_on()
    machine.write("/root/pass", PASSPHRASE + "\n")
    machine.run("chmod", "600", "/root/pass")
    machine.run("freshd", "vault", "backup", "/root/freshd.backup", "--passphrase-file", "/root/pass")
    machine.shut_down()
    refreshes = witness.counted("refreshes")
    with Machine(service.network, image=machine, booted=False) as other:
        as_new(other)
        other.disk("etc").mkdir(exist_ok=True)
        other.remove("etc/machine-id")
        other.disk("etc/machine-id").unlink(missing_ok=True)
        other.disk("etc/machine-id").write_text(f"{rng.getrandbits(128):032x}\n")
        other.boot()
        there = Witness(other, service)
        until("its own vault, with nothing in it", lambda: there.ask("accounts/mail").get("phase"))
        restore(there, rng)
        until("the lease in hand is served", there.serves)
        there.cut()
        other.boot()
        until("served after a boot", there.serves)
        told = other.run("freshd", "vault", "status").stdout
        assert "decide about each: freshd confirm NAME" in told
        assert other.run("freshd", "refresh", "mail", check=False).returncode
        assert witness.counted("refreshes") == refreshes
        other.run("freshd", "confirm", "mail", "--yes")
        service.ask("PATCH", "/policy", {"label": "mail", "access_s": TOKEN_SECONDS})
        other.run("freshd", "refresh", "mail")
        there.goes_on()
        there.whole()
        held = next(line for line in told.splitlines() if line.startswith("held"))
        book.add("another machine", "backup, restore with a cut in it, boot while held, confirm", there, held)
    machine.boot()
    witness.enrol()


def restore(there: Witness, rng: random.Random) -> None:
    """The lines of the page; the power goes while the verb runs, and they are begun again."""
    machine = there.machine
    machine.script("mkdir -p /mnt/stick && cp /root/freshd.backup /mnt/stick/")
    machine.script("install -o freshd -m 0400 /root/pass /run/pass")
    lines = install_block("restore", PAGE).splitlines()
    verb = next(n for n, line in enumerate(lines) if "vault restore" in line)
    lines[verb] = lines[verb].replace("--pty", "--pipe --wait") + " --passphrase-file /run/pass"
    machine.script("\n".join(lines[:verb]))
    asked = subprocess.Popen(
        machine.inside("sh", "-c", lines[verb]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until("it has begun", lambda: machine.disk(STATE).exists())
    time.sleep(rng.uniform(0.5, 3))
    there.cut()
    asked.wait(60)
    machine.boot()
    machine.script("install -o freshd -m 0400 /root/pass /run/pass")
    machine.script("\n".join(lines))
