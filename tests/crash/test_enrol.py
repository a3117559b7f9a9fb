"""From an empty vault: an enrolment spends nothing of what it obtained, and survives a kill -9 at once."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from freshd.cli.verbs import cli
from tests.crash.scene import ACCOUNT, Process, Scene
from tests.host.oidc_provider.bed import PUBLIC, OidcProvider
from tests.host.oidc_provider.browser import Browser
from tests.host.oidc_provider.ledger import Call

pytestmark = pytest.mark.part("oidc-provider")

ACCESS_SECONDS: Final = 300
SOON: Final = "margins = { fraction = 0.98, jitter = 0.0 }"
"""The first scheduled refresh comes 6 s after the enrolment."""
LATE: Final = "margins = { fraction = 0.1, jitter = 0.0 }"
"""Or long after the test."""
TIMES: Final = 100
DIAGNOSES: Final = (["doctor"], ["doctor", ACCOUNT], ["status"], ["status", ACCOUNT], ["check"], ["explain", ACCOUNT])
PATIENCE_SECONDS: Final = 20.0

Enrol = Callable[[Scene, Process], None]


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with OidcProvider(access_ttl_s=ACCESS_SECONDS) as bed:
        yield bed


@pytest.fixture
def scene(provider: OidcProvider) -> Iterator[Scene]:
    with Scene("sealed") as made:
        configure(made, provider, SOON)
        yield made


def configure(scene: Scene, provider: OidcProvider, margins: str) -> None:
    wishes = ['scope = "openid offline_access"', 'authorize_parameters = { prompt = "consent" }']
    scene.configure({ACCOUNT: [f'issuer = "{provider.issuer}"', f'client_id = "{PUBLIC}"', *wishes, margins]})


def by_verbs(scene: Scene, daemon: Process) -> None:
    begun = daemon.operate("enrol-begin", flow="code", redirect_uri="http://127.0.0.1:49999/callback")
    arrival = Browser("ann", deliver=False).open(begun["url"])
    assert daemon.operate("enrol-finish", session=begun["session"], **arrival.query)["done"]


def by_command(scene: Scene, daemon: Process) -> None:
    program = Path(sys.executable).with_name("freshd")
    command = [str(program), "--config", str(scene.config), "enrol", ACCOUNT, "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as enrolling:
        assert enrolling.stdout is not None
        said = []
        for line in enrolling.stdout:
            said.append(line)
            if "http" in line and "?" in line:
                Browser("ann").open(line[line.index("http") :].split()[0])
        assert enrolling.wait(PATIENCE_SECONDS) == 0, said


def until(true: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < give_up_at
        time.sleep(0.05)


def of_type(calls: list[Call], grant_type: str) -> list[Call]:
    return [call for call in calls if call["grant_type"] == grant_type]


@pytest.mark.parametrize("enrol", [by_verbs, by_command])
def test_an_enrolment_survives_a_kill_at_once(scene: Scene, provider: OidcProvider, enrol: Enrol) -> None:
    before = provider.last_seq
    daemon = scene.daemon().wait_ready()
    assert daemon.view()["generation"] == 0

    enrol(scene, daemon)
    daemon.kill()
    calls = provider.calls(after=before)
    assert len(of_type(calls, "authorization_code")) == 1
    assert of_type(calls, "refresh_token") == []

    daemon = scene.daemon().wait_ready()
    enrolled = daemon.view()
    assert enrolled["generation"] == 1
    assert enrolled["usable_until"] is not None
    until(lambda: daemon.view()["generation"] == 2)
    refreshes = of_type(provider.calls(after=before), "refresh_token")
    assert [call["status"] for call in refreshes] == [200]
    assert refreshes[0]["presented"] == calls[-1]["issued"]


def test_diagnosis_never_spends(scene: Scene, provider: OidcProvider) -> None:
    """In this process: starting 600 of them would test the interpreter."""
    configure(scene, provider, LATE)
    daemon = scene.daemon().wait_ready()
    by_verbs(scene, daemon)
    before = provider.last_seq
    runner = CliRunner()
    for _ in range(TIMES):
        for verb in DIAGNOSES:
            done = runner.invoke(cli, ["--config", str(scene.config), *verb])
            assert done.output, verb
            assert done.exit_code == 0 or verb == ["doctor"], done.output
    assert provider.last_seq == before
    assert daemon.view()["generation"] == 1
