"""What is done to a whole AUN gateway: each scene has a stage of its own, so that it ails nobody else.

Rules
-----
* The gateway is changed before there is a daemon (`opens`) or by the strike; nothing is put back but by the scene.
* Tokens live long enough that a gateway which is out of order for some seconds costs no reader its lease.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from freshd.channels.aun_codes import BAD_FRAME, GONE
from tests.flow.aun_plot import both, must_log_in
from tests.flow.aun_sessions import AGAIN, AT_ONCE, HELD, cut_off
from tests.flow.aun_stage import NAMES, Scene, Stage, Strike, aid_of, play
from tests.flow.bed import until
from tests.flow.scenarios import Rows

ACCESS_SECONDS: Final = 24
LONG_SECONDS: Final = 120
"""So that nothing is renewed by schedule."""
AT_THE_SAME_TIME: Final = 4
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
    """An operator wants another lease, and does not wait for what comes of it."""
    threading.Thread(target=_renewed, args=(stage, name), daemon=True).start()


def _renewed(stage: Stage, name: str) -> None:
    with contextlib.suppress(RuntimeError):
        stage.base.process.operate("refresh", name)


def fails(*events: str) -> Strike:
    """Wait until the daemon said so; by default that nothing could be sent."""

    def strike(stage: Stage, name: str) -> None:
        stage.wait_for(name, *(events or (MISSED,)))

    return strike


def waits(code: str) -> Strike:
    """The channel has met this trouble and waits for its next try."""

    def strike(stage: Stage, name: str) -> None:
        until(f"{name} met {code}", lambda: stage.base.process.view(name)["channels"][name].get("code") == code)

    return strike


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


def greeted_again(stage: Stage, name: str) -> None:
    """The challenge is as it should be again; the end is when lease and login are there."""
    mark = stage.mark()
    stage.set("", CHALLENGE="whole")
    stage.wait_for(name, "refresh.succeeded", since=mark)
    until(f"the session of {name}", lambda: stage.turnstile.has(aid_of(name)))


def rolled(**wish: object) -> Strike:
    def strike(stage: Stage, _name: str) -> None:
        stage.ask("POST", "/aun/rollover", **wish)

    return strike


def scene(name: str, strike: Strike, ends: tuple[str, ...] = AGAIN, **more: Any) -> Scene:
    return Scene(name, strike, ends, **{"channel": HELD, "gives": NAMES, **more})


SCENES: Final = (
    scene("gateway-1-down", cut_off(gateways(
        {"path": FIRST, "priority": 1, "is_up": False}, {"path": SECOND, "priority": 2},
    ), renewing)),
    scene("all-gateways-down", both(
        cut_off(gateways({"path": FIRST, "is_up": False}, {"path": SECOND, "is_up": False}), renewing), fails(),
        waits(GONE), gateways({"path": FIRST, "priority": 1}, {"path": SECOND, "priority": 2}),
    )),
    scene("gateway-list-changed", cut_off(
        door_shut, gateways({"path": SECOND, "priority": 1}), renewing,
    ), opens=through_the_door),
    scene("health-503", both(cut_off(everybody(HEALTH_STATUS=503)), waits(GONE), everybody(HEALTH_STATUS=200))),
    scene("frame-before-the-challenge", both(
        everybody(CHALLENGE="early_frame"), cut_off(), renewing, fails(), greeted_again,
    ), AT_ONCE),
    scene("never-a-challenge", both(
        everybody(CHALLENGE="silent"), cut_off(), renewing, fails(), greeted_again,
    ), AT_ONCE),
    scene("challenge-without-a-nonce", both(
        cut_off(everybody(CHALLENGE="no_nonce")), waits(BAD_FRAME), everybody(CHALLENGE="whole"),
    )),
    scene("stray-frames", cut_off(everybody(STRAY_FRAMES=True), must_log_in(), renewing)),
    scene("unknown-fields", cut_off(must_log_in(), renewing), opens=everybody(UNKNOWN_FIELDS=True)),
    scene("restart-with-a-revoked-token", restarted, opens=everybody(ACCESS_TTL_S=LONG_SECONDS)),
    scene("restart-with-both-revoked", restarted_bare, opens=everybody(ACCESS_TTL_S=LONG_SECONDS)),
    scene("auth-key-rolled-over", cut_off(rolled(), must_log_in(), renewing)),
    scene("auth-key-rolled-over-and-the-old-one-retired", cut_off(rolled(retires_old=True))),
    scene("auth-key-of-another-curve", cut_off(rolled(curve="P-256"), must_log_in(), renewing)),
)  # fmt: skip


def lived(folder: Path, scenes: Sequence[Scene] = SCENES) -> Rows:
    """All of it, a few at a time."""

    def alone(one: Scene) -> Rows:
        place = folder / str(scenes.index(one))
        place.mkdir()
        return play(place, (one,), ACCESS_SECONDS)

    with ThreadPoolExecutor(AT_THE_SAME_TIME) as hands:
        return {name: row for rows in hands.map(alone, scenes) for name, row in rows.items()}
