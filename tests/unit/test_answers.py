"""What an exchange makes of an answer beside the grant: pace, what is dead, what is told of relatives."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from freshd.core.happenings import Committed, Doubted, Outdated, Refusal
from freshd.core.model import Change, Record, Secret
from freshd.core.outcome import Answered, Judged, Rejected, Remedy, Reply, Unreadable
from freshd.flight import Flight, dead
from tests.fakes.provider import REFRESH, enrolled, refusal, tokens
from tests.unit.test_exchange import Bench

ENROLMENT = {"candidate": "two", "material": {"code": Secret("code")}}


def reading(judged: Judged) -> Callable[..., Judged]:
    """A provider's `read` that always comes to that."""
    return lambda *_: judged


def wait_of(bench: Bench) -> float:
    return bench.pacer.wait("mail", bench.provider.paces("refresh"), bench.time.now())


def test_I6_an_answer_that_nobody_can_read_is_sat_out_as_long_as_it_asks() -> None:
    bench = Bench(Reply(503, (("retry-after", "50"),), b"<html>"))
    bench.provider.read = reading(Unreadable("busy", gateway=True, retry_after=50.0))  # type: ignore[method-assign]
    assert isinstance(bench.run(), Doubted)
    assert wait_of(bench) == 50.0


@pytest.mark.parametrize(
    ("said", "failures"),
    [
        (refusal("odd", Remedy.PERSON), 1),
        (refusal("stale", Remedy.REREAD), 1),
        (refusal("slow_down", Remedy.WAIT), 1),
        (refusal("invalid_grant", Remedy.PERSON), 0),
    ],
)
def test_I6_what_is_unknown_or_worth_another_try_is_asked_more_slowly(said: Reply, failures: int) -> None:
    bench = Bench(said)
    assert isinstance(bench.run(), Refusal)
    assert bench.vault.disk.rows["mail/refresh"].failures == failures


@pytest.mark.parametrize(
    ("code", "over", "names"),
    [("invalid_grant", {}, {"refresh_token"}), ("odd", {}, set()), ("invalid_grant", ENROLMENT, set())],
)
def test_I7_only_a_known_refusal_of_what_rests_here_declares_it_dead(
    code: str, over: dict[str, object], names: set[str]
) -> None:
    bench = Bench(refusal(code, Remedy.CLIMB))
    ending = bench.run(bench.order(**over))
    assert isinstance(ending, Refusal)
    assert ending.standing is not None
    assert ending.standing.dead.keys() == names


def test_I7_a_refusal_declares_nothing_of_a_relatives_dead() -> None:
    bench = Bench()
    order, rung = bench.order(), dataclasses.replace(REFRESH, needs=frozenset({"refresh_token", "head/ticket"}))
    flight = Flight(order, rung, (), Record("mail"), bench.exchange._intent(order, {}), bench.provider.binding)
    assert dead(flight, Rejected("invalid_grant", Remedy.CLIMB)) == {"refresh_token": "invalid_grant"}


def test_I1_an_order_for_another_lineage_is_outdated_though_the_generation_is_the_same() -> None:
    bench = Bench(tokens(2))
    assert isinstance(bench.run(bench.order(lineage="another")), Outdated)
    assert bench.provider.presented == []


def test_what_was_only_added_to_a_relative_is_told_as_that() -> None:
    bench = Bench(tokens(2))
    names = ("calendar", "contacts")
    bench.vault.disk.records |= {name: enrolled(name, bench.time.now()) for name in names}
    grants = [bench.vault.disk.records[name].grant for name in ("mail", *names)]
    changes = (Change("mail", grants[0]), Change("calendar", grants[1]), Change("contacts", grants[2], adds=True))
    bench.provider.read = reading(Answered(changes))  # type: ignore[method-assign]
    ending = bench.run()
    assert isinstance(ending, Committed)
    assert ending.others.keys() == set(names)
    assert ending.added == {"contacts"}
