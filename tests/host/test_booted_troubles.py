"""What goes wrong with a service that is installed: it fails or waits, and says what helps; then it goes on."""

from __future__ import annotations

from typing import Final

import pytest

from tests.host.booted_bed import Machine, install_block, until
from tests.host.booted_scene import CONFIG, Row, back_up, changed, settled, token, told

pytestmark = [pytest.mark.part("nspawn"), pytest.mark.timeout(1500)]

KEY: Final = "/etc/credstore.encrypted/freshd-vault-key"


def test_without_its_credential_freshd_waits_and_names_the_remedy(installed: Machine, row: Row) -> None:
    installed.run("systemctl", "stop", "freshd.service")
    installed.run("mv", KEY, f"{KEY}.aside")
    since = installed.now()
    try:
        installed.run("systemctl", "start", "freshd.service")
        maker, daemon = installed.said("freshd-key", since), installed.said("freshd", since)
        reader = token(installed, *installed.as_user("ann"))
    finally:
        installed.run("mv", f"{KEY}.aside", KEY)
        back_up(installed)
    assert f"{KEY} is gone, and the vault in /var/lib/freshd was sealed under it" in maker
    assert "remedy: bring it back from a backup, then: systemctl restart freshd-key freshd" in maker
    assert "vault.locked" in daemon
    assert "bring it back, then restart the unit" in daemon
    assert (reader.returncode, "remedy: " in reader.stderr) == (75, True)
    row("unit without its credential", "freshd-key names the remedy; freshd is up, locked, and names it too")


def test_with_a_credential_of_another_machine_it_fails_and_names_the_remedy(installed: Machine, row: Row) -> None:
    installed.run("systemctl", "stop", "freshd.service")
    installed.run("cp", KEY, f"{KEY}.aside")
    installed.run("sh", "-c", f"head -c 300 /dev/urandom | base64 >{KEY}")
    since = installed.now()
    try:
        installed.run("systemctl", "start", "freshd.service", check=False)
        maker = installed.said("freshd-key", since)
    finally:
        installed.run("mv", f"{KEY}.aside", KEY)
        back_up(installed)
    assert "cannot be decrypted on this machine" in maker
    assert "remedy: bring back" in maker
    row("credential that this machine cannot decrypt", "freshd-key names the remedy")


def test_with_a_wrong_key_it_fails_and_the_alert_names_the_remedy_too(watched: Machine, row: Row) -> None:
    installed = watched
    installed.run("systemctl", "stop", "freshd.service")
    installed.run("mv", KEY, f"{KEY}.aside")
    installed.run("/opt/freshd/bin/freshd-key", "--anew")
    since = installed.now()
    try:
        installed.run("systemctl", "start", "freshd.service", check=False)
        daemon = installed.said("freshd", since)
        raised = until("raised", lambda: told(installed, "raised", "daemon.failed", since))
    finally:
        installed.run("mv", f"{KEY}.aside", KEY)
        back_up(installed)
    assert "is not the one of vault" in daemon
    assert "remedy: bring back the right key" in daemon
    assert "is not the one of vault" in raised
    assert "do        bring back the right key" in raised
    row("wrong key", "ends with status 76 and names the remedy, so does the alert; opens again with the right one")


def test_with_an_unwritable_state_directory_it_fails_and_names_the_remedy(installed: Machine, row: Row) -> None:
    with changed(installed, "ReadOnlyPaths=/var/lib/freshd") as since:
        daemon = installed.said("freshd", since)
    problem = next(line.strip() for line in daemon.splitlines() if "state_dir: " in line)
    assert "its folder is not writable for this user; change its owner, or write another path" in problem
    assert "  remedy: " in daemon
    row("unwritable state directory", f"ends with status 78: {problem}")


def test_a_broken_configuration_fails_and_names_line_and_remedy(installed: Machine, row: Row) -> None:
    installed.run("cp", CONFIG, f"{CONFIG}.aside")
    installed.run("tee", "-a", CONFIG, text="\nreaders = 5\n")
    since = installed.now()
    try:
        installed.run("systemctl", "restart", "freshd.service", check=False)
        daemon = installed.said("freshd", since)
    finally:
        installed.run("mv", f"{CONFIG}.aside", CONFIG)
        back_up(installed)
    assert f"{CONFIG}:" in daemon
    assert "remedy: " in daemon
    row("broken configuration", "ends with status 78, names file, line and remedy")


def test_the_key_is_made_once_and_never_over_another(installed: Machine, row: Row) -> None:
    before = installed.run("sha256sum", KEY).stdout
    installed.script(install_block("system"))
    installed.run("systemctl", "restart", "freshd-key", "freshd")
    installed.run("/opt/freshd/bin/freshd-key", "--anew")
    assert installed.run("sha256sum", KEY).stdout == before
    until("freshd serves", lambda: settled(installed))
    row("README's block a second time, freshd-key by hand", "the key is the same, so is the configuration")
