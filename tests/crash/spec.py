"""What one trial is to do; drawn by `plan`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.crash.scene import Placement

Kind = Literal["point", "around", "held", "cycle", "boot", "near", "again"]


@dataclass(frozen=True, slots=True)
class Spec:
    """What is to be done; drawn from the seed.

    kind     point: at a mark · around: an instant after a refresh was asked for · held: the same with a service that
             holds requests and answers · cycle: anywhere between two refreshes · boot: anywhere after a start ·
             near: soon after a mark · again: at a mark, and then anywhere after the start that has to make good for it
    passage  at which passage of the mark, counted from the quiet moment
    instant  seconds after the request, the mark, the quiet moment or the start
    before   seconds the service holds a request; after: an answer
    settled  with the OS keyring: wait until the grant rests there before going on
    """

    number: int
    service: str
    placement: Placement
    kind: Kind
    mark: str | None = None
    passage: int = 1
    instant: float = 0.0
    before: float = 0.0
    after: float = 0.0
    settled: bool = True
