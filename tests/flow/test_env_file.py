"""The daemon and somebody's .env file: a script that goes on writing it, a file that cannot be written, a reload."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.scene import Process
from tests.crash.services import Sandbox
from tests.flow.bed import Bed, account, enrol, lease_of, until

LINES = ("# the bot's own", "export BOT_NAME='it is me'", "ACCESS_TOKEN=", "ACCESS_TOKEN_EXPIRES_AT=", "REFRESH_TOKEN=")
TEXT = "\r\n".join((*LINES, "LAST=1"))


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    with Sandbox(access_seconds=600) as sandbox:
        yield sandbox


class Script:
    """A program that keeps tokens in a .env file, as many do: whole file, in place, no lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "bot"
        self.folder.mkdir(mode=0o700)
        self.path = self.folder / ".env"
        self.path.write_bytes(TEXT.encode())
        self.path.chmod(0o640)

    def value(self, name: str) -> str:
        lines = self.path.read_bytes().decode().split("\r\n")
        return next(line.partition("=")[2] for line in lines if line.startswith(f"{name}="))

    def put(self, **values: str) -> None:
        lines = [line.partition("=") for line in self.path.read_bytes().decode().split("\r\n")]
        text = "\r\n".join(f"{name}{sign}{values.get(name, old)}" for name, sign, old in lines)
        self.path.write_bytes(text.encode())

    @property
    def lines(self) -> str:
        """The account's line of configuration."""
        return (
            f'env_file = {{ path = "{self.path}", access_token = "ACCESS_TOKEN",'
            ' expires_at = "ACCESS_TOKEN_EXPIRES_AT", refresh_token = "REFRESH_TOKEN" }'
        )

    def others_are_untouched(self) -> bool:
        text = self.path.read_bytes().decode().split("\r\n")
        kept = [line for line in text if not line.startswith(("ACCESS_TOKEN", "REFRESH_TOKEN"))]
        return kept == [*LINES[:2], "LAST=1"] and len(text) == 6


def begin(bed: Bed, service: Sandbox, script: Script, name: str) -> tuple[Process, str]:
    bed.write(*account(name, service, script.lines))
    process = bed.up()
    return process, enrol(process, service, name)


def held_by_the_script(bed: Bed, service: Sandbox, script: Script, name: str) -> tuple[Process, str]:
    """The script has a refresh token, and the daemon none yet."""
    token = mint(service, name)
    script.put(REFRESH_TOKEN=token)
    bed.write(*account(name, service))
    return bed.up(), token


def emptied(bed: Bed, process: Process, script: Script) -> None:
    """A reload makes it look at once, and not within ten seconds."""
    bed.hang_up(process, event="config.reloaded")
    until("the refresh token is taken out", lambda: script.value("REFRESH_TOKEN") == "")


def mint(service: Sandbox, name: str) -> str:
    wish = {"client_id": "freshd", "label": name, "subject": name, "scope": "openid"}
    return str(service.ask("POST", "/mint", wish)["grants"][0]["refresh_token"])


def spent_uses(service: Sandbox, name: str) -> int:
    return int(service.ask("GET", f"/ledger/{name}")["counters"]["spent_uses"])


def follows(script: Script, process: Process, name: str) -> None:
    until("the file has the lease", lambda: script.value("ACCESS_TOKEN") == lease_of(process, name))


def test_the_file_follows_the_account_and_keeps_mode_and_lines(bed: Bed, service: Sandbox, tmp_path: Path) -> None:
    script = Script(tmp_path)
    process, _ = begin(bed, service, script, "follow")
    follows(script, process, "follow")
    before = script.value("ACCESS_TOKEN")
    process.operate("refresh", "follow")
    follows(script, process, "follow")
    assert script.value("ACCESS_TOKEN") != before
    assert float(script.value("ACCESS_TOKEN_EXPIRES_AT")) == pytest.approx(
        process.view("follow")["usable_until"], abs=2
    )
    assert script.others_are_untouched()
    assert script.path.stat().st_mode & 0o7777 == 0o640
    assert [path.name for path in script.folder.iterdir()] == [".env"]
    assert script.value("REFRESH_TOKEN") == ""


