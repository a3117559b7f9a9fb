"""What is told of an event, once and in words."""

from typing import Any

from freshd.cli.demo.score import AccountScore
from freshd.cli.demo.story import Narrator, epilogue


def told(*events: dict[str, Any]) -> list[str]:
    stamped = [{"at": float(at), "account": "mail", **event} for at, event in enumerate(events)]
    return [line for _, line in Narrator().tell(stamped)]


def test_renewals_without_trouble_are_not_told() -> None:
    assert told({"event": "refresh.succeeded"}, {"event": "access.granted"}) == []


def test_trouble_is_told_when_it_begins_and_when_it_ends() -> None:
    waiting = {"event": "refresh.rejected", "code": "temporarily_unavailable", "needs": "wait"}
    lines = told(waiting, waiting, waiting, {"event": "refresh.succeeded"}, {"event": "refresh.succeeded"})
    assert len(lines) == 2
    assert "3.0 s after the trouble began" in lines[1]


def test_a_doubt_says_what_the_contract_allows() -> None:
    doubt = {"event": "doubt.opened", "why": "the connection was closed", "usable_for": 7.25}
    assert "7.2 s of the token in hand" in told({**doubt, "contract": "strict"})[0]
    assert "asks again at once" in told({**doubt, "contract": "grace"})[0]


def test_a_parked_account_is_told_with_its_remedy() -> None:
    assert "freshd enrol mail" in told({"event": "account.parked", "code": "x", "remedy": "freshd enrol mail"})[0]


def test_what_nobody_foresaw_is_told_if_it_is_loud() -> None:
    loud = {"event": "vault.locked", "level": "alert", "message": "the sealing key is not there"}
    assert told(loud) == ["mail         vault.locked: the sealing key is not there"]
    assert told({**loud, "level": "info"}) == []


def test_a_doubt_at_a_broker_says_that_the_code_counts_as_spent() -> None:
    event = {"at": 0.0, "account": "hk", "event": "doubt.opened", "why": "closed", "contract": "strict"}
    (line,) = [line for _, line in Narrator({"hk": "futu-broker"}).tell([event])]
    assert "counts as spent" in line
    assert "waits" not in line


def test_another_way_and_a_withdrawn_token_are_told() -> None:
    lines = told({"event": "climb.started", "rung": "repull", "why": "990003"}, {"event": "lease.withdrawn"})
    assert "repull" in lines[0]
    assert "990003" in lines[0]
    assert "withdrawn" in lines[1]


def test_a_doubt_of_an_agent_says_that_it_logs_in_instead_of_waiting() -> None:
    event = {"at": 0.0, "account": "agent", "event": "doubt.opened", "why": "closed", "contract": "strict"}
    (line,) = [line for _, line in Narrator({"agent": "aun"}).tell([event])]
    assert "logs in with the key" in line
    assert "waits" not in line


def test_freshds_own_logins_are_told_when_they_are_refused_and_when_they_hold() -> None:
    refused = {"event": "channel.refused", "channel": "gate", "kind": "aun", "code": "4001"}
    lines = told(refused, {"event": "channel.connected", "channel": "gate", "kind": "aun", "seconds_away": 0.41})
    assert "4001" in lines[0]
    assert "none for 0.4 s" in lines[1]


def test_a_service_that_answers_all_again_is_told_once_for_all() -> None:
    (line,) = told({"event": "service.accepting", "account": None})
    assert line.startswith("daemon")
    assert "again" in line


def score(**more: int) -> AccountScore:
    return AccountScore(
        name="a", refreshes=3, heals=0, reads=9, late_p99_s=0.1, spent_uses=0, doubtful_replays=0, gap_s=0.0,
        expected_parked=False, down_s=0.0, healing_s=0.0, broken_s=0.0, unwatched_s=0.1, doubts=0, failed_calls=0,
        phase="live", remedy="", more=more,
    )  # fmt: skip


def test_what_only_its_service_counts_stands_in_the_sentence_of_an_account() -> None:
    assert "2 logins with its key, 3 at the gateway" in epilogue(score(logins=2, sessions=3, sessions_ended=2), "x")
    assert "2 sign-ins" in epilogue(score(signins=2), "x")
    assert "1 sign-in;" in epilogue(score(signins=1), "x")
    broker = epilogue(score(rotations=3, logins=4, events=9, events_lost=1), "x")
    assert "3 passwords, 4 logins at the broker, 9 events, 1 lost" in broker
    assert "key" not in broker
    assert "4 codes asked for" in epilogue(score(repulls=4, authority_calls=1, authority_too_soon=0, sms=0), "x")


def test_a_lost_answer_that_cost_nothing_is_no_doubt_and_is_told_as_what_it_is() -> None:
    assert "works many times" in told({"event": "refresh.lost", "why": "closed", "rung": "refresh"})[0]
    assert "nothing can be spent" in told({"event": "refresh.lost", "why": "closed", "rung": "issue"})[0]
