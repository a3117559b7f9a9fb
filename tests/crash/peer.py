"""A kill of Debian's oidc-agent as a line of the same table: the same span, the same server, the same classes."""

from __future__ import annotations

from typing import Any, Final

from tests.crash.fates import Fate
from tests.crash.results import commit, now
from tests.host.oidc_agent import Trial, Verdict, run_trials
from tests.host.oidc_provider.bed import OidcProvider

FATES: Final = {
    Verdict.RECOVERED: Fate.RECOVERED,
    Verdict.NEVER_COMMITTED: Fate.NEVER_COMMITTED,
    Verdict.BROKEN: Fate.LOST_UNSENT,
}


def peer_line(key: tuple[Any, ...], bed: OidcProvider, span_ms: float) -> dict[str, Any]:
    """Do one trial with a fresh agent; the instant is drawn from seed and number."""
    who, seed, series, service, placement, number = key
    trial = run_trials(1, seed * 100_003 + number, provider=bed, span_ms=span_ms)[0]
    return {
        "who": who, "seed": seed, "series": series, "service": service, "placement": placement, "number": number,
        "at": now(), "commit": commit(), "kind": "around", "mark": None, "instant_ms": round(trial.kill_after_ms, 3),
        "fate": _fate(trial).name, "lives": trial.works_after, "ended": trial.complaint.partition("\n")[0] or "live",
        "arrived_us": None if trial.answer_left_at is None else (trial.answer_left_at - trial.killed_at) // 1000,
        "windows": [], "spent_uses": 0, "doubtful_replays": 0,
    }  # fmt: skip


def _fate(trial: Trial) -> Fate:
    """It has no escrow: what had reached its socket and is lost was lost before anything was durable."""
    if trial.verdict is Verdict.LOST:
        return Fate.OURS if trial.agent_held_it else Fate.NEVER_ARRIVED
    return FATES[trial.verdict]
