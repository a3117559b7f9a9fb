"""The eight points, in their order, and what each failure between two of them leaves behind."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from freshd.core.happenings import Broke, Committed, Doubted, Ending, Held, Outdated, Refusal, Unable, Unsent
from freshd.core.model import Earlier, Intent, Moment, Record, Secret
from freshd.core.outcome import Lost, NotSent, Performed, Remedy, Reply
from freshd.core.pace import Pace
from freshd.errors import FreshdError, StoreError, VaultLocked
from freshd.exchange import Exchange
from freshd.flight import DEADLINE_SECONDS, Order
from freshd.pacer import Pacer
from tests.fakes.provider import ISSUE, REFRESH, FakeProvider, Said, enrolled, refusal, reply, tokens
from tests.fakes.time import VirtualTime, run
from tests.fakes.vault import FULL, FakeVault

GARBAGE = Reply(200, (), b"<html>", complete=True)


class Bench:
    """One exchange with everything around it made of memory."""

    def __init__(self, *script: Said, **options: Any) -> None:
        self.time = VirtualTime()
        self.vault = FakeVault(wall=lambda: self.time.now().wall)
        self.vault.disk.records["mail"] = enrolled("mail", self.time.now())
        self.provider = FakeProvider("mail", *script, log=self.vault.log, **options)
        self.pacer = Pacer()
        self.points: list[int] = []
        self.rescued: list[str] = []
        self.exchange = Exchange(self.vault, self.pacer, self.time, self.points.append)

    def order(self, **over: Any) -> Order:
        return dataclasses.replace(Order("f1", 1, "mail", "refresh", 1, "one"), **over)

    async def rescue(self, error: FreshdError) -> None:
        self.rescued.append(error.type)
        await asyncio.sleep(1.0)
        self.vault.broken.clear()

    def run(self, order: Order | None = None) -> Ending:
        return run(self.time, self.exchange.run(order or self.order(), self.provider, self.rescue))

    def finish(self) -> Ending:
        return run(self.time, self.exchange.finish(1, "mail", self.provider, self.rescue))

    @property
    def intent(self) -> Intent | None:
        return self.vault.disk.intents.get("mail", (None, None))[0]

    def doubt(self, replays: int = 0) -> None:
        """An earlier call whose answer was lost."""
        sent = self.time.now()
        self.vault.disk.intents["mail"] = (Intent("f0", "mail", "refresh", "one", 1, sent, replays=replays), None)
        self.time.mono += 10.0


def test_I2_I3_I4_the_points_come_in_their_order() -> None:
    bench = Bench(tokens(2))
    ending = bench.run()
    assert bench.vault.log == ["prepare", "intend", "perform", "escrow", "judge", "commit"]
    assert bench.points == [1, 2, 3, 4, 5, 6]
    assert isinstance(ending, Committed)
    assert ending.standing == bench.vault.standing("mail")
    assert (ending.standing.generation, bench.intent) == (2, None)


def test_I6_the_charge_is_durable_with_the_intent_and_before_the_call() -> None:
    rows: list[object] = []

    async def look(_record: Record, intent: Intent) -> Performed:
        row = bench.vault.disk.rows["mail/refresh"]
        rows.append(row.last == intent.sent)
        return tokens(2)

    bench = Bench(look)
    bench.run()
    assert rows == [True]


@pytest.mark.parametrize("error", [FULL, VaultLocked("locked", "unlock"), StoreError("read back differs", "look")])
def test_I2_without_a_durable_intent_nothing_is_sent(error: FreshdError) -> None:
    bench = Bench(tokens(2))
    bench.vault.fail["intend"] = [error]
    ending = bench.run()
    assert isinstance(ending, Unable)
    assert ending.type == error.type
    assert bench.provider.presented == []
    assert isinstance(bench.run(), Held), "the charge stands in memory: the careful side"


@pytest.mark.parametrize("point", ["escrow", "commit"])
def test_I3_I4_a_write_that_fails_behind_the_call_is_tried_until_it_is_durable(point: str) -> None:
    bench = Bench(tokens(2))
    bench.vault.fail[point] = [FULL, FULL, FULL]
    ending = bench.run()
    assert bench.rescued == ["store"] * 3
    assert isinstance(ending, Committed)
    assert len(bench.provider.presented) == 1


@pytest.mark.parametrize("point", ["escrow", "commit", "doubt", "close"])
def test_I3_a_bug_of_the_store_does_not_drop_an_answer_in_hand(point: str) -> None:
    script: dict[str, Said] = {"doubt": Lost("gone"), "close": refusal("invalid_grant", Remedy.CLIMB)}
    bench = Bench(script.get(point, tokens(2)))
    bench.vault.fail[point] = [KeyError("bug")]
    ending = bench.run()
    assert bench.rescued == ["store"]
    assert isinstance(ending, Committed | Doubted | Refusal)


def test_a_stale_writer_loses_and_its_answer_is_kept_aside() -> None:
    async def enrolled_meanwhile(_record: Record, _intent: Intent) -> Performed:
        record = bench.vault.disk.records["mail"]
        bench.vault.disk.records["mail"] = dataclasses.replace(record, generation=7)
        return tokens(2)

    bench = Bench(enrolled_meanwhile)
    ending = bench.run()
    assert isinstance(ending, Outdated)
    assert ending.standing.generation == 7
    assert bench.vault.disk.intents["mail"][1] == tokens(2), "the reply stays in escrow"


def test_a_record_that_changed_before_the_intent_stops_the_flight() -> None:
    bench = Bench(tokens(2))
    ending = bench.run(bench.order(generation=0))
    assert isinstance(ending, Outdated)
    assert bench.vault.log == []


@pytest.mark.parametrize("bug", [RuntimeError("x"), asyncio.CancelledError(), TimeoutError()])
def test_an_exception_in_the_call_is_a_doubt(bug: BaseException) -> None:
    bench = Bench(bug)
    ending = bench.run()
    assert isinstance(ending, Doubted)
    assert bench.intent is not None


def test_a_call_that_hangs_is_a_doubt_at_the_deadline() -> None:
    async def hang(_record: Record, _intent: Intent) -> Performed:
        await asyncio.sleep(1e6)
        return tokens(2)

    bench = Bench(hang)
    assert isinstance(bench.run(), Doubted)
    assert bench.time.true == pytest.approx(DEADLINE_SECONDS)


def test_preparations_that_hang_end_and_nothing_is_sent() -> None:
    bench = Bench(tokens(2))
    bench.provider.preparing = lambda: asyncio.sleep(1e6)
    assert isinstance(bench.run(), Unable)
    assert bench.intent is None


def test_I3_a_reader_that_raises_keeps_the_reply_in_escrow() -> None:
    bench = Bench(tokens(2))
    bench.provider.reading = KeyError("bug")
    assert isinstance(bench.run(), Doubted)
    assert bench.vault.disk.intents["mail"][1] == tokens(2)
    bench.provider.reading = None
    ending = bench.finish()
    assert isinstance(ending, Committed), "and a later version reads it"
    assert bench.vault.log[-1] == "commit"


@pytest.mark.parametrize("said", [GARBAGE, dataclasses.replace(tokens(2), complete=False), reply(502, access="x")])
def test_I3_an_unreadable_reply_acts_as_lost_and_keeps_its_escrow(said: Reply) -> None:
    bench = Bench(said)
    assert isinstance(bench.run(), Doubted)
    assert bench.vault.disk.intents["mail"][1] == said


def test_finishing_offline_sends_nothing() -> None:
    bench = Bench()
    intent = Intent("f0", "mail", "refresh", "one", 1, bench.time.now())
    bench.vault.disk.intents["mail"] = (intent, tokens(2))
    ending = bench.finish()
    assert isinstance(ending, Committed)
    assert bench.provider.presented == []
    assert ending.standing.generation == 2


def test_what_never_left_clears_its_intent() -> None:
    bench = Bench(NotSent("no route"))
    assert isinstance(bench.run(), Unsent)
    assert bench.intent is None


def test_I5_a_replay_is_counted_durably_before_it_leaves() -> None:
    counted: list[int] = []

    async def look(_record: Record, _intent: Intent) -> Performed:
        assert bench.intent is not None
        counted.append(bench.intent.replays)
        return Lost("gone")

    bench = Bench(look)
    bench.doubt()
    first = bench.time.now()
    ending = bench.run(bench.order(replays=1, doubted=first))
    assert counted == [1]
    assert isinstance(ending, Doubted)
    assert (ending.sent, ending.replays) == (first, 1), "a grace period counts from the first call"


@pytest.mark.parametrize(
    "said",
    [
        NotSent("no route"),
        refusal("slow_down", Remedy.WAIT),
        refusal("invalid_client", Remedy.CONFIG),
        refusal("odd", Remedy.WAIT),
        refusal("stale", Remedy.REREAD),
    ],
)
def test_I5_a_replay_that_was_not_judged_keeps_the_doubt_and_does_not_count(said: Performed) -> None:
    bench = Bench(said)
    bench.doubt(replays=1)
    first = bench.time.now()
    ending = bench.run(bench.order(replays=2, doubted=first))
    assert isinstance(ending, Unsent | Refusal)
    assert bench.intent is not None
    assert (bench.intent.replays, bench.intent.doubted) == (1, first)


@pytest.mark.parametrize("remedy", [Remedy.CLIMB, Remedy.RESET, Remedy.PERSON])
def test_a_replay_that_was_judged_settles_the_doubt(remedy: Remedy) -> None:
    bench = Bench(refusal("invalid_grant", remedy))
    bench.doubt()
    ending = bench.run(bench.order(replays=1))
    assert isinstance(ending, Refusal)
    assert ending.standing is not None
    assert bench.intent is None


@pytest.mark.parametrize(
    "said",
    [NotSent("no route"), refusal("access_denied", Remedy.PERSON), refusal("authorization_pending", Remedy.WAIT)],
)
def test_I5_an_enrolment_that_fails_puts_the_doubt_back_that_it_was_made_over(said: Performed) -> None:
    bench = Bench(said, ladder=(REFRESH, dataclasses.replace(REFRESH, name="authorize", needs=frozenset())))
    bench.doubt(replays=1)
    old = Earlier("refresh", Moment(1.0, 1.0, "boot-0"), 1)
    order = bench.order(rung="authorize", candidate="two", material={"code": Secret("code")}, earlier=(old,))
    bench.run(order)
    assert bench.intent is not None
    assert (bench.intent.rung, bench.intent.sent, bench.intent.replays) == ("refresh", old.sent, 1)
    assert (bench.intent.candidate, bench.intent.material, bench.intent.lineage) == (None, {}, "one")


def test_an_enrolment_by_somebody_else_is_set_aside_and_the_doubt_stays() -> None:
    bench = Bench(reply(access="at-9", expires_in=60.0, refresh="rt-9", stranger="another subject"))
    bench.doubt()
    old = Earlier("refresh", Moment(1.0, 1.0, "boot-0"), 0)
    ending = bench.run(bench.order(candidate="two", earlier=(old,)))
    assert isinstance(ending, Committed)
    assert ending.standing.withheld
    assert (ending.standing.generation, ending.standing.lineage) == (1, "one")
    assert bench.intent is not None
    assert bench.intent.rung == "refresh"


def test_I6_the_pace_is_asked_again_after_waiting_for_what_is_free() -> None:
    """Two families pass point 1 at once, the first prepares for long: they must not leave together."""
    host = Pace(interval=10.0)
    bench = Bench(tokens(2), host=host)
    bench.vault.disk.records["calendar"] = enrolled("calendar", bench.time.now())
    other = FakeProvider("calendar", tokens(2), host=host)

    async def later() -> None:
        await asyncio.sleep(5.0)
        order = bench.order(account="calendar", flight="f2")
        held = await bench.exchange.run(order, other, bench.rescue)
        assert isinstance(held, Held)
        await asyncio.sleep(held.wait)
        assert isinstance(await bench.exchange.run(order, other, bench.rescue), Committed)

    async def both() -> tuple[Ending, None]:
        bench.provider.preparing = lambda: asyncio.sleep(12.0)
        return await asyncio.gather(bench.exchange.run(bench.order(), bench.provider, bench.rescue), later())

    first, _ = run(bench.time, both())
    assert isinstance(first, Held)
    assert bench.provider.presented == []


def test_I5_a_replay_that_would_leave_after_its_grace_period_does_not_leave() -> None:
    bench = Bench(tokens(2))
    bench.doubt()
    bench.provider.preparing = lambda: asyncio.sleep(20.0)
    ending = bench.run(bench.order(replays=1, before=bench.time.boot() + 15.0))
    assert ending == Held(1, 0.0)
    assert bench.intent is not None
    assert bench.intent.replays == 0


def test_I5_a_replay_whose_intent_took_too_long_does_not_leave_and_does_not_count() -> None:
    bench = Bench(tokens(2))
    bench.doubt()

    async def work() -> Ending:
        moves = asyncio.Event()
        bench.vault.stalls["intend"] = moves
        asyncio.get_running_loop().call_later(20.0, moves.set)
        order = bench.order(replays=1, before=bench.time.boot() + 15.0)
        return await bench.exchange.run(order, bench.provider, bench.rescue)

    assert isinstance(run(bench.time, work()), Unsent)
    assert bench.provider.presented == []
    assert bench.intent is not None
    assert bench.intent.replays == 0


@pytest.mark.parametrize("remedy", Remedy)
def test_I7_a_refusal_forgets_no_secret_that_it_does_not_name(remedy: Remedy) -> None:
    bench = Bench(refusal("no", remedy))
    bench.run()
    grant = bench.vault.disk.records["mail"].grant
    assert grant is not None
    assert set(grant.secrets) == {"refresh_token"}


def test_I10_what_a_bug_says_is_told_to_nobody() -> None:
    async def say(_record: Record, _intent: Intent) -> Performed:
        raise RuntimeError("canary-text")

    assert "canary" not in repr(Bench(say).run())


def test_I5_a_bug_behind_the_intent_is_a_doubt_never_a_retry() -> None:
    bench = Bench(tokens(2))
    bench.vault.fail["escrow"] = [FULL]

    async def fall(_error: FreshdError) -> None:
        raise RuntimeError

    ending = run(bench.time, bench.exchange.run(bench.order(), bench.provider, fall))
    assert isinstance(ending, Doubted)
    assert bench.intent is not None


def test_I6_calls_whose_intents_became_durable_together_do_not_leave_together() -> None:
    """A disk stood still while three were charged; the service counts arrivals, not charges."""
    host = Pace(interval=2.0)
    bench = Bench(host=host)
    left: list[float] = []

    async def note(_record: Record, _intent: Intent) -> Performed:
        left.append(bench.time.boot())
        return Lost("gone")

    async def fly(number: int) -> None:
        account = f"a{number}"
        bench.vault.disk.records[account] = enrolled(account, bench.time.now())
        provider = FakeProvider(account, note, host=host)
        await asyncio.sleep(number * 2.0)
        await bench.exchange.run(bench.order(account=account, flight=account), provider, bench.rescue)

    async def work() -> None:
        moves = asyncio.Event()
        bench.vault.stalls["intend"] = moves
        asyncio.get_running_loop().call_later(30.0, moves.set)
        await asyncio.gather(*(fly(number) for number in range(3)))

    run(bench.time, work())
    assert min(after - before for before, after in itertools.pairwise(sorted(left))) >= 2.0 - 1e-6


def test_a_rung_that_spends_nothing_skips_intent_and_escrow_but_not_the_charge() -> None:
    bench = Bench(tokens(2), ladder=(ISSUE,))
    ending = bench.run(bench.order(rung="issue"))
    assert isinstance(ending, Committed)
    assert bench.vault.log == ["prepare", "note", "perform", "judge", "write_behind"]


def test_a_lost_answer_of_a_rung_that_spends_nothing_is_no_doubt() -> None:
    bench = Bench(Lost("gone"), ladder=(ISSUE,))
    assert isinstance(bench.run(bench.order(rung="issue")), Unsent)


def test_bugs_before_the_intent_send_nothing_and_an_unknown_rung_is_one() -> None:
    bench = Bench(tokens(2))

    async def fall_over() -> None:
        raise KeyError("bug")

    bench.provider.preparing = fall_over
    assert bench.run() == Broke(1, "KeyError")
    assert bench.run(bench.order(rung="other")) == Broke(1, "UnknownRung")
    assert bench.provider.presented == []


def test_I3_a_flight_that_is_cut_off_behind_point_5_is_finished_at_the_next_start() -> None:
    bench = Bench(tokens(2))
    bench.vault.broken["commit"] = FULL

    async def cut(work: Coroutine[Any, Any, Ending]) -> None:
        task = asyncio.ensure_future(work)
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled(), "a real cancellation is not turned into an outcome"

    run(bench.time, cut(bench.exchange.run(bench.order(), bench.provider, bench.rescue)))
    bench.vault.broken.clear()
    assert isinstance(bench.finish(), Committed)


def test_no_ending_is_lost_whatever_one_call_of_the_vault_does() -> None:
    """Each call of the vault fails once with each kind of error: there is always an ending, never an exception."""
    errors: list[Callable[[], Exception]] = [
        lambda: FULL,
        lambda: VaultLocked("locked", "unlock"),
        lambda: KeyError("x"),
    ]
    script: list[Said] = [tokens(2), Lost("x"), NotSent("x"), GARBAGE, refusal("no", Remedy.PERSON)]
    for said in script:
        for name in ("read", "intend", "escrow", "commit", "close", "doubt"):
            for error in errors:
                bench = Bench(said)
                bench.vault.fail[name] = [error()]
                ending = bench.run()
                presented = len(bench.provider.presented)
                assert presented == (0 if isinstance(ending, Unable | Broke) else 1)
