"""Each detector sees a leak that is planted before it, and nothing where there is none."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from freshd.core.events import Event
from freshd.errors import FreshdError
from freshd.sandbox import tokens
from freshd.sandbox.aun import bearer
from freshd.sandbox.cloudbase.constants import Method
from freshd.sandbox.cloudbase.notary import CloudbaseNotary
from freshd.sandbox.futu import credential
from freshd.sandbox.geniusauth.jwt import Signer
from freshd.sandbox.tokens import Holder
from tests.canary import plant, search
from tests.canary.mark import Kind, mark, writings
from tests.canary.watch import Watch
from tests.crash.scene import Process
from tests.crash.services import Sandbox
from tests.flow.bed import Bed
from tests.flow.mosquitto import Heard, Watcher

HELD, LENT = mark(Kind.HELD), mark(Kind.LENT)

WAYS: dict[str, Callable[[str], str | bytes]] = {
    "as it is": lambda text: f"rt-{text}-and-more",
    "json": lambda text: json.dumps({"said": f"“{text}”\n"}),
    "json within json": lambda text: json.dumps(json.dumps([text])),
    "in an address": lambda text: "https://a.example/?" + urllib.parse.urlencode({"code": f"ü {text}"}),
    "basic": lambda text: base64.b64encode(f"freshd:rt-{text}+/".encode()),
    "base64 at 0": lambda text: base64.b64encode(text.encode()),
    "base64 at 1": lambda text: base64.b64encode(b"x" + text.encode() + b"y"),
    "base64 at 2": lambda text: base64.urlsafe_b64encode(b"xx" + text.encode() + b"yyy"),
    "hex": lambda text: text.encode().hex(),
    "upper hex": lambda text: text.encode().hex().upper(),
    "percent": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "repr of bytes": lambda text: repr(text.encode()),
    "list of bytes": lambda text: str(list(text.encode())),
    "utf-16": lambda text: text.encode("utf-16"),
}


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("way", WAYS)
def test_a_secret_is_seen_however_it_is_written(way: str, kind: Kind) -> None:
    written = WAYS[way](mark(kind))
    raw = written if isinstance(written, bytes) else written.encode()
    assert search.sights(b"before " + raw + b" after")
    other = next(one for one in Kind if one is not kind)
    assert not search.sights(raw, {other})


def test_another_runs_marks_are_none_of_ours() -> None:
    assert HELD != LENT
    assert not search.sights(b"".join(writings("another9").values()))


# -- what the sandbox draws -------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def planted() -> None:
    plant.plant()


def seen(text: str) -> set[str]:
    return {one.partition(",")[0] for one in search.sights(text.encode())}


def test_what_the_services_draw_is_marked_for_whom_it_is_meant() -> None:
    assert seen(tokens.fresh("rt")) == seen(tokens.fresh("ac")) == {"held"}
    assert seen(tokens.fresh("at")) == {"lent"}
    assert seen(credential.opaque()) == {"lent"}
    assert not seen(tokens.fresh("ln"))
    assert not seen(credential.opaque(8))
    assert len(tokens.fresh("rt")) == len("rt-") + 43
    holder = Holder(client_id="c", label="l")
    assert seen(CloudbaseNotary("env", lambda: "").access_token(holder, Method.PASSWORD, 1.0, 2.0)) == {"lent"}
    signer = Signer()
    assert seen(signer.token({"type": "Access"})) == {"lent"}
    assert seen(signer.token({"type": "Refresh"})) == {"held"}
    assert seen(bearer._packed({"aid": "a"})) == {"lent"}


def test_no_two_tokens_are_alike_and_no_sandbox_of_the_tests_is_without_marks() -> None:
    with Sandbox() as service:
        minted = [service.mint(label) for label in "abc"]
    assert len(set(minted)) == 3
    assert all(seen(token) == {"held"} for token in minted)


# -- files, processes, what is said -----------------------------------------------------------------------------------


def test_files_are_looked_into_wherever_they_lie_and_journals_are_no_exception(tmp_path: Path) -> None:
    assert search.in_folder(tmp_path) == []
    for name in ("state/journal.db", "state/journal.db-wal", "state/journal.db-shm", "log", "deep/er/core"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0" * 5000 + HELD.encode() + b"\0" * 5000)
        assert search.in_folder(tmp_path) == [f"{name}: held, plain"]
        path.unlink()
    (tmp_path / "cache").write_text(LENT)
    assert search.in_folder(tmp_path) == ["cache: lent, plain"]
    (tmp_path / "cache").unlink()


def test_where_readers_get_tokens_only_what_nobody_may_have_is_a_leak(tmp_path: Path) -> None:
    (tmp_path / "..env.freshd").write_text(LENT)
    assert search.in_folder(tmp_path) == []
    (tmp_path / "..env.freshd").write_text(LENT + HELD)
    assert search.in_folder(tmp_path) == ["..env.freshd: held, plain"]
    (tmp_path / "..env.freshd").unlink()


def test_arguments_and_environment_are_looked_at_before_and_after_the_start(tmp_path: Path) -> None:
    assert search.of_start(["freshd", "token"], {"HOME": "/"}) == []
    assert search.of_start(["freshd", "--code", HELD], {}) == ["argv: held, plain"]
    assert search.of_start([Path("a"), b"b"], {"A": f"x{LENT}"}) == ["environ: lent, plain"]
    script = tmp_path / "spread"
    script.write_text(f"import os, sys; os.execve(sys.executable, ['x', '-c', 'input()', '{HELD}'], {{'A': '{LENT}'}})")
    with subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE) as process:
        from tests.flow.bed import until

        found = until("it shows its new arguments", lambda: search.of_process(process.pid))
        process.kill()
    script.unlink()
    assert found == ["/proc/PID/cmdline: held, plain", "/proc/PID/environ: lent, plain"]


def test_what_is_said_is_looked_through_for_marks_for_fed_secrets_and_for_the_vaults_key() -> None:
    search.said("a log", b'{"event": "refresh.succeeded"}')
    for data in (HELD, LENT, "sandbox-secret", "-----BEGIN PRIVATE KEY-----"):
        with pytest.raises(search.Seen):
            search.said("a log", data)
    search.said("an answer", LENT, {Kind.HELD})
    with pytest.raises(search.Seen, match="the vault's key"):
        search.said("a log", "x 0123abcd y", more={"the vault's key": b"0123abcd"})


def test_a_sight_does_not_show_what_was_seen() -> None:
    with pytest.raises(search.Seen) as caught:
        search.said("a log", f"it was {HELD}!")
    assert HELD not in str(caught.value)


# -- where tests talk to daemons --------------------------------------------------------------------------------------


def test_a_bed_looks_at_its_log_and_at_what_commands_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bed = Bed(tmp_path)
    with pytest.raises(search.Seen), bed:
        bed.log.write_text(f"{HELD}\n")
    bed.log.write_text("")
    for out, err in ((f"{HELD}", ""), ("", f"{LENT}")):
        done = SimpleNamespace(returncode=0, stdout=out, stderr=err)
        monkeypatch.setattr(subprocess, "run", lambda *_words, done=done, **_more: done)
        with pytest.raises(search.Seen):
            bed.run("token", "mail")
    done = SimpleNamespace(returncode=0, stdout=LENT, stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *_words, done=done, **_more: done)
    assert bed.run("token", "mail").out == LENT
    with pytest.raises(search.Seen):
        bed.run("status")


def test_a_scenes_answers_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.crash import scene

    class Answered:
        status = 200

        def __init__(self, _path: object, _wait: object) -> None:
            pass

        def request(self, *_words: object) -> None:
            pass

        def getresponse(self) -> Answered:
            return self

        def read(self) -> bytes:
            return json.dumps({"access_token": LENT, **more}).encode()

        def close(self) -> None:
            pass

    more: dict[str, str] = {}
    monkeypatch.setattr(scene, "Connection", Answered)
    process = object.__new__(Process)
    process._path = tmp_path
    assert process.ask("GET", "/v1/tokens/mail")
    with pytest.raises(search.Seen):
        process.ask("GET", "/v1/accounts/mail")
    more["refresh_token"] = HELD
    with pytest.raises(search.Seen):
        process.ask("GET", "/v1/tokens/mail")


def test_messages_over_mqtt_are_looked_at() -> None:
    watcher = Watcher(1)
    watcher.heard.append(Heard("freshd/events/x", LENT.encode(), False, 0.0))
    with pytest.raises(search.Seen, match="freshd/events/x"):
        watcher.__exit__(None, None, None)


# -- the plugin -------------------------------------------------------------------------------------------------------


@pytest.fixture
def watch() -> Iterator[Watch]:
    """One of its own; the run's does not hear what is planted meanwhile."""
    from tests.canary import watch as module

    listeners, ears = list(module._listeners), {kind: list(ears) for kind, ears in module._ears.items()}
    module._listeners.clear()
    for kind in module._ears:
        module._ears[kind].clear()
    made = Watch()
    made.pytest_configure()
    yield made
    made.pytest_unconfigure()
    module._listeners.extend(listeners)
    for kind, old in ears.items():
        module._ears[kind].extend(old)


