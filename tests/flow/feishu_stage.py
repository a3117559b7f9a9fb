"""One daemon, one stand-in of Feishu, an app and an account for each scene, a reader on each; all at the same time.

Rules
-----
* Every scene has an app of its own, so that what is done to one ails no other.
* A scene begins with a fresh lease: what it does meets the next renewal, which comes by itself.
* A scene ends when it was healed, or when a person was told; then it is looked at, before anything is mended.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final, cast

from tests.crash.scene import Process
from tests.crash.services import ROOT, Sandbox
from tests.flow.bed import FRESHD, Bed, Line, until
from tests.flow.door import Door, call
from tests.flow.scenarios import Row
from tests.flow.watchman import Log, Reader, moment

ACCESS_SECONDS: Final = 6.0
"""In doubt a lease is held to its end, so this bounds how long a scene takes."""
MARGINS: Final = "{ fraction = 0.4 }"
LOOK_SECONDS: Final = 0.05
USER_INFO: Final = "/open-apis/authen/v1/user_info"
HEALED: Final = frozenset({"refresh.succeeded", "account.enrolled"})
TOKEN: Final = "/oauth/v3/token"


@dataclass(frozen=True, slots=True)
class Scene:
    """One scenario.

    strike  what happens, right after a fresh lease
    ends    names of events, the first of which ends it
    keys    more lines of the account's configuration
    begins  how the account gets its grant; None: by the import of a fresh refresh token
    then    what is done after it was looked at; the last lease after that names the rung that healed
    says    the number in the service's ordered refusal
    """

    name: str
    strike: Callable[[Stage, str], None]
    ends: tuple[str, ...] = ("refresh.succeeded",)
    keys: tuple[str, ...] = ()
    constants: Mapping[str, object] | None = None
    begins: Callable[[Stage, str], None] | None = None
    then: Callable[[Stage, str], None] | None = None
    says: str = ""


class Stage:
    """What a scene's steps need."""

    def __init__(self, bed: Bed, service: Sandbox, door: Door) -> None:
        self.bed, self.service, self.door = bed, service, door
        self.process: Process
        self.log: Log

    # -- the service -------------------------------------------------------------------------------------------------

    def app(self, name: str, **fields: object) -> None:
        self.service.ask("PATCH", "/feishu/apps", {"app_id": f"cli_{name}", **fields})

    def constants(self, name: str, **fields: object) -> None:
        self.service.ask("PATCH", "/feishu/constants", {"label": name, **fields})

    def fault(self, name: str, fault: str, **more: object) -> None:
        """The next renewal meets it."""
        scope = {"label": name, "grant_type": "refresh_token", "count": 1}
        self.service.ask("POST", "/faults", {"fault": fault, **scope, **more})

    def code(self, name: str, code: int, **more: object) -> None:
        """The service's own refusal."""
        self.fault(name, "feishu_code", code=code, **more)

    def mint(self, name: str, **more: object) -> dict[str, Any]:
        wish = {"label": name, "app_id": f"cli_{name}", "open_id": f"ou_{name}", **more}
        return dict(self.service.ask("POST", "/feishu/mint", wish)["grants"][0])

    def spend(self, name: str, refresh_token: str) -> dict[str, Any]:
        """Another program renews."""
        wish = {
            "grant_type": "refresh_token", "client_id": f"cli_{name}", "client_secret": f"secret-of-{name}",
            "refresh_token": refresh_token,
        }  # fmt: skip
        _, answer = call(self.service.issuer, "POST", TOKEN, json.dumps(wish))
        assert answer["code"] == 0, answer
        return answer

    def attempt(self, lease: Mapping[str, Any]) -> tuple[int, str] | None:
        """Try a lease at the harmless call."""
        bearer = {"Authorization": f"Bearer {lease['access_token']}"}
        status, answer = call(self.service.issuer, "GET", USER_INFO, headers=bearer)
        return None if status == 200 and str(answer.get("code")) == "0" else (status, str(answer.get("code")))

    # -- the daemon --------------------------------------------------------------------------------------------------

    def lines(self, scene: Scene) -> list[str]:
        name = scene.name
        secret = self.secret(name)
        secret.touch(0o600)
        secret.write_text(f"secret-of-{name}")
        usual = {"accounts_url": f'"{self.service.issuer}"', "margins": MARGINS}
        given = {line.partition(" = ")[0] for line in scene.keys}
        return [
            f"[accounts.{name}]", 'kind = "feishu"', f'app_id = "cli_{name}"', f'app_secret = {{ file = "{secret}" }}',
            f'open_url = "{self.service.issuer}"', f"readers = {{ users = [{os.geteuid()}] }}", "min_interval = 0.05",
            "allow_short_lived = true", *(f"{key} = {value}" for key, value in usual.items() if key not in given),
            *scene.keys,
        ]  # fmt: skip

    def secret(self, name: str) -> Path:
        return self.bed.folder / f"{name}.secret"

    def give(self, name: str, **secrets: str) -> None:
        self.process.operate("import", name, secrets=secrets)

    def view(self, name: str) -> dict[str, Any]:
        return self.process.view(name)

    def wait_for(self, name: str, *events: str, since: int = 0) -> Line:
        """The first of these events of an account."""

        def look() -> Line | None:
            return next((one for one in self.log.events(name, since) if one["event"] in events), None)

        return until(f"{' or '.join(events)} of {name}", look, LOOK_SECONDS)

    def enrol(self, name: str, *words: str, agree: Callable[[str, str], None]) -> str:
        """`freshd enrol`, with a person who agrees once address and code are shown; all that was said."""
        command = [FRESHD, "--config", str(self.bed.config), "enrol", name, "--no-browser", *words]
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(self.bed.folder), "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            output, said = cast("IO[bytes]", process.stdout), ""
            try:
                for line in iter(output.readline, b""):
                    said += line.decode()
                    if line.startswith(b"Waiting"):
                        agree(*_address(said))
            except BaseException:
                process.kill()
                raise
        assert process.returncode == 0, said
        return said

    def agree_in_browser(self, name: str, open_id: str = "") -> Callable[[str, str], None]:
        def agree(url: str, _code: str) -> None:
            wish = {"url": url, "open_id": open_id or f"ou_{name}", "label": name}
            place = urllib.parse.urlsplit(self.service.ask("POST", "/feishu/authorize", wish)["location"])
            connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=20)
            connection.request("GET", f"{place.path}?{place.query}")
            connection.getresponse().read()
            connection.close()

        return agree

    def agree_with_code(self, name: str) -> Callable[[str, str], None]:
        def agree(_url: str, code: str) -> None:
            self.service.ask("POST", "/approve", {"user_code": code, "subject": f"ou_{name}", "label": name})

        return agree


