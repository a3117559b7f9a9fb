"""outlets.mqtt: in order, bounded, once acknowledged; a broker that refuses, forgets, or never answers."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from freshd.core.catalogue import CATALOGUE
from freshd.core.events import Event, Severity
from freshd.errors import WireDown
from freshd.outlets.mqtt import GAP_SECONDS, LOOK_SECONDS, STRIKES_MOST, Counts, MqttOutlet
from freshd.outlets.refusals import QUIET_SECONDS
from tests.fakes.time import VirtualTime
from tests.unit.outlets.mqtt_bed import SETTINGS, STATUS, Accounts, Broker, World, events, health_of, settle


def numbers(broker: Broker) -> list[int]:
    return [one["seq"] for one in broker.told()]


# -- events ------------------------------------------------------------------------------------------------------------


def test_events_before_and_during_a_connection_arrive_in_order() -> None:
    world, broker = World(), Broker()

    async def work() -> None:
        world.say(3)
        async with world.connected(broker):
            world.say(3, "climb.started")
            await settle()

    world.live(work)
    assert broker.names == ["refresh.succeeded"] * 3 + ["climb.started"] * 3
    assert numbers(broker) == [1, 2, 3, 4, 5, 6]
    assert len({one["epoch"] for one in broker.told()}) == 1
    assert {(qos, retain) for topic, _, qos, retain in broker.published if topic.startswith(events(""))} == {(1, False)}
    assert world.outlet.counts == Counts(6, 0, 0, 0)


def test_an_event_is_dated_when_it_was_told() -> None:
    world, broker = World(), Broker()
    at = world.time.now().wall

    async def work() -> None:
        world.say()
        await asyncio.sleep(5000)
        async with world.connected(broker):
            pass

    world.live(work)
    assert broker.told()[0]["at"] == at


@pytest.mark.parametrize("level", ["debug", "info", "notice", "warning", "error"])
def test_events_below_the_level_are_not_sent(level: str) -> None:
    world, broker = World(replace(SETTINGS, level=level, ring=500)), Broker()  # type: ignore[arg-type] # one of them

    async def work() -> None:
        for name in CATALOGUE:
            world.tell(Event(name, "a"))
        async with world.connected(broker):
            pass

    world.live(work)
    loud = [name for name, entry in CATALOGUE.items() if entry.severity <= Severity[level.upper()]]
    assert broker.names == [name for name in loud if name != "outlet.dropped"]


def test_qos_0_is_qos_0() -> None:
    world, broker = World(replace(SETTINGS, qos=0)), Broker()

    async def work() -> None:
        world.say()
        async with world.connected(broker):
            pass

    world.live(work)
    assert {qos for _, _, qos, _ in broker.published} == {0}


def test_a_connection_that_ends_in_the_middle_brings_the_message_again_and_the_rest_after_it() -> None:
    world, first, second = World(), Broker(), Broker()

    async def work() -> None:
        async with world.connected(first) as task:
            first.lost = 1
            world.say(3)
            await settle()
            assert task.done()
            with pytest.raises(WireDown):
                task.result()
        world.say(2)
        async with world.connected(second):
            pass

    world.live(work)
    assert numbers(first) == [1]
    assert numbers(second) == [1, 2, 3, 4, 5]
    assert world.outlet.counts == Counts(5, 0, 0, 0)


def test_a_message_that_was_never_taken_is_sent_by_the_next_connection() -> None:
    world, first, second = World(), Broker(), Broker()

    async def work() -> None:
        async with world.connected(first):
            first.down = True
            world.say(2)
            await settle()
        async with world.connected(second):
            pass

    world.live(work)
    assert (numbers(first), numbers(second)) == ([], [1, 2])


def test_without_a_connection_the_oldest_make_room_and_the_gap_is_told_once_in_its_place() -> None:
    world, broker = World(replace(SETTINGS, ring=10)), Broker()

    async def work() -> None:
        world.say(25)
        assert world.outlet.counts == Counts(0, 15, 0, 10)
        assert world.heard() == []
        async with world.connected(broker):
            world.say()
            await settle()
        async with world.connected(broker):
            pass

    world.live(work)
    assert broker.names == ["outlet.dropped"] + ["refresh.succeeded"] * 11
    assert numbers(broker) == [15, *range(16, 27)]
    assert broker.told()[0]["fields"] == {"dropped": 15, "first_seq": 1, "last_seq": 15}
    assert world.heard() == ["outlet.dropped"]
    assert world.outlet.counts == Counts(11, 15, 0, 0)


def test_a_gap_is_told_the_log_even_where_the_broker_is_told_of_nothing_so_quiet() -> None:
    world, broker = World(replace(SETTINGS, ring=1, level="error")), Broker()

    async def work() -> None:
        world.say(2, "account.parked")
        async with world.connected(broker):
            pass

    world.live(work)
    assert broker.names == ["account.parked"]
    assert world.heard() == ["outlet.dropped"]


def test_a_burst_of_ten_thousand_is_bounded_and_nothing_is_lost_uncounted() -> None:
    world, broker = World(replace(SETTINGS, ring=1000)), Broker()

    async def work() -> None:
        async with world.connected(broker):
            world.say(10_000)
            assert world.outlet.counts.waiting <= 1001
            await settle()
            await asyncio.sleep(GAP_SECONDS)

    world.live(work)
    counts = world.outlet.counts
    assert counts.sent + counts.dropped == 10_000
    assert counts.waiting == 0
    told = sum(one["fields"]["dropped"] for one in broker.told("outlet.dropped"))
    assert told == counts.dropped
    seen = [one["seq"] for one in broker.told("refresh.succeeded")]
    assert seen == sorted(set(seen))


def test_of_a_broker_that_is_always_too_slow_the_log_hears_once_a_minute() -> None:
    world, broker = World(replace(SETTINGS, ring=5)), Broker(slow=1.0)

    async def work() -> None:
        async with world.connected(broker):
            for _ in range(600):
                world.say(3)
                await asyncio.sleep(1)
            broker.slow = 0.0
            await asyncio.sleep(2 * GAP_SECONDS)

    world.live(work)
    assert 8 <= len(world.heard()) <= 13
    told = sum(one["fields"]["dropped"] for one in broker.told("outlet.dropped"))
    assert told == world.outlet.counts.dropped > 1000


def test_I11_telling_never_waits_and_never_raises() -> None:
    world, broker = World(), Broker()

    class Broken(VirtualTime):
        def boot(self) -> float:
            raise RuntimeError("no clock")

    async def work() -> None:
        async with world.connected(broker):
            broker.mute = True
            world.say(50)
            await settle()
            world.say(200)
            assert world.outlet.counts == Counts(0, 149, 0, 101)

    world.live(work)
    assert world.outlet.counts == Counts(0, 150, 0, 100)
    outlet = MqttOutlet(SETTINGS, Accounts(), lambda _: None, Broken())
    outlet.tell(Event("refresh.succeeded", "a"))
    outlet.tell(Event("no.such.event", "a"))
    assert outlet.counts.waiting == 0


def test_a_connection_that_never_answers_can_be_left_and_nothing_is_lost_by_it() -> None:
    world, mute, second = World(), Broker(mute=True), Broker()

    async def work() -> None:
        world.say(3)
        async with world.connected(mute) as task:
            assert not task.done()
        assert task.cancelled()
        async with world.connected(second):
            second.mute = True
            world.say(3)
            await settle()
        async with world.connected(
            Broker(),
        ):
            pass

    world.live(work)
    assert numbers(second) == [1, 2, 3]
    assert world.outlet.counts == Counts(6, 0, 0, 0)


# -- what is retained --------------------------------------------------------------------------------------------------


def test_the_first_word_is_online_and_the_last_is_offline() -> None:
    world, broker = World(), Broker()
    assert world.outlet.will == (STATUS, b"offline")

    async def work() -> None:
        world.say(2)
        async with world.connected(broker):
            pass
        world.say(2)
        await world.outlet.farewell(broker)

    world.live(work)
    assert broker.published[0] == (STATUS, b"online", 1, True)
    assert broker.published[-1] == (STATUS, b"offline", 1, True)
    assert numbers(broker) == [1, 2, 3, 4]


def test_a_farewell_is_short_and_raises_nothing() -> None:
    world, broker = World(), Broker()

    async def work() -> None:
        async with world.connected(broker):
            pass
        world.say(50)
        broker.slow = 0.1
        await world.outlet.farewell(broker)
        assert broker.retained[STATUS] == b"offline"
        assert 0 < world.outlet.counts.waiting < 50
        for broken in (Broker(down=True), Broker(denied={"*"})):
            await world.outlet.farewell(broken)

    world.live(work)


def test_where_nobody_was_told_that_we_are_there_nobody_is_told_that_we_go() -> None:
    world, broker = World(), Broker()
    world.live(lambda: world.outlet.farewell(broker))
    assert broker.published == []


def test_health_is_retained_at_each_login_and_where_it_changed() -> None:
    world, first, second = World(), Broker(), Broker()
    world.accounts.known = {"a": health_of("a"), "b": health_of("b")}

    async def work() -> None:
        async with world.connected(first):
            assert len(first.retained) == 3
            said = len(first.published)
            world.tell(Event("refresh.succeeded", "a"))
            await settle()
            assert len(first.published) == said + 1
            world.accounts.known["a"] = health_of("a", phase="parked")
            world.tell(Event("account.parked", "a"))
            await settle()
            assert len(first.published) == said + 3
        async with world.connected(second):
            pass

    world.live(work)
    topic = "site/freshd/accounts/a/health"
    assert json.loads(first.retained[topic])["phase"] == "parked"
    assert second.retained[topic] == first.retained[topic]
    assert set(second.retained) == {STATUS, topic, "site/freshd/accounts/b/health"}


def test_an_event_too_quiet_to_be_sent_still_changes_what_is_retained() -> None:
    world, broker = World(replace(SETTINGS, level="error")), Broker()
    world.accounts.known = {"a": health_of("a")}

    async def work() -> None:
        async with world.connected(broker):
            world.accounts.known["a"] = health_of("a", generation=2)
            world.tell(Event("refresh.succeeded", "a"))
            await settle()

    world.live(work)
    assert json.loads(broker.retained["site/freshd/accounts/a/health"])["generation"] == 2
    assert broker.told() == []


@pytest.mark.parametrize("name", ["vault.unlocked", "config.reloaded"])
def test_what_is_about_nobody_in_particular_may_change_everybody(name: str) -> None:
    world, broker = World(), Broker()
    world.accounts.known = {"a": health_of("a", phase="locked")}

    async def work() -> None:
        async with world.connected(broker):
            world.accounts.known = {"a": health_of("a"), "new": health_of("new")}
            world.tell(Event(name))
            await settle()

    world.live(work)
    assert json.loads(broker.retained["site/freshd/accounts/a/health"])["phase"] == "live"
    assert "site/freshd/accounts/new/health" in broker.retained


def test_who_reads_leases_is_no_change() -> None:
    world, broker = World(), Broker()
    world.accounts.known = {"a": health_of("a")}

    async def work() -> None:
        async with world.connected(broker):
            said = len(broker.published)
            world.accounts.known["a"] = health_of("a", generation=2)
            world.tell(Event("access.denied", "made up by a caller"))
            world.tell(Event("access.granted", "a"))
            await settle()
            assert len(broker.published) == said + 2

    world.live(work)


@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize("event", ["account.retired", "account.forgotten"])
def test_an_account_that_went_is_taken_away(event: str, online: bool) -> None:
    world, broker = World(), Broker()
    world.accounts.known = {"a": health_of("a"), "b": health_of("b")}

    def go() -> None:
        if event == "account.retired":
            world.accounts.known["a"] = health_of("a", retired=True)
        else:
            del world.accounts.known["a"]
        world.tell(Event(event, "a"))

    async def work() -> None:
        async with world.connected(broker):
            if online:
                go()
                await settle()
        if not online:
            go()
            async with world.connected(broker):
                pass

    world.live(work)
    assert set(broker.retained) == {STATUS, "site/freshd/accounts/b/health"}


def test_health_that_was_not_acknowledged_is_said_again() -> None:
    world, first, second = World(), Broker(), Broker()
    world.accounts.known = {"a": health_of("a")}

    async def work() -> None:
        async with world.connected(first):
            first.down = True
            world.accounts.known["a"] = health_of("a", generation=2)
            world.tell(Event("access.granted", "b"))
            world.tell(Event("refresh.succeeded", "a"))
            await settle()
        async with world.connected(second):
            pass

    world.live(work)
    assert json.loads(second.retained["site/freshd/accounts/a/health"])["generation"] == 2


def test_a_thousand_accounts_do_not_hold_events_up() -> None:
    world, broker = World(), Broker(slow=0.01)
    world.accounts.known = {f"a{number}": health_of(f"a{number}") for number in range(1000)}

    async def work() -> None:
        async with world.connected(broker):
            world.say(1, account=None)
            await settle()
            assert broker.names == ["refresh.succeeded"]
            assert len(broker.retained) < 1000
            await asyncio.sleep(60)
            assert len(broker.retained) == 1001

    world.live(work)


# -- a broker that hangs up --------------------------------------------------------------------------------------------


async def meets(world: World, broker: Broker, times: int) -> None:
    """So many connections, each for as long as it is up."""
    for _ in range(times):
        broker.down = False
        async with world.connected(broker):
            await settle()


def test_an_event_that_ends_one_connection_after_the_other_is_given_up_and_told() -> None:
    world, broker = World(), Broker(hates={events("climb.started")})

    async def work() -> None:
        world.say(1, "climb.started")
        world.say(2)
        await meets(world, broker, STRIKES_MOST - 1)
        assert world.outlet.counts == Counts(0, 0, 0, 3)
        await meets(world, broker, 2)

    world.live(work)
    assert broker.names == ["outlet.dropped", "refresh.succeeded", "refresh.succeeded"]
    assert world.outlet.counts == Counts(2, 1, 0, 0)
    dropped = next(event for event in world.events if event.name == "outlet.dropped")
    assert dict(dropped.fields) == {"dropped": 1, "first_seq": 1, "last_seq": 1}


def test_an_event_is_given_up_also_where_another_finds_first_that_the_connection_has_ended() -> None:
    world = World()

    async def work() -> None:
        world.say(1, "climb.started")
        for number in range(STRIKES_MOST):
            broker = Broker(slow=0.6)
            async with world.connected(broker):
                assert broker.names == []
                assert world.outlet.counts == Counts(0, 0, 0, 1), number
        assert world.outlet.counts == Counts(0, 1, 0, 0)

    world.live(work)


def test_only_the_same_event_again_and_again_is_given_up() -> None:
    world, broker = World(), Broker()

    async def work() -> None:
        world.say(1, "climb.started")
        world.say(1)
        for name in ("climb.started", "refresh.succeeded"):
            broker.hates = {events(name)}
            await meets(world, broker, STRIKES_MOST - 1)
        broker.hates = set()
        await meets(world, broker, 1)

    world.live(work)
    assert broker.names == ["climb.started", "refresh.succeeded"]
    assert world.outlet.counts == Counts(2, 0, 0, 0)


def test_connections_that_are_closed_on_purpose_or_carry_nothing_are_no_events_fault() -> None:
    world = World()

    async def work() -> None:
        world.say(1)
        for _ in range(2 * STRIKES_MOST):
            broker = Broker(slow=0.6)
            async with world.connected(broker):
                assert broker.names == []
            broker.mute = True
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(10):
                    await world.outlet.farewell(broker)
        await meets(world, Broker(mute=True), 2 * STRIKES_MOST)
        assert world.outlet.counts == Counts(0, 0, 0, 1)
        await meets(world, (broker := Broker()), 1)
        assert broker.names == ["refresh.succeeded"]

    world.live(work)


# -- a broker that refuses ---------------------------------------------------------------------------------------------


def test_what_is_refused_is_counted_told_once_and_holds_nothing_up() -> None:
    world, broker = World(), Broker(denied={events("climb.started")})

    async def work() -> None:
        async with world.connected(broker):
            for _ in range(5):
                world.say(1, "climb.started")
                world.say(1)
            await settle()
            assert world.heard() == ["outlet.refused"]
            broker.denied.clear()
            world.say(1, "climb.started")
            await settle()

    world.live(work)
    assert world.heard() == ["outlet.refused", "outlet.accepted"]
    assert world.outlet.counts == Counts(8, 0, 5, 0)
    refused = next(event for event in world.events if event.name == "outlet.refused")
    assert refused.fields["topic"] == events("climb.started")
    assert refused.remedy == "let it"
    assert sorted(set(broker.names)) == ["climb.started", "outlet.accepted", "outlet.refused", "refresh.succeeded"]


def test_a_broker_that_refuses_everything_gets_no_more_than_there_is_to_say() -> None:
    world, broker = World(), Broker(denied={"*"})
    world.accounts.known = {"a": health_of("a")}

    async def work() -> None:
        for _ in range(3):
            async with world.connected(broker):
                world.say(10)
                await settle()
        assert world.heard() == ["outlet.refused"]
        assert world.outlet.counts == Counts(0, 0, 31, 0)
        broker.denied.clear()
        async with world.connected(broker):
            world.say(1)
            world.say(1, "climb.started")
            await asyncio.sleep(QUIET_SECONDS + LOOK_SECONDS)

    world.live(work)
    assert world.heard() == ["outlet.refused", "outlet.accepted"]
    assert broker.names.count("outlet.accepted") == 1


def test_the_outlets_own_events_do_not_feed_back() -> None:
    world, broker = (
        World(),
        Broker(denied={events("outlet.refused"), events("outlet.accepted"), events("climb.started")}),
    )

    async def work() -> None:
        async with world.connected(broker):
            world.say(1, "climb.started")
            await settle()
            broker.denied.discard(events("climb.started"))
            world.say(1, "climb.started")
            await asyncio.sleep(100 * QUIET_SECONDS)

    world.live(work)
    assert world.heard() == ["outlet.refused", "outlet.accepted"]
    assert world.outlet.counts.refused == 3


def test_what_a_broker_throws_away_is_found_once_per_connection() -> None:
    world, broker = World(), Broker(deaf=True)

    async def work() -> None:
        async with world.connected(broker):
            world.say(3)
            await settle()
        assert broker.heard == 1
        assert world.heard() == ["outlet.refused"]
        broker.deaf = None
        async with world.connected(broker):
            pass
        assert world.heard() == ["outlet.refused"]
        broker.deaf = False
        async with world.connected(broker):
            pass

    world.live(work)
    assert broker.heard == 3
    assert world.heard() == ["outlet.refused", "outlet.accepted"]
    assert numbers(broker)[:3] == [1, 2, 3]


def test_retained_topics_that_were_refused_are_tried_again_now_and_then() -> None:
    topic = "site/freshd/accounts/a/health"
    world, broker = World(), Broker(denied={STATUS, topic})
    world.accounts.known = {"a": health_of("a")}

    async def work() -> None:
        async with world.connected(broker):
            assert broker.retained == {}
            broker.denied.clear()
            await asyncio.sleep(LOOK_SECONDS)

    world.live(work)
    assert set(broker.retained) == {STATUS, topic}
    assert world.heard() == ["outlet.refused", "outlet.accepted"]


# -- another configuration ---------------------------------------------------------------------------------------------


def test_another_prefix_takes_the_old_one_away() -> None:
    world, broker = World(), Broker()
    world.accounts.known = {"a": health_of("a")}

    async def work() -> None:
        async with world.connected(broker):
            pass
        world.outlet.configure(replace(SETTINGS, prefix="other"))
        await world.outlet.farewell(broker)

    world.live(work)
    assert broker.retained == {}
    assert world.outlet.will == ("other/status", b"offline")


def test_without_a_configuration_nothing_is_taken_and_nothing_is_left() -> None:
    world, broker = World(), Broker()
    world.accounts.known = {"a": health_of("a")}

    async def work() -> None:
        async with world.connected(broker):
            world.outlet.configure(None)
            world.say(3)
            await settle()
            assert broker.retained == {}
            assert world.outlet.will is None
            world.outlet.configure(SETTINGS)
            world.say(1)
            await settle()

    world.live(work)
    assert numbers(broker) == [1]
    assert set(broker.retained) == {STATUS, "site/freshd/accounts/a/health"}


def test_a_smaller_ring_takes_effect_at_once() -> None:
    world = World()
    world.say(50)
    world.outlet.configure(replace(SETTINGS, ring=5))
    assert world.outlet.counts == Counts(0, 45, 0, 5)


def test_trouble_with_a_broker_that_is_not_used_any_more_is_over() -> None:
    world, broker = World(), Broker(denied={"*"})

    async def work() -> None:
        async with world.connected(broker):
            pass
        world.outlet.configure(None)

    world.live(work)
    assert world.heard() == ["outlet.refused", "outlet.accepted"]
