"""One daemon, one stand-in of Futu, a family of a login and two brokers for each scene; all at the same time.

Rules
-----
* Each family has an account of its own at the service, with its own constants and orders.
* A program reads each broker and logs in at the trading connection with what it gets; it reports a refusal.
* A scene begins when both brokers have a lease and a code in stock.  It ends when its account was healed, or a person
  was told.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.crash.scene import Process
from tests.crash.services import Sandbox
from tests.flow.bed import Bed, Line, until
from tests.flow.scenarios import Row
from tests.flow.trader import login
from tests.flow.watchman import Log, Reader, moment

BROKERS: Final = {"hk": 1001, "us": 1007}
FIRST_UID: Final = 90000001
SIGNATURE_SECONDS: Final = 5.0
INTERVAL_SECONDS: Final = 0.5
LOOK_SECONDS: Final = 0.1
MIN_TTL: Final = 1.0
"""Readers want this much of a lease; so it is made anew before the old one ends."""
CONSTANTS: Final = {
    "FUTU_SIM_AUTHORITY_MIN_INTERVAL_S": INTERVAL_SECONDS,
    "FUTU_SIM_REPULL_MIN_INTERVAL_S": 0,
    "FUTU_SIM_SMS_MIN_INTERVAL_S": 0,
    "FUTU_SIM_BROKER_SIG_TTL_S": SIGNATURE_SECONDS,
    "FUTU_SIM_KEEPALIVE_S": 5,
}


@dataclass(frozen=True, slots=True)
class Scene:
    """One scenario.

    who      whose story it is: "" the login, "hk" or "us" a broker
    trouble  the event of that account that shows that the disturbance was met
    ends     the event after it that ends the scene; with a rung, that rung's
    readers  the brokers that are read
    keys     broker → more lines of its configuration
    """

    name: str
    strike: Callable[[Stage, str], None]
    who: str = "hk"
    trouble: str = ""
    ends: str = "refresh.succeeded"
    rung: str = "broker-auth"
    readers: tuple[str, ...] = ("hk", "us")
    keys: Mapping[str, str] = field(default_factory=dict)


class Stage:
    """What a scene's steps need."""

    def __init__(self, bed: Bed, service: Sandbox, scenes: tuple[Scene, ...]) -> None:
        self.bed, self.service = bed, service
        self.uids = {scene.name: FIRST_UID + index for index, scene in enumerate(scenes)}
        self.known: dict[str, dict[str, Any]] = {}
        self.process: Process
        self.log: Log

    def open(self, name: str) -> None:
        labels = {str(number): f"{name}-{broker}" for broker, number in BROKERS.items()}
        wish = {"label": name, "brokers": labels, "uid": self.uids[name], "account": f"{name}@example.org"}
        self.known[name] = self.service.ask("POST", "/futu/accounts", {**wish, "attribution": 6})

    def record(self, name: str) -> dict[str, str]:
        """What another client would have kept of the account."""
        return {key: str(value) for key, value in self.known[name].items() if isinstance(value, str | int) and value}

    def lines(self, scene: Scene) -> list[str]:
        name, readers = scene.name, f"readers = {{ users = [{os.geteuid()}] }}"
        lines = [
            f"[accounts.{name}]", 'kind = "futu"', f'account = "{name}@example.org"',
            f'auth_url = "{self.service.issuer}"', f"min_interval = {INTERVAL_SECONDS}", readers,
        ]  # fmt: skip
        for broker, number in BROKERS.items():
            more = scene.keys.get(broker)
            lines += [
                f"[accounts.{name}-{broker}]", 'kind = "futu-broker"', f'platform = "{name}"', f"broker_id = {number}",
                f'broker_url = "{self.service.issuer}"', "min_interval = 0", "repull_interval = 0", readers,
                "allow_short_lived = true", *([] if more is None else [more]),
            ]  # fmt: skip
        return lines

    # -- what is done ------------------------------------------------------------------------------------------------

    def order(self, name: str, operation: str, broker: str = "", **line: object) -> None:
        """The next such operation is answered as ordered."""
        whom = {"uid": self.uids[name], **({"broker_id": BROKERS[broker]} if broker else {})}
        self.service.ask("POST", "/futu/script", {"operation": operation, "count": 1, **whom, **line})

    def harm(self, name: str, how: str, what: str, broker: str = "", **more: object) -> None:
        """End (`expire`) or spoil (`void`) secrets."""
        whom = {"uid": self.uids[name], **({"broker_id": BROKERS[broker]} if broker else {})}
        self.service.ask("POST", f"/futu/{how}", {"what": what, **whom, **more})

    def fault(self, name: str, operation: str, fault: str = "lost_after_commit") -> None:
        whom = {"client_id": str(self.uids[name]), "grant_type": operation, "count": 1}
        self.service.ask("POST", "/faults", {"fault": fault, **whom})

    def log_in(self, name: str) -> None:
        """An operator has the login made anew; whatever comes of it."""
        self.rest(name)
        with contextlib.suppress(RuntimeError):
            self.process.operate("refresh", name)

    def rest(self, name: str) -> None:
        """Until the service takes another login of the account: it wants this long between two, by its own books."""

        def look() -> bool:
            logins = self.tally(name)["authority_at"]
            return not logins or time.time() - logins[-1] >= INTERVAL_SECONDS

        until(f"the pace of {name}", look)

    def attempt(self, lease: Mapping[str, Any]) -> tuple[int, str] | None:
        """Log in at the trading connection."""
        code, line = login(self.service.trade_url, dict(lease))
        line.close()
        return None if code == 0 else (401, str(code))

    def tally(self, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.service.ask("GET", "/futu/counters")["by_uid"][str(self.uids[name])]
        return found

    def events(self, name: str, who: str, since: int) -> list[Line]:
        return self.log.events(account_of(name, who), since)


def account_of(name: str, who: str) -> str:
    return f"{name}-{who}" if who else name


def play(folder: Path, scenes: tuple[Scene, ...]) -> dict[str, Row]:
    """All scenes, side by side."""
    with Sandbox() as service, Bed(folder) as bed:
        stage = Stage(bed, service, scenes)
        service.ask("PATCH", "/futu/constants", CONSTANTS)
        for scene in scenes:
            stage.open(scene.name)
        bed.write(*(line for scene in scenes for line in stage.lines(scene)))
        stage.process = bed.up()
        stage.log = Log(bed.log)
        with ThreadPoolExecutor(len(scenes)) as hands:
            rows = hands.map(lambda scene: _play(stage, scene), scenes)
            return {row.name: row for row in rows}


def _play(stage: Stage, scene: Scene) -> Row:
    name = scene.name
    stage.process.operate("import", name, secrets=stage.record(name))
    readers = {who: Reader(stage.process, account_of(name, who), stage.attempt, MIN_TTL) for who in scene.readers}
    with contextlib.ExitStack() as stack:
        for who, reader in readers.items():
            stack.enter_context(reader)
            until(f"a lease of {name}-{who}", lambda reader=reader: reader.leases)  # type: ignore[misc]
            until(f"a stock of {name}-{who}", lambda who=who: _is_calm(stage, name, who))  # type: ignore[misc]
        mark, began = stage.log.mark(), time.time()
        scene.strike(stage, name)
        last = until(f"the end of {name}", lambda: _end(stage, scene, mark), LOOK_SECONDS)
        if last["event"] == "refresh.succeeded":
            until(f"the readers of {name}", lambda: all(one.is_served_since(began) for one in readers.values()))
        ended = time.time()
        return _row(stage, scene, readers, mark, began, last, ended)


def _is_calm(stage: Stage, name: str, who: str) -> bool:
    view = stage.process.view(account_of(name, who))
    return view["phase"] == "live" and all(view.get("stock", {}).values())


def _end(stage: Stage, scene: Scene, mark: int) -> Line | None:
    events = stage.events(scene.name, scene.who, mark)
    met = next((i for i, one in enumerate(events) if scene.trouble in ("", one["event"])), None)
    rest = [] if met is None else events[met:]
    fits = (one for one in rest if one["event"] == scene.ends and one.get("rung", scene.rung) == scene.rung)
    return next(fits, None)


def _row(
    stage: Stage, scene: Scene, readers: Mapping[str, Reader], mark: int, began: float, last: Line, ended: float
) -> Row:
    name, told = scene.name, moment(last)
    view, tally = stage.process.view(account_of(name, scene.who)), stage.tally(name)
    healed = str(last["rung"]) if last["event"] == "refresh.succeeded" else ""
    events = [one for who in ("", *BROKERS) for one in stage.events(name, who, mark)]
    return Row(
        name, "processes", healed, tuple(_calls(stage, name, began, told)),
        {who: reader.gap(began, ended) for who, reader in readers.items()},
        None if healed else view["reason"], None if healed else view["remedy"],
        _number(tally["spent_uses"]), _number(tally["sms_sent"]), tuple(one["event"] for one in events),
        tuple(f"{one['account']} {one['code']}" for one in events if one["event"] == "account.parked"),
        "" if healed else view.get("detail", ""),
        misses={who: reader.misses(began, ended) for who, reader in readers.items()},
    )  # fmt: skip


def _number(found: int | Mapping[str, int]) -> int:
    return found if isinstance(found, int) else sum(found.values())


def _calls(stage: Stage, name: str, since: float, until: float) -> Iterator[str]:
    """What was asked for, in order: of the login, and of each broker."""
    found: list[tuple[float, str]] = []
    for who in ("", *BROKERS):
        try:
            page = stage.service.ask("GET", f"/ledger/{account_of(name, who)}")
        except RuntimeError:  # nothing was asked for yet
            continue
        lost = {one["serial"] for one in page["commits"] if not one["reached"]}
        for one in page["calls"]:
            eaten = " (lost)" if one["commit"] in lost else ""
            found.append((one["at"], f"{who} {one['grant_type']} {one['outcome']}{eaten}".strip()))
    return (call for at, call in sorted(found) if since <= at <= until)
