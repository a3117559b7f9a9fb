"""What is done to GeniusAuth accounts, scene by scene.  What is expected stands in `test_geniusauth_scenarios`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.flow.bed import until
from tests.flow.geniusauth_stage import REFRESH, GeniusStage
from tests.flow.scenarios import Rows
from tests.flow.stage import Scene, play
from tests.flow.watchman import knocked

Strike = Callable[[GeniusStage, str], None]
HEALS: Final = ("refresh.succeeded",)
PARKS: Final = ("account.parked",)
ENROLLED: Final = ("account.enrolled",)
FAILED: Final = ("enrolment.failed",)
AT_ONCE: Final = ()
OLD: Final[dict[str, str]] = {}
"""By account: a refresh token of which another program has a copy."""
SAID: Final[dict[str, str]] = {}
"""By account: what a person was told whose login came to nothing; empty where it was taken."""


def fault(kind: str, grant_type: str = "refresh", **more: object) -> Strike:
    """The next renewal meets it."""

    def strike(stage: GeniusStage, name: str) -> None:
        stage.base.fault(name, kind, grant_type=grant_type, **more)

    return strike


def refusal(name: str, code: int, ends: tuple[str, ...] = HEALS, **more: object) -> Scene:
    """The next renewal is refused with this code."""

    def strike(stage: GeniusStage, account: str) -> None:
        stage.order(account, code, **more)

    return Scene(name, strike, ends)


def lets_be(_stage: GeniusStage, _name: str) -> None:
    """The scene's constants, or its configuration, are strange enough."""


def refused_connections(stage: GeniusStage, name: str) -> None:
    knocked(stage.base.door, stage.base.log, name, times=1)


def renewed(stage: GeniusStage, name: str) -> None:
    stage.base.process.operate("refresh", name)


def enrolled(stage: GeniusStage, name: str) -> None:
    stage.enrol(name)


# -- the application ----------------------------------------------------------------------------------------------


def secret_changed(stage: GeniusStage, name: str) -> None:
    stage.register(name, secret="another")


def secret_put_right(stage: GeniusStage, name: str) -> None:
    stage.base.secret(name, "another")
    renewed(stage, name)


def app_deleted(stage: GeniusStage, name: str) -> None:
    stage.base.service.ask("DELETE", f"/geniusauth/apps?app_code=app-{name}&cached=0")


def app_restored(stage: GeniusStage, name: str) -> None:
    stage.register(name)
    renewed(stage, name)


# -- tokens -------------------------------------------------------------------------------------------------------


def lease_taken_back(stage: GeniusStage, name: str) -> None:
    """The access token dies before its end; the refresh token goes on."""
    stage.base.service.ask("POST", "/revoke_access", {"label": name})


def with_payload(stage: GeniusStage, name: str) -> None:
    OLD[name] = str(stage.mint(name, payload="tenant-a")["refresh_token"])
    stage.base.give(name, refresh_token=OLD[name])


def payload_changed(stage: GeniusStage, name: str) -> None:
    """Another payload; then another program renews with the token from before."""
    stage.base.process.operate("operate", name, operation="payload", given={"payload": "tenant-b"})
    assert stage.ask(name, "POST", REFRESH, token=OLD[name]) is None


def payload_lost(kind: str) -> Strike:
    """The answer is lost, so the operator is told no, and says it again."""

    def strike(stage: GeniusStage, name: str) -> None:
        stage.base.fault(name, kind, grant_type="payload")
        wish = {"operation": "payload", "given": {"payload": "tenant-b"}}
        assert stage.base.told("operate", name, **wish)
        until("another payload", lambda: not stage.base.told("operate", name, **wish))

    return strike


# -- the end ------------------------------------------------------------------------------------------------------


def revoked(stage: GeniusStage, name: str) -> None:
    stage.base.process.operate("revoke", name)


def revoked_lost(kind: str) -> Strike:
    """The answer is lost: the operator is told so, everything is kept, and it is said again."""

    def strike(stage: GeniusStage, name: str) -> None:
        stage.base.fault(name, kind, endpoint="revoke")
        assert "did not end the login" in stage.base.told("revoke", name)
        stage.base.process.operate("revoke", name)

    return strike


def revoked_in_body(stage: GeniusStage, name: str) -> None:
    assert "did not end the login" in stage.base.told("revoke", name)


# -- a person -----------------------------------------------------------------------------------------------------


def login(kind: str = "", code: int = 0, **more: object) -> Strike:
    """A person logs in, and the exchange meets this; what it said is not said again."""

    def strike(stage: GeniusStage, name: str) -> None:
        if kind:
            stage.base.fault(name, kind, grant_type="login", **more)
        if code:
            stage.order(name, code, operation="login")
        SAID[name] = stage.enrol(name)

    return strike


