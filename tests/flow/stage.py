"""One daemon, one stand-in, an account for each scene, a reader on each; all at the same time.

`Stage` is what the services have in common; each of them says how an account is made, tried, and counted.

Rules
-----
* Every scene has a user and an account of its own, so that what is done to one ails no other.
* A scene begins with a fresh lease: what it does meets the next renewal, which comes by itself.
* A scene ends when it was healed, or when a person was told; then it is looked at, before anything is mended.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol

from tests.crash.scene import Process, Told
from tests.crash.services import Sandbox
from tests.flow.bed import Bed, Line, until
from tests.flow.door import Door
from tests.flow.scenarios import Row
from tests.flow.watchman import Log, Reader, moment

ACCESS_SECONDS: Final = 6
"""In doubt a lease is held to its end, so this bounds how long a scene takes."""
MARGINS: Final = "{ fraction = 0.4 }"
HEALED: Final = frozenset({"refresh.succeeded", "account.enrolled"})
LOOK_SECONDS: Final = 0.05
NOTHING: Final[Mapping[str, object]] = {}


class Stage(Protocol):
    """What a scene's steps need of a service, and how its accounts are made and looked at."""

    base: Base

    def open(self, scene: Scene) -> None:
        """Make the scene's user at the service."""

    def lines(self, scene: Scene) -> list[str]:
        """Lines of the account's configuration that are its kind's own."""

    def begin(self, scene: Scene) -> None:
        """Give the account a grant."""

    def set(self, name: str, constants: Mapping[str, object]) -> None:
        """Change what the service does to this account alone."""

    def attempt(self, name: str, lease: Mapping[str, Any]) -> tuple[int, str] | None:
        """Try a lease at a harmless call: None where it is taken, else status and code."""

    def counted(self, call: str) -> bool:
        """Whether a call of that name is worth a row's cell: readers' attempts are not."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One scenario.

    strike    what happens, right after a fresh lease
    ends      names of events, the first of which ends it; none: it ends when the strike has returned
    rung      the rung that it must be of; empty: any
    keys      more lines of the account's configuration
    begins    how the account gets its grant; None: in the service's usual way
    is_vacant it has no grant, and so no reader, before the strike
    opens     what is done at the service before the daemon starts
    is_whole  it is looked at from the daemon's start on
    then      what is done after it was looked at; the next lease after that names the rung that healed
    """

    name: str
    strike: Callable[[Any, str], None]
    ends: tuple[str, ...] = ("refresh.succeeded",)
    rung: str = ""
    keys: tuple[str, ...] = ()
    constants: Mapping[str, object] = field(default_factory=lambda: NOTHING)
    begins: Callable[[Any, str], None] | None = None
    is_vacant: bool = False
    opens: Callable[[Any, str], None] | None = None
    is_whole: bool = False
    then: Callable[[Any, str], None] | None = None


class Base:
    """Daemon, stand-in and log."""

    def __init__(self, bed: Bed, service: Sandbox, door: Door) -> None:
        self.bed, self.service, self.door = bed, service, door
        self.process: Process
        self.log: Log
        self.started = 0.0

    def fault(self, name: str, fault: str, **more: object) -> None:
        """The account's next call for a token meets it."""
        self.service.ask("POST", "/faults", {"fault": fault, "label": name, "count": 1, **more})

    def give(self, name: str, **secrets: str) -> None:
        self.process.operate("import", name, secrets=secrets)

    def told(self, verb: str, name: str, **args: object) -> str:
        """What an operator's verb says where it says no; empty where it does not."""
        try:
            self.process.operate(verb, name, **args)
        except Told as no:
            return str(no)
        return ""

    def finished(self, name: str, **given: str) -> str:
        """A step of an enrolment is taken once its pace allows: what is said where it comes to nothing."""

        def look() -> str:
            try:
                done = self.process.operate("enrol-finish", name, **given)
            except Told as no:
                return str(no)
            return "done" if done["done"] else str(done["pending"]).replace("held", "")

        said = until(f"an enrolment of {name}", look)
        return "" if said == "done" else said

    def secret(self, name: str, text: str | None = None) -> Path:
        """The file of an account's secret; `text`: what stands in it from now on."""
        path = self.bed.folder / f"{name}.secret"
        if text is not None:
            path.touch(0o600)
            path.write_text(text)
        return path

    def wait_for(self, name: str, *events: str, since: int = 0, rung: str = "") -> Line:
        """The first of these events of an account, and of a rung."""

        def look() -> Line | None:
            found = (one for one in self.log.events(name, since) if one["event"] in events)
            return next((one for one in found if rung in ("", one.get("rung"))), None)

        return until(f"{' or '.join(events)} of {name}", look, LOOK_SECONDS)


