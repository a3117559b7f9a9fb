"""A person agrees; the daemon obtains; the command line only carries, and says done when the daemon does."""

import asyncio
import http.client
import json
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from freshd.cli import enrol
from tests.api.world import NotPossible
from tests.cli.conftest import Engine, Freshd

STATE = "state-canary"
CODE = "code-canary"
DONE = {"done": True, "account": "mail", "generation": 4}
BEGUN = {"session": "s1", "user_code": None, "interval": 5.0, "expires_in": 600.0}
Visit = Callable[[str], list[int]]


def request_for(redirect_uri: str) -> str:
    return f"https://service.example/authorize?redirect_uri={quote(redirect_uri, safe='')}&state={STATE}&x=1"


def fetch(url: str, host: str | None = None) -> http.client.HTTPResponse:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}", headers={} if host is None else {"Host": host})
    with connection.getresponse() as response:
        response.read()
    connection.close()
    return response


@pytest.fixture
def begun(engine: Engine) -> Engine:
    """An engine that begins every enrolment, at the address it is given, and finishes it."""
    original = engine.operate

    async def operate(verb: str, account: str, args: dict[str, str]) -> object:
        if verb == "enrol-begin" and args["flow"] in ("auto", "code") and verb not in engine.script:
            engine.operations.append((verb, account, args))
            return {**BEGUN, "url": request_for(args["redirect_uri"])}
        return await original(verb, account, args)

    engine.operate = operate  # type: ignore[assignment, method-assign]
    engine.script["enrol-finish"] = [DONE]
    return engine


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The lengths of all waits; none of them takes time."""
    slept: list[float] = []
    monkeypatch.setattr(enrol, "sleep", slept.append)
    return slept


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Installs a browser whose person sends these queries to the redirect address, in turn."""

    def install(*queries: str) -> None:
        def browse(start: str) -> None:
            request = fetch(start).headers["Location"]
            back = parse_qs(urlsplit(request).query)["redirect_uri"][0]
            for query in queries:
                fetch(f"{back}?{query}")

        monkeypatch.setattr(enrol, "_has_display", lambda: True)
        monkeypatch.setattr(enrol, "_open", browse)

    return install


async def test_the_code_comes_by_the_browser_and_goes_to_the_daemon(
    begun: Engine, browser: Callable[..., None], freshd: Freshd
) -> None:
    browser(urlencode({"code": CODE, "state": STATE, "iss": "https://service.example"}))
    result = await freshd("enrol", "mail")
    assert result.exit_code == 0, result.output
    assert "enrolled: mail, generation 4" in result.stdout
    [(_, _, began), (verb, _, finished)] = begun.operations
    assert began["redirect_uri"].startswith("http://127.0.0.1:")
    assert verb == "enrol-finish"
    assert finished == {"session": "s1", "code": CODE, "state": STATE, "iss": "https://service.example"}
    assert CODE not in result.output


async def test_as_json_the_address_comes_first_and_the_end_last(
    begun: Engine, browser: Callable[..., None], freshd: Freshd
) -> None:
    browser(f"code={CODE}&state={STATE}")
    first, last = map(json.loads, (await freshd("enrol", "mail", "--json")).stdout.splitlines())
    assert first["url"].startswith("https://service.example/")
    assert last == DONE


async def test_an_answer_to_another_request_is_not_taken(
    begun: Engine, browser: Callable[..., None], freshd: Freshd
) -> None:
    browser(f"code=evil&state=other&state={STATE}x", "code=evil", "", f"code={CODE}&state={STATE}")
    assert (await freshd("enrol", "mail")).exit_code == 0
    assert begun.operations[-1][2]["code"] == CODE


async def test_a_no_is_said_and_nothing_is_finished(
    begun: Engine, browser: Callable[..., None], freshd: Freshd
) -> None:
    browser(f"error=access_denied&state={STATE}&error_description=%1b[2J")
    result = await freshd("enrol", "mail")
    assert result.exit_code == 65
    assert "access_denied" in result.stderr
    assert [verb for verb, _, _ in begun.operations] == ["enrol-begin"]


async def test_an_error_of_no_known_form_is_not_repeated(
    begun: Engine, browser: Callable[..., None], freshd: Freshd
) -> None:
    browser(f"error=EVIL+%1b&state={STATE}")
    assert "answered an error" in (await freshd("enrol", "mail")).stderr


