"""`freshd doctor` on prepared corpses: a dead grant each, its right cause, and not one call of a token endpoint.

All accounts live in one daemon and at one stand-in of Feishu, an app each, so that what ails one ails no other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.crash.scene import Process, Told
from tests.crash.services import Sandbox
from tests.flow.bed import Bed, Said, until

HARMLESS: Final = frozenset({"tenant_access_token", "app_access_token"})
"""Tokens of an app: free, and the same for everybody who asks early."""
SHORT: Final = 4.0
ENDED: Final = 1_700_000_000


class Morgue:
    """The daemon, the service, and what is done to accounts."""

    def __init__(self, bed: Bed, service: Sandbox) -> None:
        self.bed, self.service = bed, service
        self.process: Process | None = None

    def app(self, name: str, **more: object) -> None:
        self.service.ask("POST", "/feishu/apps", {"app_id": f"cli_{name}", "secret": f"secret-of-{name}", **more})

    def change(self, name: str, **fields: object) -> None:
        self.service.ask("PATCH", "/feishu/apps", {"app_id": f"cli_{name}", **fields})

    def lines(self, name: str) -> list[str]:
        secret = self.bed.folder / f"{name}.secret"
        secret.touch(0o600)
        secret.write_text(f"secret-of-{name}")
        return [
            f"[accounts.{name}]", 'kind = "feishu"', f'app_id = "cli_{name}"', f'app_secret = {{ file = "{secret}" }}',
            f'open_url = "{self.service.issuer}"', f'accounts_url = "{self.service.issuer}"', f'grant = "{name}"',
            "min_interval = 0.01", "allow_short_lived = true",
        ]  # fmt: skip

    def mint(self, name: str, app: str = "") -> dict[str, Any]:
        wish = {"label": name, "app_id": f"cli_{app or name}", "open_id": f"ou_{name}"}
        return dict(self.service.ask("POST", "/feishu/mint", wish)["grants"][0])

    def enrol(self, name: str, *, app: str = "", access: bool = False) -> dict[str, Any]:
        """Import a grant: alone, and then it is renewed at once; or with its access token, and then it rests."""
        assert self.process is not None
        pair = self.mint(name, app)
        secrets = {"refresh_token": pair["refresh_token"]}
        if access:
            secrets |= {"access_token": pair["access_token"], "expires_at": f"{pair['expires_at']:.0f}"}
        self.process.operate("import", name, secrets=secrets)
        return pair

    def live(self, name: str) -> None:
        """An account that was renewed by freshd itself."""
        self.enrol(name)
        until(f"{name} lives", lambda: self.view(name)["usable_until"])

    def view(self, name: str) -> dict[str, Any]:
        assert self.process is not None
        return self.process.view(name)

    def refresh(self, name: str) -> None:
        """Ask for a renewal, which comes to nothing here."""
        assert self.process is not None
        with pytest.raises(Told):
            self.process.operate("refresh", name)

    def fault(self, name: str, fault: str, **more: object) -> None:
        scope = {"label": name, "grant_type": "refresh_token"}
        self.service.ask("POST", "/faults", {"fault": fault, **scope, **more})

    def spend(self, refresh_token: str, name: str) -> None:
        """Another program renews."""
        import http.client
        import urllib.parse

        place = urllib.parse.urlsplit(self.service.issuer)
        connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=20)
        wish = {
            "grant_type": "refresh_token", "client_id": f"cli_{name}", "client_secret": f"secret-of-{name}",
            "refresh_token": refresh_token,
        }  # fmt: skip
        connection.request("POST", "/oauth/v3/token", json.dumps(wish), {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        assert answer["code"] == 0

    def token_calls(self) -> int:
        """Arrivals at the token endpoint that could have spent something."""
        calls: Mapping[str, int] = self.service.ask("GET", "/counters")["total"]["calls"]
        return sum(count for kind, count in calls.items() if kind not in HARMLESS)

    def env(self, name: str, **values: object) -> Path:
        folder = self.bed.folder / f"{name}.bot"
        folder.mkdir(mode=0o700)
        path = folder / ".env"
        path.touch(0o600)
        path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        return path

    def doctor(self, *words: str) -> dict[str, Any]:
        said: Said = self.bed.run("doctor", *words, "--json")
        assert said.out, said.err
        return dict(json.loads(said.out))


def used_by_us(it: Morgue, name: str) -> None:
    it.service.ask("PATCH", "/feishu/constants", {"label": name, "FEISHU_SIM_ACCESS_TTL_S": SHORT})
    it.live(name)
    it.fault(name, "lost_after_commit", count=1)
    until(f"{name} is dead", lambda: it.view(name)["phase"] == "parked")


def used_by_another(it: Morgue, name: str) -> None:
    pair = it.enrol(name, access=True)
    it.spend(pair["refresh_token"], name)
    it.refresh(name)


def idle_for_days(it: Morgue, name: str) -> None:
    pair = it.mint(name)
    it.service.ask("POST", "/feishu/age", {"label": name, "days": 8})
    soon = f"{time.time() + 1.5:.3f}"
    secrets = {"refresh_token": pair["refresh_token"], "refresh_token_expires_at": soon}
    assert it.process is not None
    it.process.operate("import", name, secrets=secrets)
    until(f"{name} is dead", lambda: it.view(name)["phase"] == "parked" and time.time() > float(soon))


def a_year_later(it: Morgue, name: str) -> None:
    it.live(name)
    it.service.ask("POST", "/feishu/age", {"label": name, "days": 366})
    it.refresh(name)


def revoked(it: Morgue, name: str) -> None:
    it.live(name)
    it.service.ask("POST", "/kill_lineage", {"label": name})
    it.service.ask("POST", "/revoke_access", {"label": name})
    it.refresh(name)


def secret_of_another_app(it: Morgue, name: str) -> None:
    it.live(name)
    it.change(name, secret="that-of-another")
    it.refresh(name)


def token_of_another_app(it: Morgue, name: str) -> None:
    it.app(f"{name}-elsewhere")
    it.enrol(name, app=f"{name}-elsewhere", access=True)
    it.refresh(name)


def switched_off(it: Morgue, name: str) -> None:
    it.live(name)
    it.change(name, refreshing=False)
    it.refresh(name)


def clock_off(it: Morgue, name: str) -> None:
    it.live(name)
    it.service.ask("POST", "/faults", {"fault": "skew", "seconds": 3600, "endpoint": "*", "client_id": f"cli_{name}"})


def gateway(it: Morgue, name: str) -> None:
    it.live(name)
    it.fault(name, "bad_gateway")
    it.refresh(name)


def user_left(it: Morgue, name: str) -> None:
    it.live(name)
    it.service.ask("POST", "/feishu/people", {"open_id": f"ou_{name}", "standing": "left"})
    it.refresh(name)


def no_refresh_token(it: Morgue, name: str) -> None:
    it.live(name)
    it.fault(name, "no_refresh_token")
    assert it.process is not None
    it.process.operate("refresh", name)


def never_enrolled(_it: Morgue, _name: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Corpse:
    """How it died, what doctor is to call it, and words that its first finding must hold."""

    prepare: Callable[[Morgue, str], None]
    cause: str
    words: str


CORPSES: Mapping[str, Corpse] = {
    "used-by-us": Corpse(used_by_us, "used-twice", "used twice, by freshd"),
    "used-by-another": Corpse(used_by_another, "used-twice", "used by another program"),
    "idle": Corpse(idle_for_days, "expired", "and lives for"),
    "year": Corpse(a_year_later, "expired", "the year since a person agreed.  The secret itself was obtained"),
    "revoked": Corpse(revoked, "revoked", "the token in hand was refused before its end"),
    "other-secret": Corpse(secret_of_another_app, "app-refused", "do not fit each other"),
    "other-app": Corpse(token_of_another_app, "wrong-app", "belongs to another app"),
    "switched-off": Corpse(switched_off, "refresh-switched-off", "switched off"),
    "clock": Corpse(clock_off, "clock", "behind the service's"),
    "gateway": Corpse(gateway, "gateway", "something in between"),
    "user-left": Corpse(user_left, "user-gone", "left"),
    "no-refresh": Corpse(no_refresh_token, "no-refresh-token", "nothing to renew with"),
    "never": Corpse(never_enrolled, "never-enrolled", "nobody has enrolled it"),
}


@pytest.fixture(scope="module")
def morgue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Morgue]:
    with Sandbox() as service, Bed(tmp_path_factory.mktemp("morgue")) as bed:
        it = Morgue(bed, service)
        for name in CORPSES:
            it.app(name)
        bed.write(*(line for name in CORPSES for line in it.lines(name)))
        it.process = bed.up()
        for name, corpse in CORPSES.items():
            corpse.prepare(it, name)
        yield it


def first(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first finding that names a cause."""
    return next((one for one in told["findings"] if one.get("cause")), {"cause": "", "text": "", "remedy": ""})


