"""Fates follow from evidence alone; whatever does not fit is never a good one."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.crash import stamps
from tests.crash.fates import FORBIDDEN, Commit, Evidence, Fate, Kept, judge
from tests.crash.stamps import Stamp

KILLED = 1_000


def commit(arrives: int = 900, arrived: int | None = 910) -> Commit:
    return Commit("old", "new", 800, 850, arrives, arrived)


def evidence(commits: int = 1, generation: int = 2, *, intent: bool = False, escrow: bool = False) -> Evidence:
    kept = Kept(generation, intent, escrow)
    return Evidence(2, 1, kept, (commit(),) * commits, KILLED, "8", in_air=False, lives=True)


SENT = evidence(intent=True)
ANSWERED = evidence(commits=2, intent=True)


@pytest.mark.parametrize(
    ("found", "fate"),
    [
        (evidence(), Fate.IDLE),
        (replace(evidence(), last_point="2", in_air=True), Fate.NEVER_COMMITTED),
        (SENT, Fate.NEVER_COMMITTED),
        (replace(SENT, lives=False), Fate.LOST_UNSENT),
        (replace(ANSWERED, lives=False), Fate.OURS),
        (replace(ANSWERED, lives=False, commits=(commit(), commit(arrived=None))), Fate.NEVER_ARRIVED),
        (replace(ANSWERED, lives=False, commits=(commit(), commit(arrives=1_001))), Fate.NEVER_ARRIVED),
        (replace(ANSWERED, lives=False, last_point="4", commits=(commit(), commit(arrived=None))), Fate.OURS),
        (evidence(commits=2, intent=True, escrow=True), Fate.RECOVERED),
        (replace(evidence(commits=2, intent=True, escrow=True), lives=False), Fate.LOST_AFTER_ESCROW),
        (replace(evidence(commits=2, generation=3), last_point="6", in_air=True), Fate.RECOVERED),
        (replace(evidence(commits=2, generation=3), lives=False), Fate.LOST_AFTER_ESCROW),
    ],
)
def test_a_fate_follows_from_the_evidence(found: Evidence, fate: Fate) -> None:
    assert judge(found) is fate


@pytest.mark.parametrize(
    "found",
    [
        ANSWERED,  # a strict service cannot have taken the spent token again
        evidence(commits=2),  # an answer that nobody had asked for durably
        evidence(commits=3, intent=True),
        evidence(generation=3),  # a generation without an answer
    ],
)
def test_evidence_that_does_not_fit_counts_against_us(found: Evidence) -> None:
    assert judge(found) is Fate.ODD
    assert {Fate.ODD, Fate.NOT_HEALED} <= FORBIDDEN


HEALING = replace(ANSWERED, heals=True)


@pytest.mark.parametrize(
    ("found", "fate"),
    [
        (HEALING, Fate.HEALED),
        (replace(HEALING, lives=False), Fate.NOT_HEALED),
        (replace(HEALING, restored=False), Fate.LOST_AFTER_ESCROW),
        (replace(SENT, heals=True, restored=True), Fate.NEVER_COMMITTED),
        (replace(evidence(commits=2, intent=True, escrow=True), heals=True, restored=True), Fate.RECOVERED),
        (replace(evidence(commits=2, intent=True, escrow=True), heals=True, restored=False), Fate.LOST_AFTER_ESCROW),
        (replace(evidence(commits=2, generation=3), restored=False), Fate.LOST_AFTER_ESCROW),
        (replace(evidence(), restored=False), Fate.LOST_AFTER_ESCROW),
    ],
)
def test_an_account_that_heals_loses_answers_and_nothing_that_was_kept(found: Evidence, fate: Fate) -> None:
    assert judge(found) is fate


FREE = replace(evidence(commits=2), in_air=True, last_point="4", spends=False)


@pytest.mark.parametrize(
    ("found", "fate"),
    [
        (replace(FREE, restored=True), Fate.RECOVERED),
        (FREE, Fate.HEALED),
        (replace(FREE, commits=FREE.commits[:1]), Fate.NEVER_COMMITTED),
        (replace(FREE, in_air=False), Fate.IDLE),
        (replace(FREE, lives=False), Fate.LOST_UNSENT),
        (replace(FREE, kept=replace(FREE.kept, intent=True)), Fate.LOST_UNSENT),
        (replace(FREE, kept=replace(FREE.kept, generation=3)), Fate.LOST_UNSENT),
    ],
)
def test_what_spends_nothing_can_lose_nothing(found: Evidence, fate: Fate) -> None:
    assert judge(found) is fate


def test_an_answer_that_one_of_its_accounts_lacks_does_not_fit() -> None:
    whole = replace(evidence(commits=2, generation=3), last_point="6", in_air=True)
    assert judge(whole) is Fate.RECOVERED
    assert judge(replace(whole, agrees=False)) is Fate.ODD


def test_a_kill_at_point_8_itself_is_still_in_the_air(tmp_path: Path) -> None:
    file = tmp_path / "stamps"
    file.write_text("10 1\n20 intent-durable\n30 8\n")
    marks = stamps.read(file)
    assert stamps.is_in_air(marks, killed_ns=30)
    assert not stamps.is_in_air(marks, killed_ns=31)
    assert stamps.is_in_air(marks[:1], killed_ns=31)
    assert not stamps.is_in_air((), killed_ns=31)


def test_a_window_lies_between_an_answer_and_its_escrow() -> None:
    marks = [Stamp(800_000, "3"), Stamp(905_000, "4"), Stamp(950_000, "escrow-durable"), Stamp(990_000, "4")]
    answers = [commit(100_000, 110_000), commit(900_000, 910_000), commit(2_000_000, 2_000_001)]
    (window,) = stamps.windows(marks, answers)
    assert window == stamps.Window(900_000, 910_000, 905_000, 950_000)
    assert (window.from_write, window.from_begin, window.from_reply) == (40.0, 50.0, 45.0)
    assert stamps.windows(marks, answers[:1]) == ()  # an answer to an earlier request


def test_a_passage_is_what_came_of_one_deed() -> None:
    marks = [Stamp(700_000, "3"), Stamp(800_000, "3"), Stamp(905_000, "4"), Stamp(950_000, "escrow-durable")]
    found = [stamps.Window(600_000, 1, 1, 650_000), stamps.Window(900_000, 910_000, 905_000, 950_000)]
    assert stamps.passage(marks, found, 750_000, 990_000) == stamps.Passage(50.0, ((150.0, 200.0),))
    assert stamps.passage(marks, found, 750_000, 940_000) == stamps.Passage(50.0, ())
