"""The page on which a person logs in to an application, as decisions. Pure: ``now`` is the service's own clock.

Rules: the browser goes nowhere but to the callback that is registered with the application, and only where its host is
on the list of sites. It brings ``?token=`` there, and nothing else.
"""

import collections
import urllib.parse
from collections.abc import Mapping

from freshd.sandbox.geniusauth.apps import App
from freshd.sandbox.geniusauth.codes import NO_GROUP, SITE_NOT_ALLOWED, TOO_FREQUENT, UNKNOWN_APP, Refusal
from freshd.sandbox.geniusauth.people import Person
from freshd.sandbox.geniusauth.records import LoginToken
from freshd.sandbox.geniusauth.state import State
from freshd.sandbox.geniusauth.tokens import Tokens

_MINUTE_S = 60.0
_NO_USER = 27


class LoginPage:
    """The page of every application."""

    def __init__(self, state: State, tokens: Tokens) -> None:
        self._state = state
        self._tokens = tokens
        self._visits: collections.deque[float] = collections.deque()

    def check(self, asked: Mapping[str, str]) -> App:
        """Return the application that ``appCode`` names; raises Refusal where no login can lead anywhere."""
        app = self._state.apps.find(asked.get("appCode", ""))
        if app is None:
            raise Refusal(UNKNOWN_APP)
        host = urllib.parse.urlsplit(app.callback).hostname or ""
        if not host or (self._state.apps.sites and host not in self._state.apps.sites):
            raise Refusal(SITE_NOT_ALLOWED)
        return app

    def decide(self, asked: Mapping[str, str], now: float) -> str:
        """Return where the browser goes once the person has logged in; raises Refusal.

        ``subject`` (or ``login_hint``) is a uid or a name, ``label`` the name in the books (default: the person's).
        """
        app = self.check(asked)
        self._enter(app, now)
        person = self._state.people.named(asked.get("subject") or asked.get("login_hint") or "")
        if person is None:
            raise Refusal(_NO_USER)
        token = self.log_in(app, person, asked.get("label") or person.name, now)
        return back_to(app, token)

    def log_in(self, app: App, person: Person, label: str, now: float) -> LoginToken:
        """Return a login token for a person who may use the application; raises Refusal."""
        if app.groups and not set(app.groups) & set(person.groups):
            raise Refusal(NO_GROUP)
        return self._tokens.mint_login(app, person, label, now)

    def _enter(self, app: App, now: float) -> None:
        self._state.counts.login_pages += 1
        while self._visits and now - self._visits[0] >= _MINUTE_S:
            self._visits.popleft()
        if len(self._visits) >= self._state.constants.of(app.app_code).GENIUS_SIM_LOGIN_PER_MIN:
            raise Refusal(TOO_FREQUENT)
        self._visits.append(now)


def back_to(app: App, token: LoginToken) -> str:
    """Return the application's callback with a login token."""
    parts = urllib.parse.urlsplit(app.callback)
    query = urllib.parse.urlencode([*urllib.parse.parse_qsl(parts.query), ("token", token.text)])
    return parts._replace(query=query).geturl()
