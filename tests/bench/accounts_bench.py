"""Many accounts for some minutes: start, memory, CPU, how late refreshes are, and how long readers wait meanwhile.

    python -m tests.bench.accounts_bench [--accounts 10000] [--seconds 60]

The leases live an hour and were renewed at moments spread evenly over the time from one renewal to the next, so
that the daemon meets at once what it meets after months.  One account beside it, in the same run, is what they are held
against.  Planned is what `GET /v1/accounts` says of the next refresh before the minute begins; a refresh has begun when
the service has its whole request.  Prints ratios; asserts nothing but that no spent token was presented.
"""

from __future__ import annotations

import argparse
import random
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.bench import service as services
from tests.bench.exchange_bench import place, sound
from tests.bench.service import Answered
from tests.bench.stand import Cast, Process, Stand, cpu_seconds, first_lease, quantile, resident_mib
from tests.flow.bed import let_pass, until

LIFE: Final = 3600.0
EVERY_SECONDS: Final = 0.02
PAGE: Final = 500
REST_SECONDS: Final = 15.0
"""What was due while the journal was written is caught up with before the minute begins."""
LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Minute:
    """What was seen of one daemon.

    first, all_known  seconds from its start to the first lease served, and until every account was listed as live
    cpu               share of one core over the minute
    refreshes, late   how many, and how late each was, seconds
    reads             round trips of readers, milliseconds
    """

    first: float
    all_known: float
    mib: float
    mib_after: float
    cpu: float
    refreshes: int
    late: Sequence[float]
    reads: Sequence[float]


def minute(number: int, seconds: float) -> Minute:
    """One daemon from its start to the end of the minute."""
    with place() as folder, services.running(LIFE, folder) as service, Stand() as stand:
        cast = Cast(number, service.endpoint, LIFE, aged=1.0 if number > 1 else 0.0)
        stand.configure(cast)
        stand.fill(cast)
        process = stand.daemon()
        first = first_lease(process, stand.socket, cast.names[-1])
        until("all are known", lambda: len(listed(process)) == number, LOOK_SECONDS)
        all_known = (time.monotonic_ns() - process.started_ns) / 1e9
        let_pass(time.monotonic() + REST_SECONDS)  # what a start has left to do does not count
        planned, offset = listed(process), time.time() - time.monotonic()
        mib, busy, begun = resident_mib(process.pid), cpu_seconds(process.pid), time.monotonic()
        reads = list(read(stand, cast, begun + seconds))
        ended = time.monotonic()
        cpu, mib_after = (cpu_seconds(process.pid) - busy) / (ended - begun), resident_mib(process.pid)
        process.stop()
    sound(service)
    within = [one for one in service.answered if begun <= one.begun / 1e9 <= ended]
    return Minute(first, all_known, mib, mib_after, cpu, len(within), lateness(within, planned, offset), reads)


def listed(process: Process) -> dict[str, float]:
    """The wall-clock second of each live account's next refresh."""
    found: dict[str, float] = {}
    after = ""
    while True:
        page = process.ask("GET", f"/v1/accounts?limit={PAGE}" + (f"&after={after}" if after else ""))
        found |= {one["account"]: one["next_refresh_at"] for one in page["accounts"] if one["usable_until"]}
        after = str(page.get("next") or "")
        if not after:
            return found


def read(stand: Stand, cast: Cast, end: float) -> Iterator[float]:
    """Ask for leases at a steady pace, whether or not the last answer was quick; milliseconds of each round trip."""
    names, dice = cast.names, random.Random(1)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(stand.socket))
        at = time.monotonic()
        while at < end:
            let_pass(at)  # the pace of the reader
            begun = at if time.monotonic() > at + EVERY_SECONDS else time.monotonic()  # waited behind a slow one
            connection.sendall(f"GET /v1/tokens/{dice.choice(names)}?min_ttl=0 HTTP/1.1\r\nHost: f\r\n\r\n".encode())
            if not connection.recv(65536).startswith(b"HTTP/1.1 200"):
                raise SystemExit("a lease was not served")
            yield (time.monotonic() - begun) * 1000
            at += EVERY_SECONDS


def lateness(answers: Sequence[Answered], planned: Mapping[str, float], offset: float) -> list[float]:
    """Seconds from the planned moment to the request, of each account's first refresh in the minute."""
    begun: dict[str, float] = {}
    for one in answers:
        begun.setdefault(one.account, one.begun / 1e9 + offset)
    return [at - planned[account] for account, at in begun.items() if account in planned]


def told(number: int, one: Minute, many: Minute) -> None:
    """The table."""
    rows = {
        "to the first lease, s": (one.first, many.first),
        "until all are known, s": (one.all_known, many.all_known),
        "resident, MiB": (one.mib, many.mib),
        "resident at the end, MiB": (one.mib_after, many.mib_after),
        "reader's p50, ms": tuple(quantile(each.reads, 0.5) for each in (one, many)),
        "reader's p99, ms": tuple(quantile(each.reads, 0.99) for each in (one, many)),
        "reader's longest, ms": tuple(max(each.reads) for each in (one, many)),
        "share of a core, %": (one.cpu * 100, many.cpu * 100),
    }
    print(f"{'accounts':26}{1:>10,}{number:>10,}{'ratio':>9}")
    for name, (alone, crowd) in rows.items():
        print(f"{name:26}{alone:>10.2f}{crowd:>10.2f}{crowd / max(alone, 1e-9):>9.2f}")
    print(f"memory per account: {(many.mib_after - one.mib_after) * 1024 / number:.1f} KiB")
    late = ", ".join(f"p{share * 100:g} {quantile(many.late, share) * 1000:.0f}" for share in (0.5, 0.99, 1.0))
    print(f"{many.refreshes} refreshes in the minute; late by, ms: {late}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    told(given.accounts, minute(1, given.seconds), minute(given.accounts, given.seconds))


if __name__ == "__main__":
    main()
