"""The whole daemon as a process of its own: how it starts, hears signals and ends, and what it lets nobody see.

Nothing here waits by sleeping: a test reads the daemon's notifications and its log, line by line, until what it waits
for was said.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pwd
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Self

import pytest

from freshd.app import Daemon, Hooks, settings_of
from freshd.client import Client
from freshd.client.errors import ClientError
from freshd.core.events import Event
from freshd.sandbox.server import Running, Settings, start
from freshd.sandbox.tokens import Holder
from tests.canary import search

ROOT = Path(__file__).parents[2]
USER = pwd.getpwuid(os.getuid()).pw_name
PATIENCE_SECONDS = 30.0
PROGRAM = "from freshd.cli.entry import main; raise SystemExit(main())"


class Home:
    """A daemon's folder, and its service manager: the socket it notifies."""

    def __init__(self, folder: Path, service: Running) -> None:
        self.folder, self.service = folder, service
        self.config, self.socket = folder / "freshd.toml", folder / "s.sock"
        self.state, self.key = folder / "state", folder / "key"
        self.secret = folder / "client.secret"
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.manager.bind(str(folder / "notify"))
        self.seen: set[str] = {"sandbox-secret"}
        self.write("mail")

    def account(self, name: str, *lines: str) -> str:
        given = lines or (f'issuer = "{self.service.base_url}"',)
        return "\n".join((
            f"[accounts.{name}]", 'kind = "oauth2"', f'readers = {{ users = ["{USER}"] }}', 'client_id = "freshd-web"',
            f'client_secret = {{ file = "{self.secret}" }}', 'client_auth = "client_secret_post"', "min_interval = 0",
            "host_interval = 0", "allow_short_lived = true", f'grant = "{name}"', *given,
        ))  # fmt: skip

    def write(self, *names: str, more: str = "") -> None:
        self.secret.touch(0o600)
        self.secret.write_text("sandbox-secret")
        parts = [
            f'state_dir = "{self.state}"', "[socket]", f'path = "{self.socket}"', "[vault]", 'placement = "sealed"',
            'custodian = "key-file"', f'key_file = "{self.key}"', "[log]", 'format = "json"', 'level = "debug"',
        ]  # fmt: skip
        self.config.touch(0o600)
        self.config.write_text("\n".join([*parts, *(self.account(name) for name in names), more, ""]))

    def mint(self, label: str) -> str:
        holder = Holder(client_id="freshd-web", label=label, subject=label)
        text = self.service.ledger.mint(holder, self.service.service.stage.now()).text
        self.seen.add(text)
        return text

    def calls(self, label: str) -> int:
        return len(self.service.ledger.books.account(label).calls)

    def at_rest(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.state.iterdir()}

    def sealing_key(self) -> bytes:
        return self.key.read_bytes().strip()

    async def notified(self, wanted: str) -> None:
        """Return when the manager was told so."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while wanted not in (await asyncio.get_running_loop().sock_recv(self.manager, 4096)).decode().split("\n"):
                pass

    async def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        def call() -> dict[str, Any]:
            with Client(str(self.socket), timeout=PATIENCE_SECONDS) as client:
                return dict(client.call(method, path, body))

        return await asyncio.to_thread(call)

    async def operate(self, verb: str, account: str = "mail", **args: object) -> dict[str, Any]:
        return await self.ask("POST", f"/v1/accounts/{account}/{verb}", args)

    async def token(self, account: str = "mail") -> str:
        found = str((await self.ask("GET", f"/v1/tokens/{account}?wait=20"))["access_token"])
        self.seen.add(found)
        return found

    async def enrol(self, account: str = "mail") -> str:
        """Import a grant; its first token."""
        await self.operate("import", account, secrets={"refresh_token": self.mint(account)})
        return await self.token(account)


class Process:
    """`freshd run`, with all that it wrote."""

    def __init__(self, home: Home, process: asyncio.subprocess.Process) -> None:
        self.home, self._process = home, process
        self.events: list[dict[str, Any]] = []
        self.text = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    def proc(self, name: str) -> bytes:
        """What the system shows of it."""
        return Path(f"/proc/{self.pid}/{name}").read_bytes()

    @classmethod
    async def begin(cls, home: Home, *, stderr: int = asyncio.subprocess.PIPE) -> Self:
        env = {
            "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT / "daemon"),
            "HOME": str(home.folder), "NOTIFY_SOCKET": str(home.folder / "notify"), "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        command = [sys.executable, "-c", PROGRAM, "--config", str(home.config), "run"]
        return cls(home, await asyncio.create_subprocess_exec(
            *command, env=env, cwd=ROOT, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=stderr, limit=1 << 20,
        ))  # fmt: skip

    async def until(self, *names: str) -> dict[str, Any]:
        """The next event of one of these names."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                event = await self._next()
                if event["event"] in names:
                    return event

    async def _next(self) -> dict[str, Any]:
        assert self._process.stderr is not None
        line = (await self._process.stderr.readline()).decode()
        assert line, self.text
        self.text += line
        event: dict[str, Any] = json.loads(line)
        self.events.append(event)
        return event

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Its exit status; the rest of what it wrote is in `text`."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            if self._process.stderr is not None:
                self.text += (await self._process.stderr.read()).decode()
                search.said("the daemon's log", self.text)
            return await self._process.wait()

    async def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self.ended()


