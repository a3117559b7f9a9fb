"""The demo itself, for real: its exit status tells the truth, and it leaves nothing behind."""

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from freshd.cli.demo.aun import AUN_NAMES
from freshd.cli.demo.broker import why_not
from freshd.cli.demo.cloudbase import CLOUD_NAMES
from freshd.cli.demo.futu import FUTU_NAMES
from freshd.cli.demo.mqtt import MQTT_NAMES
from freshd.cli.demo.score import JSON_NAMES

ROOT = Path(__file__).parents[2]
DEADLINE_S = 120
"""A run of 20 s takes 35 s on a quiet machine; a fault waits for the one before it to be over."""


OTHERS = {"feishu-user", "feishu-app", "front-desk", "kiosk"}


def run(folder: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """One run with a temporary folder of its own."""
    done = subprocess.run(
        [ROOT / "scripts" / "demo", "--for", "20", "--json", *arguments],
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    lines = done.stdout.splitlines()
    return done, json.loads(lines[-1]) if lines else {}


def started_in(folder: Path) -> list[str]:
    """Processes that run with this temporary folder."""
    mark, found = f"TMPDIR={folder}".encode(), []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in environ.read_bytes().split(b"\0"):
                found.append(environ.parent.name)
        except OSError:
            continue
    return found


@pytest.mark.timeout(DEADLINE_S + 10)
def test_the_demo_shows_what_it_promises(tmp_path: Path) -> None:
    done, document = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert document["ok"] is True
    assert document.keys() == {"ok", "accounts"}
    accounts = document["accounts"]
    at_futu = {account["name"]: account for account in accounts if account["name"].startswith("futu")}
    more: dict[str, tuple[str, ...]] = {"agent": AUN_NAMES, "cloud-bot": CLOUD_NAMES, "cloud-guest": CLOUD_NAMES}
    more |= dict.fromkeys(at_futu, FUTU_NAMES) | ({} if why_not() else {"meter": MQTT_NAMES})
    usual = [account for account in accounts if account["name"] not in more]
    assert len([account for account in usual if account["name"] not in OTHERS]) >= 8
    assert {account["name"] for account in accounts} >= more.keys() | OTHERS
    assert all(tuple(account) == JSON_NAMES + more.get(account["name"], ()) for account in accounts)
    others = [account for account in accounts if not account["expected_parked"]]
    assert len(others) == len(accounts) - 1
    assert {account["name"]: account["gap_s"] for account in others if not account["heals"] and account["gap_s"]} == {}
    assert all(account["gap_s"] <= account["heals"] for account in others), "a heal takes at most a second"
    assert sum(account["spent_uses"] for account in accounts) == 0
    assert sum(account["heals"] for account in accounts) > 0
    assert len(at_futu) == 3
    for account in at_futu.values():
        assert account["repulls"] >= 1
        assert account["authority_calls"] >= 1
        assert (account["authority_too_soon"], account["sms"]) == (0, 0)
    by_name = {account["name"]: account for account in accounts}
    assert by_name["agent"]["logins"] >= 2
    assert by_name["agent"]["sessions_ended"] >= 2
    assert by_name["cloud-bot"]["signins"] >= 2
    assert done.stdout.count("service.refusing") == 1
    assert ("meter" in by_name) == ("Not shown: " not in done.stdout) == (not why_not())
    if "meter" in by_name:
        assert by_name["meter"]["rotations"] >= 2
        assert by_name["meter"]["events"] > 0
        assert by_name["meter"]["events_lost"] == 0
    for said in ("20029", "next it takes the way called repull, after 990003", "trading connection is logged in again"):
        assert said in done.stdout
    for said in ("Custodian: ", "placement: ", "kill -9", "a storm", "PARKED", "expected to be parked"):
        assert said in done.stdout
    assert not list(tmp_path.iterdir())
    assert not started_in(tmp_path)


BROKEN = {
    "20029-for-ever": "futu-us was told 20029, and no new code was had and taken",
    "deaf": "futu-hk: no refused signature was reported and the connection logged in again with another one",
    "second-login": "Futu was sent ",
    "second-feishu": "feishu-user",
    "no-store": "GeniusAuth's store of logins never failed",
    "store-for-ever": "GeniusAuth never answered again after its store had failed",
    "no-session": "agent: the gateway never ended its login",
    "slot-taken": "agent is not logged in at its gateway at the end",
    "no-stranger": "nobody else signed in at CloudBase",
    "fight": "cloud-bot: its session was ended by a stranger, and no sign-in made another one",
    "no-rotation": "meter: the broker's password changed ",
    "wrong-password": "meter: its login at the broker was not had again",
    "no-restart": "the daemon was killed and did not come back",
}


AT_THE_BROKER = ("no-rotation", "wrong-password")
AT_ONCE = 2
"""A run waits most of the time, and one that is to end red may be late with anything else."""


class Sabotages:
    """Runs that are broken on purpose, side by side: all are begun as soon as one is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._begun = {name: self._pool.submit(self._run, name) for name in BROKEN if not self.why_not(name)}

    @staticmethod
    def why_not(name: str) -> str:
        """What the machine lacks for it; empty where nothing is missing."""
        return why_not() if name in AT_THE_BROKER else ""

    def _run(self, name: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
        self.folder(name).mkdir()
        return run(self.folder(name), "--no-keyring", "--sabotage", name)

    def folder(self, name: str) -> Path:
        """Where that run has its files."""
        return self._folder / name

    def result(self, name: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
        """What came of it."""
        return self._begun[name].result()

    def close(self) -> None:
        """Begin no more, and wait for those under way."""
        self._pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def sabotages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sabotages]:
    made = Sabotages(tmp_path_factory.mktemp("sabotages"))
    yield made
    made.close()


@pytest.mark.parametrize("sabotage", BROKEN)
@pytest.mark.timeout(len(BROKEN) * DEADLINE_S)
def test_what_is_broken_turns_the_demo_red(sabotages: Sabotages, sabotage: str) -> None:
    if lacking := sabotages.why_not(sabotage):
        pytest.skip(f"this machine has no {lacking}")
    done, document = sabotages.result(sabotage)
    assert done.returncode == 1, done.stdout + done.stderr
    assert document["ok"] is False
    failures = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert any(BROKEN[sabotage] in failure for failure in failures), failures
    assert not list(sabotages.folder(sabotage).iterdir())
    assert not started_in(sabotages.folder(sabotage))


def test_wrong_usage_is_told_before_anything_is_started(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "demo", "--for", "3"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "20" in done.stderr
