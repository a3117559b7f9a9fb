"""An account after its kill: the plain daemon is up again, and it lives or it does not.

Rules
-----
* It lives once it was refreshed once more; a parked one, and one that does not decide itself, does not.
* Nobody helps, but for an enrolment, which an operator begins again where it does not go on for a while.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.crash.deeds import Deed
from tests.crash.scene import ACCOUNT, Gone, Process, Told
from tests.crash.services import Ways

SETTLE_SECONDS: Final = 60.0
"""In doubt an account waits for its lease to end, which takes seconds; the rest is for a machine with other work."""
DATED: Final = "answer-lost-twice"
DATED_SECONDS: Final = 90.0
"""Killed twice in doubt, an account is parked with a date, the first a minute away: only what comes of that tells."""
RISE_SECONDS: Final = 120.0
"""A start that takes longer is none.  Nothing after a kill is excused, so a busy machine must have its time."""
LOOK_SECONDS: Final = 0.01
PATIENT_SECONDS: Final = 0.5
"""How long an enrolment that was killed is looked at before an operator begins it again."""


class Revival:
    """One account.  `shown`: fingerprint of the first lease that readers got; `is_helped`: an operator had to."""

    def __init__(self, ways: Ways, deed: Deed) -> None:
        self._ways, self._deed = ways, deed
        self._idle_since: float | None = None
        self.shown: str | None = None
        self.is_helped = False

    def settle(self, daemon: Process) -> tuple[bool, str]:
        """Whether the account lives: it was refreshed once more.  And how it stands."""
        daemon.wait_ready(RISE_SECONDS)
        give_up_at = time.monotonic() + SETTLE_SECONDS
        patience_ends_at = give_up_at + DATED_SECONDS
        while time.monotonic() < give_up_at:
            view = daemon.view()
            if self._helps(daemon, view):
                continue
            if view["phase"] == "parked" and view["reason"] == DATED and time.monotonic() < patience_ends_at:
                give_up_at = patience_ends_at  # it is asked again by itself
            elif view["phase"] == "parked":
                self._read(daemon)
                return False, f"parked: {view['reason']}"
            if view["phase"] == "live":
                self._read(daemon)
                with contextlib.suppress(Told):
                    daemon.operate("refresh")
                    return True, "live"
            time.sleep(LOOK_SECONDS)
        self._read(daemon)
        return False, f"undecided: {daemon.view()['phase']}"

    def _helps(self, daemon: Process, view: Mapping[str, Any]) -> bool:
        """Whether an operator begins an enrolment again: one that does not go on by itself for a while."""
        is_stuck = view["phase"] in ("vacant", "live", "parked") and view["usable_until"] is None
        if not self._ways.is_new or not is_stuck:
            self._idle_since = None
            return False
        now = time.monotonic()
        self._idle_since = self._idle_since or now
        if now - self._idle_since < PATIENT_SECONDS:
            time.sleep(LOOK_SECONDS)
            return True
        self.is_helped, self._idle_since = True, None
        with contextlib.suppress(Told):
            self._deed.do(daemon)
        return True

    def _read(self, daemon: Process) -> None:
        """The lease that readers get once the account is well again, before it is renewed."""
        if self.shown is None and self._ways.shows:
            with contextlib.suppress(Told):
                self.shown = str(daemon.ask("GET", f"/v1/tokens/{ACCOUNT}?wait=0")["fingerprint"])


def patiently(true: Callable[[], bool]) -> None:
    """Ask until it is so; a daemon that says no is asked again.  Raises Gone."""
    give_up_at = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < give_up_at:
        with contextlib.suppress(Told):
            if true():
                return
        time.sleep(LOOK_SECONDS)
    raise Gone("waited in vain")
