"""A real gnome-keyring-daemon on a D-Bus session of its own, to be locked, frozen, killed and brought back.

Everything lives in a temporary home: nobody's login keyring is touched, and no display is needed.
`KeyringBed.env` holds what a child process needs to find it; the bed itself changes no environment.

Two kinds of session. With `activation` (what every desktop has) the bus starts a new daemon as soon as a
client asks for a dead one, and the new one is locked. Without it, a dead daemon stays dead: calls fail with
ServiceUnknown.

A daemon that was given a wrong password says nothing and stays locked: trust `is_locked`, no exit status.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self, cast

# jeepney ships no type information.
from jeepney import DBusAddress, HeaderFields, MessageType, new_method_call  # type: ignore[import-untyped]
from jeepney.io.blocking import DBusConnection, open_dbus_connection  # type: ignore[import-untyped]

#: Seen: the daemon owns its name 10-40 ms after its start.
START_DEADLINE_S: Final = 10
#: A daemon that is to replace another sometimes gives way to it; that one is killed then.
RECOVER_S: Final = 5.0
RECOVERIES: Final = 5
STOP_DEADLINE_S: Final = 5
#: A frozen daemon answers nothing; the bed's own questions give up after this.
CALL_DEADLINE_S: Final = 5.0
LOOK_EVERY_S: Final = 0.003

SECRETS: Final = "org.freedesktop.secrets"
SERVICE: Final = DBusAddress("/org/freedesktop/secrets", SECRETS, "org.freedesktop.Secret.Service")
#: gnome-keyring's own door for unlocking without a prompt; its name is a warning to applications.
INTERNAL: Final = DBusAddress(
    "/org/freedesktop/secrets", SECRETS, "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface"
)
BUS: Final = DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")

#: A session bus that starts nothing by itself.
BARE_BUS: Final = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=/nowhere</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
"""


class KeyringFailed(RuntimeError):
    """The bus or the daemon did not do what was asked. `name` is the D-Bus error, where there was one."""

    def __init__(self, message: str, name: str | None = None) -> None:
        super().__init__(message if name is None else f"{message}: {name}")
        self.name = name


