"""Who watches an account over cuts of the power: the service's books, and readers that ask from boot to boot.

Rules
-----
* Each token that readers get is used at the service at once. From then on the service knows that its answer was kept,
  and counts another use of what was spent for it as a spent use.
* An account that needs a person after a cut, although no answer was under way at that cut, is lost.
* An answer that was under way when the power went may be gone, which nobody can prevent: the service counts a replay in
  doubt. The account is enrolled anew, and counted by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.host.booted_bed import SOURCE, Machine, Service, until
from tests.host.booted_scene import SOCKET

RESULTS: Final = Path(__file__).parent / "results" / "booted_vault.md"
STORE: Final = "/etc/credstore.encrypted"
KEY: Final = f"{STORE}/freshd-vault-key"
SECRET: Final = "/var/lib/systemd/credential.secret"
STATE: Final = "/var/lib/freshd"
ANCHOR: Final = "/var/lib/freshd-anchor"
TOKEN_SECONDS: Final = 4
READERS: Final = 5
HEAD: Final = """# The vault on a booted machine

Debian 12, {version}. Written by `FRESHD_RECORD=1 pytest tests/host/test_booted_vault.py`. A
cut of the power is SIGKILL to the machine's first process, at an instant drawn from a seed where nothing else is said.
One account, strict rotation, tokens of a few seconds; five readers ask all the while and use each new token.

"""
ASK: Final = """
import socket, sys
line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
line.connect(sys.argv[1])
print("ready", flush=True)
sys.stdin.read()
line.sendall(f"POST /v1/vault/{sys.argv[2]} HTTP/1.1\\r\\nHost: freshd\\r\\nContent-Length: 0\\r\\n\\r\\n".encode())
print("asked", flush=True)
print(line.recv(65536).decode(), flush=True)
"""
CROWD: Final = f"""
[Unit]
After=freshd.socket
[Service]
User=ann
SupplementaryGroups=freshd-readers
StateDirectory=crowd
ExecStart=/opt/freshd/bin/python3 {SOURCE}/tests/host/booted_readers.py {SOCKET} mail --readers {READERS} \\
  --log /var/lib/crowd/log --use {{issuer}}/userinfo
