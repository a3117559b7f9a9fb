"""import-env: the daemon first, the file afterwards, and nothing but the refresh token taken out of it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from freshd.errors import NotPossible, StoreError
from tests.cli.conftest import Engine, Freshd

TEXT = b"\r\n".join(
    (
        b"# bot",
        b"FEISHU_APP_ID=cli_1",
        b"FEISHU_USER_ACCESS_TOKEN='u-canary'",
        b"FEISHU_REFRESH_TOKEN=ur-canary # one",
        b"FEISHU_TOKEN_EXPIRES_AT=1790000000",
        b"FEISHU_REFRESH_TOKEN_EXPIRES_AT=1790600000",
        b"LAST=1",
    )
)
EMPTIED = TEXT.replace(b"ur-canary", b'""')


class EnvFile:
    """A .env file in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "bot" / ".env"
        self.path.parent.mkdir(mode=0o700)
        self.put(TEXT)
        self.to_mode(0o600)

    def __str__(self) -> str:
        return str(self.path)

    def put(self, text: bytes) -> None:
        self.path.write_bytes(text)

    def to_mode(self, mode: int) -> None:
        self.path.chmod(mode)

    @property
    def text(self) -> bytes:
        return self.path.read_bytes()

    @property
    def mode(self) -> int:
        return self.path.stat().st_mode & 0o777

    @property
    def neighbours(self) -> list[str]:
        return [path.name for path in self.path.parent.iterdir()]


@pytest.fixture
def file(tmp_path: Path) -> EnvFile:
    return EnvFile(tmp_path)


def imports(engine: Engine) -> list[Mapping[str, Any]]:
    return [args for verb, _, args in engine.operations if verb == "import"]


async def test_the_tokens_are_imported_and_the_refresh_token_is_emptied(
    freshd: Freshd, engine: Engine, file: EnvFile
) -> None:
    engine.script["import"] = [{"account": "mail", "generation": 1}]
    result = await freshd("import-env", "mail", "--file", str(file), "--yes")
    assert result.exit_code == 0, result.output
    assert [args["secrets"] for args in imports(engine)] == [
        {
            "refresh_token": "ur-canary", "refresh_token_expires_at": "1790600000", "access_token": "u-canary",
            "expires_at": "1790000000",
        }
    ]  # fmt: skip
    assert file.text == EMPTIED
    assert file.mode == 0o600
    assert "written and read back" in result.stdout
    assert "canary" not in result.output


async def test_what_will_change_is_said_and_asked_first(freshd: Freshd, engine: Engine, file: EnvFile) -> None:
    result = await freshd("import-env", "mail", "--file", str(file))
    assert result.exit_code != 0
    assert "line 4" in result.stderr
    assert "add --yes" in result.stderr
    assert imports(engine) == []
    assert file.text == TEXT


@pytest.mark.parametrize("error", [StoreError("the disk is full", "make room"), NotPossible("held before", "enrol")])
async def test_where_storing_failed_nothing_is_touched(
    freshd: Freshd, engine: Engine, file: EnvFile, error: Exception
) -> None:
    engine.script["import"] = [error]
    result = await freshd("import-env", "mail", "--file", str(file), "--yes")
    assert result.exit_code != 0
    assert file.text == TEXT
    assert file.neighbours == [".env"]


async def test_a_file_that_could_not_be_emptied_is_found_out_before_anything_is_imported(
    freshd: Freshd, engine: Engine, file: EnvFile
) -> None:
    file.to_mode(0o400)
    result = await freshd("import-env", "mail", "--file", str(file), "--yes")
    assert result.exit_code == 74
    assert "read-only" in result.stderr
    assert imports(engine) == []


