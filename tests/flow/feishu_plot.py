"""What is done to Feishu accounts, scene by scene.  What is expected of it stands in `test_feishu_scenarios`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.flow.feishu_stage import Scene, Stage, play
from tests.flow.scenarios import Rows
from tests.flow.watchman import knocked

Strike = Callable[[Stage, str], None]
HEALS: Final = ("refresh.succeeded",)
PARKS: Final = ("account.parked",)
ONE_MINUTE: Final = {"FEISHU_SIM_OLD_ACCESS_GRACE_S": 0.2}
"""A minute, where a lease lives six seconds."""
TO_ITS_END: Final = {"FEISHU_SIM_OLD_ACCESS_GRACE_S": None}
SPARES: Final = {"FEISHU_SIM_REUSE_REVOKES_FAMILY": False}


def fault(kind: str, **more: object) -> Strike:
    """The next renewal meets it."""

    def strike(stage: Stage, name: str) -> None:
        stage.fault(name, kind, **more)

    return strike


def refusal(name: str, number: int, ends: tuple[str, ...] = HEALS, **more: object) -> Scene:
    """The next renewal is refused with this number."""
    return Scene(name, fault("feishu_code", code=number, **more), ends, says=str(number))


def lets_be(_stage: Stage, _name: str) -> None:
    """The constants of the scene are strange enough."""


def refused_connections(stage: Stage, name: str) -> None:
    knocked(stage.door, stage.log, name, times=4)


def switched_off(stage: Stage, name: str) -> None:
    stage.app(name, refreshing=False)


def switched_on(stage: Stage, name: str) -> None:
    stage.app(name, refreshing=True)
    renewed(stage, name)


def user(standing: str) -> Strike:
    def strike(stage: Stage, name: str) -> None:
        stage.service.ask("POST", "/feishu/people", {"open_id": f"ou_{name}", "standing": standing})

    return strike


def user_repaired(stage: Stage, name: str) -> None:
    user("active")(stage, name)
    renewed(stage, name)


def enrolled_anew(stage: Stage, name: str) -> None:
    stage.enrol(name, agree=stage.agree_in_browser(name))


def enrolled_elsewhere(stage: Stage, name: str) -> None:
    stage.enrol(name, "--device", agree=stage.agree_with_code(name))


def another_user(stage: Stage, name: str) -> None:
    stage.enrol(name, agree=stage.agree_in_browser(name, "ou_somebody-else"))


def secret_changed(stage: Stage, name: str) -> None:
    stage.app(name, secret="another")


def secret_put_right(stage: Stage, name: str) -> None:
    stage.secret(name).write_text("another")
    stage.process.operate("refresh", name)


def a_year_later(stage: Stage, name: str) -> None:
    stage.service.ask("POST", "/feishu/age", {"label": name, "days": 366})


def skewed(seconds: float) -> Strike:
    def strike(stage: Stage, name: str) -> None:
        stage.fault(name, "skew", seconds=seconds)

    return strike


def rests(stage: Stage, name: str) -> None:
    """A pair of which another program keeps a copy: the access token is used first."""
    pair = stage.mint(name)
    stage.give(
        name, refresh_token=pair["refresh_token"], access_token=pair["access_token"],
        expires_at=f"{pair['expires_at']:.3f}",
    )  # fmt: skip
    COPIES[name] = pair["refresh_token"]


COPIES: Final[dict[str, str]] = {}


def used_by_another(stage: Stage, name: str) -> None:
    stage.spend(name, COPIES[name])


def older(stage: Stage, name: str) -> None:
    stage.give(name, refresh_token_v1=stage.mint(name, generation="v1")["refresh_token"])


def renewed(stage: Stage, name: str) -> None:
    stage.process.operate("refresh", name)


def by_browser(stage: Stage, name: str) -> None:
    stage.enrol(name, agree=stage.agree_in_browser(name))


def by_device(stage: Stage, name: str) -> None:
    stage.enrol(name, "--device", agree=stage.agree_with_code(name))


def lost(name: str, kind: str, constants: dict[str, object], **more: object) -> Scene:
    says = str(more.get("code", ""))
    return Scene(name, fault(kind, **more), PARKS, (), constants, then=enrolled_anew, says=says)


SCENES: Final = (
    # before the service has changed anything
    refusal("busy-20072", 20072),
    refusal("fault-20050", 20050),
    Scene("refused-connection", refused_connections, keys=('accounts_url = "{door}"',)),
    refusal("rate-limited", 99991400, reset=1.5),
    refusal("rate-limited-400", 99991400, reset=1.5, status=400),
    Scene("page-502", fault("bad_gateway")),
    refusal("200-with-a-code", 20072, status=200),
    # after it
    Scene(
        "dropped-old-token-one-minute",
        fault("lost_after_commit"),
        PARKS,
        ("margins = { fraction = 0.6 }",),
        {**ONE_MINUTE, **SPARES},
        then=enrolled_anew,
    ),
    lost("dropped-old-token-to-its-end", "lost_after_commit", {**TO_ITS_END, **SPARES}),
    lost("dropped-reuse-ends-all", "lost_after_commit", dict(TO_ITS_END)),
    lost("dropped-20073", "lost_after_commit", {**TO_ITS_END, "FEISHU_SIM_CODE_ON_REUSE": 20073}),
    lost("fault-20050-after", "feishu_code", dict(TO_ITS_END), code=20050, after_commit=True),
    lost("page-502-after", "bad_gateway", dict(TO_ITS_END), after_commit=True),
    Scene(
        "slower-than-the-deadline",
        fault("slow", seconds=2.5, when="after"),
        PARKS,
        ("deadline = 1.0",),
        TO_ITS_END,
        then=enrolled_anew,
    ),
    # odd answers
    Scene("code-as-text", lets_be, constants={"FEISHU_SIM_CODE_AS_TEXT": True}),
    Scene("no-refresh-token", fault("no_refresh_token"), ("grant.gone",), then=enrolled_anew),
    Scene("fewer-scopes", fault("narrowed_scope")),
    Scene("empty-access-token", fault("empty_fields")),
    Scene("clock-of-the-service-ahead", skewed(3600)),
    Scene("clock-of-the-service-behind", skewed(-3600)),
    # what a person must do
    Scene("switched-off-20074", switched_off, PARKS, then=switched_on),
    Scene("user-removed", user("removed"), PARKS, then=another_user),
    Scene("user-frozen", user("frozen"), PARKS, then=user_repaired),
    Scene("secret-changed", secret_changed, PARKS, then=secret_put_right),
    Scene("a-year-over", a_year_later, PARKS, then=enrolled_elsewhere),
    refusal("policy-21000", 21000, PARKS, challenge_url="https://passport.feishu.cn/challenge?x=1"),
    # somebody else
    Scene("used-elsewhere-20064", used_by_another, PARKS, begins=rests, then=enrolled_anew),
    Scene(
        "used-elsewhere-20073",
        used_by_another,
        PARKS,
        begins=rests,
        constants={"FEISHU_SIM_CODE_ON_REUSE": 20073},
        then=enrolled_anew,
    ),
    Scene("used-elsewhere-spared", used_by_another, PARKS, begins=rests, constants=SPARES, then=enrolled_anew),
    # ways in
    Scene("v1-oidc-renewed", renewed, begins=older),
    Scene("v1-oidc-migrated", by_browser, ("account.enrolled",), begins=older, then=renewed),
    Scene("enrolled-by-code", by_browser, ("account.enrolled",), then=renewed),
    Scene("enrolled-by-device", by_device, ("account.enrolled",), then=renewed),
)


def lived(folder: Path) -> Rows:
    """All of it."""
    return play(folder, SCENES)
