"""The units that are shipped: what systemd's own tools say of them, and what they promise together with the code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Final

import pytest

from freshd.cli.alerting.command import DEADLINE_SECONDS as COMMAND_SECONDS
from freshd.config import Surroundings, load
from freshd.flight import DEADLINE_SECONDS
from freshd.providers.profiles import packaged
from freshd.supervisor import PERSIST_SECONDS
from freshd.ticks import TICK_SECONDS
from tests import alert_rules
from tests.config_schema import KINDS

ROOT: Final = Path(__file__).parents[2]
SYSTEMD: Final = ROOT / "systemd"
ALERTS: Final = ROOT / "config" / "alerts"
SYSTEM: Final = (SYSTEMD / "freshd.service", SYSTEMD / "freshd.socket", SYSTEMD / "freshd-key.service",
                 ALERTS / "freshd-alerts.service")  # fmt: skip
USER: Final = (SYSTEMD / "freshd-user" / "freshd.service", SYSTEMD / "freshd-user" / "freshd.socket")
DAEMONS: Final = (SYSTEM[0], USER[0])
BLINDING: Final = ("PrivateUsers", "ProtectProc", "ProcSubset")
MOST_EXPOSED: Final = 1.7
NEEDED: Final = ("opt/freshd/bin/freshd", "opt/freshd/bin/freshd-key", "bin/kill", "etc/freshd/alert")


def lines(unit: Path) -> list[tuple[str, str]]:
    """Key and value of every line that is in force."""
    found = (line.partition("=") for line in unit.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return [(key, value) for key, equals, value in found if equals]


def value(unit: Path, key: str) -> str:
    [found] = [value for name, value in lines(unit) if name == key]
    return found


def seconds(unit: Path, key: str) -> float:
    text = value(unit, key)
    return float(text.removesuffix("ms")) / 1000 if text.endswith("ms") else float(text)


# -- systemd's own tools ----------------------------------------------------------------------------------------------


def verify(*words: str, **environ: str) -> tuple[int, str]:
    run = subprocess.run(
        ["systemd-analyze", "verify", *words], env={**os.environ, **environ},
        capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip
    return run.returncode, run.stderr


def install(root: Path, *programs: str) -> None:
    for program in programs:
        (path := root / program).parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o755)


@pytest.mark.part("systemd")
def test_systemd_finds_nothing_wrong_with_the_units_of_the_machine(tmp_path: Path) -> None:
    """On a root of their own: the programs and targets that they name must exist."""
    shutil.copytree("/usr/lib/systemd/system", tmp_path / "usr/lib/systemd/system", symlinks=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    install(tmp_path, *NEEDED)
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    for unit in SYSTEM:
        shutil.copy(unit, units)
    assert verify(f"--root={tmp_path}", *(unit.name for unit in SYSTEM)) == (0, "")


@pytest.mark.part("systemd")
def test_systemd_finds_nothing_wrong_with_the_units_of_a_user(tmp_path: Path) -> None:
    install(tmp_path, ".local/bin/freshd")
    home = str(tmp_path)
    assert verify("--user", *map(str, USER), HOME=home, XDG_RUNTIME_DIR=home) == (0, "")


@pytest.mark.part("systemd")
@pytest.mark.parametrize("unit", [SYSTEM[0], SYSTEM[3]], ids=lambda unit: unit.name)
def test_a_service_that_runs_for_ever_is_hardly_exposed(unit: Path) -> None:
    run = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(unit)],
        capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", run.stdout)
    assert found, run.stderr
    assert float(found[1]) <= MOST_EXPOSED


# -- together with the code -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", DAEMONS, ids=["system", "user"])
def test_a_stop_waits_longer_than_an_exchange_and_its_writing(unit: Path) -> None:
    assert seconds(unit, "TimeoutStopSec") > DEADLINE_SECONDS + PERSIST_SECONDS


def test_a_stop_of_the_listener_waits_for_the_command_that_is_running() -> None:
    assert seconds(SYSTEM[3], "TimeoutStopSec") > COMMAND_SECONDS


@pytest.mark.parametrize("unit", DAEMONS, ids=["system", "user"])
def test_the_watchdog_is_more_patient_than_a_tick(unit: Path) -> None:
    assert seconds(unit, "WatchdogSec") > TICK_SECONDS
    assert value(unit, "Type") == "notify"


@pytest.mark.parametrize("unit", [*DAEMONS, SYSTEM[2]], ids=["system", "user", "key"])
def test_I10_what_has_secrets_in_memory_is_neither_dumped_nor_swapped_out(unit: Path) -> None:
    assert (value(unit, "LimitCORE"), value(unit, "MemorySwapMax")) == ("0", "0")
    explained = (SYSTEMD / "README.md").read_text(encoding="utf-8")
    assert "`LimitCORE=0`, `MemorySwapMax=0`" in explained
    assert "hibernation" in explained


@pytest.mark.parametrize("unit", DAEMONS, ids=["system", "user"])
@pytest.mark.parametrize("key", BLINDING)
def test_what_would_blind_freshd_to_its_callers_is_left_out_and_explained(unit: Path, key: str) -> None:
    assert key not in dict(lines(unit))
    assert f"{key}=" in DAEMONS[0].read_text(encoding="utf-8")
    assert key in (SYSTEMD / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("unit", DAEMONS, ids=["system", "user"])
def test_ten_kills_within_a_minute_do_not_reach_the_limit_of_starts(unit: Path) -> None:
    assert int(value(unit, "StartLimitBurst")) > 10 * seconds(unit, "StartLimitIntervalSec") / 60
    assert value(unit, "Restart") == "always"


def test_the_group_of_the_socket_is_one_that_is_made() -> None:
    made = (SYSTEMD / "freshd.sysusers").read_text(encoding="utf-8")
    assert f"\ng {value(SYSTEM[1], 'SocketGroup')} " in made
    assert f"\nu {value(SYSTEM[0], 'User')} " in made


@pytest.mark.parametrize(("name", "unit"), [("system", SYSTEM[0]), ("user", USER[0])])
def test_a_configuration_that_is_shipped_is_valid_and_fits_its_units(name: str, unit: Path, tmp_path: Path) -> None:
    path = ROOT / "config" / f"freshd.{name}.toml"
    (tmp_path / "state").mkdir()
    here = {"STATE_DIRECTORY": f"{tmp_path}/state", "XDG_RUNTIME_DIR": str(tmp_path), "LISTEN_FDS": "1", "HOME": "/"}
    text = path.read_text(encoding="utf-8").replace("/var/lib/freshd-anchor", str(tmp_path))
    (copy := tmp_path / "freshd.toml").write_text(text)
    settings = load(copy, KINDS, packaged(), Surroundings(here, uid=1000))
    assert settings.accounts == ()
    if name == "system":
        assert str(settings.socket.path) == value(SYSTEM[1], "ListenStream")
        named = settings.vault.credential
        assert [one for key, one in lines(unit) if key == "LoadCredentialEncrypted"] == [named, f"{named}-next"]
        assert "freshd-anchor" in value(unit, "StateDirectory").split()


@pytest.mark.parametrize("name", ["system", "user"])
def test_the_account_that_a_configuration_shows_is_valid_too(name: str, tmp_path: Path) -> None:
    text = (ROOT / "config" / f"freshd.{name}.toml").read_text(encoding="utf-8")
    shown = re.sub(r"^#(\[accounts|\w+ = )", r"\1", text[text.index("#[accounts") :], flags=re.MULTILINE)
    account = tomllib.loads(shown)["accounts"]["mail"]
    assert account.keys() == {"kind", "profile", "client_id", "client_secret", "scope", "readers"}


def test_the_rules_of_alerting_are_what_the_catalogue_says() -> None:
    text = (ALERTS / "rules.toml").read_text(encoding="utf-8")
    assert text == alert_rules.text(), "run scripts/schema"
    assert tomllib.loads(text)["rule"]


# -- the maker of the key ---------------------------------------------------------------------------------------------

CREDS: Final = """#!/bin/sh
# A stand-in: "sealed" is hex.
case "$1 $*" in
    *"--with-key=host"*) eval "out=\\${$#}"; od -An -tx1 >"$out" ;;
    *) shift; name=$1; grep -q . "$2" && ! grep -q broken "$2" && cat "$2" ;;
