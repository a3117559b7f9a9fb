"""Runs that are recorded with strace, to be looked at afterwards.

`lives`: a daemon from the very first start, with its key, its anchor and somebody's .env file: imports, refreshes, a
         SIGKILL, a second start, refreshes, a clean stop.
`play`:  a vault alone, taken through what a daemon seldom does (`vault_play`).
`exchanges`: exchanges of any service of the trials, and either placement.
`enrolment`: an account that begins with an authorization code.

A `Recorded` needs nothing of the run any more: neither its folder nor its processes.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import sqlite3
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from freshd.vault import KeyFile
from freshd.vault.keys import KEY_ENTRY, service_of
from tests.contract.drawer import Drawer
from tests.crash.examiner import Examiner
from tests.crash.history import Run, Spends
from tests.crash.scene import ACCOUNT, Placement, Process
from tests.crash.services import Sandbox
from tests.crash.trace import Watched

LONG_SECONDS: Final = 3600
"""What the sandbox is to promise: leases that outlive every run."""
ANCHOR: Final = "elsewhere/anchor"
MIRROR: Final = "bot/.env"
PATIENCE_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 0.01
ASKING: Final = "import sys, keyring; print(keyring.get_password(*sys.argv[1:]))"


class Keyring(Protocol):
    """What a daemon needs of one."""

    @property
    def env(self) -> Mapping[str, str]:
        """How it is found."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One run, and what it takes to judge it.

    keyfile the key's file, where it is one
    anchor  its name below the folder, None where the custodian has it or there is none
    key     where an OS keyring kept the sealing key: its service name there, and the key
    """

    name: str
    run: Run
    spends: Spends
    keyfile: str = "key"
    anchor: str | None = None
    key: tuple[str, str] | None = None

    def examiner(self) -> Examiner:
        """Opens images of this run."""
        if self.key is None:
            return Examiner(lambda folder: KeyFile(folder / self.keyfile), anchor=self.anchor)
        service, key = self.key

        def drawer(_folder: Path) -> Drawer:
            made = Drawer()
            made.entries[service, KEY_ENTRY] = key
            return made

        return Examiner(drawer, "keyring")


def never(_data: bytes) -> bool:
    """Nothing is asked of anybody."""
    return False


def asks_for_tokens(data: bytes) -> bool:
    """A request to an OAuth 2.0 token endpoint; whatever its grant type, it may spend something."""
    return data.startswith(b"POST /token ")


def standing(folder: Path) -> Mapping[str, bytes | None]:
    """What is in a folder before a run: files with what they hold, folders with nothing."""
    found = sorted(folder.rglob("*"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in found}


def prepare(scene: Watched, service: Sandbox) -> None:
    """A configuration with an anchor and a .env file that is kept in step."""
    mirror = scene.folder / MIRROR
    mirror.parent.mkdir(mode=0o700)
    mirror.touch(0o600)
    mirror.write_text("NAME=bot\nTOKEN=\n")
    (scene.folder / ANCHOR).parent.mkdir(mode=0o700)
    line = f'env_file = {{ path = "{mirror}", access_token = "TOKEN" }}'
    scene.configure({ACCOUNT: [*service.settings(scene.folder), line]})
    text = scene.config.read_text().replace("[vault]", f'[vault]\nanchor = "{scene.folder / ANCHOR}"')
    scene.config.write_text(text)


def until(what: str, look: Callable[[], object]) -> None:
    """Look until it is so.  Raises TimeoutError."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not look():
        if time.monotonic() > give_up_at:
            raise TimeoutError(what)
        time.sleep(LOOK_SECONDS)


def refresh(daemon: Process, times: int) -> None:
    """So many exchanges one after the other, and a reader after each."""
    for _ in range(times):
        before = daemon.view()["generation"]
        daemon.operate("refresh")
        until("a refresh", lambda before=before: daemon.view()["generation"] > before)  # type: ignore[misc]
        daemon.ask("GET", f"/v1/tokens/{ACCOUNT}")


def mirrored(scene: Watched, daemon: Process) -> None:
    """Wait until the .env file holds the token that readers get."""
    token = str(daemon.ask("GET", f"/v1/tokens/{ACCOUNT}")["access_token"])
    until("the .env file", lambda: token in (scene.folder / MIRROR).read_text())


