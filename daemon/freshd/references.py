"""Fetches the secrets that the configuration refers to, anew for each exchange.

Rules
-----
* Nothing is kept: a secret that was changed on disk is used from the next exchange on.
* Every way has a deadline and a size limit.  Files and keyrings are asked on threads of their own that can be
  abandoned, so that a hung mount or keyring holds up nobody else (I11).
* A command is started without a shell, in a session of its own, with a handful of variables; its output on standard
  error is thrown away and it is killed with its children at the deadline.
* Errors name the place, never what was found there.  The arguments of a command are not shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

from freshd.core.model import Secret
from freshd.core.settings import SecretRef, Way
from freshd.errors import FreshdError
from freshd.ports import Custodian

DEADLINE_SECONDS: Final = 10.0
"""A password manager may have to wake an agent; a person is not waited for."""
LIMIT_BYTES: Final = 64 * 1024
OTHERS: Final = 0o077
PASSED_ON: Final = ("PATH", "HOME", "USER", "LANG", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
"""What password managers need to find their agents; nothing else reaches a command."""
ABANDONED_LIMIT: Final = 8
"""Calls that may hang at once before further ones are refused: each holds a thread until it ends."""

T = TypeVar("T")


class SecretMissing(FreshdError):
    """A secret that the configuration refers to cannot be had now.  Nothing was sent."""

    exit_code = 78
    type = "secret-missing"


class References:
    """Resolves references.  `keyring`: the custodian that holds keyring entries, None where there is none."""

    def __init__(
        self,
        keyring: Custodian | None = None,
        environ: Mapping[str, str] | None = None,
        deadline: float = DEADLINE_SECONDS,
    ) -> None:
        self._keyring = keyring
        self._environ = os.environ if environ is None else environ
        self._deadline = deadline
        self._hanging = threading.Semaphore(ABANDONED_LIMIT)

    async def resolve(self, ref: SecretRef) -> Secret:
        """The secret at the place.  Raises SecretMissing, or KeyringUnavailable from the custodian."""
        try:
            data = await asyncio.wait_for(self._fetch(ref), self._deadline)
        except TimeoutError:
            wrong = f"no answer from {place(ref)} within {self._deadline:g} s"
            raise SecretMissing(wrong, "see why it hangs; freshd asks again at the next exchange") from None
        return _secret(data, ref)

    async def _fetch(self, ref: SecretRef) -> bytes:
        if ref.way is Way.FILE:
            return await self._apart(lambda: _read(Path(ref.where[0]), ref, private=True))
        if ref.way is Way.CREDENTIAL:
            folder = self._environ.get("CREDENTIALS_DIRECTORY")
            if not folder:
                raise SecretMissing(f"no {place(ref)}: freshd was started without credentials", _CREDENTIAL)
            return await self._apart(lambda: _read(Path(folder) / ref.where[0], ref, private=False))
        if ref.way is Way.KEYRING:
            return await self._apart(lambda: self._ask_keyring(ref))
        return await self._run(ref)

    def _ask_keyring(self, ref: SecretRef) -> bytes:
        service, entry = ref.where
        found = None if self._keyring is None else self._keyring.get(service, entry)
        if found is None:
            wrong = f"{place(ref)} is locked or not there"
            raise SecretMissing(wrong, "unlock the keyring, or store it: keyring set SERVICE ENTRY")
        return found.encode()

    async def _apart(self, call: Callable[[], T]) -> T:
        """Run a call that may block on a thread of its own; the caller may stop waiting at any time."""
        if not self._hanging.acquire(blocking=False):
            raise SecretMissing("too many earlier look-ups still hang", "see which mount or keyring hangs")
        loop, answer = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

        def work() -> None:
            try:
                outcome: T | BaseException = call()
            except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the caller
                outcome = error
            finally:
                self._hanging.release()
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody is waiting
                loop.call_soon_threadsafe(_settle, answer, outcome)

        try:
            threading.Thread(target=work, name="freshd-reference", daemon=True).start()
        except RuntimeError:
            self._hanging.release()
            raise SecretMissing("no thread can be started to look it up", "raise TasksMax= or ulimit -u") from None
        result: T = await answer
        return result

    async def _run(self, ref: SecretRef) -> bytes:
        environ = {name: self._environ[name] for name in PASSED_ON if name in self._environ}
        try:
            process = await asyncio.create_subprocess_exec(
                *ref.where,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=environ,
                cwd="/",
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise SecretMissing(f"{place(ref)} does not start ({type(error).__name__})", _COMMAND) from None
        try:
            data = await _output(process)
            status = await process.wait()
        finally:
            await _end(process)
        if status:
            raise SecretMissing(f"{place(ref)} ended with status {status}", _COMMAND)
        return data


_CREDENTIAL: Final = "add LoadCredentialEncrypted=NAME to the unit and restart it"
_COMMAND: Final = "run the command by hand as the user of freshd"


def place(ref: SecretRef) -> str:
    """Where a secret lies, for people; without the arguments of a command."""
    if ref.way is Way.KEYRING:
        return f"keyring entry {ref.where[1]} of service {ref.where[0]}"
    return f"{ref.way.value} {ref.where[0]}"


def _settle(answer: asyncio.Future[T], outcome: T | BaseException) -> None:
    if answer.done():
        return
    if isinstance(outcome, BaseException):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)


def _read(path: Path, ref: SecretRef, *, private: bool) -> bytes:
    """A regular file of bounded size.  Opened without waiting, so that a FIFO cannot hold us."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = type(error).__name__
        raise SecretMissing(f"{place(ref)} cannot be opened ({reason})", "make it readable for freshd") from None
    with open(handle, "rb") as file:  # noqa: PTH123 - a descriptor has no path
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise SecretMissing(f"{place(ref)} is no regular file", "write the path of a file")
        if private and mode & OTHERS:
            raise SecretMissing(f"other users may use {place(ref)}", f"chmod 600 {path}")
        return file.read(LIMIT_BYTES + 1)


async def _output(process: asyncio.subprocess.Process) -> bytes:
    """What it writes, cut one byte behind the limit."""
    data = b""
    while process.stdout is not None and len(data) <= LIMIT_BYTES:
        chunk = await process.stdout.read(LIMIT_BYTES + 1 - len(data))
        if not chunk:
            break
        data += chunk
    if len(data) > LIMIT_BYTES:
        raise SecretMissing(f"a command wrote more than {LIMIT_BYTES // 1024} KiB", _COMMAND)
    return data


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill it with its children; its session carries its pid."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _secret(data: bytes, ref: SecretRef) -> Secret:
    """Text of bounded size, less one line ending."""
    if len(data) > LIMIT_BYTES:
        raise SecretMissing(f"{place(ref)} holds more than {LIMIT_BYTES // 1024} KiB", "refer to the secret alone")
    try:
        text = data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise SecretMissing(f"{place(ref)} holds no UTF-8 text", "store the secret as text") from None
    if not text:
        raise SecretMissing(f"{place(ref)} is empty", "store the secret there")
    return Secret(text)
