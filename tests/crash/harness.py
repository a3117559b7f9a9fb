"""The kill harness: `scripts/crash`.  Draws the trials, does them, writes them down, prints the table.

Headline trials have one account each: one kill, one exchange, one fate.  Exit status 0 only where freshd lost nothing
that was escrowed, presented no spent token, and all evidence fits.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from tests.crash import plan, results
from tests.crash.aun import Aun, AunCreate, AunLogin, AunRekey
from tests.crash.cloudbase import CloudBase, CloudBaseTicket
from tests.crash.fates import FORBIDDEN
from tests.crash.feishu import Feishu
from tests.crash.futu import FutuBroker, FutuPlatform
from tests.crash.geniusauth import GeniusAuth, GeniusAuthLogin, GeniusAuthPayload
from tests.crash.peer import peer_line
from tests.crash.results import Results, line_of
from tests.crash.scene import Gone, Placement, Told
from tests.crash.services import ACCESS_SECONDS, ROOT, Provider, Sandbox, Service
from tests.crash.trial import Spec, tried
from tests.host.keyring_bed import KeyringBed
from tests.host.oidc_provider.bed import OidcProvider

OUT: Final = ROOT / "tests" / "crash" / "results" / "kills.jsonl"
BED_TRIALS: Final = 40
"""Trials on one keyring daemon: each leaves entries, and a crowded collection is slow."""
STAND_INS: Final[Mapping[str, tuple[type[Sandbox], ...]]] = {
    "sandbox": (Sandbox,), "feishu": (Feishu,), "futu": (FutuPlatform, FutuBroker),
    "aun": (Aun,), "aun-login": (AunLogin,), "aun-rekey": (AunRekey,), "aun-create": (AunCreate,),
    "cloudbase": (CloudBase, CloudBaseTicket), "geniusauth": (GeniusAuth, GeniusAuthLogin, GeniusAuthPayload),
}  # fmt: skip
"""Services of the sandbox by the name that `--server` takes."""
SERVER: Final = "one service; futu, cloudbase and geniusauth are several, and aun-NAME is one exchange of an agent"
Run = Callable[[], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Job:
    """One line to be."""

    key: tuple[Any, ...]
    run: Run


class Keyrings:
    """A keyring daemon for every `BED_TRIALS` trials; made when first asked for."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._used = 0
        self._bed: KeyringBed | None = None
        self._lock = threading.Lock()

    def env(self) -> Mapping[str, str]:
        """What a daemon needs to find it."""
        with self._lock:
            if self._bed is None or self._used % BED_TRIALS == 0:
                self._bed = self._stack.enter_context(KeyringBed())
            self._used += 1
            return self._bed.env


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.jobs > 1 and (given.peer or given.server in ("oidc-provider", "all")):
        parser.error("on oidc-provider one trial at a time: its delays are everybody's")
    results_file = Results(given.out)
    if given.markdown:
        print(results.markdown(results_file.lines()))
        return 0
    wanted = given.kills or given.points or given.near or given.again or given.peer
    if wanted and results_file.lines() and not given.append:
        print(f"crash: {given.out.name} has results already; give --append, or another --out", file=sys.stderr)
        return 2
    done = results_file.done() if given.resume else set()
    with contextlib.ExitStack() as stack:
        jobs = [job for job in _jobs(given, stack) if job.key not in done]
        undone = _perform(jobs, results_file, given.jobs)
    lines = results_file.lines()
    print(results.table(lines))
    if undone:
        print(f"NOT DONE: {undone} trials did not get to their kill")
    return 0 if results.is_good(lines) and not undone else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/crash",
        description="Kill freshd at every point of its exchange and at random instants, and tell what became of it.",
        epilog="Without kills, points or peer only the table of FILE is printed. Random kills are drawn from the seed: "
        "40 in 100 around an exchange, 30 with a service that holds requests and answers, 15 anywhere between two "
        "refreshes, 15 anywhere after a start.",
    )
    add = parser.add_argument
    add("--kills", type=int, default=0, metavar="N", help="N random kills for each placement and server")
    add("--points", action="store_true", help="kill at each of the eight points, and three marks more")
    add("--rounds", type=int, default=1, metavar="N", help="how often each point (default: 1)")
    add("--placement", choices=("sealed", "keyring", "both"), default="sealed")
    add("--server", choices=(*STAND_INS, "oidc-provider", "all"), default="sandbox", help=SERVER)
    add("--near", type=int, default=0, metavar="N", help="N kills within milliseconds after the intent was durable")
    add("--again", type=int, default=0, metavar="N", help="N kills of a start that deals with an earlier kill")
    beside = "N kills (60) of oidc-agent and of freshd each, over the same span, on oidc-provider"
    add("--peer", type=int, default=0, metavar="N", nargs="?", const=60, help=beside)
    add("--span-ms", type=float, default=800.0, metavar="MS", help="that span (default: 800)")
    add("--seed", type=int, default=1, metavar="S", help="what the instants are drawn from (default: 1)")
    add("--jobs", type=int, default=1, metavar="N", help="trials at a time (default: 1)")
    add("--out", type=Path, default=OUT, metavar="FILE", help="JSON lines (default: tests/crash/results/kills.jsonl)")
    add("--append", action="store_true", help="add to a file that has results already")
    add("--markdown", action="store_true", help="print the table as the README has it, and do nothing else")
    add("--resume", action="store_true", help="leave out the trials that the file has")
    return parser


