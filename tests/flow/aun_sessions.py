"""What is done to logins that are held at AUN's gateway, scene by scene.

Every way in which the gateway ends a session, with the announcement that comes first and without; tokens that end under
a session; somebody else in the slot.  Tokens live so long that no renewal by schedule comes in between.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from tests.flow.aun_plot import both, revoked
from tests.flow.aun_stage import DEVICE, Scene, Stage, Strike, aid_of, play
from tests.flow.aun_visitor import Visitor
from tests.flow.bed import until
from tests.flow.scenarios import Rows

ACCESS_SECONDS: Final = 90
SHORT_SECONDS: Final = 6
AGAIN: Final = ("channel.connected",)
STOPPED: Final = ("channel.stopped",)
AT_ONCE: Final = ()
CODES: Final = (1000, 1001, 1006, 1011, 4001, 4003, 4008, 4009, 4010, 4011, 4012, 4013, 4014, 4015)
STOPS: Final = frozenset({4003, 4009, 4011, 4015})
"""What stops whoever keeps to it, announced or not."""
LAST_OF_PROTOCOL: Final = 1999
"""Codes up to here are the connection's own, announced or not: the gateway restarts."""
DEAD_TOKEN: Final = 4001
"""About the token, and not about the place: an announcement changes nothing."""
HELD: Final[tuple[str, ...]] = ()


def kicked(code: int, *, event: bool = False) -> Strike:
    def strike(stage: Stage, name: str) -> None:
        stage.kick(name, code, event=event)

    return strike


def closed(code: int, *, event: bool) -> Scene:
    """A session that the gateway ends with this code."""
    is_over = code in STOPS or (event and code > LAST_OF_PROTOCOL and code != DEAD_TOKEN)
    name = f"close-{code}-{'announced' if event else 'plain'}"
    return Scene(name, kicked(code, event=event), STOPPED if is_over else AGAIN, channel=HELD)


def cut_off(*first: Strike) -> Strike:
    """The connection breaks."""
    return both(*first, kicked(1006))


def session_outlives_its_token(stage: Stage, name: str) -> None:
    """One whole life of an access token, and more, passes."""
    until(f"a refresh of {name}", lambda: stage.tally(name)["calls"].get("auth.refresh_token", 0) >= 3)
    assert stage.turnstile.has(aid_of(name))


def taken_over(stage: Stage, name: str) -> None:
    """Another program logs in with this device and slot, and stays."""
    with Visitor(stage.base.service.issuer, DEVICE) as visitor:
        assert visitor.log_in(token_of(stage, name)) is None
        stage.wait_for(name, *STOPPED)


def slot_was_taken(stage: Stage, name: str) -> None:
    """The gateway refuses a second login, and another program was quicker; later it leaves."""
    until(f"the end of {name}", lambda: _has_the_slot(stage, name))


def _has_the_slot(stage: Stage, name: str) -> bool:
    stage.kick(name)
    with Visitor(stage.base.service.issuer, DEVICE) as visitor:
        if visitor.log_in(token_of(stage, name)) is not None:
            return False
        until("4012", lambda: stage.tally(name)["refused"].get("4012"))
        return True


def two_slots_too_many(stage: Stage, name: str) -> None:
    """The quota is one slot of a device: the newer login stays."""
    with Visitor(stage.base.service.issuer, DEVICE, slot="other") as visitor:
        assert visitor.log_in(token_of(stage, name)) is None
        stage.wait_for(name, *STOPPED)


def every_token_refused(stage: Stage, name: str) -> None:
    stage.order(name, "connect", None, code=4001, close=4001)
    stage.kick(name, 4001)


def revocation_comes_late(stage: Stage, name: str) -> None:
    """The gateway takes the dead token once more; at the second reconnect it knows."""
    mark = stage.mark()
    stage.revoke(name, "access")
    stage.kick(name)
    stage.wait_for(name, *AGAIN, since=mark)
    revoked_at = time.time() + 3.0
    until("the gateway knows", lambda: time.time() > revoked_at)
    stage.kick(name)
    stage.wait_for(name, *AGAIN, since=stage.mark())


def token_of(stage: Stage, name: str) -> str:
    return str(stage.base.process.ask("GET", f"/v1/tokens/{name}?wait=5&min_ttl=0")["access_token"])


def scene(name: str, strike: Strike, ends: tuple[str, ...] = AGAIN, **more: Any) -> Scene:
    return Scene(name, strike, ends, **{"channel": HELD, **more})


CLOSES: Final = tuple(closed(code, event=event) for code in CODES for event in (False, True))
TOKENS: Final = (
    scene("access-token-revoked", both(revoked("access"), kicked(4001))),
    scene("both-tokens-revoked", both(revoked("tokens"), kicked(4001))),
    scene("both-tokens-revoked-announced", both(revoked("tokens"), kicked(4001, event=True))),
    scene("revoked-answered-and-closed", cut_off(revoked("access")), constants={"CONNECT_DENIAL": "answer_and_close"}),
    scene("revoked-answered", cut_off(revoked("access")), constants={"CONNECT_DENIAL": "answer"}),
    scene("revoked-closed-without-answer", cut_off(revoked("access")), constants={"CONNECT_DENIAL": "close"}),
    scene("both-revoked-session-cut", cut_off(revoked("tokens"))),
    scene("both-revoked-closed-without-answer", cut_off(revoked("tokens")), constants={"CONNECT_DENIAL": "close"}),
    scene(
        "revocation-ends-the-session", revoked("access"), constants={"REVOCATION_ENDS_SESSIONS": True},
    ),
    scene("revocation-known-late", revocation_comes_late, AT_ONCE, constants={"REVOCATION_DELAY_S": 3}),
    scene("every-token-refused", every_token_refused, ("channel.kept-out",)),
    scene("cut-off", kicked(1006)),
    scene("slot-taken-over", taken_over, STOPPED),
    scene("slot-taken-before", slot_was_taken, constants={"TAKEOVER": "refuse"}),
    scene("quota-of-slots", two_slots_too_many, STOPPED, constants={"SLOTS_PER_DEVICE": 1}),
)  # fmt: skip
EXPIRIES: Final = (
    scene("session-kept-at-expiry", session_outlives_its_token, AT_ONCE),
    scene("session-ended-at-expiry", lambda *_: None, constants={"SESSION_AT_EXPIRY": "close"}),
    scene(
        "session-follows-the-lease", lambda *_: None, channel=("reconnect_with_new_token = true",)
    ),
)  # fmt: skip


def lived(folder: Path) -> Rows:
    """All of it, a stage for each chapter."""
    rows: dict[str, Any] = {}
    chapters = (
        ("closes", CLOSES, ACCESS_SECONDS), ("tokens", TOKENS, ACCESS_SECONDS), ("expiries", EXPIRIES, SHORT_SECONDS)
    )  # fmt: skip
    for name, scenes, access_seconds in chapters:
        (folder / name).mkdir()
        rows |= play(folder / name, scenes, access_seconds)
    return rows
