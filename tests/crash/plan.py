"""How the trials of one series are drawn: pure functions of the seed, so that a run can be taken up again or repeated.

A series of one service and placement is endless and counted from 0: whoever wants few takes the first.  `campaign`
deals them out.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tests.crash.scene import Placement
from tests.crash.services import ACCESS_SECONDS
from tests.crash.spec import Kind, Spec

POINTS: Final = ("1", "2", "3", "4", "5", "6", "7", "8")
DURABLE: Final = ("intent-durable", "escrow-durable", "commit-durable")
"""Killed on the journal's own thread: on the disk already, and the exchange not told of it yet."""
MARKS: Final = (*POINTS, *DURABLE)
FREE_MARKS: Final = ("1", "2", "4", "8")
"""What spends nothing has neither intent nor escrow, and its lease is written behind."""
MARKS_OF: Final[Mapping[str, Sequence[str]]] = {"geniusauth": FREE_MARKS}
EXCHANGE_SECONDS: Final = {
    "sandbox": 0.01, "oidc-provider": 0.018, "feishu": 0.012, "futu": 0.012, "futu-broker": 0.025,
    "aun": 0.03, "aun-login": 0.06, "aun-rekey": 0.1, "aun-create": 0.3,
    "cloudbase": 0.012, "cloudbase-ticket": 0.012,
    "geniusauth": 0.02, "geniusauth-login": 0.15, "geniusauth-payload": 0.02,
}  # fmt: skip
"""From the request for a refresh to point 8 and somewhat beyond; of a broker, to point 8 of the code that follows."""
HELD_SECONDS: Final = 0.08
"""The longest a held request, and a held answer, is held."""
BOOT_SECONDS: Final = 0.9
"""From the start of a process to its socket, at most."""
SHARES: Final[dict[Kind, int]] = {"around": 40, "held": 30, "cycle": 15, "boot": 15}
"""Of 100 random kills."""
SHARES_ON_DEMAND: Final[dict[Kind, int]] = {"around": 55, "held": 45}
"""Of a broker: between two demands, and at a start with a code in stock, nothing is under way.  The same of what an
operator asks for."""
ON_DEMAND: Final = (
    "futu-broker", "aun-login", "aun-rekey", "aun-create", "geniusauth", "geniusauth-login", "geniusauth-payload",
)  # fmt: skip


ROUNDS: Final = 3
"""Passages since the quiet moment at which a mark is struck by turns; each one more is an exchange more."""


def at_points(service: str, placement: Placement, rounds: int = 1) -> list[Spec]:
    """Every mark once per round, at a later passage each of the first rounds."""
    count = rounds * len(marks(service))
    return sorted(itertools.islice(points(service, placement), count), key=lambda spec: spec.number)


def points(service: str, placement: Placement, start: int = 0) -> Iterator[Spec]:
    """The same without end; each round begins at mark number `start` of the ring of marks."""
    ring = marks(service)
    for round_ in itertools.count():
        for step in range(len(ring)):
            place = (start + step) % len(ring)
            passage = 1 + round_ % ROUNDS
            yield Spec(round_ * len(ring) + place, service, placement, "point", ring[place], passage)


def at_random(seed: int, service: str, placement: Placement) -> Iterator[Spec]:
    """Kills at instants drawn from the seed."""
    dice = random.Random(f"{seed} {service} {placement}")
    for number in itertools.count():
        yield _drawn(dice, number, service, placement)


def near(seed: int, service: str, placement: Placement) -> Iterator[Spec]:
    """Kills soon after the intent was durable: where the answer comes, is escrowed, committed and shown."""
    dice = random.Random(f"{seed} {service} {placement} near")
    for number in itertools.count() if has_intent(service) else ():
        instant = dice.uniform(0, EXCHANGE_SECONDS[service])
        yield Spec(number, service, placement, "near", "3", 1, instant)


def once_more(seed: int, service: str, placement: Placement) -> Iterator[Spec]:
    """A kill that leaves an intent, or an escrow, and another while the next start deals with it."""
    dice = random.Random(f"{seed} {service} {placement} again")
    for number in itertools.count() if has_intent(service) else ():
        mark, span = dice.choice((("3", BOOT_SECONDS + ACCESS_SECONDS), ("5", BOOT_SECONDS)))
        yield Spec(number, service, placement, "again", mark, 1, dice.uniform(0, span))


def over_span(seed: int, service: str, placement: Placement, span: float) -> Iterator[Spec]:
    """Kills uniformly over `span` seconds after the request for a refresh: what the peer is given too."""
    dice = random.Random(f"{seed} {service} {placement} {span}")
    for number in itertools.count():
        yield Spec(number, service, placement, "around", instant=dice.uniform(0, span))


def has_intent(service: str) -> bool:
    """Whether its exchange may spend something, and so has a point 3."""
    return "3" in marks(service)


def marks(service: str) -> Sequence[str]:
    """The points and durable marks that its exchange passes."""
    return MARKS_OF.get(service, MARKS)


def _drawn(dice: random.Random, number: int, service: str, placement: Placement) -> Spec:
    shares = SHARES_ON_DEMAND if service in ON_DEMAND else SHARES
    kind = dice.choices(tuple(shares), tuple(shares.values()))[0]
    settled = placement == "sealed" or dice.random() < 0.5
    before, after = (dice.uniform(0, HELD_SECONDS) for _ in range(2)) if kind == "held" else (0.0, 0.0)
    exchange = EXCHANGE_SECONDS[service]
    spans: dict[Kind, float] = {
        "around": exchange, "held": before + after + exchange, "cycle": float(ACCESS_SECONDS),
        "boot": BOOT_SECONDS + ACCESS_SECONDS,
    }  # fmt: skip
    return Spec(number, service, placement, kind, None, 1, dice.uniform(0, spans[kind]), before, after, settled)
