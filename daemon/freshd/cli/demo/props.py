"""What acts are done with, and what an act is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from freshd.cli.demo.monitor import Monitor
from freshd.cli.demo.stage import Stage

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Props:
    """What acts are done with, and what they note down for the judge: see `evidence`."""

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


@dataclass(frozen=True, slots=True)
class Act:
    """`at`: share of the run; `settles`: what follows waits until everybody has got over it."""

    at: float
    name: str
    play: Callable[[Props], None]
    settles: bool = True
