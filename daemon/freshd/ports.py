"""The ports: what the engine and the socket need of the world, each as narrow as its use.

Adapters live in providers, vault, api, alarms, clock, outlets.  They turn whatever they meet into these few types and
into the errors of `freshd.errors`; the engine never sees a library's exception.
All methods run on the event loop's thread; none may block it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from freshd.core import finding
from freshd.core.contract import Contract
from freshd.core.events import Event
from freshd.core.ladder import Ladder
from freshd.core.model import EMPTY, Binding, Change, Grant, Intent, Lease, Moment, Record, Secret, Standing
from freshd.core.outcome import Judged, Performed, Reply
from freshd.core.pace import Pace, Row


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> Moment:
        """Both clocks at once."""

    def boot(self) -> float:
        """Seconds since boot, suspend included; cheap enough for every read."""


class Alarms(Protocol):
    """Wakes accounts.  One alarm per account: a new one replaces the old."""

    def set(self, account: str, at: float) -> None:
        """Ask for `Due(account)` at `at` seconds of boot time; a moment in the past fires at once."""

    def cancel(self, account: str) -> None:
        """Forget the account's alarm, if any."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an account's history: what an attempt came to.  `outcome` is a code, never a body."""

    at: Moment
    rung: str
    outcome: str
    generation: int
    detail: str = ""


class Vault(Protocol):
    """Where records survive.  Every awaited return means durable and, where said, read back (I2, I3, I4).

    Raises StoreError when a write is not durable (nothing was acknowledged), VaultLocked while there is no sealing
    key, KeyringUnavailable when a grant resting in the OS keyring cannot be had now, Stale when a writer is outdated.
    """

    @property
    def high_water(self) -> float:
        """The highest wall time, seconds, the journal ever saw."""

    @property
    def rolled_back(self) -> str | None:
        """Why this journal is taken for an old or copied one; None where it is not."""

    async def accept(self, accounts: Collection[str]) -> None:
        """An operator decided: these accounts are held back no longer, over restarts too, and this journal goes on.

        Those that `open` told to be held back, and about which nobody decided, stay so over restarts.
        """

    async def open(self) -> Mapping[str, Standing]:
        """Take the lock, unseal, check; every account the journal knows.  VaultLocked: call again later."""

    async def paces(self) -> Mapping[str, Row]:
        """The pace ledger."""

    async def read(self, account: str) -> Record:
        """The record with its secrets; generation 0 when unknown.  For the exchange only."""

    async def note(self, rows: Mapping[str, Row]) -> None:
        """Write pace rows durably (rungs that spend nothing have no intent to ride on)."""

    async def intend(self, intent: Intent, rows: Mapping[str, Row]) -> None:
        """Point 3: intent and pace rows in one commit, room for the escrow reserved, read back on a second connection.

        Replaces an older intent of the account; an older escrow goes to quarantine, never away (I3).
        """

    async def escrow(self, intent: Intent, reply: Reply) -> None:
        """Point 5: the raw reply, sealed and durable."""

    async def escrowed(self, account: str) -> tuple[Intent, Reply] | None:
        """Intent with material, and escrowed reply, left by an exchange that did not end."""

    async def commit(
        self, intent: Intent | None, account: str, changes: Sequence[Change], rows: Mapping[str, Row], line: Line
    ) -> Mapping[str, Standing]:
        """Point 6: generation+1 of every record touched, one transaction; clears intent and escrow; read back.

        The standings of `account` and of every record touched.  What a relative's own attempt has left behind goes to
        quarantine with its escrow, for the answer that is committed here is newer.

        Where the answer was only set aside, a doubt that the attempt was made over stands again with that.
        """

    async def close(
        self, intent: Intent, drop: frozenset[str], rows: Mapping[str, Row], line: Line, dead: Mapping[str, str],
        *, ends_lease: bool = False,
    ) -> Standing:  # fmt: skip
        """End an attempt that changed no grant: clear intent and escrow, forget the secrets named by `drop` (I7).

        A doubt that the attempt was made over stands again in the same transaction (I5).
        `dead`: secrets that the service itself declared dead, with its code: kept, marked, no longer held (I5).
        `ends_lease`: the lease was made of what is forgotten, and goes with it.
        """

    async def doubt(self, intent: Intent, rows: Mapping[str, Row], line: Line) -> None:
        """Keep intent (and escrow, if any): nobody knows what came of it."""

    async def write_behind(self, change: Change, rows: Mapping[str, Row], line: Line) -> Standing:
        """Store a lease that cost nothing; may be lost in a crash without harm."""

    async def forget(self, account: str) -> None:
        """Erase the account everywhere: only the verb `forget` calls this (I7)."""

    async def pause(self, account: str, *, paused: bool) -> None:
        """Remember an operator's pause, or its end; also while the vault is locked."""

    async def history(self, account: str) -> Sequence[Line]:
        """The last lines, oldest first."""

    async def knew(self, account: str, secret: Secret) -> bool:
        """Whether the account holds this secret or ever did (its last hundreds): one that comes back may be spent (I5).

        Raises KeyringUnavailable where that cannot be told now; no is never a guess.
        """

    async def aclose(self) -> None:
        """Write the anchor, let go of the lock."""


