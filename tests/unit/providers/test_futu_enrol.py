"""A person's part: the record of another client, the SMS, the third factor; nothing is sent that was not agreed to."""

import json
from typing import Any

import pytest

from freshd.core.model import Record, Secret
from freshd.core.outcome import Lost, NotSent
from freshd.errors import NeedsConsent, NotPossible
from freshd.ports import Asked
from freshd.providers.futu.enrol import shown_phone
from tests.unit.providers.futu_bench import Bench
from tests.unit.providers.futu_parts import HELD, KEY, SENT, error, intent, plain, platform, reply, sealed

AT = f"{SENT.wall:.0f}"
STEP = {"device_verify_sig": "DVS-77", "device_verify_at": AT, "phone_no": "139****0000"}
DUE = platform(STEP)
THIRD = platform(third_factor_verify_sig="TFS", third_factor_verify_at=AT)
GIVEN = {"account": "Ann@example.org ", "uid": "90000001", "device_id": "0f1e2d3c4b5a6978", "tgtgt": "TG-0001",
         "rand_key": KEY, "web_sig": "WS", "device_sig": "DS", "user_attribution": "6"}  # fmt: skip


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def ask(bench: Bench, record: Record, *, consent: bool = False) -> Asked:
    return await bench.platform().ask("auto", "http://127.0.0.1:1/", record, consent=consent)


# -- the SMS --------------------------------------------------------------------------------------------------------


async def test_no_sms_leaves_without_consent_and_it_is_said_where_it_would_go(bench: Bench) -> None:
    with pytest.raises(NeedsConsent, match=r"an SMS with a code will be sent to 139\*\*\*\*0000"):
        await ask(bench, DUE)
    assert bench.calls.made == []


async def test_with_consent_one_sms_is_sent_and_its_code_asked_for(bench: Bench) -> None:
    bench.clock.passed = 100.0
    asked = await ask(bench, DUE, consent=True)
    assert bench.paths() == ["authority/req_device_code"]
    assert (asked.rung, asked.prompt, asked.expires_in) == ("device-check", "code from the SMS to 139****0000", 200.0)
    assert asked.url == ""
    assert plain(asked.material) == {"device_verify_sig": "DVS-77"}


async def test_the_code_of_an_sms_that_was_sent_is_asked_for_again_without_another(bench: Bench) -> None:
    provider = bench.platform()
    await provider.ask("auto", None, DUE, consent=True)
    bench.clock.passed = 60.0
    asked = await provider.ask("auto", None, DUE)
    assert asked.prompt == "code from the SMS to 139****0000, sent 60 s ago"
    await provider.ask("auto", None, DUE, consent=True)
    assert len(bench.calls.made) == 1


async def test_a_lost_answer_is_no_reason_for_a_second_sms(bench: Bench) -> None:
    provider = bench.platform()
    bench.calls.answers = [Lost("no answer")]
    asked = await provider.ask("auto", None, DUE, consent=True)
    assert asked.rung == "device-check"
    await provider.ask("auto", None, DUE, consent=True)
    assert len(bench.calls.made) == 1


async def test_what_never_left_may_be_tried_again(bench: Bench) -> None:
    provider = bench.platform()
    bench.calls.answers = [NotSent("no route"), reply({"result": {}})]
    with pytest.raises(NotPossible, match="no route"):
        await provider.ask("auto", None, DUE, consent=True)
    assert (await provider.ask("auto", None, DUE, consent=True)).prompt is not None


@pytest.mark.parametrize("answer", [error(99), reply(b"<html>", 200), reply(b"", 503), reply({"result": {}}, 429)])
async def test_a_service_that_sends_none_is_left_alone(bench: Bench, answer: Any) -> None:  # noqa: ANN401 - a reply
    bench.calls.answers = [answer]
    with pytest.raises(NotPossible, match="the service sends no SMS") as caught:
        await ask(bench, DUE, consent=True)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "body", [{"result": {}}, {"result": {"x": 1}}, {}, {"result": None, "error": {"error_code": 0}}]
)
async def test_what_is_no_refusal_is_taken_for_sent(bench: Bench, body: object) -> None:
    bench.calls.answers = [reply(body)]
    assert (await ask(bench, DUE, consent=True)).rung == "device-check"


