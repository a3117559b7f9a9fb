"""The command line against the real socket, with a scripted engine behind it."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from freshd.api.listen import Place
from freshd.api.server import Api
from freshd.cli.verbs import cli
from freshd.tokens import Health
from tests.api.world import FakeClock, FakeTokens, World

Freshd = Callable[..., Awaitable[Result]]


class Engine(FakeTokens):
    """Answers verbs by script: `script[verb]` is a list of answers, the last one stays; an exception is raised."""

    def __init__(self, clock: FakeClock, *names: str) -> None:
        super().__init__(clock, *names)
        self.script: dict[str, list[Mapping[str, Any] | Exception]] = {}
        self.looks: dict[str, dict[str, Any]] = {}

    async def operate(self, verb: str, account: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        plain = await super().operate(verb, account, args)
        answers = self.script.get(verb)
        if not answers:
            return plain
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def tend(self, verb: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        plain = await super().tend(verb, args)
        answers = self.script.get(verb)
        answer = plain if not answers else answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def health(self, account: str) -> Health:
        return replace(super().health(account), **self.looks.get(account, {}))


@pytest.fixture(autouse=True)
def no_daemon_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*os.environ]:
        if name.startswith(("FRESHD_", "XDG_")) or name in ("DISPLAY", "WAYLAND_DISPLAY", "CREDENTIALS_DIRECTORY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FRESHD_CONFIG", str(tmp_path / "freshd.toml"))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A daemon; this user operates it and may read `calendar`, which has a lease, and `mail`, which has none."""
    clock = FakeClock()
    world = World(clock, Engine(clock, "calendar", "mail", "secret"), str(tmp_path / "s.sock"))
    world.tokens.publish("calendar", "token-1", 3600.0)
    world.allow("calendar", "mail", operator=True)
    api = Api(world.tokens, lambda: world.policy, clock, on_audit=world.audited.append, identify=world.identify)
    await api.start(Place(Path(world.path)))
    yield world
    await api.aclose()


@pytest.fixture
def engine(world: World) -> Engine:
    assert isinstance(world.tokens, Engine)
    return world.tokens


@pytest.fixture
def freshd(world: World) -> Freshd:
    """Runs a verb beside the daemon, as another process would."""

    async def run(*arguments: str, stdin: str | None = None) -> Result:
        words = ["--socket", world.path, *arguments]
        return await asyncio.to_thread(CliRunner().invoke, cli, words, stdin)

    return run
