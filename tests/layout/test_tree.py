"""What may stand in the tree, and what no file of it may hold."""

import fnmatch
import itertools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import freshd

ROOT = Path(__file__).parents[2]
TOP = {
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "config",
    "daemon",
    "dev.lock",
    "pyproject.toml",
    "requirements.lock",
    "scripts",
    "systemd",
    "tests",
}
LOCKS = ("requirements.lock", "dev.lock")
HOME_FOLDER = re.compile(r"/(?:root|home|Users)/[a-z]")
# The folders whose examples may show paths of an installed machine.
SHOWING_PATHS = ("config", "systemd")
DOWNLOAD_ADDRESS = re.compile(r"://|pypi|pythonhosted|npmjs|index-url|find-links")
NPM_ADDRESS = re.compile(r'"resolved"|npmjs')


def ignored_names() -> list[str]:
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    return [".git", *(line.rstrip("/") for line in lines if line and not line.startswith("#"))]


def entries(folder: Path) -> Iterator[Path]:
    """What the folder holds, less what git ignores by name."""
    ignored = ignored_names()
    for path in folder.iterdir():
        if not any(fnmatch.fnmatch(path.name, pattern) for pattern in ignored):
            yield path


def files(folder: Path = ROOT) -> Iterator[Path]:
    for path in entries(folder):
        if path.is_dir() and not path.is_symlink():
            yield from files(path)
        elif path.is_file():
            yield path


def test_the_top_folder_holds_the_agreed_entries_only() -> None:
    assert {path.name for path in entries(ROOT)} <= TOP


def test_the_container_folder_is_no_package() -> None:
    assert not (ROOT / "daemon" / "__init__.py").exists()


def test_the_typing_marker_is_shipped() -> None:
    assert (ROOT / "daemon" / "freshd" / "py.typed").exists()


def test_every_folder_of_the_package_is_a_package() -> None:
    modules = (ROOT / "daemon" / "freshd").rglob("*.py")
    assert not {path.parent for path in modules if not (path.parent / "__init__.py").exists()}


def test_no_file_holds_a_path_of_somebodys_machine() -> None:
    here = re.compile(rf"(?<![\w./-]){re.escape(str(ROOT))}\b")
    for path in files():
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not here.search(text), path
        if path.relative_to(ROOT).parts[0] not in SHOWING_PATHS:
            assert not HOME_FOLDER.search(text), path


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_pins_and_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not DOWNLOAD_ADDRESS.search(text)
    for pin in re.split(r"\n(?=[a-zA-Z])", text)[1:]:
        assert re.match(r"[\w.-]+==\S+", pin), pin
        assert "--hash=sha256:" in pin, pin


def test_a_lock_of_npm_holds_no_address() -> None:
    for path in files(ROOT / "tests"):
        if path.name == "package-lock.json":
            assert not NPM_ADDRESS.search(path.read_text(encoding="utf-8")), path


def test_the_development_lock_agrees_with_the_one_that_is_shipped() -> None:
    shipped, development = (pins(ROOT / name) for name in LOCKS)
    assert shipped.items() <= development.items()


def test_every_requirement_of_the_project_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    names = {re.split(r"[<>=;\[ ]", line)[0].replace("_", "-").lower() for line in wanted}
    assert names <= pins(ROOT / "requirements.lock").keys()


def pins(path: Path) -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(found)


def test_the_version_is_three_numbers() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", freshd.__version__)


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").glob("*")), ids=lambda path: path.name)
def test_a_script_is_executable_and_has_no_extension(script: Path) -> None:
    if script.is_file() and script.suffix != ".md":
        assert script.suffix == ""
        assert script.stat().st_mode & 0o111 == 0o111
        assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env ")
