"""GeniusAuth's stand-in on the wire: faults, deliveries, the page for people, the control port, the wiki's dialect."""

import contextlib
import dataclasses
import email.utils
import json
import re
import urllib.parse
from typing import Any

import aiohttp
import pytest

from freshd.sandbox.geniusauth.codes import STATUS
from freshd.sandbox.geniusauth.constants import GeniusConstants
from freshd.sandbox.geniusauth.orders import Operation
from freshd.sandbox.geniusauth.service import GeniusAuth
from freshd.sandbox.geniusauth.state import Broken
from freshd.sandbox.tokens import Commit, fingerprint
from tests.sandbox.conftest import START, Answer, Clock, Peer, until
from tests.sandbox.geniusauth_bed import APP, KEYPAIR, LOGIN, REFRESH, SECRET, VERIFY, WHOAMI, claims, signature
from tests.sandbox.test_readme import TEXT


def signed(app: str = APP, secret: str = SECRET, /, at: float = START, **fields: Any) -> dict[str, Any]:
    whole = {"appCode": app, "timeStamp": int(at), **fields}
    return {**whole, "signature": signature(whole, secret)}


async def mint(peer: Peer, label: str = "a", **wish: Any) -> dict[str, Any]:
    grant: dict[str, Any] = (await peer.control("POST", "/geniusauth/mint", label=label, **wish))["grants"][0]
    return grant


async def login_token(peer: Peer, label: str = "a", **wish: Any) -> str:
    answer = await peer.control("POST", "/geniusauth/login_tokens", label=label, **wish)
    token: str = answer["logins"][0]["token"]
    return token


async def login(peer: Peer, token: str) -> Answer:
    return await peer.call("POST", LOGIN, json=signed(token=token, grantType="refresh_token"))


async def refresh(peer: Peer, token: str, **more: Any) -> Answer:
    return await peer.call("POST", REFRESH, json=signed(token=token), **more)


async def settled(peer: Peer, label: str) -> Commit:
    commits = peer.running.ledger.books.account(label).commits
    await until(lambda: commits and commits[-1].delivery)
    return commits[-1]


async def test_it_is_mounted_beside_the_others(peer: Peer) -> None:
    assert isinstance(peer.running.stands["geniusauth"], GeniusAuth)


async def test_a_whole_life_over_http(peer: Peer) -> None:
    data = (await login(peer, await login_token(peer))).json["data"]
    said = await refresh(peer, data["refreshToken"])
    assert said.headers["Content-Type"].startswith("application/json")
    access = said.json["data"]["access_token"]
    assert (await peer.call("POST", VERIFY, json=signed(token=access))).json == {"code": 0, "data": {"uid": 8}}
    query = urllib.parse.urlencode(signed(token=data["refreshToken"]))
    assert (await peer.call("DELETE", f"{REFRESH}?{query}")).json == {"code": 0}
    assert (await peer.call("POST", WHOAMI, json=signed(token=access))).status == 403


async def test_the_slash_is_asked_for_with_a_redirect(peer: Peer) -> None:
    grant = await mint(peer)
    bare = REFRESH.removesuffix("/")
    for method in ("POST", "PATCH", "DELETE"):
        said = await peer.call(method, bare, json=signed(token=grant["refresh_token"], payload="p"))
        assert (said.status, said.headers["Location"]) == (307, REFRESH)
    assert (await peer.control("GET", "/geniusauth/counters"))["redirected"] == 3
    assert (await peer.call("GET", REFRESH)).status == 404


async def test_its_date_shows_its_own_clock(peer: Peer, clock: Clock) -> None:
    await peer.control("PATCH", "/geniusauth/service", offset_s=-400.0)
    said = await peer.call("GET", KEYPAIR, params=signed())
    assert (said.status, said.json["code"]) == (403, 9)
    at = email.utils.parsedate_to_datetime(said.headers["Date"]).timestamp()
    assert at == START - 400
    assert (await peer.call("GET", KEYPAIR, params=signed(at=at))).json["code"] == 0


