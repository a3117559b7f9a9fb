"""Which trials are to be done: a pure function of seed and counts, so that a run can be taken up again or repeated."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Final

from tests.crash.scene import Placement
from tests.crash.services import ACCESS_SECONDS
from tests.crash.trial import Kind, Spec

POINTS: Final = ("1", "2", "3", "4", "5", "6", "7", "8")
DURABLE: Final = ("intent-durable", "escrow-durable", "commit-durable")
"""Killed on the journal's own thread: on the disk already, and the exchange not told of it yet."""
FIRST: Final = dict.fromkeys((*POINTS, *DURABLE), 2) | {"commit-durable": 3}
"""Passages up to the quiet moment, and one: the first exchange passes each mark, and the import is a commit too."""
FIRST_ON_CODES: Final = dict.fromkeys((*POINTS, *DURABLE), 4) | {"commit-durable": 5, "7": 3}
"""The same for a broker: a code, a lease and a code before; and the first code makes no lease to be shown.  The next
passage is that of the code that follows the lease."""
FIRST_OF_OWN: Final = dict.fromkeys((*POINTS, *DURABLE), 2)
"""Of an account that signs in by itself: there is no import."""
FIRST_OF_ALL: Final = dict.fromkeys((*POINTS, *DURABLE), 1)
"""Of an enrolment: nothing came before."""
FIRST_OF_PAYLOAD: Final = dict.fromkeys(("1", "2", "4", "8", "commit-durable"), 2) | dict.fromkeys(
    ("3", "5", "6", "7", "intent-durable", "escrow-durable"), 1
)
"""A renewal that spends nothing came before."""
FIRST_OF_FREE: Final = dict.fromkeys(("1", "2", "4", "8"), 2)
"""What spends nothing has neither intent nor escrow, and its lease is written behind."""
FIRST_OF: Final[Mapping[str, Mapping[str, int]]] = {
    "futu-broker": FIRST_ON_CODES, "aun-create": FIRST_OF_ALL, "geniusauth": FIRST_OF_FREE,
    "geniusauth-login": FIRST_OF_ALL, "geniusauth-payload": FIRST_OF_PAYLOAD, "cloudbase-ticket": FIRST_OF_OWN,
}  # fmt: skip
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


def at_points(service: str, placement: Placement, rounds: int = 1) -> list[Spec]:
    """Every mark once per round, at a later passage each round."""
    first = _first(service)
    marks = [(mark, first[mark] + number) for number in range(rounds) for mark in first]
    return [Spec(number, service, placement, "point", mark, passage) for number, (mark, passage) in enumerate(marks)]


def at_random(count: int, seed: int, service: str, placement: Placement) -> list[Spec]:
    """Kills at instants drawn from the seed; the first ones are the same whatever the count."""
    dice = random.Random(f"{seed} {service} {placement}")
    return [_drawn(dice, number, service, placement) for number in range(count)]


def near(count: int, seed: int, service: str, placement: Placement) -> Iterator[Spec]:
    """Kills soon after the intent was durable: where the answer comes, is escrowed, committed and shown."""
    dice = random.Random(f"{seed} {service} {placement} near")
    for number in range(count if "3" in _first(service) else 0):
        instant = dice.uniform(0, EXCHANGE_SECONDS[service])
        yield Spec(number, service, placement, "near", "3", _first(service)["3"], instant)


def once_more(count: int, seed: int, service: str, placement: Placement) -> Iterator[Spec]:
    """A kill that leaves an intent, or an escrow, and another while the next start deals with it."""
    dice = random.Random(f"{seed} {service} {placement} again")
    for number in range(count if "3" in _first(service) else 0):
        mark, span = dice.choice((("3", BOOT_SECONDS + ACCESS_SECONDS), ("5", BOOT_SECONDS)))
        yield Spec(number, service, placement, "again", mark, _first(service)[mark], dice.uniform(0, span))


def over_span(count: int, seed: int, service: str, placement: Placement, span: float) -> Iterator[Spec]:
    """Kills uniformly over `span` seconds after the request for a refresh: what the peer is given too."""
    dice = random.Random(f"{seed} {service} {placement} {span}")
    for number in range(count):
        yield Spec(number, service, placement, "around", instant=dice.uniform(0, span))


def _first(service: str) -> Mapping[str, int]:
    return FIRST_OF.get(service, FIRST)


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
