"""The judge of the demo believes nothing that was not seen, and each thing that can go wrong turns the verdict."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from freshd.cli.demo.aun import AUN_NAMES
from freshd.cli.demo.cloudbase import CLOUD_NAMES
from freshd.cli.demo.evidence import AccountEvidence, Arrival, Evidence, Met, Reading, Sample
from freshd.cli.demo.futu import FUTU_NAMES
from freshd.cli.demo.score import JSON_NAMES, Verdict, judge, kind_of, rounded_up
from tests.demo import brokers, clouds
from tests.demo.brokers import BEGAN, ENDED

LIFE = 12.0
EVERY = 4.0
KILLED, BACK = 1016.0, 1017.5
STORM = (1024.0, 1028.0)


def diary(reader: str, until: float = ENDED) -> list[Reading]:
    """A reader that polls every half second and always holds a lease that works."""
    lines: list[Reading] = []
    for tick in range(int((until - BEGAN) * 2)):
        at = BEGAN + tick / 2
        if tick % (2 * EVERY) == 0:
            lines.append(Reading(reader, at, Met.LEASE, f"{reader} {tick}", at + LIFE))
        lines.append(Reading(reader, at, Met.GOOD))
    return lines


def healthy(name: str, **changes: Any) -> AccountEvidence:
    renewals = [BEGAN + EVERY * number for number in range(10)]
    whole = AccountEvidence(
        name=name,
        renews_every=EVERY,
        reads=80,
        readings=diary(f"{name}/0"),
        arrivals=[Arrival(at + 0.05, "status" if STORM[0] <= at < STORM[1] else "granted") for at in renewals],
        samples=[Sample(at + 0.2, "live", at + EVERY) for at in renewals],
        counters={"spent_uses": 0, "doubtful_replays": 0},
        lost=1,
        final={"phase": "live"},
    )
    return dataclasses.replace(whole, **changes)


def lost(name: str, **changes: Any) -> AccountEvidence:
    """The account that loses its answer for good."""
    refusals = [Reading(f"{name}/0", BEGAN + 10 + tick / 2, Met.REFUSED, "x") for tick in range(60)]
    readings = [*diary(f"{name}/0", BEGAN + 10), *refusals]
    final = {"phase": "parked", "remedy": f"freshd enrol {name}"}
    parked = healthy(name, expected_parked=True, readings=readings, final=final)
    return dataclasses.replace(parked, **changes)


def others() -> list[AccountEvidence]:
    """Feishu, Futu, GeniusAuth, AUN and CloudBase, with all well."""
    user = healthy("ann", kind="feishu", readings=revoked_in(diary("ann/0"), "ann/0"))
    at_futu = [brokers.platform(), brokers.expiring(), brokers.refused()]
    read = [dataclasses.replace(one, reads=80, readings=diary(f"{one.name}/0")) for one in at_futu]
    return [user, healthy("app", kind="feishu-app"), *read, *(logging_in(one) for one in CLOUDS)]


CLOUDS = (clouds.desk(), clouds.kiosk(), clouds.agent(), clouds.bot(), clouds.guest())


def logging_in(one: AccountEvidence) -> AccountEvidence:
    """With readers, what they met set right, and renewals that were seen to be due."""
    reader = f"{one.name}/0"
    lines = [*diary(reader), *one.readings, Reading(reader, 1012.3, Met.GOOD)]
    samples = [Sample(call.at + 0.05, "live", call.at + 3.0) for call in one.arrivals]
    return dataclasses.replace(one, reads=80, readings=lines, samples=samples, final={"phase": "live"})


def revoked_in(lines: list[Reading], reader: str) -> list[Reading]:
    """The diary of a reader whose newest token was revoked for a moment at 1012."""
    refused = [Reading(reader, 1012.1, Met.LEASE, "v", 1030.0), Reading(reader, 1012.2, Met.REFUSED, "v")]
    return [*lines, *refused, Reading(reader, 1012.3, Met.GOOD)]


def events(*more: dict[str, Any]) -> list[dict[str, Any]]:
    renewals = [{"event": "refresh.succeeded", "account": name} for name in NAMES for _ in range(9)]
    healed = [{"event": "lease.healed", "account": name} for name in ("mail", "ann")]
    return [*renewals, *brokers.EVENTS, *clouds.EVENTS, *healed, *more]


UNSTRUCK = [Arrival(BEGAN + EVERY * number, "granted") for number in range(10)]
NAMES = ("mail", "bank", "ann", "app", "desk", "kiosk", "agent", "bot", "guest")


def without(event: str, account: str) -> list[dict[str, Any]]:
    return [one for one in events() if (one["event"], one.get("account")) != (event, account)]


def evidence(mail: AccountEvidence | None = None, bank: AccountEvidence | None = None, **changes: Any) -> Evidence:
    whole = Evidence(
        began=BEGAN,
        ended=ENDED,
        accounts=[mail or healthy("mail"), bank or lost("bank"), *others()],
        downs=[(KILLED, BACK)],
        kills=1,
        comebacks=1,
        storms=[STORM],
        revoked={"y": BEGAN + 12},
        voided={"v": BEGAN + 12.15, **clouds.VOIDED},
        struck=clouds.STRUCK,
        futu=brokers.futu(),
        aun=clouds.at_gateway(),
        events=events(),
    )
    return dataclasses.replace(whole, **changes)


def test_a_run_in_which_all_went_as_it_should_is_ok() -> None:
    verdict = judge(evidence())
    assert verdict.failures == ()
    assert verdict.ok


def test_the_json_line_has_the_agreed_members_and_no_others() -> None:
    document = judge(evidence()).document()
    assert document.keys() == {"ok", "accounts"}
    usual, at_futu = [JSON_NAMES] * 4, [JSON_NAMES + FUTU_NAMES] * 3
    others = [JSON_NAMES, JSON_NAMES, JSON_NAMES + AUN_NAMES, JSON_NAMES + CLOUD_NAMES, JSON_NAMES + CLOUD_NAMES]
    assert [tuple(account) for account in document["accounts"]] == usual + at_futu + others
    mail, bank = document["accounts"][:2]
    assert (mail["name"], mail["refreshes"], mail["heals"], mail["gap_s"]) == ("mail", 9, 1, 0)
    assert (bank["expected_parked"], bank["gap_s"]) == (True, 30.5)
    [hk] = [account for account in document["accounts"] if account["name"] == "hk"]
    assert (hk["refreshes"], hk["repulls"], hk["late_p99_s"], hk["sms"]) == (3, 4, pytest.approx(0.1), 0)


def refused_for(seconds: float, token: str = "x") -> list[Reading]:
    """The usual diary, but from 1010 on the newest token is refused for so long; polls of 10 ms."""
    usual = [line for line in diary("mail/0") if not 1010 < line.at < 1010 + seconds]
    ticks = range(1, max(2, int(seconds * 100)))
    refusals = [Reading("mail/0", 1010 + tick / 100, Met.REFUSED, token) for tick in ticks]
    return [*usual, *refusals, Reading("mail/0", 1010 + seconds, Met.GOOD)]


def oauth2_alone() -> Verdict:
    return judge(evidence(accounts=[healthy("mail"), lost("bank")]))


def verdict_of(**changes: Any) -> Verdict:
    return judge(evidence(healthy("mail", **changes)))


BAD: dict[str, tuple[Callable[[], Verdict], str]] = {
    "a gap": (lambda: verdict_of(readings=refused_for(0.4)), "gap of 0.4 s"),
    "a gap shorter than a poll": (lambda: verdict_of(readings=refused_for(0.03)), "gap of 0.03 s"),
    "a heal that took too long": (lambda: verdict_of(readings=refused_for(1.2, "y")), "gap of"),
    "a spent use": (lambda: verdict_of(counters={"spent_uses": 1}), "presented 1 times"),
    "an account that parks unforeseen": (lambda: verdict_of(final={"phase": "parked"}), "mail ended parked"),
    "an account that nobody saw at the end": (lambda: verdict_of(final={}), "mail ended unknown"),
    "an account that was never read": (lambda: verdict_of(reads=0), "never read"),
    "an account without a diary": (lambda: verdict_of(readings=[]), "gap of 40 s"),
    "a reader that looked away": (
        lambda: verdict_of(readings=[line for line in diary("mail/0") if not 1005 < line.at < 1009.2]),
        "nobody looked",
    ),
    "due moments that nobody saw": (lambda: verdict_of(samples=[]), "due moment"),
    "too few renewals": (lambda: judge(evidence(events=without("refresh.succeeded", "mail"))), "mail was renewed 0"),
    "too few leases of a broker": (
        lambda: judge(evidence(events=without("refresh.succeeded", "hk"))),
        "hk was renewed 0 times",
    ),
    "a reader at Futu that never had to ask": (lambda: judge(with_broker(wishes=())), "no reader had to ask"),
    "a gap at a broker": (lambda: judge(with_broker(readings=[])), "hk had a gap of 40 s"),
    "a spent code": (lambda: judge(with_broker(counters={"spent_uses": 1})), "hk: a token known to be spent"),
    "a login too soon": (
        lambda: judge(evidence(futu=brokers.futu(tally={"authority_calls": 2, "authority_too_soon": 1}))),
        "inside the window",
    ),
    "no Feishu": (oauth2_alone, "no user of Feishu"),
    "no GeniusAuth": (
        oauth2_alone,
        "no two accounts of GeniusAuth",
    ),
    "no AUN": (oauth2_alone, "no agent of AUN"),
    "no CloudBase": (
        oauth2_alone,
        "nobody signed in at CloudBase",
    ),
    "no Futu": (oauth2_alone, "no login at Futu"),
    "Feishu's heal alone": (
        lambda: judge(evidence(events=without("lease.healed", "mail"))),
        "no refused token was healed",
    ),
    "Feishu's lost answer alone": (
        lambda: judge(evidence(healthy("mail", lost=0), lost("bank"))),
        "no account that can recover",
    ),
    "a storm that struck Feishu alone": (
        lambda: judge(evidence(healthy("mail", arrivals=UNSTRUCK), lost("bank", arrivals=UNSTRUCK))),
        "no storm",
    ),
    "a second spent use, of the lost account": (
        lambda: judge(evidence(bank=lost("bank", counters={"spent_uses": 2}))),
        "bank: a token known to be spent was presented 2 times",
    ),
    "the lost account still renewing": (lambda: judge(evidence(bank=lost("bank", final={"phase": "live"}))), "parked"),
    "the lost account parked without a remedy": (
        lambda: judge(evidence(bank=lost("bank", final={"phase": "parked", "remedy": None}))),
        "without a remedy",
    ),
    "an answer that was not lost": (lambda: judge(evidence(bank=lost("bank", lost=0))), "never lost an answer"),
    "nothing lost that can be got back": (lambda: verdict_of(lost=0), "no account that can recover"),
    "no account that was to be parked": (
        lambda: judge(evidence(bank=healthy("bank"))),
        "no account was meant to lose its answer",
    ),
    "no kill": (lambda: judge(evidence(kills=0, comebacks=0, downs=())), "never killed"),
    "no comeback": (lambda: judge(evidence(comebacks=0, downs=[(KILLED, ENDED)])), "did not come back"),
    "a daemon that ended by itself": (lambda: judge(evidence(deaths=1)), "ended by itself"),
    "no storm": (lambda: judge(evidence(storms=())), "no storm"),
    "a storm that struck nobody": (lambda: judge(evidence(storms=[(1030.5, 1031.0)])), "no storm"),
    "no revocation": (lambda: judge(evidence(revoked={})), "revoked no token"),
    "a mistake of the daemon's own": (
        lambda: judge(evidence(events=events({"event": "bug", "account": "mail", "kind": "KeyError"}))),
        "KeyError",
    ),
    "a script that broke off": (lambda: judge(evidence(troubles=["the script broke off"])), "broke off"),
    "no accounts": (lambda: judge(evidence(accounts=[])), "no account"),
}


def with_broker(**changes: Any) -> Evidence:
    whole = evidence()
    accounts = [dataclasses.replace(one, **changes) if one.name == "hk" else one for one in whole.accounts]
    return dataclasses.replace(whole, accounts=accounts)


def test_a_code_for_the_stock_is_no_renewal() -> None:
    assert kind_of({"event": "refresh.succeeded", "rung": "repull"}) != "refresh.succeeded"
    assert kind_of({"event": "refresh.succeeded", "rung": "broker-auth"}) == "refresh.succeeded"
    assert kind_of({"event": "refresh.rejected", "rung": "repull"}) == "refresh.rejected"


@pytest.mark.parametrize("what", BAD)
def test_what_must_not_be_turns_the_verdict_and_is_named(what: str) -> None:
    make, sentence = BAD[what]
    verdict = make()
    assert not verdict.ok
    assert any(sentence in failure for failure in verdict.failures), verdict.failures


def test_a_revoked_token_that_was_replaced_in_time_is_a_gap_that_is_allowed() -> None:
    verdict = verdict_of(readings=refused_for(0.4, "y"))
    assert verdict.ok
    assert verdict.accounts[0].gap_s == verdict.accounts[0].healing_s > 0
    assert verdict.accounts[0].broken_s == 0
    assert verdict.accounts[0].healing_s > 0


@pytest.mark.parametrize(("seconds", "shown"), [(0.0, 0.0), (1e-9, 0.0), (0.0001, 0.01), (0.01, 0.01), (0.0101, 0.02)])
def test_no_gap_is_rounded_away(seconds: float, shown: float) -> None:
    assert rounded_up(seconds) == shown
