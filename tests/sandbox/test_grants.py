"""The ledger alone: rotation, reuse, grace, lives, and what is counted. No sockets, no clock."""

import pytest

from freshd.sandbox.counters import Counters
from freshd.sandbox.grants import Granted, Ledger, Refused, Result
from freshd.sandbox.policy import GraceReply, Policies, Policy, ReuseKills, Rotation
from freshd.sandbox.tokens import Delivery, Holder, fingerprint

NOW = 1_000.0
HOLDER = Holder(client_id="freshd", label="a", scope="read write")


def ledger_with(**policy: object) -> Ledger:
    policies = Policies(Policy())
    policies.change(policy)
    return Ledger(policies)


def granted(result: Result) -> Granted:
    assert isinstance(result, Granted), result
    return result


def refreshed(ledger: Ledger, text: str, now: float = NOW, *, delivered: bool = True) -> str:
    answer = granted(ledger.refresh(text, now))
    assert answer.refresh is not None
    assert answer.commit is not None
    if delivered:
        ledger.deliver(answer.commit)
    else:
        ledger.lose(answer.commit, "lost_after_commit")
    return answer.refresh.text


def may_refresh(ledger: Ledger, text: str, now: float) -> bool:
    token = ledger.find(text)
    assert token is not None
    return ledger.would_take(token, now)


def counted(ledger: Ledger) -> Counters:
    assert ledger.books.account("a").counters == ledger.books.totals
    return ledger.books.totals


def test_strict_gives_a_new_token_at_each_refresh() -> None:
    ledger = ledger_with()
    first = ledger.mint(HOLDER, NOW).text
    second = refreshed(ledger, first)
    third = refreshed(ledger, second)
    assert len({first, second, third}) == 3
    assert (counted(ledger).refreshes, counted(ledger).commits) == (2, 2)


def test_reuse_kills_the_lineage_where_the_policy_says_so() -> None:
    ledger = ledger_with(reuse_kills="lineage")
    first = ledger.mint(HOLDER, NOW)
    answer = granted(ledger.refresh(first.text, NOW))
    assert isinstance(ledger.refresh(first.text, NOW), Refused)
    assert first.lineage.killed_by == "reuse"
    assert answer.refresh is not None
    assert isinstance(ledger.refresh(answer.refresh.text, NOW), Refused)
    assert ledger.accepts(answer.access.text, NOW) is None
    assert counted(ledger).killed_by == {"reuse": 1}


def test_reuse_kills_only_the_token_where_the_policy_says_so() -> None:
    ledger = ledger_with(reuse_kills="token")
    first = ledger.mint(HOLDER, NOW).text
    second = refreshed(ledger, first)
    assert isinstance(ledger.refresh(first, NOW), Refused)
    refreshed(ledger, second)
    assert counted(ledger).lineages_killed == 0


def test_a_use_after_the_successor_was_presented_is_a_spent_use() -> None:
    ledger = ledger_with(reuse_kills="token")
    first = ledger.mint(HOLDER, NOW).text
    second = refreshed(ledger, first, delivered=False)
    refreshed(ledger, second)
    ledger.refresh(first, NOW)
    assert (counted(ledger).spent_uses, counted(ledger).doubtful_replays) == (1, 0)


def test_a_use_after_the_answer_was_escrowed_is_a_spent_use() -> None:
    ledger = ledger_with()
    first = ledger.mint(HOLDER, NOW).text
    second = refreshed(ledger, first)
    assert ledger.escrowed([fingerprint(second), "0" * 16]) == 1
    ledger.refresh(first, NOW)
    assert (counted(ledger).spent_uses, counted(ledger).doubtful_replays) == (1, 0)


def test_a_use_after_the_access_token_was_used_is_a_spent_use() -> None:
    ledger = ledger_with()
    first = ledger.mint(HOLDER, NOW).text
    answer = granted(ledger.refresh(first, NOW))
    assert answer.commit is not None
    ledger.deliver(answer.commit)
    assert ledger.accepts(answer.access.text, NOW) is answer.access
    ledger.refresh(first, NOW)
    assert counted(ledger).spent_uses == 1


@pytest.mark.parametrize(
    ("delivery", "reason"),
    [
        (None, "in_flight"),
        (Delivery(reason="cut_short"), "cut_short"),
        (Delivery(complete=True, carried=False), "not_carried"),
        (Delivery(complete=True, carried=True, write_failed=True, reason="write_failed"), "write_failed"),
        (Delivery(complete=True, carried=True), "unconfirmed"),
    ],
)
def test_a_replay_without_proof_is_doubtful_and_says_why(delivery: Delivery | None, reason: str) -> None:
    ledger = ledger_with()
    first = ledger.mint(HOLDER, NOW).text
    answer = granted(ledger.refresh(first, NOW))
    assert answer.commit is not None
    if delivery is not None:
        ledger.settle(answer.commit, delivery)
    ledger.refresh(first, NOW)
    assert (counted(ledger).spent_uses, counted(ledger).reasons) == (0, {reason: 1})


def test_an_escrow_mark_means_nothing_for_an_answer_that_was_lost() -> None:
    ledger = ledger_with()
    first = ledger.mint(HOLDER, NOW).text
    second = refreshed(ledger, first, delivered=False)
    ledger.escrowed([fingerprint(second)])
    ledger.refresh(first, NOW)
    assert counted(ledger).reasons == {"lost_after_commit": 1}


def test_grace_gives_the_same_successor_again() -> None:
    ledger = ledger_with(rotation="grace", grace_s=10, grace_reply="same")
    first = ledger.mint(HOLDER, NOW).text
    second = refreshed(ledger, first, delivered=False)
    assert refreshed(ledger, first, NOW + 10) == second
    assert (counted(ledger).in_grace, counted(ledger).doubtful_replays) == (1, 1)


