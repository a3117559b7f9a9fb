"""Accounts of CloudBase over days: the real engine and the real provider on virtual time, against the stand-in."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from freshd.core.happenings import Forced
from freshd.core.model import Change
from freshd.core.outcome import Reply
from freshd.errors import NotPossible
from freshd.providers.http import Call
from freshd.sandbox.cloudbase.direct import Direct
from freshd.sandbox.cloudbase.environment import Environment
from freshd.sandbox.cloudbase.levers import Levers
from freshd.sandbox.cloudbase.user import Profile
from tests.fakes.time import EPOCH, VirtualTime
from tests.fakes.vault import Disk, FakeVault
from tests.flow.virtual import Daemon, Wire, settings_of

PASSWORD = 'method = "password"\nusername = "alice"\npassword = { keyring = { service = "pw", entry = "alice" } }'
SMS = 'method = "sms"\nphone_number = "+86 13800000000"'
REFRESH, SIGN_IN = "/auth/v1/token", "/auth/v1/signin"
HOUR, DAY = 3600.0, 86_400.0


class Story:
    """One account, its service, and the disk that survives its daemons."""

    def __init__(self, keys: str = PASSWORD, word: str = "Right-1") -> None:
        self.environment = Environment()
        self.time = VirtualTime()
        self.levers = Levers(self.environment, lambda: EPOCH + self.time.true)
        self.environment.users.register(Profile(label="alice", password="Right-1", phone_number="+86 13800000000"))
        self.wire = Wire(self.time, self._serve)
        self.words = {"pw/alice": word}
        head = '[accounts.a]\nkind = "cloudbase"\nenv = "sandbox-env"\nbase_url = "http://127.0.0.1:1"\n'
        self._settings = settings_of(f"{head}{keys}\n")
        self._disk = Disk()
        self._direct = Direct(self.environment)

    def daemon(self) -> Daemon:
        made = Daemon(self._settings, self.wire, self._disk, self.words)
        made.vault = Vault(self._disk, wall=lambda: self.time.now().wall)
        return made

    def calls(self) -> Mapping[str, int]:
        return Counter(path for _, path in self.wire.calls)

    def constants(self, **over: Any) -> None:
        self.environment.constants.change({f"CLOUDBASE_SIM_{name}": value for name, value in over.items()})

    @property
    def spent_uses(self) -> int:
        return self.environment.ledger.books.totals.spent_uses

    def _serve(self, call: Call, now: float, _eaten: str | None) -> Reply:
        parts = urlsplit(call.url)
        headers = {name.lower(): value for name, value in call.headers.items()}
        said = self._direct.handle(
            call.method, parts.path, dict(parse_qsl(parts.query)), headers, call.body or b"", now
        )
        assert said is not None
        return Reply(said.status, tuple(said.headers.items()), said.body, said.whole)


class Vault(FakeVault):
    """As the real one, it forgets what a change names beside a grant too."""

    def _apply(self, change: Change) -> bool:
        if change.grant is not None:
            kept = {name: one for name, one in change.grant.secrets.items() if name not in change.drop}
            change = replace(change, grant=replace(change.grant, secrets=kept))
        return super()._apply(change)


async def step(daemon: Daemon, code: str | None = None, **wishes: object) -> Mapping[str, Any]:
    """One step of a person: begin, and finish with what was typed."""
    begun = await daemon.operate("enrol-begin", "a", flow="auto", **wishes)
    return await finish(daemon, begun["session"], code)


async def finish(daemon: Daemon, session: str, code: str | None = None) -> Mapping[str, Any]:
    """As the command line: what is held back by its pace is handed over again."""
    typed = {} if code is None else {"code": code}
    told = await daemon.operate("enrol-finish", "a", session=session, **typed)
    for _ in range(30):
        if told.get("pending") != "held":
            break
        await asyncio.sleep(1.0)
        told = await daemon.operate("enrol-finish", "a", session=session, **typed)
    return told


def test_a_session_is_renewed_for_days_by_one_sign_in() -> None:
    story = Story()
    daemon = story.daemon()

    async def days() -> None:
        for _ in range(3 * 24):
            await asyncio.sleep(HOUR)
            assert daemon.has_lease("a")

    daemon.live(days)
    assert story.calls()[SIGN_IN] == 1
    assert 40 <= story.calls()[REFRESH] <= 50
    assert story.spent_uses == 0


def test_a_lost_reply_is_held_to_the_tokens_end_and_healed_by_one_sign_in() -> None:
    story = Story()
    daemon = story.daemon()

    async def night() -> None:
        story.wire.faults[REFRESH] = ["lost"]
        await asyncio.sleep(8 * HOUR)

    daemon.live(night)
    assert daemon.told.count("doubt.opened") == daemon.told.count("doubt.resolved") == 1
    assert story.calls()[SIGN_IN] == 2
    told = [event for _, event in daemon.events if event.name == "refresh.rejected"]
    assert [("lost" in str(event.fields["detail"]), event.fields["code"]) for event in told] == [
        (True, "invalid_grant")
    ]


def test_a_lost_answer_to_a_sign_in_is_no_doubt_and_it_is_made_again_after_ten_minutes() -> None:
    story = Story()
    story.wire.faults[SIGN_IN] = ["lost"]
    daemon = story.daemon()
    daemon.live(lambda: asyncio.sleep(HOUR))
    assert daemon.has_lease("a")
    assert "doubt.opened" not in daemon.told
    first, second = [at for at, path in story.wire.calls if path == SIGN_IN]
    assert second - first >= 600.0


def test_a_stranger_is_not_fought_and_a_restart_begins_no_fight() -> None:
    story = Story()
    first, second = story.daemon(), story.daemon()

    async def fight(daemon: Daemon, hours: int) -> None:
        for _ in range(hours * 6):
            await asyncio.sleep(600.0)
            if daemon.has_lease("a"):
                story.levers.stranger("alice", "stranger-device-000000")
                daemon.supervisor.post("a", Forced())

    first.live(lambda: fight(first, 4))
    parked = first.state("a").parked
    assert parked is not None
    assert parked.code == "session-pushed-out"
    assert "somebody else signs in with this account" in parked.detail
    assert story.calls()[SIGN_IN] == 3
    before = len(story.wire.calls)
    second.live(lambda: asyncio.sleep(2 * DAY))
    assert story.wire.calls[before:] == []


def test_a_wrong_password_is_sent_once_however_often_freshd_starts_and_a_new_one_is_tried() -> None:
    story = Story(word="Wrong-1")
    for _ in range(3):
        daemon = story.daemon()
        daemon.live(lambda: asyncio.sleep(6 * HOUR))
        assert not daemon.has_lease("a")
    assert story.calls()[SIGN_IN] == 1
    story.words["pw/alice"] = "Right-1"
    daemon = story.daemon()
    daemon.live(lambda: asyncio.sleep(HOUR))
    assert daemon.has_lease("a")
    assert story.calls()[SIGN_IN] == 2


def test_a_captcha_before_there_is_any_grant_is_passed_by_a_person_and_the_sign_in_goes_on() -> None:
    story = Story()
    story.constants(CAPTCHA_FOR=["signin"], CAPTCHA_ANSWER="A7K2")
    daemon = story.daemon()

    async def dialogue() -> None:
        await asyncio.sleep(DAY)
        assert story.calls() == {SIGN_IN: 1}
        begun = await daemon.operate("enrol-begin", "a", flow="auto")
        assert begun["picture"]
        assert (await step(daemon, "xxxx"))["pending"] == "next-step"
        assert (await step(daemon, "a7k2"))["pending"] == "next-step"
        assert (await step(daemon))["done"]
        with pytest.raises(NotPossible):
            await finish(daemon, begun["session"], "a7k2")
        await asyncio.sleep(DAY)
        assert daemon.has_lease("a")

    daemon.live(dialogue)
    assert story.calls()["/auth/v1/captcha/data"] == 2
    assert story.calls()["/auth/v1/captcha/data/verify"] == 2
    assert story.calls()[SIGN_IN] == 2


def test_two_wrong_answers_end_the_dialogue_for_ten_minutes() -> None:
    story = Story()
    story.constants(CAPTCHA_FOR=["signin"], CAPTCHA_ANSWER="A7K2")
    daemon = story.daemon()

    async def dialogue() -> None:
        await asyncio.sleep(60.0)
        for _ in range(2):
            assert (await step(daemon, "xxxx"))["pending"] == "next-step"
        with pytest.raises(NotPossible, match="wrongly twice"):
            await step(daemon, "a7k2")
        await asyncio.sleep(601.0)
        assert (await step(daemon, "a7k2"))["pending"] == "next-step"
        assert (await step(daemon))["done"]

    daemon.live(dialogue)
    assert daemon.has_lease("a")


def test_a_captcha_survives_a_restart_and_stops_every_sign_in_until_a_person_comes() -> None:
    story = Story()
    story.constants(CAPTCHA_FOR=["signin"], CAPTCHA_ANSWER="A7K2")
    story.daemon().live(lambda: asyncio.sleep(HOUR))
    daemon = story.daemon()

    async def dialogue() -> None:
        await asyncio.sleep(DAY)
        assert story.calls() == {SIGN_IN: 1}
        await step(daemon, "a7k2")
        assert (await step(daemon))["done"]

    daemon.live(dialogue)


def test_a_person_signs_in_by_sms_and_the_end_of_that_is_announced() -> None:
    story = Story(SMS)
    daemon = story.daemon()

    async def month() -> None:
        await asyncio.sleep(60.0)
        begun = await daemon.operate("enrol-begin", "a", flow="auto", consent=True)
        [code] = story.environment.verifications.mailbox("+86 13800000000")
        told = await finish(daemon, begun["session"], code)
        assert told["pending"] == "next-step"
        assert (await step(daemon))["done"]
        await asyncio.sleep(29 * DAY)
        assert daemon.has_lease("a")
        await asyncio.sleep(3 * DAY)
        assert not daemon.has_lease("a")

    daemon.live(month)
    endings = [at for at, event in daemon.events if event.name == "grant.ending"]
    assert any(abs(at - (30 - 14) * DAY) < HOUR for at in endings)
    assert any(abs(at - (30 - 7) * DAY) < HOUR for at in endings)
    assert story.spent_uses == 0


def test_where_sign_ins_bring_no_refresh_token_the_budget_lasts_for_the_day() -> None:
    story = Story()
    story.constants(NO_REFRESH_TOKEN_FOR=["password"])
    daemon = story.daemon()

    async def days() -> None:
        for _ in range(2 * 24):
            await asyncio.sleep(HOUR)
            assert daemon.has_lease("a")

    daemon.live(days)
    assert story.calls()[REFRESH] == 0
    assert story.calls()[SIGN_IN] <= 40


def test_automatic_sign_ins_are_counted_over_restarts() -> None:
    story = Story()
    story.constants(DEAD_REFRESH_ERROR="invalid_grant", ACCESS_TTL_S=3600)
    for _ in range(12):
        daemon = story.daemon()
        daemon.live(lambda: asyncio.sleep(1800.0))
        story.environment.sessions.age("alice", 60 * DAY)
    times = [at for at, path in story.wire.calls if path == SIGN_IN]
    assert len(times) <= 5
    assert all(late - soon >= 600.0 for soon, late in pairwise(times))
