"""The folder's README names what there is."""

import dataclasses
import re
from pathlib import Path

import freshd.sandbox
from freshd.sandbox.fault_queue import CATALOGUE
from freshd.sandbox.feishu.constants import FeishuConstants
from freshd.sandbox.futu.constants import FutuConstants
from freshd.sandbox.futu.levers import Thing
from freshd.sandbox.futu.script import OPERATIONS, Spoiler
from freshd.sandbox.futu.state import Platform
from freshd.sandbox.policy import Policy
from freshd.sandbox.server import Running

FOLDER = Path(freshd.sandbox.__file__).parent
TEXT = (FOLDER / "README.md").read_text(encoding="utf-8")


def test_it_names_every_file() -> None:
    files = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("[a-z]*.py")}
    assert files == set(re.findall(r"`([\w/]+\.py)`", TEXT))


def test_it_names_every_fault_with_its_settings() -> None:
    table = TEXT.partition("### Faults")[2]
    for name, kind in CATALOGUE.items():
        row = next(line for line in table.splitlines() if line.startswith("|") and f"`{name}`" in line)
        fields = dataclasses.fields(kind)  # type: ignore[arg-type] # every fault is a dataclass
        assert all(f"`{field.name}`" in row for field in fields if field.init), row


def test_it_names_every_call_of_the_control_port(running: Running) -> None:
    router = running._runners[1].app.router
    calls = {f"{route.method} {route.resource.canonical}" for route in router.routes() if route.resource is not None}
    calls -= {call for call in calls if call.startswith("HEAD ")}
    assert calls == set(re.findall(r"^\| `([A-Z]+ /[^`]*)`", TEXT, re.MULTILINE))


def test_it_names_every_field_of_the_policy() -> None:
    part = TEXT.partition("### Policy")[2].partition("###")[0]
    assert all(f"`{field.name}`" in part for field in dataclasses.fields(Policy))


def test_it_names_every_constant_of_futu_with_its_default() -> None:
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| (?:`)?([^`|]+?)(?:`)? \|",
        TEXT.partition("### Futu's constants")[2].partition("\n#")[0],
        re.MULTILINE,
    )
    told = {f"FUTU_SIM_{name}": str(default).lower() for name, default in rows}
    assert told == {name: str(value).lower() for name, value in dataclasses.asdict(FutuConstants()).items()}


def test_it_names_every_operation_and_spoiler_of_futus_script() -> None:
    part = TEXT.partition("## Futu\n")[2]
    assert all(f"`{name}`" in part for name in (*OPERATIONS, *Spoiler))


def test_it_names_everything_that_futus_control_port_can_end() -> None:
    part = TEXT.partition("### Futu's control calls")[2].partition("###")[0]
    assert all(f"`{one}`" in part for one in (*Thing, *Platform))


def test_it_names_every_constant_of_feishu_with_its_value() -> None:
    part = TEXT.partition("### Feishu's constants")[2].partition("\n#")[0]
    told = dict(re.findall(r"^\| `(FEISHU_SIM_\w+)` \| ([^|]+) \|", part, re.MULTILINE))
    held = {field.name: getattr(FeishuConstants(), field.name) for field in dataclasses.fields(FeishuConstants)}
    words = {"None": "null", "True": "true", "False": "false", "": "empty"}
    shown = {name: words.get(str(value), str(value)) for name, value in held.items()}
    assert told == {**shown, "FEISHU_SIM_ERROR_CLASS": "table"}
