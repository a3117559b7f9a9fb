"""freshd as the README installs it, on a booted systemd: what only a running machine can show.

The tests share one machine and stand in the order of a story; each leaves freshd running as it was shipped.
With FRESHD_RECORD set, what was seen is written to results/booted.txt.
"""

from __future__ import annotations

import json
import subprocess
from typing import Final

import pytest

from tests.host.booted_bed import SOURCE, Machine, Service, until
from tests.host.booted_scene import SOCKET, Row, changed, lease, one_line, settled, token, told, view

pytestmark = [pytest.mark.part("nspawn"), pytest.mark.timeout(1500)]

KILLS: Final = 10

# -- the system service -----------------------------------------------------------------------------------------------


def test_the_first_token_comes_over_the_activated_socket(installed: Machine, row: Row) -> None:
    installed.run("systemctl", "stop", "freshd.service")
    assert installed.show("freshd.service", "ActiveState") == "inactive"
    assert installed.show("freshd.socket", "ActiveState") == "active"
    got = installed.run(*installed.as_user("ann"), "freshd", "token", "mail")
    assert len(got.stdout.strip()) > 20
    assert installed.show("freshd.service", "ActiveState") == "active"
    row("README's block for the machine, verbatim; freshd stopped, one `freshd token`", "started by it, token served")


