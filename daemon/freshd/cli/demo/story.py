"""What happened, in words: from the daemon's log lines while it runs, from the scores at the end.  Pure.

One line for each turn an account takes, none for going on as before: trouble is told when it begins and when it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from freshd.cli.demo.cast import AUN, BROKER, FUTU
from freshd.cli.demo.score import AccountScore

Event = Mapping[str, Any]
ISSUE: Final = "issue"
"""The way of those that need no secret which could be used up."""
IN_DOUBT: Final = {
    "strict": "its refresh token works once and may be spent: freshd waits, {left} s of the token in hand are left",
    "grace": "a spent token still works for a while here: freshd asks again at once",
    "reusable": "its refresh token works many times: freshd asks again",
}
ELSEWHERE: Final = {
    (BROKER, "strict"): "its code works once and counts as spent: freshd asks for another",
    (BROKER, "reusable"): "nothing can be spent here, asks again",
    (AUN, "strict"): "its refresh token may be spent: freshd logs in with the key, which costs nothing",
    (FUTU, "strict"): "its ticket may be spent: freshd waits, {left} s of the signature in hand are left",
}
"""What the same means where the secret has another name."""


class Narrator:
    """Knows which accounts are in trouble, and since when.  `kinds`: of accounts, by name, where they are known."""

    def __init__(self, kinds: Mapping[str, str] | None = None) -> None:
        self._kinds = kinds or {}
        self._troubled: dict[str, float] = {}
        self._refused: dict[str, float] = {}
        self._tellers: dict[str, Callable[[str, Event], str | None]] = {
            "daemon.started": self._started,
            "doubt.opened": self._doubt,
            "doubt.replayed": self._replay,
            "refresh.rejected": self._rejected,
            "refresh.not-sent": self._not_sent,
            "refresh.lost": self._lost,
            "refresh.succeeded": self._renewed,
            "lease.refused": self._report,
            "lease.healed": self._healed,
            "account.parked": self._parked,
            "climb.started": self._climbing,
            "lease.withdrawn": self._withdrawn,
            "service.accepting": self._accepting,
            "channel.refused": self._kept_out,
            "channel.connected": self._let_in,
        }

    def tell(self, events: Iterable[Event]) -> Iterator[tuple[float, str]]:
        """One line per turn, with its moment."""
        for event in events:
            name, account = str(event.get("event")), str(event.get("account") or "")
            teller = self._tellers.get(name)
            line = teller(account, event) if teller else _loud(event)
            if line is not None:
                yield float(event["at"]), f"{account or 'daemon':<12} {line}"

    def _started(self, _account: str, event: Event) -> str:
        return f"is up, pid {event.get('pid')}: custodian {event.get('custodian')}, placement {event.get('placement')}"

    def _is_new(self, account: str, event: Event) -> bool:
        is_new = account not in self._troubled
        self._troubled.setdefault(account, float(event["at"]))
        return is_new

    def _doubt(self, account: str, event: Event) -> str:
        self._is_new(account, event)
        left = max(0.0, float(event.get("usable_for") or 0.0))
        said = self._in_doubt(account, str(event.get("contract"))).format(left=f"{left:.1f}")
        return f"no usable answer ({event.get('why')}); {said}"

    def _in_doubt(self, account: str, contract: str) -> str:
        said = IN_DOUBT.get(contract, "freshd decides by its contract")
        return ELSEWHERE.get((self._kinds.get(account, ""), contract), said)

    def _replay(self, _account: str, event: Event) -> str | None:
        if event.get("why") and event.get("replays") == 1:
            return "asks once more with the token in doubt, counted on disk before it leaves"
        return None

    def _rejected(self, account: str, event: Event) -> str | None:
        is_new = self._is_new(account, event)
        if event.get("needs") == "wait":
            return f"the service says {event.get('code')}: waits and asks again" if is_new else None
        return f"the service says {event.get('code')}"

    def _not_sent(self, account: str, event: Event) -> str | None:
        if not self._is_new(account, event):
            return None
        return f"no answer ({event.get('reason')}): nothing can be spent here, asks again"

    def _lost(self, account: str, event: Event) -> str | None:
        if not self._is_new(account, event):
            return None
        if event.get("rung") == ISSUE:
            return f"no usable answer ({event.get('why')}): nothing can be spent here, asks again"
        return f"no usable answer ({event.get('why')}); {self._in_doubt(account, 'reusable')}"

    def _renewed(self, account: str, event: Event) -> str | None:
        since = self._troubled.pop(account, None)
        return None if since is None else f"renewed; {float(event['at']) - since:.1f} s after the trouble began"

    def _report(self, account: str, event: Event) -> str:
        self._refused[account] = float(event["at"])
        return "a reader reports: the service refuses my token"

    def _healed(self, account: str, event: Event) -> str:
        since = self._refused.pop(account, float(event["at"]))
        return f"healed: a new token {float(event['at']) - since:.2f} s after the report, without a restart"

    def _climbing(self, _account: str, event: Event) -> str:
        return f"next it takes the way called {event.get('rung')}, after {event.get('why')}"

    def _withdrawn(self, _account: str, _event: Event) -> str:
        return "what its token was made of is void: the token is withdrawn, another is made"

    def _accepting(self, _account: str, _event: Event) -> str:
        return "the service that refused several accounts answers them again: nobody had to log in"

    def _kept_out(self, _account: str, event: Event) -> str:
        return f"freshd's own login ({event.get('kind')}) is refused: {event.get('code')}; reported like a reader's"

    def _let_in(self, _account: str, event: Event) -> str:
        away = float(event.get("seconds_away") or 0.0)
        return f"freshd's own login ({event.get('kind')}) holds; there was none for {away:.1f} s"

    def _parked(self, account: str, event: Event) -> str:
        self._troubled.pop(account, None)
        return f"PARKED ({event.get('code')}), its secrets are kept; what helps: {event.get('remedy')}"


def _loud(event: Event) -> str | None:
    """What nobody foresaw is told if the daemon itself finds it loud."""
    if event.get("level") in ("alert", "error", "warning"):
        return f"{event.get('event')}: {event.get('message')}"
    return None


def epilogue(score: AccountScore, about: str) -> str:
    """One sentence on one account."""
    if score.expected_parked and score.phase == "parked":
        return f"its answer was lost for good; asked once more, then parked as expected: {score.remedy}"
    counts = ((score.failed_calls, "failed call"), (score.doubts, "doubt"), (score.heals, "refused token"))
    did = [f"{count} {what}{'s' * (count != 1)}" for count, what in counts if count]
    went = f"got over {', '.join(did)}" if did else "nothing went wrong"
    state = "still renewing" if score.phase in ("live", "spending") else f"ended {score.phase}"
    return "; ".join([f"{about}: {went}", *_counted(score.more), state])


def _counted(more: Mapping[str, int]) -> Iterator[str]:
    """What only its service counted of an account."""
    if "sessions" in more:
        yield f"{more['logins']} logins with its key, {more['sessions']} at the gateway"
    if "rotations" in more:
        lost = f", {more['events_lost']} lost" if more["events_lost"] else ""
        yield f"{more['rotations']} passwords, {more['logins']} logins at the broker, {more['events']} events{lost}"
    if "signins" in more:
        yield f"{more['signins']} sign-in{'s' * (more['signins'] != 1)}"
    if "repulls" in more:
        soon = f", {more['authority_too_soon']} too soon" if more["authority_too_soon"] else ""
        yield f"{more['repulls']} codes asked for, {more['authority_calls']} logins{soon}, {more['sms']} SMS"


FOOTER: Final = (
    "gap      seconds in which a reader's newest token was refused or it held none; its worst reader, rounded up to",
    "         0.01 s, from the last proof that it worked to the next; without down, which is listed apart.",
    "down     seconds without a daemon after the token in hand had ended.",
    "healing  the part of the gap from a token's revocation until its successor was in hand: nobody can know of it",
    "         before the first refusal.  The demo fails if it takes more than 1 s, or if there is any other gap.",
    "late     99th percentile of a renewal's arrival at the service less the due moment that the socket had shown,",
    "         less the seconds without a daemon.  At Futu, where nothing is due before a reader asks for more life",
    "         than its token has left: of the arrival of the call that makes a token less that question; waiting for",
    "         the code that the call takes is late, too.",
    "spent    presentations of a token known to be spent; replays: of one that nobody could know about. Both as the",
    "         service counts them.",
)
