"""What acts are done with, and what an act is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from freshd.cli.demo.monitor import Monitor
from freshd.cli.demo.stage import Stage

Say = Callable[[str], None]
CALM_S: Final = 0.6
CALM_MOST_S: Final = 4.0
LOOK_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Props:
    """What acts are done with, and what they note down for the judge: see `evidence`.

    struck  what was done → account → when, each time
    """

    stage: Stage
    monitor: Monitor
    say: Say
    scale: float
    sabotage: str = ""
    revoked: dict[str, float] = field(default_factory=dict)
    voided: dict[str, float] = field(default_factory=dict)
    storms: list[tuple[float, float]] = field(default_factory=list)
    expired: dict[str, float] = field(default_factory=dict)
    told_no_cid: dict[str, float] = field(default_factory=dict)
    cut: dict[str, float] = field(default_factory=dict)
    struck: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def strike(self, what: str, account: str) -> None:
        """Note that this is about to be done."""
        self.struck.setdefault(what, {}).setdefault(account, []).append(time.time())

    def wait_for_calm(self, account: str, age: float = 0.0) -> None:
        """Return when its token is so old, in seconds, and nobody is about to replace it; or CALM_MOST_S later.

        A token that is replaced anyway in the moment in which it is struck shows no heal.
        """
        give_up_at = time.monotonic() + CALM_MOST_S
        while time.monotonic() < give_up_at:
            due, commits = self.monitor.due(account), self.stage.service.page(account)["commits"]
            is_old = bool(commits) and time.time() - commits[-1]["committed_at"] > age
            if is_old and self.monitor.phase(account) == "live" and due is not None and due - time.time() > CALM_S:
                return
            time.sleep(LOOK_S)


@dataclass(frozen=True, slots=True)
class Act:
    """`at`: share of the run; `settles`: what follows waits until everybody has got over it.

    apart  seconds that must have passed since the act before began
    """

    at: float
    name: str
    play: Callable[[Props], None]
    settles: bool = True
    apart: float = 0.0
