"""freshd geniusauth, and a login whose protocol has no state: by a listener, or by an address that is pasted."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from freshd.cli import enrol
from freshd.cli.redirect import Listener, Request
from tests.api.world import NotPossible
from tests.cli.conftest import Engine, Freshd
from tests.cli.test_enrol import BEGUN, DONE, fetch

PAGE = "https://v.example/?appCode=front-desk"
TOKEN = "login.canary.token"


@pytest.mark.parametrize(
    ("words", "given"),
    [(("verify", "mail"), {}), (("whoami", "mail"), {}), (("payload", "mail", "tenant-a"), {"payload": "tenant-a"})],
)
async def test_a_call_is_the_daemons(
    words: tuple[str, ...], given: dict[str, str], engine: Engine, freshd: Freshd
) -> None:
    facts = {"uid": "8", "payload": "tenant-a"}
    engine.script["operate"] = [{"account": "mail", "operation": words[0], "facts": facts}]
    ended = await freshd("geniusauth", *words)
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.splitlines() == ["uid: 8", "payload: tenant-a"]
    assert engine.operations == [("operate", "mail", {"operation": words[0], "given": given})]
    told = json.loads((await freshd("geniusauth", *words, "--json")).stdout)
    assert told["facts"] == facts


async def test_a_changed_payload_is_done_when_it_is_kept(engine: Engine, freshd: Freshd) -> None:
    engine.script["operate"] = [{"account": "mail", "operation": "payload", "generation": 5, "facts": {}}]
    ended = await freshd("geniusauth", "payload", "mail", "tenant-a")
    assert "generation 5, written and read back" in ended.stdout


async def test_a_no_of_the_daemon_ends_with_its_remedy(engine: Engine, freshd: Freshd) -> None:
    engine.script["operate"] = [NotPossible("the payload must have 1 to 31 characters", "write fewer")]
    ended = await freshd("geniusauth", "payload", "mail", "p" * 33)
    assert ended.exit_code == 65
    assert "write fewer" in ended.stderr


# -- a login without state --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("enrol", "mail"), ("enrol", "mail", "--paste")])
async def test_the_address_is_shown_and_what_is_pasted_is_carried_and_not_shown(
    engine: Engine, freshd: Freshd, words: tuple[str, ...]
) -> None:
    engine.script["enrol-begin"] = [{**BEGUN, "url": PAGE, "prompt": "the whole address"}]
    engine.script["enrol-finish"] = [DONE]
    pasted = f"https://app.example/back?token={TOKEN}"
    ended = await freshd(*words, stdin=f"{pasted}\n")
    assert ended.exit_code == 0, ended.output
    assert PAGE in ended.stdout
    assert engine.operations[-1][2] == {"session": "s1", "code": pasted}
    assert "canary" not in ended.output


@pytest.fixture
def listened(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Begins a login whose callback leads here, and lets a browser send these queries there."""

    def install(*queries: str) -> str:
        probe = Listener()
        probe.close()
        back = f"http://127.0.0.1:{probe.port}/long-part/back"
        engine.script["enrol-begin"] = [{**BEGUN, "url": PAGE, "prompt": None, "redirect_uri": back}]
        engine.script["enrol-finish"] = [DONE]

        def browse(begin: str) -> None:
            assert fetch(begin).headers["Location"] == PAGE
            for query in queries:
                fetch(f"{back}?{query}")

        monkeypatch.setattr(enrol, "_has_display", lambda: True)
        monkeypatch.setattr(enrol, "_open", browse)
        return back

    return install


async def test_what_comes_to_the_callback_goes_on_as_a_code(
    engine: Engine, freshd: Freshd, listened: Callable[..., str]
) -> None:
    listened("", "code=x&state=y", "token=", "token=a&token=b", f"token={TOKEN}")
    ended = await freshd("enrol", "mail")
    assert ended.exit_code == 0, ended.output
    assert engine.operations[-1][2] == {"session": "s1", "code": TOKEN}
    assert "canary" not in ended.output


def test_only_an_address_that_names_neither_itself_is_answered_without_state() -> None:
    back = "http://127.0.0.1:9/back"
    assert Request.of(PAGE, back) == Request(PAGE, back, "", is_stateless=True)
    for url in (f"{PAGE}&state=s", f"{PAGE}&redirect_uri=http%3A%2F%2F127.0.0.1%2F"):
        request = Request.of(url, back)
        assert not request.is_stateless
        assert request.answer_in(f"/back?token={TOKEN}") is None
    assert not Request.of(PAGE).is_stateless
    assert Request.of(PAGE).answer_in(f"/back?token={TOKEN}") is None


def test_another_path_takes_no_token() -> None:
    listener = Listener(path="/long-part/back")
    try:
        listener.expect(Request.of(PAGE, listener.redirect_uri))
        base = f"http://{urlsplit(listener.redirect_uri).netloc}"
        assert [fetch(f"{base}{path}?token=evil").status for path in ("/back", "/callback", "/")] == [404, 404, 404]
        evil: Any = fetch(f"{listener.redirect_uri}?token=evil", host="evil.example")
        assert evil.status == 404
        assert listener.wait(0) is None
        assert fetch(f"{listener.redirect_uri}?token={TOKEN}").status == 200
        assert listener.wait(0) == {"code": TOKEN}
    finally:
        listener.close()