@pytest.mark.parametrize(
    ("fault", "settings", "reason"),
    [
        ("lost_after_commit", {}, "lost_after_commit"),
        ("cut_short", {"bytes": 5}, "cut_short"),
        ("reset", {"after_commit": True}, "reset"),
        ("html", {"after_commit": True}, "html"),
        ("missing_fields", {"fields": ["refreshToken"]}, "missing_fields"),
        ("wrong_types", {"fields": ["refreshToken"]}, "wrong_types"),
    ],
)
async def test_a_fault_that_eats_a_logins_answer_makes_its_repetition_doubtful(
    peer: Peer, fault: str, settings: dict[str, Any], reason: str
) -> None:
    token = await login_token(peer)
    await peer.control("POST", "/faults", fault=fault, label="a", grant_type="login", count=1, **settings)
    with contextlib.suppress(aiohttp.ClientError):
        await login(peer, token)
    commit = await settled(peer, "a")
    assert (commit.doubt, commit.spent) == (reason, fingerprint(token))
    assert (await login(peer, token)).json["code"] == 6
    counters = (await peer.control("GET", "/ledger/a"))["counters"]
    assert (counters["spent_uses"], counters["reasons"]) == (0, {reason: 1})


@pytest.mark.parametrize("fault", ["lost_before_commit", "html", "bad_gateway", "reset", "rate_limited", "status"])
async def test_before_the_commit_a_login_token_is_left_alone(peer: Peer, fault: str) -> None:
    token = await login_token(peer)
    await peer.control("POST", "/faults", fault=fault, label="a", count=1)
    with contextlib.suppress(aiohttp.ClientError):
        await login(peer, token)
    assert (await login(peer, token)).json["code"] == 0
    assert [call["outcome"] for call in (await peer.control("GET", "/ledger/a"))["calls"]] == [fault, "granted"]


async def test_what_is_vouched_for_makes_a_repetition_a_spent_use(peer: Peer) -> None:
    token = await login_token(peer)
    kept = (await login(peer, token)).json["data"]["refreshToken"]
    await settled(peer, "a")
    assert await peer.control("POST", "/escrowed", fingerprints=[fingerprint(kept)]) == {"marked": 1}
    await login(peer, token)
    page = await peer.control("GET", "/ledger/a")
    assert page["counters"]["spent_uses"] == 1
    assert page["commits"][0]["received_ns"] < page["commits"][0]["committed_ns"]


async def test_the_levers_of_all_services_work_here_too(peer: Peer) -> None:
    grant = await mint(peer)
    assert (await peer.control("POST", "/revoke_access", label="a"))["revoked"] == 1
    assert (await peer.call("POST", VERIFY, json=signed(token=grant["access_token"]))).json["code"] == 31
    assert (await refresh(peer, grant["refresh_token"])).json["code"] == 0
    assert (await peer.control("POST", "/kill_lineage", label="a"))["killed"] == 1
    assert (await refresh(peer, grant["refresh_token"])).json["code"] == 31


async def test_an_answer_can_speak_for_somebody_else(peer: Peer) -> None:
    grant = await mint(peer)
    await peer.control("POST", "/faults", fault="wrong_subject", subject="77", count=1)
    access = (await refresh(peer, grant["refresh_token"])).json["data"]["access_token"]
    assert claims(access)["uid"] == 77
    await peer.control("POST", "/faults", fault="wrong_subject", count=1)
    data = (await login(peer, await login_token(peer, "b"))).json["data"]
    assert claims(data["refreshToken"])["uid"] == data["userID"] == 999


async def test_a_rule_knows_the_application_and_the_other_endpoints(peer: Peer) -> None:
    grant = await mint(peer)
    await peer.control("POST", "/faults", fault="status", endpoint="introspect", client_id=APP)
    assert (await peer.call("POST", VERIFY, json=signed(token=grant["access_token"]))).status == 503
    assert (await refresh(peer, grant["refresh_token"])).status == 200


# -- refusals on demand ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(STATUS))
async def test_every_code_can_be_ordered_with_its_status(peer: Peer, code: int) -> None:
    grant = await mint(peer)
    await peer.control("POST", "/geniusauth/orders", code=code, operation="refresh", label="a", count=1)
    said = await refresh(peer, grant["refresh_token"])
    assert (said.status, said.json["code"]) == (STATUS[code], code)
    assert (await refresh(peer, grant["refresh_token"])).json["code"] == 0


async def test_an_order_may_have_another_status_and_come_after_the_commit(peer: Peer) -> None:
    token = await login_token(peer)
    await peer.control("POST", "/geniusauth/orders", code=4, operation="login", count=1, after_commit=True)
    assert (await login(peer, token)).status == 500
    assert (await settled(peer, "a")).doubt == "not_carried"
    assert (await login(peer, token)).json["code"] == 6
    order = await peer.control("POST", "/geniusauth/orders", code=200, status=418, app_code=APP)
    assert (await peer.call("GET", KEYPAIR, params=signed())).status == 418
    assert [one["id"] for one in (await peer.control("GET", "/geniusauth/orders"))["orders"]] == [order["id"]]
    assert await peer.control("DELETE", f"/geniusauth/orders?id={order['id']}") == {"removed": 1}
    assert (await peer.call("GET", KEYPAIR, params=signed())).status == 200


