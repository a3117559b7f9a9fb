"""What is done to a whole AUN gateway: each scene has a stage of its own, so that it ails nobody else.

Rules
-----
* A scene's gateway is changed before anything begins (`gateway`) or by its strike; nothing is put back but by the scene.
* Tokens live long enough that a gateway which is out of order for some seconds costs no reader its lease.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from tests.flow.aun_plot import both, must_log_in
from tests.flow.aun_sessions import AGAIN, AT_ONCE, HELD, cut_off
from tests.flow.aun_stage import NAMES, Scene, Stage, Strike, play
from tests.flow.bed import until
from tests.flow.scenarios import Rows

ACCESS_SECONDS: Final = 24
AT_THE_SAME_TIME: Final = 3
FIRST, SECOND = "/aun", "/aun/2"
MISSED: Final = "refresh.not-sent"


def gateways(*places: dict[str, object]) -> Strike:
    """What is announced from now on, and what of it is up."""

    def strike(stage: Stage, _name: str) -> None:
        stage.ask("PATCH", "/aun/service", gateways=list(places))

    return strike


def everybody(**constants: object) -> Strike:
    def strike(stage: Stage, _name: str) -> None:
        stage.set("", **constants)

    return strike


def renewing(stage: Stage, name: str) -> None:
    """An operator wants another lease; whatever comes of it."""
    stage.base.told("refresh", name)


def fails(*events: str) -> Strike:
    """Wait until the daemon said so."""

    def strike(stage: Stage, name: str) -> None:
        stage.wait_for(name, *(events or (MISSED,)))

    return strike


def waits(stage: Stage, name: str) -> None:
    """The channel has met the trouble and waits for its next try."""
    until("the channel waits", lambda: _state(stage, name) == "waiting")


def _state(stage: Stage, name: str) -> str:
    return str(stage.base.process.view(name)["channels"][name]["state"])


def door_shut(stage: Stage, _name: str) -> None:
    stage.base.door.shut()


def through_the_door(stage: Stage, name: str) -> None:
    """The daemon finds the gateway's older address, and logs in there."""
    place = stage.base.door.url.replace("http", "ws", 1) + FIRST
    stage.ask("PATCH", "/aun/service", gateways=[{"path": FIRST, "url": place, "priority": 1}])


def restarted(stage: Stage, name: str) -> None:
    """The process ends, its token is revoked meanwhile, and another one begins with what was kept."""
    stage.base.process.stop()
    stage.revoke(name, "access")
    stage.base.process = stage.base.bed.up()


def restarted_bare(stage: Stage, name: str) -> None:
    """The same, with both tokens revoked."""
    stage.base.process.stop()
    stage.revoke(name, "tokens")
    stage.base.process = stage.base.bed.up()


def rolled(**wish: object) -> Strike:
    def strike(stage: Stage, _name: str) -> None:
        stage.ask("POST", "/aun/rollover", **wish)

    return strike


def disturbed(first: str, *then: Strike, back: str = "whole") -> Strike:
    """For a while new connections are greeted otherwise; the channel and a renewal meet it."""
    return both(everybody(CHALLENGE=first), *then, everybody(CHALLENGE=back))


def scene(name: str, strike: Strike, ends: tuple[str, ...] = AGAIN, **more: Any) -> Scene:  # noqa: ANN401
    return Scene(name, strike, ends, **{"channel": HELD, "gives": NAMES, **more})


SCENES: Final = (
    scene("gateway-1-down", cut_off(gateways(
        {"path": FIRST, "priority": 1, "is_up": False}, {"path": SECOND, "priority": 2},
    ), renewing)),
    scene("all-gateways-down", both(
        cut_off(gateways({"path": FIRST, "is_up": False}, {"path": SECOND, "is_up": False}), renewing), fails(),
        waits, gateways({"path": FIRST, "priority": 1}, {"path": SECOND, "priority": 2}),
    )),
    scene("gateway-list-changed", cut_off(
        gateways({"path": FIRST, "is_up": False}, {"path": SECOND, "priority": 1}), renewing,
    )),
    scene("health-503", both(cut_off(everybody(HEALTH_STATUS=503)), waits, everybody(HEALTH_STATUS=200))),
    scene("frame-before-the-challenge", both(
        everybody(CHALLENGE="early_frame"), cut_off(), renewing, fails(), everybody(CHALLENGE="whole"),
    ), ("refresh.succeeded",)),
    scene("never-a-challenge", both(
        everybody(CHALLENGE="silent"), cut_off(), renewing, fails(), everybody(CHALLENGE="whole"),
    ), ("refresh.succeeded",)),
    scene("challenge-without-a-nonce", both(
        cut_off(everybody(CHALLENGE="no_nonce")), waits, everybody(CHALLENGE="whole"),
    )),
    scene("stray-frames", cut_off(everybody(STRAY_FRAMES=True), must_log_in(), renewing)),
    scene("unknown-fields", cut_off(must_log_in(), renewing), gateway={"UNKNOWN_FIELDS": True}),
    scene("restart-with-a-revoked-token", restarted),
    scene("restart-with-both-revoked", restarted_bare),
    scene("auth-key-rolled-over", cut_off(rolled(), must_log_in(), renewing)),
    scene("auth-key-rolled-over-and-the-old-one-retired", cut_off(rolled(retires_old=True))),
    scene("auth-key-of-another-curve", cut_off(rolled(curve="P-256"), must_log_in(), renewing)),
)  # fmt: skip


def lived(folder: Path, scenes: Sequence[Scene] = SCENES) -> Rows:
    """All of it, a few at a time."""

    def alone(one: Scene) -> Rows:
        place = folder / one.name[:20]
        place.mkdir()
        return play(place, (one,), ACCESS_SECONDS)

    with ThreadPoolExecutor(AT_THE_SAME_TIME) as hands:
        return {name: row for rows in hands.map(alone, scenes) for name, row in rows.items()}
