"""A login held at AUN's gateway by a real daemon, with the account's tokens renewed behind it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.crash.scene import Process
from tests.crash.services import Sandbox
from tests.flow.bed import Bed, Line, until

ACCOUNT: Final = "carol"
CHANNEL: Final = "home"
TOKEN_METHODS: Final = ("auth.refresh_token", "auth.aid_login1", "auth.aid_login2")


class Story:
    """One daemon, one agent, one channel."""

    def __init__(self, bed: Bed, service: Sandbox) -> None:
        self.bed, self.service = bed, service
        [self.agent] = service.ask("POST", "/aun/mint", {"label": ACCOUNT})["agents"]
        self.aid = str(self.agent["aid"])
        self.process: Process

    def configure(self, *more: str) -> None:
        roots = self.bed.folder / "roots.pem"
        roots.write_text(self.service.ask("GET", "/aun/roots")["pem"])
        self.bed.write(
            f"[accounts.{ACCOUNT}]", 'kind = "aun"', f'aid = "{self.aid}"', f'roots = "{roots}"',
            f'discovery = "{self.service.issuer}"', "min_interval = 0", "host_interval = 0",
            f"readers = {{ users = [{os.geteuid()}] }}",
            f"[channels.{CHANNEL}]", 'kind = "aun"', f'account = "{ACCOUNT}"', 'device_id = "desk"', *more,
        )  # fmt: skip

    def begin(self, *more: str) -> None:
        """A daemon whose channel is up."""
        self.start(*more)
        self.until_up()

    def start(self, *more: str) -> None:
        """A daemon whose account has its secrets."""
        self.configure(*more)
        self.process = self.bed.up()
        names = ("private_key", "cert", "refresh_token")
        self.process.operate("import", ACCOUNT, secrets={name: str(self.agent[name]) for name in names})

    @property
    def view(self) -> dict[str, Any]:
        """What is shown of the channel."""
        shown: dict[str, Any] = self.process.view(ACCOUNT).get("channels", {}).get(CHANNEL, {})
        return shown

    @property
    def sessions(self) -> list[dict[str, Any]]:
        found = self.service.ask("GET", "/aun/sessions")["sessions"]
        return [one for one in found if one["aid"] == self.aid]

    @property
    def tally(self) -> dict[str, Any]:
        found: dict[str, Any] = self.service.ask("GET", "/aun/counters")["by_aid"][self.aid]
        return found

    def until_up(self, after: str | None = None) -> dict[str, Any]:
        """The session that is up, another one than `after`."""

        def look() -> dict[str, Any] | None:
            fresh = [one for one in self.sessions if one["id"] != after]
            return fresh[0] if fresh and self.view.get("state") == "connected" else None

        return until("the channel is up", look)

    def stopped(self) -> Line:
        """The event that says that the channel stays away."""
        return until("channel.stopped", lambda: self.bed.events("channel.stopped"))[-1]

    def kick(self, **how: object) -> None:
        self.service.ask("POST", "/aun/kick", {"aid": self.aid, **how})

    def revoke(self, what: str) -> None:
        self.service.ask("POST", "/aun/revoke", {"aid": self.aid, "what": what})

    def change(self, **constants: object) -> None:
        self.service.ask("PATCH", "/aun/constants", {"aid": self.aid, **constants})


def asked_for(story: Story) -> dict[str, int]:
    """Calls that may bring a token, by method."""
    return {name: count for name, count in story.tally["calls"].items() if name in TOKEN_METHODS}


@pytest.fixture
def story() -> Iterator[Story]:
    with (
        tempfile.TemporaryDirectory(prefix="freshd-") as folder,
        Sandbox() as service,
        Bed(Path(folder)) as bed,
    ):
        made = Story(bed, service)
        yield made
        log = "\n".join(bed.lines())
        secrets = ("access_token", "refresh_token", "private_key")
        assert not [name for name in secrets if str(made.agent[name]) in log]


def test_status_shows_what_was_agreed(story: Story) -> None:
    story.begin('slot_id = "app/main"', 'extra_info = { app = "lamp" }')
    shown = story.view
    assert (shown["protocol"], shown["namespaces"]) == ("1.0", ["auth", "message", "meta"])
    assert (shown["device"], shown["slot"], shown["heartbeat"]) == ("desk", "app/main", 30.0)
    assert shown["connection"] == story.sessions[0]["id"]
    said = story.bed.run("status", ACCOUNT)
    assert "1.0" in said.text
    assert "message" in said.text


@pytest.mark.parametrize("event", [True, False])
@pytest.mark.parametrize("what", ["access", "tokens"])
def test_a_token_revoked_under_a_live_session_is_healed_without_a_restart(story: Story, what: str, event: bool) -> None:
    """`access`: the refresh token still works; `tokens`: only a login with the key does."""
    story.begin()
    before, pid = story.sessions[0], story.process.pid
    story.revoke(what)
    story.kick(code=4001, event=event)
    after = story.until_up(before["id"])
    assert after["token"] != before["token"]
    assert story.process.pid == pid
    assert story.process.runs
    assert len(story.sessions) == 1
    assert not story.bed.events("channel.stopped")
    assert {one["code"] for one in story.bed.events("channel.refused")} == {"4001"}


@pytest.mark.parametrize("denial", ["answer_and_close", "answer", "close"])
def test_a_token_refused_at_a_reconnect_is_healed_however_the_gateway_says_so(story: Story, denial: str) -> None:
    story.begin()
    before = story.sessions[0]
    story.change(AUN_SIM_CONNECT_DENIAL=denial)
    story.revoke("tokens")
    story.kick(code=1006, event=False)
    after = story.until_up(before["id"])
    assert after["token"] != before["token"]


def test_a_reconnect_takes_the_token_in_hand(story: Story) -> None:
    story.begin()
    before, calls = story.sessions[0], asked_for(story)
    for _ in range(2):
        last = story.sessions[0]
        story.kick(code=1000, event=False)
        again = story.until_up(last["id"])
        assert again["token"] == before["token"]
    assert calls == asked_for(story)
    assert story.tally["connected_with"] == {before["token"]: 3}


@pytest.mark.parametrize("code", [4009, 4015])
@pytest.mark.parametrize("event", [True, False])
def test_kicked_means_stop_and_say_so(story: Story, code: int, event: bool) -> None:
    story.begin()
    story.kick(code=code, event=event)
    told = story.stopped()
    assert (told["channel"], told["account"], told["code"]) == (CHANNEL, ACCOUNT, str(code))
    assert story.view["state"] == "stopped"
    assert story.tally["sessions"] == 1
    # An operator who has ended the other login has it begin anew.
    story.process.operate("refresh", ACCOUNT)
    story.until_up()
    assert story.tally["sessions"] == 2


def test_two_channels_in_one_slot_do_not_fight(story: Story) -> None:
    story.start("[channels.work]", 'kind = "aun"', f'account = "{ACCOUNT}"', 'device_id = "desk"')
    told = story.stopped()
    assert told["code"] == "4009"
    until("one of them stays", lambda: len(story.sessions) == 1)
    assert story.tally["sessions"] == 2


def test_a_gateway_that_is_down_is_left_for_the_next(story: Story) -> None:
    places = [{"path": "/aun", "priority": 1, "is_up": False}, {"path": "/aun/2", "priority": 2}]
    story.service.ask("PATCH", "/aun/service", {"gateways": places})
    story.begin()
    assert len(story.sessions) == 1


def test_no_storm_where_every_token_is_refused(story: Story) -> None:
    story.begin()
    story.service.ask(
        "POST", "/aun/script", {"operation": "auth.connect", "aid": story.aid, "code": 4001, "close": 4001}
    )
    story.kick(code=4001)
    until("channel.kept-out", lambda: story.bed.events("channel.kept-out"))
    assert len(story.bed.events("channel.refused")) == 3
    assert sum(asked_for(story).values()) <= 8
    assert story.tally["calls"]["auth.connect"] <= 12
    assert story.process.runs


@pytest.mark.parametrize("follows", [True, False])
def test_a_newer_token_is_taken_up_by_a_new_login_only_where_that_is_wanted(story: Story, follows: bool) -> None:
    story.begin(f"reconnect_with_new_token = {str(follows).lower()}")
    before = story.sessions[0]
    story.process.operate("refresh", ACCOUNT)
    if follows:
        after = story.until_up(before["id"])
        assert after["token"] != before["token"]
        assert story.tally["sessions"] == 2
    else:
        assert story.sessions == [before]
        assert story.tally["sessions"] == 1
    assert "4009" not in story.tally["ended"]
    assert not story.bed.events("channel.stopped")
