"""Who is at an AUN gateway, and for how long somebody was not: looked at through the sandbox's control port."""

from __future__ import annotations

import contextlib
import time
from typing import Final

from tests.crash.services import Sandbox
from tests.flow.shift import Shift

LOOK_SECONDS: Final = 0.05
OURS: Final = "freshd"
"""What the daemon calls itself at the gateway."""


class Turnstile(Shift):
    """Looks all the while who has a session at the gateway, by AID."""

    def __init__(self, service: Sandbox) -> None:
        super().__init__()
        self._service = service
        self._gone_at: dict[str, float] = {}
        self._gaps: dict[str, list[tuple[float, float]]] = {}
        self._here: frozenset[str] = frozenset()

    def has(self, aid: str) -> bool:
        """Whether it was connected at the last look."""
        return aid in self._here

    def gap(self, aid: str, since: float, until: float) -> float:
        """Seconds between these wall-clock moments without a session."""
        still = [(self._gone_at[aid], until)] if aid in self._gone_at else []
        spans: list[tuple[float, float]] = [*self._gaps.get(aid, ()), *still]
        return sum(max(0.0, min(end, until) - max(begin, since)) for begin, end in spans)

    def _work(self) -> None:
        while not self._ends.wait(LOOK_SECONDS):
            with contextlib.suppress(OSError, RuntimeError):
                sessions = self._service.ask("GET", "/aun/sessions")["sessions"]
                self._note(
                    frozenset(str(one["aid"]) for one in sessions if one["client"].get("sdk_lang") == OURS), time.time()
                )

    def _note(self, here: frozenset[str], now: float) -> None:
        for aid in self._here - here:
            self._gone_at[aid] = now
        for aid in here & self._gone_at.keys():
            self._gaps.setdefault(aid, []).append((self._gone_at.pop(aid), now))
        self._here = here