@pytest.mark.parametrize("wish", [{"code": 0}, {"code": 256}, {"code": 4, "status": 99}, {"code": 4, "operation": "x"}])
async def test_what_no_answer_can_hold_cannot_be_ordered(peer: Peer, wish: dict[str, Any]) -> None:
    assert (await peer.try_control("POST", "/geniusauth/orders", **wish))[0] == 400


# -- the page ----------------------------------------------------------------------------------------------------------


async def test_a_person_approves_and_goes_back_with_a_login_token(peer: Peer) -> None:
    shown = await peer.call("GET", f"/?appCode={APP}&label=web")
    text = shown.body.decode()
    assert 'id="approve"' in text
    form = dict(re.findall(r'<input[^>]* name="(\w+)" value="([^"]*)"', text))
    sent = await peer.call("POST", "/", data={**form, "decision": "approve"})
    place = urllib.parse.urlsplit(sent.headers["Location"])
    assert (sent.status, f"{place.scheme}://{place.netloc}{place.path}") == (302, "http://127.0.0.1:8377/callback")
    query = urllib.parse.parse_qs(place.query)
    assert list(query) == ["token"]
    await login(peer, query["token"][0])
    assert "web" in (await peer.control("GET", "/counters"))["by_label"]


async def test_a_denial_leads_nowhere(peer: Peer) -> None:
    said = await peer.call("POST", "/", data={"appCode": APP, "decision": "deny"})
    assert (said.status, said.headers.get("Location")) == (200, None)
    assert (await peer.call("POST", "/", json={})).status == 400


@pytest.mark.parametrize("switch", ["query", "control"])
async def test_a_login_can_be_approved_at_once(peer: Peer, switch: str) -> None:
    if switch == "control":
        await peer.control("POST", "/auto_approve", on=True)
    said = await peer.call("GET", f"/?appCode={APP}" + ("&auto=1" if switch == "query" else ""))
    assert said.status == 302


async def test_what_stops_the_page_is_a_code(peer: Peer) -> None:
    async def code(query: str) -> str:
        said = await peer.call("GET", "/?" + query)
        found = re.search(r'id="code">(\d+)<', said.body.decode())
        assert found, said.body
        return found[1]

    assert await code("appCode=nobody") == "3"
    assert await code(f"appCode={APP}&auto=1&subject=stranger") == "27"
    await peer.control("PATCH", "/geniusauth/apps", app_code=APP, groups=["admins"])
    assert await code(f"appCode={APP}&auto=1") == "7"
    await peer.control("PATCH", "/geniusauth/service", sites=["app.example"])
    assert await code(f"appCode={APP}") == "2"
    await peer.control("PATCH", "/geniusauth/service", sites=["127.0.0.1"])
    await peer.control("PATCH", "/geniusauth/constants", GENIUS_SIM_LOGIN_PER_MIN=0)
    assert await code(f"appCode={APP}&auto=1") == "19"


async def test_logins_on_the_page_are_counted_by_the_minute(peer: Peer, clock: Clock) -> None:
    await peer.control("PATCH", "/geniusauth/constants", GENIUS_SIM_LOGIN_PER_MIN=2)
    url = f"{peer.running.base_url}/?appCode={APP}"
    for _ in range(2):
        assert "token=" in (await peer.control("POST", "/geniusauth/login", url=url, label="x"))["location"]
    assert await peer.try_control("POST", "/geniusauth/login", url=url) == (409, {"code": 19})
    clock.at += 60
    assert (await peer.try_control("POST", "/geniusauth/login", url=url))[0] == 200


# -- levers over the control port --------------------------------------------------------------------------------------


async def test_what_is_minted_can_be_many_and_of_any_life(peer: Peer) -> None:
    answer = await peer.control("POST", "/geniusauth/mint", label="m", count=2, valid_s=5.0, payload="p")
    assert [one["label"] for one in answer["grants"]] == ["m-1", "m-2"]
    one = answer["grants"][0]
    assert (one["refresh_expires_at"], one["expires_at"]) == (START + 5, START + 300)
    assert one["fingerprint"] == fingerprint(one["refresh_token"])
    records = (await peer.control("GET", "/geniusauth/records/m-1"))["records"]
    assert records[0]["refresh_tokens"] == [one["fingerprint"]]
    assert (await peer.try_control("GET", "/geniusauth/records/none"))[0] == 404
    assert "callback" in (await peer.control("POST", "/geniusauth/login_tokens", label="m"))["logins"][0]
    for wish in ({"app_code": "nobody"}, {"uid": 404}):
        assert (await peer.try_control("POST", "/geniusauth/mint", label="x", **wish))[0] == 400


