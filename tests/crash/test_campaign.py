"""A hundred kills with every run of the tests: what is published in the README at length, in short."""

import argparse
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pytest

from tests.crash import campaign, harness, plan
from tests.crash.fates import Fate
from tests.crash.results import Line, Results, key_of
from tests.crash.scene import Placement
from tests.crash.servers import MAKERS, SERVICES

SEED: Final = 5
KILLS: Final = 100
WELL: Final = dict.fromkeys(("1", "2", "3", "intent-durable"), Fate.NEVER_COMMITTED)
"""Of a kill at a mark; point 4 depends on the service, all that follows is recovered."""
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, list[Line]]:
    out = tmp_path_factory.mktemp("campaign") / "campaign.jsonl"
    status = harness.main(["--kills", str(KILLS), "--seed", str(SEED), "--out", str(out)])
    return status, Results(out).lines()


def test_a_hundred_kills_lose_nothing_that_was_escrowed(ran: tuple[int, list[Line]]) -> None:
    status, lines = ran
    assert len(lines) == KILLS
    assert status == 0


def test_a_kill_at_a_mark_comes_to_what_the_service_allows(ran: tuple[int, list[Line]]) -> None:
    struck = [line for line in ran[1] if line["series"] == "points" and is_first(line)]
    assert struck
    assert {key_of(line): line["fate"] for line in struck} == {key_of(line): expected(line).name for line in struck}


def is_first(line: Line) -> bool:
    """Of the first round; the last mark of an enrolment is passed by steps before it, too."""
    is_early = (line["service"], line["mark"]) == ("aun-create", "commit-durable")
    return line["number"] < len(plan.marks(line["service"])) and not is_early


def expected(line: Line) -> Fate:
    service = MAKERS.get(line["service"])
    heals = service is not None and (service.ways.heals or not service.ways.spends)
    answered = Fate.HEALED if heals else Fate.OURS
    return WELL.get(line["mark"], answered if line["mark"] == "4" else Fate.RECOVERED)


# -- the plan -------------------------------------------------------------------------------------------------------


def first(count: int, seed: int = SEED, placements: Sequence[Placement] = campaign.PLACEMENTS) -> list[tuple[Any, ...]]:
    planned = islice(campaign.drawn(seed, SERVICES, placements), count)
    return [(one.spec.service, one.spec.placement, one.series, one.spec) for one in planned]


def test_any_campaign_is_the_beginning_of_the_longer_one() -> None:
    assert first(2000)[:300] == first(300)
    assert first(100, SEED + 1) != first(100)
    assert len({(*one[:3], one[3].number) for one in first(2000)}) == 2000


@pytest.mark.parametrize("kills", [28, 100, 137, 600, 2000])
def test_wherever_it_is_stopped_every_service_has_had_its_share(kills: int) -> None:
    drawn = first(kills)
    services = Counter(service for service, *_ in drawn)
    assert set(services) == set(SERVICES)
    assert max(services.values()) - min(services.values()) <= 1
    for service in SERVICES:
        placements = Counter(placement for one, placement, *_ in drawn if one == service)
        assert abs(placements["sealed"] - placements["keyring"]) <= 2


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_hundred_kills_have_all_series_and_all_marks(seed: int) -> None:
    drawn = first(KILLS, seed)
    assert {series for _, _, series, _ in drawn} == set(campaign.SERIES)
    assert {spec.mark for _, _, series, spec in drawn if series == "points"} == {*plan.POINTS, *plan.DURABLE}


def test_without_a_part_the_other_trials_are_the_same() -> None:
    alone = [spec for *_, spec in first(40, placements=("sealed",)) if spec.service == "feishu"]
    both = [spec for *_, spec in first(400) if (spec.service, spec.placement) == ("feishu", "sealed")]
    assert alone
    assert all(spec in both for spec in alone)


def test_a_missing_part_is_named_and_its_share_is_done_by_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRESHD_PARTS", "strace")
    services, placements = harness.present(None)
    assert "oidc-provider" not in services
    assert list(placements) == ["sealed"]
    said = capsys.readouterr().out.splitlines()
    assert sorted(line.split(",")[0] for line in said) == ["no kills with keyring", "no kills with oidc-provider"]


# -- taking it up again ---------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Results:
    """With the first trials of the seed done, and one of another seed."""
    made = Results(tmp_path / "some.jsonl")
    for service, placement, series, spec in first(30):
        made.add(line_of(SEED, series, service, placement, spec.number))
    made.add(line_of(SEED + 1, "points", "sandbox", "sealed", 0))
    return made


def line_of(seed: int, series: str, service: str, placement: str, number: int) -> dict[str, Any]:
    named = {"series": series, "service": service, "placement": placement, "number": number}
    return {"who": "freshd", "seed": seed, **named}


def keys(file: Results, *, resume: bool) -> list[tuple[Any, ...]]:
    given = argparse.Namespace(placement=None, kills=50, seed=SEED, resume=resume)
    return [job.key for job in harness.campaign_jobs(given, None, file)]  # type: ignore[arg-type]


def test_taken_up_again_it_comes_to_the_same_trials(file: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHD_PARTS", "keyring oidc-provider")
    whole = [("freshd", SEED, series, service, place, spec.number) for service, place, series, spec in first(80)]
    assert keys(file, resume=True) == whole[30:50]
    assert keys(file, resume=False) == whole[30:80]


def test_a_line_that_was_being_written_is_dropped_and_written_over(file: Results) -> None:
    before = file.lines()
    torn = '{"who": "freshd", "seed": 5, "ser'
    with file.path.open("a") as text:
        text.write(torn)
    assert file.lines() == before
    line = line_of(SEED, "near", "futu", "sealed", 99)
    file.add(line)
    assert file.lines() == [*before, line]
    assert torn not in file.path.read_text().replace('"series', "")


def test_a_trial_that_comes_to_no_line_is_counted_and_ends_nothing(tmp_path: Path) -> None:
    def fails() -> dict[str, Any]:
        raise RuntimeError("no service")

    line = {**line_of(1, "near", "futu", "sealed", 0), "kind": "near", "mark": "3", "fate": "IDLE", "ended": "live"}
    jobs = [harness.Job(("a",), fails), harness.Job(("b",), lambda: line)]
    made = Results(tmp_path / "lines.jsonl")
    assert harness.perform(iter(jobs), made, 2) == 1
    assert made.lines() == [line]