async def test_two_sms_for_two_signatures_lie_half_a_minute_apart(bench: Bench) -> None:
    provider = bench.platform()
    await provider.ask("auto", None, DUE, consent=True)
    newer = platform({**STEP, "device_verify_sig": "DVS-78"})
    bench.clock.passed = 10.0
    with pytest.raises(NotPossible, match="a moment ago") as caught:
        await provider.ask("auto", None, newer, consent=True)
    assert "wait 20 s" in caught.value.remedy
    bench.clock.passed = 31.0
    assert (await provider.ask("auto", None, newer, consent=True)).rung == "device-check"


async def test_after_a_wrong_code_every_further_try_is_agreed_to(bench: Bench) -> None:
    provider, wrong = bench.platform(), platform(STEP, wrong_codes="1")
    await provider.ask("auto", None, DUE, consent=True)
    with pytest.raises(NeedsConsent, match="1 wrong so far"):
        await provider.ask("auto", None, wrong)
    asked = await provider.ask("auto", None, wrong, consent=True)
    assert asked.rung == "device-check"
    assert len(bench.calls.made) == 1


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("139****0000", "139****0000"),
        ("13900001234", "139****1234"),
        ("+86 139-0000-1234", "+86****1234"),
        (None, "the account's phone"),
        ("12345", "the account's phone"),
        ("\x1b[31m", "the account's phone"),
    ],
)
def test_a_phone_number_is_shown_masked(number: str | None, shown: str) -> None:
    assert shown_phone(number) == shown


# -- other steps ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("record", [platform(), platform({**STEP, "device_verify_at": "soon"})])
async def test_where_no_step_is_due_or_its_time_is_not_known_a_person_logs_in_again(
    bench: Bench, record: Record
) -> None:
    asked = await ask(bench, record)
    assert (asked.rung, asked.prompt, asked.url, dict(asked.material)) == ("login-again", None, "", {})
    assert bench.calls.made == []


@pytest.mark.parametrize("passed", [0.0, 0.4, 299.0, -20.0])
async def test_a_step_that_is_young_is_taken_whatever_the_clock_does_in_small(bench: Bench, passed: float) -> None:
    bench.clock.passed = passed
    assert (await ask(bench, DUE, consent=True)).rung == "device-check"


@pytest.mark.parametrize("passed", [300.0, 10_000.0, -31.0])
async def test_a_step_is_good_for_five_minutes_and_not_after_a_step_of_the_clock(bench: Bench, passed: float) -> None:
    bench.clock.passed = passed
    assert (await ask(bench, DUE, consent=True)).rung == "login-again"


async def test_a_third_factor_is_confirmed_elsewhere(bench: Bench) -> None:
    asked = await ask(bench, THIRD)
    assert (asked.rung, plain(asked.material)) == ("third-factor", {"third_factor_verify_sig": "TFS"})
    assert asked.prompt is not None
    assert "type yes" in asked.prompt
    assert bench.calls.made == []


@pytest.mark.parametrize("record", [Record("main"), platform(without=("tgtgt",)), platform(without=("device_id",))])
async def test_without_a_ticket_it_is_said_that_freshd_cannot_make_the_first_one(bench: Bench, record: Record) -> None:
    with pytest.raises(NotPossible, match="cannot make the first one") as caught:
        await ask(bench, record)
    assert "--import" in caught.value.remedy


@pytest.mark.parametrize("flow", ["code", "device", "x"])
async def test_there_is_no_browser_in_it(bench: Bench, flow: str) -> None:
    with pytest.raises(NotPossible, match="browser"):
        await bench.platform().ask(flow, None, DUE)


async def test_a_ticket_of_another_host_is_not_asked_about(bench: Bench) -> None:
    with pytest.raises(NotPossible, match="another account or host"):
        await Bench(auth_url="https://far.example").platform().ask("auto", None, DUE, consent=True)


# -- what is sent ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["", " ", "1", "12 34", "1234;", "x" * 17, "\uff11\uff12\uff13\uff14"])
async def test_what_no_sms_can_hold_is_never_sent(bench: Bench, code: str) -> None:
    note = intent("device-check", DUE, code=code, device_verify_sig="DVS-77")
    assert isinstance(await bench.platform().perform("device-check", DUE, note), NotSent)
    assert bench.calls.made == []


async def test_the_code_is_sent_with_the_signature_it_was_asked_for(bench: Bench) -> None:
    newer = platform({**STEP, "device_verify_sig": "DVS-78"})
    note = intent("device-check", newer, code=" 123456\n", device_verify_sig="DVS-77")
    await bench.platform().perform("device-check", newer, note)
    [call] = bench.calls.made
    body = json.loads(call.body or b"")
    assert (body["device_verify_sig"], body["code"]) == ("DVS-77", "123456")


