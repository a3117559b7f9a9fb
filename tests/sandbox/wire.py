"""What every service with spent refresh tokens owes over real sockets: its faults, its books, its control port's no."""

import time
from asyncio import StreamWriter
from typing import Any

from tests.sandbox.conftest import Peer, until

Fault = tuple[str, dict[str, Any]]
BEFORE: list[Fault] = [
    ("lost_before_commit", {}),
    ("hang", {"seconds": 0.01}),
    ("reset", {}),
    ("html", {}),
    ("bad_gateway", {}),
    ("status", {"status": 503}),
    ("rate_limited", {}),
]
"""Faults that strike before anything is spent."""
AFTER: list[Fault] = [
    ("lost_after_commit", {}),
    ("cut_short", {}),
    ("hang", {"seconds": 0.01, "after_commit": True}),
    ("reset", {"after_commit": True}),
    ("html", {"after_commit": True}),
    ("bad_gateway", {"after_commit": True}),
    ("missing_fields", {"fields": ["refresh_token"]}),
    ("no_refresh_token", {}),
]
"""Faults by which a good answer is lost."""


async def page(peer: Peer, label: str = "a") -> dict[str, Any]:
    """A label's ledger, once every answer was delivered or lost."""
    books = peer.running.ledger.books.account(label)
    await until(lambda: all(commit.delivery for commit in books.commits))
    return await peer.control("GET", f"/ledger/{label}")


async def strike(peer: Peer, fault: str, settings: dict[str, Any]) -> None:
    """Have the next request meet a fault."""
    await peer.control("POST", "/faults", fault=fault, count=1, **settings)


def assert_booked(told: dict[str, Any], grant: dict[str, Any]) -> None:
    """The only call of a ledger is a refresh of this grant, whole from the call to the lineage."""
    (commit,), (call,), (lineage,) = told["commits"], told["calls"], told["lineages"]
    assert (commit["spent"], commit["reached"], commit["doubt"]) == (grant["fingerprint"], True, "unconfirmed")
    assert (call["presented"], call["outcome"], call["commit"]) == (grant["fingerprint"], "granted", commit["serial"])
    assert (lineage["id"], lineage["head"], lineage["spent"]) == (grant["lineage"], commit["successor"], 1)
    assert commit["received_ns"] <= commit["committed_ns"] <= commit["delivery"]["write_started_ns"]


def assert_unspent(told: dict[str, Any], fault: str) -> None:
    """The only call of a ledger met this fault, and nothing was committed."""
    assert ([call["outcome"] for call in told["calls"]], told["commits"]) == ([fault], [])


def assert_lost(told: dict[str, Any], fault: str) -> None:
    """The only call of a ledger was granted, and its answer lost by this fault."""
    assert ([call["outcome"] for call in told["calls"]], told["commits"][0]["doubt"]) == (["granted"], fault)


def assert_doubtful(counters: dict[str, Any], fault: str) -> None:
    """What was spent was presented once more, and its user could not know."""
    assert (counters["spent_uses"], counters["doubtful_replays"], counters["reasons"]) == (0, 1, {fault: 1})


async def escrow(peer: Peer) -> None:
    """Vouch for what replaced the first token that was spent: its user has it."""
    successor = (await page(peer))["commits"][0]["successor"]
    assert await peer.control("POST", "/escrowed", fingerprints=[successor]) == {"marked": 1}


async def assert_kill_is_booked(peer: Peer, writer: StreamWriter, request: bytes) -> None:
    """The user who dies between commit and answer is seen in the books."""
    await peer.control("POST", "/faults", fault="slow", seconds=0.05, when="after")
    writer.write(request)
    await until(lambda: peer.running.ledger.books.account("a").commits)
    killed_ns = time.monotonic_ns()
    writer.transport.abort()
    (commit,) = (await page(peer))["commits"]
    assert (commit["reached"], commit["doubt"]) == (False, "peer_gone")
    assert commit["committed_ns"] <= killed_ns < commit["delivery"]["write_started_ns"]


async def assert_says_what_to_write(peer: Peer, method: str, path: str, wish: dict[str, object], word: str) -> None:
    """The control port refuses a malformed wish and says what is wrong with it."""
    status, answer = await peer.try_control(method, path, **wish)
    assert status == 400
    assert word in answer["error"]