def _address(said: str) -> tuple[str, str]:
    words = said.split()
    url = next(word for word in words if word.startswith("http"))
    return url, next((line.split()[1] for line in said.splitlines() if line.startswith("  code: ")), "")


# -- playing --------------------------------------------------------------------------------------------------------


def play(folder: Path, scenes: tuple[Scene, ...]) -> dict[str, Row]:
    """All scenes, side by side."""
    with Sandbox() as service, Door(service.issuer) as door, Bed(folder) as bed:
        stage = Stage(bed, service, door)
        constants = {
            "FEISHU_SIM_ACCESS_TTL_S": ACCESS_SECONDS,
            "FEISHU_SIM_TOKEN_CHARS": 200,
            "FEISHU_SIM_DEVICE_INTERVAL_S": 1,
        }
        service.ask("PATCH", "/feishu/constants", constants)
        for scene in scenes:
            wish = {"app_id": f"cli_{scene.name}", "secret": f"secret-of-{scene.name}"}
            service.ask("POST", "/feishu/apps", wish)
        bed.write(*(line for scene in scenes for line in _placed(stage, scene)))
        stage.process = bed.up()
        stage.log = Log(bed.log)
        with ThreadPoolExecutor(len(scenes)) as hands:
            rows = hands.map(lambda scene: _play(stage, scene), scenes)
            return {row.name: row for row in rows}


def _placed(stage: Stage, scene: Scene) -> list[str]:
    return [line.replace("{door}", stage.door.url) for line in stage.lines(scene)]


def _play(stage: Stage, scene: Scene) -> Row:
    name = scene.name
    with Reader(stage.process, name, stage.attempt) as reader:
        if scene.begins is None:
            stage.give(name, refresh_token=stage.mint(name)["refresh_token"])
        else:
            scene.begins(stage, name)
        until(f"a reader of {name}", lambda: reader.leases)
        stage.constants(name, **(scene.constants or {}))
        mark, began = stage.log.mark(), time.time()
        scene.strike(stage, name)
        last = stage.wait_for(name, *scene.ends, since=mark)
        if last["event"] in HEALED:
            until(f"the reader of {name}", lambda: reader.is_served_since(moment(last)))
        ended = time.time()
        seen = _row(stage, scene, reader, mark, began, ended)
    if scene.then is None:
        return seen
    mark = stage.log.mark()
    scene.then(stage, name)
    healed = [one for one in stage.log.events(name, mark) if one["event"] in HEALED]
    return replace(seen, healed=str(healed[-1]["rung"]), live=_live(stage, name))


def _row(stage: Stage, scene: Scene, reader: Reader, mark: int, began: float, ended: float) -> Row:
    name, view = scene.name, stage.view(scene.name)
    events = stage.log.events(name, mark)
    good = [one for one in events if one["event"] in HEALED and one["event"] in scene.ends]
    page = stage.service.ask("GET", f"/ledger/{name}")
    calls = tuple(_calls(page, scene.says, began, moment(good[0]) if good else ended))
    needs_person = view["phase"] == "parked" or view["renewable"] == "no"
    return Row(
        name, "processes", str(good[0]["rung"]) if good else "", calls, {"reader": reader.gap(began, ended)},
        view["reason"] if needs_person else None, view["remedy"] if needs_person else None,
        page["counters"]["spent_uses"], None, tuple(one["event"] for one in events),
        tuple(str(one["code"]) for one in events if one["event"] == "account.parked"), view.get("detail", ""),
        _live(stage, name), {"reader": reader.misses(began, ended)},
    )  # fmt: skip


def _calls(page: Mapping[str, Any], says: str, since: float, until: float) -> Iterator[str]:
    """What was asked for, and what came of it; of an answer that did not arrive, why."""
    lost = {one["serial"]: one["doubt"] for one in page["commits"] if not one["reached"]}
    for one in page["calls"]:
        if since <= one["at"] <= until:
            outcome = says if one["outcome"] == "feishu_code" else one["outcome"]
            eaten = f" ({lost[one['commit']]})" if one["commit"] in lost else ""
            yield f"{one['grant_type'].rpartition(':')[2]} {outcome}{eaten}"


def _live(stage: Stage, name: str) -> int:
    grants = stage.service.ask("GET", f"/feishu/grants/{name}")["grants"]
    return int(grants[-1]["live_refresh_tokens"])