def test_I5_a_script_that_writes_its_old_copy_back_harms_nobody(bed: Bed, service: Sandbox, tmp_path: Path) -> None:
    script = Script(tmp_path)
    process, first = begin(bed, service, script, "stale")
    process.operate("refresh", "stale")
    for _ in range(3):
        script.put(REFRESH_TOKEN=first)
        emptied(bed, process, script)
    assert len(bed.events("envfile.stale", "stale")) == 1
    assert bed.events("envfile.adopted") == []
    process.operate("refresh", "stale")
    assert spent_uses(service, "stale") == 0
    assert first not in bed.log.read_text()


def test_a_refresh_token_of_a_script_is_taken_over_once_and_goes_on(bed: Bed, service: Sandbox, tmp_path: Path) -> None:
    script = Script(tmp_path)
    process, _ = begin(bed, service, script, "foreign")
    generation = process.view("foreign")["generation"]
    theirs = mint(service, "foreign")
    script.put(REFRESH_TOKEN=theirs)
    emptied(bed, process, script)
    assert len(bed.events("envfile.adopted", "foreign")) == 1
    assert process.view("foreign")["generation"] > generation
    process.operate("refresh", "foreign")
    script.put(REFRESH_TOKEN=theirs)
    emptied(bed, process, script)
    assert len(bed.events("envfile.adopted", "foreign")) == 1
    process.operate("refresh", "foreign")
    assert spent_uses(service, "foreign") == 0
    assert theirs not in bed.log.read_text()


def test_what_was_held_is_known_after_a_restart_too(bed: Bed, service: Sandbox, tmp_path: Path) -> None:
    script = Script(tmp_path)
    process, first = begin(bed, service, script, "again")
    process.operate("refresh", "again")
    process.kill()
    script.put(REFRESH_TOKEN=first)
    process = bed.up()
    emptied(bed, process, script)
    process.operate("refresh", "again")
    assert bed.events("envfile.adopted") == []
    assert spent_uses(service, "again") == 0


@pytest.mark.parametrize("trouble", ["read-only", "gone"])
def test_a_file_that_cannot_be_written_is_told_once_and_delays_nobody(
    bed: Bed, service: Sandbox, tmp_path: Path, trouble: str
) -> None:
    script = Script(tmp_path)
    process, _ = begin(bed, service, script, trouble)
    follows(script, process, trouble)
    aside = script.folder / "aside"
    script.path.chmod(0o400) if trouble == "read-only" else script.path.rename(aside)
    for _ in range(2):
        process.operate("refresh", trouble)
        until("told", lambda: bed.events("envfile.unusable", trouble))
    assert len(bed.events("envfile.unusable", trouble)) == 1
    script.path.chmod(0o640) if trouble == "read-only" else aside.rename(script.path)
    bed.hang_up(process, event="config.reloaded")
    until("told that it is over", lambda: bed.events("envfile.usable", trouble))
    follows(script, process, trouble)


def test_a_full_disk_leaves_the_old_text_and_the_daemon_serves_on(bed: Bed, service: Sandbox, tmp_path: Path) -> None:
    """The kernel lets the daemon write no file beyond a size that its own journal has not: the script's is larger."""
    script = Script(tmp_path)
    process, _ = begin(bed, service, script, "full")
    follows(script, process, "full")
    size = 900 * 1024
    script.path.write_bytes(script.path.read_bytes() + b"\r\n# " + b"x" * size)
    kept = script.path.read_bytes()
    usual = resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
    process.operate("refresh", "full")
    until("told", lambda: bed.events("envfile.unusable", "full"))
    assert script.path.read_bytes() == kept
    assert lease_of(process, "full")
    assert [path.name for path in script.folder.iterdir()] == [".env"]
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, usual)
    bed.hang_up(process, event="config.reloaded")
    until("told that it is over", lambda: bed.events("envfile.usable", "full"))
    follows(script, process, "full")