async def test_the_levers_are_on_the_control_port(peer: Peer) -> None:
    await peer.control("POST", "/geniusauth/apps", app_code="two", secret="s2", callback="http://127.0.0.1:1/x?y=1")
    person = await peer.control("POST", "/geniusauth/people", uid=9, groups=["new"])
    assert person["oid"] == 1
    for lever in (
        ("POST", "/geniusauth/oid", {"uid": 9}),
        ("POST", "/geniusauth/end", {"label": "n"}),
        ("PATCH", "/geniusauth/apps", {"app_code": "two", "groups": ["new"]}),
        ("DELETE", "/geniusauth/people?uid=9", {}),
    ):
        await mint(peer, "n", app_code="two", uid=9)
        assert (await peer.control(lever[0], lever[1], **lever[2]))["ended"] == 1
    shown = await peer.control("PATCH", "/geniusauth/apps", app_code="two", name="renamed")
    assert "secret" not in shown
    await peer.control("DELETE", "/geniusauth/apps?app_code=two&cached=0")
    assert (await peer.call("GET", KEYPAIR, params=signed("two", "s2"))).json["code"] == 3
    for wrong in (("POST", "/geniusauth/oid", {"uid": 404}), ("DELETE", "/geniusauth/apps?app_code=two", {})):
        assert (await peer.try_control(wrong[0], wrong[1], **wrong[2]))[0] == 400


async def test_what_is_broken_is_said_on_the_control_port(peer: Peer) -> None:
    grant = await mint(peer)
    assert (await peer.control("PATCH", "/geniusauth/service", broken="store"))["broken"] == "store"
    assert (await refresh(peer, grant["refresh_token"])).json["code"] == 31
    await peer.control("PATCH", "/geniusauth/service", broken="")
    assert (await refresh(peer, grant["refresh_token"])).json["code"] == 0


# -- constants ---------------------------------------------------------------------------------------------------------


async def test_a_labels_constants_lie_over_its_applications_and_those_over_the_servers(peer: Peer) -> None:
    name = "GENIUS_SIM_ACCESS_TTL_S"
    for whose, value in (({}, 100), ({"app_code": APP}, 200), ({"label": "a"}, 50)):
        assert (await peer.control("PATCH", "/geniusauth/constants", **whose, **{name: value}))[name] == value
    lives = [(await mint(peer, label))["expires_at"] - START for label in ("a", "b")]
    assert lives == [50, 200]
    assert (await peer.control("GET", "/geniusauth/constants"))[name] == 100
    assert (await peer.control("GET", f"/geniusauth/constants?app_code={APP}&label=a"))[name] == 50


@pytest.mark.parametrize(
    "wish",
    [
        {"GENIUS_SIM_ACCESS_TTL_S": -1},
        {"GENIUS_SIM_REDIRECT_STATUS": 99},
        {"GENIUS_SIM_UNKNOWN": 1},
        {"GENIUS_SIM_DIALECT": "x"},
        {"label": 5},
    ],
)
async def test_an_impossible_constant_is_refused(peer: Peer, wish: dict[str, Any]) -> None:
    before = await peer.control("GET", "/geniusauth/constants")
    assert (await peer.try_control("PATCH", "/geniusauth/constants", **wish))[0] == 400
    assert await peer.control("GET", "/geniusauth/constants") == before


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [("REFRESH_ACCESS_FIELD", "accessToken", "accessToken"), ("CODE_AS_TEXT", True, "access_token")],
)
async def test_names_and_types_of_an_answer_are_constants(peer: Peer, name: str, value: object, field: str) -> None:
    await peer.control("PATCH", "/geniusauth/constants", **{f"GENIUS_SIM_{name}": value})
    answer = (await refresh(peer, (await mint(peer))["refresh_token"])).json
    assert list(answer["data"]) == [field]
    assert isinstance(answer["code"], str) == (name == "CODE_AS_TEXT")


