"""What logins leave behind: records with the tokens that name them, and the tokens that a browser brings. Pure.

Rules: a record has a fixed end. All refresh tokens that name a record are worth as much as it is; none is used up by
being presented. A login token is gone once somebody has looked at it. Books and lineages are those of the OAuth 2.0
ledger, so one judge reads both; a record is a lineage there.
"""

import collections
import dataclasses
import itertools
from collections.abc import Iterable, Iterator

from freshd.sandbox.grants import Ledger
from freshd.sandbox.tokens import AccessToken, Commit, Holder, Lineage, RefreshToken, fingerprint

_KEPT = 1024  # login tokens, and siblings of one record, that are remembered


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Record(Lineage):
    """One login. ``holder.client_id`` is the application's code; ``tokens`` are its refresh tokens by fingerprint."""

    number: int
    uid: int
    ends_at: float
    tokens: dict[str, RefreshToken] = dataclasses.field(default_factory=dict)
    refreshes: int = 0

    def is_present(self, now: float) -> bool:
        """Whether the store still has it."""
        return self.killed_by is None and now < self.ends_at


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class LoginToken:
    """What a browser brings to an application. ``seen``: it is gone. ``answer``, ``successor``: what it brought."""

    text: str = dataclasses.field(repr=False)
    holder: Holder
    uid: int
    expires_at: float
    seen: bool = False
    answer: Commit | None = None
    successor: RefreshToken | None = None

    @property
    def has_known_successor(self) -> bool:
        """Whether its holder provably has what it was exchanged for."""
        confirmed = self.answer is not None and self.answer.doubt is None
        return confirmed or (self.successor is not None and self.successor.presented)


class Records:
    """All records and login tokens. ``ledger`` may serve others too."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._records: dict[int, Record] = {}
        self._logins: collections.OrderedDict[str, LoginToken] = collections.OrderedDict()
        self._numbers = itertools.count(1)

    def __iter__(self) -> Iterator[Record]:
        """All records, oldest first."""
        return iter(self._records.values())

    def find(self, number: object) -> Record | None:
        """Return a record, present or not."""
        return self._records.get(number) if isinstance(number, int) else None

    def of(self, label: str) -> list[Record]:
        """Return the records of a label, oldest first."""
        return [one for one in self if one.holder.label == label]

    def open(self, holder: Holder, uid: int, now: float, ends_at: float) -> Record:
        """Make a record."""
        lineages = self.ledger.books.account(holder.label).lineages
        if len(lineages) == lineages.maxlen:
            self._forget(lineages.popleft())
        number = next(self._numbers)
        record = Record(
            id=f"record-{number}", holder=holder, started_at=now, used_at=now, number=number, uid=uid, ends_at=ends_at
        )
        lineages.append(record)
        self._records[number] = record
        return record

    def add_token(self, record: Record, text: str, now: float) -> RefreshToken:
        """Note one more refresh token of a record; the same text is the same token."""
        token = record.tokens.get(fingerprint(text))
        if token is None:
            token = RefreshToken(text=text, lineage=record, issued_at=now, expires_at=record.ends_at)
            record.tokens[token.fingerprint] = token
            if len(record.tokens) > _KEPT:
                del record.tokens[next(iter(record.tokens))]
        record.head = token
        return token

    def add_access(self, record: Record, text: str, now: float, life_s: float) -> AccessToken:
        """Note one more access token of a record; the same text is the same token."""
        known = self.ledger.shelf.access_token(text)
        if known is not None:
            return known
        return self.ledger.shelf.new_access(record.holder, record, now, life_s, text=text)

    def present(self, record: Record, text: str) -> None:
        """Note that somebody showed a token of a record, which proves that they read the answer that brought it."""
        token = record.tokens.get(fingerprint(text))
        if token is not None:
            token.present()
        access = self.ledger.shelf.access_token(text)
        if access is not None and access.born is not None:
            access.born.escrowed = True

    def kill(self, record: Record, reason: str, now: float) -> bool:
        """Take a record out of the store; return whether it was there."""
        was_present = record.is_present(now)
        self.ledger.kill(record, reason, now)
        return was_present

    def add_login(self, token: LoginToken) -> None:
        """Note a login token."""
        self._logins[fingerprint(token.text)] = token
        if len(self._logins) > _KEPT:
            self._logins.popitem(last=False)

    def login(self, text: str) -> LoginToken | None:
        """Return a login token, used ones included; looking here leaves it alone."""
        return self._logins.get(fingerprint(text))

    def look_at(self, token: LoginToken) -> bool:
        """Take a login token out of the store; return whether it was still there, and count it if it was not."""
        was_there, token.seen = not token.seen, True
        if was_there:
            return True
        books, label = self.ledger.books, token.holder.label
        if token.has_known_successor:
            books.count(label, "spent_uses")
            return False
        books.count(label, "doubtful_replays")
        doubt = token.answer.doubt if token.answer is not None else "burnt"
        books.sort(label, "reasons", doubt or "unconfirmed")
        return False

    def escrowed(self, fingerprints: Iterable[str]) -> int:
        """Believe that the client has durably kept the answers with these successors; return how many there are."""
        names, marked = set(fingerprints), 0
        for record in self:
            for name in names & record.tokens.keys():
                born = record.tokens[name].born
                if born is not None:
                    born.escrowed = True
                    self.ledger.books.count(record.holder.label, "escrow_marks")
                    marked += 1
        return marked

    def _forget(self, lineage: Lineage) -> None:
        self.ledger.shelf.forget(lineage)
        if isinstance(lineage, Record):
            self._records.pop(lineage.number, None)
