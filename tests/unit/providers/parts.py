"""What the tests of all providers share: replies, a clock, and an Http that sends nothing."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from freshd.core.model import Moment
from freshd.core.outcome import NotSent, Performed, Reply
from freshd.providers.http import Call, Http

SENT = Moment(1_800_000_000.0, 50_000.0, "boot")


class FakeHttp(Http):
    """Answers from a list and remembers what was to be sent."""

    def __init__(self, *answers: Performed) -> None:
        super().__init__()
        self.answers = list(answers)
        self.calls: list[Call] = []

    async def call(self, call: Call) -> Performed:
        self.calls.append(call)
        return self.answers.pop(0) if self.answers else NotSent("nobody answers")

    @property
    def bodies(self) -> list[Any]:
        return [None if call.body is None else json.loads(call.body) for call in self.calls]


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.moment = SENT

    def now(self) -> Moment:
        return self.moment

    def boot(self) -> float:
        return self.moment.boot

    def pass_by(self, seconds: float) -> None:
        self.moment = replace(self.moment, wall=self.moment.wall + seconds, boot=self.moment.boot + seconds)


def reply(body: object, status: int = 200, headers: Mapping[str, str] | None = None, *, complete: bool = True) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, tuple((headers or {}).items()), content, complete)
