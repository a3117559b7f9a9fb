"""The token endpoint over real sockets: form, client authentication, the four grants, the words of its refusals."""

import base64
import hashlib
import urllib.parse

import pytest
from joserfc import jwk, jwt

from tests.sandbox.conftest import START, Answer, Clock, Peer

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
BACK = "http://127.0.0.1:9999/back"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
WEB = {"client_id": "freshd-web", "client_secret": "sandbox-secret"}


def basic(client_id: str, secret: str) -> dict[str, str]:
    quoted = ":".join(urllib.parse.quote_plus(part) for part in (client_id, secret))
    return {"Authorization": "Basic " + base64.b64encode(quoted.encode()).decode()}


async def authorize(peer: Peer, **more: str) -> dict[str, str]:
    """Ask for a code with an approval at once and return what the redirect says."""
    query = {
        "response_type": "code",
        "client_id": "freshd",
        "redirect_uri": BACK,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "state": "s t",
        "auto": "1",
        **more,
    }
    answer = await peer.call("GET", "/authorize", params={k: v for k, v in query.items() if v})
    assert answer.status == 302, answer
    assert answer.headers["Location"].startswith(BACK)
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer.headers["Location"]).query))


async def redeem(peer: Peer, code: str, **more: str) -> Answer:
    form = {"code": code, "redirect_uri": BACK, "client_id": "freshd", "code_verifier": VERIFIER, **more}
    return await peer.token("authorization_code", **form)


async def test_a_refresh_answers_as_rfc_6749_says(peer: Peer) -> None:
    answer = await peer.refresh(await peer.mint(scope="read"))
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Date"] == "Fri, 15 Jan 2027 08:00:00 GMT"
    assert answer.json.keys() == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 3600)


async def test_lifetimes_may_be_fractions_or_absent(peer: Peer) -> None:
    await peer.control("PATCH", "/policy", access_s=2.5, refresh_idle_s=60, refresh_expires_in_present=True)
    answer = (await peer.refresh(await peer.mint())).json
    assert (answer["expires_in"], answer["refresh_expires_in"]) == (2.5, 60)
    await peer.control("PATCH", "/policy", expires_in_present=False)
    assert "expires_in" not in (await peer.refresh(answer["refresh_token"])).json


async def test_an_access_token_works_until_it_expires(peer: Peer, clock: Clock) -> None:
    access = (await peer.refresh(await peer.mint(subject="ann"))).json["access_token"]
    assert (await peer.userinfo(access)).json["sub"] == "ann"
    clock.at = START + 3600
    refused = await peer.userinfo(access)
    assert refused.status == 401
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("headers", "form", "status"),
    [
        (basic("freshd-web", "sandbox-secret"), {}, 200),
        ({}, WEB, 200),
        ({}, {"client_id": "freshd"}, 400),
        ({}, {"client_id": "freshd-web"}, 401),
        ({}, {**WEB, "client_secret": "wrong"}, 401),
        ({}, {"client_id": "nobody", "client_secret": ""}, 401),
        ({}, {}, 401),
        (basic("freshd-web", "wrong"), {}, 401),
        (basic("freshd-web", "sandbox-secret"), {"client_secret": "sandbox-secret"}, 401),
        (basic("freshd-web", "sandbox-secret"), {"client_id": "freshd"}, 401),
        ({"Authorization": "Basic !"}, {}, 401),
        ({"Authorization": "Bearer x"}, {}, 401),
    ],
)
async def test_client_authentication(peer: Peer, headers: dict[str, str], form: dict[str, str], status: int) -> None:
    answer = await peer.token("client_credentials", headers, **form)
    assert answer.status == status
    if status == 401:
        assert answer.json["error"] == "invalid_client"
        assert ("WWW-Authenticate" in answer.headers) is bool(headers)


async def test_basic_credentials_are_form_decoded(peer: Peer) -> None:
    await peer.control("POST", "/clients", client_id="a:b c", secret="p%&é")
    assert (await peer.token("client_credentials", basic("a:b c", "p%&é"))).status == 200


async def test_client_credentials_give_no_refresh_token(peer: Peer) -> None:
    answer = (await peer.token("client_credentials", scope="jobs", **WEB)).json
    assert answer.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert (await peer.userinfo(answer["access_token"])).json["sub"] == "freshd-web"
    counters = await peer.control("GET", "/counters")
    assert counters["by_label"]["freshd-web"]["calls"] == {"client_credentials": 1}


async def test_a_grant_must_be_known_and_allowed(peer: Peer) -> None:
    await peer.control("POST", "/clients", client_id="narrow", grant_types=["refresh_token"])
    asked = [
        ("password", "freshd", "unsupported_grant_type"),
        ("authorization_code", "narrow", "unauthorized_client"),
        ("client_credentials", "freshd", "unauthorized_client"),
        ("refresh_token", "freshd", "invalid_request"),
    ]
    for grant_type, client_id, error in asked:
        answer = await peer.token(grant_type, client_id=client_id)
        assert (answer.status, answer.json["error"]) == (400, error)


@pytest.mark.parametrize("body", ["grant_type=refresh_token&grant_type=x", "\xff=%", '{"grant_type": 1}'])
async def test_a_malformed_form_is_an_invalid_request(peer: Peer, body: str) -> None:
    kind = "application/json" if body.startswith("{") else "application/x-www-form-urlencoded"
    headers = {"Content-Type": kind}
    answer = await peer.call("POST", "/token", data=body.encode("latin-1"), headers=headers)
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")