def test_a_reload_begins_and_ends_it(bed: Bed, service: Sandbox, tmp_path: Path) -> None:
    script = Script(tmp_path)
    bed.write(*account("reload", service))
    process = bed.up()
    enrol(process, service, "reload")
    assert script.path.read_bytes() == TEXT.encode()
    bed.write(*account("reload", service, script.lines))
    generation = process.view("reload")["generation"]
    bed.hang_up(process, event="config.reloaded")
    follows(script, process, "reload")
    assert process.view("reload")["generation"] == generation
    bed.write(*account("reload", service))
    bed.hang_up(process, event="config.reloaded")
    kept = script.path.read_bytes()
    process.operate("refresh", "reload")
    assert process.stop() == 0
    assert script.path.read_bytes() == kept


def test_the_end_of_the_daemon_leaves_the_newest_lease_in_the_file(bed: Bed, service: Sandbox, tmp_path: Path) -> None:
    script = Script(tmp_path)
    process, _ = begin(bed, service, script, "end")
    follows(script, process, "end")
    process.operate("refresh", "end")
    token = lease_of(process, "end")
    assert process.stop() == 0
    assert script.value("ACCESS_TOKEN") == token
    assert script.path.stat().st_mode & 0o777 == 0o640


def test_import_env_moves_the_tokens_and_a_script_that_still_writes_harms_nobody(
    bed: Bed, service: Sandbox, tmp_path: Path
) -> None:
    """From a script's file to freshd's: nothing is lost, and the old copy that comes back is never presented."""
    script = Script(tmp_path)
    process, first = held_by_the_script(bed, service, script, "moved")
    said = bed.run("import-env", "moved", "--file", str(script.path), "--keep-access", "--yes")
    assert said.code == 0, said.text
    assert first not in said.text
    assert script.value("REFRESH_TOKEN") == ""
    assert script.others_are_untouched()
    until("it lives", lambda: process.view("moved")["usable_until"])
    line = next(line for line in said.out.splitlines() if line.startswith("env_file"))
    assert line == script.lines
    bed.write(*account("moved", service, line))
    bed.hang_up(process, event="config.reloaded")
    follows(script, process, "moved")
    script.put(REFRESH_TOKEN=first)
    emptied(bed, process, script)
    process.operate("refresh", "moved")
    follows(script, process, "moved")
    assert bed.events("envfile.adopted") == []
    assert len(bed.events("envfile.stale", "moved")) == 1
    assert spent_uses(service, "moved") == 0


def test_I5_importing_the_same_file_again_after_it_was_used_is_refused(
    bed: Bed, service: Sandbox, tmp_path: Path
) -> None:
    """As after a crash between storing and emptying, noticed days later."""
    script = Script(tmp_path)
    process, first = held_by_the_script(bed, service, script, "twice")
    assert bed.run("import-env", "twice", "--file", str(script.path), "--yes").code == 0
    until("it lives", lambda: process.view("twice")["usable_until"])
    script.put(REFRESH_TOKEN=first)
    said = bed.run("import-env", "twice", "--file", str(script.path), "--yes")
    assert said.code == 65
    assert "had this refresh_token before" in said.err
    assert script.value("REFRESH_TOKEN") == first
    process.operate("refresh", "twice")
    assert spent_uses(service, "twice") == 0


def test_where_the_daemon_is_down_nothing_is_touched(bed: Bed, service: Sandbox, tmp_path: Path) -> None:
    script = Script(tmp_path)
    script.put(REFRESH_TOKEN="rt-canary")
    kept = script.path.read_bytes()
    bed.write(*account("down", service))
    assert bed.run("import-env", "down", "--file", str(script.path), "--yes").code == 69
    assert script.path.read_bytes() == kept
