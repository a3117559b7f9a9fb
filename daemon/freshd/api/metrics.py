"""Prometheus text: counts by kind of service and by outcome only.  One child per account would cost 79 MB at 100 000.

prometheus_client is imported in a thread at the first scrape: nobody else waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final

from freshd.tokens import Health, Tokens

KIND: Final = "text/plain; version=0.0.4; charset=utf-8"
SLICE: Final = 200


@dataclass(slots=True)
class Counts:
    """What the socket has done since the daemon started.

    memory   leases handed out from memory        waited   leases handed out after waiting
    short    no lease good enough in time         denied   not for this caller, or unknown
    refused  tokens that consumers reported       evicted, crowded  see crowd
    """

    memory: int = 0
    waited: int = 0
    short: int = 0
    denied: int = 0
    refused: int = 0
    evicted: int = 0
    crowded: int = 0
    connections: int = 0


@dataclass(slots=True)
class Totals:
    """All accounts, added up by kind of service."""

    accounts: Counter[tuple[str, str]] = field(default_factory=Counter)
    refreshes: Counter[str] = field(default_factory=Counter)
    heals: Counter[str] = field(default_factory=Counter)

    def add(self, health: Health) -> None:
        """Count one account."""
        self.accounts[health.kind, health.phase] += 1
        self.refreshes[health.kind] += health.refreshes
        self.heals[health.kind] += health.heals


async def exposition(tokens: Tokens, counts: Counts) -> bytes:
    """The page, gathered in slices."""
    core = await asyncio.to_thread(importlib.import_module, "prometheus_client.core")
    library = importlib.import_module("prometheus_client")
    totals = Totals()
    for number, name in enumerate(tokens.accounts()):
        with contextlib.suppress(KeyError):  # forgotten meanwhile
            totals.add(tokens.health(name))
        if number % SLICE == 0:
            await asyncio.sleep(0)
    registry = library.CollectorRegistry(auto_describe=False)
    registry.register(_Page(core, totals, counts))
    page: bytes = library.generate_latest(registry)
    return page


class _Page:
    """A collector over values that were gathered before."""

    def __init__(self, core: ModuleType, totals: Totals, counts: Counts) -> None:
        self._core = core
        self._totals = totals
        self._counts = counts

    def collect(self) -> Iterator[object]:
        """Every metric family of the page."""
        counts = self._counts
        accounts = self._core.GaugeMetricFamily(
            "freshd_accounts", "Accounts by kind and phase.", labels=["provider", "outcome"]
        )
        for labels, number in sorted(self._totals.accounts.items()):
            accounts.add_metric(labels, number)
        yield accounts
        yield self._sums("freshd_refreshes", "Leases renewed.", self._totals.refreshes)
        yield self._sums("freshd_heals", "Leases replaced after a refusal.", self._totals.heals)
        reads = self._core.CounterMetricFamily("freshd_reads", "Reads by outcome.", labels=["outcome"])
        for outcome in ("memory", "waited", "short", "denied"):
            reads.add_metric([outcome], getattr(counts, outcome))
        yield reads
        yield self._core.CounterMetricFamily("freshd_refusals", "Tokens reported as refused.", counts.refused)
        closed = self._core.CounterMetricFamily(
            "freshd_connections_closed", "Connections closed or refused for want of room.", labels=["outcome"]
        )
        closed.add_metric(["evicted"], counts.evicted)
        closed.add_metric(["crowded"], counts.crowded)
        yield closed
        yield self._core.GaugeMetricFamily("freshd_connections", "Open connections.", counts.connections)

    def _sums(self, name: str, text: str, values: Counter[str]) -> object:
        family: Any = self._core.CounterMetricFamily(name, text, labels=["provider"])
        for provider, number in sorted(values.items()):
            family.add_metric([provider], number)
        return family
