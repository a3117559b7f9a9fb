"""What strace saw of real daemons: nothing leaves, and nothing is shown, before what it rests on is durable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

import pytest

from tests.crash import recording, sabotage, trace
from tests.crash.conftest import Sabotaged
from tests.crash.futu import FutuBroker, FutuPlatform
from tests.crash.history import History
from tests.crash.order import Order
from tests.crash.recording import Recorded
from tests.crash.services import Sandbox
from tests.host.keyring_bed import KeyringBed

pytestmark = [
    pytest.mark.part("strace"),
    pytest.mark.skipif(trace.WHY_NOT is not None, reason=trace.WHY_NOT or ""),
    pytest.mark.timeout(180),
]
FSYNCS: Final = 3
"""Of an exchange: intent, escrow, commit."""
LEFT: Final = "a request that spends leaves"
NOTICED: Final = {
    "off": LEFT,
    "normal": LEFT,
    "careless-intent": LEFT,
    "careless-escrow": "its commit was written before its escrow was durable",
    "careless-commit": "a token leaves",
    "late-intent": "no state of the journal knows of it",
    "no-escrow": "no state keeps the reply",
}
ONE_POINT: Final = ("careless-intent", "careless-escrow", "late-intent", "no-escrow")
"""These break nothing but what they are noticed by."""


def ordered(recorded: Recorded) -> Order:
    with recorded.examiner() as examiner:
        return Order(History(recorded.run, examiner), recorded.spends, examiner)


@pytest.fixture(scope="module")
def lived(lives: Recorded) -> Order:
    return ordered(lives)


def holds(order: Order, exchanges: int) -> None:
    assert not order.breaches
    assert len(order.exchanges) >= exchanges
    assert all(one.escrow is not None and one.commit is not None and one.replied for one in order.exchanges)


def test_I2_I4_from_the_first_start_over_a_kill_to_a_clean_stop(lived: Order) -> None:
    holds(lived, 6)
    assert all(one.spent for one in lived.exchanges)


def test_tokens_are_seen_leaving_to_readers_and_to_a_file(lived: Order) -> None:
    told = {one.what for one in lived.shown}
    assert {"a token leaves by sendto", "a token leaves by write"} <= told


def test_an_exchange_waits_for_three_fsyncs_and_the_first_of_a_log_for_two_more(lived: Order) -> None:
    counted = Counter(one.syncs for one in lived.exchanges)
    assert counted.keys() <= {FSYNCS, FSYNCS + 2}
    assert counted[FSYNCS + 2] <= 2


def test_an_enrolment_keeps_the_order(promising: Sandbox) -> None:
    holds(ordered(recording.enrolment(promising)), 1)


@pytest.mark.parametrize("family", [FutuPlatform, FutuBroker])
def test_a_family_keeps_the_order(family: Callable[[], Sandbox]) -> None:
    with family() as futu:
        holds(ordered(recording.exchanges(futu)), 3)


@pytest.mark.part("keyring")
def test_grants_that_rest_in_the_keyring_keep_the_order(promising: Sandbox) -> None:
    with KeyringBed() as bed:
        holds(ordered(recording.exchanges(promising, placement="keyring", keyring=bed)), 3)


@pytest.mark.parametrize("kind", NOTICED)
def test_a_vault_that_breaks_a_promise_is_noticed(sabotaged: Sabotaged, kind: str) -> None:
    breaches = ordered(sabotaged[kind].result()).breaches
    assert any(NOTICED[kind] in breach for breach in breaches), breaches
    if kind in ONE_POINT:
        assert all(NOTICED[kind] in breach for breach in breaches), breaches


def test_every_sabotage_is_tried() -> None:
    assert NOTICED.keys() == sabotage.KINDS.keys()
