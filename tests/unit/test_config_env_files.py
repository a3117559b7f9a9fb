"""config.env_files: which .env file is kept in step with an account."""

from __future__ import annotations

from pathlib import Path

import pytest

from freshd.core.reload import diff
from freshd.core.settings import EnvFileSettings
from tests.unit.config_parts import ACCOUNT, Desk, desk

__all__ = ["desk"]

WHOLE = (
    'env_file = { path = "/srv/bot/.env", access_token = "TOKEN", expires_at = "ENDS", refresh_token = "REFRESH" }\n'
)


def test_a_table_names_the_file_and_its_lines(desk: Desk) -> None:
    assert desk.account(WHOLE).env_file == EnvFileSettings(Path("/srv/bot/.env"), "TOKEN", "ENDS", "REFRESH")


def test_without_a_table_there_is_no_file(desk: Desk) -> None:
    assert desk.account("").env_file is None


def test_a_place_in_the_home_is_a_place(desk: Desk) -> None:
    found = desk.account('env_file = { path = "~/bot/.env", access_token = "T" }').env_file
    assert found == EnvFileSettings(desk.folder / "bot/.env", "T")


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        ('{ access_token = "T" }', "accounts.a.env_file.path: missing"),
        ('{ path = "bot/.env", access_token = "T" }', "accounts.a.env_file.path: must be an absolute path"),
        ('{ path = "/x/.env" }', "accounts.a.env_file: names no line"),
        ('{ path = "/x/.env", access_token = "T", refresh_token = "T" }', "names one line for two things"),
        ('{ path = "/x/.env", expires_at = "E", refresh_token = "R" }', "beside access_token only"),
        ('{ path = "/x/.env", access_token = "canary here" }', "accounts.a.env_file.access_token: "),
        ('{ path = "/x/.env", token = "T" }', "accounts.a.env_file.token: unknown key"),
        ('"/x/.env"', "accounts.a.env_file: must be a table"),
        ("{ path = 5 }", "accounts.a.env_file.path: must be a string"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(desk: Desk, table: str, wrong: str) -> None:
    found = desk.problem(f"{ACCOUNT}env_file = {table}\n")
    assert wrong in found
    assert "canary" not in found


def test_two_accounts_do_not_write_one_line(desk: Desk) -> None:
    other = ACCOUNT.replace("[accounts.a]", "[accounts.b]").replace("a.example", "b.example")
    assert "in common with a" in desk.problem(f"{ACCOUNT}{WHOLE}{other}{WHOLE}")
    apart = WHOLE.replace('"TOKEN"', '"B_TOKEN"').replace('"ENDS"', '"B_ENDS"').replace('"REFRESH"', '"B_REFRESH"')
    assert desk.problems(f"{ACCOUNT}{WHOLE}{other}{apart}") == []


def test_a_changed_file_leaves_the_accounts_engine_alone(desk: Desk) -> None:
    before, after = desk.load(ACCOUNT), desk.load(f"{ACCOUNT}{WHOLE}")
    assert before != after
    assert diff(before, after).is_empty
