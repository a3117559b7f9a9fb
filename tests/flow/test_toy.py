"""A provider of somebody's own: installed beside freshd, named by an entry point, tried on a stand-in of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.clock import SystemClock
from freshd.core.model import EMPTY, Binding, Grant, Intent, Moment, Record, Secret
from freshd.core.outcome import Answered, Rejected, Reply, Unreadable
from freshd.core.profile import Profile
from freshd.core.settings import AccountSettings, Readers
from freshd.providers import registry
from freshd.references import References
from tests.crash.services import ROOT, Sandbox
from tests.flow.bed import Bed, lease_of, until
from tests.toy import lighthouse

TOY = str(ROOT / "tests" / "toy")
NOW = Moment(1_800_000_000.0, 1000.0, "boot")
BOUND = Binding("lighthouse", "http://127.0.0.1:1", "north")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setenv("PYTHONPATH", TOY)
    with Sandbox("lighthouse_stand:mount") as sandbox:
        yield sandbox


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    with Bed(tmp_path, {"PYTHONPATH": TOY}) as made:
        yield made


def account(url: str) -> list[str]:
    lines = ["[accounts.north]", 'kind = "lighthouse"', f'url = "{url}"', "allow_short_lived = true"]
    return [*lines, f"readers = {{ users = [{os.geteuid()}] }}"]


def test_an_account_of_a_kind_of_ones_own_is_renewed_and_survives_a_kill(service: Sandbox, bed: Bed) -> None:
    bed.write(*account(service.issuer))
    daemon = bed.up()
    daemon.operate("import", "north", secrets={"key": str(service.ask("POST", "/lighthouse/mint", {})["key"])})
    first = until("a lease", lambda: daemon.view("north")["usable_until"] and lease_of(daemon, "north"))
    until("another lease", lambda: lease_of(daemon, "north") != first)
    daemon.kill()
    again = bed.up()
    before = again.view("north")["generation"]
    until("a lease after the kill", lambda: again.view("north")["generation"] > before)
    assert service.ask("GET", "/lighthouse/counters")["spent_uses"] == 0
    assert again.view("north")["unproven"]


def test_a_lost_answer_is_doubt_and_no_key_is_presented_twice_without_saying_so(service: Sandbox, bed: Bed) -> None:
    bed.write(*account(service.issuer))
    daemon = bed.up()
    service.ask("POST", "/faults", {"fault": "lost_after_commit", "endpoint": "light", "count": 1})
    daemon.operate("import", "north", secrets={"key": str(service.ask("POST", "/lighthouse/mint", {})["key"])})
    until("parked", lambda: daemon.view("north")["phase"] == "parked")
    assert bed.events("doubt.opened", "north")
    assert len(bed.events("doubt.replayed", "north")) == service.ask("GET", "/lighthouse/counters")["spent_uses"] == 1
    assert daemon.view("north")["remedy"] == "freshd enrol north"


def test_bad_keys_in_the_configuration_are_told_by_line(bed: Bed) -> None:
    bed.write("[accounts.north]", 'kind = "lighthouse"', 'url = "http://elsewhere.example"', "lamp = 1")
    said = bed.run("check")
    assert said.code == 78
    assert "accounts.north.lamp: " in said.text
    assert "elsewhere.example" not in said.text


def test_a_kind_that_is_nowhere_is_told_with_those_there_are(bed: Bed) -> None:
    bed.write("[accounts.north]", 'kind = "lamp"')
    said = bed.run("check")
    assert said.code == 78
    assert "lighthouse" in said.text


def test_a_kind_whose_package_is_broken_names_the_package(tmp_path: Path) -> None:
    info = tmp_path / "broken-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[freshd.kinds]\nlamp = nowhere:KIND\n")
    with Bed(tmp_path, {"PYTHONPATH": str(tmp_path)}) as made:
        made.write("[accounts.north]", 'kind = "lamp"')
        said = made.run("check")
    assert said.code == 78
    assert "the kind lamp of the package broken cannot be imported: ModuleNotFoundError" in said.text


# -- the reader, as every provider's is tested ------------------------------------------------------------------------


def provider() -> lighthouse.Lighthouse:
    options = {"url": "http://127.0.0.1:1"}
    settings = AccountSettings("north", "lighthouse", Readers(), Profile("generic", "lighthouse"), options, BOUND)
    deps = registry.shared(References().resolve, SystemClock())
    return lighthouse.Lighthouse(settings, deps)


RECORD = Record("north", 1, Grant("one", BOUND, {"key": Secret("k-1")}, NOW, NOW))
INTENT = Intent("f", "north", "light", "one", 1, NOW, EMPTY)


@given(st.binary(), st.integers(100, 599), st.booleans())
def test_no_bytes_make_the_reader_raise(body: bytes, status: int, complete: bool) -> None:
    judged = provider().read("light", RECORD, INTENT, Reply(status, (), body, complete))
    assert isinstance(judged, Answered | Rejected | Unreadable)


def test_I3_a_new_key_is_kept_whatever_else_the_answer_lacks() -> None:
    judged = provider().read("light", RECORD, INTENT, Reply(200, (), b'{"next_key": "k-2", "light": ""}'))
    assert isinstance(judged, Answered)
    grant = judged.changes[0].grant
    assert grant is not None
    assert grant.secrets["key"] == Secret("k-2")
    assert judged.changes[0].lease is None
