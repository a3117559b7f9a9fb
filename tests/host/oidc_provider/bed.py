"""Starts npm's oidc-provider and speaks to its control port.

The node packages are installed once, from the lock file, into this folder's `node_modules`; afterwards
nothing here needs a network. The server lives as long as its `OidcProvider`: it ends when its standard
input closes, so it goes down with the harness too. It keeps everything in memory.

Nothing but `refresh` and `post_token` reaches the token endpoint. Calls block the thread; several threads
may call at once, but not while `start` or `stop` runs.
"""

from __future__ import annotations

import base64
import fcntl
import http.client
import json
import shutil
import subprocess
import tempfile
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self, cast

from tests.host.oidc_provider.ledger import Call, Counters, Grant, Stage, TokenState

HERE: Final = Path(__file__).resolve().parent

#: Client with a secret (client_secret_basic); its secret is drawn at each start.
CONFIDENTIAL: Final = "confidential"
#: Client without a secret; PKCE is required of it.
PUBLIC: Final = "public"

#: A first npm ci takes seconds; a slow network may need this long.
INSTALL_DEADLINE_S: Final = 300
#: node takes 0.5 s to listen, an RSA key included; this is for a machine under load.
START_DEADLINE_S: Final = 30
STOP_DEADLINE_S: Final = 5
CALL_DEADLINE_S: Final = 60


@dataclass(frozen=True)
class Minted:
    """A refresh token made without a login, live and never presented."""

    grant_id: str
    fingerprint: str
    refresh_token: str = field(repr=False)


class BedFailed(RuntimeError):
    """The server or its control port did not do what was asked."""


