"""`freshd vault rotate-key` and `freshd vault move` on the real daemon, by the real command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.services import Sandbox
from tests.flow.bed import Bed, account, enrol, lease_of


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    with Sandbox() as service:
        yield service


@pytest.mark.timeout(90)
def test_the_key_is_rotated_and_moved_while_the_daemon_goes_on(tmp_path: Path, service: Sandbox) -> None:
    with Bed(tmp_path) as bed:
        bed.write(*account("mail", service))
        process = bed.up()
        enrol(process, service, "mail")
        before = bed.key.read_text()
        rotated = bed.run("vault", "rotate-key")
        assert (rotated.code, "rotate-key: done" in rotated.out) == (0, True)
        assert bed.key.read_text() != before
        other = bed.folder / "other"
        bed.write(
            *account("mail", service),
            head=bed.head(('placement = "sealed"', 'custodian = "key-file"', f'key_file = "{other}"')),
        )
        told = bed.hang_up(process, event="config.needs-restart")
        assert "freshd vault move" in told["remedy"]
        moved = json.loads(bed.run("vault", "move", "--json").out)
        assert (moved["done"], moved["custodian"]) == (True, f"key-file {other}")
        assert moved["commands"] == [f"rm {bed.key}"]
        bed.key.unlink()
        process.operate("refresh", "mail")
        assert lease_of(process, "mail")
        process.stop()
        assert lease_of(bed.up(), "mail")
        names = ["vault.key-rotating", "vault.key-rotated", "vault.moving", "vault.moved"]
        assert [event["event"] for event in bed.events() if event["event"] in names] == names
        assert before.strip() not in bed.log.read_text()


@pytest.mark.timeout(60)
def test_a_move_to_where_all_is_already_changes_nothing(tmp_path: Path, service: Sandbox) -> None:
    with Bed(tmp_path) as bed:
        bed.write(*account("mail", service))
        bed.up()
        key = bed.key.read_text()
        assert "move: done" in bed.run("vault", "move").out
        assert bed.key.read_text() == key
