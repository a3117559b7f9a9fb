"""The kill harness: `scripts/crash`.  Draws the trials, does them, writes them down, prints the table.

Headline trials have one account each: one kill, one exchange, one fate.  Exit status 0 only where freshd lost nothing
that was escrowed, presented no spent token, all evidence fits, and every trial got to its kill.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from tests import parts
from tests.crash import campaign, page, plan, results, tables
from tests.crash.fates import FORBIDDEN
from tests.crash.peer import peer_line
from tests.crash.results import Results, line_of
from tests.crash.scene import Placement
from tests.crash.servers import OIDC, SERVICES, STAND_INS, Servers
from tests.crash.spec import Spec
from tests.crash.trial import tried

FOLDER: Final = Path(__file__).with_name("results")
OUT: Final = FOLDER / "kills.jsonl"
CAMPAIGN: Final = FOLDER / "campaign.jsonl"
AT_ONCE: Final = 3
"""Trials at a time in a campaign: half of a trial is waiting."""
SERVER: Final = "one service; futu, cloudbase and geniusauth are several, and aun-NAME is one exchange of an agent"
Run = Callable[[], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Job:
    """One line to be."""

    key: tuple[Any, ...]
    run: Run


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.peer and (given.jobs or 1) > 1:
        parser.error("the peer's trials are done one at a time")
    if given.markdown:
        return page.write(FOLDER.parent, CAMPAIGN, OUT)
    is_campaign = given.kills and not (given.server or given.points or given.near or given.again or given.peer)
    file = Results(given.out or (CAMPAIGN if is_campaign else OUT))
    wanted = given.kills or given.points or given.near or given.again or given.peer
    if wanted and file.lines() and not given.append:
        print(f"crash: {file.path.name} has results already; give --append, or another --out", file=sys.stderr)
        return 2
    with contextlib.ExitStack() as stack:
        servers = Servers(stack)
        drawn = campaign_jobs(given, servers, file) if is_campaign else _series(given, servers, file)
        undone = perform(drawn, file, given.jobs or (AT_ONCE if is_campaign else 1))
    lines = file.lines()
    print(tables.plain(lines))
    if undone:
        print(f"NOT DONE: {undone} trials did not get to their kill")
    return 0 if results.is_good(lines) and not undone else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/crash",
        description="Kill freshd at every point of its exchange and at random instants, and tell what became of it.",
        epilog="--kills N alone is the campaign: N kills in all, dealt out evenly over all services, both placements "
        "and all series.  With a server or another series it is N random kills for each placement and server. "
        "Random kills: 40 in 100 around an exchange, 30 with a service that holds requests and answers, 15 anywhere "
        "between two refreshes, 15 anywhere after a start.  Without kills, points or peer only the table of FILE is "
        "printed.",
    )
    add = parser.add_argument
    add("--kills", type=int, default=0, metavar="N", help="the campaign, or random kills: see below")
    add("--points", action="store_true", help="kill at each of the eight points, and three marks more")
    add("--rounds", type=int, default=1, metavar="N", help="how often each point (default: 1)")
    add("--placement", choices=("sealed", "keyring", "both"), help="(default: both in a campaign, else sealed)")
    add("--server", choices=(*STAND_INS, OIDC, "all"), help=SERVER)
    add("--near", type=int, default=0, metavar="N", help="N kills within milliseconds after the intent was durable")
    add("--again", type=int, default=0, metavar="N", help="N kills of a start that deals with an earlier kill")
    beside = "N kills (60) of oidc-agent and of freshd each, over the same span, on oidc-provider"
    add("--peer", type=int, default=0, metavar="N", nargs="?", const=60, help=beside)
    add("--span-ms", type=float, default=800.0, metavar="MS", help="that span (default: 800)")
    add("--seed", type=int, default=1, metavar="S", help="what the instants are drawn from (default: 1)")
    add("--jobs", type=int, metavar="N", help=f"trials at a time (default: {AT_ONCE} in a campaign, else 1)")
    out = "JSON lines (default: campaign.jsonl or kills.jsonl in tests/crash/results)"
    add("--out", type=Path, metavar="FILE", help=out)
    add("--append", action="store_true", help="add to a file that has results already; a campaign goes N kills further")
    add("--resume", action="store_true", help="count what the file has: a campaign comes to N of this seed in all")
    add("--markdown", action="store_true", help="write the tables into README.md and results/kills.md, nothing else")
    return parser


# -- what is to be done ---------------------------------------------------------------------------------------------


def campaign_jobs(given: argparse.Namespace, servers: Servers, file: Results) -> Iterator[Job]:
    """The first N of the seed's campaign, or the N after those that the file has."""
    services, placements = present(given.placement)
    done = file.done()
    left = given.kills - (sum(key[1] == given.seed for key in done) if given.resume else 0)
    where = f"{len(services)} services, {' and '.join(placements)}"
    print(f"{max(0, left)} of {given.kills} kills to do, seed {given.seed}, {where}", flush=True)
    fresh = (
        _job(planned.spec, planned.series, given.seed, servers)
        for planned in campaign.drawn(given.seed, services, placements)
    )
    return itertools.islice((job for job in fresh if job.key not in done), max(0, left))