def test_grace_gives_a_new_successor_and_keeps_both_good() -> None:
    ledger = ledger_with(rotation=Rotation.GRACE, grace_s=10, grace_reply=GraceReply.NEW)
    first = ledger.mint(HOLDER, NOW).text
    second = refreshed(ledger, first, delivered=False)
    other = refreshed(ledger, first, NOW + 1)
    assert other != second
    refreshed(ledger, other, NOW + 2)
    refreshed(ledger, second, NOW + 2)


@pytest.mark.parametrize("used", [False, True])
def test_grace_ends_with_its_time_or_with_the_use_of_the_successor(used: bool) -> None:
    ledger = ledger_with(rotation="grace", grace_s=10)
    first = ledger.mint(HOLDER, NOW).text
    second = refreshed(ledger, first)
    if used:
        refreshed(ledger, second, NOW + 1)
    assert isinstance(ledger.refresh(first, NOW + (2 if used else 10.1)), Refused)
    assert counted(ledger).in_grace == 0


@pytest.mark.parametrize("returned", [True, False])
def test_a_reusable_token_is_never_spent(returned: bool) -> None:
    ledger = ledger_with(rotation="reusable", reusable_returned=returned)
    first = ledger.mint(HOLDER, NOW)
    for _ in range(3):
        answer = granted(ledger.refresh(first.text, NOW))
        assert answer.refresh is (first if returned else None)
    assert (counted(ledger).refreshes, counted(ledger).doubtful_replays) == (3, 0)


@pytest.mark.parametrize(("old_access_s", "alive"), [(None, True), (5, True), (0, False)])
def test_the_old_access_token_lives_as_long_as_the_policy_says(old_access_s: float | None, alive: bool) -> None:
    ledger = ledger_with(old_access_s=old_access_s)
    first = granted(ledger.refresh(ledger.mint(HOLDER, NOW).text, NOW))
    assert first.refresh is not None
    refreshed(ledger, first.refresh.text)
    assert (ledger.accepts(first.access.text, NOW + 4) is not None) is alive
    assert (ledger.accepts(first.access.text, NOW + 6) is not None) is (old_access_s is None)


def test_an_early_refresh_gets_the_same_tokens_and_spends_nothing() -> None:
    ledger = ledger_with(earliest_refresh_s=60)
    answer = granted(ledger.refresh(ledger.mint(HOLDER, NOW).text, NOW))
    assert answer.refresh is not None
    early = granted(ledger.refresh(answer.refresh.text, NOW + 59))
    assert (early.access, early.refresh, early.commit) == (answer.access, answer.refresh, None)
    late = granted(ledger.refresh(answer.refresh.text, NOW + 60))
    assert late.access is not answer.access
    assert (counted(ledger).early, counted(ledger).commits) == (1, 2)


@pytest.mark.parametrize("life", ["refresh_idle_s", "refresh_absolute_s"])
def test_a_refresh_token_dies_of_age(life: str) -> None:
    ledger = ledger_with(**{life: 100})
    second = refreshed(ledger, ledger.mint(HOLDER, NOW).text, NOW + 60)
    idle = life == "refresh_idle_s"
    assert may_refresh(ledger, second, NOW + 130) is idle
    assert isinstance(ledger.refresh(second, NOW + 160), Refused)


def test_a_token_of_another_client_is_refused_and_not_spent() -> None:
    ledger = ledger_with()
    first = ledger.mint(HOLDER, NOW).text
    assert isinstance(ledger.refresh(first, NOW, client_id="somebody"), Refused)
    refreshed(ledger, first)


def test_a_wider_scope_is_refused_and_nothing_is_spent() -> None:
    ledger = ledger_with()
    first = ledger.mint(HOLDER, NOW).text
    assert ledger.refresh(first, NOW, scope="read admin") == Refused("invalid_scope", "wider than what was granted")
    granted(ledger.refresh(first, NOW, scope="read"))


def test_a_policy_may_change_per_label_client_and_server() -> None:
    policies = Policies()
    policies.change({"access_s": 1})
    policies.change({"access_s": 2, "reuse_kills": "token"}, client_id="freshd")
    policies.change({"access_s": 3}, label="a")
    assert [policies.of("x", "x").access_s, policies.of("freshd", "x").access_s] == [1, 2]
    assert policies.of("freshd", "a").access_s == 3
    assert policies.of("freshd", "a").reuse_kills is ReuseKills.TOKEN


@pytest.mark.parametrize("wrong", [{"access_s": "x"}, {"rotation": "no"}, {"nope": 1}, {"grace_s": -1}])
def test_a_malformed_policy_changes_nothing(wrong: dict[str, object]) -> None:
    policies = Policies()
    with pytest.raises(ValueError, match=next(iter(wrong))):
        policies.change(wrong)
    assert policies.of("freshd", "a") == Policy()


def test_what_is_remembered_is_bounded() -> None:
    ledger = Ledger(history=3)
    first = token = ledger.mint(HOLDER, NOW).text
    for _ in range(10):
        token = refreshed(ledger, token)
    account = ledger.books.account("a")
    assert (len(account.commits), len(account.lineages[0].spent), len(account.lineages[0].access)) == (3, 3, 3)
    assert ledger.find(first) is None
    for _ in range(4):
        ledger.mint(HOLDER, NOW)
    assert ledger.find(token) is None


def test_no_token_text_is_in_a_repr() -> None:
    ledger = ledger_with()
    answer = granted(ledger.refresh(ledger.mint(HOLDER, NOW).text, NOW))
    assert answer.refresh is not None
    shown = repr(answer)
    assert answer.refresh.text not in shown
    assert answer.access.text not in shown