async def test_a_file_that_changed_meanwhile_is_not_emptied_and_that_is_told(
    freshd: Freshd, engine: Engine, file: EnvFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = engine.operate

    async def operate(verb: str, account: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        if verb == "import":
            file.put(TEXT.replace(b"ur-canary", b"ur-newer"))
        return await plain(verb, account, args)

    monkeypatch.setattr(engine, "operate", operate)
    engine.script["import"] = [{"account": "mail", "generation": 7}]
    result = await freshd("import-env", "mail", "--file", str(file), "--yes")
    assert result.exit_code == 74
    assert "generation 7" in result.stderr
    assert "another refresh token by now" in result.stderr
    assert b"ur-newer" in file.text


async def test_an_account_that_does_not_exist_is_told_before_the_file_is_read(freshd: Freshd, tmp_path: Path) -> None:
    result = await freshd("import-env", "nobody", "--file", str(tmp_path / "absent"), "--yes")
    assert result.exit_code == 77


@pytest.mark.parametrize(
    ("text", "words", "cause"),
    [
        (b"A=1\n", [], "no line of"),
        (b"REFRESH_TOKEN=\n", [], "no line of"),
        (b"A_REFRESH_TOKEN=1\nB_REFRESH_TOKEN=2\n", [], "which of A_REFRESH_TOKEN, B_REFRESH_TOKEN"),
        (b"REFRESH_TOKEN=1\n", ["--refresh-token-key", "OTHER"], "has no line OTHER="),
        (b"REFRESH_TOKEN=$X\n", [], "programs do not agree"),
        (b"REFRESH_TOKEN=1\n", ["--keep-access"], "which line of"),
        (b"REFRESH_TOKEN=1\nX=\n", ["--refresh-token-key", "X"], "X is empty"),
    ],
)
async def test_a_file_that_does_not_say_what_is_needed_is_refused(
    freshd: Freshd, engine: Engine, file: EnvFile, text: bytes, words: list[str], cause: str
) -> None:
    file.put(text)
    result = await freshd("import-env", "mail", "--file", str(file), "--yes", *words)
    assert result.exit_code == 65
    assert cause in result.stderr
    assert (file.text, imports(engine)) == (text, [])


async def test_named_lines_are_taken(freshd: Freshd, engine: Engine, file: EnvFile) -> None:
    file.put(b"MINE=rt\nA_REFRESH_TOKEN=other\nTOK=at\nEND=1790000000000\n")
    words = ["--refresh-token-key", "MINE", "--access-token-key", "TOK", "--expires-key", "END"]
    result = await freshd("import-env", "mail", "--file", str(file), "--yes", *words)
    assert result.exit_code == 0, result.output
    given = imports(engine)[0]["secrets"]
    assert given == {"refresh_token": "rt", "access_token": "at", "expires_at": "1790000000"}
    assert file.text == b"MINE=\nA_REFRESH_TOKEN=other\nTOK=at\nEND=1790000000000\n"


async def test_keep_access_prints_the_lines_of_the_configuration(freshd: Freshd, engine: Engine, file: EnvFile) -> None:
    result = await freshd("import-env", "mail", "--file", str(file), "--yes", "--keep-access")
    begin = result.stdout.index("[accounts.mail]")
    assert tomllib.loads(result.stdout[begin:])["accounts"]["mail"]["env_file"] == {
        "path": str(file), "access_token": "FEISHU_USER_ACCESS_TOKEN", "expires_at": "FEISHU_TOKEN_EXPIRES_AT",
        "refresh_token": "FEISHU_REFRESH_TOKEN",
    }  # fmt: skip


async def test_for_programs_it_is_one_json_object(freshd: Freshd, engine: Engine, file: EnvFile) -> None:
    engine.script["import"] = [{"account": "mail", "generation": 3}]
    result = await freshd("import-env", "mail", "--file", str(file), "--yes", "--json")
    assert json.loads(result.stdout) == {
        "account": "mail", "generation": 3, "file": str(file), "emptied": "FEISHU_REFRESH_TOKEN", "env_file": None,
    }  # fmt: skip


async def test_a_copy_elsewhere_in_the_file_and_other_readers_are_pointed_out(
    freshd: Freshd, engine: Engine, file: EnvFile
) -> None:
    file.put(b"# was: ur-canary\nREFRESH_TOKEN=ur-canary\n")
    file.to_mode(0o644)
    result = await freshd("import-env", "mail", "--file", str(file), "--yes")
    assert "line 1" in result.stderr
    assert "chmod 600" in result.stderr
    assert "canary" not in result.output
