"""How a project lost its refresh tokens, told again with freshd in the place of its own store.

It kept them in a .env file.  Its set-up "tested" the configuration with a call that renewed, and the successor was
lost; each new process renewed for itself; a process died between the answer and the write; an old copy came back.
Here the same happens: set-up out of the file, a verification, two programs that only read, a script that goes on
writing the file, and kills in the middle of renewals.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from freshd.client import Client, ClientError
from tests.crash.scene import Process
from tests.crash.services import Sandbox
from tests.flow.bed import Bed, until
from tests.flow.door import call
from tests.flow.feishu_stage import USER_INFO
from tests.flow.scenarios import counted
from tests.flow.shift import Shift

pytestmark = pytest.mark.timeout(180)
APP, NAME = "cli_story", "story"
KILLS = 4
ACCESS_SECONDS = 6.0
REFRESH_KEY = "FEISHU_REFRESH_TOKEN"
KEPT = ("# the bot's own", "BOT_NAME=bot", "LAST=1")


class Story:
    """The service, the daemon, and the project's file."""

    def __init__(self, bed: Bed, service: Sandbox, life: float) -> None:
        self.bed, self.service = bed, service
        self.service.ask("POST", "/feishu/apps", {"app_id": APP, "secret": "secret-of-story"})
        lives = {"FEISHU_SIM_ACCESS_TTL_S": life, "FEISHU_SIM_TOKEN_CHARS": 200}
        self.service.ask("PATCH", "/feishu/constants", lives)
        wish = {"label": NAME, "app_id": APP, "open_id": "ou_story"}
        self.pair = service.ask("POST", "/feishu/mint", wish)["grants"][0]
        bed.folder.joinpath("bot").mkdir(mode=0o700)
        self.env = bed.folder / "bot" / ".env"
        self.env.touch(0o600)
        self.write(self.pair["refresh_token"], self.pair["access_token"], self.pair["expires_at"])

    def write(self, refresh: str, access: str = "", expires: float = 0) -> None:
        lines = [
            KEPT[0], f"FEISHU_APP_ID={APP}", "FEISHU_APP_SECRET=secret-of-story", KEPT[1],
            f"FEISHU_REFRESH_TOKEN={refresh}", f"FEISHU_USER_ACCESS_TOKEN={access}",
            f"FEISHU_TOKEN_EXPIRES_AT={expires:.0f}", KEPT[2],
        ]  # fmt: skip
        self.env.write_text("\n".join(lines) + "\n")

    def value(self, name: str) -> str:
        lines = (line.partition("=") for line in self.env.read_text().splitlines())
        return next(value for key, _, value in lines if key == name)

    def lines(self, *more: str) -> list[str]:
        secret = self.bed.folder / "secret"
        secret.touch(0o600)
        secret.write_text("secret-of-story")
        return [
            f"[accounts.{NAME}]", 'kind = "feishu"', f'app_id = "{APP}"', f'app_secret = {{ file = "{secret}" }}',
            f'open_url = "{self.service.issuer}"', f'accounts_url = "{self.service.issuer}"',
            f"readers = {{ users = [{os.geteuid()}] }}", "min_interval = 0", "allow_short_lived = true", *more,
        ]  # fmt: skip

    def renewals(self) -> int:
        """How often a refresh token was presented, whatever came of it."""
        return int(self.service.ask("GET", "/counters")["total"]["calls"].get("refresh_token", 0))

    def works(self, token: str) -> bool:
        status, _ = call(self.service.issuer, "GET", USER_INFO, headers={"Authorization": f"Bearer {token}"})
        return status == 200


class Program(Shift):
    """One of the two programs: reads a token, uses it, and never renews."""

    def __init__(self, story: Story) -> None:
        super().__init__()
        self._story = story
        self.used = 0
        self.refused = 0

    def _work(self) -> None:
        with Client(str(self._story.bed.socket)) as client:
            while not self._ends.wait(0.05):
                try:
                    token = client.token(NAME, wait=2)
                except ClientError:
                    continue
                worked = self._story.works(token.value)
                self.used += worked
                self.refused += not worked


@pytest.fixture
def story(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Story]:
    with Sandbox() as service, Bed(tmp_path) as bed:
        yield Story(bed, service, getattr(request, "param", ACCESS_SECONDS))


def begun(story: Story) -> Process:
    """Set up from the file, as its owner would."""
    story.bed.write(*story.lines())
    process = story.bed.up()
    said = story.bed.run("import-env", NAME, "--file", str(story.env), "--keep-access", "--yes")
    assert said.code == 0, said.text
    assert story.pair["refresh_token"] not in said.text
    assert story.value("FEISHU_REFRESH_TOKEN") == ""
    return process


