"""The booted machine, and the book of what was seen on it, for all tests of this folder that ask for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests import parts
from tests.host.booted_bed import Machine, Service, install_block, until
from tests.host.booted_cache import BedUnusable
from tests.host.booted_scene import ACCOUNT, CONFIG, Row, view
from tests.host.booted_witness import CROWD, TOKEN_SECONDS, Book, Witness

RESULTS: Final = Path(__file__).parent / "results" / "booted.txt"


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    with Service() as service:
        yield service


@pytest.fixture(scope="session")
def machine(service: Service) -> Iterator[Machine]:
    """Booted, with three people: ann and bob may connect, carl may not."""
    try:
        bed = Machine(service.network)
    except BedUnusable as error:
        if "nspawn" in parts.required_names(os.environ):
            raise
        pytest.skip(str(error))
    with bed as machine:
        for name in ("ann", "bob", "carl"):
            machine.run("useradd", "--create-home", "--shell", "/bin/sh", name)
        yield machine


@pytest.fixture(scope="session")
def installed(machine: Machine, service: Service) -> Machine:
    """Installed by the lines of the README; one account, enrolled."""
    machine.script(install_block("system"))
    for name in ("ann", "bob"):
        machine.run("usermod", "-aG", "freshd-readers", name)
    account = ACCOUNT.format(issuer=service.issuer, readers='users = ["ann"], units = ["reader.service"]')
    machine.run("tee", "-a", CONFIG, text=account)
    machine.run("freshd", "check")
    machine.run("systemctl", "reload", "freshd")
    until("the account is known", lambda: machine.run("freshd", "status", "mail", check=False).returncode == 0)
    machine.run("freshd", "enrol", "mail", "--import", text=service.mint("mail"))
    until("its first lease", lambda: view(machine)["usable_until"])
    return machine


@pytest.fixture(scope="session")
def row(machine: Machine) -> Iterator[Row]:
    """Writes down one thing that was seen; all of it is printed at the end."""
    rows = [("machine", f"Debian 12, {machine.run('systemctl', '--version').stdout.splitlines()[0]}")]
    yield lambda what, seen: rows.append((what, seen))
    width = max((len(what) for what, _ in rows), default=0)
    text = "".join(f"{what:<{width}}  {seen}\n" for what, seen in rows)
    print("\n" + text)
    if os.environ.get("FRESHD_RECORD"):
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


@pytest.fixture(scope="session")
def watched(installed: Machine) -> Machine:
    """With the listener, installed by the lines of the README."""
    installed.script(install_block("alerts"))
    until("the listener is up", lambda: installed.show("freshd-alerts", "ActiveState") == "active")
    return installed


@pytest.fixture(scope="session")
def witness(installed: Machine, service: Service) -> Iterator[Witness]:
    """Sees to it that `mail` is renewed all the while, and that readers ask in each boot."""
    service.ask("PATCH", "/policy", {"label": "mail", "access_s": TOKEN_SECONDS})
    installed.write("/etc/systemd/system/crowd.service", CROWD.format(issuer=service.issuer))
    installed.run("systemctl", "daemon-reload")
    installed.run("systemctl", "enable", "--now", "crowd.service")
    witness = Witness(installed, service)
    witness.enrol()
    installed.run("freshd", "refresh", "mail")  # what it has in hand may last an hour
    yield witness
    installed.run("systemctl", "disable", "--now", "crowd.service")
    service.ask("PATCH", "/policy", {"label": "mail", "access_s": 3600})


@pytest.fixture(scope="session")
def book(witness: Witness) -> Iterator[Book]:
    book = Book()
    yield book
    book.write(witness.machine)
