"""AUN on a stage: for each scene an agent, an account, a reader on it, and a login at the gateway where one is wanted.

Rules
-----
* A reader tries its lease by a short login at the gateway, which is no call of the daemon's and not counted.  Where a
  channel holds a login, that one tries it, and the reader looks only whether it is given a lease.
* A channel's gap is time in which the gateway had no session of it.  Where another program logs in as the same agent,
  its login is among the calls.
* What holds for the whole gateway is done on a stage of its own (`play` with one scene).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.crash.services import Sandbox
from tests.flow.aun_turnstile import Turnstile
from tests.flow.aun_visitor import Visitor
from tests.flow.bed import Bed, Line, until
from tests.flow.door import Door
from tests.flow.scenarios import Row
from tests.flow.stage import MARGINS, Base
from tests.flow.watchman import Log, Reader, moment

ACCESS_SECONDS: Final = 6
CALLS: Final = {
    "auth.refresh_token": "refresh", "auth.aid_login1": "login1", "auth.aid_login2": "login2",
    "auth.renew_cert": "renew", "auth.rekey": "rekey", "auth.create_aid": "create", "auth.connect": "connect",
}  # fmt: skip
CONNECT: Final = "auth.connect"
FILLERS: Final = frozenset({"renew", "settle-key", "create", "rekey", "adopt-certificate"})
"""Rungs that bring no lease."""
ALERTS: Final = frozenset({"channel.stopped", "channel.kept-out"})
"""A channel says that it is not back by itself, or only slowly."""
DEVICE: Final = "desk"
LOOK_SECONDS: Final = 0.05
NAMES: Final = ("private_key", "cert", "refresh_token")
Strike = Callable[["Stage", str], None]


@dataclass(frozen=True, slots=True)
class Scene:
    """One scenario.

    strike     what happens, right after a fresh lease, or where a channel is wanted, right after it is up
    ends       names of events, the first of which ends it; none: it ends when the strike has returned
    rung       of the event that ends it, where it matters
    constants  of the agent, set before the strike
    opens      what is done to the service before there is a daemon
    minted     how the agent is made at the service; None: it is not registered there
    gives      the secrets that are imported
    keys       lines of the account, `channel` lines of its channel; None: it has none
    """

    name: str
    strike: Strike
    ends: tuple[str, ...] = ("refresh.succeeded",)
    rung: str = ""
    constants: Mapping[str, object] = field(default_factory=dict)
    opens: Strike | None = None
    minted: Mapping[str, object] | None = field(default_factory=dict)
    gives: tuple[str, ...] = NAMES
    keys: tuple[str, ...] = ()
    channel: tuple[str, ...] | None = None

    @property
    def is_vacant(self) -> bool:
        """It has no lease before the strike."""
        return "refresh_token" not in self.gives


class Stage:
    """What a scene's steps need."""

    def __init__(self, base: Base, turnstile: Turnstile) -> None:
        self.base, self.turnstile = base, turnstile
        self.agents: dict[str, dict[str, Any]] = {}
        self.facts: dict[str, str] = {}

    # -- the service -------------------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, **wish: object) -> dict[str, Any]:
        return dict(self.base.service.ask(method, path, wish or None))

    def set(self, name: str, **constants: object) -> None:
        """Constants of one agent; of everybody where the name is empty."""
        over = {f"AUN_SIM_{key}": value for key, value in constants.items()}
        if over:
            self.ask("PATCH", "/aun/constants", **({"aid": aid_of(name)} if name else {}), **over)

    def fault(self, name: str, method: str, fault: str = "lost_after_commit", **more: object) -> None:
        """The agent's next such call meets it."""
        self.ask("POST", "/faults", fault=fault, client_id=aid_of(name), endpoint=f"auth.{method}", count=1, **more)

    def order(self, name: str, method: str, count: int | None = 1, **line: object) -> None:
        """The next such calls are answered as ordered; None: all of them."""
        wish = {"operation": f"auth.{method}", "aid": aid_of(name), **({} if count is None else {"count": count})}
        self.ask("POST", "/aun/script", **wish, **line)

    def revoke(self, name: str, what: str = "refresh") -> None:
        self.ask("POST", "/aun/revoke", aid=aid_of(name), what=what)

    def kick(self, name: str, code: int = 1006, *, event: bool = False) -> None:
        self.ask("POST", "/aun/kick", aid=aid_of(name), code=code, event=event)

    def tally(self, name: str) -> dict[str, Any]:
        return dict(self.ask("GET", "/aun/counters")["by_aid"].get(aid_of(name), {}))

    def attempt(self, lease: Mapping[str, Any]) -> tuple[int, str] | None:
        """Try a lease: None where it works, else status and code."""
        code = Visitor(self.base.service.issuer, "reader", is_short=True).log_in(str(lease["access_token"]))
        return None if code is None else (401, str(code))

    # -- the daemon --------------------------------------------------------------------------------------------------

    def lines(self, scene: Scene) -> Iterator[str]:
        name = scene.name
        given = {line.partition(" = ")[0] for line in scene.keys}
        usual = (
            f'roots = "{self.roots}"', f'discovery = "{self.base.service.issuer}"', "min_interval = 0",
            "host_interval = 0", f"margins = {MARGINS}",
        )  # fmt: skip
        yield from (f"[accounts.{name}]", 'kind = "aun"', f'aid = "{aid_of(name)}"', "allow_short_lived = true")
        yield f"readers = {{ users = [{os.geteuid()}] }}"
        yield from (line for line in usual if line.partition(" = ")[0] not in given)
        yield from (line.replace("{folder}", str(self.base.bed.folder)) for line in scene.keys)
        if scene.channel is not None:
            yield from (f"[channels.{name}]", 'kind = "aun"', f'account = "{name}"', f'device_id = "{DEVICE}"')
            yield from scene.channel

    @property
    def roots(self) -> Path:
        path = self.base.bed.folder / "roots.pem"
        if not path.exists():
            path.write_text(self.ask("GET", "/aun/roots")["pem"])
        return path

    def give(self, name: str, *secrets: str) -> None:
        self.base.give(name, **{secret: str(self.agents[name][secret]) for secret in secrets})

    def enrol(self, name: str) -> str:
        """`freshd enrol`: what is said where it comes to nothing."""
        try:
            session = self.base.process.operate("enrol-begin", name, flow="auto")["session"]
        except RuntimeError as error:
            return str(error)
        return self.base.told("enrol-finish", name, session=session)

    def operate(self, name: str, operation: str) -> dict[str, Any]:
        return dict(self.base.process.operate("operate", name, operation=operation))

    def wait_for(self, name: str, *events: str, since: int = 0, rung: str = "") -> Line:
        """The first of these events of an account."""

        def look() -> Line | None:
            found = (one for one in self.base.log.events(name, since) if one["event"] in events)
            return next((one for one in found if rung in ("", one.get("rung", rung))), None)

        return until(f"{' or '.join(events)} {rung} of {name}", look, LOOK_SECONDS)

    def mark(self) -> int:
        return self.base.log.mark()


