"""Each invariant of the design (I1 to I12) has a test that is named after it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
NAMED = re.compile(r"^ *(?:async )?def (test_(?:I\d+_)+\w+)", re.MULTILINE)
INVARIANTS = [f"I{number}" for number in range(1, 13)]


def named_tests() -> dict[str, list[str]]:
    """Invariant → the tests whose names begin with it, several invariants in one name included."""
    found: dict[str, list[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        for name in NAMED.findall(path.read_text(encoding="utf-8")):
            for invariant in re.findall(r"(?<=_)I\d+(?=_)", name):
                found.setdefault(invariant, []).append(f"{path.relative_to(TESTS)}::{name}")
    return found


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_every_invariant_has_a_test_of_its_name(invariant: str) -> None:
    assert named_tests().get(invariant), f"write a test named test_{invariant}_…"


def test_no_test_names_an_invariant_that_does_not_exist() -> None:
    assert named_tests().keys() <= set(INVARIANTS)
