"""A platform and its brokers with calls that are written down and answered by script."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from freshd.core.access import Readers
from freshd.core.model import Moment, Secret
from freshd.core.outcome import Performed
from freshd.core.profile import Profile
from freshd.core.settings import AccountSettings, SecretRef
from freshd.providers.deps import Deps
from freshd.providers.discovery import Discovery
from freshd.providers.futu import broker, platform
from freshd.providers.http import Call, Http
from freshd.providers.registry import Schemas
from tests.unit.providers.futu_parts import CONTRACT, SENT, reply


@dataclass
class Calls:
    """Takes the place of `Http`: answers in turn, the last one stays."""

    answers: list[Performed] = field(default_factory=lambda: [reply({"result": {}})])
    made: list[Call] = field(default_factory=list)

    async def call(self, call: Call) -> Performed:
        self.made.append(call)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@dataclass
class Clock:
    passed: float = 0.0

    def now(self) -> Moment:
        return Moment(SENT.wall + self.passed, SENT.boot + self.passed, SENT.boot_id)

    def boot(self) -> float:
        return self.now().boot


class Bench:
    def __init__(self, **keys: Any) -> None:
        self.calls, self.clock = Calls(), Clock()
        self.deps = Deps(
            cast("Http", self.calls), self._resolve, self.clock, Discovery(cast("Http", self.calls), self.clock)
        )
        self.main = account("main", "futu", {"account": "ann@example.org", **keys})

    async def _resolve(self, reference: SecretRef) -> Secret:
        raise NotImplementedError

    def platform(self, *brokers: AccountSettings) -> platform.Platform:
        return platform.make(self.main, self.deps, brokers)

    def broker(self, **keys: Any) -> broker.Broker:
        return broker.make(hk(**keys), self.deps, [self.main])

    def paths(self) -> Sequence[str]:
        return [call.url.partition("://")[2].partition("/")[2].partition("?")[0] for call in self.calls.made]


def hk(**keys: Any) -> AccountSettings:
    return account("hk", "futu-broker", {"platform": "main", "broker_id": 1001, **keys})


def account(name: str, kind: str, keys: dict[str, Any]) -> AccountSettings:
    parsed = Schemas()[kind].parse(name, keys)
    assert not parsed.problems
    return AccountSettings(
        name, kind, Readers(), Profile(kind, kind, CONTRACT), parsed.options, parsed.binding, head=parsed.head
    )
