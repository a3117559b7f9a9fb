"""A user's own freshd, installed with the lines of the README: her keyring, her socket."""

from __future__ import annotations

import json

import pytest

from tests.host.booted_bed import Machine, Service, install_block, until
from tests.host.booted_scene import ACCOUNT, Row

pytestmark = [pytest.mark.part("nspawn"), pytest.mark.timeout(1500)]


def test_a_user_installs_it_for_herself_with_her_keyring(installed: Machine, service: Service, row: Row) -> None:
    installed.run("loginctl", "enable-linger", "ann")
    as_ann = installed.as_user("ann")
    until("her manager", lambda: installed.run(*as_ann, "systemctl", "--user", "status", check=False).returncode == 0)
    installed.script(install_block("user"), *as_ann)
    home = installed.run(*as_ann, "sh", "-c", "echo $HOME").stdout.strip()
    bin_freshd = f"{home}/.local/bin/freshd"
    locked = until("her freshd", lambda: installed.run(*as_ann, bin_freshd, "status", check=False))
    assert "LOCKED" in locked.stderr
    installed.run(*as_ann, "gnome-keyring-daemon", "--replace", "--unlock", "--components=secrets", text="a password")
    account = ACCOUNT.format(issuer=service.issuer, readers='users = ["ann"]')
    installed.run(*as_ann, "tee", "-a", f"{home}/.config/freshd/freshd.toml", text=account)
    installed.run(*as_ann, "systemctl", "--user", "reload", "freshd")
    known = [*as_ann, bin_freshd, "status"]
    until("known, and unlocked", lambda: "mail" in (run := installed.run(*known)).stdout and not run.stderr)
    installed.run(*as_ann, bin_freshd, "enrol", "mail", "--import", text=service.mint("ann-mail"))
    got = until("a token", lambda: installed.run(*as_ann, bin_freshd, "token", "mail", check=False).stdout)
    others = installed.run(*installed.as_user("bob"), "ls", f"/run/user/{uid(installed)}/freshd", check=False)
    assert len(got.strip()) > 20
    assert others.returncode != 0
    where = json.loads(installed.run(*as_ann, bin_freshd, "vault", "status", "--json").stdout)
    assert where["in_keyring"] >= 1
    row("README's block for one user, verbatim", "locked and waiting until the keyring is unlocked; then a token")


def uid(machine: Machine) -> str:
    return machine.run("id", "-u", "ann").stdout.strip()
