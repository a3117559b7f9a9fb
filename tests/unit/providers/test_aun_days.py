"""Agents in freshd's own engine, on virtual time: no storm, no dead end, no key lost, and every call counted."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from freshd.core.model import Grant, Record, Secret
from freshd.core.outcome import Lost, NotSent, Performed, Reply
from freshd.core.state import Phase, Plan
from freshd.errors import FreshdError
from freshd.providers.aun.agent import Aun
from freshd.providers.aun.certificate import certificate_of
from freshd.roster import Member
from tests.fakes.house import House
from tests.fakes.provider import FakeProvider
from tests.fakes.time import EPOCH, VirtualTime
from tests.fakes.vault import Disk
from tests.unit.providers.aun_issuer import URLS, Issuer, Refused, agent
from tests.unit.providers.aun_parts import CERTIFICATE, MARGINS, OLD_CERTIFICATE, OVER_CERTIFICATE, OWN, options
from tests.unit.providers.aun_pki import DAY, NOW, Pki, pem_of

HOUR = 3600.0
REFRESH, LOGIN1, LOGIN2 = "auth.refresh_token", "auth.aid_login1", "auth.aid_login2"


class Home(House):
    """One agent and its issuer."""

    def __init__(self, folder: Path, certificate: str | None = CERTIFICATE, **keys: Any) -> None:
        time = VirtualTime()
        time.step(NOW - EPOCH)
        super().__init__(time=time, disk=Disk())
        self.issuer = Issuer(lambda: time.now().wall, certificate=certificate)
        self.provider: Aun = agent(self.issuer, time, folder, **keys)
        self.providers = {"a": cast("FakeProvider", self.provider)}

    def member(self, account: str) -> Member:
        one = self.provider
        return Member(Plan("a", one.ladder, one.contract, MARGINS, one.binding), one, "aun", "a", paused=False)

    def enrolled(self, certificate: str = CERTIFICATE, **more: str) -> None:
        """As if the agent had logged in a moment ago."""
        now = self.time.now()
        held = {"private_key": pem_of(OWN), "certificate": certificate, "current_certificate": "0",
                "refresh_token": self.issuer.token(), **more}  # fmt: skip
        grant = Grant("line", self.provider.binding, {name: Secret(value) for name, value in held.items()}, now, now)
        self.vault.disk.records["a"] = Record("a", 1, grant)

    @property
    def record(self) -> Record:
        return self.vault.disk.records["a"]

    @property
    def held(self) -> Mapping[str, str]:
        grant = self.record.grant
        return {} if grant is None else {name: secret.reveal() for name, secret in grant.secrets.items()}

    async def pass_(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def refuse(self) -> None:
        """A reader meets a refusal of the lease in hand, and the heal lands."""
        lease = self.state("a").lease
        assert lease is not None
        self.desk.refused("a", lease.fingerprint, 4001, "4001")
        await asyncio.sleep(120)

    async def do(self, verb: str, **args: Any) -> Mapping[str, Any]:
        return await self.desk.operate(verb, "a", args)

    async def enrol(self) -> Mapping[str, Any]:
        begun = await self.do("enrol-begin")
        return await self.do("enrol-finish", session=begun["session"])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    made.enrolled()
    return made


# -- storms ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expires_in", [3600, 1200, 600, 60, 1, 0, -1, "1200", None])
@pytest.mark.parametrize("refreshable", [True, False])
def test_I6_no_life_is_so_short_that_renewals_storm(home: Home, expires_in: object, refreshable: bool) -> None:
    home.issuer.expires_in, home.issuer.refreshable = expires_in, refreshable
    home.live(lambda: home.pass_(2 * HOUR))
    renewed = home.issuer.counts[REFRESH] + home.issuer.counts[LOGIN2]
    assert 2 <= renewed <= 2 * HOUR / options().min_interval + 2
    assert home.issuer.spent_uses == 0
    assert home.state("a").phase is not Phase.PARKED


def test_I6_a_lead_longer_than_the_life_does_not_storm(home: Home) -> None:
    home.issuer.expires_in = 60
    home.live(lambda: home.pass_(HOUR))
    assert home.issuer.counts[REFRESH] <= HOUR / 30 + 2


def test_a_day_of_hourly_tokens_takes_refreshes_only(home: Home) -> None:
    home.live(lambda: home.pass_(DAY))
    assert 26 <= home.issuer.counts[REFRESH] <= 30
    assert home.issuer.counts[LOGIN1] == 0
    assert home.issuer.spent_uses == 0


@pytest.mark.parametrize("limit", [{"chain_seconds": DAY}, {"chain_refreshes": 26}])
def test_a_chain_of_refreshes_ends_with_a_login_and_another_one_begins(tmp_path: Path, limit: dict[str, Any]) -> None:
    home = Home(tmp_path, **limit)
    home.enrolled()
    home.live(lambda: home.pass_(2.5 * DAY))
    assert home.issuer.counts[LOGIN2] == 2
    assert 60 <= home.issuer.counts[REFRESH] <= 75
    assert home.issuer.spent_uses == 0


def test_every_answer_of_trouble_for_a_day_makes_no_storm(home: Home) -> None:
    for method in (REFRESH, LOGIN1):
        home.issuer.script[method] = [Refused(5003)] * 10_000
    home.live(lambda: home.pass_(DAY))
    assert sum(home.issuer.counts.values()) < 600
    assert home.state("a").phase is not Phase.PARKED


# -- dead ends -------------------------------------------------------------------------------------------------------


def test_a_lost_refresh_leads_to_a_login_and_the_spent_token_is_never_presented_again(home: Home) -> None:
    home.issuer.script[REFRESH] = [Lost("closed")]
    home.live(lambda: home.pass_(HOUR / 2))
    assert (home.issuer.counts[REFRESH], home.issuer.counts[LOGIN2]) == (1, 1)
    assert home.state("a").lease is not None
    assert home.issuer.spent_uses == 0
    assert "doubt.replayed" not in home.told


def test_a_dead_refresh_token_leads_to_a_login(home: Home) -> None:
    home.issuer._tokens = dict.fromkeys(home.issuer._tokens, False)
    home.live(lambda: home.pass_(600))
    assert (home.issuer.counts[REFRESH], home.issuer.counts[LOGIN2]) == (1, 1)
    assert home.state("a").phase is Phase.LIVE


def test_tokens_that_are_refused_after_a_refresh_lead_to_a_login_and_then_to_a_stop(home: Home) -> None:
    async def day() -> None:
        await home.pass_(60)
        await home.refuse()
        assert (home.issuer.counts[REFRESH], home.issuer.counts[LOGIN2]) == (2, 0)
        await home.refuse()
        assert (home.issuer.counts[REFRESH], home.issuer.counts[LOGIN2]) == (2, 1)
        for _ in range(5):
            await home.refuse()

    home.live(day)
    assert sum(home.issuer.counts[method] for method in (REFRESH, LOGIN2)) <= 4
    assert "heal.stopped" in home.told


def test_a_login_without_refresh_tokens_is_made_each_time(home: Home) -> None:
    home.issuer.refreshable = False
    home.live(lambda: home.pass_(6 * HOUR))
    assert home.issuer.counts[REFRESH] == 1
    assert 6 <= home.issuer.counts[LOGIN2] <= 8


@pytest.mark.parametrize("code", [-32001, -32003, 4001])
def test_a_login_that_is_refused_is_made_once_more_and_then_no_more(home: Home, code: int) -> None:
    home.issuer._tokens.clear()
    home.issuer.script[LOGIN2] = [Refused(code)] * 100
    home.live(lambda: home.pass_(DAY))
    assert (home.issuer.counts[LOGIN1], home.issuer.counts[LOGIN2]) == (2, 2)
    assert home.state("a").phase is Phase.PARKED
    assert "account.parked" in home.told
    assert {"private_key", "certificate"} <= home.held.keys()


def test_a_stale_nonce_is_mended_by_a_login_begun_anew(home: Home) -> None:
    home.issuer._tokens.clear()
    home.issuer.script[LOGIN2] = [Refused(-32002)]
    home.live(lambda: home.pass_(600))
    assert (home.issuer.counts[LOGIN1], home.issuer.counts[LOGIN2]) == (2, 2)
    assert home.state("a").phase is Phase.LIVE


def test_an_impostor_gets_no_signature_and_the_account_comes_back_by_itself(home: Home) -> None:
    home.issuer._tokens.clear()
    honest, home.issuer.pki = home.issuer.pki, Pki(label="impostor ")

    async def day() -> None:
        await home.pass_(2 * HOUR)
        assert home.state("a").phase is Phase.PARKED
        assert home.issuer.counts[LOGIN2] == 0
        assert home.issuer.counts[LOGIN1] <= 2 * HOUR / 900 + 1
        home.issuer.pki = honest
        await home.pass_(HOUR / 2)

    home.live(day)
    assert home.state("a").phase is Phase.LIVE
    assert "account.recovered" in home.told


def test_a_pace_is_kept_as_the_service_asks(home: Home) -> None:
    home.issuer.script[REFRESH] = [Refused(429, retry_after=1800)]

    async def day() -> None:
        await home.pass_(1700)
        assert sum(home.issuer.counts.values()) == 1
        await home.pass_(200)

    home.live(day)
    assert home.issuer.counts[REFRESH] == 2


# -- certificates ----------------------------------------------------------------------------------------------------


def test_past_half_of_its_life_a_login_brings_a_certificate(tmp_path: Path) -> None:
    home = Home(tmp_path, OLD_CERTIFICATE)
    home.enrolled(OLD_CERTIFICATE)
    home.live(lambda: home.pass_(3 * HOUR))
    assert home.held["certificate"] == home.issuer.certificate != OLD_CERTIFICATE
    assert (home.issuer.counts[LOGIN2], home.issuer.counts["auth.renew_cert"]) == (1, 0)
    assert home.held["current_certificate"] == "0"


def test_where_the_login_brings_none_the_certificate_is_renewed_at_once(tmp_path: Path) -> None:
    home = Home(tmp_path, OLD_CERTIFICATE)
    home.enrolled(OLD_CERTIFICATE)
    home.issuer.offers = False
    home.live(lambda: home.pass_(3 * HOUR))
    assert home.held["certificate"] == home.issuer.certificate != OLD_CERTIFICATE
    assert (home.issuer.counts[LOGIN2], home.issuer.counts["auth.renew_cert"]) == (1, 1)
    assert home.state("a").lease is not None
    assert "refresh_token" in home.held


@pytest.mark.parametrize("said", [Lost("timed out"), NotSent("x"), Refused(-32002), Refused(-32603), Refused(-31000),
                                  Reply(200, (), b"<html>")])  # fmt: skip
def test_a_renewal_that_never_works_stops_no_token(tmp_path: Path, said: Performed | Refused) -> None:
    home = Home(tmp_path, OLD_CERTIFICATE)
    home.enrolled(OLD_CERTIFICATE)
    home.issuer.offers = False
    home.issuer.script["auth.renew_cert"] = [said] * 100_000
    short = []

    async def day() -> None:
        await home.pass_(60)
        for _ in range(48):
            await home.pass_(HOUR / 2)
            until = home.state("a").until
            short.append(until is None or until <= home.time.boot())

    home.live(day)
    assert not any(short)
    assert home.state("a").phase is not Phase.PARKED
    assert home.issuer.counts["auth.renew_cert"] < 24 * HOUR / 60
    assert home.issuer.spent_uses == 0


def test_a_certificate_that_is_over_comes_back_by_itself(tmp_path: Path) -> None:
    home = Home(tmp_path, OVER_CERTIFICATE)
    home.enrolled(OVER_CERTIFICATE)
    home.issuer._tokens.clear()
    home.live(lambda: home.pass_(HOUR))
    one = certificate_of(home.held["certificate"])
    assert one is not None
    assert one.ends > home.time.now().wall
    assert home.issuer.counts["auth.renew_cert"] == 1
    assert home.state("a").phase is Phase.LIVE
    assert home.state("a").lease is not None


# -- enrolment, change of the key ------------------------------------------------------------------------------------


def empty(tmp_path: Path) -> Home:
    return Home(tmp_path, None)


def test_an_agent_is_registered_and_its_tokens_come(tmp_path: Path) -> None:
    home = empty(tmp_path)

    async def day() -> None:
        assert (await home.enrol())["done"]
        await home.pass_(60)

    home.live(day)
    assert home.state("a").lease is not None
    assert home.issuer.counts["auth.create_aid"] == 1
    assert home.held["certificate"] == home.issuer.certificate


def test_a_lost_registration_costs_nothing_for_the_key_is_kept_first(tmp_path: Path) -> None:
    home = empty(tmp_path)
    honest = home.issuer._create_aid

    async def day() -> None:
        begun = await home.do("enrol-begin")
        key = home.held["private_key"]
        home.issuer.script["auth.create_aid"] = [Lost("closed")]
        with pytest.raises(FreshdError):
            await home.do("enrol-finish", session=begun["session"])
        from freshd.providers.aun.wire import public_text

        honest({"aid": "alice01.example.test", "public_key": public_text(key)})
        assert (await home.enrol())["done"]
        assert home.held["private_key"] == key
        await home.pass_(60)

    home.live(day)
    assert home.issuer.counts["auth.create_aid"] == 1
    assert home.state("a").lease is not None


def test_an_agent_of_somebody_elses_key_is_a_conflict(tmp_path: Path) -> None:
    home = empty(tmp_path)
    home.issuer.certificate = CERTIFICATE

    async def day() -> None:
        with pytest.raises(FreshdError, match="key that freshd does not have"):
            await home.enrol()

    home.live(day)
    assert home.issuer.calls == []


def test_a_change_of_the_key_is_followed_by_a_login_with_the_new_one(home: Home) -> None:
    async def day() -> None:
        await home.pass_(60)
        await home.do("operate", operation="rekey")
        await home.pass_(2 * HOUR)

    home.live(day)
    assert home.held["private_key"] != pem_of(OWN)
    assert "candidate_key" not in home.held
    assert home.issuer.counts["auth.rekey"] == 1
    assert home.issuer.counts[LOGIN2] >= 1
    assert home.state("a").phase is Phase.LIVE


@pytest.mark.parametrize("has_acted", [True, False])
def test_a_change_of_the_key_whose_answer_is_lost_loses_neither_key(home: Home, has_acted: bool) -> None:
    speak = home.issuer.speak

    async def cut(url: str, method: str, params: Mapping[str, Any]) -> Performed:
        if method != "auth.rekey":
            return await speak(url, method, params)
        if has_acted:
            await speak(url, method, params)
        return Lost("closed")

    home.provider._transport.call = cut  # type: ignore[method-assign]

    async def day() -> None:
        await home.pass_(60)
        with pytest.raises(FreshdError):
            await home.do("operate", operation="rekey")
        assert {"candidate_key", "private_key"} <= home.held.keys()
        await home.pass_(30 * HOUR)

    home.live(day)
    assert "candidate_key" not in home.held
    assert (home.held["private_key"] == pem_of(OWN)) is not has_acted
    assert home.state("a").phase is Phase.LIVE
    assert home.state("a").lease is not None


def test_an_operator_renews_the_certificate_and_readers_keep_their_token(home: Home) -> None:
    async def day() -> None:
        await home.pass_(60)
        await home.do("operate", operation="renew")
        assert home.desk.lease("a") is not None
        await home.pass_(60)

    home.live(day)
    assert home.held["certificate"] == home.issuer.certificate != CERTIFICATE


def test_facts_hold_no_secret(home: Home) -> None:
    async def day() -> None:
        await home.pass_(60)
        for operation in ("whoami", "certificate"):
            told = json.dumps(dict(await home.do("operate", operation=operation)))
            assert not any(secret in told for name, secret in home.held.items() if len(secret) > 6)
            assert "alice01" in told or "this certificate" in told

    home.live(day)


def test_gateways_come_and_go(home: Home) -> None:
    async def day() -> None:
        home.issuer.down = {URLS[0]}
        await home.pass_(2 * HOUR)
        assert home.state("a").lease is not None
        home.issuer.down = set(URLS)
        await home.pass_(HOUR)
        home.issuer.down = set()
        await home.pass_(HOUR / 4)

    home.live(day)
    assert home.state("a").phase is Phase.LIVE
    assert home.issuer.spent_uses == 0
