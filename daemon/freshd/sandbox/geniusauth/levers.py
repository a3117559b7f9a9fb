"""What may be done to GeniusAuth from behind: give tokens away, change people and applications, end logins. Pure.

The control port is a thin layer over it. ``now`` is the service's own clock. Everything raises ValueError for a person
or an application that is not there.
"""

import dataclasses
from collections.abc import Callable

from freshd.sandbox.geniusauth.apps import App
from freshd.sandbox.geniusauth.people import Person
from freshd.sandbox.geniusauth.records import LoginToken, Record
from freshd.sandbox.geniusauth.state import State
from freshd.sandbox.geniusauth.tokens import Tokens
from freshd.sandbox.tokens import AccessToken, Holder, RefreshToken


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mint:
    """A login that is given away without any ceremony. ``valid_s`` None: what holds where none is asked for."""

    label: str
    app_code: str = "sandboxapp"
    uid: int = 8
    payload: str = ""
    valid_s: float | None = None
    count: int = 1

    @property
    def labels(self) -> list[str]:
        """The names in the books; with a count they end in ``-1``, ``-2`` …."""
        return [self.label] if self.count == 1 else [f"{self.label}-{n}" for n in range(1, self.count + 1)]


class GeniusLevers:
    """The levers."""

    def __init__(self, state: State, tokens: Tokens) -> None:
        """Work on ``state``."""
        self._state = state
        self._tokens = tokens

    def mint(self, wish: Mint, label: str, now: float) -> tuple[RefreshToken, AccessToken]:
        """Give a fresh pair, as if a login had just been exchanged."""
        holder = Holder(client_id=self.app(wish.app_code).app_code, label=label, subject=str(wish.uid))
        default_s = self._state.constants.of(wish.app_code, label).GENIUS_SIM_VALID_DEFAULT_S
        valid_s = default_s if wish.valid_s is None else wish.valid_s
        return self._tokens.open(holder, self.person(wish.uid), now, valid_s=valid_s, payload=wish.payload)

    def mint_login(self, wish: Mint, label: str, now: float) -> LoginToken:
        """Give a login token, as a browser would bring it."""
        return self._tokens.mint_login(self.app(wish.app_code), self.person(wish.uid), label, now)

    def app(self, app_code: str) -> App:
        """Return an application."""
        found = self._state.apps.find(app_code)
        if found is None:
            raise ValueError("app_code: not registered")
        return found

    def person(self, uid: int) -> Person:
        """Return somebody."""
        found = self._state.people.find(uid)
        if found is None:
            raise ValueError("uid: nobody has it")
        return found

    def change_app(self, app: App, now: float) -> int:
        """Change a registered application; other groups end all its logins. Returns how many ended."""
        before = self.app(app.app_code)
        self._state.apps.register(app)
        if before.groups == app.groups:
            return 0
        return self._end(lambda one: one.holder.client_id == app.app_code, "groups_edited", now)

    def delete_app(self, app_code: str, *, cached: bool) -> None:
        """Delete an application; ``cached`` False: its secret lies in no cache either."""
        self.app(app_code)
        self._state.apps.delete(app_code, cached=cached)

    def put_person(self, person: Person, now: float) -> Person:
        """Add somebody, or change them: other groups raise the operation id."""
        before = self._state.people.find(person.uid)
        after = self._state.people.put(person)
        if before is not None and after.oid != before.oid:
            self._end(lambda one: one.uid == person.uid, "oid_raised", now)
        return after

    def raise_oid(self, uid: int, now: float) -> int:
        """Raise somebody's operation id; return how many logins ended."""
        self.person(uid).oid += 1
        return self._end(lambda one: one.uid == uid, "oid_raised", now)

    def remove_person(self, uid: int, now: float) -> int:
        """Remove somebody; return how many logins ended."""
        self.person(uid)
        self._state.people.remove(uid)
        return self._end(lambda one: one.uid == uid, "user_removed", now)

    def end(self, now: float, *, app_code: str | None, label: str | None, uid: int | None) -> int:
        """End the logins of an application, a label, a person: all that is named must fit. Returns how many ended."""

        def fits(one: Record) -> bool:
            wanted = ((app_code, one.holder.client_id), (label, one.holder.label), (uid, one.uid))
            return all(asked in (None, have) for asked, have in wanted)

        return self._end(fits, "ended", now)

    def _end(self, fits: Callable[[Record], bool], reason: str, now: float) -> int:
        return sum(self._state.records.kill(one, reason, now) for one in self._state.records if fits(one))