class Custodian(Protocol):
    """Keeps small secrets outside the journal: the sealing key, or grants.  Called apart from the loop, may block.

    Raises KeyringUnavailable for locked, hung, gone; `get` returning None means absent *or* unknown: never proof.
    """

    name: str
    writable: bool

    def get(self, service: str, entry: str) -> str | None:
        """The value of an entry."""

    def put(self, service: str, entry: str, value: str) -> None:
        """Write; the caller reads back."""

    def drop(self, service: str, entry: str) -> None:
        """Delete an entry; absent is fine."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person is asked to do to enrol, and the material the answer will need.

    prompt  what the person is to type in, where it is no redirect: such as the code of an SMS; its value is brought
            back as "code"
    picture what the person is to look at for that: a whole image file
    keeps   secrets that the step needs whatever becomes of its answer (a key that is being registered): they are
            committed to the record before anybody is asked, and its rung finds them there
    """

    url: str
    material: Mapping[str, Secret]
    user_code: str | None = None
    interval: float = 5.0
    expires_in: float = 600.0
    rung: str = "authorize"
    prompt: str | None = None
    picture: bytes | None = field(default=None, repr=False)
    keeps: Mapping[str, Secret] = field(default_factory=lambda: EMPTY)


Found = finding.Found


class Provider(Protocol):
    """One account at one service: its rules as data, its calls, its reading of answers.

    `perform` makes exactly one call that may spend.  `read` is pure.  Neither raises: everything a service does comes
    back as an outcome.
    """

    @property
    def ladder(self) -> Ladder:
        """Ways to renew, cheapest first."""

    @property
    def contract(self) -> Contract:
        """What the service promises."""

    @property
    def binding(self) -> Binding:
        """What a grant obtained now would belong to."""

    @property
    def kin(self) -> Sequence[str]:
        """Accounts of the same family whose records its rungs read; `Record.kin` holds them at every call."""

    def paces(self, rung: str) -> Sequence[tuple[str, Pace]]:
        """Ledger keys to charge for one call of that rung, widest first."""

    async def prepare(self, rung: str, record: Record) -> Mapping[str, Secret]:
        """Free calls and generated material before the intent; raises FreshdError where nothing can be sent."""

    async def perform(self, rung: str, record: Record, intent: Intent) -> Performed:
        """The one call.  Has its own hard deadline."""

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        """Judge a reply; pure, so that it can be done again after a crash."""

    async def probe(self, lease: Lease) -> bool | None:
        """Try the lease on a harmless call: True works, False refused, None cannot tell.  Spends nothing."""

    def is_dead(self, status: int | None, code: str | None) -> bool:
        """Whether a consumer's refusal means the token is dead (scope errors and a bare 403 do not)."""

    async def ask(self, flow: str, redirect_uri: str | None, record: Record, *, consent: bool = False) -> Asked:
        """Begin an enrolment.  "auto": the flow that fits how the account stands.

        Raises NeedsConsent where beginning costs something (an SMS) and the person has not agreed to it yet, and other
        FreshdErrors.
        """

    def adopt(self, given: Mapping[str, Secret], now: Moment, lineage: str) -> Change:
        """What secrets and lease obtained elsewhere come to, by the names of the import; nothing is sent.

        Raises FreshdError naming what is missing or wrong, without a value.
        """

    async def examine(self, record: Record) -> Sequence[Found]:
        """Look for why the grant is dead, by harmless calls only (I8): none spends, rotates or counts as an attempt."""

    def explain(self, code: str) -> Found | None:
        """What a code of the history says of the grant; None where it says nothing.  Pure.

        A code that tells only that the secret is no longer good has the cause "used-twice"; what else it may be is then
        found out from ages and from the lease (`core.autopsy`).
        """

    async def revoke(self, record: Record) -> str:
        """Tell the service to end the grant; says what was done.  Raises FreshdError."""


Facts = Mapping[str, str | int | float | bool | Sequence[str] | None]
"""What an operator is told: plain values, no secret among them."""


@runtime_checkable
class Operated(Protocol):
    """A provider whose service offers calls of its own, beyond renewing (`freshd operate`)."""

    @property
    def operations(self) -> Mapping[str, str]:
        """What operators may ask for, by name, with what it does in a few words."""

    async def operate(self, operation: str, given: Mapping[str, Secret], record: Record) -> Facts | Asked:
        """Ask with the lease in hand and tell what came of it; or, where it may spend or change the grant, the step.

        Such a step asks nothing of a person: neither address nor prompt.  It takes the exchange's eight points as an
        enrolment does.  Raises LeaseRefused where the service refused the lease (it is renewed, and asked once more),
        and other FreshdErrors.
        """


@runtime_checkable
class Succeeding(Protocol):
    """A provider whose service keeps an older grant alive beside the one that replaced it."""

    async def retire(self, old: Grant, new: Grant) -> None:
        """End the grant that an enrolment replaced, at the service; the new one is durable.  Raises FreshdError."""


class Outlet(Protocol):
    """Where events go.  Never blocks, never raises, never waits for anybody (I11)."""

    def tell(self, event: Event) -> None:
        """Take one event."""
