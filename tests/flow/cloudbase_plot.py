"""What is done to CloudBase accounts, scene by scene.  What is expected stands in `test_cloudbase_scenarios`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.flow.bed import until
from tests.flow.cloudbase_stage import ANOTHER, SHOWN, CloudbaseStage
from tests.flow.scenarios import Rows
from tests.flow.stage import Scene, play
from tests.flow.watchman import knocked

Strike = Callable[[CloudbaseStage, str], None]
HEALS: Final = ("refresh.succeeded",)
PARKS: Final = ("account.parked",)
ENROLLED: Final = ("account.enrolled",)
UNABLE: Final = ("refresh.unable",)
IMPORT, CUSTOM, ANONYMOUS, PROVIDER, CREDENTIALS = (
    (f'method = "{name}"',) for name in ("import", "custom", "anonymous", "provider", "client-credentials")
)


def lets_be(_stage: CloudbaseStage, _name: str) -> None:
    """The scene's constants, or its configuration, are strange enough."""


def fault(kind: str, **more: object) -> Strike:
    """The next renewal meets it."""

    def strike(stage: CloudbaseStage, name: str) -> None:
        stage.base.fault(name, kind, grant_type="refresh_token", **more)

    return strike


def order(error: str, **more: Any) -> Strike:
    """The next renewal is refused so."""

    def strike(stage: CloudbaseStage, name: str) -> None:
        stage.order(name, error, **more)

    return strike


def refusal(name: str, error: str, ends: tuple[str, ...] = HEALS, **more: object) -> Scene:
    return Scene(name, order(error, **more), ends)


def gateway(error: str, ends: tuple[str, ...] = HEALS) -> Scene:
    """The gateway's own form, where codes are written large."""
    return Scene(f"gateway-{error.lower().replace('_', '-')}", order(error, speech="gateway"), ends)


def signin(error: str = "", **more: Any) -> Strike:
    """Somebody else signs in, and our own sign-in after that is refused so."""

    def strike(stage: CloudbaseStage, name: str) -> None:
        if error:
            stage.order(name, error, "signin", **more)
        stage.stranger(name)

    return strike


def signin_meets(kind: str, **more: object) -> Strike:
    """The sign-in meets it."""

    def strike(stage: CloudbaseStage, name: str) -> None:
        stage.base.fault(name, kind, grant_type="signin", **more)
        stage.stranger(name)

    return strike


def renewed(stage: CloudbaseStage, name: str) -> None:
    stage.base.process.operate("refresh", name)


def enrolled(stage: CloudbaseStage, name: str) -> None:
    assert stage.enrol(name) == ""


def refused_connections(stage: CloudbaseStage, name: str) -> None:
    knocked(stage.base.door, stage.base.log, name, times=4)


# -- somebody else ------------------------------------------------------------------------------------------------


def used_by_another(stage: CloudbaseStage, name: str) -> None:
    """Another program kept a copy of what is imported, and has renewed with it."""
    pair = stage.mint(name)
    stage.spend(name, str(pair["refresh_token"]))
    given = {key: str(pair[key]) for key in ("refresh_token", "access_token")}
    stage.base.give(name, **given, expires_at=f"{pair['expires_at']:.3f}")


def second_daemon(stage: CloudbaseStage, _name: str) -> None:
    """Another daemon is started on the same state: it ends, and asks for nothing."""
    second = stage.base.bed.daemon()
    until("the end of the second daemon", lambda: not second.runs)


def imported(stage: CloudbaseStage, name: str) -> None:
    stage.base.give(name, refresh_token=stage.mint(name)["refresh_token"])


# -- users, passwords, keys ---------------------------------------------------------------------------------------


def user(**fields: object) -> Strike:
    def strike(stage: CloudbaseStage, name: str) -> None:
        stage.repair(name, **fields)

    return strike


def user_put_right(stage: CloudbaseStage, name: str) -> None:
    stage.repair(name, standing="active", second="")
    enrolled(stage, name)


def password_changed(stage: CloudbaseStage, name: str) -> None:
    """At the service; our session ends too, so that the old one is presented."""
    stage.repair(name, password=ANOTHER)
    stage.stranger(name)


def password_put_right(stage: CloudbaseStage, name: str) -> None:
    stage.base.secret(name, ANOTHER)
    enrolled(stage, name)


def wrong_from_the_start(stage: CloudbaseStage, name: str) -> None:
    stage.repair(name, password=ANOTHER)


def second_factor(stage: CloudbaseStage, name: str) -> None:
    stage.repair(name, second="two_factor_required")
    stage.stranger(name)


def makes(name: str, ticket: str) -> Scene:
    """A command of the operators' makes the tickets, and does this instead."""
    line = f"ticket = {{ command = {ticket} }}"
    return Scene(name, lets_be, UNABLE, keys=(*CUSTOM, line), opens=lets_be, is_vacant=True, is_whole=True)


def provider_begins(stage: CloudbaseStage, name: str) -> None:
    stage.repair(name, provider_id="upstream", provider_subject=name)
    stage.upstream(name)


# -- captchas -----------------------------------------------------------------------------------------------------


def guessed(stage: CloudbaseStage, name: str) -> None:
    """Others have tried wrong passwords, so a captcha stands before the next sign-in."""
    stage.guess(name, 5)


def guessed_later(stage: CloudbaseStage, name: str) -> None:
    stage.base.wait_for(name, "refresh.succeeded")
    guessed(stage, name)


def answered_by_two(stage: CloudbaseStage, name: str) -> None:
    """Two operators are shown the same challenge; the first is served, the other is told."""
    first, second = stage.asked(name), stage.asked(name)
    assert (first["picture"], first["url"]) == (second["picture"], second["url"])
    said = stage.type(name, first, SHOWN)
    assert stage.type(name, second, SHOWN) not in ("", said)
    enrolled(stage, name)


