"""The strict services a trial may run against, behind one face; here our own sandbox, and npm's oidc-provider.

All rotate at every refresh, and a spent token presented again costs the account.  All say, on one clock, what they
committed and whether the answer got through.  The sandbox's other services are in `feishu` and `futu`.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Protocol, Self, cast

from tests.crash.deeds import REFRESH, Deed
from tests.crash.fates import Commit, Left
from tests.host.oidc_provider.bed import CONFIDENTIAL, OidcProvider
from tests.host.oidc_provider.ledger import Call, Grant

ROOT: Final = Path(__file__).resolve().parents[2]
TIMER_NS: Final = 1_000_000
"""node's timers may be early by as much."""
ACCESS_SECONDS: Final = 2
"""Life of an access token: in doubt an account holds until its end, so this bounds how long a trial waits."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a service's ledger says of one account.

    pending           requests not done with yet
    others            what was committed beside, and is no answer that the journal counts: leases that spent nothing
    spent_uses        spent tokens presented by a client that provably held the successor
    doubtful_replays  those presented without that proof
    breaches          what else must never be: calls inside the service's interval, secrets given up and presented
    """

    commits: tuple[Commit, ...]
    pending: int
    spent_uses: int
    doubtful_replays: int
    breaches: int = 0
    others: tuple[Commit, ...] = ()


@dataclass(frozen=True, slots=True)
class Ways:
    """How an account of a service differs from one that stands alone and has one secret.

    head     the account that is enrolled in its place
    fellows  accounts that an answer reaches with the same commit
    heals    a lost answer is no lost account
    stocks   leases are made on demand, of something that is kept in stock
    shows    what was answered must be the lease that readers get
    is_new   nothing is imported: the exchange is the account's enrolment, and an operator may begin it again
    first    generation of an account that has just been brought to life
    spends   whether the exchange may use something up; one that does not leaves no intent and no generation
    rest     seconds that its pace wants between two exchanges
    """

    head: str | None = None
    fellows: tuple[str, ...] = ()
    heals: bool = False
    stocks: bool = False
    shows: bool = False
    is_new: bool = False
    first: int = 2
    spends: bool = True
    rest: float = 0.0


class Service(Protocol):
    """What a trial needs of a service."""

    name: str
    ways: Ways

    def secrets(self, label: str) -> Mapping[str, str]:
        """A new lineage: what is imported."""

    def accounts(self, name: str, label: str, folder: Path) -> dict[str, list[str]]:
        """Lines of configuration of the account `name`, and of those it needs; a secret may be put into the folder."""

    def deed(self, label: str) -> Deed:
        """What the exchange that is to be killed is asked for by."""

    def delay(self, label: str, before: float, after: float) -> None:
        """Hold requests for so many seconds before, and answers after the commit; zeros end it."""

    def page(self, label: str) -> Page:
        """The ledger."""

    def vouch(self, fingerprints: Iterable[str]) -> None:
        """These successors are durably kept by the client: from now on a use of what they replaced is a spent use."""

    def give_up(self, label: str, left: Left) -> None:
        """What the kill left doubtful counts as spent where the client promises so: a use of it is a breach."""

    def is_restored(self, label: str, left: Left, shown: str | None, since: Sequence[Commit]) -> bool | None:
        """Whether the client has again what its journal held; None where its next rotation proves it.

        shown: the fingerprint of the lease that readers got after the restart; since: what was committed after it
        """


class Unknown(RuntimeError):
    """The sandbox has not heard of it."""