def test_I8_every_corpse_has_its_cause_and_no_token_endpoint_was_called(morgue: Morgue) -> None:
    before = morgue.token_calls()
    found = {name: first(morgue.doctor(name)) for name in CORPSES}
    spent = morgue.token_calls() - before
    for name, corpse in CORPSES.items():
        print(f"{name:<16} {corpse.cause:<22} {found[name]['cause']:<22} {found[name]['text'][:90]}")
    print(f"token endpoint calls by {len(CORPSES)} examinations: {spent}")
    assert {name: one["cause"] for name, one in found.items()} == {name: one.cause for name, one in CORPSES.items()}
    assert [name for name, one in CORPSES.items() if one.words not in found[name]["text"]] == []
    assert all(one["remedy"] for one in found.values())
    assert spent == 0


def ended_early(it: Morgue, pair: dict[str, Any]) -> dict[str, Any]:
    it.service.ask("POST", "/revoke_access", {"label": "stray"})
    return pair


STRAYS: Mapping[str, tuple[Callable[[Morgue, dict[str, Any]], Mapping[str, object]], str]] = {
    "well": (lambda _it, pair: pair, ""),
    "no refresh token": (lambda _it, pair: {**pair, "FEISHU_REFRESH_TOKEN": ""}, "no-refresh-token"),
    "no offline_access": (lambda _it, pair: {**pair, "FEISHU_SCOPE": "auth:user.id:read"}, "no-refresh-token"),
    "refresh token over": (lambda _it, pair: {**pair, "FEISHU_REFRESH_TOKEN_EXPIRES_AT": ENDED}, "expired"),
    "another app's secret": (lambda _it, pair: {**pair, "FEISHU_APP_SECRET": "no"}, "app-refused"),
    "the other brand's app": (lambda _it, pair: {**pair, "FEISHU_APP_ID": "cli_unknown"}, "app-refused"),
    "access token ended early": (ended_early, "revoked"),
}  # fmt: skip