def aid_of(name: str) -> str:
    """The agent of a scene."""
    return f"{name}.sandbox.test"


# -- playing --------------------------------------------------------------------------------------------------------


def play(folder: Path, scenes: Sequence[Scene], access_seconds: float = ACCESS_SECONDS) -> dict[str, Row]:
    """All scenes, side by side."""
    with Sandbox() as service, Door(service.issuer) as door, Bed(folder) as bed, Turnstile(service) as turnstile:
        stage = Stage(Base(bed, service, door), turnstile)
        stage.set("", ACCESS_TTL_S=access_seconds)
        for scene in scenes:
            if scene.opens is not None:
                scene.opens(stage, scene.name)
            if scene.minted is not None:
                wish = {"label": scene.name, **scene.minted}
                [stage.agents[scene.name]] = stage.ask("POST", "/aun/mint", **wish)["agents"]
        bed.write(*(line for scene in scenes for line in stage.lines(scene)))
        stage.base.process = bed.up()
        stage.base.log = Log(bed.log)
        with ThreadPoolExecutor(len(scenes)) as hands:
            rows = hands.map(lambda scene: _play(stage, scene), scenes)
            return {row.name: row for row in rows}


def _play(stage: Stage, scene: Scene) -> Row:
    name = scene.name
    with Reader(stage.base.process, name, stage.attempt if scene.channel is None else _look) as reader:
        if not scene.is_vacant:
            stage.give(name, *scene.gives)
            until(f"a reader of {name}", lambda: reader.leases)
        if scene.channel is not None:
            stage.wait_for(name, "channel.connected")
            until(f"the session of {name}", lambda: stage.turnstile.has(aid_of(name)))
        stage.set(name, **scene.constants)
        mark, began = stage.mark(), time.time()
        scene.strike(stage, name)
        last = stage.wait_for(name, *scene.ends, since=mark, rung=scene.rung) if scene.ends else None
        if last is not None and last["event"] in ("refresh.succeeded", "channel.connected"):
            until(f"the reader of {name}", lambda: reader.is_served_since(moment(last)))
        if last is not None and last["event"] == "channel.connected":
            until(f"the session of {name}", lambda: stage.turnstile.has(aid_of(name)))
        return _row(stage, scene, reader, mark, began, last)


