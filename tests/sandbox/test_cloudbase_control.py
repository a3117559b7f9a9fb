"""CloudBase's control port, and what the folder's README says of all this."""

import dataclasses
import re
from pathlib import Path

import freshd.sandbox
from freshd.sandbox.cloudbase.constants import CloudbaseConstants
from freshd.sandbox.cloudbase.environment import OPERATIONS
from freshd.sandbox.cloudbase.user import Second, Standing
from tests.sandbox.cloudbase_bed import ENV, TOKEN, V1, bearer
from tests.sandbox.cloudbase_wire import body_of, mint, opened, refresh
from tests.sandbox.conftest import START, Peer
from tests.sandbox.wire import page

README = (Path(freshd.sandbox.__file__).parent / "README.md").read_text(encoding="utf-8")


async def test_users_are_registered_changed_and_shown(peer: Peer) -> None:
    made = await peer.control("POST", "/cloudbase/users", label="b", username="bob", password="pw")
    assert "password" not in made
    await peer.control("PATCH", "/cloudbase/users", label="b", standing="user_blocked")
    said = await peer.call("POST", f"{V1}/signin", json={"username": "bob", "password": "pw"})
    assert (said.status, said.json["error"]) == (403, "user_blocked")
    shown = await peer.control("GET", "/cloudbase/users/b")
    assert (shown["sub"], shown["standing"], shown["sessions"]) == (made["sub"], "user_blocked", [])
    assert (await peer.try_control("GET", "/cloudbase/users/nobody"))[0] == 404
    status, told = await peer.try_control("PATCH", "/cloudbase/users", label="nobody")
    assert (status, told["error"]) == (400, "label: no such user")


async def test_a_mint_is_a_sign_in(peer: Peer) -> None:
    first, second = await mint(peer), await mint(peer, device_id="d1")
    assert first["sub"] == second["sub"]
    (session,) = (await peer.control("GET", "/cloudbase/users/a"))["sessions"]
    assert (session["head"], session["device_id"], session["ends_at"]) == (second["fingerprint"], "d1", START + 2592000)
    many = (await peer.control("POST", "/cloudbase/mint", label="m", count=2))["grants"]
    assert [one["label"] for one in many] == ["m-1", "m-2"]


async def test_a_stranger_signs_in(peer: Peer) -> None:
    grant = await mint(peer)
    assert await peer.control("POST", "/cloudbase/stranger", label="a") == {"pushed_out": [grant["lineage"]]}
    assert (await refresh(peer, grant["refresh_token"])).json["error"] == "invalid_grant"
    (session,) = (await peer.control("GET", "/cloudbase/users/a"))["sessions"]
    assert session["label"] == "a/stranger"


async def test_sessions_age(peer: Peer) -> None:
    grant = await mint(peer)
    assert await peer.control("POST", "/cloudbase/age", label="a", days=30) == {"aged": 1}
    assert (await refresh(peer, grant["refresh_token"])).json["error"] == "invalid_grant"
    assert await peer.control("POST", "/cloudbase/age", label="nobody", days=30) == {"aged": 0}


async def test_keys_rotate(peer: Peer) -> None:
    first = await peer.control("POST", "/cloudbase/keys", bits=1024)
    second = await peer.control("POST", "/cloudbase/keys", bits=1024, pkcs8=True)
    assert set(first) == {"private_key_id", "private_key", "env_id"}
    assert (await peer.control("GET", "/cloudbase/keys"))["keys"] == [
        {"private_key_id": first["private_key_id"], "ends_at": START + 7200},
        {"private_key_id": second["private_key_id"], "ends_at": None},
    ]
    assert (await peer.try_control("POST", "/cloudbase/keys", bits=8))[0] == 400


async def test_clients_and_cloud_keys_are_added(peer: Peer) -> None:
    await peer.control("POST", "/cloudbase/clients", client_id="app-1", client_secret="s1", allowed=False)
    said = await peer.call("POST", TOKEN, json={**body_of("m.x"), "client_id": "app-1", "client_secret": "s1"})
    assert said.json["error"] == "unauthorized_client"
    await peer.control("POST", "/cloudbase/cloud_keys", secret_id="AKIDother", secret_key="k")
    basic = {"Authorization": "Basic QUtJRG90aGVyOms="}
    assert (await peer.call("POST", TOKEN, json={"grant_type": "client_credentials"}, headers=basic)).status == 200