@pytest.mark.parametrize(("word", "sent"), [("yes", 1), (" YES ", 1), ("no", 0), ("", 0)])
async def test_a_third_factor_is_ended_once_the_person_says_yes(bench: Bench, word: str, sent: int) -> None:
    note = intent("third-factor", THIRD, code=word, third_factor_verify_sig="TFS")
    await bench.platform().perform("third-factor", THIRD, note)
    assert len(bench.calls.made) == sent


@pytest.mark.parametrize("rung", ["device-check", "third-factor"])
async def test_without_what_was_asked_for_nothing_is_sent(bench: Bench, rung: str) -> None:
    assert isinstance(await bench.platform().perform(rung, DUE, intent(rung, DUE, code="yes")), NotSent)


# -- the record of another client -----------------------------------------------------------------------------------


def adopt(bench: Bench, **over: str) -> Any:  # noqa: ANN401 - a change
    given = {name: one for name, one in {**GIVEN, **over}.items() if one != "-"}
    return bench.platform().adopt(sealed(**given), SENT, "new")


def test_a_record_is_taken_over(bench: Bench) -> None:
    grant = adopt(bench).grant
    assert plain(grant.secrets) == {**HELD, "rand_key": KEY, "web_sig": "WS", "device_sig": "DS"}
    assert (grant.lineage, grant.binding.subject, grant.obtained) == ("new", "90000001", SENT)
    assert grant.valid_for == 86_400.0
    assert adopt(bench).lease is None


@pytest.mark.parametrize("name", ["account", "uid", "web_sig", "device_sig", "user_attribution"])
def test_a_record_of_an_older_client_may_lack_this(bench: Bench, name: str) -> None:
    assert adopt(bench, **{name: "-"}).grant is not None
    assert adopt(bench, **{name: ""}).grant is not None


@pytest.mark.parametrize(
    ("over", "told"),
    [
        ({"tgtgt": "-"}, "lacks tgtgt"),
        ({"rand_key": ""}, "lacks rand_key"),
        ({"device_id": "short"}, "16 hex digits"),
        ({"rand_key": "c2hvcnQ="}, "32 bytes"),
        ({"uid": "-5"}, "uid is no number"),
        ({"account": "bob@example.org"}, "another account's"),
        ({"user_attribution": "2"}, 'write attribution = "us"'),
    ],
)
def test_a_record_that_does_not_fit_is_refused_with_the_reason(bench: Bench, over: dict[str, str], told: str) -> None:
    with pytest.raises(NotPossible, match=told):
        adopt(bench, **over)


def test_everything_wrong_with_a_record_is_told_at_once_and_no_value(bench: Bench) -> None:
    with pytest.raises(NotPossible) as caught:
        adopt(bench, tgtgt="-", rand_key="canary", device_id="canary", account="canary", uid="canary")
    assert all(word in caught.value.cause for word in ("tgtgt", "rand_key", "device_id", "another account", "uid"))
    assert "canary" not in caught.value.cause + caught.value.remedy


@pytest.mark.parametrize("written", ["+86-13900000000", "13900000000", "+86-139 0000 0000"])
def test_a_phone_written_another_way_is_no_other_account(written: str) -> None:
    assert adopt(Bench(account="+86-13900000000"), account=written).grant is not None


def test_a_host_of_the_operators_takes_every_region() -> None:
    assert adopt(Bench(auth_url="https://proxy.example"), user_attribution="2").grant is not None


@pytest.mark.parametrize("number", ["0", "99", "x"])
def test_a_region_that_is_not_known_says_nothing(bench: Bench, number: str) -> None:
    assert adopt(bench, user_attribution=number).grant is not None


def test_a_step_that_another_client_had_under_way_is_not_taken_over(bench: Bench) -> None:
    assert "device_verify_sig" not in adopt(bench, device_verify_sig="DVS").grant.secrets


async def test_a_broker_has_nothing_to_enrol(bench: Bench) -> None:
    with pytest.raises(NotPossible) as caught:
        await bench.broker().ask("auto", None, Record("hk"))
    assert caught.value.remedy == "freshd enrol main"
    with pytest.raises(NotPossible):
        bench.broker().adopt({"auth_code": Secret("AC")}, SENT, "new")