def _look(_lease: Mapping[str, Any]) -> None:
    """The channel tries it."""


def _row(stage: Stage, scene: Scene, reader: Reader, mark: int, began: float, last: Line | None) -> Row:
    name, base, ended = scene.name, stage.base, time.time()
    view, events = base.process.view(name), base.log.events(name, mark)
    stopped = next((one for one in events if one["event"] in ALERTS), None)
    page = base.service.ask("GET", f"/ledger/{name if scene.minted is not None else aid_of(name)}")
    needs_person = view["phase"] == "parked" or view["renewable"] == "no"
    person = stopped if stopped is not None else view if needs_person else {}
    gaps = {"reader": reader.gap(began, ended)}
    if scene.channel is not None:
        gaps["channel"] = stage.turnstile.gap(aid_of(name), began, ended)
    is_renewal = last is not None and last["event"] == "refresh.succeeded"
    return Row(
        name, "processes", "" if person else _healed(events),
        tuple(_calls(scene, page, began, moment(last) if last is not None and is_renewal else ended)), gaps,
        person.get("reason") if stopped is None else f"{stopped['code']}: {stopped['reason']}", person.get("remedy"),
        page["counters"]["spent_uses"], None, tuple(one["event"] for one in events),
        tuple(str(one["code"]) for one in events if one["event"] == "account.parked"),
        stage.facts.get(name, "") or (view.get("detail", "") if needs_person else ""),
        misses={"reader": reader.misses(began, ended)},
    )  # fmt: skip


def _healed(events: Sequence[Line]) -> str:
    """The rung of the newest lease; where none was needed, what the channel did."""
    rungs = [str(one["rung"]) for one in events if one["event"] == "refresh.succeeded" and one["rung"] not in FILLERS]
    connected = any(one["event"] == "channel.connected" for one in events)
    return rungs[-1] if rungs else "reconnect" if connected else ""


def _calls(scene: Scene, page: Mapping[str, Any], since: float, end: float) -> Iterator[str]:
    """What was asked for, and what came of it; of an answer that did not arrive, why."""
    lost = {one["serial"]: one["doubt"] for one in page["commits"] if not one["reached"]}
    names = set(CALLS) - ({CONNECT} if scene.channel is None else set())
    for one in page["calls"]:
        if one["grant_type"] in names and since <= one["at"] <= end:
            eaten = f" ({lost[one['commit']]})" if one["commit"] in lost else ""
            yield f"{CALLS[one['grant_type']]} {one['outcome']}{eaten}"