esac
"""


@pytest.fixture
def make_key(tmp_path: Path) -> Path:
    (tmp_path / "systemd-creds").write_text(CREDS)
    (tmp_path / "systemd-creds").chmod(0o755)
    (tmp_path / "state").mkdir()
    return tmp_path


def run_maker(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": f"{folder}:{os.environ['PATH']}", "FRESHD_CREDSTORE": f"{folder}/store"}
    return subprocess.run(
        [SYSTEMD / "freshd-key", *words], env={**environ, "FRESHD_STATE": f"{folder}/state"},
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip


def test_a_key_is_made_where_there_is_none_and_left_alone_from_then_on(make_key: Path) -> None:
    key = make_key / "store" / "freshd-vault-key"
    assert run_maker(make_key).returncode == 0
    first = key.read_text()
    assert len(bytes.fromhex("".join(first.split()))) == 32
    assert (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [path.name for path in key.parent.iterdir()] == [key.name]
    for words in ((), ("--anew",)):
        assert run_maker(make_key, *words).returncode == 0
        assert key.read_text() == first


def test_no_key_is_made_for_a_vault_that_is_there(make_key: Path) -> None:
    (make_key / "state" / "journal.db").write_text("sealed")
    run = run_maker(make_key)
    assert run.returncode == 1
    assert "was sealed under it\n  remedy: bring it back" in run.stderr
    assert not (make_key / "store").exists()
    assert run_maker(make_key, "--anew").returncode == 0


def test_a_key_that_cannot_be_decrypted_is_named_and_left_alone(make_key: Path) -> None:
    (make_key / "store").mkdir()
    (key := make_key / "store" / "freshd-vault-key").write_text("broken")
    run = run_maker(make_key, "--anew")
    assert run.returncode == 1
    assert "cannot be decrypted on this machine\n  remedy: bring back" in run.stderr
    assert key.read_text() == "broken"


def test_an_option_that_is_not_there_makes_nothing(make_key: Path) -> None:
    assert run_maker(make_key, "--force").returncode == 1
    assert not (make_key / "store").exists()
