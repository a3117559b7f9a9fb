"""The catalogue of events and the code that emits them say the same."""

import ast
from collections.abc import Iterator
from pathlib import Path

from freshd.core.catalogue import CATALOGUE
from freshd.core.events import Severity

PACKAGE = Path(__file__).parents[2] / "daemon" / "freshd"


def trees() -> Iterator[tuple[Path, ast.AST]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name != "catalogue.py" and "sandbox" not in path.parts:
            yield path, ast.parse(path.read_text())


def emitted() -> Iterator[tuple[str, str]]:
    """Names given to Event(...) as a literal, with where."""
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Event" and node.args:
                for part in ast.walk(node.args[0]):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield part.value, f"{path.relative_to(PACKAGE)}:{node.lineno}"


def literals() -> set[str]:
    return {
        node.value
        for _, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_emitted_event_stands_in_the_catalogue() -> None:
    missing = {name: where for name, where in emitted() if name not in CATALOGUE}
    assert missing == {}


def test_every_event_of_the_catalogue_is_emitted_somewhere() -> None:
    assert set(CATALOGUE) - literals() == set()


def test_what_an_event_clears_stands_in_the_catalogue() -> None:
    cleared = {name.partition(":")[0] for entry in CATALOGUE.values() for name in entry.clears}
    assert cleared <= set(CATALOGUE)


def test_every_alert_has_a_remedy_of_its_own_or_from_the_code() -> None:
    told_with_remedy = {"doubt.opened"}  # nothing to do yet; account.parked follows with the command
    bare = {name for name, entry in CATALOGUE.items() if entry.severity is Severity.ALERT and not entry.remedy}
    assert bare == told_with_remedy