async def test_strict_rotation_over_the_wire(peer: Peer) -> None:
    first = await peer.mint()
    second = (await peer.refresh(first)).json["refresh_token"]
    third = (await peer.refresh(second)).json["refresh_token"]
    assert (await peer.refresh(first)).json["error"] == "invalid_grant"
    assert (await peer.refresh(third)).json["error"] == "invalid_grant"
    total = (await peer.control("GET", "/counters"))["total"]
    assert (total["spent_uses"], total["doubtful_replays"], total["lineages_killed"]) == (1, 0, 1)


async def test_grace_and_reusable_over_the_wire(peer: Peer, clock: Clock) -> None:
    await peer.control("PATCH", "/policy", label="g", rotation="grace", grace_s=5)
    first = await peer.mint("g")
    second = (await peer.refresh(first)).json["refresh_token"]
    clock.at += 5
    assert (await peer.refresh(first)).json["refresh_token"] == second
    clock.at += 1
    assert (await peer.refresh(first)).status == 400
    await peer.control("PATCH", "/policy", label="r", rotation="reusable", reusable_returned=False)
    stays = await peer.mint("r")
    for _ in range(2):
        answer = await peer.refresh(stays)
        assert (answer.status, "refresh_token" in answer.json) == (200, False)


async def test_code_with_pkce(peer: Peer) -> None:
    back = await authorize(peer, login_hint="ann", label="acc", scope="openid", nonce="n")
    assert (back["state"], back["iss"]) == ("s t", peer.running.base_url)
    answer = (await redeem(peer, back["code"])).json
    keys = jwk.KeySet.import_key_set((await peer.call("GET", "/jwks")).json)  # type: ignore[arg-type] # plain JSON
    claims = jwt.decode(answer["id_token"], keys).claims
    assert (claims["sub"], claims["aud"], claims["nonce"]) == ("ann", "freshd", "n")
    assert claims["iss"] == peer.running.base_url
    assert (await peer.refresh(answer["refresh_token"])).status == 200
    page = await peer.control("GET", "/ledger/acc")
    assert page["counters"]["calls"] == {"authorization_code": 1, "refresh_token": 1}


@pytest.mark.parametrize(
    "wrong",
    [{"code_verifier": "x" * 43}, {"code_verifier": ""}, {"redirect_uri": BACK + "2"}, {"client_id": "freshd-web"}],
)
async def test_a_code_is_only_for_who_asked_for_it(peer: Peer, wrong: dict[str, str]) -> None:
    await peer.control("POST", "/clients", client_id="freshd-web")
    back = await authorize(peer)
    assert (await redeem(peer, back["code"], **wrong)).json["error"] == "invalid_grant"
    assert (await redeem(peer, back["code"])).status == 200


async def test_a_code_expires(peer: Peer, clock: Clock) -> None:
    back = await authorize(peer)
    clock.at += 60
    assert (await redeem(peer, back["code"])).json["error"] == "invalid_grant"


async def test_a_code_used_twice_ends_what_it_got(peer: Peer) -> None:
    back = await authorize(peer)
    first = (await redeem(peer, back["code"])).json
    assert (await redeem(peer, back["code"])).json["error"] == "invalid_grant"
    assert (await peer.refresh(first["refresh_token"])).json["error"] == "invalid_grant"
    assert (await peer.userinfo(first["access_token"])).status == 401


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
    ],
)
async def test_pkce_with_s256_is_required(peer: Peer, wrong: dict[str, str], error: str) -> None:
    back = await authorize(peer, **wrong)
    assert (back["error"], back["state"], back["iss"]) == (error, "s t", peer.running.base_url)
    assert "code" not in back


async def test_device_flow(peer: Peer, clock: Clock) -> None:
    asked = (await peer.call("POST", "/device_authorization", data={"client_id": "freshd", "scope": "x"})).json
    assert (asked["interval"], asked["expires_in"]) == (5, 600)
    assert asked["verification_uri_complete"].endswith(asked["user_code"])

    async def poll() -> Answer:
        return await peer.token(DEVICE, device_code=asked["device_code"], client_id="freshd")

    assert (await poll()).json["error"] == "authorization_pending"
    clock.at += 4
    assert (await poll()).json["error"] == "slow_down"
    clock.at += 9
    assert (await poll()).json["error"] == "slow_down"
    clock.at += 15
    assert (await poll()).json["error"] == "authorization_pending"
    code = asked["user_code"].lower().replace("-", " ")
    await peer.control("POST", "/approve", user_code=code, subject="ann", label="dev")
    answer = await poll()
    assert answer.json["scope"] == "x"
    assert (await peer.refresh(answer.json["refresh_token"])).status == 200
    assert (await poll()).json["error"] == "invalid_grant"


@pytest.mark.parametrize(("allowed", "wait", "error"), [(False, 10, "access_denied"), (True, 600, "expired_token")])
async def test_a_device_may_be_denied_or_too_late(
    peer: Peer, clock: Clock, allowed: bool, wait: float, error: str
) -> None:
    asked = (await peer.call("POST", "/device_authorization", data={"client_id": "freshd"})).json
    await peer.control("POST", "/approve", user_code=asked["user_code"], allowed=allowed)
    clock.at += wait
    answer = await peer.token(DEVICE, device_code=asked["device_code"], client_id="freshd")
    assert (answer.status, answer.json["error"]) == (400, error)