async def test_what_waits_for_a_person_can_be_read(peer: Peer) -> None:
    picture = (await peer.call("POST", f"{V1}/captcha/data", json={"state": "s", "redirect_uri": ""})).json["token"]
    (waiting,) = (await peer.control("GET", "/cloudbase/captchas"))["captchas"]
    asked = {"token": picture, "key": waiting["answer"]}
    assert "captcha_token" in (await peer.call("POST", f"{V1}/captcha/data/verify", json=asked)).json
    url = peer.running.base_url + await opened(peer)
    assert "captcha_token=" in (await peer.control("POST", "/cloudbase/captcha", url=url))["location"]
    assert (await peer.try_control("POST", "/cloudbase/captcha", url=url))[0] == 404
    await peer.call("POST", f"{V1}/verification", json={"phone_number": "+86 13800000000"})
    (code,) = (await peer.control("GET", "/cloudbase/codes?to=%2B86%2013800000000"))["codes"]
    assert re.fullmatch(r"\d{6}", code)


async def test_a_provider_is_switched_off(peer: Peer) -> None:
    wish = {"subject": "x", "provider_id": "corp"}
    code = (await peer.control("POST", "/cloudbase/upstream", **wish))["provider_code"]
    await peer.control("POST", "/cloudbase/upstream", **wish, enabled=False)
    said = await peer.call("POST", f"{V1}/provider/token", json={"provider_id": "corp", "provider_code": code})
    assert said.json["error"] == "provider_not_enabled"


async def test_orders_are_given_and_taken_back(peer: Peer) -> None:
    grant = await mint(peer)
    given = await peer.control("POST", "/cloudbase/orders", error="aborted", operation="refresh_token", count=None)
    assert (await refresh(peer, grant["refresh_token"])).status == 409
    (order,) = (await peer.control("GET", "/cloudbase/orders"))["orders"]
    assert (order["id"], order["error"], order["left"]) == (given["id"], "aborted", None)
    assert await peer.control("DELETE", f"/cloudbase/orders?id={given['id']}") == {"removed": 1}
    assert (await refresh(peer, grant["refresh_token"])).status == 200
    status, told = await peer.try_control("POST", "/cloudbase/orders", error="aborted", operation="fly")
    assert (status, "refresh_token" in told["error"]) == (400, True)


async def test_constants_are_changed_for_one_label_or_all(peer: Peer) -> None:
    change = {"label": "a", "CLOUDBASE_SIM_ACCESS_TTL_S": 5}
    assert (await peer.control("PATCH", "/cloudbase/constants", **change))["CLOUDBASE_SIM_ACCESS_TTL_S"] == 5
    shown = await peer.control("GET", "/cloudbase/constants")
    assert (shown["CLOUDBASE_SIM_ACCESS_TTL_S"], shown["CLOUDBASE_SIM_STATUSES"]["aborted"]) == (7200, 409)
    assert (await mint(peer))["expires_at"] == START + 5


async def test_the_issuer_is_the_public_address_and_introspection_is_free_of_the_books(peer: Peer) -> None:
    access = (await mint(peer))["access_token"]
    said = await peer.call("GET", f"{TOKEN}/introspect", headers=bearer(access))
    assert said.json["client_id"] == ENV
    assert (await page(peer))["calls"] == []


# -- the folder's README ----------------------------------------------------------------------------------------------


def test_the_readme_names_every_constant_with_its_value() -> None:
    part = README.partition("### CloudBase's constants")[2].partition("\n#")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", part, re.MULTILINE))
    fields = {field.name: getattr(CloudbaseConstants(), field.name) for field in dataclasses.fields(CloudbaseConstants)}
    words = {"None": "null", "True": "true", "False": "false", "": "empty"}
    held = {
        name: ", ".join(value) or "none" if isinstance(value, tuple) else str(value) for name, value in fields.items()
    }
    shown = {name.removeprefix("CLOUDBASE_SIM_"): words.get(value, value) for name, value in held.items()}
    assert told == {**shown, "STATUSES": "table"}


def test_the_readme_names_every_operation_and_state() -> None:
    part = README.partition("## CloudBase\n")[2].partition("\n## ")[0]
    assert all(f"`{name}`" in part for name in (*OPERATIONS, *Standing, *(one for one in Second if one)))
