"""What the tests of the Feishu provider share: a record, replies, and an Http that sends nothing."""

from typing import Any

from freshd.core.contract import Contract, Omitted
from freshd.core.model import Binding, Grant, Intent, Lease, Moment, Record, Secret
from freshd.core.outcome import Judged, Reply
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
from freshd.providers.http import Http
from tests.unit.providers.parts import SENT, Clock, FakeHttp

SECRET = SecretRef(Way.FILE, ("/app-secret",))
KEYS: dict[str, Any] = {"app_id": "cli_a1", "app_secret": SECRET}
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


def judge(
    answer: Reply, rung: str = "refresh", terms: Terms = TERMS, record: Record = RECORD, **material: str
) -> Judged:
    return read(rung, record, intent(rung, **material), answer, terms)
