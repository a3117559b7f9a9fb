"""What is counted, per account label and in total, and the recent history that is kept of each label.

Meanings that a judge relies on:

* ``spent_uses``: a spent refresh token was presented although the client provably holds its successor: the successor
  was presented itself, or its answer was delivered whole and then vouched for (the answer's access token was used, or
  the answer was marked escrowed on the control port). A correct client never causes one.
* ``doubtful_replays``: a spent refresh token was presented and that proof is missing. ``reasons`` says why, by the
  fault that ate the answer, or ``in_flight`` (not yet written), ``write_failed``, ``peer_gone``, ``unconfirmed``
  (delivered whole, but nothing shows that the client kept it).
* Each presentation of a spent token is exactly one of the two; ``in_grace`` counts in addition those forgiven.
"""

import collections
import dataclasses

from freshd.sandbox.tokens import Commit, Lineage


@dataclasses.dataclass(slots=True)
class Counters:
    """Plain totals. ``refreshes`` were granted, ``commits`` (of any grant type) changed something, ``early`` refreshes
    only repeated what was there. ``calls`` are arrivals at the token endpoint by grant type, answered or not.
    """

    refreshes: int = 0
    commits: int = 0
    early: int = 0
    refused: int = 0
    spent_uses: int = 0
    doubtful_replays: int = 0
    in_grace: int = 0
    lineages_killed: int = 0
    escrow_marks: int = 0
    calls: dict[str, int] = dataclasses.field(default_factory=dict)
    reasons: dict[str, int] = dataclasses.field(default_factory=dict)
    killed_by: dict[str, int] = dataclasses.field(default_factory=dict)
    errors: dict[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(slots=True, kw_only=True)
class Call:
    """One arrival at the token endpoint, whether or not it was answered: for pace and for "never committed".

    ``at`` is wall seconds, ``received_ns`` ``time.monotonic_ns()``. ``presented`` is the fingerprint of the refresh
    token, code or device code that came with it. ``outcome``: ``pending``, ``granted``, ``early``, an OAuth error code,
    or the name of the fault that prevented a commit.
    """

    at: float
    received_ns: int | None
    grant_type: str
    presented: str | None
    outcome: str = "pending"
    commit: int | None = None


class Account:
    """Everything the service remembers under one label; ``keep`` bounds each history."""

    def __init__(self, label: str, keep: int) -> None:
        self.label = label
        self.counters = Counters()
        self.calls: collections.deque[Call] = collections.deque(maxlen=keep)
        self.commits: collections.deque[Commit] = collections.deque(maxlen=keep)
        self.lineages: collections.deque[Lineage] = collections.deque(maxlen=keep)


class Books:
    """The pages of all labels, and the totals."""

    def __init__(self, keep: int) -> None:
        self.totals = Counters()
        self.accounts: dict[str, Account] = {}
        self._keep = keep

    def account(self, label: str) -> Account:
        """Return the page of ``label``, opening an empty one if there is none."""
        page = self.accounts.get(label)
        if page is None:
            page = self.accounts[label] = Account(label, self._keep)
        return page

    def count(self, label: str | None, *names: str) -> None:
        """Add one to each named counter of ``label`` (None: of nobody in particular) and of the totals."""
        for counters in self._both(label):
            for name in names:
                setattr(counters, name, getattr(counters, name) + 1)

    def sort(self, label: str | None, table: str, key: str) -> None:
        """Add one under ``key`` of the named table of ``label`` and of the totals."""
        for counters in self._both(label):
            counts: dict[str, int] = getattr(counters, table)
            counts[key] = counts.get(key, 0) + 1

    def _both(self, label: str | None) -> tuple[Counters, ...]:
        return (self.totals,) if label is None else (self.account(label).counters, self.totals)
