"""Custodians, and the calls into them."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

import pytest

from freshd.errors import ConfigError, KeyringUnavailable, VaultLocked
from freshd.vault import KeyFile, OsKeyring, SystemdCredential
from freshd.vault.calls import Calls
from freshd.vault.keyring import open_keyring
from freshd.vault.keys import KEY_ENTRY


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        ("keyring.backends.chainer.ChainerBackend", "writes to another"),
        ("chainer", "writes to another"),
        ("keyring.backends.fail.Keyring", "keeps nothing"),
        ("keyring.backends.null.Keyring", "drops what is written"),
        ("keyrings.alt.file.PlaintextKeyring", "as easily as freshd"),
        ("keyrings.alt.file.EncryptedKeyring", "as easily as freshd"),
        ("plaintext", "in the clear"),
        ("keyrings.cryptfile.cryptfile.CryptFileKeyring", "a daemon has not"),
        ("my.own.Keyring", "not one that freshd knows"),
        ("", "not one that freshd knows"),
    ],
)
def test_unsafe_and_unknown_back_ends_are_refused_by_name(backend: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        OsKeyring(backend)


@pytest.mark.parametrize("backend", ["secret-service", "keyring.backends.SecretService.Keyring", "kwallet", "windows"])
def test_known_back_ends_are_taken_without_loading_anything(backend: str) -> None:
    assert OsKeyring(backend).name == f"keyring {backend}"


def test_the_platforms_own_is_taken_where_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert open_keyring(None).name == "keyring secret-service"
    monkeypatch.setattr(sys, "platform", "plan9")
    with pytest.raises(ConfigError, match="plan9"):
        open_keyring(None)


def test_no_session_bus_is_unavailable_not_a_crash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    keyring = OsKeyring("secret-service")
    with pytest.raises(KeyringUnavailable):
        keyring.get("s", "e")
    with pytest.raises(KeyringUnavailable):
        keyring.put("s", "e", "v")
    with pytest.raises(KeyringUnavailable):
        keyring.drop("s", "e")


def test_a_key_file_is_made_whole_once_and_never_written_over(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "key")
    assert file.get("s", KEY_ENTRY) is None
    (tmp_path / "key.new").write_text("left behind by a crash")
    file.put("s", KEY_ENTRY, "ab" * 32)
    assert (file.get("s", KEY_ENTRY), file.get("s", "other")) == ("ab" * 32 + "\n", None)
    assert [(path.name, path.stat().st_mode & 0o777) for path in tmp_path.iterdir()] == [("key", 0o600)]
    with pytest.raises(VaultLocked, match="File exists"):
        file.put("s", KEY_ENTRY, "cd" * 32)
    file.drop("s", KEY_ENTRY)
    assert file.get("s", KEY_ENTRY) == "ab" * 32 + "\n"
    with pytest.raises(ConfigError):
        file.put("s", "grant", "x")


def test_a_credential_is_named_not_pathed() -> None:
    with pytest.raises(ConfigError, match="no name"):
        SystemdCredential("../../etc/shadow", {})


async def test_a_hung_call_holds_up_no_other() -> None:
    calls, gate = Calls(deadline=0.05), threading.Event()
    hung = asyncio.create_task(calls.run("a", gate.wait))
    assert await calls.run("b", lambda: 7) == 7
    with pytest.raises(KeyringUnavailable, match="did not answer"):
        await hung
    assert calls.hanging == 1
    gate.set()
    assert await calls.run("a", lambda: 8) == 8


async def test_calls_with_one_key_never_overlap() -> None:
    calls, gate, order = Calls(deadline=0.05), threading.Event(), list[str]()

    def slow() -> None:
        gate.wait()
        order.append("given up")

    with pytest.raises(KeyringUnavailable):
        await calls.run("a", slow)
    with pytest.raises(KeyringUnavailable):
        await calls.run("a", lambda: order.append("too early"))
    gate.set()
    await calls.run("a", lambda: order.append("after it"))
    assert order == ["given up", "after it"]


async def test_hung_calls_are_bounded() -> None:
    calls, gate = Calls(deadline=0.05, most=2), threading.Event()
    outcomes = await asyncio.gather(*(calls.run(str(key), gate.wait) for key in range(5)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {KeyringUnavailable}
    assert calls.hanging == 2
    gate.set()


async def test_an_exceptions_text_does_not_leave() -> None:
    def fail() -> None:
        raise RuntimeError("canary")

    with pytest.raises(KeyringUnavailable) as caught:
        await Calls().run("a", fail)
    assert "canary" not in f"{caught.value} {caught.value.remedy}"
    assert caught.value.__cause__ is None


async def test_a_call_for_which_no_thread_is_left_is_none_and_its_key_is_free_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = Calls(deadline=1.0, most=1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(KeyringUnavailable, match="no thread"):
            await calls.run("a", lambda: 1)
    assert calls.hanging == 0
    assert await calls.run("a", lambda: 2) == 2


def no_thread(_self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


class ItemNotFoundException(Exception):
    """As the Secret Service library raises it."""


@pytest.mark.parametrize(("vanishes", "found"), [(1, True), (2, True), (3, False)])
def test_an_entry_that_was_replaced_while_it_was_read_is_looked_for_again(vanishes: int, found: bool) -> None:
    class Library:
        looks = 0

        def get_password(self, service: str, entry: str) -> str:
            self.looks += 1
            if self.looks <= vanishes:
                raise ItemNotFoundException
            return "value"

    keyring, library = OsKeyring("secret-service"), Library()
    keyring._loaded = library  # type: ignore[assignment]
    if found:
        assert keyring.get("freshd", "a") == "value"
    else:
        with pytest.raises(KeyringUnavailable, match="ItemNotFoundException"):
            keyring.get("freshd", "a")
    assert library.looks == min(vanishes + 1, 3)