async def test_a_redirect_address_of_the_account_is_listened_on(
    engine: Engine, browser: Callable[..., None], freshd: Freshd
) -> None:
    from freshd.cli.redirect import Listener

    probe = Listener()
    probe.close()
    engine.script["enrol-begin"] = [{**BEGUN, "url": request_for(f"http://localhost:{probe.port}/oauth/done")}]
    engine.script["enrol-finish"] = [DONE]
    browser(f"code={CODE}&state={STATE}")
    assert (await freshd("enrol", "mail")).exit_code == 0


async def test_a_redirect_address_elsewhere_needs_pasting(engine: Engine, freshd: Freshd) -> None:
    engine.script["enrol-begin"] = [{**BEGUN, "url": request_for("https://app.example/done")}]
    result = await freshd("enrol", "mail", "--no-browser")
    assert result.exit_code == 65
    assert "--paste" in result.stderr


async def test_a_port_in_use_is_told_with_the_way_out(freshd: Freshd, engine: Engine) -> None:
    from freshd.cli.redirect import Listener

    taken = Listener()
    result = await freshd("enrol", "mail", "--port", str(taken.port))
    taken.close()
    assert result.exit_code == 65
    assert "--port" in result.stderr
    assert engine.operations == []


async def test_nobody_agreeing_ends_by_itself(begun: Engine, freshd: Freshd) -> None:
    begun.script["enrol-begin"] = [{**BEGUN, "url": request_for("http://127.0.0.1:1/x"), "expires_in": 0.001}]
    result = await freshd("enrol", "mail", "--paste", stdin="nonsense\n")
    assert result.exit_code == 65


async def test_a_pasted_address_is_carried_and_not_shown(begun: Engine, freshd: Freshd) -> None:
    pasted = f"http://127.0.0.1:50000/callback?state={STATE}&code={CODE}\n"
    result = await freshd("enrol", "mail", "--paste", stdin=pasted)
    assert result.exit_code == 0, result.output
    assert begun.operations[-1][2] == {"session": "s1", "code": CODE, "state": STATE}
    assert CODE not in result.output


async def test_a_pasted_address_of_another_enrolment_is_refused(begun: Engine, freshd: Freshd) -> None:
    result = await freshd("enrol", "mail", "--paste", stdin="http://127.0.0.1/callback?state=old&code=c\n")
    assert result.exit_code == 65
    assert [verb for verb, _, _ in begun.operations] == ["enrol-begin"]


async def test_the_device_flow_shows_the_code_and_polls_at_the_interval_asked_for(
    engine: Engine, freshd: Freshd, naps: list[float]
) -> None:
    engine.script["enrol-begin"] = [{**BEGUN, "url": "https://service.example/d", "user_code": "AB-CD"}]
    pending = [{"done": False, "pending": word} for word in ("authorization_pending", "slow_down", "held")]
    engine.script["enrol-finish"] = [*pending, DONE]
    result = await freshd("enrol", "mail", "--device")
    assert result.exit_code == 0, result.output
    assert "AB-CD" in result.stdout
    assert naps == [5.0, 5.0, 10.0, 10.0]


async def test_a_device_code_that_nobody_enters_ends_by_itself(
    engine: Engine, freshd: Freshd, naps: list[float]
) -> None:
    engine.script["enrol-begin"] = [{**BEGUN, "url": "https://x/d", "user_code": "A", "expires_in": 4.0}]
    result = await freshd("enrol", "mail", "--device")
    assert result.exit_code == 65
    assert "nobody agreed in time" in result.stderr


async def test_it_is_not_done_until_the_daemon_says_so(begun: Engine, freshd: Freshd, naps: list[float]) -> None:
    begun.script["enrol-finish"] = [{"done": False, "pending": "unsent"}, NotPossible("refused", "begin again")]
    result = await freshd("enrol", "mail", "--paste", stdin=f"http://h/?state={STATE}&code={CODE}\n")
    assert result.exit_code == 65
    assert "enrolled" not in result.output


