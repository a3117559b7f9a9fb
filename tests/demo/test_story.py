"""What is told of an event, once and in words."""

from typing import Any

from freshd.cli.demo.story import Narrator


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