@pytest.mark.parametrize("name", STRAYS)
def test_a_file_of_somebody_without_freshd_is_examined_too(morgue: Morgue, name: str) -> None:
    spoil, cause = STRAYS[name]
    morgue.app("stray")
    pair = morgue.mint("stray")
    values = {
        "FEISHU_APP_ID": "cli_stray", "FEISHU_APP_SECRET": "secret-of-stray",
        "FEISHU_USER_ACCESS_TOKEN": pair["access_token"], "FEISHU_REFRESH_TOKEN": pair["refresh_token"],
        "FEISHU_TOKEN_EXPIRES_AT": f"{pair['expires_at']:.0f}", "FEISHU_SCOPE": f'"{pair["scope"]}"',
        "FEISHU_REFRESH_TOKEN_EXPIRES_AT": f"{pair['refresh_expires_at']:.0f}",
    }  # fmt: skip
    path = morgue.env(f"stray-{name.replace(' ', '-')}", **spoil(morgue, values))
    kept, before = path.read_bytes(), morgue.token_calls()
    told = morgue.doctor("--env", str(path), "--open-url", morgue.service.issuer)
    print(f"{name:<26} {cause or '-':<18} {first(told)['cause'] or '-':<18} {first(told)['text'][:80]}")
    assert first(told)["cause"] == cause
    assert morgue.token_calls() == before
    assert path.read_bytes() == kept
    shown = json.dumps(told)
    assert pair["refresh_token"] not in shown
    assert pair["access_token"] not in shown
    assert "secret-of-stray" not in shown


def test_without_the_daemon_the_history_still_tells_and_what_it_cannot_is_said(morgue: Morgue) -> None:
    assert morgue.process is not None
    before = morgue.token_calls()
    morgue.process.stop()
    told = {name: morgue.doctor(name) for name in ("switched-off", "other-app", "used-by-us", "never", "other-secret")}
    assert {name: first(one)["cause"] for name, one in told.items()} == {
        "switched-off": "refresh-switched-off", "other-app": "wrong-app", "used-by-us": "used-twice",
        "never": "never-enrolled", "other-secret": "app-refused",
    }  # fmt: skip
    assert all("cannot be told" in json.dumps(one) for one in told.values())
    assert morgue.token_calls() == before
    assert time.time() > ENDED
