"""outlets.mirror: .env files follow their accounts, and what others write into them is taken back."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from freshd.core.events import Event
from freshd.core.model import Lease, Secret
from freshd.core.settings import EnvFileSettings
from freshd.errors import NotPossible, VaultLocked
from freshd.outlets.apart import Apart
from freshd.outlets.mirror import Links, Mirror
from freshd.tokens import Published
from tests.fakes.time import EPOCH, VirtualTime, run

TEXT = "# the bot's\nAPP=1\nTOKEN=\nENDS=\nREFRESH=\n"


class World:
    """One account, `bot`, with a file; the rest of the daemon as the mirror sees it."""

    def __init__(self, path: Path) -> None:
        self.time = VirtualTime()
        self.path = path
        self.settings = EnvFileSettings(path, "TOKEN", "ENDS", "REFRESH")
        self.leases: dict[str, Published] = {}
        self.known: set[str] = set()
        self.adopted: list[dict[str, str]] = []
        self.refusal: Exception | None = None
        self.meanwhile: Callable[[str], None] | None = None
        self.since: float | None = None
        self.events: list[Event] = []
        path.write_text(TEXT)
        path.chmod(0o600)

    def links(self) -> Links:
        return Links(
            self.time, self._tell, self.leases.get, lambda _account: self.since, self._knew, self._adopt,
            lambda work, name: asyncio.get_running_loop().create_task(work, name=name),
        )  # fmt: skip

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        self.mirror.tell(event)

    async def _knew(self, _account: str, secret: Secret) -> bool:
        return secret.reveal() in self.known

    async def _adopt(self, _account: str, secrets: Mapping[str, str]) -> None:
        await asyncio.sleep(0)
        if self.refusal is not None:
            raise self.refusal
        assert "REFRESH=\n" not in self.path.read_text(), "emptied before it was stored"
        self.adopted.append(dict(secrets))
        self.known.add(secrets["refresh_token"])
        if self.meanwhile is not None:
            self.meanwhile(secrets["refresh_token"])

    def publish(self, token: str, valid_for: float = 7200.0) -> None:
        lease = Lease("bot", 1, Secret(token), self.time.now(), valid_for)
        at = self.time.now()
        self.leases["bot"] = Published(lease, at.boot + valid_for, at.wall + valid_for, lease.fingerprint)
        self.mirror.tell(Event("refresh.succeeded", "bot"))

    @property
    def told(self) -> list[str]:
        return [event.name for event in self.events]

    def value(self, name: str) -> str:
        return dict(line.split("=", 1) for line in self.path.read_text().splitlines() if "=" in line)[name]

    def put(self, **values: str) -> None:
        """Another program rewrites its file in place."""
        lines = [line.partition("=") for line in self.path.read_text().splitlines()]
        self.path.write_text("".join(f"{name}{sign}{values.get(name, old)}\n" for name, sign, old in lines))

    def live(self, work: Callable[[], Awaitable[None]]) -> None:
        async def life() -> None:
            self.mirror = Mirror(self.links(), Apart(inline=True))
            self.mirror.configure({"bot": self.settings})
            task = asyncio.get_running_loop().create_task(self.mirror.run())
            try:
                await work()
            finally:
                task.cancel()

        run(self.time, life())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / ".env")


def test_every_new_lease_is_written_with_its_end_and_nothing_else_changes(world: World) -> None:
    async def work() -> None:
        for number in (1, 2):
            world.publish(f"u-{number}")
            await asyncio.sleep(0.5)
            ends = round(world.leases["bot"].expires_at)
            assert world.path.read_text() == f"# the bot's\nAPP=1\nTOKEN=u-{number}\nENDS={ends}\nREFRESH=\n"

    world.live(work)
    assert world.told == []


def test_a_lease_that_was_there_before_the_start_is_written_too(world: World) -> None:
    async def work() -> None:
        await asyncio.sleep(0.5)
        world.publish("u-1")
        await asyncio.sleep(0.5)

    world.live(work)
    world.path.write_text(TEXT)

    async def later() -> None:
        await asyncio.sleep(0.5)
        assert world.value("TOKEN") == "u-1"

    world.live(later)


def test_an_access_token_that_another_program_wrote_is_put_right(world: World) -> None:
    async def work() -> None:
        world.publish("u-1")
        await asyncio.sleep(0.5)
        world.put(TOKEN="u-theirs")
        await asyncio.sleep(11)
        assert world.value("TOKEN") == "u-1"

    world.live(work)


def test_a_foreign_refresh_token_is_adopted_once_told_and_emptied(world: World) -> None:
    async def work() -> None:
        await asyncio.sleep(1)
        world.put(REFRESH="ur-new")
        await asyncio.sleep(12)
        assert world.adopted == [{"refresh_token": "ur-new"}]
        assert world.value("REFRESH") == ""
        await asyncio.sleep(60)

    world.live(work)
    assert world.told == ["envfile.adopted"]
    assert len(world.adopted) == 1


def test_the_access_token_beside_it_is_taken_along_where_it_says_when_it_ends(world: World) -> None:
    async def work() -> None:
        world.publish("u-ours")
        await asyncio.sleep(1)
        world.put(REFRESH="ur-new", TOKEN="u-theirs", ENDS=f"{EPOCH + 5000:.0f}")
        await asyncio.sleep(12)

    world.live(work)
    assert world.adopted == [
        {"refresh_token": "ur-new", "access_token": "u-theirs", "expires_at": f"{EPOCH + 5000:.0f}"}
    ]


def test_our_own_access_token_is_not_taken_for_theirs(world: World) -> None:
    async def work() -> None:
        world.publish("u-ours")
        await asyncio.sleep(1)
        world.put(REFRESH="ur-new")
        await asyncio.sleep(12)

    world.live(work)
    assert world.adopted == [{"refresh_token": "ur-new"}]


def test_I5_a_token_that_was_ever_held_is_never_adopted_but_told_once_and_emptied(world: World) -> None:
    world.known.add("ur-old")

    async def work() -> None:
        for _ in range(5):
            world.put(REFRESH="ur-old")
            await asyncio.sleep(12)
            assert world.value("REFRESH") == ""

    world.live(work)
    assert world.adopted == []
    assert world.told == ["envfile.stale"]


def jwt(**claims: float) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJFUzI1NiJ9.{body}.c2ln"


@pytest.mark.parametrize(
    ("token", "why"),
    [(jwt(exp=EPOCH - 3600), "it is over"), (jwt(iat=EPOCH - 86_400, exp=EPOCH + 86_400), "older than the one in use")],
)
def test_a_token_that_says_itself_that_it_is_no_good_is_not_adopted(world: World, token: str, why: str) -> None:
    world.since = EPOCH - 3600

    async def work() -> None:
        world.put(REFRESH=token)
        await asyncio.sleep(12)

    world.live(work)
    assert world.adopted == []
    assert why in str(world.events[0].fields["why"])


def test_a_newer_token_that_says_its_age_is_adopted(world: World) -> None:
    world.since = EPOCH - 3600

    async def work() -> None:
        world.put(REFRESH=jwt(iat=EPOCH - 10, exp=EPOCH + 86_400))
        await asyncio.sleep(12)

    world.live(work)
    assert len(world.adopted) == 1


def test_half_a_line_is_no_token(world: World) -> None:
    """A file that is still being written is left until it stands still."""

    async def work() -> None:
        await asyncio.sleep(9.5)
        for number in range(1, 20):
            world.put(REFRESH="ur-" + "x" * number)
            await asyncio.sleep(0.3)
            assert world.adopted == []
        await asyncio.sleep(12)

    world.live(work)
    assert world.adopted == [{"refresh_token": "ur-" + "x" * 19}]


def test_a_newer_token_that_comes_meanwhile_is_not_emptied_with_the_old_one(world: World) -> None:
    world.meanwhile = lambda adopted: world.put(REFRESH="ur-2") if adopted == "ur-1" else None

    async def work() -> None:
        world.put(REFRESH="ur-1")
        await asyncio.sleep(40)

    world.live(work)
    assert [given["refresh_token"] for given in world.adopted] == ["ur-1", "ur-2"]
    assert world.value("REFRESH") == ""


def test_where_it_cannot_be_stored_nothing_is_touched_and_it_is_told_once(world: World) -> None:
    world.refusal = NotPossible("a call is under way", "try again")

    async def work() -> None:
        world.put(REFRESH="ur-new")
        await asyncio.sleep(60)
        assert world.value("REFRESH") == "ur-new"
        assert world.told == ["envfile.not-adopted"]
        world.refusal = None
        await asyncio.sleep(12)
        assert world.value("REFRESH") == ""

    world.live(work)
    assert world.told == ["envfile.not-adopted", "envfile.adopted"]


def test_a_locked_vault_is_waited_for_in_silence(world: World) -> None:
    world.refusal = VaultLocked("locked", "unlock")

    async def work() -> None:
        world.put(REFRESH="ur-new")
        await asyncio.sleep(60)
        assert world.told == []
        world.refusal = None
        await asyncio.sleep(12)

    world.live(work)
    assert world.told == ["envfile.adopted"]


def test_a_file_that_cannot_be_kept_in_step_is_told_once_and_again_when_it_can(world: World) -> None:
    async def work() -> None:
        world.path.chmod(0o400)
        world.publish("u-1")
        await asyncio.sleep(60)
        world.publish("u-2")
        await asyncio.sleep(60)
        assert world.told == ["envfile.unusable"]
        assert "read-only" in str(world.events[0].fields["cause"])
        world.path.chmod(0o600)
        await asyncio.sleep(12)
        assert world.value("TOKEN") == "u-2"

    world.live(work)
    assert world.told == ["envfile.unusable", "envfile.usable"]


@pytest.mark.parametrize("text", ["TOKEN=\nENDS=\n", "TOKEN=\nENDS=\nREFRESH=$X\n", ""])
def test_a_line_that_is_missing_or_odd_is_told_and_never_passed_over(world: World, text: str) -> None:
    async def work() -> None:
        world.path.write_text(text)
        world.publish("u-1")
        await asyncio.sleep(30)

    world.live(work)
    assert world.told == ["envfile.unusable"]
    assert world.path.read_text() == text


def test_a_file_that_is_away_for_an_instant_is_no_alert(world: World) -> None:
    async def work() -> None:
        await asyncio.sleep(9.5)
        aside = world.path.with_name("aside")
        world.path.rename(aside)
        world.publish("u-1")
        await asyncio.sleep(0.7)
        aside.rename(world.path)
        await asyncio.sleep(12)

    world.live(work)
    assert world.told == []
    assert world.value("TOKEN") == "u-1"


def test_when_no_program_wrote_for_a_day_the_alert_is_over(world: World) -> None:
    async def work() -> None:
        world.put(REFRESH="ur-new")
        await asyncio.sleep(90_000)

    world.live(work)
    assert world.told == ["envfile.adopted", "envfile.quiet"]


def test_a_reload_that_takes_the_file_away_ends_its_alerts_and_touches_nothing_more(world: World) -> None:
    async def work() -> None:
        world.put(REFRESH="ur-new")
        await asyncio.sleep(12)
        world.mirror.configure({})
        world.publish("u-9")
        world.put(REFRESH="ur-more")
        await asyncio.sleep(30)

    world.live(work)
    assert world.told == ["envfile.adopted", "envfile.released"]
    assert (world.value("TOKEN"), world.value("REFRESH")) == ("", "ur-more")


def test_a_reload_that_changes_nothing_forgets_nothing(world: World) -> None:
    world.known.add("ur-old")

    async def work() -> None:
        world.put(REFRESH="ur-old")
        await asyncio.sleep(12)
        world.mirror.configure({"bot": world.settings})
        world.put(REFRESH="ur-old")
        await asyncio.sleep(12)

    world.live(work)
    assert world.told == ["envfile.stale"]


def test_the_last_lease_is_written_at_the_end(world: World) -> None:
    async def work() -> None:
        await asyncio.sleep(1)
        lease = Lease("bot", 1, Secret("u-last"), world.time.now(), 60.0)
        world.leases["bot"] = Published(lease, 1.0, EPOCH + 60, lease.fingerprint)
        await world.mirror.aclose()
        assert world.value("TOKEN") == "u-last"

    world.live(work)


def test_without_a_name_for_the_refresh_token_none_is_looked_for(world: World) -> None:
    world.settings = EnvFileSettings(world.path, "TOKEN")

    async def work() -> None:
        world.put(REFRESH="ur-new")
        world.publish("u-1")
        await asyncio.sleep(30)

    world.live(work)
    assert world.adopted == []
    assert (world.value("TOKEN"), world.value("ENDS"), world.value("REFRESH")) == ("u-1", "", "ur-new")


def test_I10_no_event_holds_a_value(world: World) -> None:
    world.known.add("ur-canary-1")

    async def work() -> None:
        world.publish("u-canary")
        world.put(REFRESH="ur-canary-1")
        await asyncio.sleep(12)
        world.put(REFRESH="ur-canary-2")
        await asyncio.sleep(12)
        world.path.write_text("TOKEN='canary\n")
        await asyncio.sleep(30)

    world.live(work)
    assert len(world.events) == 3
    assert "canary" not in repr(world.events)
