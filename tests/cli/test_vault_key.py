"""What a person reads of a rotation of the key, and of a move."""

import json

import pytest

from freshd.errors import NotPossible
from tests.cli.conftest import Engine, Freshd

ROTATED = {"verb": "rotate-key", "done": True, "custodian": "drawer", "resealed": 12, "kept": 0}
WAITING = {
    "verb": "move", "done": False, "placement": "sealed", "custodian": "key-file /k", "moved": 3, "left": 2,
    "why": "the drawer is locked", "remedy": "open it; freshd goes on by itself",
}  # fmt: skip


async def test_a_rotation_tells_what_came_of_it(engine: Engine, freshd: Freshd) -> None:
    engine.script["rotate-key"] = [ROTATED]
    result = await freshd("vault", "rotate-key")
    assert result.exit_code == 0
    assert "rotate-key: done" in result.stdout
    assert "resealed  12" in result.stdout
    assert json.loads((await freshd("vault", "rotate-key", "--json")).stdout) == ROTATED
    assert [(verb, dict(args)) for verb, _, args in engine.operations] == [("rotate-key", {})] * 2


async def test_commands_that_are_left_to_a_person_are_told(engine: Engine, freshd: Freshd) -> None:
    engine.script["rotate-key"] = [{**ROTATED, "commands": ["mv a b", "systemctl restart freshd"]}]
    lines = (await freshd("vault", "rotate-key")).stdout.splitlines()
    assert [line for line in lines if line.startswith("then")] == [
        "then      mv a b",
        "then      systemctl restart freshd",
    ]


async def test_a_move_that_waits_says_for_what_and_ends_as_a_temporary_failure(engine: Engine, freshd: Freshd) -> None:
    engine.script["move"] = [WAITING]
    result = await freshd("vault", "move")
    assert result.exit_code == 75
    assert "move: not done yet" in result.stdout
    assert "left      2" in result.stdout
    assert "why       the drawer is locked" in result.stdout
    assert "remedy: open it" in result.stderr


@pytest.mark.parametrize("verb", ["rotate-key", "move"])
async def test_a_refusal_is_told_with_its_remedy(engine: Engine, freshd: Freshd, verb: str) -> None:
    engine.script[verb] = [NotPossible("move is under way", "wait for it")]
    result = await freshd("vault", verb)
    assert result.exit_code == 65
    assert "under way" in result.stderr
    assert "wait for it" in result.stderr


async def test_nothing_a_terminal_would_obey_is_printed(engine: Engine, freshd: Freshd) -> None:
    engine.script["move"] = [{**WAITING, "custodian": "key-file /k\x1b[2J"}]
    assert "\x1b" not in (await freshd("vault", "move")).stdout