async def test_a_logins_numbers_are_constants(peer: Peer, clock: Clock) -> None:
    over = {"LOGIN_TTL_S": 10, "VALID_LEAST_S": 5, "VALID_DEFAULT_S": 6, "VALID_MOST_S": 7, "PAYLOAD_MOST": 1}
    over |= {"LOGIN_ID_FIELD": "id", "LEEWAY_S": 0, "STORE_FAILURE_CODE": 4}  # type: ignore[dict-item] # mixed on purpose
    await peer.control("PATCH", "/geniusauth/constants", **{f"GENIUS_SIM_{name}": one for name, one in over.items()})
    token = await login_token(peer)
    for wrong in ({"valid": 4}, {"valid": 8}, {"payload": "xy"}):
        fields = signed(token=token, grantType="refresh_token", **wrong)
        assert (await peer.call("POST", LOGIN, json=fields)).json["code"] == 1
    data = (await login(peer, token)).json["data"]
    assert data["id"] == 8
    assert claims(data["refreshToken"])["exp"] == START + 6
    await peer.control("PATCH", "/geniusauth/service", broken="store")
    assert (await refresh(peer, data["refreshToken"])).json["code"] == 4
    late = await login_token(peer)
    await peer.control("PATCH", "/geniusauth/service", broken="")
    clock.at += 10
    fields = signed(at=clock.at, token=late, grantType="refresh_token")
    assert (await peer.call("POST", LOGIN, json=fields)).json["code"] == 6


# -- the wiki's dialect ------------------------------------------------------------------------------------------------


async def wiki(peer: Peer, **over: Any) -> None:
    await peer.control("PATCH", "/geniusauth/constants", GENIUS_SIM_DIALECT="wiki", **over)


async def test_in_the_wikis_dialect_unsigned_forms_are_answered_as_printed(peer: Peer) -> None:
    await wiki(peer)
    form = {"token": await login_token(peer), "grantType": "refresh_token", "valid": "604800", "payload": "p"}
    data = (await peer.call("POST", LOGIN, data=form)).json["data"]
    assert (data["id"], "userID" in data) == (8, False)
    token = data["refreshToken"]
    assert (await peer.call("POST", REFRESH, data={"token": token})).json["data"] == {"uid": 8, "payload": "p"}
    changed = await peer.call("PATCH", REFRESH, data={"token": token, "payload": "q", "accessToken": "true"})
    assert set(changed.json["data"]) == {"refreshToken", "accessToken"}
    access = changed.json["data"]["accessToken"]
    assert (await peer.call("POST", VERIFY, data={"token": access})).json["data"] == {"uid": 8, "payload": "q"}
    assert (await peer.call("DELETE", REFRESH, data={"token": token})).json == {"code": 0}
    assert (await peer.call("POST", REFRESH, data={"token": token})).json["code"] == 31


async def test_the_wikis_word_for_not_authorised(peer: Peer) -> None:
    await wiki(peer)
    for fields in ({"token": "gone"}, {**signed(token="gone"), "signature": "0"}):
        said = await peer.call("POST", LOGIN, data=fields)
        assert (said.status, said.json["code"]) == (401, 5)
    await wiki(peer, GENIUS_SIM_WIKI_CODE=6, GENIUS_SIM_WIKI_STATUS=403)
    said = await peer.call("POST", LOGIN, data={"token": "gone"})
    assert (said.status, said.json["code"]) == (403, 6)


async def test_a_signed_json_call_is_understood_by_the_wikis_server_unless_it_takes_forms_only(peer: Peer) -> None:
    await wiki(peer)
    token = (await mint(peer))["refresh_token"]
    assert (await refresh(peer, token)).json["data"] == {"uid": 8, "payload": ""}
    await wiki(peer, GENIUS_SIM_WIKI_TAKES_JSON=False)
    assert (await refresh(peer, token)).json["code"] == 1


async def test_the_dialect_may_be_one_applications(peer: Peer) -> None:
    await peer.control("POST", "/geniusauth/apps", app_code="two", secret="s2")
    await wiki(peer, app_code="two")
    ours, theirs = await mint(peer), await mint(peer, "b", app_code="two")
    assert (await peer.call("POST", REFRESH, data={"token": ours["refresh_token"]})).json["code"] == 1
    assert (await peer.call("POST", REFRESH, data={"token": theirs["refresh_token"]})).json["code"] == 0


# -- the README --------------------------------------------------------------------------------------------------------


def test_the_readme_names_every_constant_with_its_value() -> None:
    part = TEXT.partition("### GeniusAuth's constants")[2].partition("\n#")[0]
    told = dict(re.findall(r"^\| `(GENIUS_SIM_\w+)` \| ([^|]+) \|", part, re.MULTILINE))
    held = dataclasses.asdict(GeniusConstants())
    assert told == {name: json.dumps(value).strip('"') for name, value in held.items()}


def test_the_readme_names_every_operation_and_everything_that_can_be_broken() -> None:
    part = TEXT.partition("## GeniusAuth\n")[2].partition("\n## ")[0]
    assert all(f"`{one}`" in part for one in (*Operation, *Broken) if one)
