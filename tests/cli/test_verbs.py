"""The table of verbs: listed without being imported, and each imported alone."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from freshd import __version__
from freshd.cli.verbs import TABLE, cli

HEAVY = ("aiohttp", "pydantic", "rich", "keyring", "cryptography", "asyncio", "freshd.app", "freshd.sandbox")


def imported_by(program: str) -> set[str]:
    shown = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return set(shown.stdout.split())


def test_the_list_of_verbs_imports_none_of_them() -> None:
    modules = imported_by("from freshd.cli.verbs import cli\ncli.get_help(__import__('click').Context(cli))")
    assert not modules & {f"freshd.cli.{home.partition(':')[0]}" for home, _ in TABLE.values()}


@pytest.mark.parametrize("verb", sorted({home.partition(":")[0] for home, _ in TABLE.values()}))
def test_a_verb_is_imported_without_anything_heavy(verb: str) -> None:
    modules = imported_by(f"import freshd.cli.{verb}")
    assert not modules & set(HEAVY)


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(cli, ["--version"]).output == f"freshd {__version__}\n"


def test_token_is_answered_as_if_it_came_first(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def answer(words: list[str]) -> int:
        asked.append(words)
        return 75

    monkeypatch.setattr("freshd.cli.token.answer", answer)
    result = CliRunner().invoke(cli, ["--socket", "/there/s.sock", "token", "calendar", "--wait", "5"])
    assert result.exit_code == 75
    assert asked == [["--socket", "/there/s.sock", "calendar", "--wait", "5"]]


def test_the_help_of_token_is_its_own() -> None:
    assert CliRunner().invoke(cli, ["token", "--help"]).stdout.startswith("usage: freshd token NAME")