@pytest.fixture
async def service() -> AsyncIterator[Running]:
    async with await start(Settings(seed=1)) as running:
        yield running


@pytest.fixture
async def home(tmp_path: Path, service: Running) -> AsyncIterator[Home]:
    made = Home(tmp_path, service)
    yield made
    made.manager.close()


@pytest.fixture
async def daemon(home: Home) -> AsyncIterator[Process]:
    """A daemon that said READY."""
    process = await Process.begin(home)
    await home.notified("READY=1")
    yield process
    await process.kill()


@contextlib.asynccontextmanager
async def running(home: Home) -> AsyncIterator[Process]:
    """Another life of the same daemon."""
    process = await Process.begin(home)
    try:
        await home.notified("READY=1")
        yield process
    finally:
        await process.kill()


# -- the start --------------------------------------------------------------------------------------------------------


async def test_ready_is_said_with_the_socket_bound_and_before_any_call(home: Home, daemon: Process) -> None:
    await home.enrol()
    assert await daemon.stop() == 0
    calls, order, up = home.calls("mail"), list[str](), asyncio.Event()
    called: list[int] = []

    class Manager:
        watchdog_seconds = None

        def say(self, *lines: str) -> bool:
            order.append(lines[0])
            if lines[0] == "READY=1":
                up.set()
                called.append(home.calls("mail"))
                with socket.socket(socket.AF_UNIX) as reader:
                    reader.connect(str(home.socket))
            return True

    again = Daemon(home.config, settings_of(home.config), Hooks(point=lambda number: order.append(str(number))))
    again._notifier = Manager()  # type: ignore[assignment]
    life = asyncio.ensure_future(again.run())
    async with asyncio.timeout(PATIENCE_SECONDS):
        await up.wait()
    await home.operate("refresh")
    again._stopping.set()
    assert await life == 0
    assert order.index("READY=1") < order.index("1") < order.index("4") < order.index("STOPPING=1")
    assert called == [calls]
    assert home.calls("mail") > calls


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_I9_a_lease_survives_a_restart_and_is_served_without_a_call(
    end: signal.Signals, home: Home, daemon: Process
) -> None:
    token = await home.enrol()
    daemon.signal(end)
    await daemon.ended()
    calls = home.calls("mail")
    async with running(home):
        assert await home.token() == token
    assert home.calls("mail") == calls


async def test_without_its_key_it_is_up_and_goes_on_when_the_key_is_there(home: Home, daemon: Process) -> None:
    token = await home.enrol()
    await daemon.stop()
    calls = home.calls("mail")
    away = home.key.rename(home.folder / "away")
    async with running(home) as locked:
        assert (await locked.until("daemon.started"))["locked"]
        with pytest.raises(ClientError) as met:
            await home.ask("GET", "/v1/tokens/mail?wait=0")
        assert met.value.kind == "vault-locked"
        assert (await home.ask("GET", "/v1/accounts/mail"))["phase"] == "locked"
        away.rename(home.key)
        await locked.until("vault.unlocked")
        assert await home.token() == token
    assert home.calls("mail") == calls


async def test_with_the_key_of_another_vault_it_ends_and_says_so(home: Home, daemon: Process) -> None:
    await home.enrol()
    await daemon.stop()
    home.key.rename(home.folder / "away")
    async with running(home) as locked:
        home.key.touch(0o600)
        home.key.write_text("ab" * 32)
        assert (await locked.until("vault.unusable"))["type"] == "vault-foreign"
        assert await locked.ended() == 76


async def test_I1_a_second_instance_names_the_first_and_touches_nothing(home: Home, daemon: Process) -> None:
    token = await home.enrol()
    before = home.socket.stat()
    second = await Process.begin(home)
    assert await second.ended() == 73
    assert f"pid {daemon.pid}" in second.text
    assert "remedy: " in second.text
    after = home.socket.stat()
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)
    assert await home.token() == token


async def test_a_configuration_with_errors_never_starts(home: Home) -> None:
    home.write("mail", more='[accounts.bad]\nkind = "oauth2"\ncolour = "canary-value"')
    process = await Process.begin(home)
    assert await process.ended() == 78
    assert "colour" in process.text
    assert "canary-value" not in process.text
    assert not home.socket.exists()
    assert not home.state.exists()


