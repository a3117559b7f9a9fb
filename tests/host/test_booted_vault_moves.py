"""The vault on a booted systemd: another key, another custodian, another machine; and the power goes amid each.

They share machine, table and seed with test_booted_vault.py, and come after it.
"""

from __future__ import annotations

import json
import random
import shlex
import subprocess
import time
from collections import Counter
from typing import Final

import pytest

from tests.host.booted_bed import Machine, install_block, until
from tests.host.booted_scene import CONFIG
from tests.host.booted_witness import ANCHOR, STATE, STORE, TOKEN_SECONDS, Book, Witness, as_new, instants

pytestmark = [pytest.mark.part("nspawn"), pytest.mark.timeout(2400)]

SEED: Final = 5
PAGE: Final = "systemd/README.md"
PASSPHRASE: Final = "four words that nobody guesses"
ROTATION_SECONDS: Final = 0.024
RESTORE_SECONDS: Final = 3.5
LEASE_SECONDS: Final = 90
"""Of the token that goes into the backup: what may be spent is presented when it ends."""


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
    machine, seen = witness.machine, Counter[str]()
    make, restart, verb = install_block("next-key", PAGE).splitlines()
    for instant in instants(SEED, 6, 0, ROTATION_SECONDS):
        before = witness.vault()["keys"]["id"]
        machine.script(f"{make}\n{restart}")
        witness.goes_on()
        witness.cut_after("rotate-key", instant)
        machine.boot()
        witness.goes_on()
        until("nothing is under way", lambda: witness.vault()["keys"]["next"] is None)
        is_new = witness.vault()["keys"]["id"] != before
        ended_now = machine.journal("--boot", "EVENT=vault.key-rotated")
        seen["in its middle" if ended_now else "after it" if is_new else "before it"] += 1
        again = machine.run(*shlex.split(verb), check=False)
        for step in left_of(remedies(again.stdout + again.stderr)):
            machine.script(step)
        witness.goes_on()
        witness.whole()
        assert witness.vault()["keys"]["id"] != before
    book.add("another key", "cut while the vault is being sealed anew", witness, f"{counted(seen)}; each ended")


def counted(seen: Counter[str]) -> str:
    """Where the cuts fell."""
    return "cuts " + ", ".join(f"{where} {count}" for where, count in sorted(seen.items()))


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
    machine, seen = witness.machine, Counter[str]()
    machine.run("cp", CONFIG, f"{CONFIG}.aside")
    credential, file = 'custodian = "systemd-credential"', f'custodian = "key-file"\nkey_file = "{ANCHOR}/key"'
    ways = ((credential, file), (file, credential)) * 2
    for (was, is_now), instant in zip(ways, instants(SEED, len(ways), 0, ROTATION_SECONDS), strict=True):
        text = machine.run("cat", CONFIG).stdout
        machine.write(CONFIG, text.replace(was, is_now))
        witness.cut_after("move", instant)
        machine.boot()
        witness.goes_on()
        wanted = is_now.split('"')[1]
        until("it has moved", lambda name=wanted: name.split("-")[0] in witness.vault()["custodian"])  # type: ignore[misc]
        has_begun = machine.journal("--boot=-1", "EVENT=vault.moving")
        ended_now = machine.journal("--boot", "EVENT=vault.moved")
        seen["after it" if not ended_now else "in its middle" if has_begun else "before it"] += 1
        witness.whole()
    machine.run("mv", f"{CONFIG}.aside", CONFIG)
    machine.run("rm", f"{ANCHOR}/key")
    book.add("another custodian", "to a key file and back, twice", witness, f"{counted(seen)}; whole after each")


# -- another machine --------------------------------------------------------------------------------------------------


def test_a_backup_comes_to_another_machine_and_waits_there_for_a_word(witness: Witness, book: Book) -> None:
    machine, service, rng = witness.machine, witness.service, random.Random(SEED)
    service.ask("PATCH", "/policy", {"label": "mail", "access_s": LEASE_SECONDS})
    witness.goes_on()
    machine.run("freshd", "pause", "mail")  # what is renewed after the backup would be spent where it is restored
    machine.write("/srv/pass", PASSPHRASE + "\n")
    machine.run("chmod", "600", "/srv/pass")
    machine.run("freshd", "vault", "backup", "/srv/freshd.backup", "--passphrase-file", "/srv/pass")
    machine.shut_down()
    refreshes = witness.counted("refreshes")
    with Machine(service.network, image=machine, booted=False) as other:
        become_another(other, rng)
        there = Witness(other, service)
        there.crowd()
        until("its own vault, with nothing in it", lambda: there.ask("accounts/mail").get("phase"))
        cuts = restore(there)
        until("held", lambda: there.vault()["held"] == ["mail"])
        there.cut()
        other.boot()
        told = other.run("freshd", "vault", "status").stdout
        assert "decide about each: freshd confirm NAME" in told
        refused = other.run("freshd", "refresh", "mail", check=False)
        assert refused.returncode
        assert witness.counted("refreshes") == refreshes
        service.ask("PATCH", "/policy", {"label": "mail", "access_s": TOKEN_SECONDS})
        other.run("freshd", "confirm", "mail", "--yes")
        other.run("freshd", "resume", "mail")
        there.goes_on()
        there.whole()
        held = next(line for line in told.splitlines() if line.startswith("held"))
        book.add("another machine", "backup, restore under cuts, cut while held, confirm", there,
                 f"{cuts} of the verb; {' '.join(held.split())}; {refused.stderr.splitlines()[0]}")  # fmt: skip
    machine.boot()
    machine.run("freshd", "resume", "mail")
    witness.enrol()


def become_another(machine: Machine, rng: random.Random) -> None:
    """With an id of its own, no secret, no key and no vault: as where freshd was just installed."""
    as_new(machine)
    machine.remove("etc/machine-id")
    machine.disk("etc/machine-id").unlink()
    machine.disk("etc/machine-id").write_text(f"{rng.getrandbits(128):032x}\n")
    machine.boot()


def restore(there: Witness) -> str:
    """The lines of the page; the power goes while the verb runs, and they are begun again."""
    machine = there.machine
    machine.script("mkdir -p /mnt/stick && cp /srv/freshd.backup /mnt/stick/")
    machine.script("install -o freshd -m 0400 /srv/pass /run/pass")
    lines = install_block("restore", PAGE).splitlines()
    verb = next(n for n, line in enumerate(lines) if "vault restore" in line)
    lines[verb] = lines[verb].replace("--pty", "--pipe --wait") + " --passphrase-file /run/pass"
    seen = Counter[str]()
    for instant in instants(SEED, 3, 0.5, RESTORE_SECONDS):
        before = replaced(machine)
        machine.script("\n".join(lines[:verb]))
        asked = subprocess.Popen(
            machine.inside("sh", "-c", lines[verb]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(instant)
        there.cut()
        asked.wait(60)
        seen["after it" if replaced(machine) > before else "before its end"] += 1
        machine.boot()
        machine.script("install -o freshd -m 0400 /srv/pass /run/pass")
    machine.script("\n".join(lines))
    assert replaced(machine) == seen["after it"] + 1
    return counted(seen)


def replaced(machine: Machine) -> int:
    """How often a journal has given its place to another: it lies beside it then, and is not the one in that place."""
    journal = machine.disk(f"{STATE}/journal.db")
    return sum(not aside.samefile(journal) for aside in journal.parent.glob("journal.db.replaced-*"))
