"""freshd vault init, verify, backup, restore, status where no daemon runs: exit codes, words, and what is left."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from freshd import hardening
from freshd.cli.verbs import cli
from freshd.vault import copies, deposit
from freshd.vault.copies import Derivation, looked_at

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """One verb of the group, without a daemon."""
    monkeypatch.setattr(hardening, "harden", lambda: None)
    fresh = Derivation.fresh
    cheap = staticmethod(lambda way: replace(fresh(way), memory_kib=64, iterations=1, lanes=1))
    monkeypatch.setattr(copies.Derivation, "fresh", cheap)
    (tmp_path / "freshd.toml").write_text(
        f'state_dir = "{tmp_path}/state"\n[socket]\npath = "{tmp_path}/s"\n[vault]\nplacement = "sealed"\n'
        f'custodian = "key-file"\nkey_file = "{tmp_path}/key"\nanchor = "{tmp_path}/anchor"\n'
    )
    (tmp_path / "freshd.toml").chmod(0o600)

    def invoke(verb: str, *words: object) -> Result:
        return CliRunner().invoke(cli, ["vault", verb, *map(str, words)])

    return invoke


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """The key file of backups, and another."""
    for name, letter in (("right", b"r"), ("wrong", b"w")):
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_bytes(letter * 32)
    return tmp_path / "right", tmp_path / "wrong"


def test_a_vault_is_made_once_and_said_where(run: Run, tmp_path: Path) -> None:
    made = run("init", "--json")
    assert made.exit_code == 0
    told = json.loads(made.stdout)
    assert (told["journal"], told["custodian"]) == (str(tmp_path / "state/journal.db"), f"key-file {tmp_path}/key")
    again = run("init")
    assert again.exit_code == 65
    assert told["vault"][:8] in again.stderr


def test_without_a_vault_there_is_nothing_to_look_at(run: Run, tmp_path: Path) -> None:
    assert [run(verb).exit_code for verb in ("status", "verify")] == [74, 65]
    assert run("backup", tmp_path / "copy", "--key-file", tmp_path / "none").exit_code == 65
    assert not (tmp_path / "state").exists()


def test_a_backup_is_made_told_of_and_restored(run: Run, keys: tuple[Path, Path], tmp_path: Path) -> None:
    run("init")
    made = run("backup", tmp_path / "copy", "--key-file", keys[0], "--json")
    assert made.exit_code == 0, made.stderr
    status = json.loads(run("status", "--json").stdout)
    assert (
        status["backup"]["at"] == json.loads(made.stdout)["at"] == looked_at((tmp_path / "copy").read_bytes()).header.at
    )
    assert status["anchor"]["commits"] > 0
    assert (status["placement"], status["custodian"]) == ("sealed", f"key-file {tmp_path}/key")
    assert "backup    20" in run("status").stdout
    assert run("restore", tmp_path / "copy", "--key-file", keys[0]).exit_code == 65
    done = run("restore", tmp_path / "copy", "--key-file", keys[0], "--replace")
    assert done.exit_code == 0, done.stderr
    assert "journal.db.replaced-20" in done.stdout
    assert run("verify").exit_code == 0


def test_a_backup_comes_to_where_a_first_start_has_been_and_not_to_where_something_is(
    run: Run, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    run("init")
    run("backup", tmp_path / "copy", "--key-file", keys[0])
    words = ("restore", tmp_path / "copy", "--key-file", keys[0])
    (tmp_path / "state").rename(tmp_path / "gone")
    empty = json.loads(run("init", "--json").stdout)["vault"]
    done = run(*words)
    assert done.exit_code == 0, done.stderr
    [aside] = (tmp_path / "state").glob("journal.db.replaced-20*")
    assert f"aside     {aside}\n          an empty vault ({empty[:8]})" in done.stdout
    again = run(*words)
    assert (again.exit_code, "this very backup" in again.stderr, "--replace" in again.stderr) == (65, True, True)
    assert "an empty vault" not in run(*words, "--replace").stdout
    for path in (tmp_path / "state").iterdir():
        path.unlink()
    told = {"vault": json.loads(run("init", "--json").stdout)["vault"]}
    with sqlite3.connect(tmp_path / "state" / "journal.db") as db:
        db.execute("INSERT INTO pace VALUES ('mail/refresh', '{}')")
    refused = run(*words)
    assert (refused.exit_code, told["vault"][:8] in refused.stderr) == (76, True)
    with sqlite3.connect(tmp_path / "state" / "journal.db") as db:
        db.execute("DELETE FROM pace")
    db.close()
    assert json.loads(run(*words, "--json").stdout)["empty"] == told["vault"]


def test_a_file_that_is_there_is_replaced_only_when_that_is_said(
    run: Run, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    run("init")
    (tmp_path / "copy").write_text("precious")
    assert run("backup", tmp_path / "copy", "--key-file", keys[0]).exit_code == 65
    assert (tmp_path / "copy").read_text() == "precious"
    assert run("backup", tmp_path / "copy", "--key-file", keys[0], "--force").exit_code == 0
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_disk_that_is_full_leaves_nothing_half(
    run: Run, keys: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("init")
    before = sorted(path.name for path in tmp_path.iterdir())

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("freshd.vault.deposit.os.fsync", full)
        done = run("backup", tmp_path / "copy", "--key-file", keys[0])
    assert done.exit_code == 74
    assert "No space left" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_disk_that_gives_back_something_else_makes_no_backup(
    run: Run, keys: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("init")
    write = deposit._write

    def rot(descriptor: int, pieces: Iterable[bytes]) -> None:
        write(descriptor, pieces)
        end = os.fstat(descriptor).st_size - 1
        os.pwrite(descriptor, bytes([os.pread(descriptor, 1, end)[0] ^ 1]), end)

    monkeypatch.setattr(deposit, "_write", rot)
    assert run("backup", tmp_path / "copy", "--key-file", keys[0]).exit_code == 74
    assert not (tmp_path / "copy").exists()


def test_another_key_and_a_damaged_file_are_told_apart(run: Run, keys: tuple[Path, Path], tmp_path: Path) -> None:
    run("init")
    run("backup", tmp_path / "copy", "--key-file", keys[0])
    words = ("restore", tmp_path / "copy", "--replace", "--key-file")
    assert run(*words, keys[1]).exit_code == 76
    (tmp_path / "copy").write_bytes((tmp_path / "copy").read_bytes()[:-1])
    cut = run(*words, keys[0])
    assert (cut.exit_code, "it was cut" in cut.stderr) == (74, True)
    (tmp_path / "copy").write_text("a letter")
    assert "no backup of freshd" in run(*words, keys[0]).stderr


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [(b"k" * 31, 0o600, "32 bytes are needed"), (b"k" * 32, 0o644, "chmod 600"), (b"k" * 9000, 0o600, "too long")],
)
def test_a_key_file_that_is_none_is_refused(run: Run, tmp_path: Path, content: bytes, mode: int, said: str) -> None:
    run("init")
    key = tmp_path / "backup.key"
    key.write_bytes(content)
    key.chmod(mode)
    done = run("backup", tmp_path / "copy", "--key-file", key)
    assert done.exit_code == 65
    assert said in done.stderr
    assert not (tmp_path / "copy").exists()


def test_a_passphrase_is_typed_twice_and_opens(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("init")
    assert "--passphrase-file" in run("backup", tmp_path / "copy").stderr  # nobody is there to type
    typed = iter(["correct horse", "correct hose", "correct horse", "correct horse", "incorrect", "correct horse"])
    monkeypatch.setattr(getpass, "getpass", lambda _prompt: next(typed))
    monkeypatch.setattr("freshd.cli.passphrase.sys", Terminal())
    assert "differ" in run("backup", tmp_path / "copy").stderr
    made = run("backup", tmp_path / "copy")
    assert made.exit_code == 0
    assert run("restore", tmp_path / "copy", "--replace").exit_code == 76
    assert run("restore", tmp_path / "copy", "--replace").exit_code == 0
    assert "horse" not in made.output


@pytest.fixture(params=["named pipe", "socket", "directory", "device"])
def odd(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Path, str]]:
    """A place that is no plain file, and what it is; nobody ever writes into it."""
    path, kind = tmp_path / "odd", str(request.param)
    with socket.socket(socket.AF_UNIX) as held:
        if kind == "named pipe":
            os.mkfifo(path, 0o600)
        elif kind == "socket":
            held.bind(str(path))
        elif kind == "directory":
            path.mkdir()
        yield Path("/dev/zero") if kind == "device" else path, f"is a {kind}, no plain file"


@pytest.mark.timeout(60)
def test_no_file_that_is_named_makes_a_command_wait(
    run: Run, keys: tuple[Path, Path], tmp_path: Path, odd: tuple[Path, str]
) -> None:
    run("init")
    assert run("backup", tmp_path / "copy", "--key-file", keys[0]).exit_code == 0
    key = ("--key-file", keys[0])
    asked = [
        ("backup", odd[0], *key),
        ("backup", odd[0], *key, "--force"),
        ("backup", tmp_path / "new", "--key-file", odd[0]),
        ("backup", tmp_path / "new", "--passphrase-file", odd[0]),
        ("restore", odd[0], *key, "--replace"),
        ("restore", tmp_path / "copy", "--key-file", odd[0], "--replace"),
    ]
    for words in asked:
        done = run(*words)
        assert (done.exit_code, odd[1] in done.stderr, "remedy: name a" in done.stderr) == (65, True, True), words
    assert not (tmp_path / "new").exists()


@pytest.mark.timeout(60)
def test_a_pipe_that_the_shell_hands_over_is_read_to_its_end(run: Run, tmp_path: Path) -> None:
    """As `<(COMMAND)` does it: the command may write more than a pipe holds, and later than it is looked at."""
    handed: list[int] = []

    def write(start: int, content: bytes) -> None:
        with os.fdopen(start, "wb") as pipe:
            pipe.write(content)

    def piped(content: bytes) -> Path:
        end, start = os.pipe()
        handed.append(end)
        assert fcntl.fcntl(start, fcntl.F_SETPIPE_SZ, 4096) == 4096
        writing.submit(write, start, content)
        return Path(f"/dev/fd/{end}")

    run("init")
    with ThreadPoolExecutor(3) as writing:
        phrase = b"correct horse\n"
        assert run("backup", tmp_path / "copy", "--passphrase-file", piped(phrase)).exit_code == 0
        copy = (tmp_path / "copy").read_bytes()
        done = run("restore", piped(copy), "--passphrase-file", piped(phrase), "--replace")
        assert (done.exit_code, len(copy) > 4096) == (0, True), done.stderr
    for end in handed:
        os.close(end)


class Terminal:
    """A standard input at which somebody sits."""

    stdin = type("Stdin", (), {"isatty": staticmethod(lambda: True)})


def test_a_passphrase_from_a_file_is_the_one_that_is_typed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("init")
    phrase = tmp_path / "phrase"
    phrase.touch(0o600)
    phrase.write_text("correct horse\n")
    assert run("backup", tmp_path / "copy", "--passphrase-file", phrase).exit_code == 0
    wrong_way = run("restore", tmp_path / "copy", "--replace", "--key-file", phrase)
    assert (wrong_way.exit_code, "a passphrase" in wrong_way.stderr) == (64, True)
    monkeypatch.setattr(getpass, "getpass", lambda _prompt: "correct horse")
    monkeypatch.setattr("freshd.cli.passphrase.sys", Terminal())
    assert run("restore", tmp_path / "copy", "--replace").exit_code == 0


def test_what_is_not_whole_is_told_with_its_remedy(run: Run, tmp_path: Path) -> None:
    run("init")
    with sqlite3.connect(tmp_path / "state" / "journal.db") as db:
        db.execute("INSERT INTO pace VALUES ('odd', '{')")
    db.close()
    found = run("verify")
    assert found.exit_code == 1
    assert "BAD   pace" in found.stdout
    assert "remedy:" in found.stdout
    document = json.loads(run("verify", "--json").stdout)
    assert (document["whole"], [fault["place"] for fault in document["faults"]]) == (False, ["pace"])