def present(placement: str | None) -> tuple[Sequence[str], Sequence[Placement]]:
    """The services and placements that this machine has the parts for; what is missing is said in a line each."""
    missing = parts.missing_here(os.environ)
    wanted = _placements(placement or "both")
    services = [name for name in SERVICES if name != OIDC or OIDC not in missing]
    placements = [one for one in wanted if one != "keyring" or "keyring" not in missing]
    for name in {OIDC, *wanted} & missing.keys():
        print(f"no kills with {name}, the others get its share: {missing[name]}", flush=True)
    return services, placements


def _placements(wanted: str) -> Sequence[Placement]:
    return [one for one in campaign.PLACEMENTS if wanted in (one, "both")]


def _series(given: argparse.Namespace, servers: Servers, file: Results) -> Iterator[Job]:
    """All that was asked for of one server, or of all."""
    placements = _placements(given.placement or "sealed")
    done = file.done() if given.resume else set()
    server = given.server or "sandbox"
    names = [make for name, kinds in STAND_INS.items() for make in kinds if server in (name, "all")]
    services = [make.name for make in names] + [OIDC] * (server in (OIDC, "all"))
    for service, placement in itertools.product(services, placements):
        for series, specs in _asked(given, service, placement).items():
            jobs = (_job(spec, series, given.seed, servers) for spec in specs)
            yield from (job for job in jobs if job.key not in done)
    if given.peer:
        yield from (job for job in _beside(given, placements, servers) if job.key not in done)


def _asked(given: argparse.Namespace, service: str, placement: Placement) -> Mapping[str, Sequence[Spec]]:
    def some(count: int, specs: Iterator[Spec]) -> Sequence[Spec]:
        return list(itertools.islice(specs, count))

    return {
        "points": plan.at_points(service, placement, given.rounds) if given.points else (),
        "random": some(given.kills, plan.at_random(given.seed, service, placement)),
        "near": some(given.near, plan.near(given.seed, service, placement)),
        "again": some(given.again, plan.once_more(given.seed, service, placement)),
    }


def _beside(given: argparse.Namespace, placements: Sequence[Placement], servers: Servers) -> Iterator[Job]:
    """The peer's trials and ours by turns, on one server."""
    series = f"span {given.span_ms:g} ms"
    ours = [plan.over_span(given.seed, OIDC, placement, given.span_ms / 1000) for placement in placements]
    for number, specs in enumerate(itertools.islice(zip(*ours, strict=True), given.peer)):
        yield from (_job(spec, series, given.seed, servers) for spec in specs)
        key = ("oidc-agent", given.seed, series, OIDC, "its file", number)
        yield Job(key, lambda key=key: peer_line(key, servers.provider, given.span_ms))  # type: ignore[misc]


def _job(spec: Spec, series: str, seed: int, servers: Servers) -> Job:
    def work() -> dict[str, Any]:
        with servers.lent(spec.service, spec.placement) as (service, env):
            result = tried(spec, service, env)
        if result.folder is not None:
            where = f"{series} {spec.service} {spec.placement} {spec.number}"
            print(f"{where} needs looking at: {result.folder}", flush=True)
        return line_of(result, series, seed)

    return Job(("freshd", seed, series, spec.service, spec.placement, spec.number), work)


# -- doing it -------------------------------------------------------------------------------------------------------


def perform(drawn: Iterator[Job], file: Results, at_once: int) -> int:
    """Do them all, so many at a time; how many did not come to a line."""
    jobs = list(drawn)
    lock = threading.Lock()
    done = 0

    def work(job: Job) -> int:
        nonlocal done
        try:
            line = job.run()
        except Exception as error:  # noqa: BLE001 - one trial is no reason to end the run; the exit status tells
            print(f"NOT DONE: {job.key}: {type(error).__name__}: {error}", flush=True)
            return 1
        with lock:
            done += 1
            file.add(line)
            print(f"{done}/{len(jobs)} {_told(line)}", flush=True)
        return 0

    pool = ThreadPoolExecutor(at_once)
    try:
        return sum(pool.map(work, jobs))
    finally:
        pool.shutdown(cancel_futures=True)


def _told(line: Mapping[str, Any]) -> str:
    place = " ".join(str(line[name]) for name in ("who", "service", "placement", "kind"))
    where = line["mark"] or f"{line['instant_ms']:.1f} ms"
    shout = "  <<<<" if line["fate"] in {fate.name for fate in FORBIDDEN} else ""
    return f"{place} {where}: {cast('str', line['fate']).lower()}, {line['ended']}{shout}"


if __name__ == "__main__":
    sys.exit(main())
