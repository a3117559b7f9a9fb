"""A daemon with many accounts in a folder of its own: its configuration, its journal, its process.

Rules
-----
* The journal is written through the vault's own API before the daemon starts: every account holds a refresh token and a
  lease that has lived part of its life, spread evenly, as after months of running.
* The daemon is `freshd run`, or the same with a recorder at its hooks (`tests.crash.victim`).
* Environment and files are made here; every process started here is ended here, by its id.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import socket
import sys
import tempfile
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from freshd.clock import SystemClock
from freshd.core.contract import Contract
from freshd.core.model import Binding, Change, Grant, Lease, Moment, Secret
from freshd.core.policy import refresh_at
from freshd.core.profile import Margins
from freshd.ports import Line
from freshd.vault import JournalVault, KeyFile, Setup
from tests.bench.service import PADDING
from tests.crash.scene import Ground, Process
from tests.crash.services import ROOT

FRESHD: Final = str(Path(sys.executable).with_name("freshd"))
AT_ONCE: Final = 250
PATIENCE_SECONDS: Final = 180.0
LOOK_SECONDS: Final = 0.002
TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cast:
    """The accounts of one daemon.

    life     seconds of a lease
    aged     share of the time from one renewal to the next that the oldest lease has behind it; the others lie evenly
             between that and 0
    options  lines of configuration for each account
    """

    number: int
    endpoint: str
    life: float = 3600.0
    aged: float = 0.0
    options: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The accounts' names."""
        return [name_of(number) for number in range(self.number)]

    def age(self, number: int) -> float:
        """Seconds that the lease of that account is old."""
        draw = zlib.crc32(name_of(number).encode()) / 2**32
        from_one_to_the_next = self.life + refresh_at(0.0, self.life, Margins(), Contract(), draw)
        return from_one_to_the_next * self.aged * number / max(1, self.number)


def name_of(number: int) -> str:
    """The name of an account."""
    return f"a{number:05d}"


@dataclass
class Stand(Ground):
    """A daemon's folder.  `keyring`: what a daemon needs to find its keyring; grants rest there then."""

    keyring: Mapping[str, str] | None = None
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="freshd-bench-")))
    log_level: str = "info"

    def __post_init__(self) -> None:
        super().__init__()

    def leave(self, *, failed: bool) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def config(self) -> Path:
        """The configuration's file."""
        return self.folder / "freshd.toml"

    @property
    def socket(self) -> Path:
        """The daemon's socket."""
        return self.folder / "socket"

    @property
    def state(self) -> Path:
        """The state directory."""
        return self.folder / "state"

    @property
    def log(self) -> Path:
        """What the daemon says."""
        return self.folder / "log"

    @property
    def env(self) -> dict[str, str]:
        """All that a daemon finds around it."""
        home = {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT / "daemon"),
        }
        return {**home, **(self.keyring or {})}

    def configure(self, cast: Cast) -> None:
        """Write the configuration."""
        self.config.touch(0o600)
        self.config.write_text("\n".join([*self._head(), *_accounts(cast)]) + "\n")

    def _head(self) -> Iterable[str]:
        yield f'state_dir = "{self.state}"'
        yield f'[socket]\npath = "{self.socket}"'
        yield "[vault]"
        if self.keyring is None:
            yield f'placement = "sealed"\ncustodian = "key-file"\nkey_file = "{self.folder}/key"'
        else:
            yield 'placement = "keyring"\ncustodian = "keyring"\nbackend = "secret-service"'
        yield f'[log]\nformat = "json"\nlevel = "{self.log_level}"'

    def fill(self, cast: Cast) -> None:
        """Write the journal of a sealed vault."""
        asyncio.run(_filled(self.state, self.folder / "key", cast))

    def daemon(self) -> Process:
        """`freshd run`."""
        return self.start([FRESHD, "--config", str(self.config), "run"])

    def start(self, command: list[str]) -> Process:
        """A daemon by another command."""
        return self.begin(command, self.env, self.log, self.socket)


def _accounts(cast: Cast) -> Iterable[str]:
    for name in cast.names:
        yield f'[accounts.{name}]\nkind = "oauth2"\ntoken_endpoint = "{cast.endpoint}"\nclient_id = "bench"'
        yield f'grant = "{name}"\nreaders = {{ users = [{os.geteuid()}] }}'
        yield from cast.options


async def _filled(state: Path, key: Path, cast: Cast) -> None:
    clock = SystemClock()
    vault = JournalVault(Setup(state, "sealed", KeyFile(key), clock.now))
    await vault.open()
    binding = Binding("oauth2", cast.endpoint.removesuffix("/token"), "bench")
    now = clock.now()
    numbered = iter(enumerate(cast.names))
    while some := list(itertools.islice(numbered, AT_ONCE)):
        await asyncio.gather(*(_one(vault, binding, name, _before(now, cast.age(number)), cast.life)
                               for number, name in some))  # fmt: skip
    await vault.aclose()


async def _one(vault: JournalVault, binding: Binding, name: str, sent: Moment, life: float) -> None:
    grant = Grant(f"line-{name}", binding, {"refresh_token": Secret(f"r-{name}-1")}, sent, sent)
    lease = Lease(name, 1, Secret(f"a-{name}-1-{PADDING}"), sent, life, {"token_type": "Bearer"})
    await vault.commit(None, name, [Change(name, grant, lease)], {}, Line(sent, "import", "ok", 1))


def _before(now: Moment, seconds: float) -> Moment:
    return Moment(now.wall - seconds, now.boot - seconds, now.boot_id)


# -- looking at a process ------------------------------------------------------------------------------------------


def first_lease(process: Process, path: Path, account: str) -> float:
    """Seconds from the process's start to the first whole answer with a lease.  SystemExit where it ends first."""
    request = (
        f"GET /v1/tokens/{account}?min_ttl=0&wait=0 HTTP/1.1\r\nHost: freshd\r\nConnection: close\r\n\r\n".encode()
    )
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        if _asked(path, request).startswith(b"HTTP/1.1 200"):
            return (time.monotonic_ns() - process.started_ns) / 1e9
        if not process.runs:
            raise SystemExit("the daemon ended before it served a lease")
        time.sleep(LOOK_SECONDS)
    raise SystemExit("no lease was served")


def _asked(path: Path, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE_SECONDS)
        if connection.connect_ex(str(path)) != 0:
            return b""
        try:
            connection.sendall(request)
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
        except OSError:
            return b""
        return b"".join(parts)


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has taken, all threads."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / TICKS


def resident_mib(pid: int) -> float:
    """Resident memory now, MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError("VmRSS")


def quantile(numbers: Iterable[float], share: float) -> float:
    """The value below which that share of the numbers lies; 0 of none."""
    ordered = sorted(numbers)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


__all__ = ["ROOT", "Cast", "Process", "Stand", "cpu_seconds", "first_lease", "quantile", "resident_mib"]