class KeyringBed:
    """A session with a keyring unlocked by `password`: a context manager, or `start` and `stop`.

    The files survive `kill` and `restart` and are removed by `stop`.
    """

    def __init__(self, password: str = "bed", *, activation: bool = True) -> None:
        self.password = password
        self._activation = activation
        self._root = Path(tempfile.mkdtemp(prefix="freshd-keyring-"))
        self.env = _environment(self._root)
        self._log: IO[bytes] = (self._root / "log").open("wb")
        self._bus: subprocess.Popen[bytes] | None = None
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> Self:
        """Start bus and daemon and return once the default collection is unlocked, else raise."""
        self._start_bus()
        self.restart()
        if self.is_locked():
            self.stop()
            raise KeyringFailed("the new keyring is locked")
        return self

    def stop(self) -> None:
        """End daemon and bus and remove the files. A second stop does nothing."""
        bus, self._bus = self._bus, None
        if bus is not None and bus.poll() is None:
            self.kill()
            _end(bus)
        for daemon in self._daemons:
            _end(daemon)
        self._daemons.clear()
        self._log.close()
        shutil.rmtree(self._root, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def files(self) -> Path:
        """The folder of the keyring files."""
        return self._root / "data" / "keyrings"

    def daemon_pid(self) -> int | None:
        """Process id of the daemon that owns the service's name, also one the bus started; None for none."""
        try:
            return cast("int", self._call(BUS, "GetConnectionUnixProcessID", "s", (SECRETS,))[0])
        except KeyringFailed as refusal:
            if refusal.name == "org.freedesktop.DBus.Error.NameHasNoOwner":
                return None
            raise

    def is_locked(self) -> bool:
        """Is the default collection locked, or not there? Raises `TimeoutError` when the daemon is frozen.

        With `activation`, asking after a `kill` brings up a locked daemon.
        """
        path = self._default()
        if path is None:
            return True
        properties = DBusAddress(path, SECRETS, "org.freedesktop.DBus.Properties")
        answer = self._call(properties, "Get", "ss", ("org.freedesktop.Secret.Collection", "Locked"))
        return bool(answer[0][1])

    def lock(self) -> None:
        """Lock the default collection, as a screen lock or an idle timer would."""
        path = self._default()
        if path is not None:
            self._call(SERVICE, "Lock", "ao", ([path],))

    def unlock(self, password: str | None = None) -> bool:
        """Unlock the default collection without a prompt, with the bed's password or another. Did it work?"""
        path = self._default()
        if path is None:
            return False
        secret = (self.password if password is None else password).encode()
        with contextlib.closing(open_dbus_connection(self.env["DBUS_SESSION_BUS_ADDRESS"])) as connection:
            session = _ask(connection, SERVICE, "OpenSession", "sv", ("plain", ("s", "")))[1]
            arguments = (path, (session, b"", secret, "text/plain"))
            with contextlib.suppress(KeyringFailed):
                _ask(connection, INTERNAL, "UnlockWithMasterPassword", "o(oayays)", arguments)
        return not self.is_locked()

    def freeze(self) -> int:
        """Stop the daemon with SIGSTOP: calls to it hang. Returns its process id, for `thaw`."""
        return self._signal(signal.SIGSTOP)

    def thaw(self, pid: int) -> None:
        """Let a frozen daemon go on: it answers what was asked meanwhile."""
        os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[int]:
        """A span in which every call to the keyring hangs."""
        pid = self.freeze()
        try:
            yield pid
        finally:
            with contextlib.suppress(ProcessLookupError):
                self.thaw(pid)

    def kill(self) -> None:
        """Kill the daemon with SIGKILL, frozen or not, and wait until its name is free, if one runs."""
        if self.daemon_pid() is None:
            return
        with contextlib.suppress(ProcessLookupError):
            pid = self._signal(signal.SIGKILL)
            self._wait_for(lambda: self.daemon_pid() != pid, "the daemon to die")

    def restart(self, password: str | None = None) -> int:
        """Put a new daemon in the place of any other; unlock it with the bed's password or another.

        Returns its process id once it owns the name. A wrong password leaves it locked and raises nothing.
        Where somebody asks all the while, the bus may start one at the same time, to which ours gives way: then again.
        """
        for _ in range(RECOVERIES):
            daemon = self._spawn(password)
            if self._comes(lambda pid=daemon.pid: self.daemon_pid() == pid, RECOVER_S):  # type: ignore[misc]
                return daemon.pid
            self._daemons.remove(daemon)
            _end(daemon)
            self.kill()  # the one that the bus started: it is not replaced while it has no control socket
        raise KeyringFailed(f"no daemon of ours came to own its name: {self._said()}")

    def recover(self) -> None:
        """Put a new daemon in the place of any other, or let the one that the bus started meanwhile be: unlocked."""
        before = self.daemon_pid()
        for _ in range(RECOVERIES):
            daemon = self._spawn(None)
            is_usable = self._comes(lambda: self.daemon_pid() not in (None, before) and self._is_usable(), RECOVER_S)
            if self.daemon_pid() != daemon.pid:
                self._daemons.remove(daemon)
                _end(daemon)
            if is_usable:
                return
            self.kill()
        raise KeyringFailed(f"no unlocked keyring: {self._said()}")

    def _is_usable(self) -> bool:
        try:
            return self.unlock()
        except (KeyringFailed, OSError):  # one daemon gives way to the next
            return False

    def _spawn(self, password: str | None) -> subprocess.Popen[bytes]:
        daemon = subprocess.Popen(
            ["gnome-keyring-daemon", "--foreground", "--replace", "--unlock", "--components=secrets"],
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
        )
        self._daemons.append(daemon)
        stdin = cast("IO[bytes]", daemon.stdin)
        stdin.write((self.password if password is None else password).encode())
        stdin.close()
        return daemon

    def lose_files(self) -> None:
        """Take the keyring's files away from under it, as a home that was brought back without them."""
        shutil.rmtree(self.files)

    def save_files(self) -> Path:
        """A copy of the keyring's files, for `bring_back`."""
        copy = self._root / f"copy-{time.monotonic_ns()}"
        shutil.copytree(self.files, copy)
        return copy

    def bring_back(self, copy: Path) -> None:
        """Put a copy of the files in the place of what is there.  The daemon must be started anew to see them."""
        shutil.rmtree(self.files, ignore_errors=True)
        shutil.copytree(copy, self.files)

    def drop_alias(self) -> None:
        """Leave the session without a default collection; the collection itself stays."""
        self._call(SERVICE, "SetAlias", "so", ("default", "/"))

    @contextlib.contextmanager
    def silent(self) -> Iterator[Callable[[], object]]:
        """A span in which somebody owns the service's name and answers nothing; call what it yields to free the name.

        What was asked before stays without an answer.  Only without `activation`, and with no daemon: `kill` first.
        """
        with contextlib.closing(open_dbus_connection(self.env["DBUS_SESSION_BUS_ADDRESS"])) as connection:
            _ask(connection, BUS, "RequestName", "su", (SECRETS, 0))
            yield lambda: _ask(connection, BUS, "ReleaseName", "s", (SECRETS,))

    def restart_bus(self) -> None:
        """End the bus, and with it the daemon, and start another at the same address, and a daemon on it."""
        bus, self._bus = self._bus, None
        if bus is not None:
            _end(bus)
        for daemon in self._daemons:
            _end(daemon)
        self._daemons.clear()
        self._start_bus()
        self.restart()

    def _start_bus(self) -> None:
        command = ["dbus-daemon", "--nofork", "--nosyslog", "--print-address=1"]
        command.append(f"--address=unix:path={self._root / 'run' / 'bus'}")
        if self._activation:
            command.append("--session")
        else:
            (self._root / "bus.conf").write_text(BARE_BUS)
            command.append(f"--config-file={self._root / 'bus.conf'}")
        self._bus = subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, stderr=self._log)
        address = cast("IO[bytes]", self._bus.stdout).readline().decode().strip()
        if not address:
            raise KeyringFailed(f"dbus-daemon did not start: {self._said()}")
        self.env["DBUS_SESSION_BUS_ADDRESS"] = address

    def _default(self) -> str | None:
        path = cast("str", self._call(SERVICE, "ReadAlias", "s", ("default",))[0])
        return None if path == "/" else path

    def _signal(self, number: signal.Signals) -> int:
        pid = self.daemon_pid()
        if pid is None:
            raise KeyringFailed("no daemon owns the service's name")
        os.kill(pid, number)
        return pid

    def _call(self, address: DBusAddress, method: str, signature: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        with contextlib.closing(open_dbus_connection(self.env["DBUS_SESSION_BUS_ADDRESS"])) as connection:
            return _ask(connection, address, method, signature, arguments)

    def _wait_for(self, true: Callable[[], bool], what: str) -> None:
        if not self._comes(true, START_DEADLINE_S):
            raise KeyringFailed(f"waited in vain for {what}: {self._said()}")

    def _comes(self, true: Callable[[], bool], seconds: float) -> bool:
        give_up_at = time.monotonic() + seconds
        while not true():
            if time.monotonic() > give_up_at:
                return False
            time.sleep(LOOK_EVERY_S)
        return True

    def _said(self) -> str:
        return (self._root / "log").read_text(errors="replace")[-1000:]


def _environment(root: Path) -> dict[str, str]:
    folders = {
        "HOME": "home",
        "XDG_DATA_HOME": "data",
        "XDG_CONFIG_HOME": "config",
        "XDG_CACHE_HOME": "cache",
        "XDG_RUNTIME_DIR": "run",
    }
    for name in folders.values():
        (root / name).mkdir(mode=0o700)
    places = {variable: str(root / name) for variable, name in folders.items()}
    return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **places}


def _ask(
    connection: DBusConnection, address: DBusAddress, method: str, signature: str, arguments: tuple[Any, ...]
) -> tuple[Any, ...]:
    message = new_method_call(address, method, signature, arguments)
    reply = connection.send_and_get_reply(message, timeout=CALL_DEADLINE_S)
    if reply.header.message_type is MessageType.error:
        raise KeyringFailed(method, reply.header.fields.get(HeaderFields.error_name))
    return cast("tuple[Any, ...]", reply.body)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
