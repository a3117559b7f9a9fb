"""The direction of imports is a rule of the design; the contracts stand in pyproject.toml."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "daemon" / "freshd"

# Third parties that one place keeps to itself: module → where it may be imported, as paths in the package.
KEPT_TO = {
    "apscheduler": "alarms",
    "aiomqtt": ("channels", "outlets", "sandbox"),
    "keyring": "vault",
    "secretstorage": "vault",
    "sqlite3": "vault",
}


def imports_of(path: Path) -> Iterator[str]:
    """The top-level names of all modules that the file imports, at any depth of nesting."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def place_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_the_import_contracts_are_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=50)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_contract_says_what_the_design_says() -> None:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    downward = configuration["tool"]["importlinter"]["contracts"][0]
    order = [frozenset(layer.replace("(", "").replace(")", "").split(" | ")) for layer in downward["layers"]]
    position = {module: level for level, layer in enumerate(order) for module in layer}
    chain = ["cli", "app", "desk", "operators", "turn", "supervisor", "keeper", "exchange", "pacer", "ports", "core"]
    assert sorted(chain, key=position.__getitem__) == chain
    assert position["enrolment"] == position["operators"]
    adapters = ["providers", "vault", "api", "channels", "outlets", "alarms", "clock", "config", "log"]
    assert {position[module] for module in adapters} == {position["desk"]}


@pytest.mark.parametrize("folder", ["core", "client"])
def test_core_and_client_use_the_standard_library_and_themselves_only(folder: str) -> None:
    for path in (PACKAGE / folder).rglob("*.py"):
        foreign = {name for name in imports_of(path) if name not in sys.stdlib_module_names} - {"freshd"}
        assert not foreign, f"{path.relative_to(ROOT)} imports {foreign}"


def test_a_library_with_traps_is_imported_in_its_one_place_only() -> None:
    for path in PACKAGE.rglob("*.py"):
        for name in imports_of(path):
            assert place_of(path) in KEPT_TO.get(name, place_of(path)), f"{path.relative_to(ROOT)}: {name}"