SCENES: Final = (
    # a refresh token works once; below it there is a sign-in
    Scene("refresh-lost-before", fault("lost_before_commit")),
    Scene("refresh-lost-after", fault("lost_after_commit")),
    Scene("refresh-reset-before", fault("reset")),
    Scene("refresh-cut-short", fault("cut_short", bytes=40)),
    Scene("refresh-502-before", fault("bad_gateway")),
    Scene("refresh-502-after", fault("bad_gateway", after_commit=True)),
    Scene("refresh-html-before", fault("html")),
    Scene("refresh-empty-after", fault("status", status=200, body="", after_commit=True)),
    Scene("refresh-slower-than-the-deadline", fault("slow", seconds=2.5, when="after"), keys=("deadline = 1.0",)),
    refusal("internal-before", "internal"),
    refusal("internal-after", "internal", after_commit=True),
    refusal("unavailable-before", "unavailable"),
    Scene("refused-connection", refused_connections, keys=('base_url = "{door}"',)),
    # and where there is none
    Scene("import-lost-before", fault("lost_before_commit"), keys=IMPORT),
    Scene("import-lost-after", fault("lost_after_commit"), PARKS, keys=IMPORT, then=imported),
    Scene("import-spent-elsewhere", lets_be, PARKS, keys=IMPORT, begins=used_by_another, is_whole=True, then=imported),
    # the service's no
    refusal("invalid-grant", "invalid_grant"),
    refusal("unauthenticated", "unauthenticated"),
    refusal("invalid-grant-in-200", "invalid_grant", status=200),
    refusal("invalid-grant-of-the-gateway-form", "invalid_grant", speech="gateway"),
    refusal("invalid-grant-inside-data", "invalid_grant", speech="data"),
    Scene("error-code-as-text", order("invalid_grant"), constants={"ERROR_CODE": "text"}),
    Scene("error-code-of-grpc-as-number", order("resource_exhausted", retry_s=1, speech="rpc")),
    Scene("status-200-for-all", signin(), constants={"STATUS_ALWAYS_200": True}),
    refusal("too-frequent", "resource_exhausted", retry_s=1),
    refusal("client-refused", "unauthorized_client", PARKS),
    refusal("permission-denied", "permission_denied", PARKS),
    refusal("malformed", "invalid_argument", PARKS),
    Scene("user-blocked", user(standing="user_blocked"), PARKS, then=user_put_right),
    gateway("REFRESH_TOKEN_EXPIRED"), gateway("INVALID_REFRESH_TOKEN"), gateway("REFRESH_TOKEN_EXHAUSTED", PARKS),
    gateway("LOGIN_MANNER_UNREGISTED", PARKS), gateway("SIGN_PARAM_INVALID", PARKS),
    gateway("EXCEED_AUTHORITY", PARKS), gateway("INVALID_ENV", PARKS), gateway("INVALID_PARAM", PARKS),
    gateway("EXCEED_RATELIMIT"), gateway("SYS_ERR"), gateway("SERVER_TIMEOUT"),
    # odd answers
    Scene("no-refresh-token", fault("no_refresh_token"), rung="signin"),
    Scene("no-expires-in", fault("missing_fields", fields=["expires_in"])),
    Scene("wrong-sub", fault("wrong_subject"), PARKS, then=enrolled),
    Scene("code-as-text", fault("code_as_text")),
    # sessions
    Scene("stranger-once", signin()),
    Scene("limit-of-two", signin(), constants={"SESSION_LIMIT": 2}),
    Scene("two-daemons-with-one-state", second_daemon),
    # a sign-in
    Scene("signin-lost-after", signin_meets("lost_after_commit")),
    Scene("signin-502", signin_meets("bad_gateway")),
    Scene("wrong-password", password_changed, PARKS, then=password_put_right),
    Scene("wrong-password-from-the-start", lets_be, PARKS, opens=wrong_from_the_start, is_vacant=True, is_whole=True,
          then=password_put_right),
    Scene("second-factor", second_factor, PARKS, then=user_put_right),
    Scene("method-off", signin("login_type_disabled"), PARKS, then=renewed),
    Scene("signin-unknown-code", signin("something_new"), PARKS, then=enrolled),
    # captchas
    Scene("captcha-image", signin(), PARKS, begins=guessed_later, then=enrolled),
    Scene("captcha-page", signin(), PARKS, begins=guessed_later, keys=('captcha = "page"',), then=enrolled),
    Scene("captcha-two-operators", signin(), PARKS, begins=guessed_later, then=answered_by_two),
    Scene("captcha-before-the-first-session", lets_be, PARKS, opens=guessed, is_vacant=True, is_whole=True,
          then=enrolled),
    # other ways in
    Scene("ticket-after-a-stranger", signin(), keys=CUSTOM),
    makes("ticket-garbage", '["/bin/echo", "garbage"]'),
    makes("ticket-command-hangs", '["/bin/sleep", "60"]'),
    makes("ticket-command-fails", '["/bin/false"]'),
    Scene("anonymous-again", signin(), keys=ANONYMOUS),
    Scene("anonymous-without-refresh-token", lets_be, keys=ANONYMOUS, rung="renew",
          opens=lambda stage, name: stage.set(name, {"NO_REFRESH_TOKEN_FOR": ["anonymous"]})),
    Scene("provider-again", signin(), keys=PROVIDER, opens=provider_begins),
    Scene("client-credentials", lets_be, keys=CREDENTIALS),
)  # fmt: skip


def lived(folder: Path) -> Rows:
    """All of it."""
    return play(folder, CloudbaseStage, SCENES)