PLANTED: dict[str, Callable[[], Any]] = {
    "an event's field": lambda: Event("refresh.succeeded", "mail", {"code": HELD}),
    "an event's remedy": lambda: Event("refresh.succeeded", "mail", {}, f"try {LENT}"),
    "an error's cause": lambda: FreshdError(f"no {HELD}", ""),
    "an error's remedy": lambda: FreshdError("", f"no {LENT}"),
    "an argument": lambda: subprocess.run(["true", HELD], check=True),
    "a variable": lambda: subprocess.run(["true"], check=True, env={"PATH": "/usr/bin:/bin", "A": LENT}),
}


@pytest.mark.parametrize("place", PLANTED)
def test_the_plugin_sees_what_is_made_and_started(watch: Watch, place: str) -> None:
    PLANTED[place]()
    assert watch.leaks


def test_the_plugin_sees_nothing_where_nothing_is(watch: Watch) -> None:
    Event("refresh.succeeded", "mail", {"code": "x"})
    FreshdError("cause", "remedy")
    subprocess.run(["true"], check=True)
    assert watch.leaks == []


class Item:
    """As much of a test as the plugin looks at."""

    nodeid = "test_x"

    def __init__(self, folder: Path, *sections: tuple[str, str, str]) -> None:
        self.funcargs = {"tmp_path": folder}
        self._report_sections: Sequence[tuple[str, str, str]] = sections