# -- SIGHUP -----------------------------------------------------------------------------------------------------------


async def test_a_broken_configuration_is_refused_with_all_its_problems_and_the_old_one_stays(
    home: Home, daemon: Process
) -> None:
    token = await home.enrol()
    home.config.write_text('[accounts.mail]\nkind = "oauth2"\ncolour = "canary-value"\n[accounts.b]\nkind = 7\n')
    daemon.signal(signal.SIGHUP)
    refused = await daemon.until("config.refused", "config.reloaded")
    assert (refused["event"], refused["level"]) == ("config.refused", "alert")
    assert "colour" in refused["problems"]
    assert "accounts.b.kind" in refused["problems"]
    assert refused["remedy"]
    assert await home.token() == token
    home.config.unlink()
    daemon.signal(signal.SIGHUP)
    assert (await daemon.until("config.refused", "config.reloaded"))["event"] == "config.refused"
    assert await home.token() == token
    assert "canary-value" not in daemon.text


async def test_a_good_configuration_changes_only_what_changed(home: Home, daemon: Process) -> None:
    token = await home.enrol()
    calls = home.calls("mail")
    home.write("mail", "calendar")
    daemon.signal(signal.SIGHUP)
    reloaded = await daemon.until("config.refused", "config.reloaded")
    assert (reloaded["added"], reloaded["removed"], reloaded["changed"]) == (1, 0, 0)
    assert await home.enrol("calendar")
    assert (await home.token(), home.calls("mail")) == (token, calls)
    home.write("calendar")
    daemon.signal(signal.SIGHUP)
    assert (await daemon.until("config.refused", "config.reloaded"))["removed"] == 1
    with pytest.raises(ClientError):
        await home.token()
    assert (await home.ask("GET", "/v1/accounts/mail"))["retired"]
    home.write("calendar", "mail")
    daemon.signal(signal.SIGHUP)
    await daemon.until("config.reloaded")
    assert (await home.token(), home.calls("mail")) == (token, calls)


# -- the end ----------------------------------------------------------------------------------------------------------


class Slow:
    """A token endpoint that answers when the test says so."""

    def __init__(self) -> None:
        self.arrived, self.go = asyncio.Event(), asyncio.Event()
        self.presented: list[str] = []

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        self.presented.append((await reader.readexactly(length)).decode())
        self.arrived.set()
        await self.go.wait()
        number = len(self.presented)
        answer = {
            "access_token": f"canary-access-{number}", "token_type": "Bearer", "expires_in": 3600,
            "refresh_token": f"canary-refresh-{number}",
        }  # fmt: skip
        body = json.dumps(answer).encode()
        kind = "Content-Type: application/json"
        writer.write(f"HTTP/1.1 200 OK\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


async def test_a_stop_lets_a_slow_call_land_and_nothing_of_it_is_lost(home: Home) -> None:
    slow = Slow()
    server = await asyncio.start_server(slow.meet, "127.0.0.1", 0)
    endpoint = f'token_endpoint = "http://127.0.0.1:{server.sockets[0].getsockname()[1]}/token"'
    home.write(more=home.account("mail", endpoint))
    async with running(home) as first:
        await home.operate("import", secrets={"refresh_token": "canary-refresh-0"})
        async with asyncio.timeout(PATIENCE_SECONDS):
            await slow.arrived.wait()
        first.signal(signal.SIGTERM)
        await home.notified("STOPPING=1")
        await first.until("daemon.stopping")
        slow.go.set()
        assert await first.ended() == 0
        assert json.loads(first.text.splitlines()[-1])["event"] == "daemon.stopped"
    assert not home.socket.exists()
    async with running(home) as second:
        assert await home.token() == "canary-access-1"
        assert await second.stop() == 0
    assert len(slow.presented) == 1
    assert "canary" not in first.text + second.text
    server.close()


async def test_I11_nobody_reading_its_log_holds_the_daemon_up(home: Home) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 8192)
    process = await Process.begin(home, stderr=writer)
    try:
        await home.notified("READY=1")
        await home.enrol()
        for _ in range(40):
            await home.operate("pause")
            await home.operate("resume")
        assert await home.token()
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
    finally:
        await process.kill()
    os.close(writer)
    os.set_blocking(reader, False)
    lines = os.read(reader, 1 << 20).decode()
    os.close(reader)
    assert [json.loads(line)["event"] for line in lines.splitlines()][:1] == ["daemon.started"]
    assert "daemon.stopped" not in lines


# -- I10 --------------------------------------------------------------------------------------------------------------


async def test_I10_the_process_gives_nothing_away(home: Home, daemon: Process) -> None:
    status = daemon.proc("status").decode()
    assert "Umask:\t0077" in status
    limits = daemon.proc("limits").decode()
    [core] = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert core.split()[4:6] == ["0", "0"]