@pytest.mark.parametrize("story", [3600.0], indirect=True)
def test_I8_the_verification_that_once_cost_the_token_costs_nothing(story: Story) -> None:
    begun(story)
    until("it lives", lambda: story.bed.token(NAME).code == 0)
    before = story.renewals()
    assert story.bed.run("check").code == 0
    doctor = story.bed.run("doctor", NAME, "--json")
    assert json.loads(doctor.out)["worst"] == "ok", doctor.out
    for words in (("status",), ("explain", NAME), ("doctor",)):
        story.bed.run(*words)
    assert story.renewals() == before


def test_two_programs_a_script_that_still_writes_and_kills_lose_no_token(story: Story) -> None:
    """Kills fall while the service still holds the request, and right after an answer; between them lies the one
    window that no order of writes can close, which the kill tables measure.
    """
    process = begun(story)
    with Program(story) as first, Program(story) as second:
        until("both read", lambda: first.used and second.used)
        for number in range(KILLS):
            _die_in_flight(story, process) if number % 2 == 0 else process.operate("refresh", NAME)
            process.kill()
            story.write(story.pair["refresh_token"])
            process = story.bed.up()
            until("it lives", lambda process=process: process.view(NAME)["phase"] == "live")  # type: ignore[misc]
            assert process.operate("refresh", NAME)
        used = first.used, second.used
        until("both go on", lambda: first.used > used[0] and second.used > used[1])
    page = story.service.ask("GET", f"/ledger/{NAME}")
    fates = counted(f"{one['grant_type']} {one['outcome']}" for one in page["calls"])
    print(f"{KILLS} kills; {fates}; uses {first.used + second.used}, refused {first.refused + second.refused}")
    assert (page["counters"]["spent_uses"], page["counters"]["doubtful_replays"]) == (0, 0)
    assert first.refused + second.refused == 0
    assert not story.bed.events("account.parked")
    [grant] = story.service.ask("GET", f"/feishu/grants/{NAME}")["grants"]
    assert (grant["live_refresh_tokens"], grant["killed_by"]) == (1, None)
    assert all(line in story.env.read_text().splitlines() for line in KEPT)


def test_I5_the_old_copy_that_a_script_writes_back_is_taken_out_and_never_presented(story: Story) -> None:
    process = begun(story)
    until("it lives", lambda: story.bed.token(NAME).code == 0)
    keys = 'access_token = "FEISHU_USER_ACCESS_TOKEN", expires_at = "FEISHU_TOKEN_EXPIRES_AT"'
    story.bed.write(*story.lines(f'env_file = {{ path = "{story.env}", {keys}, refresh_token = "{REFRESH_KEY}" }}'))
    story.bed.hang_up(process, event="config.reloaded")
    process.operate("refresh", NAME)
    for _ in range(3):
        story.write(story.pair["refresh_token"])
        story.bed.hang_up(process, event="config.reloaded")
        until("it is taken out", lambda: story.value(REFRESH_KEY) == "")
        process.operate("refresh", NAME)
        token = story.bed.token(NAME).out.strip()
        until("the script finds the newest", lambda token=token: story.value("FEISHU_USER_ACCESS_TOKEN") == token)  # type: ignore[misc]
    counters = story.service.ask("GET", f"/ledger/{NAME}")["counters"]
    assert (counters["spent_uses"], counters["doubtful_replays"]) == (0, 0)
    assert story.bed.events("envfile.stale", NAME)
    assert not story.bed.events("envfile.adopted", NAME)


def _die_in_flight(story: Story, process: Process) -> None:
    """A renewal is asked for, and the service sits on the request; it will not have acted."""
    wish = {"fault": "hang", "seconds": 60, "label": NAME, "grant_type": "refresh_token", "count": 1}
    story.service.ask("POST", "/faults", wish)
    before = story.renewals()
    threading.Thread(target=_refresh, args=(process,), daemon=True).start()
    until("the request has arrived", lambda: story.renewals() > before)


def _refresh(process: Process) -> None:
    """The kill cuts it short."""
    with contextlib.suppress(RuntimeError):
        process.operate("refresh", NAME)


@pytest.mark.parametrize("way", ["20074", "secret"])
def test_the_advice_to_reload_helps_where_only_the_other_side_was_put_right(story: Story, way: str) -> None:
    process = begun(story)
    until("it lives", lambda: story.bed.token(NAME).code == 0)
    wrong: dict[str, Any] = {"refreshing": False} if way == "20074" else {"secret": "x"}
    story.service.ask("PATCH", "/feishu/apps", {"app_id": APP, **wrong})
    with pytest.raises(RuntimeError):
        process.operate("refresh", NAME)
    assert "then reload" in process.view(NAME)["remedy"]
    if way == "secret":
        (story.bed.folder / "secret").write_text("x")
    else:
        story.service.ask("PATCH", "/feishu/apps", {"app_id": APP, "refreshing": True})
    story.bed.hang_up(process, event="config.reloaded")
    until("it lives again", lambda: process.view(NAME)["phase"] == "live")
