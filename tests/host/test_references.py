"""A secret is fetched from where it lies, within limits, and never shows itself in an error."""

import asyncio
import contextlib
import os
import select
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from freshd.core.settings import SecretRef, Way
from freshd.references import LIMIT_BYTES, References, SecretMissing

CANARY = "canary7Value"


class Keyring:
    """A custodian that answers, knows nothing, or hangs."""

    name = "test"
    writable = False

    def __init__(self, value: str | None, gate: threading.Event | None = None) -> None:
        self._value = value
        self._gate = gate

    def get(self, service: str, entry: str) -> str | None:
        if self._gate is not None:
            self._gate.wait(20)
        return self._value if (service, entry) == ("service", "entry") else None

    def put(self, service: str, entry: str, value: str) -> None:
        raise NotImplementedError

    def drop(self, service: str, entry: str) -> None:
        raise NotImplementedError


ENTRY = SecretRef(Way.KEYRING, ("service", "entry"))


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def file(path: Path, data: bytes = CANARY.encode(), mode: int = 0o600) -> SecretRef:
    path.write_bytes(data)
    path.chmod(mode)
    return SecretRef(Way.FILE, (str(path),))


def command(code: str, *more: str) -> SecretRef:
    return SecretRef(Way.COMMAND, (sys.executable, "-c", code, *more))


def has_ended(pid: int) -> bool:
    """Wait for the end of a process that need not be ours."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with open(handle, "rb"):  # noqa: PTH123 - closes the descriptor
        return bool(select.select([handle], [], [], 20)[0])


async def refusal(references: References, ref: SecretRef) -> str:
    with pytest.raises(SecretMissing) as caught:
        await references.resolve(ref)
    assert caught.value.remedy
    assert CANARY not in caught.value.cause + caught.value.remedy
    return caught.value.cause


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
async def test_a_file_holds_the_secret_and_at_most_one_line_ending(tmp_path: Path, ending: bytes) -> None:
    secret = await References().resolve(file(tmp_path / "s", CANARY.encode() + ending))
    assert secret.reveal() == CANARY


async def test_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    references, ref = References(), file(tmp_path / "s", b"old")
    await references.resolve(ref)
    file(tmp_path / "s", b"new")
    assert (await references.resolve(ref)).reveal() == "new"


@pytest.mark.parametrize(
    ("data", "mode", "wrong"),
    [
        (CANARY.encode(), 0o644, "other users may use"),
        (b"\n", 0o600, "is empty"),
        (b"\xff", 0o600, "holds no UTF-8 text"),
        (b"x" * (LIMIT_BYTES + 1), 0o600, "holds more than 64 KiB"),
    ],
)
async def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, data: bytes, mode: int, wrong: str) -> None:
    ref = file(tmp_path / "s", data, mode)
    assert wrong in await refusal(References(), ref)
    assert str(tmp_path) in await refusal(References(), ref)


async def test_neither_a_missing_file_nor_a_fifo_holds_anybody_up(tmp_path: Path) -> None:
    assert "cannot be opened" in await refusal(References(), SecretRef(Way.FILE, (str(tmp_path / "none"),)))
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert "no regular file" in await refusal(References(), SecretRef(Way.FILE, (str(tmp_path / "fifo"),)))


async def test_a_credential_lies_in_the_folder_of_the_unit(tmp_path: Path) -> None:
    file(tmp_path / "name", mode=0o640)
    references = References(environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert (await references.resolve(SecretRef(Way.CREDENTIAL, ("name",)))).reveal() == CANARY
    assert "without credentials" in await refusal(References(environ={}), SecretRef(Way.CREDENTIAL, ("name",)))


async def test_a_keyring_entry_is_asked_for() -> None:
    assert (await References(Keyring(CANARY)).resolve(ENTRY)).reveal() == CANARY
    assert "locked or not there" in await refusal(References(Keyring(None)), ENTRY)
    assert "locked or not there" in await refusal(References(), ENTRY)


async def test_a_keyring_that_hangs_is_left_behind(gate: threading.Event) -> None:
    assert "no answer" in await refusal(References(Keyring(CANARY, gate), deadline=0.05), ENTRY)


async def test_hanging_calls_are_bounded(gate: threading.Event) -> None:
    references = References(Keyring(CANARY, gate), deadline=0.01)
    causes = [await refusal(references, ENTRY) for _ in range(9)]
    assert "still hang" in causes[-1]
    assert all("no answer" in cause for cause in causes[:-1])


async def test_a_command_prints_the_secret() -> None:
    assert (await References().resolve(command(f"print('{CANARY}')"))).reveal() == CANARY


async def test_a_command_gets_no_variable_that_it_does_not_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHD_TEST_LEAK", CANARY)
    secret = await References().resolve(command("import os; print(sorted(os.environ))"))
    assert "FRESHD_TEST_LEAK" not in secret.reveal()


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        (f"print('{CANARY}'); raise SystemExit(3)", "ended with status 3"),
        (f"import sys; print('{CANARY}', file=sys.stderr)", "is empty"),
        ("print('x' * 99999)", "more than 64 KiB"),
    ],
)
async def test_a_command_that_fails_shows_neither_output_nor_arguments(code: str, wrong: str) -> None:
    assert wrong in await refusal(References(), command(code, CANARY))


async def test_a_command_that_is_given_up_is_killed_with_its_children(tmp_path: Path) -> None:
    # The deadline gives up in the same way: it cancels.
    pids = tmp_path / "pids"
    os.mkfifo(pids)
    code = f"import os, time; os.fork() or open('{pids}', 'w').write(str(os.getpid())); time.sleep(60)"
    asking = asyncio.create_task(References().resolve(command(code)))
    child = int(await asyncio.to_thread(pids.read_text))
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    assert await asyncio.to_thread(has_ended, child)


async def test_a_command_that_does_not_start_is_named() -> None:
    assert "does not start" in await refusal(References(), SecretRef(Way.COMMAND, ("/no/such/program",)))


async def test_threads_that_cannot_be_started_use_up_no_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    references = References(Keyring(CANARY))

    def no_thread(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        for _ in range(20):
            with pytest.raises(SecretMissing, match="no thread"):
                await references.resolve(ENTRY)
    assert (await references.resolve(ENTRY)).reveal() == CANARY