def end(watch: Watch, item: Item) -> None:
    step = watch.pytest_runtest_teardown(item)  # type: ignore[arg-type]
    next(step)
    with pytest.raises(StopIteration):
        next(step)


@pytest.mark.parametrize("section", ["stdout", "stderr", "log"])
def test_a_test_fails_whose_output_or_folder_holds_a_secret(watch: Watch, tmp_path: Path, section: str) -> None:
    end(watch, Item(tmp_path))
    with pytest.raises(pytest.fail.Exception, match=section):
        end(watch, Item(tmp_path, ("call", section, f"printed {HELD}")))
    (tmp_path / "left").write_text(LENT)
    with pytest.raises(pytest.fail.Exception, match="left: lent"):
        end(watch, Item(tmp_path))
    (tmp_path / "left").unlink()


def test_the_run_fails_when_a_folder_that_no_test_owns_holds_a_secret(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "module0").mkdir()
    (tmp_path / "module0" / "log").write_text(HELD)
    factory = SimpleNamespace(_basetemp=tmp_path)
    session = SimpleNamespace(config=SimpleNamespace(_tmp_path_factory=factory), exitstatus=0)
    watch.pytest_sessionfinish(session)  # type: ignore[arg-type]
    assert session.exitstatus == pytest.ExitCode.TESTS_FAILED
    assert watch._ended == ["module0/log: held, plain"]
    (tmp_path / "module0" / "log").unlink()
