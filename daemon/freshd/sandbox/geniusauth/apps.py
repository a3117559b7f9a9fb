"""The applications that are registered, and whether their signatures are believed. Pure: ``now`` is an argument.

Rules: an application has one secret for its life. One that was deleted goes on being believed for as long as its secret
lies in a cache, from its last use on, unless it was deleted together with that.
"""

import dataclasses
from collections.abc import Iterable


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One application. ``callback``: where a login ends; ``groups``: who may log in, empty is everybody."""

    app_code: str
    secret: str = dataclasses.field(repr=False)
    name: str = "an application"
    callback: str = "http://127.0.0.1:8377/callback"
    groups: tuple[str, ...] = ()


class Apps:
    """All applications. ``sites``: the hosts to which a login may lead, empty is every one."""

    def __init__(self, apps: Iterable[App] = ()) -> None:
        """Register ``apps``."""
        self._known = {app.app_code: app for app in apps}
        self._deleted: dict[str, App] = {}
        self._used_at: dict[str, float] = {}
        self.sites: tuple[str, ...] = ()

    def register(self, app: App) -> None:
        """Add an application or replace the one of the same code."""
        self._known[app.app_code] = app
        self._deleted.pop(app.app_code, None)

    def delete(self, app_code: str, *, cached: bool) -> bool:
        """Delete an application; ``cached`` False empties the cache as well. Returns whether it was there."""
        app = self._known.pop(app_code, None)
        if app is not None and cached and app_code in self._used_at:
            self._deleted[app_code] = app
        return app is not None

    def find(self, app_code: str) -> App | None:
        """Return an application that is registered."""
        return self._known.get(app_code)

    def believed(self, app_code: str, now: float, cache_s: float) -> App | None:
        """Return the application for a signature check, and note the use."""
        app = self._known.get(app_code)
        if app is None and now - self._used_at.get(app_code, now) <= cache_s:
            app = self._deleted.get(app_code)
        if app is not None:
            self._used_at[app_code] = now
        return app