def lives(
    service: Sandbox, refreshes: Sequence[int] = (3, 2), start: Callable[[Watched], Process] = Watched.daemon
) -> Recorded:
    """One life for each number of refreshes; all but the last end with SIGKILL."""
    with Watched("sealed") as scene:
        prepare(scene, service)
        before = standing(scene.folder)
        for number, times in enumerate(refreshes):
            daemon = start(scene).wait_ready()
            if number == 0:
                daemon.operate("import", secrets={"refresh_token": service.mint(scene.folder.name)})
                until("the first lease", lambda daemon=daemon: daemon.view()["generation"] > 1)  # type: ignore[misc]
            refresh(daemon, times)
            mirrored(scene, daemon)
            if number == len(refreshes) - 1:
                daemon.stop()
            else:
                daemon.kill()
        return Recorded("lives", Run(str(scene.folder), scene.steps(), before), asks_for_tokens, anchor=ANCHOR)


def play(rounds: int = 3, keyfile: str = "key") -> Recorded:
    """`vault_play` to its end."""
    with Watched("sealed") as scene:
        (scene.folder / ANCHOR).parent.mkdir(mode=0o700)
        before = standing(scene.folder)
        words = (str(scene.folder), str(rounds), str(scene.folder / keyfile))
        process = scene.run([sys.executable, "-m", "tests.crash.vault_play", *words])
        if not process.wait(PATIENCE_SECONDS):
            raise TimeoutError("the play has no end")
        return Recorded("play", Run(str(scene.folder), scene.steps(), before), never, keyfile, ANCHOR)


def exchanges(
    service: Sandbox, times: int = 2, placement: Placement = "sealed", keyring: Keyring | None = None
) -> Recorded:
    """Exchanges of any of the services, each asked for by its deed; with a keyring the key is fetched from it."""
    label, ways = f"traced-{service.name}", service.ways
    with Watched(placement, None if keyring is None else keyring.env) as scene:
        secrets = service.secrets(label)
        scene.configure(service.accounts(ACCOUNT, label, scene.folder))
        (scene.folder / "state").mkdir(mode=0o700)  # as systemd does
        before = standing(scene.folder)
        daemon = scene.daemon().wait_ready()
        daemon.operate("import", account=ways.head or ACCOUNT, secrets=dict(secrets))
        for _ in range(times):
            at = daemon.view()["generation"]
            time.sleep(ways.rest)
            service.deed(label).do(daemon)
            until("an exchange", lambda at=at: daemon.view()["generation"] > at)  # type: ignore[misc]
        daemon.stop()
        key = None if keyring is None else _sealing_key(scene, keyring)
        return Recorded(service.name, Run(str(scene.folder), scene.steps(), before), posts, key=key)


def enrolment(service: Sandbox) -> Recorded:
    """An account that begins with an authorization code."""
    with Watched("sealed") as scene:
        scene.configure({ACCOUNT: service.settings(scene.folder)})
        before = standing(scene.folder)
        daemon = scene.daemon().wait_ready()
        begun = daemon.operate("enrol-begin", flow="code", redirect_uri="http://127.0.0.1:49999/callback")
        daemon.operate("enrol-finish", session=begun["session"], **_approved(f"{begun['url']}&auto=1&login_hint=ann"))
        until("the first lease", lambda: daemon.view()["generation"] > 0)
        daemon.ask("GET", f"/v1/tokens/{ACCOUNT}")
        daemon.stop()
        return Recorded("enrolment", Run(str(scene.folder), scene.steps(), before), asks_for_tokens)


def posts(data: bytes) -> bool:
    """Any call that may change something at a service."""
    return data.startswith(b"POST ")


def _approved(url: str) -> dict[str, str]:
    """What the authorization server sends the browser back with."""
    place = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", f"{place.path}?{place.query}")
        sent_to = connection.getresponse().headers["Location"]
    finally:
        connection.close()
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(sent_to).query))


def _sealing_key(scene: Watched, keyring: Keyring) -> tuple[str, str]:
    """The vault's service name in the keyring, and the key that is there."""
    with contextlib.closing(sqlite3.connect(scene.folder / "state" / "journal.db")) as journal:
        (vault,) = journal.execute("SELECT value FROM meta WHERE name = 'vault'").fetchone()
    service = service_of(vault)
    command = [sys.executable, "-c", ASKING, service, KEY_ENTRY]
    asked = subprocess.run(command, env={**os.environ, **keyring.env}, capture_output=True, text=True, check=True)
    return service, asked.stdout.strip()
