"""Which gateways serve an agent, in the order in which they are tried.

Rules
-----
* The list comes from the agent's own host, else from `gateway.ISSUER`; a gateway in the configuration is the only one.
* In order of priority; one that failed a moment ago comes after those that did not.
* An answer is used for `FRESH_SECONDS`, a failure for `FAILED_SECONDS`.  After `TIRED` failures in a row without a
  success the list is asked for again.  While asking fails, the older list stays in force.
* Addresses to which a secret must not be sent are not on the list.
* A call goes to the next gateway only while nothing was written to the one before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from freshd.core.outcome import NotSent, Performed, Reply
from freshd.ports import Clock
from freshd.providers.aun.transport import gateway_problem
from freshd.providers.form import Foreign, number, object_of
from freshd.providers.http import Call, Http, Route

FRESH_SECONDS: Final = 600.0
FAILED_SECONDS: Final = 5.0
AILING_SECONDS: Final = 60.0
TIRED: Final = 3
LAST_PRIORITY: Final = 999.0
MOST_GATEWAYS: Final = 8
MOST_TRIED: Final = 3
LOOK_SECONDS: Final = 5.0
PATH: Final = "/.well-known/aun-gateway"
WEB_SOCKET: Final = "wss://"


class Gateways:
    """The gateways of one account.  Used on the loop's thread only."""

    def __init__(self, places: Sequence[str], fixed: str | None, http: Http, route: Route, clock: Clock) -> None:
        self._places = places
        self._http = http
        self._route = Route(route.ca_file, route.proxy, min(route.deadline, LOOK_SECONDS))
        self._clock = clock
        self._lock = asyncio.Lock()
        self._known: tuple[str, ...] = () if fixed is None else (fixed,)
        self._is_fixed = fixed is not None
        self._until = 0.0
        self._failure = ""
        self._in_a_row = 0
        self._ailing: dict[str, float] = {}

    async def find(self) -> tuple[str, ...] | NotSent:
        """The gateways in the order in which they are tried; never none."""
        async with self._lock:
            if not self._is_fixed and self._clock.boot() >= self._until:
                await self._look_up()
        if not self._known:
            return NotSent(f"the gateways are not known: {self._failure}")
        now = self._clock.boot()
        return tuple(sorted(self._known, key=lambda url: self._ailing.get(url, 0.0) > now))

    async def reach(self, urls: Sequence[str], call: Callable[[str], Awaitable[Performed]]) -> tuple[Performed, str]:
        """What the first gateway that can be reached makes of a call, and which one it was."""
        performed: Performed = NotSent("there is no gateway")
        url = ""
        for url in urls[:MOST_TRIED]:
            performed = await call(url)
            self._mark(url, works=isinstance(performed, Reply))
            if not isinstance(performed, NotSent):
                break
        return performed, url

    def _mark(self, url: str, *, works: bool) -> None:
        if works:
            self._in_a_row = 0
            self._ailing.pop(url, None)
            return
        self._in_a_row += 1
        self._ailing[url] = self._clock.boot() + AILING_SECONDS
        if self._in_a_row >= TIRED:
            self._in_a_row, self._until = 0, 0.0

    async def _look_up(self) -> None:
        for place in self._places:
            performed = await self._http.call(Call("GET", place, route=self._route))
            found = gateways_in(performed)
            if isinstance(found, tuple):
                self._known, self._until = found, self._clock.boot() + FRESH_SECONDS
                self._ailing = {url: at for url, at in self._ailing.items() if url in found}
                return
            self._failure = found
        self._until = self._clock.boot() + FAILED_SECONDS


def gateways_in(performed: Performed) -> tuple[str, ...] | str:
    """The gateways that an answer names, by priority, or why it names none.  Pure."""
    if not isinstance(performed, Reply):
        return performed.reason
    found = object_of(performed)
    if performed.status != 200 or isinstance(found, Foreign):
        return f"status {performed.status}" if performed.status != 200 else str(found)
    listed = found.get("gateways")
    entries = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    entries.sort(key=_priority)
    urls = [one["url"] for one in entries if isinstance(one.get("url"), str)]
    good = tuple(dict.fromkeys(url for url in urls if gateway_problem(url) is None and " " not in url))
    return good[:MOST_GATEWAYS] or "the answer names no gateway that may be used"


def _priority(entry: dict[str, object]) -> float:
    told = number(entry.get("priority"))
    return LAST_PRIORITY if told is None or told != told else told  # noqa: PLR0124 - not a number