def test_ten_kills_under_fifty_readers_refuse_no_connection(installed: Machine, row: Row) -> None:
    readers = installed.as_unit(
        "crowd.service", "ann", "/opt/freshd/bin/python3", f"{SOURCE}/tests/host/booted_readers.py", SOCKET, "mail"
    )
    crowd = subprocess.Popen(
        installed.inside(*readers), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    pids = set()
    for _ in range(KILLS):
        pid = until("a daemon that serves", lambda: settled(installed) and installed.show("freshd", "MainPID"))
        pids.add(pid)
        installed.run("kill", "-KILL", str(pid))
        until("another daemon", lambda was=pid: installed.show("freshd", "MainPID") not in (was, "0"))  # type: ignore[misc]
    until("the last one serves", lambda: settled(installed))
    seen = json.loads(crowd.communicate("", timeout=60)[0])
    assert len(pids) == KILLS
    assert seen["token"] > 1000
    assert not seen.keys() & {"refused", "not connected"}, seen
    assert installed.show("freshd", "NRestarts") == str(KILLS)
    others = ", ".join(f"{name} {count}" for name, count in sorted(seen.items()) if name not in ("token", "refused"))
    row(f"kill -9, {KILLS} times, under 50 readers", f"refused 0; tokens {seen['token']}; {others}")


def test_a_stopped_daemon_is_killed_by_the_watchdog_and_replaced(installed: Machine, row: Row) -> None:
    pid, since = installed.show("freshd", "MainPID"), installed.now()
    installed.run("kill", "-STOP", pid)
    until("another daemon", lambda: installed.show("freshd", "MainPID") not in (pid, "0"))
    until("it serves", lambda: settled(installed))
    assert "Watchdog timeout" in installed.said("freshd", since)
    row("SIGSTOP (WatchdogSec=30)", "killed by the watchdog, replaced, token served")


def test_lease_and_grant_outlive_a_reboot(installed: Machine, row: Row) -> None:
    before = lease(installed)
    installed.reboot()
    until("freshd serves", lambda: settled(installed))
    after = lease(installed)
    assert (after["fingerprint"], after["generation"]) == (before["fingerprint"], before["generation"])
    installed.run("freshd", "refresh", "mail")
    until("a renewal after the reboot", lambda: view(installed)["generation"] == before["generation"] + 1)
    row("reboot", "the same lease served, then renewed with the same grant")


def test_the_journal_finds_events_by_field(installed: Machine, row: Row) -> None:
    found = installed.journal("--boot", "EVENT=refresh.succeeded", "ACCOUNT=mail")
    assert found
    assert {line["_SYSTEMD_UNIT"] for line in found} == {"freshd.service"}
    assert {line["PRIORITY"] for line in found} == {"6"}
    assert "account.parked" in found[0]["CLEARS"]
    row("journalctl EVENT=refresh.succeeded ACCOUNT=mail", "found by its fields, of unit freshd.service")


# -- alerts -----------------------------------------------------------------------------------------------------------


def test_parking_runs_the_alert_command_with_the_remedy_and_healing_runs_it_with_cleared(
    watched: Machine, service: Service, row: Row
) -> None:
    service.ask("POST", "/kill_lineage", {"label": "mail"})
    watched.run("freshd", "refresh", "mail", check=False)
    raised = until("raised", lambda: told(watched, "raised", "account.parked"))
    assert "do        freshd enrol mail" in raised
    assert "since     20" in raised
    watched.run("systemctl", "restart", "freshd-alerts")
    watched.run("freshd", "enrol", "mail", "--import", text=service.mint("mail"))
    cleared = until("cleared", lambda: told(watched, "cleared", "account.parked"))
    assert "event     account.parked (invalid_grant)" in cleared
    assert watched.said("freshd-alerts").count("raised    mail: only a person") == 1
    row("the grant is killed at the service: account.parked", f"alert command ran: {one_line(raised)}")
    row("its listener restarted, then enrolled anew", f"told once only; {one_line(cleared)}")


def test_a_daemon_that_dies_is_told_of_and_its_return_too(watched: Machine, row: Row) -> None:
    since = watched.now()
    watched.run("kill", "-KILL", watched.show("freshd", "MainPID"))
    raised = until("raised", lambda: told(watched, "raised", "daemon.failed", since))
    until("cleared", lambda: told(watched, "cleared", "daemon.failed", since))
    assert "do        journalctl -u freshd" in raised
    until("it serves", lambda: settled(watched))
    row("freshd itself is killed", f"alert command ran: {one_line(raised)}; then cleared")


# -- who may read -----------------------------------------------------------------------------------------------------


def test_readers_are_let_in_by_user_and_by_unit_under_the_shipped_unit(installed: Machine, row: Row) -> None:
    seen = {
        "user ann, who is named": token(installed, *installed.as_user("ann")).returncode,
        "user bob, who is not": token(installed, *installed.as_user("bob")).returncode,
        "root, who is not": token(installed).returncode,
        "user carl, who may not connect": token(installed, *installed.as_user("carl")).returncode,
        "unit reader.service of bob, which is named": token(
            installed, *installed.as_unit("reader.service", "bob")
        ).returncode,
        "unit other.service of bob, which is not": token(
            installed, *installed.as_unit("other.service", "bob")
        ).returncode,
    }
    assert list(seen.values()) == [0, 77, 77, 69, 0, 77], seen
    for who, code in seen.items():
        row(f"reader: {who}", {0: "token", 77: "denied", 69: "cannot connect"}[code])


@pytest.mark.parametrize(
    ("line", "by_user", "by_unit"),
    [("PrivateUsers=yes", 77, 77), ("ProtectProc=invisible", 0, 77)],
)
def test_what_the_unit_leaves_out_would_blind_it(
    installed: Machine, row: Row, line: str, by_user: int, by_unit: int
) -> None:
    with changed(installed, line):
        until("up", lambda: installed.show("freshd", "ActiveState") == "active")
        user = token(installed, *installed.as_user("ann"))
        unit = token(installed, *installed.as_unit("reader.service", "bob"))
    words = {0: "let in", 77: "denied"}
    row(f"drop-in {line}", f"the named user {words.get(user.returncode)}, the named unit {words.get(unit.returncode)}")
    assert (user.returncode, unit.returncode) == (by_user, by_unit), (user.stderr, unit.stderr)


def test_a_proc_without_the_kernel_s_settings_would_hide_which_uid_and_which_boot_it_is(
    installed: Machine, row: Row
) -> None:
    """What a caller's cgroup says stays readable on this kernel; by what a uid without a number is known does not."""
    needed = ("/proc/sys/kernel/overflowuid", "/proc/sys/kernel/random/boot_id")
    with changed(installed, "ProcSubset=pid"):
        pid = until("up", lambda: installed.show("freshd", "MainPID"))
        hidden = [installed.run("nsenter", f"--target={pid}", "--mount", "cat", path, check=False) for path in needed]
    assert [run.returncode for run in hidden] == [1, 1]
    pid = installed.show("freshd", "MainPID")
    assert all(installed.run("nsenter", f"--target={pid}", "--mount", "cat", path).stdout for path in needed)
    row("drop-in ProcSubset=pid", "neither the overflow uid nor the boot id can be read")
