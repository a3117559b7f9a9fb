"""What Futu's stand-in counts: entries in the books that all services share, and a tally of its own for each uid.

Rules: an arrival counts before it is judged, so a call that a fault swallows is seen too. ``spent_uses`` and
``doubtful_replays`` mean what ``counters`` says, with the secret that an answer brings as the successor. A login also
changes each broker's standing, so each broker's page gets an entry for it, which shares the login's delivery.
"""

import collections
import dataclasses
import datetime as dt
import itertools
from collections.abc import Iterable

from freshd.sandbox.counters import Books, Call
from freshd.sandbox.futu.credential import Credential
from freshd.sandbox.tokens import Commit

_HISTORY = 1024
PerBroker = dict[int, int]


@dataclasses.dataclass(slots=True)
class Tally:
    """What one uid did. Keys are broker ids and days (UTC); the ``_at`` are arrivals in wall seconds.

    ``authority_too_soon``: arrivals inside the window after the one before, whatever came of either. ``void_uses``: a
    code was presented that another one, provably in the client's hands, had replaced.
    """

    authority_at: collections.deque[float] = dataclasses.field(
        default_factory=lambda: collections.deque(maxlen=_HISTORY)
    )
    authority_calls: int = 0
    authority_too_soon: int = 0
    repulls: dict[int, dict[str, int]] = dataclasses.field(default_factory=dict)
    broker_auths: PerBroker = dataclasses.field(default_factory=dict)
    spent_uses: PerBroker = dataclasses.field(default_factory=dict)
    void_uses: PerBroker = dataclasses.field(default_factory=dict)
    sms_sent: int = 0
    trade_logins: PerBroker = dataclasses.field(default_factory=dict)
    trade_refusals: PerBroker = dataclasses.field(default_factory=dict)
    platform_logins: int = 0
    platform_refusals: int = 0
    heartbeats: int = 0
    lost_heartbeats: int = 0
    kicked: int = 0


def bump(counts: dict[int, int], key: int) -> None:
    """Add one under ``key``."""
    counts[key] = counts.get(key, 0) + 1


class FutuBooks:
    """The books. ``shared`` are those of the whole sandbox."""

    def __init__(self, shared: Books | None = None) -> None:
        """None opens books of its own."""
        self.shared = shared or Books(_HISTORY)
        self.tallies: dict[int, Tally] = {}
        self._labels: set[str] = set()
        self._serials = itertools.count(1)

    def tally(self, uid: int) -> Tally:
        """Return the tally of ``uid``, opening an empty one if there is none."""
        return self.tallies.setdefault(uid, Tally())

    def arrive(
        self, operation: str, label: str, now: float, *, presented: str | None = None, received_ns: int | None = None
    ) -> Call:
        """Note a call before anything is judged; the caller fills in ``outcome`` later."""
        call = Call(at=now, received_ns=received_ns, grant_type=operation, presented=presented)
        self.shared.account(label).calls.append(call)
        self.shared.sort(label, "calls", operation)
        return call

    def note_authority(self, uid: int, now: float, interval_s: float) -> None:
        """Count the arrival of a platform login."""
        tally = self.tally(uid)
        if tally.authority_at and now - tally.authority_at[-1] < interval_s:
            tally.authority_too_soon += 1
        tally.authority_calls += 1
        tally.authority_at.append(now)

    def note_repull(self, uid: int, broker_id: int, now: float) -> None:
        """Count the arrival of a repull under its day."""
        days = self.tally(uid).repulls.setdefault(broker_id, {})
        day = dt.datetime.fromtimestamp(now, dt.UTC).date().isoformat()
        days[day] = days.get(day, 0) + 1

    def commit(
        self, operation: str, label: str, now: float, presented: Credential | None, issued: Credential
    ) -> Commit:
        """Enter one irreversible change that answers ``presented`` with ``issued``."""
        made = Commit(
            serial=next(self._serials),
            grant_type=operation,
            label=label,
            lineage=None,
            committed_at=now,
            spent=presented.fingerprint if presented else None,
            successor=issued.fingerprint,
            access=issued.fingerprint,
        )
        issued.born = made
        self._labels.add(label)
        self.shared.account(label).commits.append(made)
        self.shared.count(label, "commits", "refreshes")
        return made

    def replay(self, label: str, secret: Credential) -> bool:
        """Count one presentation of a spent secret; return whether its holder provably had what replaced it."""
        if secret.has_known_heir:
            self.shared.count(label, "spent_uses")
            return True
        self.shared.count(label, "doubtful_replays")
        reason = secret.answers[-1].doubt if secret.answers else None
        self.shared.sort(label, "reasons", reason or "unconfirmed")
        return False

    def refuse(self, label: str, code: int) -> None:
        """Count a refusal."""
        self.shared.count(label, "refused")
        self.shared.sort(label, "errors", str(code))

    def escrowed(self, fingerprints: Iterable[str]) -> int:
        """Believe that the client has durably kept the answers with these successors; return how many there are."""
        names, marked = set(fingerprints), 0
        for label in self._labels:
            for commit in self.shared.account(label).commits:
                if commit.successor in names:
                    commit.escrowed = True
                    self.shared.count(label, "escrow_marks")
                    marked += 1
        return marked