class Sandbox:
    """freshd.sandbox in a process of its own, with the marks of the run in its secrets."""

    name = "sandbox"
    ways = Ways()

    def __init__(self, *stands: str, access_seconds: int = ACCESS_SECONDS) -> None:
        """`stands`: stand-ins beside the built-in ones, as module:function; `access_seconds`: life of a lease."""
        self._stands = [word for one in stands for word in ("--stand", one)]
        self._access_seconds = access_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self.issuer = ""
        self.trade_url = ""
        self._control = ""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.canary.sandbox", *self._stands]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        addresses = json.loads(cast("IO[bytes]", self._process.stdout).readline())
        self.issuer, self._control = addresses["base_url"], addresses["control_url"]
        self.trade_url = addresses["trade_url"]
        self.ask("PATCH", "/policy", {"rotation": "strict", "reuse_kills": "lineage", "access_s": self._access_seconds})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = cast("subprocess.Popen[bytes]", self._process)
        process.terminate()
        process.wait(10)
        cast("IO[bytes]", process.stdout).close()

    def mint(self, label: str) -> str:
        answer = self.ask("POST", "/mint", {"client_id": "freshd", "label": label, "subject": label})
        return str(answer["grants"][0]["refresh_token"])

    def secrets(self, label: str) -> Mapping[str, str]:
        return {"refresh_token": self.mint(label)}

    def settings(self, folder: Path) -> list[str]:
        return [f'issuer = "{self.issuer}"', 'client_id = "freshd"']

    def accounts(self, name: str, label: str, folder: Path) -> dict[str, list[str]]:
        return {name: self.settings(folder)}

    def deed(self, label: str) -> Deed:
        return REFRESH

    def delay(self, label: str, before: float, after: float) -> None:
        self.ask("DELETE", f"/faults?label={urllib.parse.quote(label)}")
        for when, seconds in (("before", before), ("after", after)):
            if seconds > 0:
                self.ask("POST", "/faults", {"fault": "slow", "seconds": seconds, "when": when, "label": label})

    def page(self, label: str) -> Page:
        told = self.told_of(label)
        writing = sum(one["delivery"] is None for one in told["commits"])
        pending = sum(one["outcome"] == "pending" for one in told["calls"])
        counters = told["counters"]
        commits = tuple(_sandbox_commit(one) for one in told["commits"])
        return Page(commits, pending + writing, counters["spent_uses"], counters["doubtful_replays"])

    def vouch(self, fingerprints: Iterable[str]) -> None:
        self.ask("POST", "/escrowed", {"fingerprints": list(fingerprints)})

    def give_up(self, label: str, left: Left) -> None:
        """Nothing: the secret is presented once more, and counted."""

    def is_restored(self, label: str, left: Left, shown: str | None, since: Sequence[Commit]) -> bool | None:
        return None

    def told_of(self, label: str) -> dict[str, Any]:
        """All that is remembered of one label; nothing where it has not called yet."""
        try:
            return self.ask("GET", f"/ledger/{urllib.parse.quote(label)}")
        except Unknown:
            return {"calls": [], "commits": [], "counters": {"spent_uses": 0, "doubtful_replays": 0}}

    def ask(self, method: str, path: str, wish: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call of the control port."""
        place = urllib.parse.urlsplit(self._control)
        connection = http.client.HTTPConnection(cast("str", place.hostname), place.port, timeout=20)
        try:
            connection.request(method, path, None if wish is None else json.dumps(wish))
            response = connection.getresponse()
            answer = cast("dict[str, Any]", json.loads(response.read()))
        finally:
            connection.close()
        if response.status == http.HTTPStatus.NOT_FOUND:
            raise Unknown(f"sandbox, {path}: {answer.get('error')}")
        if response.status not in (200, 201):
            raise RuntimeError(f"sandbox, {path}: {answer.get('error')}")
        return answer


def _sandbox_commit(told: dict[str, Any]) -> Commit:
    delivery = told["delivery"] or {}
    committed = int(told["committed_ns"])
    began = delivery.get("write_started_ns") or committed
    done = delivery.get("write_done_ns") if told["reached"] else None
    received = told["received_ns"] or committed
    return Commit(
        told["spent"], told["successor"] or told["access"], received, committed, began, done, told["grant_type"]
    )


class Provider:
    """npm's oidc-provider, with the accounts minted here.  One trial at a time: a delay is the whole server's.

    It says when an answer was complete and when node heard that it was written, which may be long after the client
    had it, or never where the client died.  So an answer counts as arrived from the moment it was complete and its
    delay over, unless the connection was closed before that.
    """

    name = "oidc-provider"
    ways = Ways()

    def __init__(self, bed: OidcProvider) -> None:
        self._bed = bed
        self._grants: dict[str, tuple[str, int]] = {}
        self._vouched: set[str] = set()
        self._delays: list[tuple[int, int]] = [(0, 0)]

    def mint(self, label: str) -> str:
        before = self._bed.last_seq
        minted = self._bed.mint(label)
        self._grants[label] = minted.grant_id, before
        return minted.refresh_token

    def secrets(self, label: str) -> Mapping[str, str]:
        return {"refresh_token": self.mint(label)}

    def accounts(self, name: str, label: str, folder: Path) -> dict[str, list[str]]:
        return {name: self.settings(folder)}

    def deed(self, label: str) -> Deed:
        return REFRESH

    def settings(self, folder: Path) -> list[str]:
        secret = folder / "client-secret"
        secret.touch(0o600)
        secret.write_text(cast("str", self._bed.clients[CONFIDENTIAL]))
        return [
            f'issuer = "{self._bed.issuer}"', f'client_id = "{CONFIDENTIAL}"',
            f'client_secret = {{ file = "{secret}" }}', 'scope = "openid offline_access"',
        ]  # fmt: skip

    def delay(self, label: str, before: float, after: float) -> None:
        self._bed.delay(before_ms=before * 1000, after_ms=after * 1000)
        self._delays.append((time.monotonic_ns(), round(after * 1e9)))

    def page(self, label: str) -> Page:
        grant_id, before = self._grants[label]
        grant = self._bed.grant(grant_id)
        fresh = self._bed.calls(after=before)
        calls = [call for call in fresh if call["grant_id"] == grant_id]
        commits = tuple(self._commit(call) for call in calls if call["rotated_ns"] is not None)
        spent = sum(self._is_known(grant, reuse["fingerprint"]) for reuse in grant["reuses"])
        # A request whose body was not read yet has no grant: whoever it is of, the server is not quiet.
        return Page(commits, sum(map(_is_pending, fresh)), spent, len(grant["reuses"]) - spent)

    def vouch(self, fingerprints: Iterable[str]) -> None:
        self._vouched.update(fingerprints)

    def give_up(self, label: str, left: Left) -> None:
        """Nothing: the secret is presented once more, and counted."""

    def is_restored(self, label: str, left: Left, shown: str | None, since: Sequence[Commit]) -> bool | None:
        return None

    def _commit(self, call: Call) -> Commit:
        rotated = call["rotated_ns"] or 0
        held = next(after for since, after in reversed(self._delays) if since <= call["received_ns"])
        arrives = (call["answered_ns"] or rotated) + max(0, held - TIMER_NS)
        ended = call["finished_ns"] or call["aborted_ns"]
        arrived = None if ended is None or ended < arrives else ended
        return Commit(call["presented"], call["issued"], call["received_ns"], rotated, arrives, arrived)

    def _is_known(self, grant: Grant, spent: str) -> bool:
        """Whether the client provably holds what replaced `spent`."""
        issued = next((one["issued"] for one in grant["rotations"] if one["spent"] == spent), None)
        presented = any(token["fingerprint"] == issued and token["presented"] for token in grant["tokens"])
        return issued is not None and (issued in self._vouched or presented)


def _is_pending(call: Call) -> bool:
    return call["answered_ns"] is None or (call["finished_ns"] is None and call["aborted_ns"] is None)