class OidcProvider:
    """A running server. Use as a context manager, or `start` and `stop`.

    Ports of 0 are chosen by the kernel. `log` receives the server's standard error; without it a temporary
    file does, shown when the start fails.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        control_port: int = 0,
        access_ttl_s: int = 60,
        refresh_ttl_s: int = 14 * 24 * 3600,
        redirect_paths: tuple[str, ...] = ("/", "/callback"),
        log: Path | None = None,
    ) -> None:
        self._settings = {
            "port": port,
            "control_port": control_port,
            "access_ttl_s": access_ttl_s,
            "refresh_ttl_s": refresh_ttl_s,
            "redirect_paths": list(redirect_paths),
        }
        self._log_path = log
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._control_port = 0
        self.issuer = ""
        self.clients: dict[str, str | None] = {}

    def start(self) -> Self:
        """Install what is missing, start, and return once both ports listen.

        Raises `FileNotFoundError` without node, `BedFailed` when the install or the start fails.
        """
        install()
        self._log = self._log_path.open("ab") if self._log_path else tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        self._process = subprocess.Popen(
            ["node", str(HERE / "server.mjs")],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        ready = self._ready_line()
        self.issuer = str(ready["issuer"])
        self._control_port = int(ready["control_port"])
        self.clients = dict(ready["clients"])
        return self

    def stop(self) -> None:
        """End the server and wait for it. A second stop does nothing."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)
        if self._log is not None:
            self._log.close()
            self._log = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Process id of node. Raises `BedFailed` when it does not run."""
        if self._process is None:
            raise BedFailed("the server is not running")
        return self._process.pid

    @property
    def last_seq(self) -> int:
        """Number of the newest call, to be given to `wait` and `calls` before causing the next."""
        return self.counters()["token_calls"]

    def mint(self, account_id: str, client_id: str = CONFIDENTIAL, scope: str = "openid offline_access") -> Minted:
        """Make a grant and its first refresh token, as a login would, without one."""
        return Minted(**self._ask("POST", "/mint", {"client_id": client_id, "account_id": account_id, "scope": scope}))

    def counters(self) -> Counters:
        """Count what arrived since the start."""
        return cast("Counters", self._ask("GET", "/counters"))

    def calls(self, after: int = 0) -> list[Call]:
        """List the requests to the token endpoint with a number above `after`, in order of arrival."""
        return cast("list[Call]", self._ask("GET", f"/calls?after={after}")["calls"])

    def grants(self) -> list[Grant]:
        """List every grant, oldest first."""
        return cast("list[Grant]", self._ask("GET", "/grants")["grants"])

    def grant(self, grant_id: str) -> Grant:
        """One grant. Raises `BedFailed` for an unknown id."""
        return cast("Grant", self._ask("GET", f"/grants/{urllib.parse.quote(grant_id)}"))

    def token_state(self, refresh_token: str) -> TokenState:
        """Say what would become of a refresh token, without presenting it."""
        return cast("TokenState", self._ask("POST", "/token_state", {"refresh_token": refresh_token})["state"])

    def revoke(self, grant_id: str) -> None:
        """Withdraw a grant as an administrator would: its tokens are unknown from now on."""
        self._ask("POST", "/revoke", {"grant_id": grant_id})

    def delay(self, *, before_ms: float = 0, after_ms: float = 0) -> None:
        """Hold every later token request before its commit, or between commit and answer; zeros end it.

        A held request commits even when its client has gone: its body had been read.
        """
        self._ask("POST", "/delay", {"before_ms": before_ms, "after_ms": after_ms})

    def wait(self, stage: Stage, *, after: int = 0, timeout_s: float = 10) -> Call | None:
        """The first call numbered above `after` to reach `stage`, past ones too; None after `timeout_s`."""
        answer = self._ask("POST", "/wait", {"stage": stage, "after": after, "timeout_ms": timeout_s * 1000})
        return cast("Call | None", answer["call"])

    def post_token(self, client_id: str = CONFIDENTIAL, **form: str) -> tuple[int, dict[str, Any]]:
        """Post `form` to the token endpoint as that client: it may spend what it presents."""
        return self._post_form("/token", client_id, form)

    def refresh(self, refresh_token: str, client_id: str = CONFIDENTIAL) -> tuple[int, dict[str, Any]]:
        """Present a refresh token. This spends it."""
        return self.post_token(client_id, grant_type="refresh_token", refresh_token=refresh_token)

    def start_device(self, client_id: str = CONFIDENTIAL, scope: str = "openid offline_access") -> dict[str, Any]:
        """Begin a device authorization; the answer has device_code and verification_uri_complete."""
        return self._post_form("/device/auth", client_id, {"scope": scope})[1]

    def revoke_token(self, token: str) -> None:
        """Revoke one of the confidential client's tokens as RFC 7009 says; with a refresh token its grant goes."""
        self._post_form("/token/revocation", CONFIDENTIAL, {"token": token})

    def introspect(self, token: str) -> bool:
        """Ask with the confidential client whether one of its tokens is active."""
        return bool(self._post_form("/token/introspection", CONFIDENTIAL, {"token": token})[1].get("active"))

    def accepts(self, access_token: str) -> bool:
        """Does the userinfo endpoint, the bed's protected resource, take this token (of scope openid)?"""
        return self._request("GET", "/me", None, {"Authorization": f"Bearer {access_token}"})[0] == http.HTTPStatus.OK

    def _post_form(self, path: str, client_id: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        secret = self.clients[client_id]
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if secret is None:
            form = {**form, "client_id": client_id}
        else:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()
        return self._request("POST", path, urllib.parse.urlencode(form), headers)

    def _request(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        target = urllib.parse.urlsplit(self.issuer)
        connection = http.client.HTTPConnection(cast("str", target.hostname), target.port, timeout=CALL_DEADLINE_S)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        return response.status, json.loads(content) if content else {}

    def _ask(self, method: str, path: str, argument: dict[str, Any] | None = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._control_port, timeout=CALL_DEADLINE_S)
        try:
            connection.request(method, path, None if argument is None else json.dumps(argument))
            response = connection.getresponse()
            answer = cast("dict[str, Any]", json.loads(response.read()))
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise BedFailed(f"control port, {path}: {answer.get('error')}")
        return answer

    def _ready_line(self) -> dict[str, Any]:
        process = cast("subprocess.Popen[bytes]", self._process)
        stdin, stdout = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        stdin.write(json.dumps(self._settings).encode() + b"\n")
        stdin.flush()
        line = stdout.readline()
        if line:
            return cast("dict[str, Any]", json.loads(line))
        said = self._said()
        self.stop()
        raise BedFailed(f"the server did not start: {said}")

    def _said(self) -> str:
        if self._log_path is not None:
            return self._log_path.read_text()[-2000:]
        log = cast("IO[bytes]", self._log)
        log.seek(0)
        return log.read().decode(errors="replace")[-2000:]


def install() -> None:
    """Install the locked node packages unless they are there. Safe to call from several processes at once.

    Raises `BedFailed` with npm's own last words when the install fails.
    """
    with (HERE / "package.json").open() as turnstile:
        fcntl.flock(turnstile, fcntl.LOCK_EX)
        if _installed():
            return
        npm = shutil.which("npm")
        if npm is None:
            raise BedFailed("npm is needed once, to install oidc-provider")
        done = subprocess.run(
            [npm, "ci"], cwd=HERE, capture_output=True, text=True, check=False, timeout=INSTALL_DEADLINE_S
        )
        if done.returncode != 0:
            raise BedFailed(f"npm ci failed: {done.stderr[-1000:]}")


def _installed() -> bool:
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]["oidc-provider"]
    # npm writes this file last, so a half-done install does not count.
    record = HERE / "node_modules" / ".package-lock.json"
    if not record.is_file():
        return False
    packages = json.loads(record.read_text())["packages"]
    return bool(packages.get("node_modules/oidc-provider", {}).get("version") == wanted)


def _end(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    try:
        process.wait(STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
