"""The pages a person presses buttons on."""

import html.parser
import urllib.parse

from tests.sandbox.conftest import Peer
from tests.sandbox.test_token_endpoint import BACK, CHALLENGE, redeem

QUERY = {
    "response_type": "code",
    "client_id": "freshd",
    "redirect_uri": BACK + "?keep=1",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "state": '"><b>',
    "login_hint": "ann",
}


class Form(html.parser.HTMLParser):
    """Collects what a browser would send if Approve were pressed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        if tag == "form":
            self.action = found["action"]
        elif tag == "input":
            self.fields[found["name"]] = found["value"]


async def test_approve_sends_the_browser_back_with_a_code(peer: Peer) -> None:
    page = await peer.call("GET", "/authorize", params=QUERY)
    form = Form(page.body.decode())
    assert "b" not in form.tags
    assert form.fields["subject"] == "ann"
    pressed = await peer.call("POST", form.action, data={**form.fields, "decision": "approve"})
    assert pressed.status == 302
    back = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(pressed.headers["Location"]).query))
    assert (back["keep"], back["state"]) == ("1", '"><b>')
    answer = (await redeem(peer, back["code"], redirect_uri=BACK + "?keep=1")).json
    assert (await peer.userinfo(answer["access_token"])).json["sub"] == "ann"


async def test_deny_sends_the_browser_back_with_an_error(peer: Peer) -> None:
    form = Form((await peer.call("GET", "/authorize", params=QUERY)).body.decode())
    pressed = await peer.call("POST", form.action, data={**form.fields, "decision": "deny"})
    assert "error=access_denied" in pressed.headers["Location"]
    assert "code=" not in pressed.headers["Location"]


async def test_the_switch_approves_at_once(peer: Peer) -> None:
    await peer.control("POST", "/auto_approve", on=True)
    assert "code=ac-" in (await peer.call("GET", "/authorize", params=QUERY)).headers["Location"]


async def test_a_browser_is_never_sent_to_an_unregistered_address(peer: Peer) -> None:
    await peer.control("POST", "/clients", client_id="web", redirect_uris=["https://good.example/cb", BACK])
    for client_id, uri in (("freshd", "https://evil.example/"), ("nobody", BACK), ("web", "https://good.example/c")):
        asked = {**QUERY, "client_id": client_id, "redirect_uri": uri, "auto": "1"}
        assert (await peer.call("GET", "/authorize", params=asked)).status == 400
        assert (await peer.call("POST", "/authorize", data=asked)).status == 400


async def test_a_loopback_address_matches_with_any_port(peer: Peer) -> None:
    await peer.control("POST", "/clients", client_id="web", redirect_uris=[BACK])
    asked = {**QUERY, "client_id": "web", "redirect_uri": "http://127.0.0.1:1234/back", "auto": "1"}
    assert (await peer.call("GET", "/authorize", params=asked)).status == 302


async def test_a_person_approves_a_device(peer: Peer) -> None:
    asked = (await peer.call("POST", "/device_authorization", data={"client_id": "freshd"})).json
    where = urllib.parse.urlsplit(asked["verification_uri_complete"])
    form = Form((await peer.call("GET", f"{where.path}?{where.query}")).body.decode())
    assert form.fields["user_code"] == asked["user_code"]
    wrong = await peer.call("POST", form.action, data={**form.fields, "user_code": "X", "decision": "approve"})
    assert wrong.status == 404
    done = await peer.call("POST", form.action, data={**form.fields, "decision": "approve"})
    assert done.status == 200
    device = "urn:ietf:params:oauth:grant-type:device_code"
    assert (await peer.token(device, device_code=asked["device_code"], client_id="freshd")).status == 200
