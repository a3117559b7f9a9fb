"""The folder's README names what there is."""

import dataclasses
import re
from pathlib import Path

import freshd.sandbox
from freshd.sandbox.control import Control
from freshd.sandbox.fault_queue import CATALOGUE
from freshd.sandbox.policy import Policy
from freshd.sandbox.server import Running

FOLDER = Path(freshd.sandbox.__file__).parent
TEXT = (FOLDER / "README.md").read_text(encoding="utf-8")


def test_it_names_every_file() -> None:
    assert {path.name for path in FOLDER.glob("[a-z]*.py")} == set(re.findall(r"`(\w+\.py)`", TEXT))


def test_it_names_every_fault_with_its_settings() -> None:
    table = TEXT.partition("### Faults")[2]
    for name, kind in CATALOGUE.items():
        row = next(line for line in table.splitlines() if line.startswith("|") and f"`{name}`" in line)
        fields = dataclasses.fields(kind)  # type: ignore[arg-type] # every fault is a dataclass
        assert all(f"`{field.name}`" in row for field in fields if field.init), row


def test_it_names_every_call_of_the_control_port(running: Running) -> None:
    calls = {f"{route.method} {route.path}" for route in Control(running.service).routes()}
    assert calls == set(re.findall(r"^\| `([A-Z]+ /[^`]*)`", TEXT, re.MULTILINE))


def test_it_names_every_field_of_the_policy() -> None:
    part = TEXT.partition("### Policy")[2].partition("###")[0]
    assert all(f"`{field.name}`" in part for field in dataclasses.fields(Policy))