[Install]
WantedBy=multi-user.target
"""


def as_new(machine: Machine) -> None:
    """Off, and with neither vault nor key nor secret of the machine on its disk."""
    for path in (STATE, ANCHOR, STORE, SECRET):
        machine.remove(path)


def instants(seed: int, count: int, first: float, last: float) -> Iterator[float]:
    """So many instants between two, one drawn from each part of the span; seconds."""
    rng, part = random.Random(seed), (last - first) / count
    return (first + (number + rng.random()) * part for number in range(count))


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """This process runs as soon as it can; on a busy machine it would be late by more than a rotation takes."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@dataclass(slots=True)
class Witness:
    """One account, `mail`. `cuts`: of the power; `under_way`: answers that were lost with it."""

    machine: Machine
    service: Service
    cuts: int = 0
    lost: int = 0
    under_way: int = 0
    _heard: Counter[str] = field(default_factory=Counter)

    def counted(self, name: str) -> int:
        """A counter of the service."""
        found: int = self.service.ask("GET", "/ledger/mail")["counters"][name]
        return found

    def ask(self, path: str, *how: str) -> dict[str, Any]:
        """An operator's call; empty where nobody answers."""
        words = ("curl", "--silent", "--max-time", "60", *how, "--unix-socket", SOCKET, f"http://freshd/v1/{path}")
        run = self.machine.run(*words, check=False)
        found: dict[str, Any] = json.loads(run.stdout) if run.stdout.startswith("{") else {}
        return found

    def serves(self) -> bool:
        """Whether a reader gets a token."""
        ask = ("curl", "--silent", "--fail", "--max-time", "60", "--unix-socket", SOCKET)
        reader = (*self.machine.as_user("ann"), *ask, "http://freshd/v1/tokens/mail?wait=10")
        return self.machine.run(*reader, check=False).returncode == 0

    def enrol(self) -> None:
        """Give the account a grant, by the command, and wait for its first token."""
        known = ("freshd", "enrol", "mail", "--import")
        until("the account is known", lambda: self.ask("accounts/mail").get("phase"))
        self.machine.run(*known, text=self.service.mint("mail"))
        until("its first token", self.serves)

    def cut_after(self, verb: str, seconds: float) -> None:
        """Cut the power so long after an operator asked for a verb of the vault."""
        ask = ("/opt/freshd/bin/python3", "-c", ASK, SOCKET, verb)
        daemon = self.machine.outside(int(self.machine.show("freshd", "MainPID")))
        with subprocess.Popen(self.machine.inside(*ask), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as asked:
            assert asked.stdin is not None
            assert asked.stdout is not None
            assert asked.stdout.readline() == b"ready\n"
            with at_once():
                asked.stdin.close()
                assert asked.stdout.readline() == b"asked\n"
                time.sleep(seconds)
                os.kill(daemon, signal.SIGKILL)  # a machine's first process takes a while to take the others with it
            self.cut()

    def cut(self) -> None:
        """Cut the power."""
        self.machine.cut_power()
        self.cuts += 1

    def goes_on(self) -> None:
        """Wait until a token is served and the grant in hand has been renewed; judge an account that cannot."""
        before, doubts = self.counted("refreshes"), self.counted("doubtful_replays")
        if until("renewed, or in need of a person", lambda: self._stands(before)) == "renewed":
            return
        if self.counted("doubtful_replays") > doubts or self._killed() == "reuse":
            self.under_way += 1
        else:
            self.lost += 1
        self.enrol()

    def _stands(self, before: int) -> str | None:
        if self.ask("accounts/mail").get("phase") == "parked":
            return "parked"
        return "renewed" if self.counted("refreshes") > before and self.serves() else None

    def _killed(self) -> str | None:
        return str(self.service.ask("GET", "/ledger/mail")["lineages"][-1]["killed_by"])

    def vault(self) -> dict[str, Any]:
        """What `freshd vault status` tells."""
        found: dict[str, Any] = json.loads(self.machine.run("freshd", "vault", "status", "--json").stdout)
        return found

    def whole(self) -> None:
        """`freshd vault verify` must say so."""
        assert self.machine.run("freshd", "vault", "verify").stdout.startswith("whole: ")

    def crowd(self) -> Counter[str]:
        """What the readers met since the last look, over all boots; the last half second before a cut is missing."""
        runs: dict[str, dict[str, int]] = {}
        for line in self.machine.run("cat", "/var/lib/crowd/log").stdout.splitlines():
            if line.startswith("{") and line.endswith("}"):
                seen = json.loads(line)
                runs[seen.pop("run")] = seen
        heard = sum(map(Counter, runs.values()), Counter[str]())
        new, self._heard = heard - self._heard, heard
        return new


class Book:
    """The table of what was seen; written where FRESHD_RECORD is set."""

    def __init__(self) -> None:
        self.rows = [
            ("scene", "what was done", "power cuts", "lost", "spent", "answers under way at a cut", "readers", "told"),
            ("---",) * 8,
        ]

    def add(self, scene: str, done: str, witness: Witness, seen: str) -> None:
        """A row; the witness's counts begin anew."""
        spent = witness.counted("spent_uses")
        assert (witness.lost, spent) == (0, 0)
        readers = ", ".join(f"{name} {count}" for name, count in sorted(witness.crowd().items()))
        self.rows.append(
            (scene, done, str(witness.cuts), str(witness.lost), str(spent), str(witness.under_way), readers, seen)
        )
        witness.cuts = witness.lost = witness.under_way = 0

    def write(self, machine: Machine) -> None:
        """All of it, also on the console."""
        table = "".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |\n" for row in self.rows)
        text = HEAD.format(version=machine.run("systemctl", "--version").stdout.splitlines()[0])
        print("\n" + text + table)
        if os.environ.get("FRESHD_RECORD"):
            RESULTS.write_text(text + table, encoding="utf-8")
