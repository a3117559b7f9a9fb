"""Every end is words with a remedy and an exit code; nobody meets a traceback."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from freshd.cli import daemon, exits
from freshd.cli.verbs import cli
from freshd.errors import FreshdError, StoreError
from tests.api.world import NotPossible, World
from tests.cli.conftest import Engine, Freshd

OPERATORS = (
    ["refresh", "calendar"],
    ["pause", "calendar"],
    ["resume", "calendar"],
    ["confirm", "calendar", "--yes"],
    ["forget", "calendar", "--yes"],
    ["revoke", "calendar", "--yes"],
    ["enrol", "calendar", "--no-browser"],
    ["enrol", "calendar", "--device"],
)
READERS = (
    ["status"],
    ["status", "calendar"],
    ["status", "--json"],
    ["explain", "calendar"],
    ["watch", "--once"],
    ["refused", "calendar", "--fingerprint", "ab"],
)


@pytest.mark.parametrize("words", [*OPERATORS, *READERS], ids=" ".join)
def test_without_a_daemon_every_verb_says_how_to_start_it(words: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["--socket", str(tmp_path / "none.sock"), *words])
    assert result.exit_code == 69
    assert "remedy: start it" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("words", OPERATORS, ids=" ".join)
async def test_who_is_no_operator_gets_no_permission(words: list[str], world: World, freshd: Freshd) -> None:
    world.allow("calendar")
    result = await freshd(*words)
    assert result.exit_code == 77
    assert "remedy:" in result.stderr
    assert world.tokens.operations == []


@pytest.mark.parametrize("words", [words for words in READERS if "calendar" in words], ids=" ".join)
async def test_forbidden_and_unknown_look_alike(words: list[str], world: World, freshd: Freshd) -> None:
    world.allow()
    forbidden = await freshd(*words)
    world.tokens.names.remove("calendar")
    assert forbidden.exit_code == (await freshd(*words)).exit_code == 77


@pytest.mark.parametrize("words", OPERATORS, ids=" ".join)
async def test_what_the_engine_says_is_said_with_its_remedy(words: list[str], engine: Engine, freshd: Freshd) -> None:
    verb = "enrol-begin" if words[0] == "enrol" else words[0]
    engine.script[verb] = [NotPossible("not now: the moon is full", "wait for the morning")]
    result = await freshd(*words)
    assert result.exit_code == 65
    assert "freshd: not now: the moon is full\n  remedy: wait for the morning" in result.stderr


async def test_an_error_of_the_store_keeps_its_exit_code(engine: Engine, freshd: Freshd) -> None:
    engine.script["refresh"] = [StoreError("disk full", "make room")]
    assert (await freshd("refresh", "calendar")).exit_code == StoreError.exit_code


async def test_a_text_from_elsewhere_cannot_steer_the_terminal(engine: Engine, freshd: Freshd) -> None:
    engine.script["refresh"] = [NotPossible("\x1b]0;owned\x07", "\x1b[2J")]
    assert "\x1b" not in (await freshd("refresh", "calendar")).output


def test_wrong_usage_has_its_own_code() -> None:
    for words in (["nonsense"], ["enrol"], ["status", "--nonsense"], ["enrol", "a", "--device", "--paste"]):
        assert CliRunner().invoke(cli, words).exit_code == exits.USAGE


def test_a_socket_that_nobody_serves_is_no_daemon(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "s"))
    result = CliRunner().invoke(cli, ["--socket", str(tmp_path / "s"), "status"])
    assert result.exit_code == 69


def test_a_socket_that_may_not_be_used_is_a_matter_of_permission(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Barred(socket.socket):
        def connect(self, address: object) -> None:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("freshd.client.sync.socket.socket", Barred)
    result = CliRunner().invoke(cli, ["--socket", str(tmp_path / "s"), "status"])
    assert result.exit_code == 77
    assert "group" in result.stderr


@pytest.fixture
def mute(tmp_path: Path) -> Iterator[tuple[Path, list[bytes]]]:
    """A server that answers every connection with the first of its answers and hangs up; None: never answers."""
    path, answers, held = tmp_path / "mute.sock", [b""], []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.recv(65536)
            if answers[0] == b"silence":
                held.append(connection)
                continue
            connection.sendall(answers[0])
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield path, answers
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    for connection in held:
        connection.close()


def test_a_daemon_that_goes_away_leaves_open_what_was_done(mute: tuple[Path, list[bytes]]) -> None:
    result = CliRunner().invoke(cli, ["--socket", str(mute[0]), "refresh", "calendar"])
    assert result.exit_code == 75
    assert "went away" in result.stderr
    assert "freshd status" in result.stderr


def test_an_answer_that_does_not_come_is_given_up(
    mute: tuple[Path, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    mute[1][0] = b"silence"
    monkeypatch.setattr(daemon, "LONG_DEADLINE_SECONDS", 0.05)
    result = CliRunner().invoke(cli, ["--socket", str(mute[0]), "refresh", "calendar"])
    assert result.exit_code == 75
    assert "within 0.05 s" in result.stderr


def test_what_is_no_freshd_is_told_so(mute: tuple[Path, list[bytes]]) -> None:
    for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", b"220 smtp ready\r\n\r\n"):
        mute[1][0] = answer
        result = CliRunner().invoke(cli, ["--socket", str(mute[0]), "status"])
        assert result.exit_code == 69, result.output
        assert "not freshd" in result.stderr


def test_a_mistake_of_ours_is_one_line_and_shows_no_value(monkeypatch: pytest.MonkeyPatch, capsys: object) -> None:
    def mistake() -> None:
        secret = "canary-value"
        raise KeyError(secret)

    runner = CliRunner()
    for debug in ("", "1"):
        monkeypatch.setenv("FRESHD_DEBUG", debug)
        with runner.isolation() as (_, error, _both):
            assert exits.run(mistake) == exits.SOFTWARE
        said = error.getvalue().decode()
        assert "a mistake of its own (KeyError at test_ends.py:" in said
        assert "canary-value" not in said.replace('secret = "canary-value"', "")
        assert ("in mistake" in said) == (debug == "1")


def test_ctrl_c_ends_quietly() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    assert exits.run(interrupted) == 130


async def test_a_reader_that_has_enough_hears_no_complaint(world: World) -> None:
    program = "import sys; from freshd.cli.entry import main; sys.exit(main())"
    gone, end = os.pipe()
    os.close(gone)
    try:
        run = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, "--socket", world.path, "status", stdout=end, stderr=subprocess.PIPE
        )
    finally:
        os.close(end)
    _, said = await run.communicate()
    assert said == b""
    assert run.returncode == 1


def test_every_exit_code_of_an_error_is_one_that_scripts_can_tell_from_usage() -> None:
    def all_below(kind: type[FreshdError]) -> Iterator[type[FreshdError]]:
        yield kind
        for below in kind.__subclasses__():
            yield from all_below(below)

    assert all(kind.exit_code not in (0, 2, exits.USAGE) for kind in all_below(FreshdError))