def _jobs(given: argparse.Namespace, stack: contextlib.ExitStack) -> Iterator[Job]:
    """All that was asked for, the servers started on the way."""
    placements: tuple[Placement, ...] = ("sealed", "keyring") if given.placement == "both" else (given.placement,)
    keyrings = Keyrings(stack)
    bed: OidcProvider | None = None
    ours = given.kills or given.points or given.near or given.again
    if given.peer or (given.server in ("oidc-provider", "all") and ours):
        bed = stack.enter_context(OidcProvider(access_ttl_s=ACCESS_SECONDS))
    services: list[Service] = []
    if ours:
        made = [make() for name, kinds in STAND_INS.items() for make in kinds if given.server in (name, "all")]
        services += [stack.enter_context(one) for one in made]
    if given.server in ("oidc-provider", "all") and bed is not None:
        services.append(Provider(bed))
    for service in services:
        for placement in placements:
            points = plan.at_points(service.name, placement, given.rounds) if given.points else []
            yield from (_job(spec, "points", given.seed, service, keyrings) for spec in points)
            drawn = plan.at_random(given.kills, given.seed, service.name, placement)
            yield from (_job(spec, "random", given.seed, service, keyrings) for spec in drawn)
            close = plan.near(given.near, given.seed, service.name, placement)
            yield from (_job(spec, "near", given.seed, service, keyrings) for spec in close)
            twice = plan.once_more(given.again, given.seed, service.name, placement)
            yield from (_job(spec, "again", given.seed, service, keyrings) for spec in twice)
    if given.peer and bed is not None:
        yield from _beside(given, bed, placements, keyrings)


def _beside(
    given: argparse.Namespace, bed: OidcProvider, placements: tuple[Placement, ...], keyrings: Keyrings
) -> Iterator[Job]:
    """The peer's trials and ours by turns, on one server."""
    service, span = Provider(bed), given.span_ms / 1000
    series = f"span {given.span_ms:g} ms"
    ours = [plan.over_span(given.peer, given.seed, service.name, placement, span) for placement in placements]
    for number, specs in enumerate(zip(*ours, strict=True)):
        yield from (_job(spec, series, given.seed, service, keyrings) for spec in specs)
        key = ("oidc-agent", given.seed, series, service.name, "its file", number)
        yield Job(key, lambda key=key: peer_line(key, bed, given.span_ms))  # type: ignore[misc]


def _job(spec: Spec, series: str, seed: int, service: Service, keyrings: Keyrings) -> Job:
    def work() -> dict[str, Any]:
        env = keyrings.env() if spec.placement == "keyring" else None
        return line_of(tried(spec, service, env), series, seed)

    key = ("freshd", seed, series, spec.service, spec.placement, spec.number)
    return Job(key, work)


def _perform(jobs: list[Job], file: Results, at_once: int) -> int:
    """Do them all; how many could not be begun."""
    lock = threading.Lock()
    done = 0

    def work(job: Job) -> int:
        nonlocal done
        try:
            line = job.run()
        except (Gone, Told) as error:
            print(f"NOT DONE: {job.key}: {error}", flush=True)
            return 1
        with lock:
            done += 1
            file.add(line)
            print(f"{done}/{len(jobs)} {_told(line)}", flush=True)
        return 0

    with ThreadPoolExecutor(at_once) as pool:
        return sum(pool.map(work, jobs))


def _told(line: Mapping[str, Any]) -> str:
    place = " ".join(str(line[name]) for name in ("who", "service", "placement", "kind"))
    where = line["mark"] or f"{line['instant_ms']:.1f} ms"
    shout = "  <<<<" if line["fate"] in {fate.name for fate in FORBIDDEN} else ""
    return f"{place} {where}: {cast('str', line['fate']).lower()}, {line['ended']}{shout}"


if __name__ == "__main__":
    sys.exit(main())