async def test_what_cannot_be_sent_is_not_tried_for_ever(begun: Engine, freshd: Freshd, naps: list[float]) -> None:
    begun.script["enrol-finish"] = [{"done": False, "pending": "unsent"}]
    result = await freshd("enrol", "mail", "--paste", stdin=f"http://h/?state={STATE}&code={CODE}\n")
    assert "nothing could be sent" in result.stderr
    assert len(naps) == enrol.UNSENT_MOST - 1


def test_a_browser_is_started_with_an_address_that_says_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from freshd.cli.redirect import Listener

    listener = Listener()
    listener.close()
    assert STATE not in listener.start_url
    assert urlsplit(listener.start_url).query == ""


async def test_an_imported_token_is_read_from_standard_input_and_stands_in_no_output(
    freshd: Freshd, engine: Engine
) -> None:
    engine.script["import"] = [{"account": "mail", "generation": 1}]
    ended = await freshd("enrol", "mail", "--import", stdin="rt-canary-0123456789\n")
    assert ended.exit_code == 0, ended.output
    assert engine.operations[-1] == ("import", "mail", {"secrets": {"refresh_token": "rt-canary-0123456789"}})
    assert "canary" not in ended.output


async def test_an_import_of_nothing_sends_nothing(freshd: Freshd, engine: Engine) -> None:
    ended = await freshd("enrol", "mail", "--import", stdin="\n")
    assert ended.exit_code == 65
    assert engine.operations == []


# -- steps that are no redirect -------------------------------------------------------------------------------------

PROMPT = {**BEGUN, "url": "", "prompt": "code from the SMS to 139****0000"}
AT_ONCE = {**BEGUN, "url": "", "prompt": None}
COSTS = NotPossible("an SMS will be sent to 139****0000", "agree")
COSTS.type = "needs-consent"  # type: ignore[misc]


async def test_what_costs_something_is_told_and_agreed_to_first(engine: Engine, freshd: Freshd) -> None:
    engine.script["enrol-begin"] = [COSTS, PROMPT]
    engine.script["enrol-finish"] = [DONE]
    ended = await freshd("enrol", "mail", stdin="y\n123456\n")
    assert ended.exit_code == 0, ended.output
    assert "an SMS will be sent to 139****0000" in ended.stderr
    (_, _, first), (_, _, second), (_, _, last) = engine.operations
    assert ("consent" in first, second["consent"]) == (False, True)
    assert last == {"session": "s1", "code": "123456"}
    assert "123456" not in ended.output


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
async def test_without_a_yes_nothing_is_begun(engine: Engine, freshd: Freshd, answer: str) -> None:
    engine.script["enrol-begin"] = [COSTS, PROMPT]
    ended = await freshd("enrol", "mail", stdin=answer)
    assert ended.exit_code == 65
    assert "--yes" in ended.stderr
    assert [verb for verb, _, _ in engine.operations] == ["enrol-begin"]


async def test_a_script_may_agree_beforehand(engine: Engine, freshd: Freshd) -> None:
    engine.script["enrol-begin"] = [COSTS, PROMPT]
    engine.script["enrol-finish"] = [DONE]
    ended = await freshd("enrol", "mail", "--yes", stdin="123456\n")
    assert ended.exit_code == 0, ended.output
    assert "an SMS will be sent" in ended.stderr


async def test_any_other_no_is_not_taken_for_a_question(engine: Engine, freshd: Freshd) -> None:
    engine.script["enrol-begin"] = [NotPossible("there is no ticket", "import one")]
    ended = await freshd("enrol", "mail", "--yes")
    assert ended.exit_code == 65
    assert "there is no ticket" in ended.stderr
    assert len(engine.operations) == 1


@pytest.mark.parametrize("typed", ["", "\n", "  \n"])
async def test_nothing_typed_means_nothing_sent(engine: Engine, freshd: Freshd, typed: str) -> None:
    engine.script["enrol-begin"] = [PROMPT]
    ended = await freshd("enrol", "mail", stdin=typed)
    assert ended.exit_code == 65
    assert [verb for verb, _, _ in engine.operations] == ["enrol-begin"]


async def test_a_step_that_asks_nothing_of_a_person_is_taken_at_once_and_leads_to_the_next(
    engine: Engine, freshd: Freshd, naps: list[float]
) -> None:
    engine.script["enrol-begin"] = [AT_ONCE, COSTS, PROMPT]
    engine.script["enrol-finish"] = [{"done": False, "pending": "next-step", "outcome": "20"}, DONE]
    ended = await freshd("enrol", "mail", "--yes", stdin="123456\n")
    assert ended.exit_code == 0, ended.output
    assert naps == []


