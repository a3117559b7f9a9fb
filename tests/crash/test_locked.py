"""A locked keyring is no reason to spend, to park or to restart: leases go on, and unlocking resumes the rest."""

import time
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.crash.scene import ACCOUNT, Process, Scene, Told
from tests.crash.services import Sandbox
from tests.host.keyring_bed import KeyringBed

pytestmark = pytest.mark.part("keyring")

ACCESS_SECONDS: Final = 30
PATIENCE_SECONDS: Final = 20.0


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    with Sandbox(access_seconds=ACCESS_SECONDS) as sandbox:
        yield sandbox


@pytest.fixture
def keyring() -> Iterator[KeyringBed]:
    with KeyringBed() as bed:
        yield bed


@pytest.fixture
def scene(keyring: KeyringBed, service: Sandbox) -> Iterator[Scene]:
    with Scene("keyring", keyring.env) as made:
        made.configure({ACCOUNT: service.settings(made.folder)})
        yield made


@pytest.fixture
def daemon(scene: Scene, service: Sandbox, request: pytest.FixtureRequest) -> Process:
    """A daemon with a lease, its grant at rest in the keyring."""
    started = scene.daemon().wait_ready()
    started.operate("import", secrets={"refresh_token": service.mint(request.node.name)})
    until(lambda: started.view()["generation"] == 2 and started.view()["settled"])
    return started


def until(true: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < give_up_at
        time.sleep(0.05)


def lease_of(daemon: Process) -> str:
    return str(daemon.ask("GET", f"/v1/tokens/{ACCOUNT}?wait=0")["access_token"])


def refreshes(service: Sandbox, label: str) -> int:
    return len(service.page(label).commits)


def test_locked_in_the_middle_the_lease_is_served_and_unlocking_is_enough(
    keyring: KeyringBed, daemon: Process, service: Sandbox, request: pytest.FixtureRequest
) -> None:
    lease = lease_of(daemon)
    keyring.lock()
    with daemon.begin("refresh"):
        until(lambda: daemon.view()["last_outcome"] == "keyring-unavailable")
    assert lease_of(daemon) == lease
    assert daemon.view()["phase"] != "parked"
    assert refreshes(service, request.node.name) == 1

    assert keyring.unlock()
    until(lambda: daemon.view()["generation"] == 3)
    assert lease_of(daemon) != lease
    until(lambda: bool(daemon.view()["settled"]))
    assert refreshes(service, request.node.name) == 2
    assert daemon.runs


def test_locked_at_the_start_it_is_up_and_waits_and_goes_on_by_itself(
    keyring: KeyringBed, scene: Scene, daemon: Process, service: Sandbox, request: pytest.FixtureRequest
) -> None:
    lease = lease_of(daemon)
    assert daemon.stop() == 0
    keyring.lock()

    again = scene.daemon().wait_ready()
    with pytest.raises(Told, match="503"):
        lease_of(again)
    assert refreshes(service, request.node.name) == 1

    assert keyring.unlock()
    until(lambda: again.view()["phase"] == "live")
    assert lease_of(again) == lease
    assert again.view()["reason"] is None
    again.operate("refresh")
    assert lease_of(again) != lease
    assert refreshes(service, request.node.name) == 2
    assert again.runs


def test_locked_between_answer_and_rest_the_journal_keeps_the_grant(
    keyring: KeyringBed, scene: Scene, service: Sandbox
) -> None:
    """Imported while the keyring is locked for writing: served at once, and settled when it opens."""
    daemon = scene.daemon().wait_ready()
    keyring.lock()
    daemon.operate("import", secrets={"refresh_token": service.mint("unsettled")})
    until(lambda: daemon.view()["generation"] == 2)
    assert lease_of(daemon)
    until(lambda: daemon.view()["settled"] is False)
    assert daemon.view()["phase"] == "live"

    assert keyring.unlock()
    until(lambda: bool(daemon.view()["settled"]))
    assert service.page("unsettled").spent_uses == 0
