"""What the tests of the Feishu provider share: a record, replies, and an Http that sends nothing."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from freshd.core.contract import Contract, Omitted
from freshd.core.model import Binding, Change, Grant, Intent, Lease, Moment, Record, Secret
from freshd.core.outcome import Answered, Judged, NotSent, Performed, Reply
from freshd.core.settings import SecretRef, Way
from freshd.errors import FreshdError
from freshd.providers.deps import Deps
from freshd.providers.discovery import Discovery
from freshd.providers.feishu.app import FeishuApp
from freshd.providers.feishu.app_options import AppOptions, AppSchema
from freshd.providers.feishu.case import Terms
from freshd.providers.feishu.options import Options, Schema
from freshd.providers.feishu.read import read
from freshd.providers.feishu.user import Feishu
from freshd.providers.http import Call, Http

SECRET = SecretRef(Way.FILE, ("/app-secret",))
KEYS: dict[str, Any] = {"app_id": "cli_a1", "app_secret": SECRET}
SENT = Moment(1_800_000_000.0, 50.0, "boot")
EARLIER = Moment(1_790_000_000.0, 1.0, "earlier")
BINDING = Binding("feishu", "https://open.feishu.cn", "cli_a1")
CONTRACT = Contract(omitted=Omitted.DEAD, lease_life=7200, idle_life=604_800, absolute_life=31_536_000)
TERMS = Terms(BINDING, CONTRACT, scope="auth:user.id:read offline_access")
SECRETS = {"refresh_token": Secret("ur-RT-0001"), "refresh_token_v1": Secret("ur-V1-0001")}
OLD = Grant("line", BINDING, SECRETS, EARLIER, EARLIER, valid_for=604_800.0, absolute_for=31_536_000.0)
LEASE = Lease("a", 3, Secret("u-AT-0001"), EARLIER, 7200.0, {"token_type": "Bearer"})
RECORD = Record("a", 3, OLD, LEASE)
PRESENTED = {"refresh": "refresh_token", "refresh-v1": "refresh_token_v1"}
LOG_ID = "20260418221530ABCDEF0123456789ABCD"


class FakeHttp(Http):
    """Answers from a list and remembers what was to be sent."""

    def __init__(self, *answers: Performed) -> None:
        super().__init__()
        self.answers = list(answers)
        self.calls: list[Call] = []

    async def call(self, call: Call) -> Performed:
        self.calls.append(call)
        return self.answers.pop(0) if self.answers else NotSent("nobody answers")


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


async def resolve(reference: SecretRef) -> Secret:
    if reference != SECRET:
        raise FreshdError("no such secret", "write one")
    return Secret("S3cret+app")


def deps(http: Http, clock: Clock | None = None) -> Deps:
    clock = clock or Clock()
    return Deps(http, resolve, clock, Discovery(http, clock))


def provider(http: Http | None = None, clock: Clock | None = None, **keys: Any) -> Feishu:
    parsed = Schema().parse("a", {**KEYS, **keys})
    assert not parsed.problems, parsed.problems
    options: dict[str, Any] = dict(parsed.options)
    return Feishu("a", Options(**options), CONTRACT, deps(http or FakeHttp(), clock))


def app(http: Http | None = None, clock: Clock | None = None, **keys: Any) -> FeishuApp:
    parsed = AppSchema().parse("a", {**KEYS, **keys})
    assert not parsed.problems, parsed.problems
    options: dict[str, Any] = dict(parsed.options)
    return FeishuApp("a", AppOptions(**options), CONTRACT, deps(http or FakeHttp(), clock))


def intent(rung: str = "refresh", **material: str) -> Intent:
    lineage = "line" if rung in PRESENTED else None
    sealed = {name: Secret(value) for name, value in material.items()}
    return Intent("flight", "a", rung, lineage, 3, SENT, sealed, candidate=None if lineage else "candidate")


def reply(body: object, status: int = 200, headers: Mapping[str, str] | None = None, *, complete: bool = True) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, tuple((headers or {}).items()), content, complete)


def judge(
    answer: Reply, rung: str = "refresh", terms: Terms = TERMS, record: Record = RECORD, **material: str
) -> Judged:
    return read(rung, record, intent(rung, **material), answer, terms)


def change(judged: Judged) -> Change:
    assert isinstance(judged, Answered), judged
    [made] = judged.changes
    return made


def lease(judged: Judged) -> Lease:
    made = change(judged).lease
    assert made is not None
    return made


def grant(judged: Judged) -> Grant:
    made = change(judged).grant
    assert made is not None
    return made