@pytest.mark.parametrize(("begun", "most"), [(AT_ONCE, 1), (PROMPT, enrol.STEPS_MOST)])
async def test_steps_that_go_round_in_circles_end(
    engine: Engine, freshd: Freshd, begun: dict[str, object], most: int
) -> None:
    engine.script["enrol-begin"] = [begun]
    engine.script["enrol-finish"] = [{"done": False, "pending": "next-step"}]
    ended = await freshd("enrol", "mail", stdin="123456\n" * 10)
    assert ended.exit_code == 65
    assert [verb for verb, _, _ in engine.operations].count("enrol-finish") == most


async def test_a_kind_that_is_enrolled_by_device_flow_is_so_without_an_option(
    engine: Engine, freshd: Freshd, naps: list[float]
) -> None:
    engine.script["enrol-begin"] = [{**BEGUN, "url": "https://service.example/d", "user_code": "AB-CD"}]
    engine.script["enrol-finish"] = [DONE]
    ended = await freshd("enrol", "mail")
    assert ended.exit_code == 0, ended.output
    assert "AB-CD" in ended.stdout


async def test_an_object_is_imported_member_by_member(freshd: Freshd, engine: Engine) -> None:
    engine.script["import"] = [{"account": "mail", "generation": 1}]
    record = {"tgtgt": "TG-canary", "uid": 90000001, "device_sig": "", "web_sig": None, "more": ["canary"], "on": True}
    ended = await freshd("enrol", "mail", "--import", stdin=json.dumps(record))
    assert ended.exit_code == 0, ended.output
    assert engine.operations[-1][2] == {"secrets": {"tgtgt": "TG-canary", "uid": "90000001"}}
    assert "passed over: 4 members" in ended.stderr
    assert "canary" not in ended.output


@pytest.mark.parametrize(
    "text", ["{", '{"a": {"b": "canary"}}', '{"a": true}', '{"a": 1.5}', "{}", '{"a": ""}', '{"canary']
)
async def test_an_object_that_cannot_be_imported_is_refused_without_repeating_it(
    freshd: Freshd, engine: Engine, text: str
) -> None:
    ended = await freshd("enrol", "mail", "--import", stdin=text)
    assert ended.exit_code == 65
    assert engine.operations == []
    assert "canary" not in ended.output


async def test_a_picture_is_shown_beside_its_question_and_gone_afterwards(engine: Engine, freshd: Freshd) -> None:
    engine.script["enrol-begin"] = [{**PROMPT, "prompt": "the characters", "picture": "R0lGODlhcmVzdA=="}]
    engine.script["enrol-finish"] = [DONE]
    ended = await freshd("enrol", "mail", stdin="kx7f\n")
    assert ended.exit_code == 0, ended.output
    path = next(line.strip() for line in ended.stdout.splitlines() if line.strip().endswith(".gif"))
    assert not await asyncio.to_thread(os.path.exists, path)
    assert engine.operations[-1][2] == {"session": "s1", "code": "kx7f"}


async def test_a_step_taken_at_once_may_come_again_behind_an_answer_of_the_person(
    engine: Engine, freshd: Freshd
) -> None:
    again, captcha = {**AT_ONCE, "step": "sign-in"}, {**PROMPT, "step": "captcha"}
    engine.script["enrol-begin"] = [again, captcha, again, captcha, again]
    engine.script["enrol-finish"] = [*[{"done": False, "pending": "next-step"}] * 4, DONE]
    ended = await freshd("enrol", "mail", stdin="kx7f\nkx8f\n")
    assert ended.exit_code == 0, ended.output


async def test_different_steps_that_ask_nothing_may_follow_each_other(engine: Engine, freshd: Freshd) -> None:
    engine.script["enrol-begin"] = [{**AT_ONCE, "step": "query"}, {**AT_ONCE, "step": "header"}]
    engine.script["enrol-finish"] = [{"done": False, "pending": "next-step"}, DONE]
    ended = await freshd("enrol", "mail")
    assert ended.exit_code == 0, ended.output
