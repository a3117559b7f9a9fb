"""Who may call when: one queue per shared key, no starvation, no crowd that asks again and again (I6)."""

from __future__ import annotations

import dataclasses
import heapq
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.core.model import Moment
from freshd.core.pace import Pace, Row
from freshd.pacer import Keys, Pacer

START = Moment(1e9, 1000.0, "boot-0")
HOST = Pace(interval=0.5)
OWN = Pace(interval=1.0)


def keys_of(account: str, host: Pace = HOST) -> Keys:
    return (("host", host), (f"account:{account}", OWN))


def at(boot: float) -> Moment:
    return dataclasses.replace(START, boot=boot)


class Crowd:
    """Accounts that ask, come back when they were told to, and call once."""

    def __init__(self, count: int, delays: list[float] | None = None) -> None:
        self.pacer = Pacer()
        self.asked = 0
        self.called: list[tuple[float, str]] = []
        delays = delays or [0.0]
        self.waiting = [(START.boot + delays[n % len(delays)], n, f"a{n}") for n in range(count)]

    def run(self) -> None:
        heapq.heapify(self.waiting)
        while self.waiting:
            boot, number, account = heapq.heappop(self.waiting)
            self.asked += 1
            wait = self.pacer.wait(account, keys_of(account), at(boot))
            if wait > 0:
                heapq.heappush(self.waiting, (boot + wait, number, account))
                continue
            assert self.pacer.wait(account, keys_of(account), at(boot)) == 0.0, "a turn is kept until it is charged"
            self.pacer.charge(account, keys_of(account), at(boot))
            self.called.append((boot, account))


def test_I6_a_thousand_accounts_due_at_once_leave_one_by_one_at_the_hosts_interval() -> None:
    crowd = Crowd(1000)
    crowd.run()
    times = [boot for boot, _ in crowd.called]
    assert len({account for _, account in crowd.called}) == 1000, "nobody starves"
    assert min(after - before for before, after in itertools.pairwise(times)) >= HOST.interval - 1e-6
    assert times[-1] - times[0] == pytest.approx(999 * HOST.interval, rel=0.01), "no slot is wasted"
    assert crowd.asked <= 4 * 1000, "nobody asks again and again"


@given(st.lists(st.floats(0.0, 5.0), min_size=1, max_size=9), st.integers(1, 60))
def test_I6_whoever_comes_in_between_waits_for_a_slot_of_its_own(delays: list[float], count: int) -> None:
    crowd = Crowd(count, delays)
    crowd.run()
    times = [boot for boot, _ in crowd.called]
    assert len(times) == count
    for before, after in itertools.pairwise(times):
        assert after - before >= HOST.interval - 1e-6


def test_a_slot_that_is_not_taken_up_is_given_away() -> None:
    pacer = Pacer()
    for account in ("first", "late"):
        pacer.wait(account, keys_of(account), START)
    pacer.charge("first", keys_of("first"), START)
    assert pacer.wait("other", keys_of("other"), at(START.boot + 100.0)) == 0.0
    pacer.charge("other", keys_of("other"), at(START.boot + 100.0))
    assert pacer.wait("late", keys_of("late"), at(START.boot + 100.0)) > 0.0


def test_I11_the_trouble_of_one_account_delays_no_other() -> None:
    pacer = Pacer()
    for _ in range(20):
        pacer.charge("bad", keys_of("bad"), START)
        pacer.failed("bad", keys_of("bad"), START, retry_after=3600.0)
    assert pacer.wait("bad", keys_of("bad"), at(START.boot + 10.0)) > 3000.0
    assert pacer.wait("good", keys_of("good"), at(START.boot + 10.0)) == 0.0


def test_what_the_journal_knows_never_replaces_what_was_charged_since() -> None:
    pacer = Pacer()
    pacer.charge("a", keys_of("a"), START)
    pacer.load({"account:a": Row(), "account:b": Row(last=START)})
    assert pacer.wait("a", keys_of("a"), START) > 0.0
    assert pacer.wait("b", keys_of("b"), START) > 0.0


def test_rows_to_be_written_are_those_that_were_touched() -> None:
    pacer = Pacer()
    assert set(pacer.charge("a", keys_of("a"), START)) == {"host", "account:a"}
    assert set(pacer.failed("a", keys_of("a"), START)) == {"account:a"}


def back_of(pacer: Pacer) -> list[str]:
    told: list[str] = []
    pacer.on_back = told.extend
    return told


def test_a_host_that_answers_one_account_is_back_for_the_others() -> None:
    pacer = Pacer()
    told = back_of(pacer)
    for name in ("a", "b"):
        for _ in range(9):
            pacer.charge(name, keys_of(name), START)
            pacer.failed(name, keys_of(name), START)
    assert pacer.wait("a", keys_of("a"), at(START.boot + 5.0)) > 100.0
    pacer.succeeded("b", keys_of("b"))
    assert told == ["a"]
    assert pacer.wait("a", keys_of("a"), at(START.boot + 5.0)) < 1.0


def test_a_retry_after_is_sat_out_even_when_the_host_answers_others() -> None:
    pacer = Pacer()
    told = back_of(pacer)
    pacer.charge("a", keys_of("a"), START)
    pacer.failed("a", keys_of("a"), START)
    pacer.failed("a", keys_of("a"), START, retry_after=600.0)
    pacer.succeeded("b", keys_of("b"))
    assert told == []
    assert pacer.wait("a", keys_of("a"), at(START.boot + 5.0)) > 500.0


def test_what_nobody_understood_is_not_taken_for_a_host_in_trouble() -> None:
    pacer = Pacer()
    told = back_of(pacer)
    pacer.failed("a", keys_of("a"), START, known=False)
    pacer.succeeded("b", keys_of("b"))
    assert told == []


def test_I6_whoever_has_called_queues_anew_behind_those_that_wait() -> None:
    pacer = Pacer()
    keys = {name: (("host", HOST), (f"account:{name}", Pace(interval=0.0))) for name in "abc"}
    assert [pacer.wait(name, keys[name], START) for name in "abc"] == [0.0, 0.5, 1.0]
    pacer.charge("a", keys["a"], START)
    assert pacer.wait("b", keys["b"], at(START.boot + 0.5)) == 0.0
    pacer.charge("b", keys["b"], at(START.boot + 0.5))
    assert pacer.wait("a", keys["a"], at(START.boot + 0.5)) == 1.0, "the slot before that is another's"
