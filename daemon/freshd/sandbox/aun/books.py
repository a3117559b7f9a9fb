"""What AUN's stand-in counts: entries in the ledger that all services share, and a tally of its own for each AID.

Rules: an arrival counts before it is judged, so a call that a fault swallows is seen too. Whatever works once is
counted when it comes again: ``spent_uses`` if the client provably had what the first use brought, else
``doubtful_replays``. A commit's successor is what its answer brings: the refresh token, else the access token, else
the certificate.
"""

import collections
import dataclasses
import itertools
from collections.abc import Iterable

from freshd.sandbox.counters import Call
from freshd.sandbox.grants import Ledger
from freshd.sandbox.tokens import AccessToken, Commit, Delivery, Holder, fingerprint

NOBODY = "(unknown)"
_HISTORY = 1024


@dataclasses.dataclass(slots=True, kw_only=True)
class Tally:
    """What one AID did. ``calls`` by method, ``refused`` by code, ``connected_with`` by token fingerprint.

    ``dead_tokens``: a token was presented that ``auth.connect`` had refused before. ``at``: arrivals, method and wall
    seconds.
    """

    calls: dict[str, int] = dataclasses.field(default_factory=dict)
    refused: dict[str, int] = dataclasses.field(default_factory=dict)
    connected_with: dict[str, int] = dataclasses.field(default_factory=dict)
    dead_tokens: int = 0
    sessions: int = 0
    ended: dict[str, int] = dataclasses.field(default_factory=dict)
    at: collections.deque[tuple[str, float]] = dataclasses.field(
        default_factory=lambda: collections.deque(maxlen=_HISTORY)
    )


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Use:
    """The one use of a thing that works once: the commit it led to, or how its refusal fared."""

    label: str
    commit: Commit | None = None
    delivery: Delivery | None = None

    @property
    def doubt(self) -> str | None:
        """Return why the client may not know about it, or None."""
        if self.commit is not None:
            return self.commit.doubt
        if self.delivery is None:
            return "in_flight"
        return None if self.delivery.is_whole else self.delivery.reason or "not_carried"


def bump(counts: dict[str, int], key: str) -> None:
    """Add one under ``key``."""
    counts[key] = counts.get(key, 0) + 1


class AunBooks:
    """The books. ``ledger`` is that of the whole sandbox."""

    def __init__(self, ledger: Ledger) -> None:
        """Enter into ``ledger``, which serves others too."""
        self.ledger = ledger
        self.tallies: dict[str, Tally] = {}
        self.connections = 0
        self._certified: dict[str, list[Commit]] = {}
        self._refused_tokens: dict[str, None] = {}
        self._order = itertools.count(1)

    def tally(self, aid: str) -> Tally:
        """Return the tally of an AID, opening an empty one if there is none."""
        return self.tallies.setdefault(aid, Tally())

    def arrive(
        self, method: str, aid: str, label: str, now: float, *, presented: str | None, received_ns: int | None
    ) -> Call:
        """Note a call before anything is judged; the caller fills in ``outcome`` later."""
        tally = self.tally(aid)
        bump(tally.calls, method)
        tally.at.append((method, now))
        if method.startswith("auth."):
            return self.ledger.arrive(method, label, now, presented=presented, received_ns=received_ns)
        return Call(at=now, received_ns=received_ns, grant_type=method, presented=presented)

    def certify(self, method: str, label: str, aid: str, pem: str, now: float, *, spent: str | None) -> Commit:
        """Enter that a certificate was issued."""
        holder = Holder(client_id=aid, label=label, subject=aid)
        stub = AccessToken(text=pem, holder=holder, lineage=None, issued_at=now, expires_at=now)
        commit = self.ledger.commit(method, stub, now, spent=spent, successor=None)
        commit.successor = stub.fingerprint
        self.watch(commit)
        return commit

    def watch(self, commit: Commit) -> None:
        """Let ``escrowed`` find a commit whose successor is no refresh token."""
        if commit.successor is not None:
            self._certified.setdefault(commit.successor, []).append(commit)

    def escrowed(self, fingerprints: Iterable[str]) -> int:
        """Believe that the client has durably kept the answers with these successors; return how many there are."""
        marked = 0
        for name in fingerprints:
            for commit in self._certified.get(name, ()):
                commit.escrowed = True
                self.ledger.books.count(commit.label, "escrow_marks")
                marked += 1
        return marked

    def replay(self, use: Use) -> None:
        """Count that a thing which works once came again."""
        doubt = use.doubt
        if doubt is None:
            self.ledger.books.count(use.label, "spent_uses")
            return
        self.ledger.books.count(use.label, "doubtful_replays")
        self.ledger.books.sort(use.label, "reasons", doubt)

    def refuse(self, aid: str, label: str, code: str) -> None:
        """Count a refusal."""
        bump(self.tally(aid).refused, code)
        self.ledger.books.count(label, "refused")
        self.ledger.books.sort(label, "errors", code)

    def note_token(self, aid: str, token: str, *, taken: bool) -> None:
        """Count a token that was presented to open a session."""
        name, tally = fingerprint(token), self.tally(aid)
        if taken:
            bump(tally.connected_with, name)
            return
        tally.dead_tokens += name in self._refused_tokens
        self._refused_tokens[name] = None
        while len(self._refused_tokens) > _HISTORY:
            del self._refused_tokens[next(iter(self._refused_tokens))]
