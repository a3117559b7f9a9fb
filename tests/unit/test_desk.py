"""What the socket asks of the engine: readers' questions, and every verb of an operator, on virtual time."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from freshd.core.contract import Contract, Kills
from freshd.core.model import Binding, Record, Secret
from freshd.core.outcome import Lost, NotSent, Remedy
from freshd.core.state import Phase
from freshd.enrolment import MAX_SESSIONS
from freshd.errors import FreshdError, KeyringUnavailable, NotPossible, VaultLocked
from freshd.ports import Asked
from freshd.tokens import Published, Shortfall
from freshd.turn import STEP_WAIT_SECONDS
from tests.fakes.house import House, only, slowly
from tests.fakes.provider import ISSUE, FakeProvider, enrolled, refusal, reply, tokens
from tests.fakes.time import VirtualTime
from tests.fakes.vault import FULL, Disk

HOUR = 3600.0
OLD = "the journal is older than its anchor"
ELSEWHERE = Binding("oauth2", "https://another.example", "client")


class Person(FakeProvider):
    """A service with enrolments: `asked` is what a person is told to do."""

    asked = Asked("https://service.example/consent", {"expected_state": Secret("s1")}, interval=5.0, expires_in=600.0)
    revoking: FreshdError | None = None

    async def ask(self, flow: str, redirect_uri: str | None, record: Record, *, consent: bool = False) -> Asked:
        self.log.append(f"ask {flow} {redirect_uri}")
        return self.asked

    async def revoke(self, record: object) -> str:
        self.log.append("revoke")
        if self.revoking is not None:
            raise self.revoking
        return "revoked at the service"


DEVICE = Asked("https://service.example/device", {"device_code": Secret("d1")}, "ABCD", 5.0, 600.0, "device")


def home(*script: object, valid_for: float = HOUR, fresh: bool = False, **options: object) -> House:
    """One account; `fresh`: never enrolled."""
    time = VirtualTime()
    disk = Disk() if fresh else only("mail", time, valid_for)
    return House(Person("mail", *script, **options), disk=disk, time=time)  # type: ignore[arg-type]


def person(house: House) -> Person:
    provider = house.providers["mail"]
    assert isinstance(provider, Person)
    return provider


async def refusal_of(house: House, verb: str, account: str = "mail", /, **args: object) -> FreshdError:
    with pytest.raises(FreshdError) as met:
        await house.desk.operate(verb, account, args)
    assert met.value.remedy
    return met.value


# -- demands ----------------------------------------------------------------------------------------------------------


def test_a_lease_that_lives_long_enough_is_given_at_once() -> None:
    house = home()

    async def work() -> None:
        found = await house.desk.demand("mail", 60.0, 0.0)
        assert isinstance(found, Published)
        assert found is house.desk.lease("mail")

    house.live(work)
    assert person(house).log == []


def test_readers_who_ask_together_join_one_call_and_get_the_same_lease() -> None:
    house = home(slowly(tokens(2)), valid_for=1.0)

    async def work() -> None:
        await asyncio.sleep(0.7)
        found = await asyncio.gather(*(house.desk.demand("mail", 0.4, 30.0) for _ in range(20)))
        assert len({id(one) for one in found}) == 1

    house.live(work)
    assert len(person(house).presented) == 1


def test_a_reader_waits_no_longer_than_it_said_and_the_call_goes_on() -> None:
    house = home(slowly(tokens(2), 20.0), valid_for=100.0)

    async def work() -> None:
        await house.until(Phase.SPENDING)
        began = house.time.boot()
        short = await house.desk.demand("mail", 45.0, 3.0)
        assert isinstance(short, Shortfall)
        assert (short.kind, short.status, short.retry_after) == ("not-yet", 504, 1.0)
        assert house.time.boot() - began == pytest.approx(3.0)
        await house.landed()
        assert isinstance(await house.desk.demand("mail", 45.0, 0.0), Published)

    house.live(work)


def test_I11_readers_that_go_away_cancel_no_call_and_hold_up_nobody() -> None:
    house = home(slowly(tokens(2), 20.0), valid_for=1.0)

    async def work() -> None:
        await asyncio.sleep(1.5)
        gone = [asyncio.ensure_future(house.desk.demand("mail", 0.4, 60.0)) for _ in range(5)]
        stays = asyncio.ensure_future(house.desk.demand("mail", 0.4, 60.0))
        await asyncio.sleep(1.0)
        for one in gone:
            one.cancel()
        assert isinstance(await stays, Published)

    house.live(work)
    assert len(person(house).presented) == 1


def test_more_life_than_half_a_lease_is_refused_with_the_most_there_is() -> None:
    house = home(contract=Contract(reissue_left=600.0))
    house.providers["plain"] = FakeProvider("plain")
    house.vault.disk.records["plain"] = enrolled("plain", house.time.now())

    async def work() -> None:
        for account, most in (("mail", 600.0), ("plain", 1800.0)):
            short = await house.desk.demand(account, most + 1.0, 30.0)
            assert isinstance(short, Shortfall)
            assert (short.kind, short.status, short.maximum) == ("min-ttl-too-long", 422, most)
            assert isinstance(await house.desk.demand(account, most, 0.0), Published)

    house.live(work)
    assert person(house).log == []


def test_what_the_first_lease_cannot_promise_is_said_as_soon_as_it_is_there() -> None:
    house = home(tokens(2, 100.0), valid_for=0.0)
    house.vault.disk.records["mail"] = enrolled("mail", house.time.now(), valid_for=0.0)

    async def work() -> None:
        short = await house.desk.demand("mail", 80.0, 30.0)
        assert isinstance(short, Shortfall)
        assert short.status == 422

    house.live(work)


@pytest.mark.parametrize(
    ("prepare", "kind", "reason"),
    [
        ("vacant", "account-vacant", "never enrolled"),
        ("exhausted", "account-exhausted", "nothing left to renew with"),
        ("paused", "account-paused", "paused"),
        ("retired", "account-retired", "not in the configuration"),
        ("parked", "account-parked", "invalid_client"),
    ],
)
def test_what_only_a_person_can_change_is_a_conflict_and_nobody_is_made_to_wait(
    prepare: str, kind: str, reason: str
) -> None:
    house = over(NotSent("no route") if prepare == "retired" else refusal("invalid_client", Remedy.CONFIG))
    if prepare == "vacant":
        house.vault.disk.records.clear()
    if prepare == "exhausted":
        record = house.vault.disk.records["mail"]
        assert record.grant is not None
        house.vault.disk.records["mail"] = dataclasses.replace(
            record, grant=dataclasses.replace(record.grant, secrets={})
        )
    if prepare == "paused":
        house.paused = {"mail"}

    async def work() -> None:
        if prepare == "retired":
            del house.providers["mail"]
            house.reload(removed=("mail",))
        await house.landed()
        began = house.time.boot()
        short = await house.desk.demand("mail", 60.0, 30.0)
        assert isinstance(short, Shortfall)
        assert (short.kind, short.status, short.detail, short.retry_after) == (kind, 409, reason, None)
        assert short.remedy
        assert house.time.boot() - began < 1.0

    house.live(work)


def over(*script: object) -> House:
    """An account whose lease has ended."""
    house = home(*script)
    now = house.time.now()
    before = dataclasses.replace(now, wall=now.wall - 500.0, boot=now.boot - 500.0)
    house.vault.disk.records["mail"] = enrolled("mail", before, valid_for=400.0)
    return house


def test_parked_until_a_date_is_worth_waiting_for_and_the_date_is_told() -> None:
    house = over(refusal("busy", Remedy.UNAVAILABLE), tokens(2))

    async def work() -> None:
        await house.until(Phase.PARKED)
        short = await house.desk.demand("mail", 60.0, 5.0)
        until = house.state().parked.until  # type: ignore[union-attr]
        assert until is not None
        assert isinstance(short, Shortfall)
        assert (short.kind, short.status, short.detail) == ("account-parked", 503, "busy")
        assert short.retry_after == pytest.approx(until - house.time.boot())
        assert short.remedy
        assert isinstance(await house.desk.demand("mail", 60.0, HOUR), Published)

    house.live(work)


def test_a_pause_is_a_conflict_even_where_the_account_is_parked_until_a_date() -> None:
    house = over(refusal("busy", Remedy.UNAVAILABLE))

    async def work() -> None:
        await house.until(Phase.PARKED)
        await house.desk.operate("pause", "mail", {})
        short = await house.desk.demand("mail", 60.0, 30.0)
        assert isinstance(short, Shortfall)
        assert (short.status, short.retry_after) == (409, None)

    house.live(work)


# -- refusals by consumers --------------------------------------------------------------------------------------------


def test_a_refused_lease_is_healed_once_and_the_newer_one_answers_the_next_complaint() -> None:
    house = home(slowly(tokens(2)))

    async def work() -> None:
        old = house.desk.lease("mail")
        assert old is not None
        assert house.desk.refused("mail", old.fingerprint, 403, None) == "ignored"
        assert [house.desk.refused("mail", old.fingerprint, 401, None) for _ in range(5)] == ["healing"] * 5
        assert house.desk.lease("mail") is old
        await house.landed()
        assert house.desk.refused("mail", old.fingerprint, 401, None) == "newer-lease"
        assert house.desk.refused("mail", "x" * 24, 401, None) == "newer-lease"
        await asyncio.sleep(60.0)

    house.live(work)
    assert len(person(house).presented) == 1
    assert house.state().heals == 1


@pytest.mark.parametrize("fingerprint", ["", "0" * 24, "\udcff", "é"])
def test_a_complaint_about_nothing_that_was_ever_handed_out_spends_nothing(fingerprint: str) -> None:
    house = home()
    house.providers["new"] = FakeProvider("new")

    async def work() -> None:
        assert house.desk.refused("new", fingerprint, 401, None) == "unknown"
        assert house.desk.refused("mail", fingerprint, 401, None) in ("unknown", "newer-lease")

    house.live(work)
    assert person(house).log == []


# -- verbs ------------------------------------------------------------------------------------------------------------


def test_an_unknown_verb_or_account_is_refused_with_what_there_is() -> None:
    house = home()

    async def work() -> None:
        assert "refresh" in (await refusal_of(house, "explode")).remedy
        assert (await refusal_of(house, "refresh", "nobody")).type == "not-possible"
        assert await house.desk.operate("history", "nobody", {}) == {"account": "nobody", "lines": []}

    house.live(work)


def test_every_verb_but_the_pause_waits_for_the_vaults_key() -> None:
    house = home()
    house.vault.broken["open"] = VaultLocked("no key", "unlock")

    async def work() -> None:
        for verb in house.desk._verbs:
            if verb in ("pause", "resume"):
                await house.desk.operate(verb, "mail", {})
            else:
                assert (await refusal_of(house, verb)).type == "vault-locked"

    house.live(work)
    assert person(house).log == []


def test_an_account_that_is_no_longer_configured_can_only_be_looked_at_and_ended() -> None:
    house = home()

    async def work() -> None:
        del house.providers["mail"]
        house.reload(removed=("mail",))
        for verb in set(house.desk._verbs) - {"forget", "history", "revoke"}:
            assert "no longer configured" in (await refusal_of(house, verb)).cause
        await house.desk.operate("history", "mail", {})
        await house.desk.operate("revoke", "mail", {})
        assert not house.desk.knows("mail")

    house.live(work)
    assert house.vault.disk.records == {}


def test_a_refresh_is_done_now_and_says_the_new_generation() -> None:
    house = home(slowly(tokens(2)))
    assert house.live(lambda: house.desk.operate("refresh", "mail", {})) == {"account": "mail", "generation": 2}


def test_I6_refreshes_by_force_hold_to_the_pace() -> None:
    house = home(*(tokens(number) for number in range(2, 9)))

    async def work() -> None:
        began = house.time.boot()
        for _ in range(4):
            await house.desk.operate("refresh", "mail", {})
        assert house.time.boot() - began >= 3.0

    house.live(work)


@pytest.mark.parametrize(
    "said", [refusal("invalid_grant", Remedy.CLIMB), refusal("odd", Remedy.WAIT), Lost("gone"), NotSent("no route")]
)
def test_a_refresh_that_comes_to_nothing_says_why(said: object) -> None:
    house = home(said)

    async def work() -> None:
        began = house.time.boot()
        assert "not refreshed" in (await refusal_of(house, "refresh")).cause
        assert house.time.boot() - began <= STEP_WAIT_SECONDS + 1.0

    house.live(work)


def test_a_verb_gives_up_on_a_flight_that_does_not_land_and_the_flight_goes_on() -> None:
    house = home(tokens(2), valid_for=1.0)

    async def work() -> None:
        house.vault.broken["commit"] = FULL
        await house.until(Phase.UNSAVED)
        for verb in ("refresh", "forget", "revoke", "confirm"):
            began = house.time.boot()
            assert "under way" in (await refusal_of(house, verb)).cause
            assert house.time.boot() - began == pytest.approx(STEP_WAIT_SECONDS)
        house.vault.broken.clear()
        assert (await house.until(Phase.LIVE)).refreshes == 1

    house.live(work)


def test_a_pause_stops_renewing_and_serves_what_there_is() -> None:
    house = home(tokens(2))

    async def work() -> None:
        assert await house.desk.operate("pause", "mail", {}) == {"account": "mail", "paused": True}
        await asyncio.sleep(HOUR / 2)
        assert isinstance(await house.desk.demand("mail", 60.0, 0.0), Published)
        await asyncio.sleep(HOUR)
        assert person(house).log == []
        assert "paused" in (await refusal_of(house, "refresh")).cause
        assert await house.desk.operate("resume", "mail", {}) == {"account": "mail", "paused": False}
        await asyncio.sleep(5.0)
        assert house.state().refreshes == 1

    house.live(work)


def test_a_pause_that_is_not_durable_is_not_in_force() -> None:
    house = home()
    house.vault.fail["pause"] = [FULL]

    async def work() -> None:
        assert (await refusal_of(house, "pause")).type == "store"
        assert not house.state().paused

    house.live(work)


def test_the_history_tells_what_attempts_came_to() -> None:
    house = home(tokens(2), NotSent("no route"))

    async def work() -> Mapping[str, Any]:
        await house.desk.operate("refresh", "mail", {})
        await refusal_of(house, "refresh")
        return await house.desk.operate("history", "mail", {})

    lines = house.live(work)["lines"]
    assert [(line["rung"], line["outcome"]) for line in lines][:2] == [("refresh", "ok"), ("refresh", "not-sent")]


def test_to_forget_leaves_nothing_and_to_forget_again_is_no_error() -> None:
    house = home()

    async def work() -> None:
        for _ in range(2):
            assert await house.desk.operate("forget", "mail", {}) == {"account": "mail", "forgotten": True}
        assert house.desk.lease("mail") is None
        assert house.desk.health("mail").reason == "never enrolled"
        await asyncio.sleep(2 * HOUR)

    house.live(work)
    assert house.vault.disk.records == {}
    assert person(house).log == []


def test_an_unconfigured_record_can_be_forgotten() -> None:
    house = home()
    house.vault.disk.records["other"] = enrolled("other", house.time.now())

    async def work() -> None:
        assert house.desk.accounts() == ["mail", "other"]
        await house.desk.operate("forget", "other", {})
        assert house.desk.accounts() == ["mail"]

    house.live(work)


def test_what_the_journal_forgot_is_served_no_more_even_if_the_keyring_has_to_follow() -> None:
    house = home()
    forget = house.vault.forget

    async def half_done(account: str) -> None:
        await forget(account)
        raise KeyringUnavailable("mail is forgotten here, but not in the keyring yet", "unlock the keyring")

    async def work() -> None:
        house.vault.forget = half_done  # type: ignore[method-assign]
        assert (await refusal_of(house, "forget")).type == "keyring-unavailable"
        assert house.desk.lease("mail") is None
        assert house.state().standing.generation == 0

    house.live(work)


def test_a_record_that_was_not_erased_goes_on() -> None:
    house = home()
    house.vault.fail["forget"] = [FULL]

    async def work() -> None:
        assert (await refusal_of(house, "forget")).type == "store"
        assert house.desk.lease("mail") is not None

    house.live(work)


def test_a_grant_is_ended_at_the_service_before_it_is_forgotten_here() -> None:
    house = home()

    async def work() -> None:
        person(house).revoking = NotPossible("the service did not answer", "try again")
        await refusal_of(house, "revoke")
        assert "mail" in house.vault.disk.records
        person(house).revoking = None
        answer = await house.desk.operate("revoke", "mail", {})
        assert answer == {"account": "mail", "revoked": "revoked at the service"}
        assert house.desk.lease("mail") is None

    house.live(work)
    assert house.vault.disk.records == {}


@pytest.mark.parametrize("verb", ["forget", "revoke"])
def test_I1_what_an_operator_ends_while_a_call_is_in_the_air_ends_after_it(verb: str) -> None:
    house = home(slowly(tokens(2), 10.0), valid_for=1.0)

    async def work() -> None:
        await house.until(Phase.SPENDING)
        await asyncio.sleep(1.0)
        began = house.time.boot()
        await house.desk.operate(verb, "mail", {})
        assert house.time.boot() - began > 5.0
        await asyncio.sleep(2 * HOUR)

    house.live(work)
    assert house.vault.disk.records == {}
    assert house.vault.log.index("commit") < house.vault.log.index("forget")
    assert len(person(house).presented) == 1


def test_I1_an_import_while_a_call_is_in_the_air_comes_after_it_and_wins() -> None:
    house = home(slowly(tokens(2), 10.0), tokens(3), valid_for=1.0)

    async def work() -> None:
        await house.until(Phase.SPENDING)
        await asyncio.sleep(1.0)
        answer = await house.desk.operate("import", "mail", {"secrets": {"refresh_token": "rt-brought"}})
        assert answer["generation"] == 3
        await asyncio.sleep(2 * HOUR)

    house.live(work)
    assert [presented for presented, _ in person(house).presented][:2] == ["rt-1", "rt-brought"]


def test_I1_a_call_that_queues_behind_an_import_presents_nothing_old() -> None:
    house = home(slowly(tokens(2), 1.0), tokens(3))

    async def work() -> None:
        gate = house.vault.stalls["commit"] = asyncio.Event()
        brought = {"secrets": {"refresh_token": "rt-brought"}}
        importing = asyncio.ensure_future(house.desk.operate("import", "mail", brought))
        await asyncio.sleep(1.0)
        lease = house.desk.lease("mail")
        assert lease is not None
        house.desk.refused("mail", lease.fingerprint, 401, None)
        assert house.state().phase is Phase.SPENDING
        await asyncio.sleep(1.0)
        gate.set()
        await importing
        await asyncio.sleep(60.0)

    house.live(work)
    assert "rt-1" not in [presented for presented, _ in person(house).presented]


# -- import -----------------------------------------------------------------------------------------------------------


def test_an_import_founds_a_lineage_and_spends_nothing_of_it() -> None:
    house = home(tokens(2), fresh=True)

    async def work() -> None:
        answer = await house.desk.operate("import", "mail", {"secrets": {"refresh_token": "rt-brought"}})
        assert answer == {"account": "mail", "generation": 1}
        assert person(house).log == []
        await asyncio.sleep(5.0)
        assert house.state().refreshes == 1

    house.live(work)
    assert person(house).presented[0][0] == "rt-brought"


@pytest.mark.parametrize(
    "body",
    [
        {}, {"secrets": None}, {"secrets": {}}, {"secrets": ["refresh_token"]}, {"secrets": "canary"},
        {"secrets": {"refresh_token": 7}}, {"secrets": {"refresh_token": ""}}, {"secrets": {"refresh_token": None}},
        {"secrets": {"refresh_token": {"canary": 1}}}, {"secrets": {"ticket": "canary"}},
    ],
)  # fmt: skip
def test_an_import_of_nothing_usable_changes_nothing_and_repeats_nothing(body: Mapping[str, object]) -> None:
    house = home()

    async def work() -> None:
        error = await refusal_of(house, "import", "mail", **body)
        assert error.type == "not-possible"
        assert "canary" not in error.cause + error.remedy

    house.live(work)
    assert house.vault.log == []


def test_an_import_that_is_not_durable_is_no_import() -> None:
    house = home(fresh=True)
    house.vault.fail["commit"] = [FULL]

    async def work() -> None:
        assert (await refusal_of(house, "import", secrets={"refresh_token": "x"})).type == "store"
        assert house.state().standing.generation == 0

    house.live(work)


# -- enrolment --------------------------------------------------------------------------------------------------------


async def begin(house: House, **args: object) -> Mapping[str, Any]:
    return await house.desk.operate("enrol-begin", "mail", args)


def test_an_enrolment_by_code_ends_with_a_grant_at_rest() -> None:
    house = home(tokens(2), fresh=True)

    async def work() -> None:
        begun = await begin(house, redirect_uri="http://127.0.0.1:1/")
        assert begun["url"] == "https://service.example/consent"
        assert begun["expires_in"] == 600.0
        args = {"session": begun["session"], "code": "c1", "state": "s1"}
        assert await house.desk.operate("enrol-finish", "mail", args) == {
            "done": True, "account": "mail", "generation": 1
        }  # fmt: skip
        again = await refusal_of(house, "enrol-finish", **args)
        assert "unknown or over" in again.cause

    house.live(work)
    assert person(house).log[0] == "ask auto http://127.0.0.1:1/"
    assert [presented for presented, _ in person(house).presented] == ["c1"]


def test_I8_what_an_enrolment_asks_of_a_person_holds_none_of_its_secrets() -> None:
    house = home(fresh=True)
    begun = house.live(lambda: begin(house))
    assert "s1" not in [str(value) for value in begun.values()]
    told = {"session", "step", "url", "user_code", "interval", "prompt", "picture", "expires_in", "redirect_uri"}
    assert begun.keys() == told


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [
        ({"session": "another"}, "unknown or over"), ({"session": None}, "unknown or over"),
        ({"state": "another"}, "state differs"), ({"state": None}, "state differs"),
    ],
)  # fmt: skip
def test_an_answer_to_another_enrolment_is_not_exchanged(wrong: Mapping[str, object], cause: str) -> None:
    house = home(tokens(2), fresh=True)

    async def work() -> None:
        begun = await begin(house)
        right = {"session": begun["session"], "code": "c1", "state": "s1"}
        error = await refusal_of(house, "enrol-finish", **{**right, **wrong})
        assert cause in error.cause
        assert "c1" not in error.cause
        assert person(house).presented == []
        await house.desk.operate("enrol-finish", "mail", right)

    house.live(work)


def test_a_session_of_another_account_is_unknown() -> None:
    house = home(tokens(2), fresh=True)
    house.providers["other"] = FakeProvider("other", tokens(2))

    async def work() -> None:
        begun = await begin(house)
        error = await refusal_of(house, "enrol-finish", "other", session=begun["session"], code="c1", state="s1")
        assert "unknown or over" in error.cause

    house.live(work)
    assert house.providers["other"].log == []


def test_an_enrolment_expires() -> None:
    house = home(tokens(2), fresh=True)

    async def work() -> None:
        begun = await begin(house)
        await asyncio.sleep(601.0)
        error = await refusal_of(house, "enrol-finish", session=begun["session"], code="c1", state="s1")
        assert "unknown or over" in error.cause

    house.live(work)
    assert person(house).presented == []


def test_enrolments_under_way_are_bounded_and_make_room_when_they_expire() -> None:
    house = home(fresh=True)

    async def work() -> None:
        for _ in range(MAX_SESSIONS):
            await begin(house)
        assert "too many" in (await refusal_of(house, "enrol-begin")).cause
        await asyncio.sleep(601.0)
        await begin(house)

    house.live(work)


def test_I5_a_code_handed_in_twice_is_presented_once() -> None:
    house = home(slowly(tokens(2)), fresh=True)

    async def work() -> None:
        args = {"session": (await begin(house))["session"], "code": "c1", "state": "s1"}
        first, second = await asyncio.gather(*(house.desk.operate("enrol-finish", "mail", args) for _ in range(2)))
        assert (first["done"], second) == (True, {"done": False, "account": "mail", "pending": "held"})

    house.live(work)
    assert [presented for presented, _ in person(house).presented] == ["c1"]


@pytest.mark.parametrize(
    "said", [refusal("invalid_grant", Remedy.PERSON), refusal("odd", Remedy.WAIT, 9.0), Lost("gone"), NotSent("none")]
)
def test_an_enrolment_that_the_service_does_not_take_leaves_the_old_grant_in_force(said: object) -> None:
    house = home(said, tokens(2))

    async def work() -> None:
        begun = await begin(house)
        error = await refusal_of(house, "enrol-finish", session=begun["session"], code="c1", state="s1")
        assert "did not accept" in error.cause or "may be used up" in error.cause
        assert "c1" not in error.cause
        again = await refusal_of(house, "enrol-finish", session=begun["session"], code="c1", state="s1")
        assert "unknown or over" in again.cause
        await asyncio.sleep(HOUR)
        assert house.state().refreshes == 1

    house.live(work)
    assert [presented for presented, _ in person(house).presented] == ["c1", "rt-1"]


def test_a_device_flow_is_asked_again_until_the_person_has_answered() -> None:
    pending = refusal("authorization_pending", Remedy.WAIT, 5.0)
    house = home(pending, refusal("slow_down", Remedy.WAIT, 10.0), NotSent("no route"), tokens(2), fresh=True)
    outcomes: list[object] = []

    async def work() -> None:
        person(house).asked = DEVICE
        begun = await begin(house, flow="device")
        assert begun["user_code"] == "ABCD"
        while not outcomes or outcomes[-1] != "done":
            answer = await house.desk.operate("enrol-finish", "mail", {"session": begun["session"]})
            outcomes.append("done" if answer["done"] else answer["pending"])
            await asyncio.sleep(5.0)

    house.providers["mail"].ladder = (*house.providers["mail"].ladder, _rung("device"))
    house.live(work)
    assert [one for one in outcomes if one != "held"] == ["authorization_pending", "slow_down", "unsent", "done"]


def _rung(name: str) -> Any:  # noqa: ANN401 - a rung
    from freshd.core.ladder import Rung

    return Rung(name, person=True)


def test_an_enrolment_is_finished_although_the_account_is_paused_or_parked() -> None:
    house = home(refusal("invalid_grant", Remedy.CLIMB), tokens(2), valid_for=1.0)

    async def work() -> None:
        await house.until(Phase.PARKED)
        await house.desk.operate("pause", "mail", {})
        begun = await begin(house)
        args = {"session": begun["session"], "code": "c1", "state": "s1"}
        assert (await house.desk.operate("enrol-finish", "mail", args))["done"]
        assert isinstance(await house.desk.demand("mail", 60.0, 0.0), Published)

    house.live(work)
    assert house.state().paused


def test_somebody_elses_enrolment_is_refused_and_the_old_grant_stays() -> None:
    house = home(reply(access="at-x", expires_in=HOUR, refresh="rt-x", stranger="another subject"), tokens(2))

    async def work() -> None:
        before = house.desk.lease("mail")
        begun = await begin(house)
        error = await refusal_of(house, "enrol-finish", session=begun["session"], code="c1", state="s1")
        assert "wrong-identity" in error.cause
        assert house.desk.lease("mail") is before
        await asyncio.sleep(HOUR)

    house.live(work)
    assert person(house).presented[-1][0] == "rt-1"


# -- confirm ----------------------------------------------------------------------------------------------------------


def moved(*script: object) -> House:
    """An account whose configuration names another service than its grant."""
    house = home(*script)
    person(house).binding = ELSEWHERE
    return house


def test_a_grant_is_bound_anew_when_the_change_was_meant() -> None:
    house = moved(tokens(2))

    async def work() -> None:
        assert house.desk.health("mail").reason == "bound-elsewhere"
        assert await house.desk.operate("confirm", "mail", {}) == {"account": "mail", "generation": 2}
        assert house.desk.health("mail").reason is None
        await asyncio.sleep(HOUR)

    house.live(work)
    assert house.state().refreshes == 1
    grant = house.vault.disk.records["mail"].grant
    assert grant is not None
    assert grant.binding == ELSEWHERE


def test_I5_an_answer_left_in_escrow_is_finished_before_its_grant_is_bound_anew() -> None:
    house = moved(tokens(3))
    house.left_open(tokens(2))

    async def work() -> None:
        assert house.desk.health("mail").reason == "bound-elsewhere"
        assert await house.desk.operate("confirm", "mail", {}) == {"account": "mail", "generation": 3}
        await asyncio.sleep(HOUR)

    house.live(work)
    assert [secret for secret, _ in person(house).presented] == ["rt-2"]
    assert house.vault.disk.quarantine == []
    assert house.state().phase is Phase.LIVE


@pytest.mark.parametrize("is_old", [False, True])
def test_I3_an_enrolment_takes_no_answers_place_in_escrow(is_old: bool) -> None:
    house = old_journal(mail=[tokens(3)]) if is_old else moved(tokens(3))
    house.left_open(tokens(2))

    async def work() -> None:
        assert "waits to be finished" in (await refusal_of(house, "enrol-begin")).cause
        await house.desk.operate("confirm", "mail", {})
        await house.landed()
        assert await begin(house)

    house.live(work)
    assert person(house).presented == []


def test_where_nothing_is_in_question_nothing_is_confirmed() -> None:
    house = home()

    async def work() -> None:
        assert "nothing to confirm" in (await refusal_of(house, "confirm")).cause

    house.live(work)
    assert house.vault.log == []


def test_I5_to_confirm_brings_no_dead_secret_back() -> None:
    house = moved(tokens(2))
    house.vault.disk.dead["mail"] = {"refresh_token": "invalid_grant"}

    async def work() -> None:
        assert "cannot be used" in (await refusal_of(house, "confirm")).cause
        await asyncio.sleep(2 * HOUR)

    house.live(work)
    assert house.vault.disk.dead["mail"] == {"refresh_token": "invalid_grant"}
    assert person(house).log == []


def test_to_confirm_makes_no_strangers_grant_ours() -> None:
    house = moved()
    house.vault.disk.withheld["mail"] = "another subject"

    async def work() -> None:
        assert "cannot be used" in (await refusal_of(house, "confirm")).cause

    house.live(work)
    assert house.vault.disk.withheld == {"mail": "another subject"}


def old_journal(**scripts: list[object]) -> House:
    time = VirtualTime()
    disk = Disk(records={name: enrolled(name, time.now()) for name in scripts})
    house = House(*(Person(name, *script) for name, script in scripts.items()), disk=disk, time=time)  # type: ignore[arg-type]
    house.vault.rolled_back = OLD
    return house


def test_I5_a_grant_of_an_old_journal_goes_on_in_doubt_once_an_operator_says_so() -> None:
    house = old_journal(mail=[tokens(2)], other=[tokens(2)])

    async def work() -> None:
        await house.desk.operate("confirm", "mail", {})
        assert house.state().phase is Phase.DOUBTFUL
        assert house.vault.rolled_back == OLD
        await asyncio.sleep(HOUR)
        assert house.state().refreshes == 1
        assert house.providers["other"].log == []
        await house.desk.operate("confirm", "other", {})
        assert house.vault.rolled_back is None

    house.live(work)
    [(presented, intent)] = person(house).presented
    assert (presented, intent.replays) == ("rt-1", 1)
    assert house.vault.log.count("aclose") == 0


def test_I5_an_enrolment_that_fails_frees_no_grant_of_an_old_journal() -> None:
    house = old_journal(mail=[refusal("invalid_grant", Remedy.PERSON)])

    async def work() -> None:
        asked = await begin(house)
        await refusal_of(house, "enrol-finish", session=asked["session"], code="wrong", state="s1")
        assert house.state().standing.held_back == OLD
        await house.desk.operate("confirm", "mail", {})
        assert house.state().phase is Phase.DOUBTFUL

    house.live(work)
    second = House(Person("mail"), disk=house.vault.disk, time=house.time)
    second.live(lambda: asyncio.sleep(1.0))
    assert second.state().phase is Phase.DOUBTFUL


def test_the_doubt_of_a_confirmed_grant_survives_a_restart() -> None:
    house = old_journal(mail=[])
    house.live(lambda: house.desk.operate("confirm", "mail", {}))
    second = House(Person("mail"), disk=house.vault.disk, time=house.time)
    second.live(lambda: asyncio.sleep(1.0))
    assert second.state().phase is Phase.DOUBTFUL
    assert second.state().standing.held_back is None


def test_to_confirm_brings_no_pause_back_that_was_ended() -> None:
    first = old_journal(mail=[])
    first.live(lambda: first.desk.operate("pause", "mail", {}))
    second = House(Person("mail"), disk=first.vault.disk, time=first.time)
    second.vault.rolled_back = OLD

    async def work() -> None:
        await second.desk.operate("resume", "mail", {})
        await second.desk.operate("confirm", "mail", {})
        assert not second.state().paused

    second.live(work)


def test_I3_an_answer_left_in_the_escrow_of_an_old_journal_is_finished_when_it_is_confirmed() -> None:
    house = old_journal(mail=[])
    house.left_open(tokens(2))

    async def work() -> None:
        assert house.desk.health("mail").reason == "journal-rolled-back"
        await house.desk.operate("confirm", "mail", {})
        await house.landed()
        assert house.state().standing.generation == 2
        assert house.vault.rolled_back is None

    house.live(work)
    assert person(house).log == ["judge"]


@pytest.mark.parametrize("verb", ["import", "forget", "revoke", "enrol"])
def test_the_last_account_that_is_decided_in_any_way_makes_the_journal_the_right_one(verb: str) -> None:
    house = old_journal(mail=[tokens(2), tokens(3)])

    async def work() -> None:
        if verb == "enrol":
            begun = await begin(house)
            args: dict[str, object] = {"session": begun["session"], "code": "c1", "state": "s1"}
            await house.desk.operate("enrol-finish", "mail", args)
        else:
            await house.desk.operate(verb, "mail", {"secrets": {"refresh_token": "rt-new"}})
        assert house.vault.rolled_back is None

    house.live(work)
    assert "rt-1" not in [presented for presented, _ in person(house).presented]


def test_an_anchor_that_could_not_be_written_is_written_when_it_is_confirmed_again() -> None:
    house = old_journal(mail=[])
    house.vault.fail["accept"] = [KeyringUnavailable("locked", "unlock")]

    async def work() -> None:
        assert (await refusal_of(house, "confirm")).type == "keyring-unavailable"
        assert house.vault.rolled_back == OLD
        await house.desk.operate("confirm", "mail", {})
        assert house.vault.rolled_back is None

    house.live(work)


def test_where_reuse_kills_more_a_confirmed_grant_is_still_not_presented() -> None:
    house = old_journal(mail=[tokens(2)])
    person(house).contract = Contract(kills=Kills.MORE)

    async def work() -> None:
        await house.desk.operate("confirm", "mail", {})
        await asyncio.sleep(24 * HOUR)
        assert house.state().phase is Phase.PARKED

    house.live(work)
    assert person(house).presented == []


# -- diagnosis --------------------------------------------------------------------------------------------------------


def test_I8_looking_never_calls_a_service_and_never_changes_what_comes_next() -> None:
    house = home()
    house.providers["app"] = FakeProvider("app", ladder=(ISSUE,))
    house.vault.disk.records["app"] = enrolled("app", house.time.now())

    async def work() -> None:
        before, alarms = {name: house.state(name) for name in ("app", "mail")}, dict(house.alarms.at)
        for _ in range(50):
            for name in house.desk.accounts():
                house.desk.health(name)
                house.desk.lease(name)
                await house.desk.operate("history", name, {})
        await asyncio.sleep(1.0)
        assert {name: house.state(name) for name in before} == before
        assert house.alarms.at == alarms

    house.live(work)
    assert [provider.log for provider in house.providers.values()] == [[], []]
    assert house.vault.log == []