def play(folder: Path, make: Callable[[Base], Stage], scenes: Sequence[Scene]) -> dict[str, Row]:
    """All scenes, side by side."""
    with Sandbox() as service, Door(service.issuer) as door, Bed(folder) as bed:
        stage = make(Base(bed, service, door))
        for scene in scenes:
            stage.open(scene)
            if scene.opens is not None:
                scene.opens(stage, scene.name)
        bed.write(*(line for scene in scenes for line in _lines(stage, scene)))
        stage.base.started = time.time()
        stage.base.process = bed.up()
        stage.base.log = Log(bed.log)
        with ThreadPoolExecutor(len(scenes)) as hands:
            rows = hands.map(lambda scene: _played(stage, scene), scenes)
            return {row.name: row for row in rows}


def _lines(stage: Stage, scene: Scene) -> Iterator[str]:
    yield f"[accounts.{scene.name}]"
    yield f"readers = {{ users = [{os.geteuid()}] }}"
    yield "allow_short_lived = true"
    given = {line.partition(" = ")[0] for line in scene.keys}
    for line in (f"margins = {MARGINS}", *stage.lines(scene)):
        if line.partition(" = ")[0] not in given:
            yield line
    yield from (line.replace("{door}", stage.base.door.url) for line in scene.keys)


def _played(stage: Stage, scene: Scene) -> Row:
    try:
        return _play(stage, scene)
    except BaseException as error:
        error.add_note(f"in the scene {scene.name}")
        raise


def _play(stage: Stage, scene: Scene) -> Row:
    name, base = scene.name, stage.base
    with Reader(base.process, name, lambda lease: stage.attempt(name, lease)) as reader:
        if not scene.is_vacant:
            stage.begin(scene) if scene.begins is None else scene.begins(stage, name)
            until(f"a reader of {name}", lambda: reader.leases)
        stage.set(name, scene.constants)
        mark, began = (0, base.started) if scene.is_whole else (base.log.mark(), time.time())
        scene.strike(stage, name)
        last = base.wait_for(name, *scene.ends, since=mark, rung=scene.rung) if scene.ends else None
        if last is not None and last["event"] in HEALED:
            until(f"the reader of {name}", lambda: reader.is_served_since(moment(last)))
        seen = _row(stage, scene, reader, mark, began)
    if scene.then is None:
        return seen
    mark = base.log.mark()
    scene.then(stage, name)
    return replace(seen, healed=str(base.wait_for(name, *HEALED, since=mark)["rung"]))


def _row(stage: Stage, scene: Scene, reader: Reader, mark: int, began: float) -> Row:
    name, base, ended = scene.name, stage.base, time.time()
    view, events = base.process.view(name), base.log.events(name, mark)
    good = [
        one
        for one in events
        if one["event"] in scene.ends and one["event"] in HEALED and scene.rung in ("", one["rung"])
    ]
    page = _page(base.service, name)
    calls = tuple(_calls(stage, page, began, moment(good[0]) if good else ended))
    unable = next((one for one in events if one["event"] == "refresh.unable"), None) if not good else None
    needs_person = view["phase"] == "parked" or view["renewable"] == "no"
    reason, remedy = (view["reason"], view["remedy"]) if needs_person else (None, None)
    if unable is not None:
        reason, remedy = unable["type"], unable["remedy"]
    return Row(
        name, "processes", str(good[0]["rung"]) if good else "", calls, {"reader": reader.gap(began, ended)},
        reason, remedy, page["counters"]["spent_uses"], None, tuple(one["event"] for one in events),
        tuple(str(one["code"]) for one in events if one["event"] == "account.parked"),
        view.get("detail", "") if unable is None else unable["cause"], misses={"reader": reader.misses(began, ended)},
    )  # fmt: skip


def _page(service: Sandbox, name: str) -> Mapping[str, Any]:
    """The service's ledger of an account; an empty one where it never heard of it."""
    try:
        return service.ask("GET", f"/ledger/{name}")
    except RuntimeError:
        return {"calls": (), "commits": (), "counters": {"spent_uses": 0}}


def _calls(stage: Stage, page: Mapping[str, Any], since: float, end: float) -> Iterator[str]:
    """What was asked for, and what came of it; of an answer that did not arrive, why."""
    lost = {one["serial"]: one["doubt"] for one in page["commits"] if not one["reached"]}
    for one in page["calls"]:
        name = str(one["grant_type"])
        if since <= one["at"] <= end and stage.counted(name):
            eaten = f" ({lost[one['commit']]})" if one["commit"] in lost else ""
            yield f"{name} {one['outcome']}{eaten}"