async def test_I10_a_hardened_process_is_not_dumpable_and_libraries_write_nothing(home: Home) -> None:
    program = (
        "import ctypes, logging, os, resource, warnings; from freshd.hardening import harden; "
        "libc = ctypes.CDLL(None); before = libc.prctl(3, 0, 0, 0, 0); harden(); "
        "logging.getLogger('apscheduler').error('canary'); warnings.warn('canary'); "
        "print(before, libc.prctl(3, 0, 0, 0, 0), oct(os.umask(0)), resource.getrlimit(resource.RLIMIT_CORE))"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env={"PYTHONPATH": str(ROOT / "daemon"), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told, wrong = await child.communicate()
    assert told.decode().split() == ["1", "0", "0o77", "(0,", "0)"]
    assert wrong == b""


async def test_I10_what_nobody_caught_is_told_by_its_kind_only(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Daemon(home.config, settings_of(home.config), Hooks())
    told: list[Event] = []
    monkeypatch.setattr(daemon, "_tell", told.append)
    loop = asyncio.get_running_loop()
    daemon._on_bug(loop, {"message": "a task fell over", "exception": RuntimeError("canary")})
    daemon._on_bug(loop, {"message": "Exception in callback take('canary') at take.py:1", "exception": None})
    assert [event.fields for event in told] == [
        {"kind": "RuntimeError", "where": "a task fell over"},
        {"kind": "NoneType", "where": "Exception in callback take"},
    ]


async def test_I10_no_secret_is_in_logs_arguments_environment_or_state_files(home: Home, daemon: Process) -> None:
    """Imported, renewed, healed, refused, lost, revoked: every token that there ever was is looked for everywhere."""
    await home.enrol()
    await home.operate("refresh")
    first = await home.ask("GET", "/v1/tokens/mail?wait=20")
    home.seen.add(str(first["access_token"]))
    await home.ask("POST", "/v1/tokens/mail/refused", {"fingerprint": first["fingerprint"], "status": 401})
    await daemon.until("lease.healed")
    await home.token()
    begun = await home.operate("enrol-begin", flow="code", redirect_uri="http://127.0.0.1:1/")
    answer = {"session": begun["session"], "code": "code-canary-0123", "state": "wrong-state-canary"}
    with pytest.raises(ClientError):
        await home.operate("enrol-finish", **answer)
    with pytest.raises(ClientError):
        await home.operate("import", secrets={"ticket": "ticket-canary-0123"})
    for line in home.service.ledger.books.account("mail").lineages:
        home.seen |= {token.text for token in line.spent} | {access.text for access in line.access}
        home.seen |= set() if line.head is None else {line.head.text}
    home.seen |= {"wrong-state-canary", "code-canary-0123", "ticket-canary-0123", str(begun["session"])}
    assert len(home.seen) >= 10

    places: dict[str, bytes] = {name: daemon.proc(name) for name in ("cmdline", "environ", "comm")}
    places |= {f"open/{name}": held for name, held in home.at_rest().items()}
    for path in ("/v1/accounts", "/v1/accounts/mail", "/v1/accounts/mail/history"):
        places[path] = json.dumps(await home.ask("GET", path)).encode()
    assert await daemon.stop() == 0
    places["log"] = daemon.text.encode()
    places |= home.at_rest()
    leaks = [(place, secret) for place, held in places.items() for secret in home.seen if secret.encode() in held]
    assert leaks == []
    assert home.sealing_key() not in b"".join(places.values())


async def test_I8_looking_at_everything_a_hundred_times_calls_no_service(home: Home, daemon: Process) -> None:
    await home.enrol()
    calls = home.calls("mail")
    for path in ("/v1/accounts", "/v1/accounts/mail", "/v1/accounts/mail/history", "/healthz") * 25:
        await home.ask("GET", path)
    assert home.calls("mail") == calls


async def test_I12_what_this_user_may_not_read_looks_like_what_is_not_there(home: Home, daemon: Process) -> None:
    await home.enrol()
    hidden = home.account("hidden").replace(f'"{USER}"', "4242")
    home.write("mail", more=hidden)
    daemon.signal(signal.SIGHUP)
    await daemon.until("config.reloaded")
    await home.operate("import", "hidden", secrets={"refresh_token": home.mint("hidden")})
    met: list[tuple[int | None, str]] = []
    for account in ("hidden", "invented"):
        with pytest.raises(ClientError) as error:
            await home.ask("GET", f"/v1/tokens/{account}?wait=0")
        met.append((error.value.status, str(error.value)))
    assert met[0] == met[1]
    assert met[0][0] == 404
    denied = await daemon.until("access.denied")
    assert denied["account"] == "hidden"