def login_used_up(stage: GeniusStage, name: str) -> None:
    """The login token was looked at by somebody else first."""
    session, place = stage.begun(name)
    token = place.partition("token=")[2]
    stage.set(name, {"FAULT_BURNS_LOGIN": True})
    assert stage.ask(name, "POST", "/api/v1/public/login/verify", token=token, grantType="once") is None
    assert "6" in stage.finish(name, session, place)


def imported(stage: GeniusStage, name: str) -> None:
    stage.base.give(name, refresh_token=stage.mint(name)["refresh_token"])


def page_followed(stage: GeniusStage, name: str) -> None:
    """The service renews as its page has it from now on."""
    stage.set(name, {"DIALECT": "wiki"})


SCENES: Final = (
    # nothing is spent by a renewal, so whatever is lost is asked for again
    Scene("refresh-lost-before", fault("lost_before_commit")),
    Scene("refresh-lost-after", fault("lost_after_commit")),
    Scene("refresh-slower-than-the-deadline", fault("slow", seconds=2.5, when="after"), keys=("deadline = 1.0",)),
    Scene("refresh-reset", fault("reset")),
    Scene("refresh-cut-short", fault("cut_short")),
    Scene("refresh-html", fault("html")),
    Scene("refresh-502", fault("bad_gateway")),
    Scene("refresh-redirected", fault("redirect")),
    Scene("refresh-429", fault("rate_limited", retry_after=1)),
    Scene("refused-connection", refused_connections, keys=('base_url = "{door}"',)),
    # codes
    refusal("database-4", 4),
    refusal("remote-5-with-500", 5),
    refusal("fault-8", 8),
    refusal("stamp-9-once", 9),
    refusal("stamp-9-again", 9, PARKS, count=2),
    refusal("too-frequent-19", 19),
    refusal("malformed-1", 1, PARKS),
    refusal("not-authorised-5-with-401", 5, PARKS, status=401),
    refusal("no-group-7", 7, PARKS),
    refusal("unknown-code-99", 99, PARKS),
    Scene("secret-changed-6", secret_changed, PARKS, then=secret_put_right),
    Scene("app-deleted-3", app_deleted, PARKS, then=app_restored),
    # odd answers
    Scene("code-as-text", lets_be, constants={"CODE_AS_TEXT": True}),
    Scene("access-token-by-another-name", lets_be, constants={"REFRESH_ACCESS_FIELD": "accessToken"}),
    Scene("another-users-token", fault("wrong_subject", subject="9"), PARKS, then=enrolled),
    Scene("lease-refused-31", lease_taken_back),
    # the payload, and the end
    Scene("payload-then-the-old-token", payload_changed, AT_ONCE, begins=with_payload, then=renewed),
    Scene("payload-lost-before", payload_lost("lost_before_commit"), ENROLLED, begins=with_payload),
    Scene("payload-lost-after", payload_lost("lost_after_commit"), ENROLLED, begins=with_payload),
    Scene("revoked", revoked, AT_ONCE, then=enrolled),
    Scene("revoked-lost-before", revoked_lost("lost_before_commit"), AT_ONCE),
    Scene("revoked-lost-after", revoked_lost("lost_after_commit"), AT_ONCE),
    Scene("revoked-in-the-body", revoked_in_body, AT_ONCE, keys=("delete_in_body = true",)),
    # a person logs in
    Scene("login", login(), ENROLLED),
    Scene("login-first", login(), ENROLLED, is_vacant=True),
    Scene("login-empty-access-token", login(), HEALS, constants={"LOGIN_EMPTY_ACCESS": True}, is_vacant=True),
    Scene("login-lost-before", login("lost_before_commit"), FAILED, is_vacant=True, then=enrolled),
    Scene("login-lost-after", login("lost_after_commit"), FAILED, is_vacant=True, then=enrolled),
    Scene("login-lost-beside-a-grant", login("lost_after_commit"), FAILED, then=renewed),
    Scene("login-502-after", login("bad_gateway", after_commit=True), FAILED, is_vacant=True, then=enrolled),
    Scene("login-fault-8", login(code=8), FAILED, is_vacant=True, then=enrolled),
    Scene("login-used-up-6", login_used_up, FAILED, is_vacant=True, then=enrolled),
    # as the service's page has it
    Scene("wiki-without-a-way-round", page_followed, PARKS, begins=with_payload),
    Scene("wiki-with-patch", page_followed, HEALS, keys=("patch_fallback = true",), begins=with_payload),
    Scene("wiki-with-patch-and-no-payload", page_followed, PARKS, keys=("patch_fallback = true",)),
    Scene("form-to-its-program-1", imported, PARKS, keys=('dialect = "wiki"',), is_vacant=True),
)


def lived(folder: Path) -> Rows:
    """All of it."""
    return play(folder, GeniusStage, SCENES)
